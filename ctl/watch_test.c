/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/watch_test.h"

#include "ctl/log_file.h"
#include "ctl/watch_open.h"
#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "lib/relay/login_patterns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SESSIONS 100000u

struct test {
    struct ctl *ctl;
    const char *patterns_path;
    struct login_patterns *patterns;
    struct watch_open *open;
    json_t *list; /* NULL without --json */
    unsigned long lines;
    unsigned long logins;
    unsigned long logouts;
    unsigned long wrong;
};

/* A field of one line: in logfmt, or of a JSON object. */
static void put(json_t *object, struct strbuf *line, const char *name, const char *value)
{
    if (value == NULL || *value == '\0') {
        return;
    }
    if (object != NULL) {
        json_object_set_new(object, name, ctl_json_text(value));
    } else {
        log_field(line, name, value);
    }
}

/* Prints one line that a pattern matches. `error` is NULL if it was understood. */
static void print_found(struct test *test, const struct login_found *found, const char *error)
{
    json_t *object = test->list != NULL ? json_object() : NULL;
    char key[RELAY_KEY_SIZE] = "";
    struct strbuf line;
    struct strbuf place;

    strbuf_init(&line);
    strbuf_init(&place);
    strbuf_appendf(&place, "%s:%u", test->patterns_path, found->line);
    if (found->addr.family != NETADDR_NONE) {
        (void)relay_entry_key(&found->addr, key);
    }
    if (object != NULL) {
        json_object_set_new(object, "line", json_integer((json_int_t)test->lines));
    } else {
        log_field_uint(&line, "line", test->lines);
    }
    put(object, &line, "event", found->is_logout ? "logout" : "login");
    put(object, &line, "client", key);
    put(object, &line, "user", found->user);
    put(object, &line, "service", found->service);
    put(object, &line, "session", found->session);
    put(object, &line, "pattern", place.data);
    put(object, &line, "error", error);
    if (object != NULL) {
        json_array_append_new(test->list, object);
    } else {
        puts(line.data);
    }
    strbuf_fini(&place);
    strbuf_fini(&line);
}

static void take_line(struct test *test, const struct log_line *line)
{
    struct login_found found;
    const char *why = NULL;

    test->lines++;
    switch (login_patterns_find(test->patterns, line->text, line->len, &found, &why)) {
    case STATUS_OK:
        why = watch_open_follow(test->open, &found);
        if (found.is_logout) {
            watch_open_settle(test->open, found.session, &found.addr);
        }
        test->logins += found.is_logout ? 0 : 1;
        test->logouts += found.is_logout ? 1 : 0;
        print_found(test, &found, why);
        break;
    case STATUS_NOTFOUND:
        break;
    default:
        test->wrong++;
        print_found(test, &found, why);
    }
}

/* False: reading failed, errno says why. */
static bool read_log(struct test *test, struct log_file *file)
{
    struct pollfd poll_fd = {.fd = file->fd, .events = POLLIN};
    enum log_file_result result;
    struct log_line line;
    uint64_t long_lines = 0;

    for (;;) {
        result = log_file_next(file, &line);
        test->lines += file->long_lines - long_lines;
        long_lines = file->long_lines;
        if (result == LOG_FILE_LINE) {
            take_line(test, &line);
        } else if (result != LOG_FILE_NO_MORE || !file->is_pipe) {
            break;
        } else {
            (void)poll(&poll_fd, 1, -1);
        }
    }
    if (log_file_rest(file, &line)) {
        take_line(test, &line);
    }
    return result != LOG_FILE_FAILED;
}

static int print_summary(struct test *test, uint64_t too_long)
{
    int code = test->logins + test->logouts > 0 ? CTL_DONE : CTL_NO;

    if (test->list == NULL) {
        printf("lines=%lu logins=%lu logouts=%lu wrong=%lu too_long=%lu patterns=%zu\n",
               test->lines, test->logins, test->logouts, test->wrong, (unsigned long)too_long,
               login_patterns_count(test->patterns));
        return code;
    }
    json_t *object = json_pack("{sI sI sI sI sI sI}", "lines", (json_int_t)test->lines, "logins",
                               (json_int_t)test->logins, "logouts", (json_int_t)test->logouts,
                               "wrong", (json_int_t)test->wrong, "too_long", (json_int_t)too_long,
                               "patterns", (json_int_t)login_patterns_count(test->patterns));

    json_object_set(object, "learned", test->list);
    return ctl_print_json(test->ctl, object, NULL, code);
}

static int open_log(struct ctl *ctl, const char *log)
{
    int fd = strcmp(log, "-") == 0 ? STDIN_FILENO : open(log, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        (void)close(fd);
        fd = -1;
        errno = EISDIR;
    }
    if (fd < 0) {
        ctl_complain(ctl, "%s: %s", log, strerror(errno));
    }
    return fd;
}

int watch_test_run(struct ctl *ctl, const char *log, const char *patterns)
{
    struct test test = {.ctl = ctl, .patterns_path = patterns};
    struct diag diag;
    int code = CTL_TEMPFAIL;

    diag_init(&diag, diag_to_stream, stderr);
    test.patterns = login_patterns_load(patterns, &diag);
    if (test.patterns == NULL) {
        return CTL_NO;
    }
    int fd = open_log(ctl, log);

    if (fd >= 0) {
        struct log_file *file = log_file_new(fd, 0);

        struct logger *logger = log_new(LOG_TARGET_STDERR, "posternctl", "mail", LOG_LEVEL_INFO);

        test.open = watch_open_new(MAX_SESSIONS, logger);
        test.list = ctl->json ? json_array() : NULL;
        if (read_log(&test, file)) {
            code = print_summary(&test, file->long_lines);
        } else {
            ctl_complain(ctl, "%s: %s", log, strerror(errno));
        }
        json_decref(test.list);
        log_file_free(&file);
        watch_open_free(&test.open);
        log_free(&logger);
    }
    login_patterns_free(&test.patterns);
    return code;
}
