/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks a Redis server while others wait asks together with them, and gets the answer to his own question. */
#include "lib/relay/relay_redis_wait.h"
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASKERS 20u /* who wait while the first one is asking */
#define TIMEOUT_MS 3000
#define SLOW_MS 2000

/* What becomes of those who waited. */
enum act {
    ALL,
    HALF,        /* then the connection ends */
    ONE_ERROR,   /* to 192.0.2.3 */
    OTHER_STATE, /* the entries have been replaced meanwhile */
    SLOW,        /* each answer takes most of the time that it may take */
};

/*
 * A server that holds its first answer back until it is told, and then answers nobody until all have asked: who does not ask together with the
 * others gets no answer.
 */
struct play {
    enum act act;
    atomic_uint asked;
    atomic_bool may_answer;
    atomic_uint connection; /* where those who waited are asking */
    atomic_bool is_split;   /* not all of them on that one */
    char held[ASKERS * 64];
};

/* Addresses that end with an odd number have logged in. */
static void write_answer(const struct play *play, const char *key, char *out, size_t size)
{
    unsigned number = (unsigned)strtoul(strrchr(key, '.') + 1, NULL, 10);
    const char *state = "$-1";

    if (play->act == ONE_ERROR && number == 3) {
        (void)snprintf(out, size, "-ERR not this one\r\n");
        return;
    }
    if (play->act == OTHER_STATE && atomic_load(&play->asked) > 1) {
        state = "$1\r\n7";
    }
    (void)snprintf(out, size, "*2\r\n%s\r\n%s\r\n", state, number % 2 == 1 ? "$4\r\n1000" : "$-1");
}

static void await(const atomic_bool *flag)
{
    for (int try = 0; try < 3000 && !atomic_load(flag); try++) {
        (void)poll(NULL, 0, 10);
    }
}

static bool answer_held(struct play *play, int fd)
{
    if (play->act == HALF) {
        char *half = play->held;

        for (unsigned i = 0; i < ASKERS / 2; i++) {
            half = strstr(half + 1, "*2");
        }
        *half = '\0';
    }
    redis_actor_say(fd, play->held);
    return play->act != HALF;
}

static bool answer_question(struct play *play, int fd, unsigned connection, const char *key)
{
    unsigned before = atomic_fetch_add(&play->asked, 1);
    char answer[64];

    if (play->act == SLOW) {
        (void)poll(NULL, 0, SLOW_MS);
    } else if (before == 0) {
        await(&play->may_answer);
    }
    write_answer(play, key, answer, sizeof(answer));
    if (play->act == SLOW || before == 0 || before > ASKERS) {
        redis_actor_say(fd, answer);
        return true;
    }
    if (before == 1) {
        atomic_store(&play->connection, connection);
    } else if (atomic_load(&play->connection) != connection) {
        atomic_store(&play->is_split, true);
    }
    (void)strcat(play->held, answer);
    return before < ASKERS || answer_held(play, fd);
}

static bool play_part(void *ctx, int fd, unsigned connection, const char *const *words,
                      size_t count)
{
    (void)count;
    if (strcmp(words[0], "MGET") == 0) {
        return answer_question(ctx, fd, connection, words[2]);
    }
    const char *script = words[1];

    redis_actor_say(fd, strcmp(words[0], "GET") == 0                   ? "$-1\r\n"
                        : strstr(script, "relay-old', '-inf'") != NULL ? "*0\r\n"
                        : strstr(script, "PERSIST") != NULL            ? "$1\r\n0\r\n"
                                                                       : ":0\r\n");
    return true;
}

/* ---- who asks ---- */

struct asker {
    struct relay_store *store;
    pthread_t thread;
    unsigned number;
    enum status status;
    struct relay_found found;
    int64_t took_ms;
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    char text[32];

    (void)snprintf(text, sizeof(text), "192.0.2.%u", asker->number);
    struct netaddr addr = kit_address(text);

    int64_t begun = relay_redis_now();

    asker->status = relay_store_find(asker->store, &addr, KIT_NOW, &asker->found);
    asker->took_ms = relay_redis_now() - begun;
    return NULL;
}

static void begin(struct asker *asker, struct relay_store *store, unsigned number)
{
    *asker = (struct asker){.store = store, .number = number};
    assert_int_equal(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

/* Until so many have asked the store, and a moment more. */
static void await_askers(const struct relay_store *store, unsigned long count)
{
    struct relay_store_stats stats;

    for (int try = 0; try < 3000; try++) {
        relay_store_stats(store, &stats);
        if (stats.asked >= count) {
            break;
        }
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(stats.asked, count);
    (void)poll(NULL, 0, 100);
}

/* One asks alone, and the others while it waits; all have their answers afterwards. */
static void ask_together(struct redis_kit *kit, struct play *play, struct asker askers[ASKERS])
{
    struct redis_actor *actor = redis_actor_start(kit, play_part, play);
    struct asker first;

    kit->kit.options.redis.timeout_ms = 60000; /* in a sixteenth all are there */
    struct relay_store *store = redis_kit_open(kit);

    redis_kit_await(store, true);
    begin(&first, store, 101);
    await_askers(store, 1);
    for (unsigned i = 0; i < ASKERS; i++) {
        begin(&askers[i], store, i + 1);
    }
    await_askers(store, 1 + ASKERS);
    assert_int_equal(atomic_load(&play->asked), 1);
    atomic_store(&play->may_answer, true);
    for (unsigned i = 0; i < ASKERS; i++) {
        (void)pthread_join(askers[i].thread, NULL);
    }
    (void)pthread_join(first.thread, NULL);
    assert_int_equal(first.status, STATUS_OK);
    assert_false(atomic_load(&play->is_split));
    relay_store_close(&store);
    redis_actor_stop(&actor);
}

static void expect_own_answer(const struct asker *asker)
{
    if (asker->number % 2 == 0) {
        assert_int_equal(asker->status, STATUS_NOTFOUND);
        return;
    }
    assert_int_equal(asker->status, STATUS_OK);
    assert_int_equal(asker->found.login_at, 1000);
    assert_int_equal(asker->found.addr.bytes[3], asker->number);
}

/* ---- tests ---- */

static void test_each_has_its_own_answer(void **state)
{
    struct play play = {.act = ALL};
    struct asker askers[ASKERS];

    ask_together(*state, &play, askers);
    for (unsigned i = 0; i < ASKERS; i++) {
        expect_own_answer(&askers[i]);
    }
    assert_int_equal(atomic_load(&play.asked), 1 + ASKERS);
}

/* An answer that came counts; who got none when the connection ended has a no. */
static void test_connection_that_ends_in_the_middle(void **state)
{
    struct play play = {.act = HALF};
    struct asker askers[ASKERS];
    unsigned answered = 0;

    ask_together(*state, &play, askers);
    for (unsigned i = 0; i < ASKERS; i++) {
        if (askers[i].status != STATUS_TEMPFAIL) {
            expect_own_answer(&askers[i]);
            answered++;
        }
    }
    assert_int_equal(answered, ASKERS / 2);
}

static void test_error_is_only_of_the_one_who_asked(void **state)
{
    struct play play = {.act = ONE_ERROR};
    struct asker askers[ASKERS];

    ask_together(*state, &play, askers);
    for (unsigned i = 0; i < ASKERS; i++) {
        if (askers[i].number == 3) {
            assert_int_equal(askers[i].status, STATUS_TEMPFAIL);
        } else {
            expect_own_answer(&askers[i]);
        }
    }
}

/* What was looked up among entries that do not count any more is no answer: each asks once more. */
static void test_entries_that_were_replaced_meanwhile(void **state)
{
    struct play play = {.act = OTHER_STATE};
    struct asker askers[ASKERS];

    ask_together(*state, &play, askers);
    for (unsigned i = 0; i < ASKERS; i++) {
        expect_own_answer(&askers[i]);
    }
    assert_int_equal(atomic_load(&play.asked), 1 + 2 * ASKERS);
}

/* A server that answers each in time is there, and nobody waits for two answers. */
static void test_slow_server_is_there(void **state)
{
    struct redis_kit *kit = *state;
    struct play play = {.act = SLOW};
    struct redis_actor *actor = redis_actor_start(kit, play_part, &play);
    struct relay_store_stats stats;
    struct asker askers[2];

    kit->kit.options.redis.timeout_ms = TIMEOUT_MS;
    struct relay_store *store = redis_kit_open(kit);

    redis_kit_await(store, true);
    for (unsigned i = 0; i < 2; i++) {
        begin(&askers[i], store, i + 1);
        await_askers(store, i + 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(askers[i].thread, NULL);
        expect_own_answer(&askers[i]);
        assert_true(askers[i].took_ms < TIMEOUT_MS);
    }
    relay_store_stats(store, &stats);
    assert_true(stats.usable);
    relay_store_close(&store);
    redis_actor_stop(&actor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_has_its_own_answer, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_connection_that_ends_in_the_middle, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_error_is_only_of_the_one_who_asked, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_entries_that_were_replaced_meanwhile, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_slow_server_is_there, redis_kit_setup,
                                        redis_kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis_rounds", tests, NULL, NULL);
}
