/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The entries of open sessions, kept alive in a real store. */
#include "lib/base/xalloc.h"
#include "lib/relay/relay_store_ops.h"
#include "milter/popauth_sessions.h"
#include "tests/unit/server_kit.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 20000
#define MANY 2500u

struct fixture {
    struct site site;
    char file[SITE_PATH_SIZE];
    struct relay_store *store;
    struct eventloop *loop;
    struct relay_sessions_terms terms;
    struct popauth_sessions *sessions;
};

static void no_excess(void *owner, const struct relay_change *change, bool granted, size_t removed)
{
    (void)owner;
    (void)change;
    (void)granted;
    (void)removed;
    fail_msg("there is no limit");
}

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    struct strbuf why;

    strbuf_init(&why);
    site_init(&fixture->site);
    site_path(&fixture->site, "relayers.gdbm", fixture->file);
    const struct relay_store_options options = {
        .file = fixture->file, .terms = {.max_entries = 20000, .ipv6_prefix_bits = 128}};

    fixture->store = relay_store_open(&options, &why);
    assert_non_null(fixture->store);
    fixture->loop = eventloop_new();
    assert_non_null(fixture->loop);
    assert_true(eventloop_start(fixture->loop));
    fixture->terms = (struct relay_sessions_terms){
        .max_hours = 24, .max_sessions = 10000, .window_minutes = 60, .ipv6_prefix_bits = 128};
    fixture->sessions = popauth_sessions_new(fixture->loop, fixture->store, &fixture->terms,
                                             no_excess, NULL, NULL);
    strbuf_fini(&why);
    *state = fixture;
    return 0;
}

static void finish(void *owner)
{
    popauth_sessions_finish(owner);
}

/* As the daemon ends. */
static int teardown(void **state)
{
    struct fixture *fixture = *state;

    eventloop_call(fixture->loop, finish, fixture->sessions);
    relay_store_close(&fixture->store);
    popauth_sessions_free(&fixture->sessions);
    assert_null(fixture->sessions);
    eventloop_free(&fixture->loop);
    site_fini(&fixture->site);
    free(fixture);
    return 0;
}

/* ---- what is done ---- */

struct login {
    struct fixture *fixture;
    struct popauth_line line;
};

static void begin(void *owner)
{
    struct login *login = owner;

    assert_true(popauth_sessions_begin(login->fixture->sessions, &login->line));
}

/* A login of so many seconds ago, with or without an entry in the store. */
static void log_in(struct fixture *fixture, const char *client, int seconds, bool has_entry)
{
    struct login login = {
        .fixture = fixture,
        .line = {
            .verb = POPAUTH_LOGIN,
            .entry = {.login_at = (int64_t)time(NULL) - seconds, .user = "ann", .service = "imap"},
            .session = "a"}};
    struct relay_change change = {.kind = RELAY_LOGIN};

    assert_true(netaddr_parse(client, &login.line.entry.addr));
    change.entry = login.line.entry;
    eventloop_call(fixture->loop, begin, &login);
    if (has_entry) {
        assert_int_equal(relay_store_apply(fixture->store, &change, NULL, NULL), STATUS_OK);
    }
    (void)popauth_sessions_settle(fixture->sessions, &login.line, RELAY_SESSIONS_GRANTED);
}

static void remove_entry(struct fixture *fixture, const char *client)
{
    struct relay_change change = {.kind = RELAY_REMOVE};

    assert_true(netaddr_parse(client, &change.entry.addr));
    assert_int_equal(relay_store_apply(fixture->store, &change, NULL, NULL), STATUS_OK);
}

/* With another window all is due at once. */
static void set_window(struct fixture *fixture, unsigned minutes)
{
    fixture->terms.window_minutes = minutes;
    popauth_sessions_configure(fixture->sessions, &fixture->terms);
}

static int64_t date_of(struct fixture *fixture, const char *client)
{
    struct relay_found found;
    struct netaddr addr;

    assert_true(netaddr_parse(client, &addr));
    return relay_store_find(fixture->store, &addr, (int64_t)time(NULL), &found) == STATUS_OK
               ? found.login_at
               : 0;
}

static void wait_for_date(struct fixture *fixture, const char *client, int64_t date)
{
    int64_t until = server_kit_now() + WAIT_MS;

    while (date_of(fixture, client) < date) {
        assert_true(server_kit_now() < until);
        (void)usleep(1000);
    }
}

static struct relay_sessions_stats stats_of(struct fixture *fixture)
{
    struct relay_sessions_stats stats;

    relay_sessions_stats(popauth_sessions_counted(fixture->sessions), &stats);
    return stats;
}

static void wait_for_touches(struct fixture *fixture, uint64_t touches)
{
    int64_t until = server_kit_now() + WAIT_MS;

    while (stats_of(fixture).touches < touches) {
        assert_true(server_kit_now() < until);
        (void)usleep(1000);
    }
}

/* ---- tests ---- */

static void test_entries_are_touched(void **state)
{
    struct fixture *fixture = *state;
    int64_t now = (int64_t)time(NULL);

    log_in(fixture, "192.0.2.1", 100, true);
    log_in(fixture, "2001:db8::1", 200, true);
    assert_in_range(date_of(fixture, "192.0.2.1"), now - 100, now - 90);
    set_window(fixture, 6);
    wait_for_date(fixture, "192.0.2.1", now);
    wait_for_date(fixture, "2001:db8::1", now);
    assert_int_equal(stats_of(fixture).touches, 2);
    set_window(fixture, 6); /* no change */
    assert_int_equal(stats_of(fixture).touches, 2);
}

static void test_many_go_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    struct relay_store_stats before;
    struct relay_store_stats after;
    char client[32];

    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(client, sizeof(client), "10.0.%u.%u", i / 250, i % 250);
        log_in(fixture, client, 100, true);
    }
    relay_store_stats(fixture->store, &before);
    set_window(fixture, 6);
    wait_for_touches(fixture, MANY);
    relay_store_stats(fixture->store, &after);
    assert_int_equal(stats_of(fixture).touches, MANY);
    assert_in_range(after.syncs - before.syncs, 3, 6);
}

/* Somebody took the entry away: nobody brings it back. */
static void test_withdrawn(void **state)
{
    struct fixture *fixture = *state;

    log_in(fixture, "192.0.2.1", 100, true);
    log_in(fixture, "192.0.2.2", 100, true);
    remove_entry(fixture, "192.0.2.1");
    set_window(fixture, 6);
    wait_for_touches(fixture, 1);
    int64_t until = server_kit_now() + WAIT_MS;

    while (stats_of(fixture).withdrawn == 0) {
        assert_true(server_kit_now() < until);
        (void)usleep(1000);
    }
    assert_int_equal(stats_of(fixture).sessions, 1);
    assert_int_equal(date_of(fixture, "192.0.2.1"), 0);
}

/* It expired, because the store was away for longer than a window. */
static void test_granted_anew(void **state)
{
    struct fixture *fixture = *state;
    int64_t now = (int64_t)time(NULL);
    struct relay_found found;
    struct netaddr addr;

    log_in(fixture, "192.0.2.1", 6 * 60 + 1, false);
    set_window(fixture, 6);
    wait_for_date(fixture, "192.0.2.1", now);
    assert_true(netaddr_parse("192.0.2.1", &addr));
    assert_int_equal(relay_store_find(fixture->store, &addr, now, &found), STATUS_OK);
    assert_string_equal(found.user, "ann");
    assert_string_equal(found.service, "imap");
    assert_int_equal(stats_of(fixture).sessions, 1);
    assert_int_equal(stats_of(fixture).withdrawn, 0);
}

/* A touch and a grant anew may be under way when all ends; nothing of it is lost, nor used when it is gone. */
static void test_end_in_the_midst(void **state)
{
    struct fixture *fixture = *state;
    char client[32];

    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(client, sizeof(client), "10.0.0.%u", i);
        log_in(fixture, client, 6 * 60 + 1, i % 2 == 0);
    }
    set_window(fixture, 6);
}

/* A store that has lost its entries, and could not record bob while it was recording ann. */
struct trouble {
    struct relay_store store;
    struct login bob;
    struct popauth_sessions *sessions;
    unsigned logins;
    char users[2][RELAY_USER_MAX + 1];
};

static enum status play(struct trouble *trouble, const struct relay_change *change)
{
    if (change->kind != RELAY_LOGIN) {
        return STATUS_NOTFOUND;
    }
    assert_in_range(trouble->logins, 0, 1);
    (void)strcpy(trouble->users[trouble->logins], change->entry.user);
    if (trouble->logins++ == 0) {
        assert_true(popauth_sessions_begin(trouble->sessions, &trouble->bob.line));
        assert_true(
            popauth_sessions_settle(trouble->sessions, &trouble->bob.line, RELAY_SESSIONS_OWED));
    }
    return STATUS_OK;
}

static void submit(struct relay_store *store, struct relay_change *changes)
{
    while (changes != NULL) {
        struct relay_change *change = changes;

        changes = change->next;
        change->done(change, play((struct trouble *)store, change), "", 0);
    }
}

static void test_owed_while_another_is_granted(void **state)
{
    static const struct relay_store_ops ops = {.submit = submit};
    struct fixture *fixture = *state;
    struct relay_store *store = fixture->store;
    struct popauth_sessions *sessions = fixture->sessions;
    struct trouble trouble = {.store.ops = &ops};
    struct login ann = {.fixture = fixture,
                        .line = {.verb = POPAUTH_LOGIN,
                                 .entry = {.login_at = (int64_t)time(NULL), .user = "ann"},
                                 .session = "a"}};

    ann.line.entry.service = "imap";
    assert_true(netaddr_parse("192.0.2.1", &ann.line.entry.addr));
    trouble.bob = ann;
    trouble.bob.line.entry.user = "bob";
    trouble.bob.line.session[0] = 'b';
    fixture->store = &trouble.store;
    fixture->sessions = trouble.sessions = popauth_sessions_new(
        fixture->loop, fixture->store, &fixture->terms, no_excess, NULL, NULL);
    eventloop_call(fixture->loop, begin, &ann);
    assert_true(popauth_sessions_settle(fixture->sessions, &ann.line, RELAY_SESSIONS_OWED));
    set_window(fixture, 6);
    int64_t until = server_kit_now() + WAIT_MS;

    while (stats_of(fixture).owed > 0) {
        assert_true(server_kit_now() < until);
        (void)usleep(1000);
    }
    assert_int_equal(stats_of(fixture).sessions, 2);
    eventloop_call(fixture->loop, finish, fixture->sessions);
    popauth_sessions_free(&fixture->sessions);
    assert_int_equal(trouble.logins, 2);
    assert_string_equal(trouble.users[0], "ann");
    assert_string_equal(trouble.users[1], "bob");
    fixture->store = store;
    fixture->sessions = sessions;
}

static void test_who_ends_is_not_touched(void **state)
{
    struct fixture *fixture = *state;
    struct relay_sessions_grant grant;
    struct popauth_line line = {.verb = POPAUTH_LOGOUT, .session = "a"};

    log_in(fixture, "192.0.2.1", 100, true);
    log_in(fixture, "192.0.2.2", 100, true);
    assert_true(netaddr_parse("192.0.2.1", &line.entry.addr));
    line.session[0] = '\0';
    assert_false(popauth_sessions_end(fixture->sessions, &line, &grant));
    line.session[0] = 'a';
    assert_true(popauth_sessions_end(fixture->sessions, &line, &grant));
    assert_false(popauth_sessions_end(fixture->sessions, &line, &grant));
    set_window(fixture, 6);
    wait_for_touches(fixture, 1);
    assert_int_equal(stats_of(fixture).touches, 1);
    assert_true(date_of(fixture, "192.0.2.1") < (int64_t)time(NULL) - 50);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_entries_are_touched),
        TEST(test_many_go_in_pieces),
        TEST(test_withdrawn),
        TEST(test_granted_anew),
        TEST(test_end_in_the_midst),
        TEST(test_who_ends_is_not_touched),
        TEST(test_owed_while_another_is_granted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
