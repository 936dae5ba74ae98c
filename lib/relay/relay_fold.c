/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_fold.h"

#include "lib/base/thread.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_store_gdbm.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct relay_fold {
    const struct relay_files *files;
    const struct relay_index *index;
    void (*wake)(void *ctx);
    void *ctx;

    bool running;
    pthread_t thread;
    atomic_bool stop;
    atomic_bool ended;
    /* Written by the thread before it says that it has ended. */
    bool done;
    uint64_t bytes;
    struct strbuf why;
    char *aside;
};

/* The snapshot, and then the old journal away. */
static bool write_snapshot(struct relay_fold *fold, const char *aside, bool is_gentle,
                           uint64_t *bytes_out, struct strbuf *why)
{
    const struct relay_files *files = fold->files;
    const struct relay_store_gdbm_manner manner = {aside, &fold->stop, is_gentle};

    if (!relay_store_gdbm_write(files, fold->index, &manner, bytes_out, why)) {
        return false;
    }
    if (unlink(files->old_journal) != 0) {
        if (errno == ENOENT) {
            return true;
        }
        strbuf_appendf(why, "%s: cannot be removed: %s", files->old_journal, strerror(errno));
        return false;
    }
    return relay_files_sync_folder(files, why);
}

static void *run(void *arg)
{
    struct relay_fold *fold = arg;

    fold->done = write_snapshot(fold, fold->aside, true, &fold->bytes, &fold->why);
    atomic_store(&fold->ended, true);
    fold->wake(fold->ctx);
    return NULL;
}

struct relay_fold *relay_fold_new(const struct relay_files *files, const struct relay_index *index,
                                  void (*wake)(void *ctx), void *ctx)
{
    struct relay_fold *fold = xcalloc(1, sizeof(*fold));

    fold->files = files;
    fold->index = index;
    fold->wake = wake;
    fold->ctx = ctx;
    strbuf_init(&fold->why);
    return fold;
}

bool relay_fold_start(struct relay_fold *fold, const char *aside)
{
    free(fold->aside);
    fold->aside = aside == NULL ? NULL : xstrdup(aside);
    strbuf_reset(&fold->why);
    atomic_store(&fold->stop, false);
    atomic_store(&fold->ended, false);
    fold->running = thread_start(&fold->thread, run, fold) == 0;
    return fold->running;
}

enum relay_fold_state relay_fold_poll(struct relay_fold *fold, uint64_t *bytes_out,
                                      struct strbuf *why)
{
    if (!fold->running) {
        return RELAY_FOLD_IDLE;
    }
    if (!atomic_load(&fold->ended)) {
        return RELAY_FOLD_RUNNING;
    }
    (void)pthread_join(fold->thread, NULL);
    fold->running = false;
    *bytes_out = fold->bytes;
    strbuf_append(why, fold->why.data);
    return fold->done ? RELAY_FOLD_DONE : RELAY_FOLD_FAILED;
}

bool relay_fold_now(struct relay_fold *fold, const char *aside, uint64_t *bytes_out,
                    struct strbuf *why)
{
    atomic_store(&fold->stop, false);
    return write_snapshot(fold, aside, false, bytes_out, why);
}

bool relay_fold_abandon(struct relay_fold *fold)
{
    if (!fold->running) {
        return false;
    }
    atomic_store(&fold->stop, true);
    (void)pthread_join(fold->thread, NULL);
    fold->running = false;
    return fold->done;
}

void relay_fold_free(struct relay_fold **fold_ptr)
{
    struct relay_fold *fold = *fold_ptr;

    *fold_ptr = NULL;
    if (fold == NULL) {
        return;
    }
    (void)relay_fold_abandon(fold);
    strbuf_fini(&fold->why);
    free(fold->aside);
    free(fold);
}
