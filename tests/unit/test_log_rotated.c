/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of rotated logs, their order, and that none is missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/log_rotated.h"
#include "lib/base/thread.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_rotated_names(void **state)
{
    static const char *const good[] = {
        "mail.log.1",          "mail.log.0",
        "mail.log.12",         "mail.log-20261122",
        "mail.log-2026112210", "mail.log-20261122-10",
        "mail.log.2026-11-22", "mail.log-2026-11-22T10:00",
        "mail-20261122.log",   "mail.1.log",
    };
    static const char *const bad[] = {
        "mail.log",      "mail.log.1.gz", "mail.log-20261122.xz", "mail.log.",   "mail.log.bak",
        "mail.log.1~",   "mail.log1",     "mail.log.new",         "mail.err",    "mail.err.1",
        "other.log.1",   "mail.log-",     "mail.log.1a",          "mail.1.logs", "",
        "mail-1.log.gz", "mail.log.-1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!log_rotated_is_name("mail.log", good[i])) {
            fail_msg("%s is none", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (log_rotated_is_name("mail.log", bad[i])) {
            fail_msg("%s is one", bad[i]);
        }
    }
    assert_true(log_rotated_is_name("maillog", "maillog.0"));
    assert_true(log_rotated_is_name("maillog", "maillog-20261122"));
    assert_false(log_rotated_is_name("maillog", "maillog"));
    assert_true(log_rotated_is_name(".log", ".log.1"));
    assert_false(log_rotated_is_name(".log", "-1.log"));
}

#define RENAMED 40

struct renamer {
    char folder[64];
    atomic_bool stop;
};

static void rename_number(const struct renamer *renamer, int from, int to)
{
    char old[256];
    char new[256];

    (void)snprintf(old, sizeof(old), "%s/log.%d", renamer->folder, from);
    (void)snprintf(new, sizeof(new), "%s/log.%d", renamer->folder, to);
    (void)rename(old, new);
}

/* Time and again each file gets the next number, as when logs are rotated, or its old one again. */
static void *rename_all(void *arg)
{
    struct renamer *renamer = arg;

    while (!atomic_load(&renamer->stop)) {
        for (int i = RENAMED; i > 0; i--) {
            rename_number(renamer, i, i + 1);
        }
        (void)usleep(500);
        for (int i = 1; i <= RENAMED; i++) {
            rename_number(renamer, i + 1, i);
        }
        (void)usleep(500);
    }
    return NULL;
}

static void write_file(const char *folder, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
}

static void test_rotated_files_oldest_first(void **state)
{
    static const char *const names[] = {"log.3", "log.2", "log.1"};
    char folder[] = "/tmp/test_watch_parts.XXXXXX";
    char path[256];
    struct log_rotated *found;

    (void)state;
    assert_non_null(mkdtemp(folder));
    write_file(folder, "log");
    for (size_t i = 0; i < 3; i++) {
        write_file(folder, names[i]);
        (void)usleep(20000); /* the clock of the file system is coarse */
    }
    (void)snprintf(path, sizeof(path), "%s/log.4", folder);
    assert_int_equal(symlink("log.1", path), 0);
    size_t count = log_rotated_find(folder, "log", INT64_MIN, &found);

    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(found[i].name, names[i]);
        assert_true(found[i].fd >= 0);
    }
    int64_t last = found[2].born_ns;

    log_rotated_free(found, count);
    count = log_rotated_find(folder, "log", last, &found);
    assert_int_equal(count, 1);
    log_rotated_free(found, count);
    assert_int_equal(log_rotated_find("/nonexistent", "log", 0, &found), 0);
    log_rotated_free(found, 0);
    (void)unlink(path);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void test_files_that_are_renamed_meanwhile(void **state)
{
    struct renamer renamer = {.folder = "/tmp/test_watch_parts.XXXXXX"};
    struct log_rotated *found;
    pthread_t thread;
    char name[256];

    (void)state;
    assert_non_null(mkdtemp(renamer.folder));
    for (int i = 1; i <= RENAMED; i++) {
        (void)snprintf(name, sizeof(name), "log.%d", i);
        write_file(renamer.folder, name);
    }
    assert_int_equal(thread_start(&thread, rename_all, &renamer), 0);
    for (int i = 0; i < 300; i++) {
        size_t count = log_rotated_find(renamer.folder, "log", INT64_MIN, &found);

        assert_int_equal(count, RENAMED);
        log_rotated_free(found, count);
    }
    atomic_store(&renamer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 1; i <= RENAMED; i++) {
        (void)snprintf(name, sizeof(name), "%s/log.%d", renamer.folder, i);
        assert_int_equal(unlink(name), 0);
    }
    assert_int_equal(rmdir(renamer.folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotated_names),
        cmocka_unit_test(test_rotated_files_oldest_first),
        cmocka_unit_test(test_files_that_are_renamed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
