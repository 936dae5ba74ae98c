/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entries whose date is set anew while sessions are open, among other changes, and after a crash. */
#include "tests/unit/relay_kit.h"

#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 4096

static enum status touch(struct kit *kit, struct relay_store *store, const char *address,
                         int64_t date)
{
    struct relay_change change = {
        .kind = RELAY_TOUCH,
        .entry = {
            .addr = kit_address(address), .login_at = date, .user = "nobody", .service = "none"}};

    strbuf_reset(&kit->why);
    return relay_store_apply(store, &change, &kit->why, NULL);
}

static void test_touch_sets_the_date_alone(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);

    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000001 user=a%20b service=imap"),
                     STATUS_OK);
    assert_int_equal(touch(kit, store, "192.0.2.1", 1700000009), STATUS_OK);
    assert_string_equal(kit->why.data, "");
    assert_string_equal(kit_store_text(kit, store),
                        "192.0.2.1 1700000009 user=a%20b service=imap\n");
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store),
                        "192.0.2.1 1700000009 user=a%20b service=imap\n");
    relay_store_close(&store);
}

static void test_touch_of_nothing(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);

    assert_int_equal(touch(kit, store, "192.0.2.1", 1700000009), STATUS_NOTFOUND);
    assert_string_not_equal(kit->why.data, "");
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000001"), STATUS_OK);
    assert_int_equal(kit_remove(kit, store, "192.0.2.1"), STATUS_OK);
    assert_int_equal(touch(kit, store, "192.0.2.1", 1700000009), STATUS_NOTFOUND);
    assert_string_equal(kit_store_text(kit, store), "");
    relay_store_close(&store);
}

/* More time that an administrator gave is not taken away; nor does a clock that goes back. */
static void test_touch_never_moves_a_date_back(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_store_stats before;
    struct relay_store_stats after;

    assert_int_equal(kit_add(kit, store, "192.0.2.1 4000000000"), STATUS_OK);
    relay_store_stats(store, &before);
    assert_int_equal(touch(kit, store, "192.0.2.1", 1700000009), STATUS_OK);
    assert_int_equal(touch(kit, store, "192.0.2.1", 4000000000), STATUS_OK);
    relay_store_stats(store, &after);
    assert_int_equal(after.syncs, before.syncs);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 4000000000\n");
    assert_int_equal(touch(kit, store, "192.0.2.1", RELAY_LOGIN_MAX + 1), STATUS_INVALID);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 4000000000\n");
    relay_store_close(&store);
}

/* The address is the entry's own, whatever the prefix is by which logins are recorded now. */
static void test_touch_of_networks(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);

    assert_int_equal(kit_login(kit, store, "2001:db8:0:1::7 1700000001"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "2001:db8:0:1::7 1700000001"), STATUS_OK);
    relay_store_configure(store,
                          &(struct relay_terms){.max_entries = 1000, .ipv6_prefix_bits = 56});
    assert_int_equal(touch(kit, store, "2001:db8:0:1::/64", 1700000009), STATUS_OK);
    assert_int_equal(touch(kit, store, "2001:db8:0:1::8", 1700000009), STATUS_NOTFOUND);
    assert_int_equal(touch(kit, store, "2001:db8::/56", 1700000009), STATUS_NOTFOUND);
    assert_string_equal(kit_store_text(kit, store),
                        "2001:db8:0:1::/64 1700000009\n2001:db8:0:1::7 1700000001\n");
    relay_store_close(&store);
}

/* ---- many changes at once ---- */

struct list {
    struct relay_change changes[MOST];
    struct strbuf texts[MOST];
    enum status statuses[MOST];
    size_t count;
    size_t left;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

static void note_done(struct relay_change *change, enum status status, const char *why,
                      size_t count)
{
    struct list *list = change->ctx;

    (void)why;
    (void)count;
    (void)pthread_mutex_lock(&list->mutex);
    list->statuses[change - list->changes] = status;
    if (--list->left == 0) {
        (void)pthread_cond_signal(&list->wake);
    }
    (void)pthread_mutex_unlock(&list->mutex);
}

static struct list *new_list(void)
{
    struct list *list = xcalloc(1, sizeof(*list));

    (void)pthread_mutex_init(&list->mutex, NULL);
    (void)pthread_cond_init(&list->wake, NULL);
    return list;
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        strbuf_fini(&list->texts[i]);
    }
    free(list);
}

static void add(struct list *list, enum relay_change_kind kind, const char *entry)
{
    struct relay_change *change = &list->changes[list->count];
    struct strbuf *texts = &list->texts[list->count];

    assert_true(list->count < MOST);
    list->count++;
    strbuf_init(texts);
    *change = (struct relay_change){.kind = kind, .done = note_done, .ctx = list};
    if (kind == RELAY_REMOVE) {
        change->entry = (struct relay_entry){.addr = kit_address(entry)};
    } else if (kind == RELAY_EXPIRE) {
        change->minutes = (unsigned)strtoul(entry, NULL, 10);
    } else {
        change->entry = kit_entry(entry, texts);
    }
}

static void submit(struct relay_store *store, struct list *list)
{
    for (size_t i = 0; i + 1 < list->count; i++) {
        list->changes[i].next = &list->changes[i + 1];
    }
    list->left = list->count;
    relay_store_submit(store, list->changes);
}

static void wait_for(struct list *list)
{
    (void)pthread_mutex_lock(&list->mutex);
    while (list->left > 0) {
        (void)pthread_cond_wait(&list->wake, &list->mutex);
    }
    (void)pthread_mutex_unlock(&list->mutex);
}

/* Each touch sees what the changes before it have made, also when all share a write. */
static void test_touches_among_other_changes(void **state)
{
    static const struct {
        enum relay_change_kind kind;
        const char *entry;
        enum status status;
    } rows[] = {
        {RELAY_TOUCH, "192.0.2.1 1700000002", STATUS_NOTFOUND},
        {RELAY_LOGIN, "192.0.2.1 1700000003 user=ann", STATUS_OK},
        {RELAY_TOUCH, "192.0.2.1 1700000005", STATUS_OK},
        {RELAY_LOGIN, "192.0.2.1 1700000004 user=early", STATUS_OK},
        {RELAY_TOUCH, "192.0.2.1 1700000001", STATUS_OK},
        {RELAY_LOGIN, "192.0.2.2 1700000003 user=ben", STATUS_OK},
        {RELAY_ADD, "192.0.2.2 1700000001 user=bob service=pop3", STATUS_OK},
        {RELAY_TOUCH, "192.0.2.2 1700000002", STATUS_OK},
        {RELAY_LOGIN, "192.0.2.3 1700000003", STATUS_OK},
        {RELAY_REMOVE, "192.0.2.3", STATUS_OK},
        {RELAY_TOUCH, "192.0.2.3 1700000009", STATUS_NOTFOUND},
        {RELAY_TOUCH, "192.0.2.4 1700000009", STATUS_OK},
        {RELAY_REMOVE, "192.0.2.4", STATUS_OK},
        {RELAY_EXPIRE, "60", STATUS_OK}, /* all of these dates are old */
        {RELAY_TOUCH, "192.0.2.1 1700000010", STATUS_NOTFOUND},
        {RELAY_LOGIN, "192.0.2.5 1700000003 user=eve", STATUS_OK},
        {RELAY_TOUCH, "192.0.2.5 1700000011", STATUS_OK},
    };
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);

    for (int rounds = 0; rounds < 20; rounds++) {
        struct list *list = new_list();

        assert_int_equal(kit_add(kit, store, "192.0.2.4 1700000000"), STATUS_OK);
        (void)kit_remove(kit, store, "192.0.2.5");
        for (size_t i = 0; i < COUNT(rows); i++) {
            add(list, rows[i].kind, rows[i].entry);
        }
        submit(store, list);
        wait_for(list);
        for (size_t i = 0; i < COUNT(rows); i++) {
            if (list->statuses[i] != rows[i].status) {
                fail_msg("%zu, %s: %d", i, rows[i].entry, list->statuses[i]);
            }
        }
        assert_string_equal(kit_store_text(kit, store), "192.0.2.5 1700000011 user=eve\n");
        free_list(list);
    }
    relay_store_close(&store);
}

/* Logins and logouts that come together are one write to the disk, not one each. */
static void test_logins_and_touches_share_a_sync(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;
    struct relay_store_stats stats;
    struct list *list = new_list();
    char text[64];

    kit->options.terms.max_entries = MOST;
    store = kit_open(kit);
    for (unsigned i = 0; i < MOST / 2; i++) {
        (void)snprintf(text, sizeof(text), "10.0.%u.%u 1700000001 user=u%u", i / 200, i % 200, i);
        add(list, RELAY_LOGIN, text);
        (void)snprintf(text, sizeof(text), "10.0.%u.%u 1700000002", i / 200, i % 200);
        add(list, RELAY_TOUCH, text);
    }
    submit(store, list);
    wait_for(list);
    for (size_t i = 0; i < list->count; i++) {
        assert_int_equal(list->statuses[i], STATUS_OK);
    }
    relay_store_stats(store, &stats);
    assert_true(stats.syncs <= 20);
    assert_int_equal(stats.granted, MOST / 2);
    assert_non_null(strstr(kit_store_text(kit, store), "10.0.1.2 1700000002 user=u202\n"));
    free_list(list);
    relay_store_close(&store);
}

/* ---- crashes ---- */

static void change_and_die(struct kit *kit, struct relay_store *store)
{
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000001 user=ann"), STATUS_OK);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000001 user=ben"), STATUS_OK);
    assert_int_equal(touch(kit, store, "192.0.2.1", 1700000005), STATUS_OK);
    assert_int_equal(kit_remove(kit, store, "192.0.2.2"), STATUS_OK);
    assert_int_equal(touch(kit, store, "192.0.2.2", 1700000006), STATUS_NOTFOUND);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000004 user=bob"), STATUS_OK);
}

/* Killed, and read from the journal, more than once. */
static void test_acknowledged_touches_survive(void **state)
{
    static const char expected[] = "192.0.2.1 1700000005 user=ann\n192.0.2.2 1700000004 user=bob\n";
    struct kit *kit = *state;
    struct relay_store *store;
    char *journal;
    size_t len;

    kit_crash(kit, change_and_die);
    journal = kit_read(kit->journal, &len);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), expected);
    relay_store_close(&store);
    /* The same lines on what they have made already: a crash after the snapshot, and before the journal was emptied. */
    kit_write(kit->journal, journal, len);
    free(journal);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), expected);
    relay_store_close(&store);
}

/* ---- what `done` submits ---- */

struct again {
    struct relay_change login;
    struct relay_store *store;
    bool is_done;
};

static void note_login(struct relay_change *change, enum status status, const char *why,
                       size_t count)
{
    struct again *again = change->ctx;

    (void)why;
    (void)count;
    again->is_done = status == STATUS_OK;
}

static void log_in_again(struct relay_change *change, enum status status, const char *why,
                         size_t count)
{
    struct again *again = change->ctx;

    (void)why;
    (void)count;
    assert_int_equal(status, STATUS_NOTFOUND);
    relay_store_submit(again->store, &again->login);
}

/* It is made before the store ends. */
static void test_done_may_submit(void **state)
{
    struct kit *kit = *state;
    struct again again = {.store = kit_open(kit)};
    struct relay_change change = {.kind = RELAY_TOUCH,
                                  .entry = {.addr = kit_address("192.0.2.1"),
                                            .login_at = 1700000001,
                                            .user = "",
                                            .service = ""},
                                  .done = log_in_again,
                                  .ctx = &again};

    again.login = (struct relay_change){
        .kind = RELAY_LOGIN, .entry = change.entry, .done = note_login, .ctx = &again};
    relay_store_submit(again.store, &change);
    relay_store_close(&again.store);
    assert_true(again.is_done);
    again.store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, again.store), "192.0.2.1 1700000001\n");
    relay_store_close(&again.store);
}

int main(void)
{
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_touch_sets_the_date_alone),
        KIT_TEST(test_touch_of_nothing),
        KIT_TEST(test_touch_never_moves_a_date_back),
        KIT_TEST(test_touch_of_networks),
        KIT_TEST(test_touches_among_other_changes),
        KIT_TEST(test_logins_and_touches_share_a_sync),
        KIT_TEST(test_acknowledged_touches_survive),
        KIT_TEST(test_done_may_submit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
