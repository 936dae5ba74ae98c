/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/mapfile.h"

#include "lib/base/xalloc.h"
#include "lib/table/filecheck.h"
#include "lib/table/hash64.h"
#include "lib/table/keyfilter.h"
#include "lib/table/linereader.h"
#include "lib/table/mapheader.h"
#include "lib/table/mapline.h"
#include "lib/table/newfile.h"
#include "lib/table/table_gdbm.h"

#include <errno.h>
#include <fcntl.h>
#include <gdbm.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* GDBM's buckets kept in memory while the map is written: 8192 of 4 KiB are those of a million keys. */
#define CACHE_BUCKETS 8192u
#define BLOCK_SIZE 4096
#define FIRST_HASHES 1024u
#define PROGRESS_LINES 4096u
#define NS_PER_S 1000000000

/* One run of mapfile_build(). */
struct build {
    const struct mapfile_job *job;
    struct diag *diag;
    const char *shown_name;
    struct linereader reader;
    uint64_t source_size; /* 0: not known */
    struct mapheader header;
    struct mapfile_prefixes prefixes;
    struct mapfile_result result;

    struct newfile file;
    GDBM_FILE db;
    bool write_failed;  /* reported */
    bool text_is_wrong; /* reported */
    struct strbuf key;
    struct strbuf value;
    struct strbuf record; /* the header, as it was stored */
    uint64_t *hashes;     /* of all keys, for the filter */
    size_t hashes_size;
};

static void report_file(struct build *build, const char *file, const char *why)
{
    diag_report(build->diag, DIAG_ERROR, file, 0, NULL, "%s", why);
}

static void report_gdbm(struct build *build, const char *what)
{
    diag_report(build->diag, DIAG_ERROR, build->job->map_path, 0, NULL, "%s: %s", what,
                gdbm_db_strerror(build->db));
    build->write_failed = true;
}

/* ASCII only, whatever the locale: lookups fold the same way. */
static void fold(struct strbuf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] >= 'A' && text->data[i] <= 'Z') {
            text->data[i] = (char)(text->data[i] + ('a' - 'A'));
        }
    }
}

/* The line number at the head of a stored value, 0 if it is damaged. */
static unsigned long stored_line(const datum *value)
{
    unsigned long number = 0;

    for (int i = 0; i < value->dsize; i++) {
        char c = value->dptr[i];

        if (c == '\t') {
            return number;
        }
        if (c < '0' || c > '9' || number > (ULONG_MAX - 9) / 10) {
            break;
        }
        number = number * 10 + (unsigned long)(c - '0');
    }
    return 0;
}

static void report_duplicate(struct build *build, const struct mapfile_line *line, datum key)
{
    datum first = gdbm_fetch(build->db, key);

    if (first.dptr == NULL) {
        report_gdbm(build, "cannot be read");
        return;
    }
    build->result.duplicates++;
    diag_report(build->diag, DIAG_WARNING, line->file, line->number,
                "the first one counts; remove one of them", "\"%s\" is there already, in line %lu",
                line->key, stored_line(&first));
    free(first.dptr);
}

static void remember_hash(struct build *build, uint64_t hash)
{
    if (build->result.entries == build->hashes_size) {
        build->hashes_size = build->hashes_size == 0 ? FIRST_HASHES : build->hashes_size * 2;
        build->hashes = xrealloc(build->hashes, build->hashes_size * sizeof(*build->hashes));
    }
    build->hashes[build->result.entries] = hash;
}

static void store(struct build *build, const struct mapfile_line *line)
{
    strbuf_reset(&build->value);
    strbuf_appendf(&build->value, "%u\t", line->number);
    strbuf_append_len(&build->value, line->value, line->value_len);

    datum key = {build->key.data, (int)build->key.len};
    datum value = {build->value.data, (int)build->value.len};

    switch (gdbm_store(build->db, key, value, GDBM_INSERT)) {
    case 0:
        remember_hash(build, hash64(key.dptr, build->key.len, build->header.filter_seed));
        build->result.entries++;
        break;
    case 1:
        report_duplicate(build, line, key);
        break;
    default:
        report_gdbm(build, "cannot be written");
        break;
    }
}

static void handle_line(struct build *build, char *text, size_t len)
{
    struct mapfile_line line = {
        .file = build->shown_name,
        .number = build->reader.number,
        .stored_key = &build->key,
        .prefixes = &build->prefixes,
        .diag = build->diag,
    };

    build->result.lines++;
    if (!mapline_split(text, len, build->job->format->default_value, &line)) {
        return;
    }
    strbuf_reset(&build->key);
    if (build->job->format->check(&line) != STATUS_OK) {
        return;
    }
    fold(&build->key);
    if (build->key.len == 0 || build->key.data[0] == '\0') {
        diag_report(build->diag, DIAG_ERROR, line.file, line.number, NULL, "the key is empty");
        return;
    }
    store(build, &line);
}

static void show_progress(struct build *build, bool at_end)
{
    const struct mapfile_job *job = build->job;

    if (job->progress == NULL || (!at_end && build->result.lines % PROGRESS_LINES != 0)) {
        return;
    }
    double fraction = -1;

    if (build->source_size > 0) {
        fraction = (double)build->reader.consumed / (double)build->source_size;
        fraction = fraction > 1 || at_end ? 1 : fraction;
    }
    job->progress(job->progress_ctx, fraction);
}

static void read_lines(struct build *build)
{
    char *text;
    size_t len;

    while (!build->write_failed && (text = linereader_next(&build->reader, &len)) != NULL) {
        handle_line(build, text, len);
        show_progress(build, false);
    }
    show_progress(build, true);
}

static void store_record(struct build *build, const char *key, size_t key_len, const char *data,
                         size_t len)
{
    char copy[MAPHEADER_KEY_LEN + MAPHEADER_FILTER_KEY_LEN];

    if (build->write_failed || len > INT_MAX) {
        return;
    }
    memcpy(copy, key, key_len); /* gdbm's datum is not const */
    strbuf_reset(&build->value);
    strbuf_append_len(&build->value, data, len);
    if (gdbm_store(build->db, (datum){copy, (int)key_len},
                   (datum){build->value.data, (int)build->value.len}, GDBM_INSERT) != 0) {
        report_gdbm(build, "cannot be written");
    }
}

static void store_filter(struct build *build)
{
    struct mapheader *header = &build->header;
    size_t size = keyfilter_size(build->result.entries);
    char *filter = xcalloc(size, 1);

    for (size_t i = 0; i < build->result.entries; i++) {
        keyfilter_add(filter, size, build->hashes[i]);
    }
    header->filter_size = size;
    header->filter_check = hash64(filter, size, header->filter_seed);
    store_record(build, MAPHEADER_FILTER_KEY, MAPHEADER_FILTER_KEY_LEN, filter, size);
    free(filter);
}

static void store_header(struct build *build)
{
    build->header.entries = build->result.entries;
    build->header.ipv4 = build->prefixes.ipv4;
    build->header.ipv6 = build->prefixes.ipv6;
    mapheader_encode(&build->header, &build->record);
    store_record(build, MAPHEADER_KEY, MAPHEADER_KEY_LEN, build->record.data, build->record.len);
}

static int64_t mtime_ns(const struct stat *file)
{
    return (int64_t)file->st_mtim.tv_sec * NS_PER_S + file->st_mtim.tv_nsec;
}

/* Opens the text and notes what it is now: what is changed after this makes the map an old one. */
static bool open_source(struct build *build)
{
    const struct mapfile_job *job = build->job;
    struct stat text;
    int fd = job->from_fd ? job->source_fd : open(job->source_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &text) != 0 || S_ISDIR(text.st_mode)) {
        bool is_folder = fd >= 0 && S_ISDIR(text.st_mode);

        build->text_is_wrong = is_folder || errno == ENOENT || errno == ENOTDIR;
        report_file(build, build->shown_name, is_folder ? "is a folder" : strerror(errno));
        if (fd >= 0 && !job->from_fd) {
            close(fd);
        }
        return false;
    }
    if (S_ISREG(text.st_mode)) {
        build->source_size = (uint64_t)text.st_size;
        build->header.source_size = (uint64_t)text.st_size;
        build->header.source_mtime_ns = mtime_ns(&text);
    }
    linereader_init(&build->reader, fd, build->shown_name, MAPFILE_MAX_LINE, build->diag);
    build->reader.stop = job->stop;
    return true;
}

static void close_source(struct build *build)
{
    if (!build->job->from_fd) {
        close(build->reader.fd);
    }
    linereader_fini(&build->reader);
}

/* The database inside the new file. It gets a descriptor of its own, so that the lock outlives gdbm_close(). */
static bool open_database(struct build *build)
{
    size_t cache = CACHE_BUCKETS;
    int fd = fcntl(build->file.fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        report_file(build, build->job->map_path, strerror(errno));
        return false;
    }
    build->db = gdbm_fd_open(fd, build->file.path, BLOCK_SIZE,
                             GDBM_NEWDB | GDBM_NOLOCK | GDBM_NOMMAP | GDBM_CLOEXEC | GDBM_CLOERROR,
                             NULL);
    if (build->db == NULL) {
        report_file(build, build->job->map_path,
                    gdbm_check_syserr(gdbm_errno) ? strerror(errno) : gdbm_strerror(gdbm_errno));
        return false;
    }
    if (gdbm_setopt(build->db, GDBM_SETCACHESIZE, &cache, sizeof(cache)) != 0) {
        report_gdbm(build, "cannot be given a cache");
        gdbm_close(build->db);
        return false;
    }
    return true;
}

/* Reads all lines into the database. True: it is complete. */
static bool fill_database(struct build *build)
{
    if (!open_source(build)) {
        return false;
    }
    size_t errors_before = build->diag->errors;

    read_lines(build);

    bool complete = !build->reader.failed && !build->write_failed;

    close_source(build);
    if (!complete) {
        return false;
    }
    if (build->diag->errors != errors_before) {
        build->text_is_wrong = true;
        return false;
    }
    store_filter(build);
    store_header(build);
    return !build->write_failed;
}

/* Everything behind the creation of the new file, up to its last byte. */
static bool write_map(struct build *build)
{
    if (!open_database(build)) {
        return false;
    }
    bool complete = fill_database(build);

    if (complete && gdbm_sync(build->db) != 0) {
        report_gdbm(build, "cannot be written");
        complete = false;
    }
    if (gdbm_close(build->db) != 0 && complete) {
        report_file(build, build->job->map_path, gdbm_strerror(gdbm_errno));
        complete = false;
    }
    return complete;
}

static bool make_map(struct build *build)
{
    struct strbuf why;

    if (!write_map(build)) {
        newfile_abandon(&build->file);
        return false;
    }
    strbuf_init(&why);
    bool made = filecheck_seal(build->file.fd, build->record.data, build->record.len, &why);

    if (made) {
        made = newfile_commit(&build->file, &why);
    } else {
        newfile_abandon(&build->file);
    }
    if (!made) {
        report_file(build, build->job->map_path, why.data);
    }
    strbuf_fini(&why);
    return made;
}

/* The job as it is, or what is wrong with it. */
static bool begin(struct build *build)
{
    const struct mapfile_job *job = build->job;
    struct strbuf why;

    /* A name goes into the header, which is made of lines. */
    if (strchr(job->source_path, '\n') != NULL) {
        report_file(build, job->source_path, "a name with a newline in it cannot be used");
        return false;
    }
    if (getrandom(&build->header.filter_seed, sizeof(build->header.filter_seed), 0) !=
        (ssize_t)sizeof(build->header.filter_seed)) {
        report_file(build, job->map_path, strerror(errno));
        return false;
    }
    strbuf_init(&why);
    bool created = newfile_create(&build->file, job->map_path, job->source_path, job->stop, &why);

    if (!created && why.len > 0) {
        diag_report(build->diag, DIAG_ERROR, job->map_path, 0, NULL, "%s", why.data);
    }
    strbuf_fini(&why);
    return created;
}

enum status mapfile_build(const struct mapfile_job *job, struct diag *diag,
                          struct mapfile_result *result_out)
{
    struct build build = {.job = job, .diag = diag};

    build.shown_name = job->shown_name != NULL ? job->shown_name
                       : job->from_fd          ? "-"
                                               : job->source_path;
    build.header.format = xstrdup(job->format->name);
    build.header.source = xstrdup(job->source_path);
    strbuf_init(&build.key);
    strbuf_init(&build.value);
    strbuf_init(&build.record);

    bool made = begin(&build) && make_map(&build);

    strbuf_fini(&build.key);
    strbuf_fini(&build.value);
    strbuf_fini(&build.record);
    free(build.hashes);
    mapheader_fini(&build.header);
    *result_out = build.result;
    return made ? STATUS_OK : build.text_is_wrong ? STATUS_INVALID : STATUS_TEMPFAIL;
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
                   header.source_mtime_ns != mtime_ns(&text)) {
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
