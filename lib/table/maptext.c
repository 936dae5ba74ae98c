/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/maptext.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SORT_MEMORY ((size_t)16 << 20)
#define DUPLICATES_MEMORY ((size_t)1 << 18)
#define PROGRESS_LINES 4096u
#define READING 0.25 /* share of the whole work */
#define NS_PER_S 1000000000

void maptext_init(struct maptext *text, const struct mapfile_job *job, struct diag *diag,
                  uint32_t (*order)(const char *key, size_t len), const char *spill_path)
{
    *text = (struct maptext){.job = job, .diag = diag, .order = order};
    text->shown_name = job->shown_name != NULL ? job->shown_name
                       : job->from_fd          ? "-"
                                               : job->source_path;
    strbuf_init(&text->key);
    strbuf_init(&text->written);
    strbuf_init(&text->last_key);
    text->sort = recordsort_new(spill_path, SORT_MEMORY);
    text->duplicates = recordsort_new(spill_path, DUPLICATES_MEMORY);
}

void maptext_fini(struct maptext *text)
{
    recordsort_free(&text->sort);
    recordsort_free(&text->duplicates);
    strbuf_fini(&text->key);
    strbuf_fini(&text->written);
    strbuf_fini(&text->last_key);
}

static void report(struct maptext *text, const char *why)
{
    diag_report(text->diag, DIAG_ERROR, text->job->map_path, 0, NULL, "%s", why);
}

/* Opens the text and notes what it is now: what is changed after this makes the map an old one. */
static bool open_source(struct maptext *text)
{
    const struct mapfile_job *job = text->job;
    struct stat source;
    int fd = job->from_fd ? job->source_fd : open(job->source_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &source) != 0 || S_ISDIR(source.st_mode)) {
        bool is_folder = fd >= 0 && S_ISDIR(source.st_mode);

        text->wrong = is_folder || errno == ENOENT || errno == ENOTDIR;
        diag_report(text->diag, DIAG_ERROR, text->shown_name, 0, NULL, "%s",
                    is_folder ? "is a folder" : strerror(errno));
        if (fd >= 0 && !job->from_fd) {
            close(fd);
        }
        return false;
    }
    if (S_ISREG(source.st_mode)) {
        text->source_size = (uint64_t)source.st_size;
        text->source_mtime_ns = (int64_t)source.st_mtim.tv_sec * NS_PER_S + source.st_mtim.tv_nsec;
    }
    linereader_init(&text->reader, fd, text->shown_name, MAPFILE_MAX_LINE, text->diag);
    text->reader.stop = job->stop;
    return true;
}

static void close_source(struct maptext *text)
{
    if (!text->job->from_fd) {
        close(text->reader.fd);
    }
    linereader_fini(&text->reader);
}

/* ASCII only, whatever the locale: lookups fold the same way. */
static void fold(struct strbuf *key)
{
    for (size_t i = 0; i < key->len; i++) {
        if (key->data[i] >= 'A' && key->data[i] <= 'Z') {
            key->data[i] = (char)(key->data[i] + ('a' - 'A'));
        }
    }
}

static bool add(struct recordsort *sort, const struct recordsort_record *record,
                struct maptext *text)
{
    struct strbuf why;

    strbuf_init(&why);
    bool added = recordsort_add(sort, record, &why);

    if (!added) {
        report(text, why.data);
    }
    strbuf_fini(&why);
    return added;
}

/* Keeps an entry: in front of its value stands the key as it was written, which a message about it should show. */
static bool add_entry(struct maptext *text, const struct mapfile_line *line)
{
    strbuf_reset(&text->written);
    strbuf_append_len(&text->written, line->key, line->key_len + 1);
    strbuf_append_len(&text->written, line->value, line->value_len);
    text->records++;
    return add(text->sort,
               &(struct recordsort_record){
                   .order = text->order(text->key.data, text->key.len),
                   .line = line->number,
                   .key = text->key.data,
                   .key_len = text->key.len,
                   .value = text->written.data,
                   .value_len = text->written.len,
               },
               text);
}

/* False: the entry could not be kept. */
static bool handle_line(struct maptext *text, char *data, size_t len)
{
    struct mapfile_line line = {
        .file = text->shown_name,
        .number = text->reader.number,
        .stored_key = &text->key,
        .prefixes = &text->prefixes,
        .diag = text->diag,
    };

    text->lines++;
    if (!mapline_split(data, len, text->job->format->default_value, &line)) {
        return true;
    }
    strbuf_reset(&text->key);
    if (text->job->format->check(&line) != STATUS_OK) {
        return true;
    }
    fold(&text->key);
    if (text->key.len == 0 || text->key.data[0] == '\0') {
        diag_report(text->diag, DIAG_ERROR, line.file, line.number, NULL, "the key is empty");
        return true;
    }
    return add_entry(text, &line);
}

static void show_progress(const struct maptext *text)
{
    const struct mapfile_job *job = text->job;
    double fraction = -1;

    if (job->progress == NULL || text->lines % PROGRESS_LINES != 0) {
        return;
    }
    if (text->source_size > 0) {
        fraction = READING * (double)text->reader.consumed / (double)text->source_size;
        fraction = fraction > READING ? READING : fraction; /* it grows while it is read */
    }
    job->progress(job->progress_ctx, fraction);
}

static bool read_lines(struct maptext *text)
{
    char *data;
    size_t len;

    while ((data = linereader_next(&text->reader, &len)) != NULL) {
        if (!handle_line(text, data, len)) {
            return false;
        }
        show_progress(text);
    }
    return !text->reader.failed;
}

bool maptext_read(struct maptext *text)
{
    struct strbuf why;
    size_t errors_before = text->diag->errors;

    if (!open_source(text)) {
        return false;
    }
    bool done = read_lines(text);

    close_source(text);
    if (!done) {
        return false;
    }
    text->wrong = text->diag->errors != errors_before;
    strbuf_init(&why);
    done = recordsort_finish(text->sort, &why);
    if (!done) {
        report(text, why.data);
    }
    strbuf_fini(&why);
    return done;
}

/* All duplicates, by line. */
static enum status report_duplicates(struct maptext *text, struct strbuf *why)
{
    struct recordsort_record record;
    enum status status = STATUS_TEMPFAIL;

    if (recordsort_finish(text->duplicates, why)) {
        while ((status = recordsort_next(text->duplicates, &record, why)) == STATUS_OK) {
            diag_report(text->diag, DIAG_WARNING, text->shown_name, record.order,
                        "the first one counts; remove one of them",
                        "\"%.*s\" is there already, in line %u", (int)record.key_len, record.key,
                        record.line);
        }
    }
    return status;
}

static bool is_duplicate(const struct maptext *text, const struct recordsort_record *record)
{
    return record->key_len == text->last_key.len &&
           memcmp(record->key, text->last_key.data, record->key_len) == 0;
}

/* Kept by line: .order is the line, .line that of the first one, .key what was written. */
static bool note_duplicate(struct maptext *text, const struct recordsort_record *record)
{
    text->duplicate_count++;
    return add(text->duplicates,
               &(struct recordsort_record){
                   .order = record->line,
                   .line = text->first_line,
                   .key = record->value,
                   .key_len = strlen(record->value),
                   .value = "",
               },
               text);
}

enum status maptext_next(struct maptext *text, struct recordsort_record *entry_out)
{
    struct strbuf why;
    enum status status;

    strbuf_init(&why);
    while ((status = recordsort_next(text->sort, entry_out, &why)) == STATUS_OK &&
           is_duplicate(text, entry_out)) {
        if (!note_duplicate(text, entry_out)) {
            strbuf_fini(&why);
            return STATUS_TEMPFAIL;
        }
    }
    if (status == STATUS_OK) {
        size_t written = strlen(entry_out->value) + 1;

        entry_out->value += written;
        entry_out->value_len -= written;
        text->first_line = entry_out->line;
        strbuf_reset(&text->last_key);
        strbuf_append_len(&text->last_key, entry_out->key, entry_out->key_len);
    } else if (status == STATUS_NOTFOUND) {
        status = report_duplicates(text, &why);
    }
    if (status == STATUS_TEMPFAIL) {
        report(text, why.data);
    }
    strbuf_fini(&why);
    return status;
}
