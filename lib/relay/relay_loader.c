/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_loader.h"

#include "lib/relay/relay_replay.h"
#include "lib/relay/relay_store_gdbm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One load. */
struct load {
    const struct relay_files *files;
    bool may_change;
    struct relay_index *index;
    struct logger *logger;
    struct relay_loaded *loaded;
};

static void warn(const struct load *load, const char *file, const char *warning)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "relay_store");
    log_field(&line, "file", file);
    log_field(&line, "warning", warning);
    log_line(load->logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

/* ---- the snapshot ---- */

static void report_damage(const struct load *load, const struct relay_snapshot *snapshot,
                          const char *why)
{
    struct strbuf text;

    strbuf_init(&text);
    strbuf_append(&text, why);
    if (load->may_change) {
        strbuf_appendf(&text, "; %zu entries could be read, %zu of them by a repair",
                       snapshot->entries, snapshot->recovered);
        strbuf_appendf(&text, "; the damaged file will be kept as %s", load->loaded->aside);
    } else {
        strbuf_appendf(&text, "; %zu entries could be read", snapshot->entries);
    }
    warn(load, load->files->file, text.data);
    strbuf_fini(&text);
}

static void report_bad_records(const struct load *load, const struct relay_snapshot *snapshot)
{
    struct strbuf text;

    strbuf_init(&text);
    strbuf_appendf(&text, "%zu records are no entries and were left out; the first is \"%s\": %s",
                   snapshot->bad, snapshot->bad_key, snapshot->bad_why);
    warn(load, load->files->file, text.data);
    strbuf_fini(&text);
}

static bool load_snapshot(const struct load *load, struct strbuf *why)
{
    struct relay_loaded *loaded = load->loaded;
    struct relay_snapshot snapshot;
    struct strbuf reason;

    strbuf_init(&reason);
    if (!relay_store_gdbm_read(load->files, load->may_change, load->index, &snapshot, &reason)) {
        strbuf_append(why, reason.data);
        strbuf_fini(&reason);
        return false;
    }
    loaded->has_file = !snapshot.absent;
    loaded->snapshot_bytes = snapshot.bytes;
    loaded->must_fold = snapshot.damaged || snapshot.bad > 0 || snapshot.wasteful;
    if (snapshot.damaged || snapshot.bad > 0) {
        loaded->aside = relay_files_aside(load->files->file);
    }
    if (snapshot.damaged) {
        report_damage(load, &snapshot, reason.data);
    }
    if (snapshot.bad > 0) {
        report_bad_records(load, &snapshot);
    }
    if (snapshot.wasteful) {
        log_printf(load->logger, LOG_LEVEL_INFO,
                   "event=relay_store entries=%zu bytes=%" PRIu64
                   " info=\"most of the file is free space: it will be compacted\"",
                   snapshot.entries, snapshot.bytes);
    }
    strbuf_fini(&reason);
    return true;
}

/* ---- the journals ---- */

/* Before anything that is damaged goes away. */
static void keep_copy(const struct load *load, const char *path, struct strbuf *text)
{
    char *aside = relay_files_aside(path);
    struct strbuf why;

    strbuf_init(&why);
    if (relay_files_copy(load->files, path, aside, &why)) {
        strbuf_appendf(text, "; a copy of the file is kept as %s", aside);
    } else {
        strbuf_appendf(text, "; it cannot be kept: %s", why.data);
    }
    strbuf_fini(&why);
    free(aside);
}

static void report_journal(const struct load *load, const char *path,
                           const struct relay_replay *replay)
{
    struct strbuf text;

    if (replay->bad + replay->torn_lines == 0) {
        if (replay->torn_bytes > 0) {
            log_printf(load->logger, LOG_LEVEL_INFO,
                       "event=relay_store lines=%" PRIu64 " torn_bytes=%" PRIu64
                       " info=\"the journal ends in a change that was not finished\"",
                       replay->lines, replay->torn_bytes);
        }
        return;
    }
    strbuf_init(&text);
    if (replay->bad > 0) {
        strbuf_appendf(&text,
                       "line %" PRIu64 " is damaged: %s; %" PRIu64 " such lines were skipped",
                       replay->first_bad, replay->bad_why, replay->bad);
    }
    if (replay->torn_lines > 0) {
        strbuf_appendf(&text, "%sthe last %" PRIu64 " lines (%" PRIu64 " bytes) are damaged",
                       text.len > 0 ? "; " : "", replay->torn_lines, replay->torn_bytes);
    }
    strbuf_appendf(&text, "; %" PRIu64 " changes could be read", replay->lines);
    if (load->may_change) {
        keep_copy(load, path, &text);
    }
    warn(load, path, text.data);
    strbuf_fini(&text);
}

static bool load_journal(const struct load *load, const char *path, struct relay_replay *replay_out,
                         struct strbuf *why)
{
    if (!relay_replay(load->files, path, load->index, replay_out, why)) {
        return false;
    }
    if (!replay_out->absent) {
        report_journal(load, path, replay_out);
    }
    return true;
}

bool relay_loader_load(const struct relay_files *files, bool may_change, struct relay_index *index,
                       struct logger *logger, struct relay_loaded *loaded_out, struct strbuf *why)
{
    const struct load load = {files, may_change, index, logger, loaded_out};
    struct relay_replay old;
    struct relay_replay present;

    *loaded_out = (struct relay_loaded){0};
    if (!load_snapshot(&load, why) || !load_journal(&load, files->old_journal, &old, why) ||
        !load_journal(&load, files->journal, &present, why)) {
        free(loaded_out->aside);
        loaded_out->aside = NULL;
        return false;
    }
    loaded_out->has_old_journal = !old.absent;
    loaded_out->has_journal = !old.absent || !present.absent;
    loaded_out->journal_bytes = present.good_bytes;
    log_printf(logger, LOG_LEVEL_INFO,
               "event=relay_store result=loaded entries=%zu bytes=%" PRIu64
               " journal_changes=%" PRIu64,
               relay_index_count(index), loaded_out->snapshot_bytes, old.lines + present.lines);
    return true;
}
