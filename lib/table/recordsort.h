/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recordsort - puts any number of records in order with little memory.
 *
 * What does not fit into memory is sorted in pieces, which go to an unnamed file and are merged from there.
 */
#ifndef POSTERN_LIB_TABLE_RECORDSORT_H
#define POSTERN_LIB_TABLE_RECORDSORT_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Key and value together have at most this length. */
#define RECORDSORT_MAX_RECORD 16384u

struct recordsort_record {
    uint32_t order; /* sorted by this first, then by the bytes of the key, then by line */
    uint32_t line;
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
};

struct recordsort;

/* `spill_path` is the name that the file has for a moment, where there is room for all records; `memory` is in bytes. */
struct recordsort *recordsort_new(const char *spill_path, size_t memory);
void recordsort_free(struct recordsort **sort);

/* Takes a copy of the record. False: the file cannot be written; `why` says why. */
bool recordsort_add(struct recordsort *sort, const struct recordsort_record *record,
                    struct strbuf *why);

/* After the last record: makes ready for recordsort_next(). False as above. */
bool recordsort_finish(struct recordsort *sort, struct strbuf *why);

/*
 * The next record in order; its texts live until the next call. STATUS_NOTFOUND: that was the last one. STATUS_TEMPFAIL: the file
 * cannot be read.
 */
enum status recordsort_next(struct recordsort *sort, struct recordsort_record *record_out,
                            struct strbuf *why);

#endif
