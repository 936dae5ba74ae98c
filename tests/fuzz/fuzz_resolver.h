/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz_resolver - DNS that answers by the letters of a name: records of all kinds, nothing, failures, or not at all.
 */
#ifndef POSTERN_TESTS_FUZZ_FUZZ_RESOLVER_H
#define POSTERN_TESTS_FUZZ_FUZZ_RESOLVER_H

#include "lib/dns/resolver.h"

/* Lives until the program ends. */
struct resolver *fuzz_resolver_new(void);

#endif
