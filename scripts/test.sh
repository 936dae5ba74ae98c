#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything that CI runs, set-up included, on a bare Debian 12: as root, or with sudo for the packages.
set -u

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

BUILD=$SOURCE/_build
JOBS=$(nproc)
STEP_SECONDS=1100

# Steps in the order in which they are started; those of PARALLEL do not disturb one another.
FIRST=(deps build)
PARALLEL=(integration differential asan tsan distcheck unit clang fuzz checks format systemd demo)
LAST=(bench)

usage() {
  cat <<'TEXT'
usage: test.sh [--build-dir DIR] [--jobs N] [--no-deps] [--list] [STEP...]

Runs every step, or those named (and what they need). Logs: DIR/logs/STEP.log; DIR is _build by default.
  deps          installs the Debian packages that are absent
  build         configure and make, warnings are errors
  format        clang-format 14 on all C files; shellcheck on all shell scripts
  checks        layers, sizes, manuals, the single parser of actions; and the tests of these checks
  unit          make check: unit tests and golden sessions
  asan          the same with AddressSanitizer and UBSan
  tsan          unit tests and the reload under load with ThreadSanitizer
  clang         the build with clang, warnings are errors
  fuzz          some thousands of inputs for each fuzz target
  distcheck     make distcheck
  systemd       the unit is valid and its exposure at most 2.0
  integration   through the real Postfix and the real Sendmail
  differential  decisions compared with those of the real Sendmail
  demo          demo.sh --once: each of its sessions ends as it should
  bench         the quick form of make bench; the daemon is killed 30 times while logins are recorded
TEXT
}

# --- the steps: each runs in a shell of its own; its output is the log -----------------------------------------------

# The unit tests take the Redis server that is unpacked, and would be left out without it.
step_deps() {
  "$SOURCE/scripts/deps.sh" --test &&
    as_root "$SOURCE/scripts/mta-unpack.sh" "${POSTERN_TEST_CACHE:-/var/cache/postern-test}" redis
}

plain_build() {
  bootstrap && configure_in "$BUILD/plain" --enable-werror --prefix=/usr --sysconfdir=/etc --localstatedir=/var \
    --runstatedir=/run
}

step_build() { plain_build && make -C "$BUILD/plain" -j "$JOBS" all; }

step_format() {
  local sources scripts file failed=0
  cd "$SOURCE" || return
  mapfile -t sources < <(find lib milter ctl tests -name '*.[ch]' | sort)
  mapfile -t scripts < <(find scripts tests .ci -name '*.sh' -o -path .ci/run | sort)
  for file in "${sources[@]}"; do
    clang-format-14 --dry-run -Werror "$file" 2>/dev/null && continue
    echo "$file: not formatted; clang-format-14 -i $file"
    failed=1
  done
  shellcheck -x "${scripts[@]}" || failed=1
  echo "${#sources[@]} C files and ${#scripts[@]} scripts examined"
  return $failed
}

step_checks() {
  local failed=0 name
  "$SOURCE/scripts/check-layers.py" --library "$BUILD/plain/libpostern.a" || failed=1
  for name in sizes actions docs; do
    "$SOURCE/scripts/check-$name.py" || failed=1
  done
  POSTERN_SOURCE=$SOURCE /usr/bin/python3 -B -m pytest -q -p no:cacheprovider "$SOURCE/tests/checks" || failed=1
  return $failed
}

# check_in BUILD [COMMAND...]: runs its tests, by way of the command. Most of them wait most of the time.
check_in() {
  local build=$1
  shift
  make -C "$build" -j "$JOBS" check-programs && "$@" make -C "$build" -j $((2 * JOBS)) check VERBOSE=1
}

step_unit() { check_in "$BUILD/plain"; }

# As root the plain tests run as root; these run as an ordinary user then, for tests must pass as either.
as_nobody() {
  local drop=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  if [ "$(id -u)" -ne 0 ]; then
    "$@"
  elif "${drop[@]}" test -r "$SOURCE/Makefile.am" -a -x "$BUILD"; then
    chown -R 65534:65534 "$BUILD/asan" && HOME=/nonexistent "${drop[@]}" "$@"
  else
    echo "an ordinary user may not read $SOURCE: run as root, and the tests are not tried as anybody else"
    "$@"
  fi
}

step_asan() {
  configure_in "$BUILD/asan" --enable-werror --enable-sanitizers=address,undefined &&
    make -C "$BUILD/asan" -j "$JOBS" all &&
    ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 check_in "$BUILD/asan" as_nobody
}

# Mail servers are started by root.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# ThreadSanitizer cannot map its shadow where the kernel spreads addresses too widely.
fixed_addresses() {
  if setarch "$(uname -m)" -R true 2>/dev/null; then
    setarch "$(uname -m)" -R "$@"
  else
    "$@"
  fi
}

step_tsan() {
  configure_in "$BUILD/tsan" --enable-werror --enable-sanitizers=thread &&
    make -C "$BUILD/tsan" -j "$JOBS" all &&
    check_in "$BUILD/tsan" fixed_addresses &&
    as_root "$0" --fixed-addresses make -C "$BUILD/tsan" check-integration PYTEST_ARGS='-q -k reload'
}

step_clang() {
  configure_in "$BUILD/clang" --enable-werror CC=clang &&
    make -C "$BUILD/clang" -j "$JOBS" all &&
    make -C "$BUILD/clang" -j "$JOBS" check-programs
}

# Seed and count are constants: a change is judged by what it does, not by what chance finds or by how many inputs a fast
# machine has time for. The seconds only bound a slow one. Addresses are constants since libFuzzer makes inputs of what was
# compared, pointers too; what is left to chance are clocks, the seeds of tables and names of folders. Longer runs of
# make fuzz are for what chance finds.
step_fuzz() {
  configure_in "$BUILD/fuzz" --enable-fuzzers --enable-sanitizers=address,undefined CC=clang CFLAGS='-g -O1' &&
    fixed_addresses make -C "$BUILD/fuzz" -j "$JOBS" fuzz FUZZ_SEED="${FUZZ_SEED:-1}" \
      FUZZ_RUNS="${FUZZ_RUNS:-20000}" FUZZ_SECONDS="${FUZZ_SECONDS:-20}"
}

step_distcheck() {
  make -C "$BUILD/plain" -j "$JOBS" distcheck DISTCHECK_CONFIGURE_FLAGS=--enable-werror
}

# verify_unit NAME: what remains of a unit without the programs, which are not installed here.
verify_unit() {
  local unit=$BUILD/systemd/$1 output exposure
  sed -e 's|^ExecStart=[^ ]*|ExecStart=/bin/true|; s|^ExecReload=[^ ]*|ExecReload=/bin/true|; /^Documentation=/d' \
    "$BUILD/plain/systemd/$1" >"$unit"
  output=$(systemd-analyze verify --man=no "$unit" 2>&1) || { echo "$output"; return 1; }
  if [ -n "$output" ]; then
    echo "$output"
    return 1
  fi
  exposure=$(systemd-analyze security --offline=true "$unit" --no-pager | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
  echo "exposure of $1: ${exposure:-not told}"
  awk -v got="${exposure:-99}" 'BEGIN { exit !(got <= 2.0) }'
}

step_systemd() {
  mkdir -p "$BUILD/systemd" && cp "$SOURCE/systemd/postern-expire.timer" "$BUILD/systemd/" &&
    verify_unit postern.service && verify_unit postern-expire.service &&
    verify_unit postern-watch@.service && verify_unit postern-watch-journal.service &&
    systemd-analyze verify --man=no "$BUILD/systemd/postern-expire.timer" &&
    systemd-analyze calendar '*:0/15' >/dev/null &&
    systemd-sysusers --dry-run "$SOURCE/systemd/postern.sysusers" >/dev/null
}

step_integration() { as_root make -C "$BUILD/plain" check-integration PYTEST_ARGS=-q; }

# The same transactions in each run, so that one change is judged like the next; make check-differential invents new ones.
step_differential() {
  as_root env POSTERN_SEED="${POSTERN_SEED:-303}" make -C "$BUILD/plain" check-differential PYTEST_ARGS=-q
}

step_demo() { "$SOURCE/scripts/demo.sh" --once --no-deps --build-dir "$BUILD/demo"; }

step_bench() {
  make -C "$BUILD/plain" bench BENCH_ARGS=--quick && make -C "$BUILD/plain" crash CRASH_ARGS='--rounds 30 --seed 1'
}

# --- running them ------------------------------------------------------------------------------------------------------

# The lines with which the test runners themselves end.
summary_of() {
  local log=$BUILD/logs/$1.log
  case $1 in
    unit) cmocka_lines "$BUILD/plain" ;;
    asan | tsan) cmocka_lines "$BUILD/$1" ;;
  esac
  grep -hE '^(=+ )?[0-9]+ (passed|failed|skipped|errors?|deselected).* in [0-9.]+s|^# (TOTAL|PASS|SKIP|FAIL|ERROR): ' "$log"
  case $1 in
    checks) grep -E '^check-' "$log" ;;
    fuzz) grep -E '^(fuzz_.*nothing found|stat::number_of_executed_units)' "$log" ;;
    systemd) grep '^exposure' "$log" ;;
    format | bench | demo) tail -n 8 "$log" | grep -v '^make' ;;
  esac
}

cmocka_lines() {
  find "$1/tests" -name '*.log' ! -name test-suite.log -exec grep -hE '^\[  (PASSED|FAILED) *\] [0-9]+ test' {} +
}

# What a log says of its failures, the names of the tests above all: they may stand far from its end.
failures_in() {
  grep -hE '^(FAIL|ERROR|XPASS): |: not so: |^Base64: |^(FAILED|ERROR) |^\[  FAILED  \]|(^|[ :])(error|ERROR): |^not passed|: not formatted' "$1" | head -n 12
}

run_step() {
  local name=$1 log=$BUILD/logs/$1.log start=$SECONDS status child
  # timeout(1) puts the step into a process group of its own and ends all of it.
  timeout --kill-after=20 "$STEP_SECONDS" "$0" --inner "$BUILD" "$JOBS" "$name" >"$log" 2>&1 </dev/null &
  child=$!
  # shellcheck disable=SC2064  # this child, not a later one
  trap "kill $child" INT TERM
  wait $child
  status=$?
  echo "$status" >"$BUILD/logs/$name.status"
  if [ $status -eq 0 ]; then
    printf '%sok%s    %-13s %4d s\n' "$GREEN" "$PLAIN" "$name" $((SECONDS - start))
  else
    printf '%sFAIL%s  %-13s %4d s  exit %d; %s:\n' "$RED" "$PLAIN" "$name" $((SECONDS - start)) $status "$log"
    failures_in "$log" | sed 's/^/      > /'
    tail -n 40 "$log" | sed 's/^/      | /'
  fi
  return $status
}

chosen() {
  local name
  [ ${#STEPS[@]} -gt 0 ] || return 0
  for name in "${STEPS[@]}"; do
    [ "$name" = "$1" ] && return 0
  done
  return 1
}

status_of() { cat "$BUILD/logs/$1.status" 2>/dev/null || echo missing; }

# Steps that need a build are not tried without one.
run_all() {
  local name running=0
  for name in "${FIRST[@]}"; do
    chosen "$name" || continue
    run_step "$name" &
    wait $! || return
  done
  for name in "${PARALLEL[@]}"; do
    chosen "$name" || continue
    if [ $running -ge $LANES ]; then
      wait -n
      running=$((running - 1))
    fi
    run_step "$name" &
    running=$((running + 1))
  done
  wait
  for name in "${LAST[@]}"; do
    chosen "$name" || continue
    run_step "$name" &
    wait $!
  done
}

report() {
  local name passed=0 failed=0 lines
  for name in "${FIRST[@]}" "${PARALLEL[@]}" "${LAST[@]}"; do
    chosen "$name" || continue
    lines=$(summary_of "$name" 2>/dev/null)
    [ -z "$lines" ] || printf '%s== %s%s\n%s\n' "$BOLD" "$name" "$PLAIN" "$lines"
  done
  for name in "${FIRST[@]}" "${PARALLEL[@]}" "${LAST[@]}"; do
    chosen "$name" || continue
    if [ "$(status_of "$name")" = 0 ]; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      printf '%snot passed: %s%s\n' "$RED" "$name" "$PLAIN"
    fi
  done
  printf '%s%d s; logs in %s/logs%s\n' "$DIM" $SECONDS "$BUILD" "$PLAIN"
  printf '%d passed, %d failed\n' $passed $failed
  [ $failed -eq 0 ]
}

with_proc "$@"
case ${1:-} in
  --inner)
    BUILD=$2 JOBS=$3
    "step_$4"
    exit
    ;;
  --fixed-addresses)
    shift
    fixed_addresses "$@"
    exit
    ;;
esac

STEPS=()
LANES=2
while [ $# -gt 0 ]; do
  case $1 in
    --build-dir) mkdir -p "${2:?}" && BUILD=$(cd "$2" && pwd); shift ;;
    --jobs) JOBS=${2:?}; shift ;;
    --no-deps) FIRST=(build) ;;
    --list) printf '%s\n' "${FIRST[@]}" "${PARALLEL[@]}" "${LAST[@]}"; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *)
      declare -F "step_$1" >/dev/null || { usage >&2; die "no step '$1'"; }
      STEPS+=("$1")
      ;;
  esac
  shift
done
# Whatever is asked for, it is built first.
[ ${#STEPS[@]} -eq 0 ] || STEPS+=("${FIRST[@]}")

rm -rf "$BUILD/logs"
mkdir -p "$BUILD/logs"
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM
run_all
report
