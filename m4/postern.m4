# SPDX-License-Identifier: GPL-3.0-or-later
# Checks of postern's configure.ac.

# POSTERN_TRY_LIB(NAME, HEADERS, EXPRESSION, DEFAULT-LIBS)
# Sets have_NAME to "yes", or to what is absent ("header x.h" or "library").
# LIBNAME_CFLAGS and LIBNAME_LIBS given by the builder are used as they are.
AC_DEFUN([POSTERN_TRY_LIB], [
  AC_ARG_VAR([LIB$1_CFLAGS], [C compiler flags for $1])
  AC_ARG_VAR([LIB$1_LIBS], [linker flags for $1 @<:@$4@:>@])
  : ${LIB$1_LIBS="$4"}
  AC_MSG_CHECKING([for $1])
  postern_save_CPPFLAGS=$CPPFLAGS
  postern_save_LIBS=$LIBS
  CPPFLAGS="$CPPFLAGS $LIB$1_CFLAGS"
  LIBS="$LIB$1_LIBS $LIBS"
  AC_LINK_IFELSE(
    [AC_LANG_PROGRAM([m4_foreach_w([postern_header], [$2], [@%:@include <postern_header>
])], [[(void)$3;]])],
    [have_$1=yes],
    [AC_PREPROC_IFELSE(
       [AC_LANG_SOURCE([m4_foreach_w([postern_header], [$2], [@%:@include <postern_header>
])])],
       [have_$1="library"],
       [have_$1="header"])])
  CPPFLAGS=$postern_save_CPPFLAGS
  LIBS=$postern_save_LIBS
  AS_IF([test "x$have_$1" = xyes],
        [AC_MSG_RESULT([yes ($LIB$1_LIBS)])],
        [AC_MSG_RESULT([no ($have_$1 not found)])])
])

# POSTERN_REQUIRE_LIB(NAME, HEADERS, EXPRESSION, DEFAULT-LIBS, DEBIAN-PACKAGE, FEDORA-PACKAGE)
AC_DEFUN([POSTERN_REQUIRE_LIB], [
  POSTERN_TRY_LIB([$1], [$2], [$3], [$4])
  AS_IF([test "x$have_$1" != xyes], [
    postern_missing="$postern_missing
  $1: $have_$1 of <$2> $4 not found; Debian: $5, Fedora: $6"
    postern_missing_debian="$postern_missing_debian $5"
    postern_missing_fedora="$postern_missing_fedora $6"
  ])
])

AC_DEFUN([POSTERN_OPTIONAL_LIB], [POSTERN_TRY_LIB([$1], [$2], [$3], [$4])])

# POSTERN_OPTIONAL_PART(NAME, OPTION, HEADERS, EXPRESSION, DEFAULT-LIBS, DEBIAN-PACKAGE, FEDORA-PACKAGE)
# A library without which a part of postern is left out: never with --without-OPTION, or else an error with --with-OPTION.
AC_DEFUN([POSTERN_OPTIONAL_PART], [
  AS_IF([test "x$with_$2" != xno], [POSTERN_OPTIONAL_LIB([$1], [$3], [$4], [$5])], [have_$1=no])
  AS_IF([test "x$with_$2" = xyes && test "x$have_$1" != xyes],
    [AC_MSG_ERROR([--with-$2: $have_$1 not found (Debian: $6, Fedora: $7)])])
  AM_CONDITIONAL([HAVE_$1], [test "x$have_$1" = xyes])
  AS_IF([test "x$have_$1" != xyes], [LIB$1_LIBS=])
])

AC_DEFUN([POSTERN_REPORT_MISSING], [
  AS_IF([test -n "$postern_missing"], [
    AC_MSG_ERROR([these libraries are missing:$postern_missing

  Debian, Ubuntu:  apt-get install$postern_missing_debian
  Fedora, RHEL:    dnf install$postern_missing_fedora

  A library in an unusual place is found by its variables, such as LIBGDBM_CFLAGS and LIBGDBM_LIBS.])
  ])
])

# POSTERN_ADD_CFLAG(VARIABLE, FLAGS): appends FLAGS to VARIABLE if the compiler takes them without a word.
AC_DEFUN([POSTERN_ADD_CFLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  postern_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]], [[puts("");]])],
    [postern_taken=yes; $1="$$1 $2"], [postern_taken=no])
  CFLAGS=$postern_save_CFLAGS
  AC_MSG_RESULT([$postern_taken])
])

AC_DEFUN([POSTERN_ADD_LDFLAG], [
  AC_MSG_CHECKING([whether the linker takes $2])
  postern_save_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]], [[puts("");]])],
    [postern_taken=yes; $1="$$1 $2"], [postern_taken=no])
  LDFLAGS=$postern_save_LDFLAGS
  AC_MSG_RESULT([$postern_taken])
])

AC_DEFUN([POSTERN_SANITIZERS], [
  SANITIZER_FLAGS=
  AS_IF([test "x$enable_sanitizers" != xno], [
    SANITIZER_FLAGS="-fsanitize=$enable_sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer"
    postern_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $SANITIZER_FLAGS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [],
      [AC_MSG_ERROR([$CC cannot build with -fsanitize=$enable_sanitizers (Debian: libasan/libtsan come with gcc; clang: libclang-rt-dev)])])
    CFLAGS=$postern_save_CFLAGS
  ])
  AC_SUBST([SANITIZER_FLAGS])
])

# Fortified libc calls need an optimising compiler, and hide overflows from the sanitizers.
AC_DEFUN([POSTERN_HARDENING], [
  HARDENING_CFLAGS=
  HARDENING_LDFLAGS=
  AS_IF([test "x$enable_sanitizers" = xno && test "x$enable_fuzzers" = xno], [
    POSTERN_ADD_CFLAG([HARDENING_CFLAGS], [-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3])
    AS_IF([test $postern_taken = no],
      [POSTERN_ADD_CFLAG([HARDENING_CFLAGS], [-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2])])
  ])
  POSTERN_ADD_CFLAG([HARDENING_CFLAGS], [-fstack-protector-strong])
  POSTERN_ADD_CFLAG([HARDENING_CFLAGS], [-fstack-clash-protection])
  POSTERN_ADD_CFLAG([HARDENING_CFLAGS], [-fPIE])
  POSTERN_ADD_LDFLAG([HARDENING_LDFLAGS], [-pie])
  POSTERN_ADD_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,relro])
  POSTERN_ADD_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,now])
  AC_SUBST([HARDENING_CFLAGS])
  AC_SUBST([HARDENING_LDFLAGS])
])

AC_DEFUN([POSTERN_WARNINGS], [
  WARNING_CFLAGS=
  m4_foreach_w([postern_flag],
    [-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla
     -Wpointer-arith -Wimplicit-fallthrough],
    [POSTERN_ADD_CFLAG([WARNING_CFLAGS], postern_flag)])
  AS_IF([test "x$enable_werror" = xyes], [WARNING_CFLAGS="$WARNING_CFLAGS -Werror"])
  AC_SUBST([WARNING_CFLAGS])
])

AC_DEFUN([POSTERN_FUZZERS], [
  FUZZ_CFLAGS=
  FUZZ_LDFLAGS=
  AS_IF([test "x$enable_fuzzers" = xyes], [
    postern_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -fsanitize=fuzzer"
    AC_LINK_IFELSE(
      [AC_LANG_SOURCE([[#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { (void)data; (void)size; return 0; }]])],
      [], [AC_MSG_ERROR([--enable-fuzzers needs clang with libFuzzer: configure with CC=clang (Debian: clang, libclang-rt-dev)])])
    CFLAGS=$postern_save_CFLAGS
    FUZZ_CFLAGS=-fsanitize=fuzzer-no-link
    FUZZ_LDFLAGS=-fsanitize=fuzzer
  ])
  AC_SUBST([FUZZ_CFLAGS])
  AC_SUBST([FUZZ_LDFLAGS])
  AM_CONDITIONAL([ENABLE_FUZZERS], [test "x$enable_fuzzers" = xyes])
])

# A folder as the installed programs will see it, with ${prefix} and the like spelt out.
AC_DEFUN([POSTERN_SHOW_DIR], [
  postern_save_prefix=$prefix
  test "x$prefix" != xNONE || prefix=$ac_default_prefix
  postern_dir=[$]$1
  for postern_round in 1 2 3; do eval "postern_dir=\"$postern_dir\""; done
  prefix=$postern_save_prefix
])

AC_DEFUN([POSTERN_SUMMARY], [
  POSTERN_SHOW_DIR([sysconfdir])
  postern_etc=$postern_dir/postern
  POSTERN_SHOW_DIR([localstatedir])
  postern_var=$postern_dir/lib/postern
  POSTERN_SHOW_DIR([runstatedir])
  postern_run=$postern_dir/postern
  POSTERN_SHOW_DIR([systemdsystemunitdir])
  postern_units=$postern_dir
  AS_IF([test "x$have_HIREDIS" = xyes], [postern_hiredis=$LIBHIREDIS_LIBS],
        [postern_hiredis="no: relay_store has no back end redis (Debian: libhiredis-dev, Fedora: hiredis-devel)"])
  AS_IF([test "x$have_OPENSSL" = xyes], [postern_openssl=$LIBOPENSSL_LIBS],
        [postern_openssl="no: no TLS to a Redis server, rediss:// (Debian: libssl-dev, Fedora: openssl-devel; 3.0 or later)"])
  AS_IF([test "x$have_HYPERSCAN" = xyes], [postern_hyperscan=$LIBHYPERSCAN_LIBS],
        [postern_hyperscan="no: many patterns without fixed words are asked one by one (Debian: libhyperscan-dev, Fedora: vectorscan-devel)"])
  AS_IF([test "x$have_CMOCKA" = xyes], [postern_cmocka=yes],
        [postern_cmocka="no: make check leaves out the unit tests (Debian: libcmocka-dev, Fedora: libcmocka-devel)"])
  cat <<_POSTERN_EOF

postern $PACKAGE_VERSION

  rules and configuration  $postern_etc
  state                    $postern_var
  sockets                  $postern_run
  systemd units            $postern_units

  compiler                 $CC $CFLAGS
  hardening               $HARDENING_CFLAGS$HARDENING_LDFLAGS
  sanitizers               $enable_sanitizers
  warnings are errors      $enable_werror
  fuzz targets             $enable_fuzzers

  milter                   $LIBMILTER_LIBS
  GDBM                     $LIBGDBM_LIBS
  libConfuse               $LIBCONFUSE_LIBS
  jansson                  $LIBJANSSON_LIBS
  PCRE2                    $LIBPCRE2_LIBS
  c-ares                   $LIBCARES_LIBS
  libidn2                  $LIBIDN2_LIBS
  hyperscan (optional)     $postern_hyperscan
  hiredis (optional)       $postern_hiredis
  OpenSSL (optional)       $postern_openssl
  cmocka (unit tests)      $postern_cmocka

_POSTERN_EOF
])
