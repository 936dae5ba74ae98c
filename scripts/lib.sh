# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Shared by scripts/test.sh and scripts/demo.sh: finding the tree, building out of it.
# shellcheck disable=SC2034  # the colours are for those who read this file

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# A bare chroot lacks /proc, which sanitizers, shells and mail servers want, and terminals. As root we mount both, in a
# namespace of our own, for as long as the script runs: with_proc "$@" starts it once more with them.
with_proc() {
  local namespace=(unshare --mount --propagation unchanged)
  if [ -e /proc/self ] || [ -n "${POSTERN_WITH_PROC:-}" ] || ! "${namespace[@]}" true 2>/dev/null; then
    return 0
  fi
  # shellcheck disable=SC2016  # for the inner shell, which goes on after ^C to tidy up
  POSTERN_WITH_PROC=1 exec "${namespace[@]}" /bin/sh -c '
    trap : INT TERM
    mount -t proc proc /proc
    test -e /dev/pts/ptmx || mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
    "$0" "$@"
    status=$?
    umount /dev/pts /proc
    exit $status' "$0" "$@"
}

# Makes ./configure where it is absent or older than what it is made of.
bootstrap() {
  local input
  for input in "$SOURCE"/configure.ac "$SOURCE"/Makefile.am "$SOURCE"/m4/*.m4 "$SOURCE"/*/Makefile.inc \
    "$SOURCE"/tests/*/Makefile.inc; do
    if [ ! -f "$SOURCE/configure" ] || [ ! -f "$SOURCE/Makefile.in" ] || [ "$input" -nt "$SOURCE/Makefile.in" ]; then
      echo "autoreconf -fi"
      (cd "$SOURCE" && autoreconf -fi) || return
      return 0
    fi
  done
}

# configure_in FOLDER OPTION...: configures there unless it has been done with the same options.
configure_in() {
  local folder=$1 wanted
  shift
  if [ -f "$SOURCE/config.status" ]; then
    die "the source tree itself has been configured: run 'make distclean' in $SOURCE first"
  fi
  wanted="$SOURCE $*"
  mkdir -p "$folder"
  if [ -f "$folder/Makefile" ] && [ "$(cat "$folder/.options" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi
  rm -f "$folder/.options"
  (cd "$folder" && "$SOURCE/configure" "$@") || return
  printf '%s\n' "$wanted" >"$folder/.options"
}
