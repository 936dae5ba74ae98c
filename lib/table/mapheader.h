/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mapheader - what a compiled map says of itself: the record under its reserved key.
 *
 * Readable text, lines of `name value`: first `postern-map VERSION`; at the end a checksum of all before, and the
 * checksum of the whole file with its place, which are zeros until the file is complete (see filecheck).
 */
#ifndef POSTERN_LIB_TABLE_MAPHEADER_H
#define POSTERN_LIB_TABLE_MAPHEADER_H

#include "lib/base/strbuf.h"
#include "lib/mail/netaddr.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPHEADER_VERSION 3u

/* How the record ends: checksum of the file and offset of this text in it; as printf writes it, and before it is known. */
#define MAPHEADER_FILE_CHECK_FORMAT "%016" PRIx64 " %016" PRIx64 "\n"
#define MAPHEADER_FILE_CHECK_ZERO "0000000000000000 0000000000000000\n"

/* Reserved keys begin with a NUL byte, which no key of a text can hold. */
#define MAPHEADER_KEY "\0header"
#define MAPHEADER_KEY_LEN 7u
#define MAPHEADER_FILTER_KEY "\0filter"
#define MAPHEADER_FILTER_KEY_LEN 7u

/* Prefix lengths 0 to 128. */
#define MAPHEADER_LENGTHS 129u

struct mapheader_lengths {
    bool used[MAPHEADER_LENGTHS];
};

struct mapheader {
    char *format; /* "access" */
    char *source; /* the text that it was made from */
    uint64_t source_size;
    int64_t source_mtime_ns; /* since 1970; 0: not known (standard input) */
    uint64_t entries;
    struct mapheader_lengths ipv4; /* without whole octets */
    struct mapheader_lengths ipv6; /* without whole groups */
    uint64_t filter_size;          /* bytes of the record under MAPHEADER_FILTER_KEY */
    uint64_t filter_seed;
    uint64_t filter_check; /* hash64 of that record with that seed */
    uint64_t file_check;   /* read by decode, written by filecheck_seal() */
    uint64_t file_check_at;
};

void mapheader_fini(struct mapheader *header);

/* Appends the record; the checksum of the file is zeros. */
void mapheader_encode(const struct mapheader *header, struct strbuf *out);

/* Reads a record; every byte is checked. False: nothing is to be freed, and `why` says what is wrong. */
bool mapheader_decode(const char *data, size_t len, struct mapheader *header_out,
                      struct strbuf *why);

#endif
