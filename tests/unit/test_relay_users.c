/* SPDX-License-Identifier: GPL-3.0-or-later */
/* addresses_per_user: what is remembered (relay_users), and what the store makes of it. */
#include "lib/relay/relay_users.h"

#include "tests/unit/relay_kit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400

/* ---- what is remembered ---- */

static struct relay_users_seen note(struct relay_users *users, const char *user, const char *addr,
                                    int64_t at, unsigned limit)
{
    const struct relay_users_terms terms = {limit, at - 3600, 1000};
    struct netaddr netaddr = kit_address(addr);

    return relay_users_note(users, user, &netaddr, at, &terms);
}

static void grant(struct relay_users *users, const char *user, const char *addr)
{
    struct netaddr netaddr = kit_address(addr);

    relay_users_grant(users, user, &netaddr);
}

static void test_count(void **state)
{
    struct relay_users *users = relay_users_new();
    struct relay_users_seen seen = note(users, "ann", "192.0.2.1", KIT_NOW, 2);

    (void)state;
    assert_true(seen.is_new && !seen.is_granted && !seen.is_withdrawn && seen.count == 1);
    grant(users, "ANN", "192.0.2.1");
    seen = note(users, "Ann", "192.0.2.1", KIT_NOW + 1, 2);
    assert_true(!seen.is_new && seen.is_granted && seen.count == 1);
    assert_int_equal(note(users, "ANN", "192.0.2.2", KIT_NOW + 2, 2).count, 2);
    assert_int_equal(note(users, "anna", "192.0.2.2", KIT_NOW + 2, 2).count, 1);
    assert_int_equal(note(users, "ann", "2001:db8::/64", KIT_NOW + 2, 2).count, 3);
    assert_int_equal(note(users, "ann", "2001:db8::", KIT_NOW + 2, 2).count, 4);
    /* what is beyond the window counts no more */
    seen = note(users, "ann", "192.0.2.2", KIT_NOW + 3601, 2);
    assert_int_equal(seen.count, 3);
    assert_false(seen.is_new);
    seen = note(users, "ann", "192.0.2.1", KIT_NOW + 3602, 2);
    assert_true(seen.is_new && !seen.is_granted && seen.count == 2);
    relay_users_free(&users);
    assert_null(users);
}

static void test_touch_and_withdraw(void **state)
{
    struct relay_users *users = relay_users_new();
    struct netaddr addr = kit_address("192.0.2.1");
    struct netaddr other = kit_address("192.0.2.9");

    (void)state;
    (void)note(users, "ann", "192.0.2.1", KIT_NOW, 2);
    grant(users, "ann", "192.0.2.1");
    relay_users_touch(users, "ann", &addr, KIT_NOW + 3000);
    relay_users_touch(users, "ann", &addr, KIT_NOW + 1);
    relay_users_touch(users, "ann", &other, KIT_NOW + 3000);
    relay_users_touch(users, "bob", &addr, KIT_NOW + 3000);
    assert_int_equal(relay_users_count(users), 1);
    assert_int_equal(note(users, "ann", "192.0.2.2", KIT_NOW + 4000, 2).count, 2);
    relay_users_withdraw(users, "Ann");
    relay_users_withdraw(users, "nobody");
    struct relay_users_seen seen = note(users, "ann", "192.0.2.1", KIT_NOW + 4000, 2);

    assert_true(seen.is_withdrawn && !seen.is_granted && !seen.is_new);
    grant(users, "ann", "192.0.2.1");
    assert_false(note(users, "ann", "192.0.2.1", KIT_NOW + 4000, 2).is_withdrawn);
    relay_users_reset(users);
    assert_int_equal(relay_users_count(users), 0);
    assert_true(note(users, "ann", "192.0.2.1", KIT_NOW + 4000, 2).is_new);
    relay_users_free(&users);
}

/* A login that is told late is none of now. */
static void test_old_dates(void **state)
{
    struct relay_users *users = relay_users_new();
    const struct relay_users_terms terms = {2, KIT_NOW, 1000};
    struct netaddr addr = kit_address("192.0.2.1");
    struct relay_users_seen seen = relay_users_note(users, "ann", &addr, KIT_NOW, &terms);

    (void)state;
    assert_true(!seen.is_new && seen.count == 0);
    assert_int_equal(relay_users_note(users, "ann", &addr, KIT_NOW + 1, &terms).count, 1);
    relay_users_free(&users);
}

static void test_bounds(void **state)
{
    struct relay_users *users = relay_users_new();
    char addr[32];
    char user[32];

    (void)state;
    (void)note(users, "ann", "192.0.2.1", KIT_NOW, 2);
    grant(users, "ann", "192.0.2.1");
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(addr, sizeof(addr), "10.1.%u.%u", i >> 8, i & 255);
        assert_true(note(users, "ann", addr, KIT_NOW + i, 2).count <= 2 + RELAY_USERS_MORE);
    }
    /* what was granted is not pushed out by what was not */
    assert_true(note(users, "ann", "192.0.2.1", KIT_NOW + 300, 2).is_granted);
    assert_int_equal(relay_users_count(users), 2 + RELAY_USERS_MORE);
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(user, sizeof(user), "user%u", i);
        assert_int_equal(note(users, user, "192.0.2.1", KIT_NOW + 300, 2).count, 1);
    }
    /* those who came last are remembered */
    assert_int_equal(relay_users_count(users), 1000);
    assert_false(note(users, "user4500", "192.0.2.1", KIT_NOW + 300, 2).is_new);
    assert_true(note(users, "user3900", "192.0.2.1", KIT_NOW + 300, 2).is_new);
    assert_true(note(users, "ann", "192.0.2.1", KIT_NOW + 300, 2).is_new);
    relay_users_free(&users);
}

/* ---- what the store does ---- */

static struct relay_change last;
static size_t last_count;

/* A login just now, or so many seconds ago. */
static enum status login(struct kit *kit, struct relay_store *store, const char *addr,
                         const char *user, int64_t ago)
{
    struct relay_change change = {
        .kind = RELAY_LOGIN,
        .entry = {kit_address(addr), (int64_t)time(NULL) - ago, user, "imap"},
    };

    strbuf_reset(&kit->why);
    enum status status = relay_store_apply(store, &change, &kit->why, &last_count);

    last = change;
    return status;
}

static struct relay_store *open_with(struct kit *kit, unsigned limit, enum relay_excess excess)
{
    kit->options.terms.addresses_per_user = limit;
    kit->options.terms.addresses_exceeded = excess;
    return kit_open(kit);
}

static bool permits(const struct relay_store *store, const char *addr)
{
    struct netaddr netaddr = kit_address(addr);

    return relay_store_find(store, &netaddr, (int64_t)time(NULL), NULL) == STATUS_OK;
}

static void assert_excess(unsigned addresses)
{
    assert_true(last.is_excess);
    assert_int_equal(last.addresses, addresses);
}

static void test_log(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = open_with(kit, 2, RELAY_EXCESS_LOG);

    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.2", "ann", 0), STATUS_OK);
    assert_false(last.is_excess);
    assert_int_equal(login(kit, store, "192.0.2.3", "Ann", 0), STATUS_OK);
    assert_excess(3);
    assert_true(permits(store, "192.0.2.3"));
    /* said once for each address */
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_OK);
    assert_false(last.is_excess);
    assert_int_equal(login(kit, store, "192.0.2.4", "ann", 0), STATUS_OK);
    assert_excess(4);
    /* users are no concern of each other, and nobody is no user */
    assert_int_equal(login(kit, store, "192.0.2.3", "bob", 0), STATUS_OK);
    assert_false(last.is_excess);
    for (int i = 0; i < 5; i++) {
        char addr[32];

        (void)snprintf(addr, sizeof(addr), "198.51.100.%d", i);
        assert_int_equal(login(kit, store, addr, "", 0), STATUS_OK);
        assert_false(last.is_excess);
    }
    relay_store_close(&store);
}

static void test_refuse(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = open_with(kit, 2, RELAY_EXCESS_REFUSE);

    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.2", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_INVALID);
    assert_excess(3);
    assert_int_equal(last_count, 0);
    assert_non_null(strstr(kit->why.data, "more than 2 addresses"));
    assert_non_null(strstr(kit->why.data, "addresses_per_user"));
    assert_false(permits(store, "192.0.2.3"));
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_INVALID);
    assert_false(last.is_excess);
    /* nobody is locked out of his own addresses */
    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 0), STATUS_OK);
    assert_true(permits(store, "192.0.2.1"));
    assert_true(permits(store, "192.0.2.2"));
    /* an administrator may add what he wants */
    assert_int_equal(kit_add(kit, store, "192.0.2.3 1700000000 user=ann"), STATUS_OK);
    relay_store_close(&store);
}

static void test_withdraw(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = open_with(kit, 2, RELAY_EXCESS_WITHDRAW);
    struct relay_store_stats stats;

    assert_int_equal(kit_add(kit, store, "192.0.2.77 4000000000 user=ANN"), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.2", "Ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.8", "annabel", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_INVALID);
    assert_excess(3);
    assert_int_equal(last_count, 3);
    assert_false(permits(store, "192.0.2.1"));
    assert_false(permits(store, "192.0.2.2"));
    assert_false(permits(store, "192.0.2.3"));
    assert_false(permits(store, "192.0.2.77"));
    assert_true(permits(store, "192.0.2.8"));
    relay_store_stats(store, &stats);
    assert_int_equal(stats.removed, 3);
    /* stays out, wherever from */
    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 0), STATUS_INVALID);
    assert_false(last.is_excess);
    assert_int_equal(login(kit, store, "192.0.2.4", "ann", 0), STATUS_INVALID);
    assert_excess(4);
    assert_int_equal(last_count, 0);
    relay_store_close(&store);
    /* what was taken away stays away */
    store = kit_open(kit);
    assert_false(permits(store, "192.0.2.1"));
    assert_true(permits(store, "192.0.2.8"));
    relay_store_close(&store);
}

static void withdraw_and_die(struct kit *kit, struct relay_store *store)
{
    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.2", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.9", "bob", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_INVALID);
}

static void test_withdraw_survives_a_crash(void **state)
{
    struct kit *kit = *state;

    kit->options.terms.addresses_per_user = 2;
    kit->options.terms.addresses_exceeded = RELAY_EXCESS_WITHDRAW;
    kit_crash(kit, withdraw_and_die);
    struct relay_store *store = kit_open(kit);

    assert_false(permits(store, "192.0.2.1"));
    assert_false(permits(store, "192.0.2.2"));
    assert_true(permits(store, "192.0.2.9"));
    relay_store_close(&store);
}

/* The window that a login opens; after it the user is as new. */
static void test_window(void **state)
{
    struct kit *kit = *state;

    kit->options.terms.window_minutes = 60;
    struct relay_store *store = open_with(kit, 1, RELAY_EXCESS_WITHDRAW);

    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 3601), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.2", "ann", 3590), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_INVALID);
    relay_store_close(&store);
}

/* Who begins to count knows what the entries say: at a start, after a reload, after a load. */
static void test_entries_count(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = open_with(kit, 0, RELAY_EXCESS_REFUSE);
    struct relay_terms terms = kit->options.terms;
    char now[64];
    struct strbuf texts;

    assert_int_equal(login(kit, store, "192.0.2.1", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.2", "ann", DAY), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_OK);
    terms.addresses_per_user = 2;
    relay_store_configure(store, &terms);
    assert_int_equal(login(kit, store, "192.0.2.4", "ann", 0), STATUS_INVALID);
    assert_excess(3); /* one of them is a day old */
    assert_int_equal(login(kit, store, "192.0.2.3", "ann", 0), STATUS_OK);
    relay_store_close(&store);

    kit->options.terms.addresses_per_user = 2;
    store = kit_open(kit);
    assert_int_equal(login(kit, store, "192.0.2.5", "ann", 0), STATUS_INVALID);
    assert_excess(3);

    strbuf_init(&texts);
    (void)snprintf(now, sizeof(now), "192.0.2.7 %lld user=ann", (long long)time(NULL));
    const struct relay_entry entry = kit_entry(now, &texts);
    struct relay_change load = {.kind = RELAY_REPLACE, .entries = &entry, .entry_count = 1};

    load.entry.user = load.entry.service = "";
    assert_int_equal(relay_store_apply(store, &load, NULL, NULL), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.5", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "192.0.2.6", "ann", 0), STATUS_INVALID);
    strbuf_fini(&texts);
    /* and who counts no more */
    terms.addresses_per_user = 0;
    relay_store_configure(store, &terms);
    assert_int_equal(login(kit, store, "192.0.2.6", "ann", 0), STATUS_OK);
    relay_store_close(&store);
}

/* IPv6 by the prefix that is granted. */
static void test_prefix(void **state)
{
    struct kit *kit = *state;

    kit->options.terms.ipv6_prefix_bits = 64;
    struct relay_store *store = open_with(kit, 1, RELAY_EXCESS_REFUSE);

    assert_int_equal(login(kit, store, "2001:db8::1", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "2001:db8::2", "ann", 0), STATUS_OK);
    assert_int_equal(login(kit, store, "2001:db8:0:1::2", "ann", 0), STATUS_INVALID);
    assert_excess(2);
    relay_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_touch_and_withdraw),
        cmocka_unit_test(test_old_dates),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test_setup_teardown(test_log, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_refuse, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_withdraw, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_withdraw_survives_a_crash, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_window, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_entries_count, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_prefix, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_users", tests, NULL, NULL);
}
