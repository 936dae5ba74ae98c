/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * header_names - how often each name stood in one message's header, without regard to case.
 *
 * In bounded memory: a client may send any number of fields, each with a name of its own.
 */
#ifndef POSTERN_LIB_POLICY_HEADER_NAMES_H
#define POSTERN_LIB_POLICY_HEADER_NAMES_H

#include "lib/base/arena.h"

#include <stddef.h>

#define HEADER_NAMES_MAX 1024u    /* different names that are counted */
#define HEADER_NAMES_MAX_LEN 256u /* bytes of a name */

struct header_names {
    struct header_name *slots; /* open addressing; NULL: none yet */
    size_t size;
    size_t used;
};

/* Makes sure that the name will be counted, however many others come before it. */
void header_names_expect(struct header_names *names, struct arena *arena, const char *name);

/* Counts the name once more; returns how often it has been there, or 0 if it is one too many or too long to be counted. */
unsigned header_names_add(struct header_names *names, struct arena *arena, const char *name);

/* How often it was there; 0 also for what was not counted. */
unsigned header_names_count(const struct header_names *names, const char *name);

#endif
