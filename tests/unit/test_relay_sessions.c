/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions that are open: what counts, and until when. */
#include "tests/unit/sessions_kit.h"

#include <stdio.h>

/* ---- login and logout ---- */

static void test_one_session(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;

    assert_true(relay_sessions_is_empty(sessions));
    login(sessions, "192.0.2.1", "a", BEGIN);
    assert_int_equal(count_open(sessions), 1);
    assert_false(relay_sessions_is_empty(sessions));
    assert_true(ends(sessions, "192.0.2.1", "a", &grant));
    assert_string_equal(grant.user, "ann");
    assert_string_equal(grant.service, "imap");
    assert_int_equal(grant.date, KIT_NOW);
    assert_true(relay_sessions_is_empty(sessions));
    assert_int_equal(count_open(sessions), 0);
    assert_int_equal(count_addresses(sessions), 0);
    assert_false(ends(sessions, "192.0.2.1", "a", NULL));
}

/* A whole office behind one address: only the last who leaves ends it. */
static void test_many_sessions_of_one_address(void **state)
{
    struct relay_sessions *sessions = relay_sessions_new(&(struct relay_sessions_terms){
        .max_hours = 24, .max_sessions = 100000, .window_minutes = 60, .ipv6_prefix_bits = 64});
    char id[32];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(id, sizeof(id), "s%d", i);
        login(sessions, "192.0.2.1", id, BEGIN + i);
    }
    assert_int_equal(count_open(sessions), 20000);
    assert_int_equal(count_addresses(sessions), 1);
    for (int i = 19999; i > 0; i--) {
        (void)snprintf(id, sizeof(id), "s%d", i);
        assert_false(ends(sessions, "192.0.2.1", id, NULL));
    }
    assert_true(ends(sessions, "192.0.2.1", "s0", NULL));
    assert_true(relay_sessions_is_empty(sessions));
    relay_sessions_free(&sessions);
}

static void test_same_id_again(void **state)
{
    struct relay_sessions *sessions = *state;

    login(sessions, "192.0.2.1", "a", BEGIN);
    login(sessions, "192.0.2.1", "a", BEGIN + SECOND);
    assert_int_equal(count_open(sessions), 1);
    assert_true(ends(sessions, "192.0.2.1", "a", NULL));
    assert_true(relay_sessions_is_empty(sessions));
}

/* Two servers may give the same id, and a logout tells of the address that it knows. */
static void test_another_address_is_another_session(void **state)
{
    struct relay_sessions *sessions = *state;

    login(sessions, "192.0.2.1", "a", BEGIN);
    login(sessions, "192.0.2.2", "a", BEGIN);
    assert_int_equal(count_open(sessions), 2);
    assert_int_equal(count_addresses(sessions), 2);
    assert_false(ends(sessions, "192.0.2.3", "a", NULL));
    assert_false(ends(sessions, "192.0.2.1", "b", NULL));
    assert_int_equal(count_open(sessions), 2);
    assert_true(ends(sessions, "192.0.2.1", "a", NULL));
    assert_int_equal(count_open(sessions), 1);
}

static void test_addresses_of_one_network(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_grant grant;
    char key[RELAY_KEY_SIZE];

    login(sessions, "2001:db8::1", "a", BEGIN);
    login(sessions, "2001:db8::2", "b", BEGIN);
    login(sessions, "2001:db8:0:1::2", "c", BEGIN);
    assert_int_equal(count_addresses(sessions), 2);
    assert_false(ends(sessions, "2001:db8::2", "a", NULL));
    assert_false(ends(sessions, "2001:db8::1", "a", NULL));
    assert_true(ends(sessions, "2001:db8::2", "b", &grant));
    assert_string_equal(relay_entry_key(&grant.addr, key), "2001:db8::/64");
}

/* With another prefix an open session keeps the entry that it got. */
static void test_another_prefix(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_terms terms = sessions_kit_usual;
    struct relay_sessions_grant grant;
    char key[RELAY_KEY_SIZE];

    login(sessions, "2001:db8::1", "a", BEGIN);
    terms.ipv6_prefix_bits = 128;
    relay_sessions_configure(sessions, &terms, BEGIN);
    login(sessions, "2001:db8::1", "b", BEGIN);
    assert_int_equal(count_addresses(sessions), 2);
    assert_true(ends(sessions, "2001:db8::1", "a", &grant));
    assert_string_equal(relay_entry_key(&grant.addr, key), "2001:db8::/64");
    assert_true(ends(sessions, "2001:db8::1", "b", &grant));
    assert_string_equal(relay_entry_key(&grant.addr, key), "2001:db8::1");
}

static void test_login_that_is_not_granted(void **state)
{
    struct relay_sessions *sessions = *state;

    assert_int_equal(begin(sessions, "192.0.2.1", "a", BEGIN), RELAY_SESSIONS_COUNTED);
    assert_int_equal(count_open(sessions), 0);
    settle(sessions, "192.0.2.1", "a", false, BEGIN);
    assert_true(relay_sessions_is_empty(sessions));
    /* One that is open stays so when it is told of again in vain. */
    login(sessions, "192.0.2.1", "a", BEGIN);
    (void)begin(sessions, "192.0.2.1", "a", BEGIN);
    settle(sessions, "192.0.2.1", "a", false, BEGIN);
    assert_int_equal(count_open(sessions), 1);
    assert_true(ends(sessions, "192.0.2.1", "a", NULL));
}

/* The logout is there before the login is on the disk. */
static void test_logout_overtakes(void **state)
{
    struct relay_sessions *sessions = *state;

    (void)begin(sessions, "192.0.2.1", "a", BEGIN);
    assert_false(ends(sessions, "192.0.2.1", "a", NULL));
    settle(sessions, "192.0.2.1", "a", true, BEGIN);
    assert_true(relay_sessions_is_empty(sessions));
    /* Another one of the address is still there. */
    login(sessions, "192.0.2.1", "b", BEGIN);
    (void)begin(sessions, "192.0.2.1", "c", BEGIN);
    assert_true(ends(sessions, "192.0.2.1", "b", NULL));
    settle(sessions, "192.0.2.1", "c", false, BEGIN);
    assert_true(relay_sessions_is_empty(sessions));
}

static void test_open_at_an_entry(void **state)
{
    struct relay_sessions_terms terms = sessions_kit_usual;
    struct netaddr entry;
    bool host_bits;

    (void)state;
    terms.ipv6_prefix_bits = 64;
    struct relay_sessions *sessions = relay_sessions_new(&terms);

    assert_true(netaddr_parse_network("2001:db8::/64", &entry, &host_bits));
    (void)begin(sessions, "2001:db8::1", "a", BEGIN);
    assert_int_equal(relay_sessions_open_at(sessions, &entry), 0); /* not settled */
    settle(sessions, "2001:db8::1", "a", true, BEGIN);
    login(sessions, "2001:db8::2", "b", BEGIN);
    login(sessions, "2001:db8:0:1::1", "c", BEGIN);
    assert_int_equal(relay_sessions_open_at(sessions, &entry), 2);
    assert_false(ends(sessions, "2001:db8::1", "a", NULL));
    assert_int_equal(relay_sessions_open_at(sessions, &entry), 1);
    assert_true(ends(sessions, "2001:db8::2", "b", NULL));
    assert_int_equal(relay_sessions_open_at(sessions, &entry), 0);
    relay_sessions_free(&sessions);
}

static void test_max_sessions(void **state)
{
    struct relay_sessions_terms terms = sessions_kit_usual;
    struct relay_sessions_stats stats;

    (void)state;
    terms.max_sessions = 2;
    struct relay_sessions *sessions = relay_sessions_new(&terms);

    login(sessions, "192.0.2.1", "a", BEGIN);
    login(sessions, "192.0.2.1", "b", BEGIN);
    assert_int_equal(begin(sessions, "192.0.2.1", "c", BEGIN), RELAY_SESSIONS_FULL);
    settle(sessions, "192.0.2.1", "c", true, BEGIN);
    login(sessions, "192.0.2.1", "b", BEGIN); /* is one of them */
    relay_sessions_stats(sessions, &stats);
    assert_int_equal(stats.sessions, 2);
    assert_int_equal(stats.surplus, 1);
    assert_false(ends(sessions, "192.0.2.1", "a", NULL));
    login(sessions, "192.0.2.1", "c", BEGIN);
    assert_int_equal(count_open(sessions), 2);
    relay_sessions_free(&sessions);
}

static void test_sessions_are_not_counted(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_terms terms = sessions_kit_usual;

    login(sessions, "192.0.2.1", "a", BEGIN);
    terms.max_hours = 0;
    relay_sessions_configure(sessions, &terms, BEGIN);
    assert_true(relay_sessions_is_empty(sessions));
    assert_int_equal(begin(sessions, "192.0.2.1", "a", BEGIN), RELAY_SESSIONS_OFF);
    settle(sessions, "192.0.2.1", "a", true, BEGIN);
    assert_false(ends(sessions, "192.0.2.1", "a", NULL));
    assert_true(relay_sessions_is_empty(sessions));
}

/* ---- age ---- */

static void test_lost_logout(void **state)
{
    struct relay_sessions *sessions = *state;
    struct relay_sessions_stats stats;
    struct netaddr first;
    char key[RELAY_KEY_SIZE];

    login(sessions, "192.0.2.1", "a", BEGIN);
    login(sessions, "192.0.2.2", "b", BEGIN + HOUR);
    login(sessions, "192.0.2.3", "c", BEGIN + HOUR);
    login(sessions, "192.0.2.2", "b", BEGIN + 2 * HOUR); /* it is there after all */
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 24 * HOUR - 1, 10, &first), 0);
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 24 * HOUR, 10, &first), 1);
    assert_string_equal(relay_entry_key(&first, key), "192.0.2.1");
    assert_false(ends(sessions, "192.0.2.1", "a", NULL));
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 25 * HOUR, 10, &first), 1);
    assert_string_equal(relay_entry_key(&first, key), "192.0.2.3");
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 26 * HOUR, 10, &first), 1);
    assert_true(relay_sessions_is_empty(sessions));
    relay_sessions_stats(sessions, &stats);
    assert_int_equal(stats.too_old, 3);
}

static void test_old_ones_go_in_pieces(void **state)
{
    struct relay_sessions *sessions = *state;
    struct netaddr first;
    char id[16];

    for (int i = 0; i < 25; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        login(sessions, "192.0.2.1", id, BEGIN);
    }
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 24 * HOUR, 10, &first), 10);
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 24 * HOUR, 10, &first), 10);
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 24 * HOUR, 10, &first), 5);
    assert_int_equal(relay_sessions_forget_old(sessions, BEGIN + 24 * HOUR, 10, &first), 0);
}

/* ---- all at once, against a simple list ---- */

enum { CLIENTS = 7, IDS = 9 };

static void test_as_a_simple_list_says(void **state)
{
    struct relay_sessions *sessions = *state;
    bool open[CLIENTS][IDS] = {{false}};
    unsigned random = 1;

    for (int round = 0; round < 50000; round++) {
        random = random * 1103515245u + 12345u;
        unsigned client = random >> 16 & 0x7fff;
        unsigned id = client / CLIENTS % IDS;
        bool comes = client / CLIENTS / IDS % 2 == 0;
        char address[32];
        char name[8];
        size_t count = 0;
        size_t addresses = 0;
        size_t of_client = 0;

        client %= CLIENTS;
        (void)snprintf(address, sizeof(address), "192.0.2.%u", client);
        (void)snprintf(name, sizeof(name), "%u", id);
        for (unsigned i = 0; i < IDS; i++) {
            of_client += open[client][i];
        }
        if (comes) {
            login(sessions, address, name, BEGIN + round);
        } else {
            assert_int_equal(ends(sessions, address, name, NULL),
                             open[client][id] && of_client == 1);
        }
        open[client][id] = comes;
        for (unsigned i = 0; i < CLIENTS; i++) {
            size_t before = count;

            for (unsigned j = 0; j < IDS; j++) {
                count += open[i][j];
            }
            addresses += count > before;
        }
        assert_int_equal(count_open(sessions), count);
        assert_int_equal(count_addresses(sessions), addresses);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sessions_kit_setup, sessions_kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_one_session),
        TEST(test_many_sessions_of_one_address),
        TEST(test_same_id_again),
        TEST(test_another_address_is_another_session),
        TEST(test_addresses_of_one_network),
        TEST(test_another_prefix),
        TEST(test_login_that_is_not_granted),
        TEST(test_logout_overtakes),
        TEST(test_open_at_an_entry),
        TEST(test_max_sessions),
        TEST(test_sessions_are_not_counted),
        TEST(test_lost_logout),
        TEST(test_old_ones_go_in_pieces),
        TEST(test_as_a_simple_list_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
