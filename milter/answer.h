/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * answer - the pieces of which answers of the control socket are made.
 */
#ifndef POSTERN_MILTER_ANSWER_H
#define POSTERN_MILTER_ANSWER_H

#include "lib/base/diag.h"

#include <jansson.h>
#include <stdint.h>
#include <time.h>

/* A string that JSON can hold: bytes that are not UTF-8 become "?". */
json_t *answer_text(const char *value);

json_t *answer_number(uint64_t value);

/* "2026-11-22T00:56:27Z", or null. */
json_t *answer_utc(time_t when);

/* A sink that adds {"level", "file", "line", "text", "hint"} to the JSON array that is ctx. */
void answer_collect(void *ctx, const struct diag_item *item);

#endif
