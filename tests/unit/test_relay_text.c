/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * POP-before-SMTP addresses as text: what is written, what is read, what is refused, and what an unchanged line keeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/relay/relay_text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct problems {
    char text[4096]; /* LINE: text, each on a line */
};

static void collect(void *ctx, const struct diag_item *item)
{
    struct problems *problems = ctx;
    size_t len = strlen(problems->text);

    assert_string_equal(item->file, "text");
    (void)snprintf(problems->text + len, sizeof(problems->text) - len, "%u: %s\n", item->line,
                   item->text);
}

static int file_of(const char *text, size_t len)
{
    int fd = memfd_create("text", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static enum status read_text(const char *text, size_t max_entries, struct problems *problems,
                             struct relay_list *list)
{
    struct diag diag;
    int fd = file_of(text, strlen(text));

    problems->text[0] = '\0';
    diag_init(&diag, collect, problems);
    enum status status = relay_text_read(fd, "text", max_entries, &diag, list);

    assert_int_equal(diag.errors > 0, status != STATUS_OK);
    (void)close(fd);
    return status;
}

static struct netaddr address(const char *text)
{
    struct netaddr addr;
    const char *why;

    assert_true(relay_entry_parse_address(text, &addr, &why));
    return addr;
}

/* ---- writing ---- */

static void check_written(const char *addr, int64_t when, const char *user, const char *service,
                          enum relay_text_fields fields, const char *expected)
{
    const struct relay_entry entry = {address(addr), when, user, service};
    struct strbuf out;

    strbuf_init(&out);
    relay_text_write(&entry, fields, &out);
    assert_string_equal(out.data, expected);
    strbuf_fini(&out);
}

static void test_write(void **state)
{
    (void)state;
    check_written("10.11.12.13", 906502527, "", "", RELAY_TEXT_TWO,
                  "# timestamp (UTC): Tue Sep 22 22:15:27 1998\n10.11.12.13 906502527\n");
    check_written("10.11.12.13", 906502527, "ann", "pop3", RELAY_TEXT_TWO,
                  "# timestamp (UTC): Tue Sep 22 22:15:27 1998\n10.11.12.13 906502527\n");
    check_written("10.11.12.13", 906502527, "ann", "pop3", RELAY_TEXT_ALL,
                  "# timestamp (UTC): Tue Sep 22 22:15:27 1998\n"
                  "10.11.12.13 906502527 user=ann service=pop3\n");
    /* One digit of the day is padded with a blank, as asctime() does. */
    check_written("2001:db8::/64", 1000000000, "", "", RELAY_TEXT_ALL,
                  "# timestamp (UTC): Sun Sep  9 01:46:40 2001\n2001:db8::/64 1000000000\n");
    check_written("::ffff:192.0.2.1", 0, "", "", RELAY_TEXT_ALL,
                  "# timestamp (UTC): Thu Jan  1 00:00:00 1970\n192.0.2.1 0\n");
}

/* A user is what a client typed: it cannot end the line, forge a field, or steer a terminal. */
static void test_write_hostile_user(void **state)
{
    (void)state;
    check_written("192.0.2.1", 1, "a b\n10.0.0.1 99\x1b[2J%\xff", "", RELAY_TEXT_ALL,
                  "# timestamp (UTC): Thu Jan  1 00:00:01 1970\n"
                  "192.0.2.1 1 user=a%20b%0A10.0.0.1%2099%1B[2J%25%FF\n");
}

/* ---- reading ---- */

static void test_read(void **state)
{
    struct problems problems;
    struct relay_list list;

    (void)state;
    relay_list_init(&list);
    assert_int_equal(read_text("# a comment\n\n  \t \n"
                               "10.11.12.13 906502527\n"
                               "   # another\n"
                               "  192.0.2.2\t1700000000 \t user=a%20b service=imap  \n"
                               "IPv6:2001:DB8:0::1 5 color=red\n"
                               "2001:db8:0:1::/64 7\r\n"
                               "::ffff:192.0.2.3 8",
                               5, &problems, &list),
                     STATUS_OK);
    assert_int_equal(list.count, 5);
    relay_list_sort(&list);
    struct strbuf out;

    strbuf_init(&out);
    for (size_t i = 0; i < list.count; i++) {
        relay_text_write_line(&list.entries[i], RELAY_TEXT_ALL, &out);
    }
    assert_string_equal(out.data, "10.11.12.13 906502527\n"
                                  "192.0.2.2 1700000000 user=a%20b service=imap\n"
                                  "192.0.2.3 8\n"
                                  "2001:db8::1 5\n"
                                  "2001:db8:0:1::/64 7\n");
    strbuf_fini(&out);
    relay_list_fini(&list);
}

static void check_refused(const char *text, const char *expected)
{
    struct problems problems;
    struct relay_list list;

    relay_list_init(&list);
    assert_int_equal(read_text(text, 100, &problems, &list), STATUS_INVALID);
    assert_string_equal(problems.text, expected);
    relay_list_fini(&list);
}

static void test_read_reports_every_bad_line(void **state)
{
    (void)state;
    check_refused(
        "10.0.0.1\n"
        "10.0.0.2 5\n"
        "10.0.0.300 5\n"
        "10.0.0.0/24 5\n"
        "2001:db8::1/64 5\n"
        "2001::/16 5\n"
        "10.0.0.3 then\n"
        "10.0.0.3 -5\n"
        "10.0.0.3 99999999999999999999\n"
        "10.0.0.3 5 word\n"
        "10.0.0.3 5 user=a user=b\n"
        "10.0.0.3 5 user=%zz\n",
        "1: \"10.0.0.1\": there is no timestamp behind the address\n"
        "3: \"10.0.0.300 5\": no IP address\n"
        "4: \"10.0.0.0/24 5\": an IPv4 network; name single addresses\n"
        "5: \"2001:db8::1/64 5\": bits are set behind the prefix length\n"
        "6: \"2001::/16 5\": a network of more than one site; the shortest prefix is /48\n"
        "7: \"10.0.0.3 then\": does not begin with a timestamp\n"
        "8: \"10.0.0.3 -5\": does not begin with a timestamp\n"
        "9: \"10.0.0.3 99999999999999999999\": does not begin with a timestamp\n"
        "10: \"10.0.0.3 5 word\": a word that is no name=value\n"
        "11: \"10.0.0.3 5 user=a user=b\": user is given twice\n"
        "12: \"10.0.0.3 5 user=%zz\": user: not printable, or a '%' without two hexadecimal "
        "digits\n");
}

/* However it is written, an address is there once. */
static void test_read_refuses_an_address_twice(void **state)
{
    (void)state;
    check_refused("10.0.0.1 5\n# x\n::ffff:10.0.0.1 6\n10.0.0.2 1\n10.0.0.1 5\n"
                  "2001:db8::/64 1\n2001:db8::/65 1\n2001:db8::/64 1\n",
                  "3: 10.0.0.1 stands in line 1 too\n"
                  "5: 10.0.0.1 stands in line 1 too\n"
                  "8: 2001:db8::/64 stands in line 6 too\n");
}

static void test_read_is_bounded(void **state)
{
    char line[RELAY_TEXT_MAX_LINE + 64];
    struct problems problems;
    struct relay_list list;

    (void)state;
    relay_list_init(&list);
    /* Told once; the lines behind it are read all the same, for what else is wrong with them. */
    assert_int_equal(read_text("10.0.0.1 5\n10.0.0.2 5\n10.0.0.3 5\n10.0.0.4 5\n10.0.0.5\n", 2,
                               &problems, &list),
                     STATUS_INVALID);
    assert_string_equal(problems.text,
                        "3: these are more than 2 entries\n"
                        "5: \"10.0.0.5\": there is no timestamp behind the address\n");
    assert_int_equal(list.count, 2);
    relay_list_fini(&list);
    (void)memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    check_refused(line, "1: the line is longer than 2048 bytes\n");
}

static void test_longest_entry_is_read_again(void **state)
{
    char user[RELAY_USER_MAX + 1];
    char service[RELAY_SERVICE_MAX + 1];
    struct problems problems;
    struct relay_list list;
    struct strbuf out;

    (void)state;
    (void)memset(user, '\xff', sizeof(user));
    (void)memset(service, '%', sizeof(service));
    user[RELAY_USER_MAX] = service[RELAY_SERVICE_MAX] = '\0';
    const struct relay_entry entry = {address("2001:db8:1111:2222:3333:4444:5555:6666"),
                                      253402300799, user, service};

    strbuf_init(&out);
    relay_text_write(&entry, RELAY_TEXT_ALL, &out);
    relay_list_init(&list);
    assert_int_equal(read_text(out.data, 1, &problems, &list), STATUS_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.entries[0].user, user);
    assert_string_equal(list.entries[0].service, service);
    assert_int_equal(list.entries[0].login_at, 253402300799);
    relay_list_fini(&list);
    strbuf_fini(&out);
}

static void test_read_failure_is_no_text(void **state)
{
    struct problems problems = {.text = ""};
    struct relay_list list;
    struct diag diag;

    (void)state;
    relay_list_init(&list);
    diag_init(&diag, collect, &problems);
    assert_int_equal(relay_text_read(-1, "text", 10, &diag, &list), STATUS_TEMPFAIL);
    assert_int_equal(diag.errors, 1);
    relay_list_fini(&list);
}

/* ---- lists ---- */

static void test_list_finds_what_it_has(void **state)
{
    enum { COUNT = 20000 };
    struct relay_list list;
    struct relay_entry entry = {.user = "", .service = ""};

    (void)state;
    relay_list_init(&list);
    entry.addr = address("10.0.0.0");
    assert_null(relay_list_find(&list, &entry.addr));
    for (int i = 0; i < COUNT; i++) {
        entry.addr.bytes[2] = (uint8_t)(i >> 8);
        entry.addr.bytes[3] = (uint8_t)i;
        entry.login_at = i;
        assert_int_equal(relay_list_add(&list, &entry), i);
        assert_int_equal(relay_list_add(&list, &entry), i);
    }
    assert_int_equal(list.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        entry.addr.bytes[2] = (uint8_t)(i >> 8);
        entry.addr.bytes[3] = (uint8_t)i;
        const struct relay_entry *found = relay_list_find(&list, &entry.addr);

        assert_non_null(found);
        assert_int_equal(found->login_at, i);
    }
    entry.addr.bytes[1] = 1;
    assert_null(relay_list_find(&list, &entry.addr));
    relay_list_fini(&list);
}

/* ---- with a store ---- */

static struct relay_store *open_store(char folder[32], char file[64])
{
    struct strbuf why;

    (void)snprintf(folder, 32, "/tmp/postern-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, 64, "%s/relayers.gdbm", folder);
    const struct relay_store_options options = {
        .file = file, .terms = {.max_entries = 100, .ipv6_prefix_bits = 128}};

    strbuf_init(&why);
    struct relay_store *store = relay_store_open(&options, &why);

    assert_non_null(store);
    strbuf_fini(&why);
    return store;
}

static void remove_store(const char *folder, const char *file)
{
    static const char *const ends[] = {"", ".journal", ".lock"};
    char path[96];

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", file, ends[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void add(struct relay_store *store, const char *addr, int64_t when, const char *user,
                const char *service)
{
    struct relay_change change = {.kind = RELAY_ADD, .entry = {address(addr), when, user, service}};
    struct strbuf why;
    size_t count;

    strbuf_init(&why);
    assert_int_equal(relay_store_apply(store, &change, &why, &count), STATUS_OK);
    strbuf_fini(&why);
}

static void test_unchanged_lines_keep_user_and_service(void **state)
{
    char folder[32];
    char file[64];
    struct relay_store *store = open_store(folder, file);
    struct problems problems;
    struct relay_list list;
    struct strbuf out;

    (void)state;
    add(store, "10.0.0.1", 100, "ann", "imap");
    add(store, "10.0.0.2", 100, "bob", "pop3");
    add(store, "10.0.0.3", 100, "eve", "");
    add(store, "10.0.0.4", 100, "joe", "imap");
    add(store, "2001:db8::/64", 100, "sue", "imap");
    relay_list_init(&list);
    assert_int_equal(read_text("10.0.0.1 100\n"          /* unchanged */
                               "10.0.0.2 101\n"          /* another date */
                               "10.0.0.3 100 user=eva\n" /* another user */
                               "10.0.0.5 100\n"          /* another address */
                               "2001:db8::/64 100\n",
                               100, &problems, &list),
                     STATUS_OK);
    assert_true(relay_list_keep(&list, store));
    relay_list_sort(&list);
    strbuf_init(&out);
    for (size_t i = 0; i < list.count; i++) {
        relay_text_write_line(&list.entries[i], RELAY_TEXT_ALL, &out);
    }
    assert_string_equal(out.data, "10.0.0.1 100 user=ann service=imap\n"
                                  "10.0.0.2 101\n"
                                  "10.0.0.3 100 user=eva\n"
                                  "10.0.0.5 100\n"
                                  "2001:db8::/64 100 user=sue service=imap\n");
    strbuf_fini(&out);
    relay_list_fini(&list);

    relay_list_init(&list);
    assert_true(relay_list_collect(&list, store));
    assert_int_equal(list.count, 5);
    relay_list_fini(&list);
    relay_store_close(&store);
    remove_store(folder, file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_hostile_user),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_reports_every_bad_line),
        cmocka_unit_test(test_read_refuses_an_address_twice),
        cmocka_unit_test(test_read_is_bounded),
        cmocka_unit_test(test_longest_entry_is_read_again),
        cmocka_unit_test(test_read_failure_is_no_text),
        cmocka_unit_test(test_list_finds_what_it_has),
        cmocka_unit_test(test_unchanged_lines_keep_user_and_service),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
