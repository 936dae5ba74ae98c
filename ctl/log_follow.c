/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/log_follow.h"

#include "ctl/log_files.h"
#include "ctl/log_place.h"
#include "ctl/log_rotated.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
#define MAX_PASSES 20u
/* The clock of file systems is coarse, and a file can be made shortly before it gets its name. */
#define SLACK_NS (2 * SECOND_NS)
#define LOOK_MS 1000
#define LOOK_BLINDLY_MS 250
/* Between its old name and the new file a log is not there: that is nothing to tell. */
#define GONE_MS 5000

struct log_follow {
    const char *path;
    char *folder;
    const char *name;
    struct logger *logger;
    bool is_pipe;
    struct log_files files;
    struct log_file *cursor; /* being read; NULL: all are at their end */

    int64_t missing_since; /* Unix time; 0: it was never missing */
    int64_t gone_at;       /* milliseconds since boot; 0: it is there */
    bool is_lost;          /* said */
    bool is_blind;         /* the log is there, but cannot be read */
    bool is_failure_told;
    bool is_sweeping;      /* between two answers that there is no more */
    int64_t up_to_date_at; /* milliseconds since boot */
};

/* ---- what is told ---- */

static void tell(const struct log_follow *follow, enum log_level level, const char *state,
                 const char *error)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "watch");
    log_field(&line, "log", follow->path);
    log_field(&line, "state", state);
    log_field(&line, "error", error);
    log_line(follow->logger, level, line.data);
    strbuf_fini(&line);
}

static void tell_lost(struct log_follow *follow, int error)
{
    int64_t now = log_files_now();

    follow->gone_at = follow->gone_at == 0 ? now : follow->gone_at;
    follow->is_blind = error != ENOENT;
    if (error == ENOENT) {
        follow->missing_since = (int64_t)time(NULL);
    }
    if (!follow->is_lost && (follow->files.count == 0 || now - follow->gone_at >= GONE_MS)) {
        tell(follow, LOG_LEVEL_WARNING, "lost",
             error == EINVAL ? "it is no ordinary file" : strerror(error));
        follow->is_lost = true;
    }
}

static void tell_back(struct log_follow *follow)
{
    if (follow->is_lost) {
        tell(follow, LOG_LEVEL_INFO, "back", NULL);
    }
    follow->is_lost = false;
    follow->is_blind = false;
    follow->gone_at = 0;
}

/* ---- what became of the log ---- */

static struct log_file *add(struct log_follow *follow, int fd, int64_t offset)
{
    struct log_file *file = log_files_add(&follow->files, fd, offset);

    if (follow->cursor == NULL) {
        follow->cursor = file;
    }
    return file;
}

static void drop(struct log_follow *follow, struct log_file *file)
{
    if (follow->cursor == file) {
        follow->cursor = file->next;
    }
    log_files_drop(&follow->files, file);
}

/* Opens the log itself. -1: it is not there, or not to be read, which is said once. */
static int open_log(struct log_follow *follow, struct log_rotated *found_out)
{
    int fd = open(follow->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int error = errno;

    if (fd >= 0 && !log_rotated_identify(fd, found_out)) {
        (void)close(fd);
        fd = -1;
        error = EINVAL;
    }
    if (fd < 0) {
        tell_lost(follow, error);
    } else {
        tell_back(follow);
    }
    return fd;
}

/* Adds a file with the name of the log: it is new if it was made since, and is no copy. */
static void add_log(struct log_follow *follow, const struct log_rotated *found, int64_t since)
{
    bool is_new = found->born_ns >= since * SECOND_NS - SLACK_NS &&
                  !log_files_has_copy(&follow->files, found->fd);

    add(follow, found->fd, is_new ? 0 : found->size)->born_ns = found->born_ns;
    if (!is_new && found->size > 0) {
        log_printf(follow->logger, LOG_LEVEL_WARNING,
                   "event=watch state=skipped bytes=%" PRId64
                   " error=\"the file is not new: what it holds already is not told\"",
                   found->size);
    }
}

/* Adds the files between the one that is read and the log as it is now. True: there were some. */
static bool add_rotated(struct log_follow *follow, int64_t since)
{
    const struct log_file *last = log_files_newest(&follow->files);
    int64_t born_ns = since * SECOND_NS - SLACK_NS;
    struct log_rotated *found;

    if (last != NULL && last->born_ns > born_ns) {
        born_ns = last->born_ns; /* what is older was read, and perhaps let go */
    }
    size_t count = log_rotated_find(follow->folder, follow->name, born_ns, &found);
    size_t added = log_files_add_rotated(&follow->files, found, count, -1);

    log_rotated_free(found, count);
    return added > 0;
}

static bool has_name(const struct log_follow *follow, dev_t dev, ino_t ino)
{
    struct stat st;

    return stat(follow->path, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* The log has another file than the last one that is read: adds it, and those in between. */
static void catch_up(struct log_follow *follow, int64_t since)
{
    struct log_rotated found;

    for (unsigned pass = 0; pass < MAX_PASSES && follow->files.count < LOG_FILES_MAX; pass++) {
        int fd = open_log(follow, &found);
        bool added = (follow->files.count > 0 || follow->missing_since > 0) &&
                     add_rotated(follow, since);

        if (fd < 0) {
            return;
        }
        /* Names change while a folder is read: all was seen if nothing changed. */
        if (!added && has_name(follow, found.dev, found.ino)) {
            if (log_files_has(&follow->files, found.dev, found.ino)) {
                (void)close(fd);
            } else {
                add_log(follow, &found, since);
            }
            return;
        }
        (void)close(fd);
    }
}

/* Looks whether the log has another file. True: there is more to read. */
static bool look(struct log_follow *follow)
{
    struct log_file *file = log_files_newest(&follow->files);
    size_t count = follow->files.count;
    int64_t now = (int64_t)time(NULL);

    if (follow->is_pipe) {
        return false;
    }
    if (file != NULL && has_name(follow, file->dev, file->ino)) {
        file->seen_at = now;
        tell_back(follow);
        log_files_let_go(&follow->files);
        return false;
    }
    /* Never read: new is what was made since it was missing. */
    catch_up(follow, file != NULL                ? file->seen_at
                     : follow->missing_since > 0 ? follow->missing_since
                                                 : now);
    if (follow->files.count > count) {
        /* Once more from the one that lost its name: its last lines come before those of the others. */
        follow->cursor = file != NULL ? file : follow->files.first;
        return true;
    }
    log_files_let_go(&follow->files);
    return false;
}

/*
 * What was read of the file is gone from it. If it was copied before (as logrotate's copytruncate does), the rest is in the copy, and if that
 * happened several times since, what came in between is in the later copies. The log itself is read from its begin.
 */
static void cut_off(struct log_follow *follow, struct log_file *file)
{
    int64_t unread = file->offset - (int64_t)(file->end - file->begin);
    int fd = file->next == NULL ? fcntl(file->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
    int64_t since_ns = log_files_birth();
    struct log_rotated *found;
    size_t count = log_rotated_find(follow->folder, follow->name,
                                    file->seen_at * SECOND_NS - SLACK_NS, &found);
    size_t copy = 0;
    int64_t born_ns = file->born_ns;

    while (copy < count &&
           !(found[copy].size >= unread && log_file_has_head(file, found[copy].fd) &&
             !log_files_has(&follow->files, found[copy].dev, found[copy].ino))) {
        copy++;
    }
    tell(follow, LOG_LEVEL_DEBUG, copy < count ? "copied" : "truncated", NULL);
    if (copy < count) {
        log_files_replace(&follow->files, file, &found[copy], unread);
        born_ns = found[count - 1].born_ns;
    }
    if (fd >= 0) {
        log_files_add_cut_off(&follow->files, fd, found + copy, count - copy, since_ns)->born_ns =
            born_ns;
    } else if (copy < count) {
        (void)log_files_add_rotated(&follow->files, found + copy, count - copy, -1);
    }
    if (copy == count) {
        drop(follow, file);
    }
    log_rotated_free(found, count);
}

/*
 * A log that was empty has its first bytes, or is empty again. If it was copied and cut off in between, more than once between two looks, nothing
 * tells but its copies. True: there are some, to be read first.
 */
static bool find_copies(struct log_follow *follow, struct log_file *file)
{
    struct log_rotated *found;

    file->is_fresh = file->offset == 0;
    if (!has_name(follow, file->dev, file->ino)) {
        return false; /* it was renamed: what is younger comes behind it */
    }
    size_t count = log_rotated_find(follow->folder, follow->name, file->copied_ns, &found);
    bool added = log_files_add_copies(&follow->files, file, found, count) > 0;

    log_rotated_free(found, count);
    if (added) {
        follow->cursor = follow->files.first;
    }
    return added;
}

/* ---- reading ---- */

static void drain(const struct log_follow *follow)
{
    char events[4096];

    while (follow->files.inotify >= 0 && read(follow->files.inotify, events, sizeof(events)) > 0) {
    }
}

static void tell_failed(struct log_follow *follow)
{
    if (!follow->is_failure_told) {
        tell(follow, LOG_LEVEL_WARNING, "lost", strerror(errno));
        follow->is_failure_told = true;
    }
}

/* All was read that was there, if it can be known what is there. */
static void note_up_to_date(struct log_follow *follow)
{
    if (!follow->is_blind) {
        follow->up_to_date_at = log_files_now();
    }
}

/* Begins to look through all files. What is written from now on wakes us. */
static void begin_sweep(struct log_follow *follow)
{
    drain(follow);
    log_files_bury(&follow->files);
    follow->cursor = follow->files.first;
    follow->is_sweeping = true;
}

enum log_follow_result log_follow_next(struct log_follow *follow, struct log_line *line_out)
{
    if (!follow->is_sweeping) {
        begin_sweep(follow);
    }
    for (;;) {
        struct log_file *file = follow->cursor;

        if (file == NULL && !look(follow)) {
            note_up_to_date(follow);
            follow->is_sweeping = false;
            return LOG_FOLLOW_NO_MORE;
        }
        if (file == NULL ||
            (file->is_fresh && log_file_may_have_copies(file) && find_copies(follow, file))) {
            continue;
        }
        switch (log_file_next(file, line_out)) {
        case LOG_FILE_LINE:
            file->grown_at = log_files_now();
            follow->is_failure_told = false;
            return LOG_FOLLOW_LINE;
        case LOG_FILE_END:
            return LOG_FOLLOW_END;
        case LOG_FILE_TRUNCATED:
            cut_off(follow, file);
            break;
        case LOG_FILE_FAILED:
            tell_failed(follow);
            follow->cursor = file->next;
            break;
        case LOG_FILE_NO_MORE:
            follow->cursor = file->next;
            break;
        }
    }
}

int64_t log_follow_age(const struct log_follow *follow)
{
    return log_files_now() - follow->up_to_date_at;
}

int64_t log_follow_skip(struct log_follow *follow)
{
    int64_t bytes = 0;
    int64_t now_ns = log_files_birth();

    (void)look(follow);
    for (struct log_file *file = follow->files.first; file != NULL; file = file->next) {
        bytes += log_file_skip(file);
        if (file->is_fresh) {
            log_files_set_fresh(file, now_ns); /* what it was copied to until now is skipped, too */
        }
    }
    note_up_to_date(follow);
    follow->is_sweeping = false;
    return bytes;
}

/* ---- begin and end ---- */

static int open_inotify(const char *folder)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd >= 0 &&
        inotify_add_watch(fd, folder, IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

struct log_follow *log_follow_new(const char *path, struct logger *logger)
{
    struct log_follow *follow = xcalloc(1, sizeof(*follow));
    const char *slash = strrchr(path, '/');

    follow->path = path;
    follow->name = slash != NULL ? slash + 1 : path;
    follow->folder = slash == NULL   ? xstrdup(".")
                     : slash == path ? xstrdup("/")
                                     : xstrndup(path, (size_t)(slash - path));
    follow->logger = logger;
    follow->up_to_date_at = log_files_now();
    follow->is_pipe = strcmp(path, "-") == 0;
    log_files_init(&follow->files, follow->is_pipe ? -1 : open_inotify(follow->folder));
    return follow;
}

void log_follow_free(struct log_follow **follow)
{
    if (*follow == NULL) {
        return;
    }
    int inotify = (*follow)->files.inotify;

    log_files_fini(&(*follow)->files);
    if (inotify >= 0) {
        (void)close(inotify);
    }
    free((*follow)->folder);
    free(*follow);
    *follow = NULL;
}

static void open_at(struct log_follow *follow, const struct log_rotated *found, int64_t offset)
{
    struct log_file *file = add(follow, found->fd, offset);

    file->born_ns = found->born_ns;
    if (found->size == 0) {
        log_files_set_fresh(file, log_files_birth());
    }
}

void log_follow_from_start(struct log_follow *follow)
{
    struct log_rotated found;
    if (follow->is_pipe) {
        add(follow, STDIN_FILENO, 0)->is_pipe = true;
        return;
    }
    int fd = open_log(follow, &found);

    if (fd >= 0) {
        open_at(follow, &found, 0);
    }
}

int64_t log_follow_from_end(struct log_follow *follow)
{
    struct log_rotated found;
    int fd = open_log(follow, &found);

    if (fd < 0) {
        return 0;
    }
    open_at(follow, &found, found.size);
    return found.size;
}

bool log_follow_restore(struct log_follow *follow, const char *text)
{
    int64_t saved_at;
    int64_t seen_at;

    if (!log_place_restore(&follow->files, text, follow->path, &saved_at, &seen_at)) {
        return false;
    }
    int64_t away = (int64_t)time(NULL) - saved_at;

    follow->missing_since = seen_at;
    /* A clock that was set back leaves no way to tell how long it was. */
    follow->up_to_date_at = log_files_now() - (away < 0 ? -away : away) * 1000;
    return true;
}

void log_follow_save(const struct log_follow *follow, struct strbuf *out)
{
    log_place_save(&follow->files, follow->path,
                   (int64_t)time(NULL) - log_follow_age(follow) / 1000, out);
}

int log_follow_wait_fd(const struct log_follow *follow)
{
    return follow->is_pipe ? STDIN_FILENO : follow->files.inotify;
}

int log_follow_wait_ms(const struct log_follow *follow)
{
    return follow->files.inotify >= 0 || follow->is_pipe ? LOOK_MS : LOOK_BLINDLY_MS;
}

uint64_t log_follow_long_lines(const struct log_follow *follow)
{
    return log_files_long_lines(&follow->files);
}
