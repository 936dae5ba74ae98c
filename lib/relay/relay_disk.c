/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_disk.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_files.h"
#include "lib/relay/relay_fold.h"
#include "lib/relay/relay_journal.h"
#include "lib/relay/relay_loader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MS_PER_S 1000
#define REBUILD_MS 5000 /* between attempts to begin new files */
#define FOLD_RETRY_MS 60000

/*
 * A snapshot is written when the journal is as large as the last one; of a store that is not large also when its first change is
 * some seconds old, the longer the more there is to write.
 */
#define FOLD_BYTES_MIN (4u * 1024u * 1024u)
#define SMALL_ENTRIES 100000u
#define SMALL_MS 2000
#define ENTRIES_PER_MS 2u

struct relay_disk {
    struct relay_files files;
    struct relay_index *index;
    struct logger *logger;
    struct relay_trouble *trouble;

    int lock; /* -1: not open */
    struct relay_journal journal;
    bool is_broken; /* the journal cannot go on; a snapshot and a new one must be made */
    int64_t rebuild_at;
    int64_t changed_at; /* when the journal got its first line; 0: it has none */
    bool has_old_journal;

    struct relay_fold *fold;
    bool must_fold;
    char *aside; /* the damaged file is to be kept under this name; NULL: it is not damaged */
    uint64_t snapshot_bytes;
    int64_t fold_at; /* not before */
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

/* ---- snapshots ---- */

static void note_folded(struct relay_disk *disk, uint64_t bytes)
{
    log_printf(disk->logger, disk->must_fold ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
               "event=relay_store result=written entries=%zu bytes=%" PRIu64,
               relay_index_count(disk->index), bytes);
    disk->has_old_journal = false;
    disk->must_fold = false;
    disk->snapshot_bytes = bytes;
    free(disk->aside);
    disk->aside = NULL;
    relay_trouble_clear(disk->trouble, RELAY_TROUBLE_SNAPSHOT);
}

static void note_fold_failure(struct relay_disk *disk, const char *why)
{
    struct strbuf text;

    strbuf_init(&text);
    strbuf_appendf(&text, "no snapshot, but all is in the journal: %s", why);
    relay_trouble_set(disk->trouble, RELAY_TROUBLE_SNAPSHOT, text.data);
    strbuf_fini(&text);
    disk->fold_at = now_ms() + FOLD_RETRY_MS;
}

/* A snapshot of all that memory holds, now; then new files can begin. */
static bool fold_now(struct relay_disk *disk, struct strbuf *why)
{
    uint64_t bytes;

    if (relay_fold_abandon(disk->fold)) {
        free(disk->aside);
        disk->aside = NULL;
    }
    if (!relay_fold_now(disk->fold, disk->aside, &bytes, why)) {
        return false;
    }
    note_folded(disk, bytes);
    return true;
}

static bool is_due(const struct relay_disk *disk, int64_t now)
{
    uint64_t limit = disk->snapshot_bytes > FOLD_BYTES_MIN ? disk->snapshot_bytes : FOLD_BYTES_MIN;
    size_t entries = relay_index_count(disk->index);

    if (disk->must_fold || disk->journal.size >= limit) {
        return true;
    }
    return entries <= SMALL_ENTRIES && disk->changed_at != 0 &&
           now - disk->changed_at >= SMALL_MS + (int64_t)(entries / ENTRIES_PER_MS);
}

static void begin_fold(struct relay_disk *disk)
{
    struct strbuf why;

    strbuf_init(&why);
    if (!disk->has_old_journal && disk->journal.size > 0) {
        disk->has_old_journal = relay_journal_rotate(&disk->journal, &disk->files, &why);
        disk->changed_at = disk->has_old_journal ? 0 : disk->changed_at;
    }
    if (why.len == 0 && !relay_fold_start(disk->fold, disk->aside)) {
        strbuf_append(&why, "there is no thread to be had");
    }
    if (why.len > 0) {
        note_fold_failure(disk, why.data);
    }
    strbuf_fini(&why);
}

static void tend_fold(struct relay_disk *disk, int64_t now)
{
    uint64_t bytes;
    struct strbuf why;

    strbuf_init(&why);
    switch (relay_fold_poll(disk->fold, &bytes, &why)) {
    case RELAY_FOLD_IDLE:
        if (!disk->is_broken && now >= disk->fold_at && is_due(disk, now)) {
            begin_fold(disk);
        }
        break;
    case RELAY_FOLD_RUNNING:
        break;
    case RELAY_FOLD_DONE:
        note_folded(disk, bytes);
        break;
    case RELAY_FOLD_FAILED:
        note_fold_failure(disk, why.data);
        break;
    }
    strbuf_fini(&why);
}

/* ---- new files ---- */

/* Was the journal or the lock removed or replaced? What is appended then, nobody would find. */
static bool has_vanished(const struct relay_disk *disk)
{
    return !relay_files_is_current(disk->journal.fd, disk->files.journal) ||
           !relay_files_is_current(disk->lock, disk->files.lock);
}

static bool lock_again(struct relay_disk *disk, struct strbuf *why)
{
    if (relay_files_is_current(disk->lock, disk->files.lock)) {
        return true;
    }
    int lock = relay_files_lock(&disk->files, why);

    if (lock < 0) {
        return false;
    }
    close(disk->lock);
    disk->lock = lock;
    return true;
}

/* Begins new files from what is in memory: there everything is that was acknowledged. */
static bool rebuild(struct relay_disk *disk, struct strbuf *why)
{
    struct relay_journal journal;

    disk->is_broken = true;
    disk->rebuild_at = now_ms() + REBUILD_MS;
    if (!lock_again(disk, why) || !fold_now(disk, why)) {
        return false;
    }
    (void)unlink(disk->files.journal);
    if (!relay_journal_open(&journal, &disk->files, 0, why)) {
        return false;
    }
    relay_journal_close(&disk->journal);
    disk->journal = journal;
    disk->changed_at = 0;
    disk->is_broken = false;
    log_printf(
        disk->logger, LOG_LEVEL_WARNING,
        "event=relay_store warning=\"the journal was lost or broken: the file was written anew from memory\"");
    return true;
}

/* Can lines be appended? */
static bool make_ready(struct relay_disk *disk, struct strbuf *why)
{
    if (!disk->is_broken && !has_vanished(disk)) {
        return true;
    }
    if (disk->is_broken && now_ms() < disk->rebuild_at) {
        strbuf_append(why, "the journal is broken; a new one will be tried");
        return false;
    }
    return rebuild(disk, why);
}

/* ---- lines ---- */

static void take_back(struct relay_disk *disk)
{
    if (!relay_journal_rollback(&disk->journal)) {
        disk->is_broken = true;
        disk->rebuild_at = now_ms() + REBUILD_MS;
    }
}

bool relay_disk_write(struct relay_disk *disk, const struct strbuf *lines, struct strbuf *why)
{
    if (disk->journal.end == disk->journal.size && !make_ready(disk, why)) {
        return false;
    }
    if (!relay_journal_write(&disk->journal, lines, why)) {
        take_back(disk);
        return false;
    }
    return true;
}

bool relay_disk_commit(struct relay_disk *disk, struct strbuf *why)
{
    if (!relay_journal_commit(&disk->journal, &disk->files, why)) {
        take_back(disk);
        return false;
    }
    if (disk->changed_at == 0) {
        disk->changed_at = now_ms();
    }
    return true;
}

void relay_disk_tend(struct relay_disk *disk)
{
    if (disk->lock >= 0) {
        tend_fold(disk, now_ms());
    }
}

/* ---- life ---- */

struct relay_disk *relay_disk_new(const char *file, struct relay_index *index,
                                  struct logger *logger, struct relay_trouble *trouble,
                                  void (*wake)(void *ctx), void *ctx)
{
    struct relay_disk *disk = xcalloc(1, sizeof(*disk));

    relay_files_init(&disk->files, file);
    disk->index = index;
    disk->logger = logger;
    disk->trouble = trouble;
    disk->lock = -1;
    disk->journal.fd = -1;
    disk->fold = relay_fold_new(&disk->files, index, wake, ctx);
    return disk;
}

bool relay_disk_open(struct relay_disk *disk, struct strbuf *why)
{
    struct relay_loaded loaded;
    int lock = relay_files_lock(&disk->files, why);

    if (lock < 0) {
        return false;
    }
    if (!relay_loader_load(&disk->files, true, disk->index, disk->logger, &loaded, why) ||
        !relay_journal_open(&disk->journal, &disk->files, loaded.journal_bytes, why)) {
        /* Another attempt begins with nothing. */
        (void)relay_index_expire(disk->index, RELAY_JOURNAL_ALL);
        free(loaded.aside);
        close(lock);
        return false;
    }
    /* What a crash may have left. */
    (void)unlink(disk->files.new_journal);
    (void)unlink(disk->files.repair);
    disk->lock = lock;
    disk->has_old_journal = loaded.has_old_journal;
    disk->snapshot_bytes = loaded.snapshot_bytes;
    disk->aside = loaded.aside;
    disk->must_fold = loaded.must_fold || loaded.has_old_journal || loaded.journal_bytes > 0;
    return true;
}

/* The last snapshot, and what is superfluous then away. */
static void close_files(struct relay_disk *disk)
{
    struct strbuf why;

    strbuf_init(&why);
    if (disk->is_broken || has_vanished(disk)) {
        disk->must_fold = !rebuild(disk, &why);
    } else if (relay_fold_abandon(disk->fold)) {
        note_folded(disk, 0);
    }
    if (why.len == 0 && (disk->must_fold || disk->has_old_journal || disk->journal.size > 0)) {
        disk->must_fold = !fold_now(disk, &why);
    }
    if (why.len > 0) {
        note_fold_failure(disk, why.data);
    } else {
        /* Nothing but what the snapshot has. */
        (void)unlink(disk->files.journal);
    }
    relay_journal_close(&disk->journal);
    close(disk->lock);
    strbuf_fini(&why);
}

void relay_disk_close(struct relay_disk **disk_ptr)
{
    struct relay_disk *disk = *disk_ptr;

    *disk_ptr = NULL;
    if (disk == NULL) {
        return;
    }
    if (disk->lock >= 0) {
        close_files(disk);
    }
    relay_fold_free(&disk->fold);
    relay_files_fini(&disk->files);
    free(disk->aside);
    free(disk);
}
