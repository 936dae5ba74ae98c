/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * maptext - the text of a map: read, checked, and its entries put in the order that the writer likes.
 */
#ifndef POSTERN_LIB_TABLE_MAPTEXT_H
#define POSTERN_LIB_TABLE_MAPTEXT_H

#include "lib/table/linereader.h"
#include "lib/table/mapfile.h"
#include "lib/table/mapline.h"
#include "lib/table/recordsort.h"

#include <stdint.h>

struct maptext {
    const struct mapfile_job *job;
    struct diag *diag;
    const char *shown_name;
    uint32_t (*order)(const char *key, size_t len);

    struct linereader reader;
    struct strbuf key;
    struct strbuf written;
    struct recordsort *sort;
    struct recordsort *duplicates;
    uint32_t first_line; /* of the key that was given last */
    struct strbuf last_key;

    /* results */
    uint64_t source_size;    /* 0: not known */
    int64_t source_mtime_ns; /* 0: not known */
    struct mapfile_prefixes prefixes;
    size_t lines;
    size_t records; /* entries, duplicates counted in */
    size_t duplicate_count;
    bool wrong; /* the text has errors, which were reported */
};

/* `order` tells which keys the writer wants side by side; `spill_path` as in recordsort. */
void maptext_init(struct maptext *text, const struct mapfile_job *job, struct diag *diag,
                  uint32_t (*order)(const char *key, size_t len), const char *spill_path);
void maptext_fini(struct maptext *text);

/* Reads the whole text. False: it cannot be read or put in order (reported), or it was stopped. */
bool maptext_read(struct maptext *text);

/*
 * The next entry, in order, without duplicates. STATUS_NOTFOUND: that was the last one, and the duplicates were reported, by
 * line. STATUS_TEMPFAIL: reported.
 */
enum status maptext_next(struct maptext *text, struct recordsort_record *entry_out);

#endif
