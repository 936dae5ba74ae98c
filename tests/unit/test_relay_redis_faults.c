/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store with a server that does what no server should. */
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 1500
#define FOUND "*2\r\n$-1\r\n$4\r\n1000\r\n"

/* What the server does, from one moment on. */
struct play {
    atomic_int act;      /* what it says to questions (MGET) */
    atomic_uint asked;   /* questions that came */
    atomic_uint changes; /* and changes */
};

enum act {
    WELL,
    SILENT,
    ENDS,
    HALF_AND_SILENT,
    HALF_AND_ENDS,
    LOADING,
    READONLY,
    NOAUTH,
    MASTERDOWN,
    WRONG_KIND,
    TOO_FEW,
    TOO_MANY,
    WRONG_ITEMS,
    NO_STATE,
    NO_PROTOCOL,
    HUGE_TEXT,
    HUGE_ARRAY,
    DEEP,
    OTHER_ERROR,
    CHANGES_FAIL,
    CHANGES_READONLY,
    CHANGES_NONSENSE,
    CHANGES_END,
    CHANGES_DISOWN, /* and the search that is to follow has no sensible answer */
    ACTS,
};

/* More than any answer may have, as fast as it is taken. */
static bool say_for_ever(int fd)
{
    char block[4096];

    memset(block, 'x', sizeof(block) - 1);
    block[sizeof(block) - 1] = '\0';
    redis_actor_say(fd, "*2\r\n$-1\r\n$1073741824\r\n");
    for (int i = 0; i < 4096; i++) { /* 16 MB */
        redis_actor_say(fd, block);
    }
    return false;
}

static bool say_deep(int fd)
{
    for (int i = 0; i < 2000; i++) {
        redis_actor_say(fd, "*1\r\n");
    }
    redis_actor_say(fd, ":1\r\n");
    return true;
}

static bool wait_silently(void)
{
    (void)poll(NULL, 0, 2 * TIMEOUT_MS);
    return false;
}

static bool answer_question(enum act act, int fd)
{
    static const char *const texts[ACTS] = {
        [WELL] = FOUND,
        [CHANGES_FAIL] = FOUND,
        [CHANGES_READONLY] = FOUND,
        [CHANGES_NONSENSE] = FOUND,
        [CHANGES_END] = FOUND,
        [CHANGES_DISOWN] = FOUND,
        [HALF_AND_SILENT] = "*2\r\n$-1\r\n$4\r\n10",
        [HALF_AND_ENDS] = "*2\r\n$-1\r\n$4\r\n10",
        [LOADING] = "-LOADING Redis is loading the dataset in memory\r\n",
        [READONLY] = "-READONLY You can't write against a read only replica.\r\n",
        [NOAUTH] = "-NOAUTH Authentication required.\r\n",
        [MASTERDOWN] = "-MASTERDOWN Link with MASTER is down\r\n",
        [OTHER_ERROR] = "-ERR something else\r\n",
        [WRONG_KIND] = "+OK\r\n",
        [TOO_FEW] = "*1\r\n$4\r\n1000\r\n",
        [TOO_MANY] = "*3\r\n$-1\r\n$4\r\n1000\r\n$4\r\n1000\r\n",
        [WRONG_ITEMS] = "*2\r\n$-1\r\n:1000\r\n",
        [NO_STATE] = "*2\r\n$3\r\nabc\r\n$4\r\n1000\r\n",
        [NO_PROTOCOL] = "HTTP/1.1 400 Bad Request\r\n\r\n",
        [HUGE_ARRAY] = "*1073741824\r\n:1\r\n",
    };

    if (texts[act] != NULL) {
        redis_actor_say(fd, texts[act]);
    }
    switch (act) {
    case SILENT:
    case HALF_AND_SILENT:
        return wait_silently();
    case ENDS:
    case HALF_AND_ENDS:
        return false;
    case HUGE_TEXT:
        return say_for_ever(fd);
    case DEEP:
        return say_deep(fd);
    default:
        return true;
    }
}

static bool answer_change(enum act act, int fd)
{
    static const char *const texts[ACTS] = {
        [CHANGES_FAIL] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        [CHANGES_READONLY] = "-ERR Error running script (call to f_1): @user_script:1: -READONLY "
                             "You can't write against a read only replica.\r\n",
        [CHANGES_DISOWN] = "*5\r\n$6\r\ndisown\r\n:3\r\n:1\r\n:2\r\n:0\r\n",
        [CHANGES_NONSENSE] = "*5\r\n+taken\r\n:1\r\n:1\r\n:-7\r\n:1\r\n",
    };

    redis_actor_say(fd, texts[act] == NULL ? "*5\r\n$5\r\ntaken\r\n:0\r\n:0\r\n:0\r\n:0\r\n"
                                           : texts[act]);
    return act != CHANGES_END;
}

/* A server that is well at the start of each connection. */
static bool play_part(void *ctx, int fd, unsigned connection, const char *const *words,
                      size_t count)
{
    struct play *play = ctx;
    enum act act = (enum act)atomic_load(&play->act);

    (void)connection;
    if (strcmp(words[0], "MGET") == 0) {
        (void)atomic_fetch_add(&play->asked, 1);
        return answer_question(act, fd);
    }
    if (strcmp(words[0], "GET") == 0) {
        redis_actor_say(fd, "$-1\r\n");
        return true;
    }
    /* EVAL script 0 prefix ...: a login has most words, and the probe fewest. */
    if (count > 10) {
        (void)atomic_fetch_add(&play->changes, 1);
        return answer_change(act, fd);
    }
    const char *script = words[1];

    redis_actor_say(fd, strstr(script, "relay-old', '-inf'") != NULL ? "*0\r\n"
                        : strstr(script, "PERSIST") != NULL          ? "$1\r\n0\r\n"
                                                                     : ":0\r\n");
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct relay_store *open_play(struct redis_kit *kit, struct play *play,
                                     struct redis_actor **actor)
{
    *actor = redis_actor_start(kit, play_part, play);
    kit->kit.options.redis.timeout_ms = TIMEOUT_MS;
    struct relay_store *store = redis_kit_open(kit);

    redis_kit_await(store, true);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_OK);
    return store;
}

/* ---- the log ---- */

/* Standard error goes to a file of the folder. */
struct capture {
    char path[KIT_PATH_SIZE];
    int before;
};

static void begin_capture(struct redis_kit *kit, struct capture *capture)
{
    (void)snprintf(capture->path, sizeof(capture->path), "%.200s/log", kit->kit.folder);
    FILE *file = fopen(capture->path, "w");

    assert_non_null(file);
    capture->before = dup(STDERR_FILENO);
    (void)dup2(fileno(file), STDERR_FILENO);
    (void)fclose(file);
    kit->kit.options.logger = log_new(LOG_TARGET_STDERR, "test", "mail", LOG_LEVEL_INFO);
}

/* What was logged; free() it. */
static char *end_capture(struct redis_kit *kit, struct capture *capture)
{
    size_t len;

    log_free(&kit->kit.options.logger);
    (void)dup2(capture->before, STDERR_FILENO);
    (void)close(capture->before);
    return kit_read(capture->path, &len);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (; (text = strstr(text, part)) != NULL; text++) {
        count++;
    }
    return count;
}

/* ---- questions ---- */

/*
 * Each fault is a no in time, and the server is given up; when it is well again, the answer is yes. The log hears of the loss and of
 * the return, once.
 */
static void test_faults_of_answers_are_no_and_heal(void **state)
{
    static const struct {
        enum act act;
        const char *failure;
    } cases[] = {
        {SILENT, "no answer in time"},
        {ENDS, "ended the connection"},
        {HALF_AND_SILENT, "no answer in time"},
        {HALF_AND_ENDS, "ended the connection"},
        {LOADING, "LOADING"},
        {READONLY, "must name the master"},
        {NOAUTH, "redis_password_file"},
        {MASTERDOWN, "MASTERDOWN"},
        {WRONG_KIND, "makes no sense"},
        {TOO_FEW, "makes no sense"},
        {TOO_MANY, "makes no sense"},
        {WRONG_ITEMS, "makes no sense"},
        {NO_STATE, "makes no sense"},
        {NO_PROTOCOL, "Protocol error"},
        {HUGE_TEXT, "too long"},
        {HUGE_ARRAY, "too many parts"},
        {DEEP, ""},
    };
    struct redis_kit *kit = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct play play = {.act = WELL};
        struct redis_actor *actor;
        struct relay_store_stats stats;
        struct capture capture;

        begin_capture(kit, &capture);
        struct relay_store *store = open_play(kit, &play, &actor);

        atomic_store(&play.act, cases[i].act);
        int64_t begun = now_ms();
        enum status status = redis_kit_find(store, "192.0.2.1", KIT_NOW);

        assert_int_equal(status, STATUS_TEMPFAIL);
        assert_true(now_ms() - begun < 2 * TIMEOUT_MS);
        atomic_store(&play.act, WELL);
        for (int try = 0; try < 1000 && status == STATUS_TEMPFAIL; try++) {
            (void)poll(NULL, 0, 10);
            status = redis_kit_find(store, "192.0.2.1", KIT_NOW);
        }
        assert_int_equal(status, STATUS_OK);
        relay_store_stats(store, &stats);
        assert_string_equal(stats.failure, "");
        relay_store_close(&store);
        redis_actor_stop(&actor);
        char *log = end_capture(kit, &capture);

        if (strstr(log, cases[i].failure) == NULL || count_of(log, "error=") != 1 ||
            count_of(log, "answers again") != 1 || strstr(log, "unanswered=0") != NULL) {
            fail_msg("%d: %s", (int)cases[i].act, log);
        }
        free(log);
    }
}

/* An error that is not the server's state is the end of one question. */
static void test_other_errors_leave_the_connection(void **state)
{
    struct play play = {.act = WELL};
    struct redis_actor *actor;
    struct relay_store_stats stats;
    struct relay_store *store = open_play(*state, &play, &actor);

    atomic_store(&play.act, OTHER_ERROR);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_TEMPFAIL);
    relay_store_stats(store, &stats);
    assert_true(stats.usable);
    relay_store_close(&store);
    redis_actor_stop(&actor);
}

struct asker {
    struct relay_store *store;
    int64_t took_ms;
    enum status status;
};

static void *ask_once(void *arg)
{
    struct asker *asker = arg;
    int64_t begun = now_ms();

    asker->status = redis_kit_find(asker->store, "192.0.2.1", KIT_NOW);
    asker->took_ms = now_ms() - begun;
    return NULL;
}

/* Of many who ask at once, each has its no in the time of one answer; the server is not asked by all. */
static void test_silent_server_costs_the_time_of_one_answer(void **state)
{
    struct play play = {.act = WELL};
    struct redis_actor *actor;
    struct asker askers[64];
    pthread_t threads[COUNT(askers)];
    struct relay_store *store = open_play(*state, &play, &actor);

    atomic_store(&play.asked, 0);
    atomic_store(&play.act, SILENT);
    for (size_t i = 0; i < COUNT(askers); i++) {
        askers[i] = (struct asker){.store = store};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &askers[i]), 0);
    }
    for (size_t i = 0; i < COUNT(askers); i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].status, STATUS_TEMPFAIL);
        assert_true(askers[i].took_ms < 2 * TIMEOUT_MS);
    }
    assert_in_range(atomic_load(&play.asked), 1, 24);
    relay_store_close(&store);
    redis_actor_stop(&actor);
}

/* ---- changes ---- */

static void test_faults_of_changes_are_told(void **state)
{
    static const struct {
        enum act act;
        const char *why;
        bool is_lost;
    } cases[] = {
        {CHANGES_FAIL, "OOM", false},
        {CHANGES_READONLY, "must name the master", true},
        {CHANGES_NONSENSE, "makes no sense", true},
        {CHANGES_DISOWN, "makes no sense", true},
    };
    struct redis_kit *kit = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct play play = {.act = WELL};
        struct redis_actor *actor;
        struct relay_store *store = open_play(kit, &play, &actor);

        assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000", NULL),
                         STATUS_OK);
        atomic_store(&play.act, cases[i].act);
        assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000", NULL),
                         STATUS_TEMPFAIL);
        if (strstr(kit->kit.why.data, cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].why, kit->kit.why.data);
        }
        assert_true(!cases[i].is_lost || atomic_load(&play.changes) == 2);
        atomic_store(&play.act, WELL);
        redis_kit_await(store, true);
        enum status status = STATUS_TEMPFAIL;

        for (int try = 0; try < 500 && status == STATUS_TEMPFAIL; try++) {
            (void)poll(NULL, 0, 10);
            status = redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000", NULL);
        }
        assert_int_equal(status, STATUS_OK);
        relay_store_close(&store);
        redis_actor_stop(&actor);
    }
}

struct batch {
    struct relay_change changes[10];
    atomic_uint done, failed;
};

static void note_change(struct relay_change *change, enum status status, const char *why,
                        size_t count)
{
    struct batch *batch = change->ctx;

    (void)why;
    (void)count;
    (void)atomic_fetch_add(status == STATUS_OK ? &batch->done : &batch->failed, 1);
}

/* Of changes that were sent together, those without an answer are not acknowledged. */
static void test_changes_without_an_answer_have_failed(void **state)
{
    struct redis_kit *kit = *state;
    struct play play = {.act = WELL};
    struct redis_actor *actor;
    struct batch batch = {.done = 0};
    struct relay_store *store = open_play(kit, &play, &actor);

    for (size_t i = 0; i < COUNT(batch.changes); i++) {
        batch.changes[i] = (struct relay_change){
            .kind = RELAY_LOGIN,
            .entry = {.addr = kit_address("192.0.2.1"), .user = "", .service = ""},
            .done = note_change,
            .ctx = &batch,
            .next = i + 1 < COUNT(batch.changes) ? &batch.changes[i + 1] : NULL};
    }
    atomic_store(&play.act, CHANGES_END); /* after the first answer */
    relay_store_submit(store, batch.changes);
    relay_store_close(&store);
    assert_int_equal(atomic_load(&batch.done), 1);
    assert_int_equal(atomic_load(&batch.failed), COUNT(batch.changes) - 1);
    redis_actor_stop(&actor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_faults_of_answers_are_no_and_heal, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_other_errors_leave_the_connection, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_silent_server_costs_the_time_of_one_answer,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_faults_of_changes_are_told, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_changes_without_an_answer_have_failed, redis_kit_setup,
                                        redis_kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis_faults", tests, NULL, NULL);
}
