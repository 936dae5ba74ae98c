/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store in a real Redis or Valkey; skipped where there is none. */
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct relay_store *open_daemon(struct redis_kit *kit)
{
    kit->kit.options.wait = true;
    return kit_open(&kit->kit);
}

static enum status ask(const struct relay_store *store, const char *client, int64_t now)
{
    struct netaddr addr = kit_address(client);

    return relay_store_find(store, &addr, now, NULL);
}

static enum status apply(struct redis_kit *kit, struct relay_store *store,
                         enum relay_change_kind kind, const char *text, size_t *count_out)
{
    struct strbuf texts;

    strbuf_init(&texts);
    struct relay_change change = {.kind = kind, .entry = kit_entry(text, &texts)};

    strbuf_reset(&kit->kit.why);
    enum status status = relay_store_apply(store, &change, &kit->kit.why, count_out);

    strbuf_fini(&texts);
    return status;
}

/* ---- entries ---- */

static void test_login_is_found_with_all_that_is_known(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_found found;
    char login[128];

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);
    int64_t now = time(NULL);
    struct netaddr client = kit_address("192.0.2.1");

    assert_int_equal(relay_store_find(store, &client, now, &found), STATUS_NOTFOUND);
    (void)snprintf(login, sizeof(login), "192.0.2.1 %lld user=a%%20b%%25 service=imap",
                   (long long)now);
    assert_int_equal(kit_login(&kit->kit, store, login), STATUS_OK);
    assert_int_equal(relay_store_find(store, &client, now, &found), STATUS_OK);
    assert_string_equal(found.user, "a b%");
    assert_string_equal(found.service, "imap");
    assert_int_equal(found.login_at, now);
    assert_int_equal(ask(store, "192.0.2.2", now), STATUS_NOTFOUND);
    assert_int_equal(kit_remove(&kit->kit, store, "192.0.2.1"), STATUS_OK);
    assert_int_equal(kit_remove(&kit->kit, store, "192.0.2.1"), STATUS_NOTFOUND);
    assert_int_equal(ask(store, "192.0.2.1", now), STATUS_NOTFOUND);
    relay_store_close(&store);
}

/* A login never makes an entry older, an addition does; a merge is younger or nothing. */
static void test_dates_of_the_kinds_of_changes(void **state)
{
    struct redis_kit *kit = *state;
    size_t count;

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000 user=ann", NULL), STATUS_OK);
    assert_int_equal(apply(kit, store, RELAY_LOGIN, "192.0.2.1 999 user=bob", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1000 user=ann\n");
    assert_int_equal(apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000 user=bob", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1000 user=bob\n");
    assert_int_equal(apply(kit, store, RELAY_MERGE, "192.0.2.1 1000 user=cat", &count), STATUS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(apply(kit, store, RELAY_MERGE, "192.0.2.1 1001 user=cat", &count), STATUS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1001 user=cat\n");
    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 5", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 5\n");
    relay_store_close(&store);
}

static void test_touch_changes_the_date_of_what_is_there(void **state)
{
    struct redis_kit *kit = *state;

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_TOUCH, "192.0.2.1 1000", NULL), STATUS_NOTFOUND);
    assert_int_equal(apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000 user=ann service=pop3", NULL),
                     STATUS_OK);
    assert_int_equal(apply(kit, store, RELAY_TOUCH, "192.0.2.1 1234", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1234 user=ann service=pop3\n");
    assert_int_equal(apply(kit, store, RELAY_TOUCH, "192.0.2.1 1233", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1234 user=ann service=pop3\n");
    relay_store_close(&store);
}

/* The longest prefix that permits is found, whatever lengths there are; another host learns of them by asking. */
static void test_ipv6_networks_are_found_by_every_host(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_found found;
    struct netaddr client = kit_address("2001:db8:1:2:3::4");

    redis_kit_start(kit, NULL);
    struct relay_store *one = open_daemon(kit);
    struct relay_store *two = open_daemon(kit);

    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_NOTFOUND);
    assert_int_equal(apply(kit, one, RELAY_ADD, "2001:db8:1::/48 1000 user=wide", NULL), STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "wide");
    assert_int_equal(found.addr.bits, 48);
    assert_int_equal(apply(kit, one, RELAY_ADD, "2001:db8:1:2:3::/81 1000 user=odd", NULL),
                     STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "odd");
    assert_int_equal(apply(kit, one, RELAY_LOGIN, "2001:db8:1:2::1 1000 user=login", NULL),
                     STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "odd");
    assert_int_equal(kit_remove(&kit->kit, one, "2001:db8:1:2:3::/81"), STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "login");
    assert_int_equal(found.addr.bits, 64);
    relay_store_close(&one);
    relay_store_close(&two);
}

/* A date that is over is no permission, even if the server still has it. */
static void test_window_is_checked_here_and_by_the_server(void **state)
{
    struct redis_kit *kit = *state;
    int64_t now = time(NULL);
    char text[128];

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.window_minutes = 30;
    struct relay_store *store = open_daemon(kit);

    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)now);
    assert_int_equal(apply(kit, store, RELAY_LOGIN, text, NULL), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.1", now + 30 * 60 - 1), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.1", now + 30 * 60), STATUS_NOTFOUND);
    const char *left = redis_kit_ask(kit, "TTL t:relay:192.0.2.1");

    assert_int_equal(left[0], ':');
    assert_in_range(strtol(left + 1, NULL, 10), 30 * 60 - 60, 30 * 60);
    /* The server does not let it expire, for whatever reason. */
    assert_string_equal(redis_kit_ask(kit, "PERSIST t:relay:192.0.2.1"), ":1\r\n");
    assert_int_equal(ask(store, "192.0.2.1", now + 30 * 60), STATUS_NOTFOUND);
    /* One that is over from the start, and one dated in the future. */
    (void)snprintf(text, sizeof(text), "192.0.2.2 %lld", (long long)now - 30 * 60);
    assert_int_equal(apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.2", now), STATUS_NOTFOUND);
    (void)snprintf(text, sizeof(text), "192.0.2.3 %lld", (long long)now + 3600);
    assert_int_equal(apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.3", now + 3600 + 30 * 60 - 1), STATUS_OK);
    relay_store_close(&store);
}

/* After a reload the server's own expiry follows the window, for entries that were there before. */
static void test_window_of_a_reload_counts_for_all_entries(void **state)
{
    struct redis_kit *kit = *state;
    int64_t now = time(NULL);
    char text[128];

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);
    struct relay_terms terms = kit->kit.options.terms;

    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)now);
    assert_int_equal(apply(kit, store, RELAY_LOGIN, text, NULL), STATUS_OK);
    assert_string_equal(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n");
    terms.window_minutes = 10;
    relay_store_configure(store, &terms);
    for (int try = 0;
         try < 500 && strcmp(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n") == 0; try++) {
        (void)poll(NULL, 0, 10);
    }
    assert_in_range(strtol(redis_kit_ask(kit, "TTL t:relay:192.0.2.1") + 1, NULL, 10), 500, 600);
    terms.window_minutes = 0;
    relay_store_configure(store, &terms);
    for (int try = 0;
         try < 500 && strcmp(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n") != 0; try++) {
        (void)poll(NULL, 0, 10);
    }
    assert_string_equal(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n");
    relay_store_close(&store);
}

/* ---- many entries ---- */

#define MANY 2500

static void fill(struct relay_entry *entries, size_t count, unsigned first, int64_t date)
{
    for (size_t i = 0; i < count; i++) {
        unsigned number = first + (unsigned)i;

        entries[i] = (struct relay_entry){.addr = {.family = NETADDR_IPV4, .bits = 32},
                                          .login_at = date,
                                          .user = "ann",
                                          .service = "imap"};
        entries[i].addr.bytes[0] = 10;
        entries[i].addr.bytes[1] = (uint8_t)(number >> 16);
        entries[i].addr.bytes[2] = (uint8_t)(number >> 8);
        entries[i].addr.bytes[3] = (uint8_t)number;
    }
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; (text = strchr(text, '\n')) != NULL; text++) {
        count++;
    }
    return count;
}

static size_t entries_of(const struct relay_store *store)
{
    struct relay_store_stats stats;

    relay_store_stats(store, &stats);
    return stats.entries;
}

static enum status replace(struct redis_kit *kit, struct relay_store *store,
                           const struct relay_entry *entries, size_t count)
{
    struct relay_change change = {.kind = RELAY_REPLACE,
                                  .entry = {.user = "", .service = ""},
                                  .entries = entries,
                                  .entry_count = count};
    size_t loaded = 0;

    strbuf_reset(&kit->kit.why);
    enum status status = relay_store_apply(store, &change, &kit->kit.why, &loaded);

    assert_int_equal(loaded, status == STATUS_OK ? count : 0);
    return status;
}

static void test_replace_expire_and_walk_many(void **state)
{
    static struct relay_entry entries[MANY];
    struct redis_kit *kit = *state;
    size_t count;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.max_entries = MANY;
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    fill(entries, MANY, 0, 1000);
    for (size_t i = 0; i < MANY / 2; i++) {
        entries[i].login_at = 2000;
    }
    assert_int_equal(replace(kit, store, entries, MANY), STATUS_OK);
    assert_int_equal(entries_of(store), MANY);
    assert_int_equal(count_lines(kit_store_text(&kit->kit, store)), MANY);
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW), STATUS_NOTFOUND);
    assert_int_equal(ask(store, "10.0.0.77", KIT_NOW), STATUS_OK);
    /* Nothing is left of the generation before, and of this one nothing is left after it. */
    assert_string_equal(redis_kit_ask(kit, "EXISTS t:relay:192.0.2.1 t:relay-index"), ":0\r\n");
    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_INVALID);
    assert_non_null(strstr(kit->kit.why.data, "full"));

    int64_t minutes = (time(NULL) - 1500) / 60;
    struct relay_change expire = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .minutes = (unsigned)minutes};

    assert_int_equal(relay_store_apply(store, &expire, NULL, &count), STATUS_OK);
    assert_int_equal(count, MANY - MANY / 2);
    assert_int_equal(entries_of(store), MANY / 2);
    struct relay_change all = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .all = true};

    assert_int_equal(relay_store_apply(store, &all, NULL, &count), STATUS_OK);
    assert_int_equal(count, MANY / 2);
    assert_int_equal(entries_of(store), 0);
    assert_string_equal(kit_store_text(&kit->kit, store), "");
    assert_string_equal(redis_kit_ask(kit, "KEYS t:relay.*"), "*0\r\n");
    relay_store_close(&store);
}

struct watcher {
    struct relay_store *store;
    atomic_bool stop;
    atomic_uint half;
    atomic_uint asked;
};

/* Of two addresses either both have an entry of the first list, or both one of the second. */
static void *watch(void *arg)
{
    struct watcher *watcher = arg;

    while (!atomic_load(&watcher->stop)) {
        struct relay_found found;
        struct netaddr last = kit_address("10.0.7.207"); /* 1999 */

        if (relay_store_find(watcher->store, &last, KIT_NOW, &found) != STATUS_OK) {
            (void)atomic_fetch_add(&watcher->half, 1);
        }
        (void)atomic_fetch_add(&watcher->asked, 1);
    }
    return NULL;
}

static void test_replace_shows_nobody_a_part(void **state)
{
    static struct relay_entry entries[2000];
    struct redis_kit *kit = *state;
    struct watcher watcher = {.store = NULL};
    pthread_t thread;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.max_entries = 2000;
    struct relay_store *store = open_daemon(kit);
    struct relay_store *other = open_daemon(kit);

    watcher.store = other;
    fill(entries, 2000, 0, 1000);
    assert_int_equal(replace(kit, store, entries, 2000), STATUS_OK);
    assert_int_equal(pthread_create(&thread, NULL, watch, &watcher), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(replace(kit, store, entries, 2000), STATUS_OK);
    }
    atomic_store(&watcher.stop, true);
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&watcher.half), 0);
    assert_true(atomic_load(&watcher.asked) > 20);
    relay_store_close(&other);
    relay_store_close(&store);
}

static void test_replacement_that_is_not_sound_changes_nothing(void **state)
{
    static struct relay_entry entries[1001];
    struct redis_kit *kit = *state;

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    fill(entries, 1001, 0, 1000);
    assert_int_equal(replace(kit, store, entries, 1001), STATUS_INVALID);
    entries[3].addr.bits = 24;
    assert_int_equal(replace(kit, store, entries, 10), STATUS_INVALID);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1000\n");
    relay_store_close(&store);
}

/* ---- limits ---- */

static bool login_from(struct redis_kit *kit, struct relay_store *store, unsigned host,
                       const char *user, struct relay_change *change_out)
{
    char text[128];
    struct strbuf texts;

    strbuf_init(&texts);
    (void)snprintf(text, sizeof(text), "192.0.2.%u %lld user=%s", host, (long long)time(NULL),
                   user);
    *change_out = (struct relay_change){.kind = RELAY_LOGIN, .entry = kit_entry(text, &texts)};
    strbuf_reset(&kit->kit.why);
    enum status status = relay_store_apply(store, change_out, &kit->kit.why, NULL);

    strbuf_fini(&texts);
    return status == STATUS_OK;
}

static void test_addresses_of_a_user_are_counted(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_change change;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.addresses_per_user = 2;
    struct relay_store *store = open_daemon(kit);

    assert_true(login_from(kit, store, 1, "ann", &change));
    assert_true(login_from(kit, store, 2, "Ann", &change));
    assert_false(change.is_excess);
    assert_true(login_from(kit, store, 3, "ANN", &change));
    assert_true(change.is_excess);
    assert_int_equal(change.addresses, 3);
    assert_true(login_from(kit, store, 3, "ann", &change)); /* no news */
    assert_false(change.is_excess);
    assert_true(login_from(kit, store, 4, "bob", &change));
    assert_false(change.is_excess);
    relay_store_close(&store);
}

static void test_a_user_of_too_many_addresses_is_refused_new_ones(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_change change;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.addresses_per_user = 2;
    kit->kit.options.terms.addresses_exceeded = RELAY_EXCESS_REFUSE;
    struct relay_store *store = open_daemon(kit);

    assert_true(login_from(kit, store, 1, "ann", &change));
    assert_true(login_from(kit, store, 2, "ann", &change));
    assert_false(login_from(kit, store, 3, "ann", &change));
    assert_true(change.is_excess);
    assert_non_null(strstr(kit->kit.why.data, "addresses_per_user"));
    assert_int_equal(ask(store, "192.0.2.3", time(NULL)), STATUS_NOTFOUND);
    assert_false(login_from(kit, store, 3, "ann", &change));
    assert_false(change.is_excess);
    assert_true(login_from(kit, store, 1, "ann", &change)); /* an address that was granted */
    assert_false(change.is_excess);
    /* What is remembered is bounded, and the oldest that was not granted goes first. */
    for (unsigned host = 10; host < 60; host++) {
        assert_false(login_from(kit, store, host, "ann", &change));
    }
    assert_string_equal(redis_kit_ask(kit, "HLEN t:relay-user:ann"), ":18\r\n");
    assert_true(login_from(kit, store, 2, "ann", &change));
    relay_store_close(&store);
}

static void test_a_user_of_too_many_addresses_loses_all_entries(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_change change;
    char text[128];

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.addresses_per_user = 2;
    kit->kit.options.terms.addresses_exceeded = RELAY_EXCESS_WITHDRAW;
    struct relay_store *store = open_daemon(kit);

    /* One that was added by hand is the user's, too; one that somebody else has taken over is not. */
    (void)snprintf(text, sizeof(text), "192.0.2.9 %lld user=ANN", (long long)time(NULL));
    assert_int_equal(apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_true(login_from(kit, store, 1, "ann", &change));
    assert_true(login_from(kit, store, 2, "ann", &change));
    assert_true(login_from(kit, store, 2, "bob", &change));
    assert_false(login_from(kit, store, 3, "ann", &change));
    assert_true(change.is_excess);
    assert_int_equal(ask(store, "192.0.2.1", time(NULL)), STATUS_NOTFOUND);
    assert_int_equal(ask(store, "192.0.2.2", time(NULL)), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.3", time(NULL)), STATUS_NOTFOUND);
    assert_int_equal(ask(store, "192.0.2.9", time(NULL)), STATUS_NOTFOUND);
    assert_false(login_from(kit, store, 1, "ann", &change)); /* out until the window has passed */
    assert_int_equal(ask(store, "192.0.2.1", time(NULL)), STATUS_NOTFOUND);
    relay_store_close(&store);
}

static void test_charge_counts_to_the_limit_for_all_hosts(void **state)
{
    struct redis_kit *kit = *state;
    struct netaddr addr = kit_address("2001:db8::/64");
    int64_t now = time(NULL);

    redis_kit_start(kit, NULL);
    struct relay_store *one = open_daemon(kit);
    struct relay_store *two = open_daemon(kit);

    assert_int_equal(relay_store_charge(one, &addr, 3, now), STATUS_OK);
    assert_int_equal(relay_store_charge(two, &addr, 3, now), STATUS_OK);
    assert_int_equal(relay_store_charge(one, &addr, 3, now), STATUS_OK);
    assert_int_equal(relay_store_charge(two, &addr, 3, now), STATUS_NOTFOUND);
    assert_int_equal(relay_store_charge(one, &addr, 3, now), STATUS_NOTFOUND);
    assert_string_equal(redis_kit_ask(kit, "GET t:relay-sent:2001:db8::/64"), "$1\r\n3\r\n");
    assert_in_range(strtol(redis_kit_ask(kit, "TTL t:relay-sent:2001:db8::/64") + 1, NULL, 10),
                    3500, 3600);
    assert_int_equal(relay_store_charge(one, &addr, 4, now), STATUS_OK);
    relay_store_close(&one);
    relay_store_close(&two);
}

/* ---- a server that goes and comes ---- */

static void test_loss_answers_no_at_once_and_heals_itself(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store_stats stats;
    struct timespec begun;
    struct timespec ended;

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    redis_kit_kill(kit);
    redis_kit_await(store, false);
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ask(store, "192.0.2.1", KIT_NOW), STATUS_TEMPFAIL);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(ended.tv_sec - begun.tv_sec < 3);
    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL), STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->kit.why.data, kit->url));
    relay_store_stats(store, &stats);
    assert_non_null(strstr(stats.failure, kit->url));
    size_t cursor = 0;

    assert_false(relay_store_walk(store, &cursor, NULL, NULL));
    assert_true(cursor == RELAY_WALK_FAILED);
    redis_kit_start(kit, NULL);
    redis_kit_await(store, true);
    relay_store_stats(store, &stats);
    assert_string_equal(stats.failure, "");
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW), STATUS_NOTFOUND); /* it kept nothing */
    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.2", KIT_NOW), STATUS_OK);
    relay_store_close(&store);
}

static void test_daemon_starts_without_the_server(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW), STATUS_TEMPFAIL);
    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_TEMPFAIL);
    relay_store_close(&store);
    kit->kit.options.wait = false;
    kit_assert_cannot_open(&kit->kit, kit->url);
}

/* What others have put in the place of entries grants nothing, and is in nobody's way. */
static void test_values_that_are_not_posterns_grant_nothing(void **state)
{
    static const char *const commands[] = {
        "SET t:relay:192.0.2.1 garbage",
        "SET t:relay:192.0.2.2 99999999999999999999",
        "SET t:relay:192.0.2.3 \"\"",
        "SET t:relay:192.0.2.4 1000user=x",
        "SET t:relay:192.0.2.5 \"1000 user=a\"",
        "SET t:relay:192.0.2.6 -5",
    };
    struct redis_kit *kit = *state;
    size_t count;

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    for (unsigned host = 1; host < 9; host++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "192.0.2.%u 1000", host);
        assert_int_equal(apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    }
    for (size_t i = 0; i < COUNT(commands); i++) {
        assert_string_equal(redis_kit_ask(kit, commands[i]), "+OK\r\n");
    }
    assert_string_equal(redis_kit_ask(kit, "DEL t:relay:192.0.2.7"), ":1\r\n");
    assert_string_equal(redis_kit_ask(kit, "LPUSH t:relay:192.0.2.7 1000"), ":1\r\n");
    for (unsigned host = 1; host < 9; host++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "192.0.2.%u", host);
        assert_int_equal(ask(store, text, KIT_NOW),
                         host == 5 || host == 8 ? STATUS_OK : STATUS_NOTFOUND);
    }
    assert_string_equal(kit_store_text(&kit->kit, store),
                        "192.0.2.5 1000 user=a\n192.0.2.8 1000\n");
    assert_int_equal(apply(kit, store, RELAY_TOUCH, "192.0.2.7 2000", NULL), STATUS_NOTFOUND);
    assert_int_equal(apply(kit, store, RELAY_LOGIN, "192.0.2.7 2000", NULL), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.7", KIT_NOW), STATUS_OK);
    struct relay_change expire = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .minutes = 1};

    assert_int_equal(relay_store_apply(store, &expire, NULL, &count), STATUS_OK);
    assert_int_equal(count, 8);
    relay_store_close(&store);
}

/* ---- who may ---- */

static void write_password(struct redis_kit *kit, const char *text, char path[KIT_PATH_SIZE])
{
    (void)snprintf(path, KIT_PATH_SIZE, "%.200s/password", kit->kit.folder);
    kit_write(path, text, strlen(text));
    assert_int_equal(chmod(path, 0600), 0);
    kit->kit.options.redis.password_file = path;
}

static void test_password_of_the_file_and_database_of_the_url(void **state)
{
    static const char *const words[] = {"--requirepass", "a b\"c", NULL};
    struct redis_kit *kit = *state;
    char path[KIT_PATH_SIZE];

    redis_kit_start(kit, words);
    (void)strncat(kit->url, "?db=3", sizeof(kit->url) - strlen(kit->url) - 1);
    kit->kit.options.wait = false;
    kit_assert_cannot_open(&kit->kit, "NOAUTH");
    write_password(kit, "wrong\n", path);
    kit_assert_cannot_open(&kit->kit, "WRONGPASS");
    write_password(kit, "a b\"c\n", path);
    struct relay_store *store = kit_open(&kit->kit);

    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    relay_store_close(&store);
    const char *keyspace = redis_kit_ask(
        kit, "AUTH \"a b\\\"c\"\r\nSELECT 3\r\nEXISTS t:relay:192.0.2.1");

    assert_string_equal(keyspace, "+OK\r\n+OK\r\n:1\r\n");
    assert_int_equal(chmod(path, 0644), 0);
    kit_assert_cannot_open(&kit->kit, "open to everybody");
}

/* The rights that postern.conf(5) asks for are enough. */
#define RIGHTS                                                                                     \
    "ACL SETUSER postern on >secret ~t:relay* resetchannels -@all +auth +select +ping +get +mget " \
    "+set +del +exists +incr +expire +expireat +persist +hget +hgetall +hset +hdel +hexists "      \
    "+zadd +zrem +zcard +zcount +zscore +zscan +zrange +zrangebyscore +zremrangebyscore "          \
    "+zremrangebyrank +eval"

static void test_user_with_few_rights_can_do_all(void **state)
{
    static struct relay_entry entries[300];
    struct redis_kit *kit = *state;
    struct relay_change change;
    char path[KIT_PATH_SIZE];

    redis_kit_start(kit, NULL);
    assert_string_equal(redis_kit_ask(kit, RIGHTS), "+OK\r\n");
    (void)strncat(kit->url, "?user=postern&db=1", sizeof(kit->url) - strlen(kit->url) - 1);
    write_password(kit, "secret", path);
    kit->kit.options.terms = (struct relay_terms){.window_minutes = 30,
                                                  .max_entries = 1000,
                                                  .ipv6_prefix_bits = 64,
                                                  .addresses_per_user = 1,
                                                  .addresses_exceeded = RELAY_EXCESS_WITHDRAW};
    struct relay_store *store = open_daemon(kit);
    struct netaddr addr = kit_address("192.0.2.1");

    redis_kit_await(store, true);
    fill(entries, 300, 0, time(NULL));
    assert_int_equal(replace(kit, store, entries, 300), STATUS_OK);
    assert_true(login_from(kit, store, 1, "ann", &change));
    assert_int_equal(relay_store_charge(store, &addr, 3, time(NULL)), STATUS_OK);
    assert_int_equal(relay_store_charge(store, &addr, 3, time(NULL)), STATUS_OK);
    char text[64];

    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)time(NULL) + 1);
    assert_int_equal(apply(kit, store, RELAY_TOUCH, text, NULL), STATUS_OK);
    assert_false(login_from(kit, store, 2, "ann", &change));
    assert_non_null(strstr(kit->kit.why.data, "addresses_per_user"));
    assert_int_equal(apply(kit, store, RELAY_ADD, "2001:db8::/56 99999999999", NULL), STATUS_OK);
    assert_int_equal(kit_remove(&kit->kit, store, "2001:db8::/56"), STATUS_OK);
    assert_int_equal(entries_of(store), 0);
    struct relay_terms terms = kit->kit.options.terms;

    terms.window_minutes = 0;
    relay_store_configure(store, &terms);
    assert_int_equal(replace(kit, store, entries, 300), STATUS_OK);
    struct relay_change all = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .minutes = 1};

    assert_int_equal(relay_store_apply(store, &all, NULL, NULL), STATUS_OK);
    all.all = true;
    assert_int_equal(relay_store_apply(store, &all, NULL, NULL), STATUS_OK);
    struct relay_store_stats stats;

    relay_store_stats(store, &stats);
    assert_string_equal(stats.failure, "");
    relay_store_close(&store);
    /* And with one right less it says what is missing. */
    assert_string_equal(redis_kit_ask(kit, "ACL SETUSER postern -mget -eval"), "+OK\r\n");
    kit->kit.options.wait = false;
    kit_assert_cannot_open(&kit->kit, "NOPERM");
}

static void test_reader_changes_nothing(void **state)
{
    struct redis_kit *kit = *state;

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    relay_store_close(&store);
    assert_string_equal(redis_kit_ask(kit, "DEL t:relay-probe"), ":1\r\n");
    kit->kit.options.wait = false;
    struct relay_store *reader = relay_store_read(&kit->kit.options, &kit->kit.why);

    assert_non_null(reader);
    assert_int_equal(ask(reader, "192.0.2.1", KIT_NOW), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, reader), "192.0.2.1 1000\n");
    assert_int_equal(apply(kit, reader, RELAY_ADD, "192.0.2.2 1000", NULL), STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->kit.why.data, "open for reading"));
    assert_string_equal(redis_kit_ask(kit, "EXISTS t:relay:192.0.2.2 t:relay-probe"), ":0\r\n");
    relay_store_close(&reader);
}

/* ---- memory and disk of the server ---- */

/* A server that has no memory for changes still answers questions. */
static void test_full_server_refuses_changes_and_answers_questions(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store_stats stats;

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    assert_string_equal(redis_kit_ask(kit, "CONFIG SET maxmemory 1"), "+OK\r\n");
    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL), STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->kit.why.data, "OOM"));
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW), STATUS_OK);
    relay_store_stats(store, &stats);
    assert_true(stats.usable);
    assert_non_null(strstr(stats.failure, "OOM"));
    assert_string_equal(redis_kit_ask(kit, "CONFIG SET maxmemory 0"), "+OK\r\n");
    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL), STATUS_OK);
    relay_store_stats(store, &stats);
    assert_string_equal(stats.failure, "");
    relay_store_close(&store);
}

/* ---- many threads ---- */

static void *ask_often(void *arg)
{
    const struct relay_store *store = arg;
    uintptr_t wrong = 0;

    for (int i = 0; i < 500; i++) {
        wrong += ask(store, i % 2 == 0 ? "192.0.2.1" : "192.0.2.2", KIT_NOW) ==
                         (i % 2 == 0 ? STATUS_OK : STATUS_NOTFOUND)
                     ? 0
                     : 1;
    }
    return (void *)wrong;
}

static void test_many_threads_get_their_own_answers(void **state)
{
    struct redis_kit *kit = *state;
    pthread_t threads[24];

    redis_kit_start(kit, NULL);
    struct relay_store *store = open_daemon(kit);

    assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, store), 0);
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(apply(kit, store, RELAY_ADD, "192.0.2.3 1000", NULL), STATUS_OK);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *wrong = NULL;

        (void)pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    relay_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_login_is_found_with_all_that_is_known, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_dates_of_the_kinds_of_changes, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_touch_changes_the_date_of_what_is_there,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_ipv6_networks_are_found_by_every_host, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_window_is_checked_here_and_by_the_server,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_window_of_a_reload_counts_for_all_entries,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_replace_expire_and_walk_many, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_replace_shows_nobody_a_part, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_replacement_that_is_not_sound_changes_nothing,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_addresses_of_a_user_are_counted, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_a_user_of_too_many_addresses_is_refused_new_ones,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_a_user_of_too_many_addresses_loses_all_entries,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_charge_counts_to_the_limit_for_all_hosts,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_loss_answers_no_at_once_and_heals_itself,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_daemon_starts_without_the_server, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_values_that_are_not_posterns_grant_nothing,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_password_of_the_file_and_database_of_the_url,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_user_with_few_rights_can_do_all, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_reader_changes_nothing, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_full_server_refuses_changes_and_answers_questions,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_many_threads_get_their_own_answers, redis_kit_setup,
                                        redis_kit_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
