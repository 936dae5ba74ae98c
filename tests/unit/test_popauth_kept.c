/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logins while the store is away: what its return makes of them. */
#include "milter/popauth_kept.h"
#include "tests/unit/popauth_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 30000
#define EVENT(name, address, port)                                                            \
    "{\"event\":\"" name "\",\"categories\":[\"service:imap\"],\"fields\":{\"user\":\"eve\"," \
    "\"remote_ip\":\"" address "\",\"remote_port\":" port "}}\n"
#define EVENT_LOGIN(address, port) EVENT("auth_master_client_login_finished", address, port)
#define EVENT_LOGOUT(address, port) EVENT("mail_user_session_finished", address, port)

/* The folder of its file is not there. */
static int setup_away(void **state)
{
    (void)popauth_kit_setup(state);
    struct popauth_kit *fixture = *state;

    popauth_kit_stop(fixture);
    site_path(&fixture->site, "later/relayers.gdbm", fixture->file);
    popauth_kit_start(fixture);
    return 0;
}

static void bring_back(struct popauth_kit *fixture)
{
    char folder[SITE_PATH_SIZE];

    assert_int_equal(mkdir(site_path(&fixture->site, "later", folder), 0700), 0);
}

static int teardown_away(void **state)
{
    struct popauth_kit *fixture = *state;
    static const char *const suffixes[] = {"", ".journal", ".lock"};
    char path[SITE_PATH_SIZE];
    char name[64];

    popauth_kit_stop(fixture);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        (void)snprintf(name, sizeof(name), "later/relayers.gdbm%s", suffixes[i]);
        (void)unlink(site_path(&fixture->site, name, path));
    }
    (void)rmdir(site_path(&fixture->site, "later", path));
    site_path(&fixture->site, "relayers.gdbm", fixture->file);
    popauth_kit_start(fixture);
    return popauth_kit_teardown(state);
}

/* The answer to one line. */
static void expect(struct popauth_kit *fixture, const char *line, const char *begin)
{
    char got[512];
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, line);
    assert_int_equal(server_kit_get(fd, got, strlen(begin)), strlen(begin));
    assert_string_equal(got, begin);
    (void)close(fd);
}

static struct popauth_stats stats_of(struct popauth_kit *fixture)
{
    struct popauth_stats stats;

    popauth_stats(fixture->popauth, &stats);
    return stats;
}

/* Nothing waits for the store any more. */
static void wait_for_all(struct popauth_kit *fixture)
{
    int64_t until = server_kit_now() + WAIT_MS;

    while (stats_of(fixture).kept > 0 || stats_of(fixture).sessions.owed > 0) {
        assert_true(server_kit_now() < until);
        (void)usleep(10000);
    }
}

static void wait_for_kept(struct popauth_kit *fixture, size_t kept)
{
    int64_t until = server_kit_now() + WAIT_MS;

    while (stats_of(fixture).kept < kept) {
        assert_true(server_kit_now() < until);
        (void)usleep(10000);
    }
}

static int64_t date_of(struct popauth_kit *fixture, const char *address, const char *user)
{
    struct relay_found found = {.login_at = 0};

    assert_int_equal(popauth_kit_find(fixture, address, &found), STATUS_OK);
    assert_string_equal(found.user, user);
    return found.login_at;
}

static void test_logins_are_recorded_later(void **state)
{
    struct popauth_kit *fixture = *state;
    int64_t begun = (int64_t)time(NULL);

    expect(fixture, "login 192.0.2.1 user=ann service=pop3\n", POPAUTH_MAY_PASS);
    expect(fixture, "login 192.0.2.2 user=bob keep=no\n", POPAUTH_MAY_PASS);
    expect(fixture, "login 192.0.2.3 user=cat session=3\n", POPAUTH_MAY_PASS);
    expect(fixture, "login 192.0.2.4 user=dan session=4\n", POPAUTH_MAY_PASS);
    expect(fixture, "logout 192.0.2.4 session=4\n", POPAUTH_MAY_PASS);
    expect(fixture, "login 192.0.2.5 user=x session=5 keep=no\n", POPAUTH_MAY_PASS);
    expect(fixture, "logout 192.0.2.5 session=5\n", "ok\n"); /* which never began */
    expect(fixture, "add 192.0.2.6\n", POPAUTH_MAY_PASS);
    server_kit_ask(&fixture->kit,
                   EVENT_LOGIN("192.0.2.7", "1") EVENT_LOGIN("192.0.2.8", "1")
                       EVENT_LOGOUT("192.0.2.8", "1"),
                   "");
    wait_for_kept(fixture, 3); /* of those whose session is not open */
    assert_int_equal(stats_of(fixture).kept, 3);
    assert_int_equal(stats_of(fixture).sessions.sessions, 2);
    assert_int_equal(stats_of(fixture).sessions.owed, 2);

    int64_t told = (int64_t)time(NULL);

    (void)sleep(2);
    bring_back(fixture);
    wait_for_all(fixture);
    assert_in_range(date_of(fixture, "192.0.2.1", "ann"), begun, told);
    assert_in_range(date_of(fixture, "192.0.2.4", "dan"), begun, told);
    assert_in_range(date_of(fixture, "192.0.2.8", "eve"), begun, told);
    assert_true(date_of(fixture, "192.0.2.3", "cat") > told); /* they are logged in still */
    assert_true(date_of(fixture, "192.0.2.7", "eve") > told);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.2", NULL), STATUS_NOTFOUND);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.5", NULL), STATUS_NOTFOUND);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.6", NULL), STATUS_NOTFOUND);
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 2);
}

/* A user who comes from too many addresses is noticed all the same, with and without an open session. */
static void test_limits_hold(void **state)
{
    struct popauth_kit *fixture = *state;
    const struct relay_terms terms = {.max_entries = 20000,
                                      .ipv6_prefix_bits = 64,
                                      .addresses_per_user = 1,
                                      .addresses_exceeded = RELAY_EXCESS_REFUSE};

    relay_store_configure(fixture->store, &terms);
    for (int number = 1; number <= 3; number++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "login 192.0.2.%d user=ann session=%d\n", number,
                       number);
        expect(fixture, line, POPAUTH_MAY_PASS);
        (void)snprintf(line, sizeof(line), "login 192.0.2.10%d user=bob\n", number);
        expect(fixture, line, POPAUTH_MAY_PASS);
    }
    bring_back(fixture);
    wait_for_all(fixture);
    assert_int_equal(stats_of(fixture).excesses, 4);
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 1);
    struct relay_store_stats stats;

    relay_store_stats(fixture->store, &stats);
    assert_int_equal(stats.entries, 2);
}

#define COUNTED 100u /* as many as popauth_kit.h says */
#define SURPLUS 50u

/* Of an endless flood as many are kept as may be, and all of these are recorded. */
static void test_no_more_than_there_is_room_for(void **state)
{
    struct popauth_kit *fixture = *state;
    struct relay_store_stats stats;
    int fd = server_kit_dial(&fixture->kit);
    char event[256];

    for (unsigned n = 0; n < COUNTED + POPAUTH_KEPT_MAX + SURPLUS; n++) {
        (void)snprintf(event, sizeof(event),
                       "{\"event\":\"auth_master_client_login_finished\",\"categories\":[\"service:"
                       "pop3\"],\"fields\":{\"remote_ip\":\"10.2.%u.%u\",\"remote_port\":%u}}\n",
                       n >> 8, n & 255, n + 1);
        server_kit_put(fd, event);
    }
    (void)close(fd);
    wait_for_kept(fixture, POPAUTH_KEPT_MAX);
    expect(fixture, "login 192.0.2.1\n", POPAUTH_MAY_PASS);
    assert_int_equal(stats_of(fixture).kept, POPAUTH_KEPT_MAX);
    bring_back(fixture);
    wait_for_all(fixture);
    relay_store_stats(fixture->store, &stats);
    assert_int_equal(stats.entries, COUNTED + POPAUTH_KEPT_MAX);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", NULL), STATUS_NOTFOUND);
}

/* Nothing of it is left, nor used when it is gone. */
static void test_end_while_the_store_is_away(void **state)
{
    struct popauth_kit *fixture = *state;
    int64_t begun = server_kit_now();

    while (server_kit_now() - begun < 3 * POPAUTH_KEPT_RETRY_MS / 2) {
        expect(fixture, "login 192.0.2.1\n", POPAUTH_MAY_PASS);
        expect(fixture, "login 192.0.2.2 session=1\n", POPAUTH_MAY_PASS);
        (void)usleep(1000);
    }
    assert_true(stats_of(fixture).kept > 0);
    assert_int_equal(stats_of(fixture).sessions.owed, 1);
}

/* ---- the module alone ---- */

#define KEEP_MS 1500

struct one {
    struct popauth_kept *kept;
    struct popauth_kept_change item;
    struct relay_change change;
    atomic_uint attempts; /* of the store */
    atomic_uint dropped;
};

static void done(struct relay_change *change, enum status status, const char *why, size_t count)
{
    struct one *one = change->ctx;

    (void)count;
    assert_int_equal(status, STATUS_TEMPFAIL);
    (void)atomic_fetch_add(&one->attempts, 1);
    assert_true(popauth_kept_add(one->kept, &one->item, why));
}

static void is_dropped(struct relay_change *change, const char *why)
{
    struct one *one = change->ctx;

    assert_non_null(strstr(why, "too long"));
    (void)atomic_fetch_add(&one->dropped, 1);
}

static void nothing(void *owner)
{
    (void)owner;
}

static void finish(void *owner)
{
    popauth_kept_finish(owner);
}

static void test_what_is_too_old_is_dropped(void **state)
{
    struct popauth_kit *fixture = *state;
    const struct popauth_kept_owner owner = {.attempt = nothing, .dropped = is_dropped};
    struct one one = {.item.change = &one.change, .change = {.kind = RELAY_LOGIN, .ctx = &one}};
    int64_t begun = server_kit_now();

    one.change.done = done;
    one.change.entry = (struct relay_entry){.login_at = 1000, .user = "", .service = ""};
    assert_true(netaddr_parse("192.0.2.1", &one.change.entry.addr));
    one.kept = popauth_kept_new(fixture->loop, fixture->store, KEEP_MS, &owner, NULL);
    relay_store_submit(fixture->store, &one.change);
    while (atomic_load(&one.dropped) == 0) {
        assert_true(server_kit_now() < begun + WAIT_MS);
        (void)usleep(10000);
    }
    assert_true(server_kit_now() >= begun + KEEP_MS);
    assert_in_range(atomic_load(&one.attempts), 2, 1 + KEEP_MS / POPAUTH_KEPT_RETRY_MS + 1);
    assert_int_equal(popauth_kept_count(one.kept), 0);
    eventloop_call(fixture->loop, finish, one.kept);
    popauth_kept_free(&one.kept);
    assert_null(one.kept);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_away, teardown_away)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_logins_are_recorded_later),      TEST(test_limits_hold),
        TEST(test_no_more_than_there_is_room_for), TEST(test_end_while_the_store_is_away),
        TEST(test_what_is_too_old_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
