/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/mapfile.h"

#include "lib/base/xalloc.h"
#include "lib/table/filecheck.h"
#include "lib/table/gdbm_order.h"
#include "lib/table/hash64.h"
#include "lib/table/keyfilter.h"
#include "lib/table/mapheader.h"
#include "lib/table/maptext.h"
#include "lib/table/newfile.h"
#include "lib/table/table_gdbm.h"

#include <errno.h>
#include <fcntl.h>
#include <gdbm.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Keys come in the order of their buckets: few are worked on at a time. */
#define CACHE_BUCKETS 64u
#define BLOCK_SIZE 4096
#define PROGRESS_ENTRIES 4096u
#define READING 0.25 /* share of the work that is done once the text is read */
#define NS_PER_S 1000000000
#define LINE_DIGITS 10u

/* One run of mapfile_build(). */
struct build {
    const struct mapfile_job *job;
    struct diag *diag;
    struct maptext text;
    struct mapheader header;
    struct mapfile_result result;

    struct newfile file;
    GDBM_FILE db;      /* NULL: the text is wrong, nothing is written */
    bool write_failed; /* reported */
    struct strbuf value;
    struct strbuf record; /* the header, as it was stored */
    char *filter;
    size_t filter_size;
};

static void report_file(struct build *build, const char *why)
{
    diag_report(build->diag, DIAG_ERROR, build->job->map_path, 0, NULL, "%s", why);
}

static void report_gdbm(struct build *build, const char *what)
{
    diag_report(build->diag, DIAG_ERROR, build->job->map_path, 0, NULL, "%s: %s", what,
                gdbm_db_strerror(build->db));
    build->write_failed = true;
}

static bool is_stopped(const struct build *build)
{
    return build->job->stop != NULL && *build->job->stop != 0;
}

static void store(struct build *build, const char *key, size_t key_len)
{
    /* GDBM does not write to what it stores. */
    datum key_datum = {(char *)(uintptr_t)key, (int)key_len};
    datum value_datum = {build->value.data, (int)build->value.len};

    /* A key that is there already would be one that was sorted wrongly. */
    if (gdbm_store(build->db, key_datum, value_datum, GDBM_INSERT) != 0) {
        report_gdbm(build, "cannot be written");
    }
}

/* `LINE<tab>right-hand side`, without printf: this is done a million times. */
static void set_value(struct build *build, const struct recordsort_record *entry)
{
    char head[LINE_DIGITS + 1];
    size_t at = sizeof(head);
    uint32_t line = entry->line;

    head[--at] = '\t';
    do {
        head[--at] = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0);
    strbuf_reset(&build->value);
    strbuf_append_len(&build->value, head + at, sizeof(head) - at);
    strbuf_append_len(&build->value, entry->value, entry->value_len);
}

static void store_entry(struct build *build, const struct recordsort_record *entry)
{
    uint64_t seed = build->header.filter_seed;
    size_t tag = keyfilter_tag_len(entry->key, entry->key_len);

    /* For the key, and for what stands behind its tag: one look then spares those for each tag. */
    keyfilter_add(build->filter, build->filter_size, KEYFILTER_WHOLE,
                  hash64(entry->key, entry->key_len, seed));
    keyfilter_add(build->filter, build->filter_size, KEYFILTER_REST,
                  hash64(entry->key + tag, entry->key_len - tag, KEYFILTER_REST_SEED(seed)));
    set_value(build, entry);
    store(build, entry->key, entry->key_len);
    build->result.entries++;
}

static void show_progress(const struct build *build, size_t done)
{
    const struct mapfile_job *job = build->job;

    if (job->progress != NULL && done % PROGRESS_ENTRIES == 0) {
        job->progress(job->progress_ctx,
                      READING + (1 - READING) * (double)done / (double)build->text.records);
    }
}

/* Stores all entries, or only looks for duplicates. False: not all could be read. */
static bool handle_entries(struct build *build)
{
    struct recordsort_record entry;
    enum status status;
    size_t done = 0;

    while ((status = maptext_next(&build->text, &entry)) == STATUS_OK) {
        if (build->db != NULL) {
            store_entry(build, &entry);
        }
        if (build->write_failed || is_stopped(build)) {
            return false;
        }
        show_progress(build, ++done);
    }
    build->result.duplicates = build->text.duplicate_count;
    return status == STATUS_NOTFOUND;
}

static void store_filter(struct build *build)
{
    struct mapheader *header = &build->header;

    header->filter_size = build->filter_size;
    header->filter_check = hash64(build->filter, build->filter_size, header->filter_seed);
    strbuf_reset(&build->value);
    strbuf_append_len(&build->value, build->filter, build->filter_size);
    store(build, MAPHEADER_FILTER_KEY, MAPHEADER_FILTER_KEY_LEN);
}

static void store_header(struct build *build)
{
    struct mapheader *header = &build->header;

    header->source_size = build->text.source_size;
    header->source_mtime_ns = build->text.source_mtime_ns;
    header->entries = build->result.entries;
    header->ipv4 = build->text.prefixes.ipv4;
    header->ipv6 = build->text.prefixes.ipv6;
    mapheader_encode(header, &build->record);
    strbuf_reset(&build->value);
    strbuf_append_len(&build->value, build->record.data, build->record.len);
    store(build, MAPHEADER_KEY, MAPHEADER_KEY_LEN);
}

/* The database inside the new file. It gets a descriptor of its own, so that the lock outlives gdbm_close(). */
static bool open_database(struct build *build)
{
    const int flags = GDBM_NEWDB | GDBM_NOLOCK | GDBM_NOMMAP | GDBM_CLOEXEC | GDBM_CLOERROR;
    size_t cache = CACHE_BUCKETS;
    int fd = fcntl(build->file.fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        report_file(build, strerror(errno));
        return false;
    }
    build->db = gdbm_fd_open(fd, build->file.path, BLOCK_SIZE, flags, NULL);
    if (build->db == NULL) {
        report_file(build,
                    gdbm_check_syserr(gdbm_errno) ? strerror(errno) : gdbm_strerror(gdbm_errno));
        return false;
    }
    /* If it cannot be set, the library's own size serves. */
    (void)gdbm_setopt(build->db, GDBM_SETCACHESIZE, &cache, sizeof(cache));
    return true;
}

/* Writes the file of a text without errors, up to its last byte. */
static bool write_file(struct build *build)
{
    if (!open_database(build)) {
        return false;
    }
    build->filter_size = keyfilter_size(build->text.records);
    build->filter = xcalloc(build->filter_size, 1);

    bool complete = handle_entries(build);

    if (complete) {
        store_filter(build);
        store_header(build);
    }
    if (complete && !build->write_failed && gdbm_sync(build->db) != 0) {
        report_gdbm(build, "cannot be written");
    }
    complete = complete && !build->write_failed;
    if (gdbm_close(build->db) != 0 && complete) {
        report_file(build, gdbm_strerror(gdbm_errno));
        return false;
    }
    return complete;
}

/* From the text to the last byte of the new file. */
static bool make_file(struct build *build)
{
    if (!maptext_read(&build->text)) {
        return false;
    }
    build->result.lines = build->text.lines;
    if (build->text.wrong) {
        /* All that is wrong is told, duplicates too. */
        (void)handle_entries(build);
        return false;
    }
    return write_file(build);
}

/* Puts the new file in the place of the old one. */
static bool commit(struct build *build)
{
    struct strbuf why;

    strbuf_init(&why);
    bool made = filecheck_seal(build->file.fd, build->record.data, build->record.len, &why);

    if (made) {
        made = newfile_commit(&build->file, &why);
    } else {
        newfile_abandon(&build->file);
    }
    if (!made) {
        report_file(build, why.data);
    }
    strbuf_fini(&why);
    if (made && build->job->progress != NULL) {
        build->job->progress(build->job->progress_ctx, 1);
    }
    return made;
}

/* Makes ready for the work, or reports why it cannot begin. */
static bool begin(struct build *build)
{
    const struct mapfile_job *job = build->job;
    struct strbuf why;

    /* A name goes into the header, which is made of lines. */
    if (strchr(job->source_path, '\n') != NULL) {
        report_file(build, "the name of its text has a newline in it");
        return false;
    }
    if (getrandom(&build->header.filter_seed, sizeof(build->header.filter_seed), 0) !=
        (ssize_t)sizeof(build->header.filter_seed)) {
        report_file(build, strerror(errno));
        return false;
    }
    strbuf_init(&why);
    bool created = newfile_create(&build->file, job->map_path, job->source_path, job->stop, &why);

    if (!created && why.len > 0) {
        report_file(build, why.data);
    }
    strbuf_fini(&why);
    return created;
}

static bool run(struct build *build)
{
    if (!begin(build)) {
        return false;
    }
    if (!make_file(build)) {
        newfile_abandon(&build->file);
        return false;
    }
    return commit(build);
}

/* Beside the map: there is room for the map, so there is for its entries. free() it. */
static char *spill_path(const char *map_path)
{
    struct strbuf path;

    strbuf_init(&path);
    strbuf_append(&path, map_path);
    strbuf_append(&path, ".tmp");
    return path.data;
}

enum status mapfile_build(const struct mapfile_job *job, struct diag *diag,
                          struct mapfile_result *result_out)
{
    struct build build = {.job = job, .diag = diag};
    char *spill = spill_path(job->map_path);

    build.header.format = xstrdup(job->format->name);
    build.header.source = xstrdup(job->source_path);
    strbuf_init(&build.value);
    strbuf_init(&build.record);
    maptext_init(&build.text, job, diag, gdbm_order, spill);

    bool made = run(&build);
    enum status failure = build.text.wrong ? STATUS_INVALID : STATUS_TEMPFAIL;

    maptext_fini(&build.text);
    strbuf_fini(&build.value);
    strbuf_fini(&build.record);
    mapheader_fini(&build.header);
    free(build.filter);
    free(spill);
    *result_out = build.result;
    return made ? STATUS_OK : failure;
}

bool mapfile_is_current(const char *map_path, const char *source_path,
                        const struct mapfile_format *format, struct strbuf *why)
{
    struct mapheader header;
    struct strbuf reason;
    struct stat text;

    strbuf_init(&reason);
    if (table_gdbm_read_header(map_path, &header, &reason) == STATUS_OK) {
        if (strcmp(header.format, format->name) != 0) {
            strbuf_appendf(&reason, "%s: is a map of kind \"%s\"", map_path, header.format);
        } else if (strcmp(header.source, source_path) != 0) {
            strbuf_appendf(&reason, "%s: was made from %s", map_path, header.source);
        } else if (stat(source_path, &text) != 0) {
            strbuf_appendf(&reason, "%s: %s", source_path, strerror(errno));
        } else if (header.source_size != (uint64_t)text.st_size ||
                   header.source_mtime_ns !=
                       (int64_t)text.st_mtim.tv_sec * NS_PER_S + text.st_mtim.tv_nsec) {
            strbuf_appendf(&reason, "%s: was made before %s was changed", map_path, source_path);
        }
        mapheader_fini(&header);
    }
    bool current = reason.len == 0;

    if (why != NULL) {
        strbuf_append(why, reason.data);
    }
    strbuf_fini(&reason);
    return current;
}
