/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions that are open: which entries are to be touched, and when. */
#include "tests/unit/sessions_kit.h"

#include <stdio.h>

/* Touches all that is due, as if the store had said `status`; returns how many. */
static size_t touch_due(struct relay_sessions *sessions, int64_t now_ms, enum status status)
{
    static struct netaddr due[PIECE];
    struct relay_sessions_grant grant;
    int64_t date = KIT_NOW + (now_ms - BEGIN) / SECOND;
    size_t count = relay_sessions_take_due(sessions, now_ms, due, PIECE);

    for (size_t i = 0; i < count; i++) {
        (void)relay_sessions_touched(sessions, &due[i], status, date, date, &grant);
    }
    return count;
}

/* ---- touches ---- */

/* Looks each second: the longest time between two touches of one entry. */
static int64_t longest_gap(unsigned window_minutes, int64_t length)
{
    struct relay_sessions_terms terms = sessions_kit_usual;
    int64_t last = BEGIN;
    int64_t longest = 0;

    terms.window_minutes = window_minutes;
    struct relay_sessions *sessions = relay_sessions_new(&terms);

    login(sessions, "192.0.2.1", "a", BEGIN);
    for (int64_t now = BEGIN; now < BEGIN + length; now += SECOND) {
        if (touch_due(sessions, now, STATUS_OK) > 0) {
            longest = now - last > longest ? now - last : longest;
            last = now;
        }
    }
    relay_sessions_free(&sessions);
    return longest;
}

static void test_touches_come_in_time(void **state)
{
    (void)state;
    assert_in_range(longest_gap(1, 10 * MINUTE), 10 * SECOND, 20 * SECOND);
    assert_in_range(longest_gap(2, 10 * MINUTE), 15 * SECOND, 30 * SECOND);
    assert_in_range(longest_gap(60, 20 * HOUR), 7 * MINUTE, 15 * MINUTE);
    assert_in_range(longest_gap(0, 3 * HOUR), 2 * MINUTE, 5 * MINUTE);
}

static void test_what_is_taken_is_not_due_again(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr due[PIECE];
    int64_t now = BEGIN + 15 * MINUTE;

    login(sessions, "192.0.2.1", "a", BEGIN);
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN + MINUTE, due, PIECE), 0);
    assert_int_equal(relay_sessions_take_due(sessions, now, due, PIECE), 1);
    assert_int_equal(relay_sessions_take_due(sessions, now, due, PIECE), 0);
    assert_int_equal(relay_sessions_touched(sessions, &due[0], STATUS_TEMPFAIL, KIT_NOW + 900,
                                            KIT_NOW + 900, &grant),
                     RELAY_SESSIONS_DONE);
    assert_int_equal(relay_sessions_take_due(sessions, now, due, PIECE), 1); /* in vain */
    assert_int_equal(
        relay_sessions_touched(sessions, &due[0], STATUS_OK, KIT_NOW + 900, KIT_NOW + 900, &grant),
        RELAY_SESSIONS_DONE);
    assert_int_equal(relay_sessions_take_due(sessions, now, due, PIECE), 0);
    assert_true(ends(sessions, "192.0.2.1", "a", &grant));
    assert_int_equal(grant.date, KIT_NOW + 900);
}

/* A login sets the date, too; one that waits for the store has no entry to touch. */
static void test_logins_spare_touches(void **state)
{
    struct relay_sessions *sessions = *state;

    login(sessions, "192.0.2.1", "a", BEGIN);
    login(sessions, "192.0.2.1", "b", BEGIN + 14 * MINUTE);
    assert_int_equal(touch_due(sessions, BEGIN + 15 * MINUTE, STATUS_OK), 0);
    assert_int_equal(touch_due(sessions, BEGIN + 29 * MINUTE, STATUS_OK), 1);
    (void)begin(sessions, "192.0.2.2", "c", BEGIN);
    assert_int_equal(touch_due(sessions, BEGIN + 30 * MINUTE, STATUS_OK), 0);
}

/* All have logged in at once. Each is touched in time, and after two rounds no second has much more to do than another. */
static void test_many_are_spread(void **state)
{
    enum { ADDRESSES = 12000, WINDOW = 8, INTERVAL = 120 };
    const struct relay_sessions_terms terms = {.max_hours = 24,
                                               .max_sessions = ADDRESSES,
                                               .window_minutes = WINDOW,
                                               .ipv6_prefix_bits = 64};
    struct relay_sessions *sessions = relay_sessions_new(&terms);
    size_t all = 0;
    size_t most = 0;

    (void)state;
    for (unsigned i = 0; i < ADDRESSES; i++) {
        char client[32];

        (void)snprintf(client, sizeof(client), "10.0.%u.%u", i / 250, i % 250);
        login(sessions, client, "a", BEGIN);
    }
    for (int second = 0; second < 20 * INTERVAL; second++) {
        int64_t now = BEGIN + second * SECOND;
        size_t touched = 0;
        size_t piece;

        while ((piece = touch_due(sessions, now, STATUS_OK)) > 0) {
            touched += piece;
        }
        all += touched;
        if (second < INTERVAL / 2) {
            assert_int_equal(touched, 0);
        }
        if (second > 3 * INTERVAL && touched > most) {
            most = touched;
        }
    }
    /* 100 a second are needed. */
    assert_in_range(all, 19 * ADDRESSES - ADDRESSES, 21 * ADDRESSES);
    assert_in_range(most, 90, 220);
    relay_sessions_free(&sessions);
}

static void test_withdrawn(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct relay_sessions_stats stats;
    struct netaddr addr = kit_address("192.0.2.1");

    login(sessions, "192.0.2.1", "a", BEGIN);
    login(sessions, "192.0.2.1", "b", BEGIN);
    (void)begin(sessions, "192.0.2.1", "c", BEGIN);
    assert_int_equal(relay_sessions_touched(sessions, &addr, STATUS_NOTFOUND, KIT_NOW + 900,
                                            KIT_NOW + 900, &grant),
                     RELAY_SESSIONS_FORGOTTEN);
    relay_sessions_stats(sessions, &stats);
    assert_int_equal(stats.sessions, 0);
    assert_int_equal(stats.addresses, 0);
    assert_int_equal(stats.withdrawn, 2);
    /* Nobody gets it back by ending, and who logs in again begins anew. */
    assert_false(ends(sessions, "192.0.2.1", "a", NULL));
    settle(sessions, "192.0.2.1", "c", true, BEGIN + MINUTE);
    assert_int_equal(count_open(sessions), 1);
    assert_true(ends(sessions, "192.0.2.1", "c", NULL));
    assert_int_equal(
        relay_sessions_touched(sessions, &addr, STATUS_NOTFOUND, KIT_NOW, KIT_NOW, &grant),
        RELAY_SESSIONS_DONE);
}

/* The store was away for longer than a window, and the entry has gone. */
static void test_granted_anew(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr addr = kit_address("192.0.2.1");
    int64_t later = BEGIN + HOUR;

    login(sessions, "192.0.2.1", "a", BEGIN);
    assert_int_equal(relay_sessions_touched(sessions, &addr, STATUS_NOTFOUND, KIT_NOW + 3599,
                                            KIT_NOW + 3600, &grant),
                     RELAY_SESSIONS_GRANT_ANEW);
    assert_true(netaddr_equal(&grant.addr, &addr));
    assert_string_equal(grant.user, "ann");
    assert_string_equal(grant.service, "imap");
    assert_int_equal(touch_due(sessions, later, STATUS_OK), 0); /* that is under way */
    assert_int_equal(
        relay_sessions_touched(sessions, &addr, STATUS_OK, KIT_NOW + 3600, KIT_NOW + 3600, &grant),
        RELAY_SESSIONS_DONE);
    assert_int_equal(count_open(sessions), 1);
    assert_true(ends(sessions, "192.0.2.1", "a", &grant));
    assert_int_equal(grant.date, KIT_NOW + 3600);
    assert_true(relay_sessions_has_expired(sessions, grant.date, KIT_NOW + 7200));
    assert_false(relay_sessions_has_expired(sessions, grant.date, KIT_NOW + 7199));
    assert_false(relay_sessions_has_expired(sessions, 0, KIT_NOW)); /* never known */
}

static bool settle_owed(struct relay_sessions *sessions, const char *client, const char *id)
{
    const struct relay_entry login = {
        .addr = kit_address(client), .login_at = KIT_NOW, .user = "ann", .service = "imap"};

    return relay_sessions_settle(sessions, &login, id, RELAY_SESSIONS_OWED, BEGIN);
}

static size_t count_owed(const struct relay_sessions *sessions)
{
    struct relay_sessions_stats stats;

    relay_sessions_stats(sessions, &stats);
    return stats.owed;
}

/* The store was away when they logged in: the entry is due at once, and until it is there. */
static void test_owed(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr due[PIECE];

    (void)begin(sessions, "192.0.2.1", "a", BEGIN);
    assert_true(settle_owed(sessions, "192.0.2.1", "a"));
    assert_int_equal(count_open(sessions), 1);
    assert_int_equal(count_owed(sessions), 1);
    for (int i = 0; i < 3; i++) { /* it is still away */
        assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 1);
        assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 0);
        assert_int_equal(
            relay_sessions_touched(sessions, &due[0], STATUS_TEMPFAIL, KIT_NOW, KIT_NOW, &grant),
            RELAY_SESSIONS_DONE);
    }
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 1);
    assert_int_equal(
        relay_sessions_touched(sessions, &due[0], STATUS_NOTFOUND, KIT_NOW, KIT_NOW, &grant),
        RELAY_SESSIONS_GRANT_ANEW);
    assert_true(grant.is_owed);
    assert_string_equal(grant.user, "ann");
    assert_int_equal(relay_sessions_touched(sessions, &due[0], STATUS_OK, KIT_NOW, KIT_NOW, &grant),
                     RELAY_SESSIONS_DONE);
    assert_int_equal(count_owed(sessions), 0);
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN + MINUTE, due, PIECE), 0);
    /* From now on whoever takes it away means it. */
    assert_int_equal(
        relay_sessions_touched(sessions, &due[0], STATUS_NOTFOUND, KIT_NOW, KIT_NOW, &grant),
        RELAY_SESSIONS_FORGOTTEN);
}

/* There is an entry, of whom nobody knows: the one who logged in last is to have it. */
static void test_owed_beside_an_entry(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr due[PIECE];

    (void)begin(sessions, "192.0.2.1", "a", BEGIN);
    assert_true(settle_owed(sessions, "192.0.2.1", "a"));
    for (int i = 0; i < 2; i++) { /* the first time the store goes away in the midst of it */
        assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 1);
        assert_int_equal(
            relay_sessions_touched(sessions, &due[0], STATUS_OK, KIT_NOW, KIT_NOW, &grant),
            RELAY_SESSIONS_GRANT_ANEW);
        assert_string_equal(grant.user, "ann");
        assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due + 1, PIECE - 1), 0);
        assert_int_equal(relay_sessions_touched(sessions, &due[0],
                                                i == 0 ? STATUS_TEMPFAIL : STATUS_OK, KIT_NOW,
                                                KIT_NOW, &grant),
                         RELAY_SESSIONS_DONE);
    }
    assert_int_equal(count_owed(sessions), 0);
    assert_int_equal(count_open(sessions), 1);
}

/* Who logged in while the store was away is refused when it is back: who is logged in there besides has no part in that. */
static void test_owed_is_refused(void **state)
{
    static const enum status answers[] = {STATUS_OK, STATUS_NOTFOUND, STATUS_INVALID};
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr addr = kit_address("192.0.2.1");
    struct netaddr due[PIECE];

    for (int i = 0; i < 3; i++) {
        login(sessions, "192.0.2.1", "a", BEGIN);
        (void)begin(sessions, "192.0.2.1", "b", BEGIN);
        assert_true(settle_owed(sessions, "192.0.2.1", "b"));
        assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 1);
        assert_int_equal(
            relay_sessions_touched(sessions, &addr, answers[i], KIT_NOW, KIT_NOW, &grant),
            RELAY_SESSIONS_GRANT_ANEW);
        assert_int_equal(
            relay_sessions_touched(sessions, &addr, STATUS_INVALID, KIT_NOW, KIT_NOW, &grant),
            RELAY_SESSIONS_FORGOTTEN);
        assert_int_equal(count_owed(sessions), 0);
        assert_int_equal(count_open(sessions), i == 0 ? 1 : 0);
        assert_false(ends(sessions, "192.0.2.1", "b", &grant));
        assert_int_equal(ends(sessions, "192.0.2.1", "a", &grant), i == 0);
        assert_true(relay_sessions_is_empty(sessions));
    }
}

/* Somebody else logs in there while what is owed is with the store, and cannot be recorded: that is owed from now on. */
static void test_owed_once_more(void **state)
{
    static const enum status answers[] = {STATUS_OK, STATUS_INVALID};
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr addr = kit_address("192.0.2.1");
    struct netaddr due[PIECE];

    for (int i = 0; i < 2; i++) {
        (void)begin(sessions, "192.0.2.1", "a", BEGIN);
        assert_true(settle_owed(sessions, "192.0.2.1", "a"));
        assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 1);
        assert_int_equal(
            relay_sessions_touched(sessions, &addr, STATUS_NOTFOUND, KIT_NOW, KIT_NOW, &grant),
            RELAY_SESSIONS_GRANT_ANEW);
        (void)begin(sessions, "192.0.2.1", "b", BEGIN);
        assert_true(settle_owed(sessions, "192.0.2.1", "b"));
        assert_int_equal(
            relay_sessions_touched(sessions, &addr, answers[i], KIT_NOW, KIT_NOW, &grant),
            RELAY_SESSIONS_GRANT_ANEW);
        assert_int_equal(count_owed(sessions), 1);
        assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 0);
        assert_int_equal(
            relay_sessions_touched(sessions, &addr, STATUS_OK, KIT_NOW, KIT_NOW, &grant),
            RELAY_SESSIONS_DONE);
        assert_int_equal(count_owed(sessions), 0);
        (void)ends(sessions, "192.0.2.1", "a", &grant);
        (void)ends(sessions, "192.0.2.1", "b", &grant);
    }
}

static void test_owed_to_who_is_gone(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr due[PIECE];

    (void)begin(sessions, "192.0.2.1", "a", BEGIN);
    (void)begin(sessions, "192.0.2.1", "b", BEGIN);
    (void)begin(sessions, "192.0.2.2", "c", BEGIN);
    assert_true(settle_owed(sessions, "192.0.2.1", "a"));
    assert_true(settle_owed(sessions, "192.0.2.1", "b"));
    assert_false(ends(sessions, "192.0.2.1", "a", &grant));
    assert_true(ends(sessions, "192.0.2.1", "b", &grant));
    assert_true(grant.is_owed);                             /* nobody has taken it away */
    assert_false(ends(sessions, "192.0.2.2", "c", &grant)); /* before the store has answered */
    assert_false(settle_owed(sessions, "192.0.2.2", "c"));
    assert_int_equal(count_owed(sessions), 0);
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN + HOUR, due, PIECE), 0);
    /* A later login that was granted pays what is owed. */
    (void)begin(sessions, "192.0.2.3", "d", BEGIN);
    assert_true(settle_owed(sessions, "192.0.2.3", "d"));
    login(sessions, "192.0.2.3", "e", BEGIN);
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN, due, PIECE), 0);
}

static void test_cannot_be_granted_anew(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr addr = kit_address("192.0.2.1");

    login(sessions, "192.0.2.1", "a", BEGIN);
    assert_int_equal(relay_sessions_touched(sessions, &addr, STATUS_INVALID, KIT_NOW + 3600,
                                            KIT_NOW + 3600, &grant),
                     RELAY_SESSIONS_FORGOTTEN);
    assert_true(relay_sessions_is_empty(sessions));
}

/* Without a window nothing expires by itself. */
static void test_no_window(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_terms terms = sessions_kit_usual;
    struct relay_sessions_grant grant;
    struct netaddr addr = kit_address("192.0.2.1");

    terms.window_minutes = 0;
    relay_sessions_configure(sessions, &terms, BEGIN);
    login(sessions, "192.0.2.1", "a", BEGIN);
    assert_false(relay_sessions_has_expired(sessions, KIT_NOW, KIT_NOW + 1000000000));
    assert_int_equal(relay_sessions_touched(sessions, &addr, STATUS_NOTFOUND, KIT_NOW + 3600,
                                            KIT_NOW + 3600, &grant),
                     RELAY_SESSIONS_FORGOTTEN);
}

/* ---- clocks, and other windows ---- */

static void test_the_date_jumps(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    struct netaddr due[2];
    int64_t date = KIT_NOW + 1000000; /* days ahead, all at once */

    login(sessions, "192.0.2.1", "a", BEGIN);
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN + SECOND, due, 2), 0);
    relay_sessions_all_due(sessions, BEGIN + SECOND);
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN + SECOND, due, 2), 1);
    /* Was it thrown out already? That was no administrator. */
    assert_int_equal(relay_sessions_touched(sessions, &due[0], STATUS_NOTFOUND, date, date, &grant),
                     RELAY_SESSIONS_GRANT_ANEW);
    assert_int_equal(relay_sessions_touched(sessions, &due[0], STATUS_OK, date, date, &grant),
                     RELAY_SESSIONS_DONE);
    /* And back: the entry is dated in the future, and stays as it is; the session is no older for it. */
    relay_sessions_all_due(sessions, BEGIN + 2 * SECOND);
    assert_int_equal(relay_sessions_take_due(sessions, BEGIN + 2 * SECOND, due, 2), 1);
    assert_int_equal(relay_sessions_touched(sessions, &due[0], STATUS_OK, KIT_NOW, KIT_NOW, &grant),
                     RELAY_SESSIONS_DONE);
    assert_int_equal(count_open(sessions), 1);
    assert_true(ends(sessions, "192.0.2.1", "a", &grant));
    assert_int_equal(grant.date, date);
}

static void test_a_shorter_window(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_terms terms = sessions_kit_usual;

    login(sessions, "192.0.2.1", "a", BEGIN);
    relay_sessions_configure(sessions, &terms, BEGIN + 5 * MINUTE);
    assert_int_equal(touch_due(sessions, BEGIN + 5 * MINUTE, STATUS_OK), 0);
    terms.window_minutes = 6;
    relay_sessions_configure(sessions, &terms, BEGIN + 5 * MINUTE);
    assert_int_equal(touch_due(sessions, BEGIN + 5 * MINUTE + 1, STATUS_OK), 1);
    assert_int_equal(touch_due(sessions, BEGIN + 5 * MINUTE + 2, STATUS_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sessions_kit_setup, sessions_kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_touches_come_in_time),
        TEST(test_what_is_taken_is_not_due_again),
        TEST(test_logins_spare_touches),
        TEST(test_many_are_spread),
        TEST(test_withdrawn),
        TEST(test_owed),
        TEST(test_owed_beside_an_entry),
        TEST(test_owed_is_refused),
        TEST(test_owed_once_more),
        TEST(test_owed_to_who_is_gone),
        TEST(test_granted_anew),
        TEST(test_cannot_be_granted_anew),
        TEST(test_no_window),
        TEST(test_the_date_jumps),
        TEST(test_a_shorter_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
