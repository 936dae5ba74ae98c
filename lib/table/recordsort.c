/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/recordsort.h"

#include "lib/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_SIZE 131072u
#define SLOT_MIN 64u /* bytes of memory for each record's place in the index, at least */

/* In memory and in the file alike: this, then key and value. */
struct head {
    uint32_t order;
    uint32_t line;
    uint32_t key_len;
    uint32_t value_len;
};

/* A record in the buffer. */
struct slot {
    uint32_t order;
    uint32_t at;
};

/* One sorted piece of the file. */
struct run {
    off_t next; /* what was not read yet */
    off_t end;
    char *window;
    size_t begin; /* the current record */
    size_t fill;
};

struct recordsort {
    char *spill_path;
    int fd; /* -1: all fits into memory so far */
    off_t file_len;

    char *buffer;
    size_t size;
    size_t used;
    struct slot *slots;
    size_t slots_size;
    size_t slot_count;
    size_t slot_next; /* what recordsort_next() gives, if there are no runs */

    struct run *runs;
    size_t run_count;
    struct run *given; /* the run whose record was given last */
};

struct recordsort *recordsort_new(const char *spill_path, size_t memory)
{
    struct recordsort *sort = xcalloc(1, sizeof(*sort));
    size_t least = RECORDSORT_MAX_RECORD + sizeof(struct head);

    sort->spill_path = xstrdup(spill_path);
    sort->fd = -1;
    sort->size = memory < least ? least : memory > UINT32_MAX ? UINT32_MAX : memory;
    sort->buffer = xmalloc(sort->size);
    sort->slots_size = sort->size / SLOT_MIN;
    sort->slots = xcalloc(sort->slots_size, sizeof(*sort->slots));
    return sort;
}

void recordsort_free(struct recordsort **sort)
{
    struct recordsort *old = *sort;

    *sort = NULL;
    if (old == NULL) {
        return;
    }
    for (size_t i = 0; i < old->run_count; i++) {
        free(old->runs[i].window);
    }
    if (old->fd >= 0) {
        close(old->fd);
    }
    free(old->runs);
    free(old->slots);
    free(old->buffer);
    free(old->spill_path);
    free(old);
}

static bool fail(struct strbuf *why, const char *what)
{
    strbuf_appendf(why, "sorting: %s: %s", what, strerror(errno));
    return false;
}

/* The record whose head is at `at`. */
static struct recordsort_record record_at(const char *at)
{
    struct head head;

    memcpy(&head, at, sizeof(head));
    return (struct recordsort_record){
        .order = head.order,
        .line = head.line,
        .key = at + sizeof(head),
        .key_len = head.key_len,
        .value = at + sizeof(head) + head.key_len,
        .value_len = head.value_len,
    };
}

static size_t stored_len(const struct recordsort_record *record)
{
    return sizeof(struct head) + record->key_len + record->value_len;
}

static int compare(const struct recordsort_record *a, const struct recordsort_record *b)
{
    if (a->order != b->order) {
        return a->order < b->order ? -1 : 1;
    }
    size_t common = a->key_len < b->key_len ? a->key_len : b->key_len;
    int difference = memcmp(a->key, b->key, common);

    if (difference != 0) {
        return difference;
    }
    if (a->key_len != b->key_len) {
        return a->key_len < b->key_len ? -1 : 1;
    }
    return a->line < b->line ? -1 : a->line > b->line;
}

static int compare_slots(const void *a, const void *b, void *buffer)
{
    const struct slot *slot_a = a;
    const struct slot *slot_b = b;

    if (slot_a->order != slot_b->order) {
        return slot_a->order < slot_b->order ? -1 : 1;
    }
    struct recordsort_record record_a = record_at((const char *)buffer + slot_a->at);
    struct recordsort_record record_b = record_at((const char *)buffer + slot_b->at);

    return compare(&record_a, &record_b);
}

static void sort_slots(struct recordsort *sort)
{
    qsort_r(sort->slots, sort->slot_count, sizeof(*sort->slots), compare_slots, sort->buffer);
}

/* A file without a name, so that nothing is left of it whatever happens. */
static bool open_spill(struct recordsort *sort, struct strbuf *why)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

    (void)unlink(sort->spill_path);
    sort->fd = open(sort->spill_path, flags, 0600);
    if (sort->fd < 0 || unlink(sort->spill_path) != 0) {
        return fail(why, sort->spill_path);
    }
    return true;
}

static bool write_all(struct recordsort *sort, const char *data, size_t len, struct strbuf *why)
{
    while (len > 0) {
        ssize_t written = pwrite(sort->fd, data, len, sort->file_len);

        if (written > 0) {
            sort->file_len += written;
            data += written;
            len -= (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            return fail(why, "temporary file");
        }
    }
    return true;
}

/* Writes the records in order, through a window. */
static bool write_slots(struct recordsort *sort, struct strbuf *why)
{
    char *window = xmalloc(WINDOW_SIZE);
    size_t fill = 0;
    bool done = true;

    for (size_t i = 0; i < sort->slot_count && done; i++) {
        const char *at = sort->buffer + sort->slots[i].at;
        struct recordsort_record record = record_at(at);
        size_t len = stored_len(&record);

        if (fill + len > WINDOW_SIZE) {
            done = write_all(sort, window, fill, why);
            fill = 0;
        }
        memcpy(window + fill, at, len);
        fill += len;
    }
    done = done && write_all(sort, window, fill, why);
    free(window);
    return done;
}

/* Sorts what is in memory and makes it a run of the file. */
static bool spill(struct recordsort *sort, struct strbuf *why)
{
    off_t begin = sort->file_len;

    if (sort->fd < 0 && !open_spill(sort, why)) {
        return false;
    }
    sort_slots(sort);
    if (!write_slots(sort, why)) {
        return false;
    }
    sort->runs = xrealloc(sort->runs, (sort->run_count + 1) * sizeof(*sort->runs));
    sort->runs[sort->run_count++] = (struct run){.next = begin, .end = sort->file_len};
    sort->used = 0;
    sort->slot_count = 0;
    return true;
}

bool recordsort_add(struct recordsort *sort, const struct recordsort_record *record,
                    struct strbuf *why)
{
    struct head head = {record->order, record->line, (uint32_t)record->key_len,
                        (uint32_t)record->value_len};
    size_t len = stored_len(record);

    if ((sort->size - sort->used < len || sort->slot_count == sort->slots_size) &&
        !spill(sort, why)) {
        return false;
    }
    char *at = sort->buffer + sort->used;

    sort->slots[sort->slot_count++] = (struct slot){record->order, (uint32_t)sort->used};
    memcpy(at, &head, sizeof(head));
    memcpy(at + sizeof(head), record->key, record->key_len);
    memcpy(at + sizeof(head) + record->key_len, record->value, record->value_len);
    sort->used += len;
    return true;
}

/* Reads more of a run, behind what is left in its window. */
static bool refill(struct recordsort *sort, struct run *run, struct strbuf *why)
{
    run->fill -= run->begin;
    memmove(run->window, run->window + run->begin, run->fill);
    run->begin = 0;
    while (run->next < run->end && run->fill < WINDOW_SIZE) {
        size_t room = WINDOW_SIZE - run->fill;
        size_t left = (size_t)(run->end - run->next);
        ssize_t got = pread(sort->fd, run->window + run->fill, room < left ? room : left,
                            run->next);

        if (got > 0) {
            run->fill += (size_t)got;
            run->next += got;
        } else if (got == 0 || errno != EINTR) {
            return fail(why, "temporary file");
        }
    }
    return true;
}

/* Is the whole record that begins at run->begin in the window? */
static bool has_record(const struct run *run)
{
    size_t there = run->fill - run->begin;

    if (there < sizeof(struct head)) {
        return false;
    }
    struct recordsort_record record = record_at(run->window + run->begin);

    return there >= stored_len(&record);
}

static bool is_empty(const struct run *run)
{
    return run->begin == run->fill && run->next == run->end;
}

bool recordsort_finish(struct recordsort *sort, struct strbuf *why)
{
    if (sort->run_count == 0) {
        sort_slots(sort);
        return true;
    }
    if (sort->slot_count > 0 && !spill(sort, why)) {
        return false;
    }
    free(sort->buffer);
    free(sort->slots);
    sort->buffer = NULL;
    sort->slots = NULL;
    for (size_t i = 0; i < sort->run_count; i++) {
        sort->runs[i].window = xmalloc(WINDOW_SIZE);
        if (!refill(sort, &sort->runs[i], why)) {
            return false;
        }
    }
    return true;
}

/* Goes behind the record that was given last. */
static bool advance(struct recordsort *sort, struct strbuf *why)
{
    struct run *run = sort->given;

    if (run == NULL) {
        return true;
    }
    struct recordsort_record record = record_at(run->window + run->begin);

    run->begin += stored_len(&record);
    sort->given = NULL;
    return has_record(run) || is_empty(run) || refill(sort, run, why);
}

enum status recordsort_next(struct recordsort *sort, struct recordsort_record *record_out,
                            struct strbuf *why)
{
    if (sort->run_count == 0) {
        if (sort->slot_next == sort->slot_count) {
            return STATUS_NOTFOUND;
        }
        *record_out = record_at(sort->buffer + sort->slots[sort->slot_next++].at);
        return STATUS_OK;
    }
    if (!advance(sort, why)) {
        return STATUS_TEMPFAIL;
    }
    for (size_t i = 0; i < sort->run_count; i++) {
        struct run *run = &sort->runs[i];

        if (is_empty(run)) {
            continue;
        }
        struct recordsort_record record = record_at(run->window + run->begin);

        if (sort->given == NULL || compare(&record, record_out) < 0) {
            sort->given = run;
            *record_out = record;
        }
    }
    return sort->given == NULL ? STATUS_NOTFOUND : STATUS_OK;
}
