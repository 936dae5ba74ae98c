/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_trouble - what is wrong with a store now: for the log, which hears of the same trouble once a minute, and for those who ask.
 *
 * Safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_TROUBLE_H
#define POSTERN_LIB_RELAY_RELAY_TROUBLE_H

#include "lib/base/log.h"

#include <stdbool.h>
#include <stddef.h>

enum relay_trouble_kind {
    RELAY_TROUBLE_FILE,     /* it cannot be had */
    RELAY_TROUBLE_CHANGES,  /* they cannot be written */
    RELAY_TROUBLE_SNAPSHOT, /* none can be written; the journal serves */
    RELAY_TROUBLE_FULL,     /* as many entries as there may be */
    RELAY_TROUBLE_KINDS,
};

struct relay_trouble;

/* `logger` may be NULL; it must live longer, as must `field`, in which the log has the name of the store. */
struct relay_trouble *relay_trouble_new(struct logger *logger, const char *field,
                                        const char *store);
void relay_trouble_free(struct relay_trouble **trouble);

/* There is trouble of this kind. */
void relay_trouble_set(struct relay_trouble *trouble, enum relay_trouble_kind kind,
                       const char *text);

/* There is none (any more). */
void relay_trouble_clear(struct relay_trouble *trouble, enum relay_trouble_kind kind);

/* The worst of all, "" if all is well; cut to `size`. */
void relay_trouble_text(struct relay_trouble *trouble, char *buf, size_t size);

#endif
