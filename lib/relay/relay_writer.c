/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_writer.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_guard.h"
#include "lib/relay/relay_journal.h"
#include "lib/relay/relay_pace.h"

#include <stdlib.h>
#include <time.h>

#define MS_PER_S 1000
#define SECONDS_OF_MINUTE 60
#define SWEEP_MS 60000
#define ROOM_MS 1000 /* a full store is searched for entries beyond their window at most so often */
#define CHUNK (256u * 1024u)
#define ENTRIES_AT_ONCE 256u

struct relay_writer {
    struct relay_index *index;
    struct relay_disk *disk;
    struct relay_trouble *trouble;
    struct relay_counts *counts;
    const struct relay_settings *settings;
    struct relay_batch *batch;
    struct relay_guard *guard;
    int64_t sweep_at;
    int64_t room_at;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

/* ---- changes ---- */

/* What was written counts. */
static bool commit(struct relay_writer *writer, struct strbuf *why)
{
    if (!relay_disk_commit(writer->disk, why)) {
        return false;
    }
    (void)atomic_fetch_add(&writer->counts->syncs, 1);
    relay_trouble_clear(writer->trouble, RELAY_TROUBLE_CHANGES);
    return true;
}

/* Lines to the disk, all or none. */
static bool write_lines(struct relay_writer *writer, const struct strbuf *lines, struct strbuf *why)
{
    if (!relay_disk_write(writer->disk, lines, why)) {
        return false;
    }
    return commit(writer, why);
}

static void flush(struct relay_writer *writer)
{
    const struct strbuf *lines = relay_batch_lines(writer->batch);
    struct strbuf why;

    if (relay_batch_is_empty(writer->batch)) {
        return;
    }
    strbuf_init(&why);
    if (lines->len == 0 || write_lines(writer, lines, &why)) {
        relay_batch_finish(writer->batch, NULL);
    } else {
        relay_trouble_set(writer->trouble, RELAY_TROUBLE_CHANGES, why.data);
        relay_batch_finish(writer->batch, why.data);
    }
    strbuf_fini(&why);
}

/* Throws out what is beyond the window; returns how many. */
static size_t sweep(struct relay_writer *writer)
{
    unsigned window = atomic_load(&writer->settings->window_minutes);
    struct relay_journal_line line = {
        .op = RELAY_JOURNAL_EXPIRE,
        .until = (int64_t)time(NULL) - (int64_t)window * SECONDS_OF_MINUTE,
    };
    struct strbuf text;
    struct strbuf why;
    size_t removed = 0;

    if (window == 0 || relay_index_count_until(writer->index, line.until) == 0) {
        return 0;
    }
    strbuf_init(&text);
    strbuf_init(&why);
    relay_journal_format(&line, &text);
    if (write_lines(writer, &text, &why)) {
        removed = relay_journal_apply(&line, writer->index);
        (void)atomic_fetch_add(&writer->counts->expired, removed);
    } else {
        relay_trouble_set(writer->trouble, RELAY_TROUBLE_CHANGES, why.data);
    }
    strbuf_fini(&text);
    strbuf_fini(&why);
    return removed;
}

/* For a full store. */
static bool make_room(struct relay_writer *writer)
{
    int64_t now = now_ms();

    if (now < writer->room_at) {
        return false;
    }
    writer->room_at = now + ROOM_MS;
    return sweep(writer) > 0;
}

static void refuse_full(struct relay_writer *writer, struct relay_change *change,
                        size_t max_entries)
{
    struct strbuf why;

    strbuf_init(&why);
    strbuf_appendf(&why, "the store is full: it has %zu entries (relay_store: max_entries)",
                   max_entries);
    relay_trouble_set(writer->trouble, RELAY_TROUBLE_FULL, why.data);
    relay_batch_tell(writer->counts, change, STATUS_INVALID, why.data, 0);
    strbuf_fini(&why);
}

/* ---- users that come from too many addresses ---- */

/* Takes all of the user's entries away, all or none. False: the disk failed. */
static bool withdraw(struct relay_writer *writer, struct relay_change *change, size_t *count_out,
                     struct strbuf *why)
{
    struct relay_journal_line line = {.op = RELAY_JOURNAL_REMOVE,
                                      .entry = {.user = "", .service = ""}};
    struct netaddr *list;
    size_t count = relay_guard_list(writer->guard, change, &list);
    struct strbuf lines;
    bool done = true;

    strbuf_init(&lines);
    for (size_t i = 0; i < count; i++) {
        line.entry.addr = list[i];
        relay_journal_format(&line, &lines);
    }
    if (count > 0 && !write_lines(writer, &lines, why)) {
        relay_trouble_set(writer->trouble, RELAY_TROUBLE_CHANGES, why->data);
        done = false;
    }
    for (size_t i = 0; i < count && done; i++) {
        line.entry.addr = list[i];
        (void)relay_journal_apply(&line, writer->index);
    }
    (void)atomic_fetch_add(&writer->counts->removed, done ? count : 0);
    *count_out = done ? count : 0;
    strbuf_fini(&lines);
    free(list);
    return done;
}

/* Tells that a login is not granted. */
static void refuse_user(struct relay_writer *writer, struct relay_change *change, bool takes_away)
{
    enum status status = STATUS_INVALID;
    struct strbuf why;
    size_t count = 0;

    strbuf_init(&why);
    if (takes_away) {
        flush(writer); /* its entries are those that will be there */
        status = withdraw(writer, change, &count, &why) ? STATUS_INVALID : STATUS_TEMPFAIL;
    }
    if (status == STATUS_INVALID) {
        relay_guard_explain(writer->guard, &why);
        if (takes_away) {
            relay_guard_withdrawn(writer->guard, change, count);
        }
    }
    relay_batch_tell(writer->counts, change, status, why.data, count);
    strbuf_fini(&why);
}

static void take(struct relay_writer *writer, struct relay_change *change)
{
    const struct relay_limits limits = {
        .max_entries = atomic_load(&writer->settings->max_entries),
        .ipv6_prefix_bits = atomic_load(&writer->settings->ipv6_prefix_bits),
        .now = (int64_t)time(NULL),
    };
    enum relay_guard_answer answer = relay_guard_judge(writer->guard, change, limits.now);

    if (answer != RELAY_GUARD_GRANT) {
        refuse_user(writer, change, answer == RELAY_GUARD_WITHDRAW);
        return;
    }
    for (;;) {
        switch (relay_batch_add(writer->batch, change, &limits)) {
        case RELAY_BATCH_TAKEN:
            return;
        case RELAY_BATCH_COMMIT_FIRST:
            flush(writer);
            break;
        case RELAY_BATCH_NO_ROOM:
            if (!make_room(writer)) {
                refuse_full(writer, change, limits.max_entries);
                return;
            }
            break;
        }
    }
}

/* ---- replacing all ---- */

/* Writes one line, or with others in one go. */
static bool write_line(struct relay_writer *writer, const struct relay_journal_line *line,
                       bool is_last, struct strbuf *lines, struct strbuf *why)
{
    relay_journal_format(line, lines);
    if (lines->len < CHUNK && !is_last) {
        return true;
    }
    bool written = relay_disk_write(writer->disk, lines, why);

    strbuf_reset(lines);
    return written;
}

static bool write_replacement(struct relay_writer *writer, const struct relay_change *change,
                              struct strbuf *why)
{
    struct relay_journal_line line = {.op = RELAY_JOURNAL_REPLACE, .count = change->entry_count};
    struct strbuf lines;

    strbuf_init(&lines);
    bool written = write_line(writer, &line, false, &lines, why);

    line.op = RELAY_JOURNAL_ENTRY;
    for (size_t i = 0; i < change->entry_count && written; i++) {
        line.entry = change->entries[i];
        written = write_line(writer, &line, false, &lines, why);
    }
    line.op = RELAY_JOURNAL_END;
    written = written && write_line(writer, &line, true, &lines, why);
    strbuf_fini(&lines);
    return written && commit(writer, why);
}

static void replace_in_memory(struct relay_index *index, const struct relay_change *change)
{
    struct relay_pace pace;

    relay_pace_init(&pace);
    relay_index_unstage(index);
    for (size_t i = 0; i < change->entry_count; i++) {
        relay_index_stage(index, &change->entries[i]);
        if (i % ENTRIES_AT_ONCE == 0) {
            relay_pace_step(&pace);
        }
    }
    (void)relay_index_swap(index);
}

static void replace(struct relay_writer *writer, struct relay_change *change)
{
    struct strbuf why;
    enum status status = STATUS_OK;

    strbuf_init(&why);
    if (!relay_settings_admit_all(writer->settings, change, &why)) {
        status = STATUS_INVALID;
    } else if (!write_replacement(writer, change, &why)) {
        status = STATUS_TEMPFAIL;
        relay_trouble_set(writer->trouble, RELAY_TROUBLE_CHANGES, why.data);
    } else {
        replace_in_memory(writer->index, change);
        relay_guard_forget(writer->guard);
    }
    relay_batch_tell(writer->counts, change, status, why.data,
                     status == STATUS_OK ? change->entry_count : 0);
    strbuf_fini(&why);
}

void relay_writer_take(struct relay_writer *writer, struct relay_change *changes)
{
    relay_guard_tend(writer->guard, (int64_t)time(NULL));
    while (changes != NULL) {
        struct relay_change *change = changes;

        changes = change->next;
        if (change->kind == RELAY_REPLACE) {
            flush(writer);
            replace(writer, change);
        } else {
            take(writer, change);
        }
    }
    flush(writer);
}

void relay_writer_tend(struct relay_writer *writer)
{
    int64_t now = now_ms();

    if (now >= writer->sweep_at) {
        writer->sweep_at = now + SWEEP_MS;
        (void)sweep(writer);
        if (relay_index_count(writer->index) < atomic_load(&writer->settings->max_entries)) {
            relay_trouble_clear(writer->trouble, RELAY_TROUBLE_FULL);
        }
    }
    relay_guard_tend(writer->guard, (int64_t)time(NULL));
    relay_disk_tend(writer->disk);
}

/* ---- life ---- */

struct relay_writer *relay_writer_new(struct relay_index *index, struct relay_disk *disk,
                                      struct relay_trouble *trouble, struct relay_counts *counts,
                                      const struct relay_settings *settings)
{
    struct relay_writer *writer = xcalloc(1, sizeof(*writer));

    writer->index = index;
    writer->disk = disk;
    writer->trouble = trouble;
    writer->counts = counts;
    writer->settings = settings;
    writer->batch = relay_batch_new(index, counts);
    writer->guard = relay_guard_new(index, settings);
    writer->sweep_at = now_ms() + SWEEP_MS;
    return writer;
}

void relay_writer_free(struct relay_writer **writer)
{
    if (*writer != NULL) {
        relay_batch_free(&(*writer)->batch);
        relay_guard_free(&(*writer)->guard);
        free(*writer);
        *writer = NULL;
    }
}
