/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/table_kit.h"

#include "lib/table/mapheader.h"
#include "lib/table/table_gdbm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the file ---- */

static void test_error_leaves_the_old_map(void **state)
{
    struct kit *kit = *state;
    struct stat before;
    struct stat after;

    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    assert_int_equal(stat(kit->map, &before), 0);
    assert_int_equal(kit_build(kit, "a REJECT\nb\n"), STATUS_INVALID);
    assert_int_equal(stat(kit->map, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(kit_files(kit), 2);
}

static void test_mode_is_that_of_map_or_text(void **state)
{
    struct kit *kit = *state;
    struct stat st;

    kit_write(kit->text, "", 0);
    assert_int_equal(chmod(kit->text, 0604), 0);
    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    assert_int_equal(stat(kit->map, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0604);

    assert_int_equal(chmod(kit->map, 0640), 0);
    assert_int_equal(kit_build(kit, "b OK\n"), STATUS_OK);
    assert_int_equal(stat(kit->map, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_owner_is_that_of_the_old_map(void **state)
{
    struct kit *kit = *state;
    struct stat st;

    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    assert_int_equal(chown(kit->map, 1234, 4321), 0);
    assert_int_equal(kit_build(kit, "b OK\n"), STATUS_OK);
    assert_int_equal(stat(kit->map, &st), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(st.st_gid, 4321);
}

static void test_stdin_without_text_takes_the_folders_group(void **state)
{
    struct kit *kit = *state;
    int ends[2];
    struct mapfile_job job = {
        .format = &kit_format, .map_path = kit->map, .source_path = kit->text, .from_fd = true};
    struct stat folder;
    struct stat st;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a OK\nb", 6), 6);
    close(ends[1]);
    job.source_fd = ends[0];
    strbuf_reset(&kit->messages);
    assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_INVALID);
    assert_string_equal(kit->messages.data, "2 error: \"b\" has no right-hand side\n");
    close(ends[0]);

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a OK\n", 5), 5);
    close(ends[1]);
    job.source_fd = ends[0];
    assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_OK);
    assert_int_equal(fcntl(ends[0], F_GETFD) >= 0, 1); /* not closed */
    close(ends[0]);
    assert_int_equal(stat(kit->folder, &folder), 0);
    assert_int_equal(stat(kit->map, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_gid, folder.st_gid);

    /* Nobody knows what the text was; the file of that name is newer in any case. */
    kit_write(kit->text, "a OK\n", 5);
    assert_false(mapfile_is_current(kit->map, kit->text, &kit_format, NULL));
}

static void test_missing_and_unreadable_text(void **state)
{
    struct kit *kit = *state;
    struct mapfile_job job = {
        .format = &kit_format, .map_path = kit->map, .source_path = kit->text};

    assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_INVALID);
    assert_string_equal(kit->messages.data, "0 error: No such file or directory\n");
    assert_int_equal(kit_files(kit), 0);

    strbuf_reset(&kit->messages);
    job.source_path = kit->folder;
    assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_INVALID);
    assert_string_equal(kit->messages.data, "0 error: is a folder\n");

    if (geteuid() != 0) { /* root may read everything */
        kit_write(kit->text, "a OK\n", 5);
        assert_int_equal(chmod(kit->text, 0), 0);
        job.source_path = kit->text;
        strbuf_reset(&kit->messages);
        assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_TEMPFAIL);
        assert_string_equal(kit->messages.data, "0 error: Permission denied\n");
        assert_int_equal(kit_files(kit), 1);
    }
}

static void test_folder_that_cannot_be_written(void **state)
{
    struct kit *kit = *state;
    char map[KIT_PATH_SIZE + 32];
    struct mapfile_job job = {.format = &kit_format, .map_path = map, .source_path = kit->text};

    kit_write(kit->text, "a OK\n", 5);
    (void)snprintf(map, sizeof(map), "%s/absent/access.gdbm", kit->folder);
    assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->messages.data, "No such file or directory"));
}

/* Text of so many lines `keyN.example<tab>"550 5.7.1 text N"`. */
static void many_lines(struct strbuf *text, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        strbuf_appendf(text, "key%u.example\t\"550 5.7.1 text %u\"\n", i, i);
    }
}

static void test_full_disk(void **state)
{
    struct kit *kit = *state;
    struct rlimit old;
    struct strbuf text;
    struct stat whole;

    strbuf_init(&text);
    many_lines(&text, 5000);
    assert_int_equal(kit_build_as(kit, text.data, text.len, &kit_format), STATUS_OK);
    assert_int_equal(stat(kit->map, &whole), 0);
    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    kit_write(kit->text, text.data, text.len);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);

    /* From GDBM's own first blocks to the last record (below, GDBM 1.23 loses a block of memory). */
    for (rlim_t limit = 16384; limit < (rlim_t)whole.st_size; limit += 20011) {
        struct rlimit small = {.rlim_cur = limit, .rlim_max = old.rlim_max};
        struct mapfile_job job = {
            .format = &kit_format, .map_path = kit->map, .source_path = kit->text};

        strbuf_reset(&kit->messages);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        enum status status = mapfile_build(&job, &kit->diag, &kit->result);

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(status, STATUS_TEMPFAIL);
        assert_non_null(strstr(kit->messages.data, "File too large"));
        assert_int_equal(kit_files(kit), 2);
    }
    struct table *table = kit_open(kit);

    assert_non_null(table);
    assert_string_equal(kit_find(kit, table, "a"), "OK");
    table_unref(&table);
    strbuf_fini(&text);
}

static void test_stop_leaves_nothing(void **state)
{
    static volatile sig_atomic_t stop = 1;
    struct kit *kit = *state;
    struct mapfile_job job = {
        .format = &kit_format, .map_path = kit->map, .source_path = kit->text, .stop = &stop};

    kit_write(kit->text, "a OK\n", 5);
    assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_TEMPFAIL);
    assert_string_equal(kit->messages.data, "");
    assert_int_equal(kit_files(kit), 1);
}

static void test_what_a_killed_writer_left_is_replaced(void **state)
{
    struct kit *kit = *state;
    char left[KIT_PATH_SIZE + 8];

    (void)snprintf(left, sizeof(left), "%s.new", kit->map);
    kit_write(left, "half a map", 10);
    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    assert_int_equal(kit_files(kit), 2);
}

/* Eight processes at once make the same map, again and again: each result is whole, and nothing is left. */
static void test_writers_take_turns(void **state)
{
    struct kit *kit = *state;
    struct strbuf text;

    strbuf_init(&text);
    many_lines(&text, 500);
    kit_write(kit->text, text.data, text.len);
    for (int child = 0; child < 8; child++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            int wrong = 0;

            for (int i = 0; i < 10; i++) {
                struct mapfile_job job = {
                    .format = &kit_format, .map_path = kit->map, .source_path = kit->text};
                struct table *table = NULL;

                wrong += mapfile_build(&job, &kit->diag, &kit->result) != STATUS_OK;
                table = table_gdbm_open("access", kit->map, kit->text, &kit->why);
                wrong += table == NULL || table_count(table) != 500;
                table_unref(&table);
            }
            _exit(wrong);
        }
    }
    for (int child = 0; child < 8; child++) {
        int result;

        assert_true(wait(&result) > 0);
        assert_int_equal(result, 0);
    }
    assert_int_equal(kit_files(kit), 2);
    strbuf_fini(&text);
}

/* ---- the header ---- */

static void test_is_current(void **state)
{
    struct kit *kit = *state;
    struct strbuf why;
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    static const struct mapfile_format other = {.name = "other"};

    strbuf_init(&why);
    assert_false(mapfile_is_current(kit->map, kit->text, &kit_format, &why));
    assert_non_null(strstr(why.data, "No such file"));
    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    assert_true(mapfile_is_current(kit->map, kit->text, &kit_format, NULL));

    strbuf_reset(&why);
    assert_false(mapfile_is_current(kit->map, kit->text, &other, &why));
    assert_non_null(strstr(why.data, "kind \"test\""));
    strbuf_reset(&why);
    assert_false(mapfile_is_current(kit->map, "/elsewhere", &kit_format, &why));
    assert_non_null(strstr(why.data, "was made from"));
    strbuf_reset(&why);
    assert_int_equal(utimensat(AT_FDCWD, kit->text, times, 0), 0);
    assert_false(mapfile_is_current(kit->map, kit->text, &kit_format, &why));
    assert_non_null(strstr(why.data, "was changed"));
    strbuf_reset(&why);
    kit_write(kit->map, "junk", 4);
    assert_false(mapfile_is_current(kit->map, kit->text, &kit_format, &why));
    assert_true(why.len > 0);
    strbuf_fini(&why);
}

static void test_prefix_lengths(void **state)
{
    struct kit *kit = *state;
    const unsigned char *lengths;

    assert_int_equal(kit_build(kit, "10 OK\n10.0.0.0/9 OK\n192.0.2.0/25 OK\n192.0.3.0/25 OK\n"
                                    "192.0.2.0/24 OK\n0.0.0.0/0 OK\n2001:db8::/33 OK\n::/0 OK\n"
                                    "2001:db8::/32 OK\n"),
                     STATUS_OK);
    struct table *table = kit_open(kit);

    assert_non_null(table);
    assert_int_equal(table_count(table), 9);
    assert_int_equal(table_prefixes(table, NETADDR_IPV4, &lengths), 3);
    assert_int_equal(lengths[0], 25);
    assert_int_equal(lengths[1], 9);
    assert_int_equal(lengths[2], 0);
    assert_int_equal(table_prefixes(table, NETADDR_IPV6, &lengths), 1);
    assert_int_equal(lengths[0], 33);
    assert_string_equal(kit_find(kit, table, "ipv6"), "OK");
    table_unref(&table);
}

struct progress {
    unsigned calls;
    double last;
};

static void note_progress(void *ctx, double fraction)
{
    struct progress *progress = ctx;

    assert_true(fraction >= progress->last && fraction <= 1);
    progress->calls++;
    progress->last = fraction;
}

static void test_progress(void **state)
{
    struct kit *kit = *state;
    struct progress progress = {0};
    struct mapfile_job job = {
        .format = &kit_format,
        .map_path = kit->map,
        .source_path = kit->text,
        .progress = note_progress,
        .progress_ctx = &progress,
    };
    struct strbuf text;

    strbuf_init(&text);
    many_lines(&text, 20000);
    kit_write(kit->text, text.data, text.len);
    assert_int_equal(mapfile_build(&job, &kit->diag, &kit->result), STATUS_OK);
    assert_int_equal(kit->result.lines, 20000);
    assert_true(progress.calls > 3);
    assert_true(progress.last >= 1);
    strbuf_fini(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_error_leaves_the_old_map),
        TEST(test_mode_is_that_of_map_or_text),
        TEST(test_owner_is_that_of_the_old_map),
        TEST(test_stdin_without_text_takes_the_folders_group),
        TEST(test_missing_and_unreadable_text),
        TEST(test_folder_that_cannot_be_written),
        TEST(test_full_disk),
        TEST(test_stop_leaves_nothing),
        TEST(test_what_a_killed_writer_left_is_replaced),
        TEST(test_writers_take_turns),
        TEST(test_is_current),
        TEST(test_prefix_lengths),
        TEST(test_progress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
