#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Installs the Debian packages that postern needs. Asks apt only for what is absent, so that a second run needs
# neither root nor a network.
# shellcheck disable=SC2086  # lists of package names are split into words on purpose
set -eu

# For large tables of patterns; postern does without on other processors.
case $(dpkg --print-architecture 2>/dev/null) in
  amd64) SCANNER=libhyperscan-dev ;;
  arm64 | ppc64el) SCANNER=libvectorscan-dev ;;
  *) SCANNER= ;;
esac
# Shells and tools that Debian marks essential (grep, sed, tar, util-linux) are not listed.
BUILD='gcc make autoconf automake libc6-dev libgdbm-dev libmilter-dev libconfuse-dev libjansson-dev
       libpcre2-dev libc-ares-dev libidn2-dev libhiredis-dev libssl-dev '$SCANNER
DEMO="$BUILD python3 procps"
TEST="$DEMO libcmocka-dev python3-pytest python3-pytest-xdist binutils xz-utils bzip2 m4 git openssl
      clang clang-format-14 libclang-rt-dev mandoc systemd shellcheck"

usage() {
  cat <<'TEXT'
usage: deps.sh [--build | --demo | --test] [--list]
  --build  what ./configure && make needs (the default)
  --demo   that, and what scripts/demo.sh needs
  --test   that, and what scripts/test.sh needs
  --list   only print the packages
TEXT
}

say() { printf 'deps: %s\n' "$*" >&2; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "needs root or sudo for: $*"
    exit 1
  fi
}

packages=$BUILD
list=no
for option in "$@"; do
  case $option in
    --build) packages=$BUILD ;;
    --demo) packages=$DEMO ;;
    --test) packages=$TEST ;;
    --list) list=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

if [ $list = yes ]; then
  printf '%s\n' $packages
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  say "this system has no apt-get; install these packages, or what your system calls them:"
  printf '%s\n' $packages >&2
  exit 1
fi

missing=
for package in $packages; do
  installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

say "installing$missing"
# Lists that are absent or point at versions no longer on the mirror are fetched once.
install_missing() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 install $missing
}
if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]; then
  as_root apt-get -q -o Acquire::Retries=3 update
fi
install_missing || { as_root apt-get -q -o Acquire::Retries=3 update && install_missing; }
