/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/filecheck.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"
#include "lib/table/mapheader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536u
#define ZERO_LEN (sizeof(MAPHEADER_FILE_CHECK_ZERO) - 1)

/* Up to `size` bytes at `offset`; fewer only at the end of the file. -1 on failure. */
static ssize_t read_at(int fd, char *buffer, size_t size, uint64_t offset)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(fd, buffer + done, size - done, (off_t)(offset + done));

        if (got == 0) {
            break;
        }
        if (got > 0) {
            done += (size_t)got;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)done;
}

/* Puts zeros where bytes of the checksum stand in a chunk that begins at `begin`. */
static void blank_out(char *chunk, size_t len, uint64_t begin, uint64_t offset)
{
    for (size_t i = 0; i < ZERO_LEN; i++) {
        if (offset + i >= begin && offset + i < begin + len) {
            chunk[offset + i - begin] = MAPHEADER_FILE_CHECK_ZERO[i];
        }
    }
}

static bool compute(int fd, uint64_t offset, uint64_t *check_out)
{
    char *chunk = xmalloc(CHUNK);
    uint64_t check = 0;
    uint64_t begin = 0;
    ssize_t got;

    while ((got = read_at(fd, chunk, CHUNK, begin)) > 0) {
        blank_out(chunk, (size_t)got, begin, offset);
        check = hash64(chunk, (size_t)got, check);
        begin += (uint64_t)got;
    }
    free(chunk);
    *check_out = check;
    return got == 0;
}

bool filecheck_holds(int fd, uint64_t check, uint64_t offset, struct strbuf *why)
{
    uint64_t real;

    if (!compute(fd, offset, &real)) {
        strbuf_append(why, strerror(errno));
        return false;
    }
    if (real != check) {
        strbuf_append(why, "damaged: its checksum is wrong");
        return false;
    }
    return true;
}

/* The place of the record in the file, or -1. */
static int64_t find(int fd, const char *record, size_t len)
{
    size_t size = CHUNK + len;
    char *window = xmalloc(size);
    int64_t place = -1;
    ssize_t got;

    /* Windows overlap by the length of the record. */
    for (uint64_t begin = 0; (got = read_at(fd, window, size, begin)) > 0; begin += CHUNK) {
        const char *at = memmem(window, (size_t)got, record, len);

        if (at != NULL) {
            place = (int64_t)begin + (at - window);
            break;
        }
    }
    free(window);
    return place;
}

bool filecheck_seal(int fd, const char *record, size_t len, struct strbuf *why)
{
    int64_t place = find(fd, record, len);
    char seal[ZERO_LEN + 1];
    uint64_t check;

    if (place < 0) {
        strbuf_append(why, "what was written cannot be read back");
        return false;
    }
    uint64_t offset = (uint64_t)place + len - ZERO_LEN;

    if (!compute(fd, offset, &check)) {
        strbuf_append(why, strerror(errno));
        return false;
    }
    (void)snprintf(seal, sizeof(seal), MAPHEADER_FILE_CHECK_FORMAT, check, offset);
    if (pwrite(fd, seal, ZERO_LEN, (off_t)offset) != (ssize_t)ZERO_LEN) {
        strbuf_append(why, strerror(errno));
        return false;
    }
    return true;
}
