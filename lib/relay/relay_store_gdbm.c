/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/relay/relay_store_gdbm.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_pace.h"
#include "lib/table/gdbm_order.h"
#include "lib/table/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <gdbm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE 4096
#define CACHE_BUCKETS 64u           /* keys come in the order of their buckets */
#define PASS_ENTRIES (128u * 1024u) /* that are sorted at a time */
#define NEW_MODE 0640
#define RECORDS_AT_ONCE 64u
/* No mmap: a file that is cut off while it is read must be an error, not a signal. */
#define FLAGS (GDBM_NOLOCK | GDBM_NOMMAP | GDBM_CLOEXEC | GDBM_CLOERROR)

/* A record takes more than this: an element of a bucket. */
#define RECORD_COST 24u

/* What GDBM needs for an entry beside its bytes, when it is filled well; and from where on waste is worth a word. */
#define ENTRY_COST 64u
#define WASTE_FACTOR 4u
#define WASTE_MIN (256u * 1024u)

static const char *gdbm_text(void)
{
    return gdbm_check_syserr(gdbm_errno) ? strerror(errno) : gdbm_strerror(gdbm_errno);
}

/* ---- reading ---- */

/* One walk over a file. */
struct reading {
    struct relay_index *index;
    struct relay_snapshot *report;
    struct strbuf texts;
    size_t entries;
    uint64_t bytes;       /* of keys and values */
    uint64_t max_records; /* the file has no room for more */
};

/* gdbmtool can be made to store texts with their NUL byte. */
static size_t text_len(const datum *text)
{
    size_t len = text->dsize > 0 ? (size_t)text->dsize : 0;

    return len > 0 && text->dptr[len - 1] == '\0' ? len - 1 : len;
}

static void note_bad(struct reading *reading, const char *key, size_t len, const char *why)
{
    struct relay_snapshot *report = reading->report;

    if (report->bad++ > 0) {
        return;
    }
    for (size_t i = 0; i < len && i < sizeof(report->bad_key) - 1; i++) {
        report->bad_key[i] = key[i] > ' ' && key[i] < 0x7f ? key[i] : '?';
    }
    report->bad_why = why;
}

/* False: the file does not give the value of a key that it has. */
static bool take_record(struct reading *reading, GDBM_FILE db, const datum *key)
{
    char text[RELAY_KEY_SIZE];
    struct relay_entry entry;
    size_t len = text_len(key);
    datum value = gdbm_fetch(db, *key);
    const char *why = "no IP address";

    if (value.dptr == NULL) {
        return false;
    }
    size_t fits = len < sizeof(text) ? len : 0;

    memcpy(text, key->dptr, fits);
    text[fits] = '\0';
    if (fits > 0 && strlen(text) == len && relay_entry_parse_address(text, &entry.addr, &why) &&
        relay_entry_parse_value(value.dptr, text_len(&value), &reading->texts, &entry, &why)) {
        relay_index_put(reading->index, &entry, false);
        reading->entries++;
        reading->bytes += len + text_len(&value);
    } else {
        note_bad(reading, key->dptr, len, why);
    }
    free(value.dptr);
    return true;
}

/* Walks all keys. False: not all could be read; `why` says why. */
static bool walk(struct reading *reading, GDBM_FILE db, const char *path, struct strbuf *why)
{
    gdbm_count_t count = 0;
    gdbm_count_t walked = 0;
    datum key = gdbm_firstkey(db);

    while (key.dptr != NULL) {
        if (!take_record(reading, db, &key)) {
            break;
        }
        /* In a damaged file keys can follow each other in a circle. */
        if (++walked > reading->max_records) {
            break;
        }
        datum next = gdbm_nextkey(db, key);

        free(key.dptr);
        key = next;
    }
    bool complete = key.dptr == NULL && gdbm_errno == GDBM_ITEM_NOT_FOUND;

    free(key.dptr);
    if (!complete) {
        strbuf_appendf(why, "%s: is damaged: %s", path,
                       walked > reading->max_records ? "its records have no end" : gdbm_text());
        return false;
    }
    if (gdbm_count(db, &count) != 0 || count != walked) {
        strbuf_appendf(why, "%s: is damaged: %llu of its %llu records can be reached", path, walked,
                       count);
        return false;
    }
    return true;
}

/* Opens and walks a file whose descriptor it takes over. */
static bool read_all(struct reading *reading, int fd, const char *path, struct strbuf *why)
{
    struct stat stat;

    reading->max_records = fstat(fd, &stat) == 0 ? (uint64_t)stat.st_size / RECORD_COST : 0;

    GDBM_FILE db = gdbm_fd_open(fd, path, 0, GDBM_READER | FLAGS, NULL);

    if (db == NULL) {
        strbuf_appendf(why, "%s: is damaged: %s", path, gdbm_text());
        return false;
    }
    bool complete = walk(reading, db, path, why);

    gdbm_close(db);
    return complete;
}

/* Repairs a copy; true if it can be walked now. */
static bool repair(const char *copy, struct strbuf *why)
{
    GDBM_FILE db = gdbm_open(copy, 0, GDBM_WRITER | (FLAGS & ~GDBM_CLOERROR), 0, NULL);

    if (db == NULL) {
        strbuf_appendf(why, "; it cannot be repaired: %s", gdbm_text());
        return false;
    }
    gdbm_recovery recovery;
    bool done = gdbm_recover(db, &recovery, GDBM_RCVR_FORCE) == 0;

    if (!done) {
        strbuf_appendf(why, "; it cannot be repaired: %s", gdbm_text());
    }
    gdbm_close(db);
    return done;
}

/* What a repair brings back besides what could be read without. */
static void read_repaired(const struct relay_files *files, struct reading *reading,
                          struct strbuf *why)
{
    size_t before = relay_index_count(reading->index);

    if (relay_files_copy(files, files->file, files->repair, why) && repair(files->repair, why)) {
        int fd = relay_files_open(files, files->repair, RELAY_FILES_READ, NULL, why);

        if (fd >= 0) {
            (void)read_all(reading, fd, files->repair, why);
        }
    }
    (void)unlink(files->repair);
    reading->report->recovered = relay_index_count(reading->index) - before;
}

bool relay_store_gdbm_read(const struct relay_files *files, bool may_repair,
                           struct relay_index *index, struct relay_snapshot *report_out,
                           struct strbuf *why)
{
    struct reading reading = {.index = index, .report = report_out};
    struct stat stat;
    struct strbuf reason;

    *report_out = (struct relay_snapshot){0};
    strbuf_init(&reason);
    int fd = relay_files_open(files, files->file, RELAY_FILES_READ, &report_out->absent, &reason);

    if (fd < 0) {
        strbuf_append(why, report_out->absent ? "" : reason.data);
        strbuf_fini(&reason);
        return report_out->absent;
    }
    strbuf_fini(&reason);
    report_out->bytes = fstat(fd, &stat) == 0 ? (uint64_t)stat.st_size : 0;
    strbuf_init(&reading.texts);
    report_out->damaged = !read_all(&reading, fd, files->file, why);
    if (report_out->damaged && may_repair) {
        read_repaired(files, &reading, why);
    }
    strbuf_fini(&reading.texts);
    report_out->entries = relay_index_count(index);
    report_out->wasteful = report_out->bytes > WASTE_MIN &&
                           report_out->bytes / WASTE_FACTOR >
                               reading.bytes + (uint64_t)reading.entries * ENTRY_COST;
    return true;
}

/* ---- writing ---- */

struct record {
    uint32_t order;
    uint32_t key_len;
    uint32_t value_len;
    size_t at; /* of the key in the bytes; the value follows */
};

/* One run over all entries, in passes over those whose order lies between two bounds. */
struct writing {
    GDBM_FILE db;
    uint64_t first, end; /* of this pass */
    struct strbuf bytes;
    struct record *records;
    size_t count;
    size_t size;
    const atomic_bool *stop;
    bool is_gentle;
    struct relay_pace pace;
};

static void collect(void *ctx, const struct relay_entry *entry)
{
    struct writing *writing = ctx;
    char key[RELAY_KEY_SIZE];
    size_t len = strlen(relay_entry_key(&entry->addr, key));
    uint32_t order = gdbm_order(key, len);

    if (order < writing->first || order >= writing->end) {
        return;
    }
    if (writing->count == writing->size) {
        writing->size = writing->size == 0 ? 1024 : writing->size * 2;
        writing->records = xrealloc(writing->records, writing->size * sizeof(*writing->records));
    }
    struct record *record = &writing->records[writing->count++];

    *record = (struct record){.order = order, .key_len = (uint32_t)len, .at = writing->bytes.len};
    strbuf_append_len(&writing->bytes, key, len);
    relay_entry_format_value(entry, &writing->bytes);
    record->value_len = (uint32_t)(writing->bytes.len - record->at - len);
}

static int compare_order(const void *a, const void *b)
{
    const struct record *left = a;
    const struct record *right = b;

    return (left->order > right->order) - (left->order < right->order);
}

static bool is_stopped(const struct writing *writing)
{
    return writing->stop != NULL && atomic_load(writing->stop);
}

static void take_a_break(struct writing *writing)
{
    if (writing->is_gentle) {
        relay_pace_step(&writing->pace);
    }
}

/* Stores what was collected. False: stopped, or gdbm_text() says why not. */
static bool store_records(struct writing *writing)
{
    if (writing->count > 0) {
        qsort(writing->records, writing->count, sizeof(*writing->records), compare_order);
    }
    for (size_t i = 0; i < writing->count; i++) {
        const struct record *record = &writing->records[i];
        char *at = writing->bytes.data + record->at;
        datum key = {at, (int)record->key_len};
        datum value = {at + record->key_len, (int)record->value_len};

        if (is_stopped(writing) || gdbm_store(writing->db, key, value, GDBM_REPLACE) != 0) {
            return false;
        }
        if (i % RECORDS_AT_ONCE == 0) {
            take_a_break(writing);
        }
    }
    return true;
}

static bool write_entries(struct writing *writing, const struct relay_index *index)
{
    uint64_t passes = relay_index_count(index) / PASS_ENTRIES + 1;
    bool done = true;

    for (uint64_t pass = 0; pass < passes && done; pass++) {
        size_t cursor = 0;

        writing->first = GDBM_ORDER_END * pass / passes;
        writing->end = GDBM_ORDER_END * (pass + 1) / passes;
        writing->count = 0;
        strbuf_reset(&writing->bytes);
        while (relay_index_walk(index, &cursor, collect, writing) && !is_stopped(writing)) {
            take_a_break(writing);
        }
        done = store_records(writing) && !is_stopped(writing);
    }
    return done;
}

/* Fills the new file with a database. */
static bool write_database(const struct newfile *file, const struct relay_index *index,
                           const struct relay_store_gdbm_manner *manner, struct strbuf *why)
{
    struct writing writing = {.stop = manner->stop, .is_gentle = manner->is_gentle};
    size_t cache = CACHE_BUCKETS;

    relay_pace_init(&writing.pace);
    /* A descriptor of its own, so that the lock outlives gdbm_close(). */
    int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);

    writing.db = fd < 0 ? NULL : gdbm_fd_open(fd, file->path, BLOCK_SIZE, GDBM_NEWDB | FLAGS, NULL);
    if (writing.db == NULL) {
        strbuf_appendf(why, "%s: cannot be written: %s", file->path,
                       fd < 0 ? strerror(errno) : gdbm_text());
        return false;
    }
    /* If it cannot be set, the library's own size serves. */
    (void)gdbm_setopt(writing.db, GDBM_SETCACHESIZE, &cache, sizeof(cache));
    strbuf_init(&writing.bytes);
    bool done = write_entries(&writing, index) && gdbm_sync(writing.db) == 0;

    if (!done && !is_stopped(&writing)) {
        strbuf_appendf(why, "%s: cannot be written: %s", file->path, gdbm_text());
    }
    if (gdbm_close(writing.db) != 0 && done) {
        strbuf_appendf(why, "%s: cannot be written: %s", file->path, gdbm_text());
        done = false;
    }
    strbuf_fini(&writing.bytes);
    free(writing.records);
    return done;
}

/* A first file has no owner and mode to keep. */
static bool set_first_mode(const struct relay_files *files, const struct newfile *file)
{
    struct stat ignored;

    return lstat(files->file, &ignored) == 0 || fchmod(file->fd, NEW_MODE) == 0;
}

bool relay_store_gdbm_write(const struct relay_files *files, const struct relay_index *index,
                            const struct relay_store_gdbm_manner *manner, uint64_t *bytes_out,
                            struct strbuf *why)
{
    struct newfile file;
    struct stat stat;

    if (!newfile_create(&file, files->file, files->folder, NULL, why)) {
        return false;
    }
    bool done = set_first_mode(files, &file) && write_database(&file, index, manner, why);

    /* EEXIST: an earlier attempt came as far as this. */
    if (done && manner->aside != NULL && link(files->file, manner->aside) != 0 && errno != ENOENT &&
        errno != EEXIST) {
        strbuf_appendf(why, "%s: cannot be kept as %s: %s", files->file, manner->aside,
                       strerror(errno));
        done = false;
    }
    *bytes_out = done && fstat(file.fd, &stat) == 0 ? (uint64_t)stat.st_size : 0;
    if (!done) {
        newfile_abandon(&file);
        return false;
    }
    return newfile_commit(&file, why);
}
