#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Unpacks Debian's mail and DNS servers and Redis into a folder, for tests and demonstrations. Nothing is installed, no
# maintainer script runs, no user is made: a server that is installed on this machine is neither used nor touched.

# shellcheck disable=SC2086  # lists of package names are split into words on purpose
set -eu
export LC_ALL=C # what apt-cache prints is read here
release=        # not the system's own

usage() {
  cat <<'TEXT'
usage: mta-unpack.sh FOLDER NAME...

NAME is one or more of
  sendmail      sendmail-bin, sendmail-base, sendmail-cf
  postfix       postfix
  postfix-pcre  postfix-pcre: its table type, which postfix lacks
  nss-wrapper   libnss-wrapper: an own hosts file for one process
  sasl          sasl2-bin, libsasl2-modules, libsasl2-modules-db: passwords in a file, mechanisms
  rbldnsd       rbldnsd: a server of DNS lists
  nsd           nsd: an authoritative DNS server
  dovecot       dovecot-core, dovecot-pop3d, dovecot-imapd: a POP3 and IMAP server
  redis         redis-server, redis-tools: what several hosts share, and its command line
  dovecot24     the same of Debian 13, with every library down to libc: run its programs by its own ld.so
  pam           pamtester, libpam-wrapper: a client of PAM, and a folder of one's own for its services
each with those libraries it needs that the system does not have.

Each lands in FOLDER/NAME as a root tree of its own (FOLDER/NAME/usr/sbin/...). FOLDER/NAME/.library-path holds
the value of LD_LIBRARY_PATH that its programs need. What is complete already is left as it is; its line is
printed again:
  sendmail FOLDER/sendmail
Packages of another Debian come from http://deb.debian.org/debian, or from POSTERN_DEBIAN_MIRROR.
TEXT
}

say() { printf 'mta-unpack: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

packages_of() {
  case $1 in
    sendmail) echo sendmail-bin sendmail-base sendmail-cf ;;
    postfix) echo postfix ;;
    postfix-pcre) echo postfix-pcre ;;
    nss-wrapper) echo libnss-wrapper ;;
    sasl) echo sasl2-bin libsasl2-modules libsasl2-modules-db ;;
    rbldnsd) echo rbldnsd ;;
    nsd) echo nsd ;;
    dovecot) echo dovecot-core dovecot-pop3d dovecot-imapd ;;
    dovecot24) echo dovecot-core dovecot-pop3d dovecot-imapd dovecot-sieve ;; # the core reads all its settings
    pam) echo pamtester libpam-wrapper ;;
    redis) echo redis-server redis-tools lua-bitop lua-cjson ;; # the last two are libraries, by other names
    *) die "unknown name '$1' (sendmail, postfix, postfix-pcre, nss-wrapper, sasl, rbldnsd, nsd, dovecot, dovecot24, pam, redis)" ;;
  esac
}

# The Debian release whose packages are asked for; nothing: the system's own.
release_of() {
  case $1 in
    dovecot24) echo trixie ;;
  esac
}

# From now on apt knows that release alone, and has nothing installed.
use_release() {
  lists=$2/.$1
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
  : >"$lists/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "${POSTERN_DEBIAN_MIRROR:-http://deb.debian.org/debian} $1 main" >"$lists/sources.list"
  cat >"$lists/apt.conf" <<TEXT
Dir::Etc::sourcelist "$lists/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$lists";
Dir::State::status "$lists/status";
Dir::Cache "$lists/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
TEXT
  release=$1
  export APT_CONFIG="$lists/apt.conf"
}

candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: //p'; }

# A fresh container has no package lists at all.
lists_present() {
  have=$(candidate "$1")
  [ -n "$have" ] && [ "$have" != "(none)" ]
}

lists_update() {
  say "the package lists lack $1: apt-get update"
  if [ "$(id -u)" -eq 0 ] || [ -n "$release" ]; then
    apt-get -qq -o Acquire::Retries=3 update
  elif command -v sudo >/dev/null; then
    sudo apt-get -qq -o Acquire::Retries=3 update
  else
    die "needs 'apt-get update', which needs root"
  fi
}

installed() { [ -z "$release" ] && [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

direct_libraries() {
  apt-cache depends --important "$1" | sed -n 's/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: \(lib[^<: ]*\).*/\2/p'
}

# Prints the libraries, not installed here, that the packages given need, each once.
missing_libraries() {
  todo=$*
  seen=' '
  while [ -n "$todo" ]; do
    next=
    for package in $todo; do
      for lib in $(direct_libraries "$package"); do
        case $seen in *" $lib "*) continue ;; esac
        seen="$seen$lib "
        installed "$lib" && continue
        echo "$lib"
        next="$next $lib"
      done
    done
    todo=$next
  done
}

download() {
  # apt wants to read the folder as its user _apt, which cannot enter root's own folders.
  (cd "$1" && shift && apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$@") ||
    die "apt-get download failed"
}

library_path() {
  find "$1/usr/lib" "$1/lib" \( -name '*.so' -o -name '*.so.*' \) -type f 2>/dev/null | sed 's|/[^/]*$||' |
    grep -v -e '/perl/' -e '/sasl2$' -e '/security$' | sort -u | tr '\n' ':' | sed 's/:$//'
}

unpack() (
  name=$1
  target=$2/$name
  [ -f "$target/.complete" ] && return 0
  [ -z "$(release_of "$name")" ] || use_release "$(release_of "$name")" "$2"
  packages=$(packages_of "$name")
  for package in $packages; do
    lists_present "$package" || lists_update "$package"
  done
  work=$target.new
  rm -rf "$work" "$target"
  mkdir -p "$work/.deb"
  libraries=$(missing_libraries $packages)
  say "downloading" $packages $libraries
  download "$work/.deb" $packages $libraries
  for deb in "$work"/.deb/*.deb; do
    dpkg -x "$deb" "$work"
  done
  rm -rf "$work/.deb"
  # A set-id program ignores LD_LIBRARY_PATH, and nobody wants one in a test folder.
  find "$work" -type f -perm /6000 -exec chmod ug-s {} +
  mv "$work" "$target"
  library_path "$target" >"$target/.library-path"
  : >"$target/.complete"
  [ -z "$release" ] || rm -rf "$2/.$release" # old lists name packages that are gone
)

case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
if [ $# -lt 2 ]; then
  usage >&2
  exit 2
fi
folder=$1
shift
for name in "$@"; do
  packages_of "$name" >/dev/null
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# Two test runs may ask for the same folder at the same moment.
exec 9>"$folder/.lock"
command -v flock >/dev/null && flock 9
for name in "$@"; do
  unpack "$name" "$folder"
  echo "$name $folder/$name"
done
