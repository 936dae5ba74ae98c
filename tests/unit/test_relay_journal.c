/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/relay_kit.h"

#include "lib/relay/relay_journal.h"
#include "lib/relay/relay_replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

/* `login ADDRESS VALUE`, ...: as a journal has it, without checksum. */
static void append_line(struct strbuf *out, enum relay_journal_op op, const char *rest)
{
    struct relay_journal_line line = {.op = op, .entry = {.user = "", .service = ""}};
    struct strbuf texts;

    strbuf_init(&texts);
    switch (op) {
    case RELAY_JOURNAL_LOGIN:
    case RELAY_JOURNAL_ADD:
    case RELAY_JOURNAL_ENTRY:
        line.entry = kit_entry(rest, &texts);
        break;
    case RELAY_JOURNAL_REMOVE:
        line.entry.addr = kit_address(rest);
        break;
    case RELAY_JOURNAL_EXPIRE:
        line.until = rest == NULL ? RELAY_JOURNAL_ALL : atoll(rest);
        break;
    case RELAY_JOURNAL_REPLACE:
        line.count = strtoull(rest, NULL, 10);
        break;
    case RELAY_JOURNAL_END:
        break;
    }
    relay_journal_format(&line, out);
    strbuf_fini(&texts);
}

static void test_lines_come_back(void **state)
{
    static const struct {
        enum relay_journal_op op;
        const char *rest;
        const char *text; /* behind the checksum */
    } cases[] = {
        {RELAY_JOURNAL_LOGIN, "192.0.2.1 5 user=a%20b service=imap",
         "login 192.0.2.1 5 user=a%20b service=imap\n"},
        {RELAY_JOURNAL_ADD, "2001:db8::/64 5", "add 2001:db8::/64 5\n"},
        {RELAY_JOURNAL_ENTRY, "2001:db8::1 0", "entry 2001:db8::1 0\n"},
        {RELAY_JOURNAL_REMOVE, "192.0.2.1", "remove 192.0.2.1\n"},
        {RELAY_JOURNAL_EXPIRE, "1700000000", "expire 1700000000\n"},
        {RELAY_JOURNAL_EXPIRE, NULL, "expire all\n"},
        {RELAY_JOURNAL_REPLACE, "1000000", "replace 1000000\n"},
        {RELAY_JOURNAL_END, NULL, "end\n"},
    };
    struct strbuf text;
    struct strbuf again;
    struct strbuf texts;

    (void)state;
    strbuf_init(&text);
    strbuf_init(&again);
    strbuf_init(&texts);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct relay_journal_line line;
        const char *why;

        strbuf_reset(&text);
        strbuf_reset(&again);
        append_line(&text, cases[i].op, cases[i].rest);
        assert_string_equal(text.data + 9, cases[i].text);
        assert_true(relay_journal_parse(text.data, text.len - 1, &texts, &line, &why));
        relay_journal_format(&line, &again);
        assert_string_equal(again.data, text.data);
        /* No byte can change without being noticed. */
        for (size_t at = 0; at + 1 < text.len; at++) {
            text.data[at] ^= 1;
            assert_false(relay_journal_parse(text.data, text.len - 1, &texts, &line, &why));
            text.data[at] ^= 1;
        }
    }
    strbuf_fini(&text);
    strbuf_fini(&again);
    strbuf_fini(&texts);
}

static void test_longest_line(void **state)
{
    char user[RELAY_USER_MAX + 1];
    char service[RELAY_SERVICE_MAX + 1];
    struct relay_journal_line line = {.op = RELAY_JOURNAL_REPLACE,
                                      .entry = {.user = user, .service = service}};
    struct strbuf text;

    (void)state;
    strbuf_init(&text);
    memset(user, 0xff, sizeof(user) - 1);
    memset(service, 0xff, sizeof(service) - 1);
    user[RELAY_USER_MAX] = '\0';
    service[RELAY_SERVICE_MAX] = '\0';
    line.op = RELAY_JOURNAL_ENTRY;
    line.entry.addr = kit_address("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
    line.entry.login_at = RELAY_LOGIN_MAX;
    relay_journal_format(&line, &text);
    assert_true(text.len <= RELAY_JOURNAL_LINE_MAX);
    strbuf_fini(&text);
}

/* ---- replay ---- */

static struct relay_replay replay(struct relay_index *index, const struct strbuf *text)
{
    struct relay_replay report;

    relay_replay_text(text->data, text->len, index, &report);
    return report;
}

static void test_replay(void **state)
{
    struct kit *kit = *state;
    struct relay_index *index = relay_index_new();
    struct strbuf text;

    strbuf_init(&text);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.1 5");
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.2 6");
    append_line(&text, RELAY_JOURNAL_REMOVE, "192.0.2.1");
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.2 4");
    append_line(&text, RELAY_JOURNAL_ADD, "192.0.2.3 2");
    append_line(&text, RELAY_JOURNAL_EXPIRE, "3");

    struct relay_replay report = replay(index, &text);

    assert_string_equal(kit_index_text(kit, index), "192.0.2.2 6\n");
    assert_int_equal(report.lines, 6);
    assert_int_equal(report.bad + report.torn_lines + report.torn_bytes, 0);
    assert_int_equal(report.good_bytes, text.len);
    strbuf_fini(&text);
    relay_index_free(&index);
}

/* Cut off anywhere: all whole lines count, and nothing is taken for damage. */
static void test_torn_at_any_byte(void **state)
{
    struct kit *kit = *state;
    struct strbuf text;
    size_t ends[4] = {0};

    strbuf_init(&text);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.1 5");
    ends[1] = text.len;
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.2 6");
    ends[2] = text.len;
    append_line(&text, RELAY_JOURNAL_REPLACE, "1");
    append_line(&text, RELAY_JOURNAL_ENTRY, "192.0.2.9 6");
    append_line(&text, RELAY_JOURNAL_END, NULL);
    ends[3] = text.len;
    for (size_t len = 0; len <= text.len; len++) {
        static const char *const expected[] = {"", "192.0.2.1 5\n", "192.0.2.1 5\n192.0.2.2 6\n",
                                               "192.0.2.9 6\n"};
        struct relay_index *index = relay_index_new();
        struct relay_replay report;
        unsigned whole = 3;

        while (ends[whole] > len) {
            whole--;
        }
        relay_replay_text(text.data, len, index, &report);
        assert_string_equal(kit_index_text(kit, index), expected[whole]);
        assert_int_equal(report.good_bytes, ends[whole]);
        assert_int_equal(report.torn_bytes, len - ends[whole]);
        assert_int_equal(report.bad + report.torn_lines, 0);
        relay_index_free(&index);
    }
    strbuf_fini(&text);
}

static void test_bad_line_in_the_middle(void **state)
{
    struct kit *kit = *state;
    struct relay_index *index = relay_index_new();
    struct strbuf text;

    strbuf_init(&text);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.1 5");
    size_t second = text.len;
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.2 5");
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.3 5");
    text.data[second + 12] ^= 4;

    struct relay_replay report = replay(index, &text);

    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n192.0.2.3 5\n");
    assert_int_equal(report.bad, 1);
    assert_int_equal(report.first_bad, 2);
    assert_non_null(report.bad_why);
    assert_int_equal(report.torn_lines, 0);
    relay_index_free(&index);

    /* The last one: perhaps a crash, perhaps damage; it does not count. */
    index = relay_index_new();
    text.data[second + 12] ^= 4;
    text.data[text.len - 3] ^= 4;
    report = replay(index, &text);
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n192.0.2.2 5\n");
    assert_int_equal(report.bad, 0);
    assert_int_equal(report.torn_lines, 1);
    relay_index_free(&index);
    strbuf_fini(&text);
}

/* Zeros at the end are room; before other lines they are lines that were lost. */
static void test_zeros(void **state)
{
    struct kit *kit = *state;
    struct relay_files files;
    struct strbuf text;
    const char zeros[1000] = {0};

    strbuf_init(&text);
    relay_files_init(&files, kit->file);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.1 5");
    size_t end = text.len;

    for (unsigned pieces = 1; pieces < 1000; pieces *= 9) {
        struct relay_index *index = relay_index_new();
        struct relay_replay report;

        for (unsigned i = 0; i < pieces; i++) {
            strbuf_append_len(&text, zeros, sizeof(zeros));
        }
        kit_write(kit->journal, text.data, text.len);
        assert_true(relay_replay(&files, files.journal, index, &report, &kit->why));
        assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n");
        assert_int_equal(report.bad + report.torn_lines + report.torn_bytes, 0);
        assert_int_equal(report.good_bytes, end);
        append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.2 5");
        kit_write(kit->journal, text.data, text.len);
        assert_true(relay_replay(&files, files.journal, index, &report, &kit->why));
        assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n192.0.2.2 5\n");
        assert_int_equal(report.bad, 1);
        assert_int_equal(report.good_bytes, text.len);
        relay_index_free(&index);
        text.len = end;
    }
    relay_files_fini(&files);
    strbuf_fini(&text);
}

static void test_damaged_replacement(void **state)
{
    struct kit *kit = *state;
    struct relay_index *index = relay_index_new();
    struct strbuf text;

    strbuf_init(&text);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.1 5");
    append_line(&text, RELAY_JOURNAL_REPLACE, "2");
    append_line(&text, RELAY_JOURNAL_ENTRY, "192.0.2.2 5");
    append_line(&text, RELAY_JOURNAL_ENTRY, "192.0.2.3 5");
    size_t end = text.len;
    append_line(&text, RELAY_JOURNAL_END, NULL);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.4 5");
    text.data[end] ^= 1;

    /* What follows was appended when all of it was on the disk. */
    struct relay_replay report = replay(index, &text);

    assert_string_equal(kit_index_text(kit, index), "192.0.2.2 5\n192.0.2.3 5\n192.0.2.4 5\n");
    assert_true(report.bad > 0);
    relay_index_free(&index);

    /* `end` and entries without a beginning. */
    index = relay_index_new();
    strbuf_reset(&text);
    append_line(&text, RELAY_JOURNAL_END, NULL);
    append_line(&text, RELAY_JOURNAL_ENTRY, "192.0.2.2 5");
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.4 5");
    report = replay(index, &text);
    assert_string_equal(kit_index_text(kit, index), "192.0.2.4 5\n");
    assert_int_equal(report.bad, 2);
    relay_index_free(&index);
    strbuf_fini(&text);
}

/* ---- a second time ---- */

static void append_random(struct strbuf *text, unsigned *seed)
{
    char rest[64];
    unsigned number = (unsigned)rand_r(seed) % 6;
    int date = rand_r(seed) % 8 + 1;

    (void)snprintf(rest, sizeof(rest), "192.0.2.%u %d", number, date);
    switch ((unsigned)rand_r(seed) % 7) {
    case 0:
        *strchr(rest, ' ') = '\0';
        append_line(text, RELAY_JOURNAL_REMOVE, rest);
        break;
    case 1:
        append_line(text, RELAY_JOURNAL_ADD, rest);
        break;
    case 2:
        (void)snprintf(rest, sizeof(rest), "%d", date / 2);
        append_line(text, RELAY_JOURNAL_EXPIRE, rest);
        break;
    case 3:
        append_line(text, RELAY_JOURNAL_REPLACE, "1");
        append_line(text, RELAY_JOURNAL_ENTRY, rest);
        append_line(text, RELAY_JOURNAL_END, NULL);
        break;
    default:
        append_line(text, RELAY_JOURNAL_LOGIN, rest);
    }
}

/* A snapshot may hold the beginning of the journal already: any part of it. */
static void test_replay_over_its_own_result(void **state)
{
    struct kit *kit = *state;
    unsigned seed = 3;

    for (unsigned round = 0; round < 300; round++) {
        struct strbuf text;
        size_t ends[24];
        char *expected = NULL;

        strbuf_init(&text);
        for (unsigned i = 0; i < COUNT(ends); i++) {
            append_random(&text, &seed);
            ends[i] = text.len;
        }
        for (unsigned i = (unsigned)COUNT(ends); i-- > 0;) {
            struct relay_index *index = relay_index_new();
            struct relay_replay report;

            relay_replay_text(text.data, ends[i], index, &report);
            if (expected == NULL) {
                expected = strdup(kit_index_text(kit, index));
            }
            relay_replay_text(text.data, text.len, index, &report);
            assert_string_equal(kit_index_text(kit, index), expected);
            relay_index_free(&index);
        }
        free(expected);
        strbuf_fini(&text);
    }
}

/* ---- files ---- */

static void test_write_and_roll_back(void **state)
{
    struct kit *kit = *state;
    struct relay_files files;
    struct relay_journal journal;
    struct relay_index *index = relay_index_new();
    struct relay_replay report;
    struct strbuf text;

    strbuf_init(&text);
    relay_files_init(&files, kit->file);
    assert_true(relay_journal_open(&journal, &files, 0, &kit->why));
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.1 5");
    assert_true(relay_journal_write(&journal, &text, &kit->why));
    assert_true(relay_journal_commit(&journal, &files, &kit->why));
    strbuf_reset(&text);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.2 5 user=a-long-one-that-is-taken-back");
    assert_true(relay_journal_write(&journal, &text, &kit->why));
    assert_true(relay_journal_rollback(&journal));
    strbuf_reset(&text);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.3 5");
    assert_true(relay_journal_write(&journal, &text, &kit->why));
    assert_true(relay_journal_commit(&journal, &files, &kit->why));

    assert_true(relay_journal_rotate(&journal, &files, &kit->why));
    strbuf_reset(&text);
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.4 5");
    assert_true(relay_journal_write(&journal, &text, &kit->why));
    assert_true(relay_journal_commit(&journal, &files, &kit->why));
    relay_journal_close(&journal);

    assert_true(relay_replay(&files, files.old_journal, index, &report, &kit->why));
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n192.0.2.3 5\n");
    assert_true(relay_replay(&files, files.journal, index, &report, &kit->why));
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n192.0.2.3 5\n192.0.2.4 5\n");
    assert_false(report.absent);
    assert_true(relay_replay(&files, files.new_journal, index, &report, &kit->why));
    assert_true(report.absent);
    relay_files_fini(&files);
    relay_index_free(&index);
    strbuf_fini(&text);
}

/* A journal full of bytes without a newline is no journal, and no matter of memory. */
static void test_no_newlines_at_all(void **state)
{
    struct kit *kit = *state;
    struct relay_files files;
    struct relay_index *index = relay_index_new();
    struct relay_replay report;
    size_t len = 3000000;
    struct strbuf text;

    strbuf_init(&text);
    while (text.len < len) {
        strbuf_append(&text, "0123456789");
    }
    strbuf_append_char(&text, '\n');
    append_line(&text, RELAY_JOURNAL_LOGIN, "192.0.2.1 5");
    kit_write(kit->journal, text.data, text.len);
    relay_files_init(&files, kit->file);
    assert_true(relay_replay(&files, files.journal, index, &report, &kit->why));
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n");
    assert_true(report.bad > 0);
    assert_int_equal(report.good_bytes, text.len);
    relay_files_fini(&files);
    relay_index_free(&index);
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_come_back),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test_setup_teardown(test_replay, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_torn_at_any_byte, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_bad_line_in_the_middle, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_zeros, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_replacement, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_replay_over_its_own_result, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_write_and_roll_back, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_no_newlines_at_all, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
