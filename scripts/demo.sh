#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Shows postern at work before a real Postfix and beside a real Dovecot: builds it, unpacks both into a folder (an installed
# mail server is neither used nor touched), plays SMTP and POP3 sessions on 127.0.0.1 and explains each.
set -eu

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
  cat <<'TEXT'
usage: demo.sh [--once] [--no-deps] [--build-dir DIR]
  --once           ends after the sessions; without it everything goes on until ^C, for you to talk to
  --no-deps        does not look for Debian packages
  --build-dir DIR  where to build (default: _build/demo)
As root, or with sudo: Postfix has to be started by root.
TEXT
}

with_proc "$@"
build=$SOURCE/_build/demo
deps=yes
show=()
while [ $# -gt 0 ]; do
  case $1 in
    --once) show+=(--once) ;;
    --no-deps) deps=no ;;
    --build-dir) build=$(mkdir -p "${2:?}" && cd "$2" && pwd); shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

# Runs a command quietly; what it said is shown when it fails.
quietly() {
  local what=$1 log=$build/demo.log
  shift
  mkdir -p "$build"
  printf '%s%s ...%s\n' "$DIM" "$what" "$PLAIN"
  "$@" >"$log" 2>&1 </dev/null || { tail -n 40 "$log" >&2; die "$what: failed; all of it is in $log"; }
}

make_it() {
  bootstrap &&
    configure_in "$build" --prefix=/usr --sysconfdir=/etc --localstatedir=/var --runstatedir=/run &&
    make -C "$build" -j "$(nproc)" all
}

[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || die "Postfix has to be started by root: run this as root, or install sudo"
[ $deps = no ] || quietly 'looking for the packages it needs' "$SOURCE/scripts/deps.sh" --demo
quietly 'building postern' make_it

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
exec "${as_root[@]}" env POSTERN_BUILD="$build" NO_COLOR="${NO_COLOR:-}" /usr/bin/python3 -B "$SOURCE/scripts/demo.py" "${show[@]}"
