/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_pool.h"

#include "lib/base/thread.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_redis_command.h"
#include "lib/relay/relay_redis_news.h"
#include "lib/relay/relay_redis_scripts.h"
#include "lib/relay/relay_redis_wait.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MS 1000 /* after so long the server may have ended a connection */

struct idle {
    struct relay_redis_link *link;
    int64_t since_ms;
};

struct relay_redis_pool {
    const struct relay_redis_server *server;
    void (*wake)(void *ctx);
    void *ctx;
    size_t wanted;

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t change; /* a link is idle, or the server away */
    struct idle idle[RELAY_REDIS_LINKS_MAX];
    size_t idle_count;
    size_t alive; /* of this age: idle ones and loans */
    unsigned age; /* of the pool: counted up whenever all links are given up */
    bool is_away;
    bool was_there;                   /* ever: a server that is away from the start is news, too */
    char text[RELAY_REDIS_NEWS_SIZE]; /* why it is away */
    struct relay_redis_news news;
    int64_t away_since_ms;
    unsigned long missed; /* questions, meanwhile */
    struct relay_redis_state state;
};

struct relay_redis_pool *relay_redis_pool_new(const struct relay_redis_server *server, size_t links,
                                              struct logger *logger, void (*wake)(void *ctx),
                                              void *ctx)
{
    struct relay_redis_pool *pool = xcalloc(1, sizeof(*pool));

    pool->server = server;
    pool->news = (struct relay_redis_news){.logger = logger, .server = server->name};
    pool->wake = wake;
    pool->ctx = ctx;
    pool->wanted = links < RELAY_REDIS_LINKS_MAX ? links : RELAY_REDIS_LINKS_MAX;
    pool->is_away = true;
    pool->away_since_ms = relay_redis_now();
    relay_redis_state_init(&pool->state);
    (void)pthread_mutex_init(&pool->mutex, NULL);
    thread_cond_init(&pool->change);
    return pool;
}

void relay_redis_pool_free(struct relay_redis_pool **pool)
{
    if (*pool == NULL) {
        return;
    }
    for (size_t i = 0; i < (*pool)->idle_count; i++) {
        relay_redis_link_close(&(*pool)->idle[i].link);
    }
    (void)pthread_cond_destroy(&(*pool)->change);
    (void)pthread_mutex_destroy(&(*pool)->mutex);
    free(*pool);
    *pool = NULL;
}

/* ---- loss and return; with the mutex held ---- */

/* Takes the idle links out, for the caller to close without the mutex. */
static size_t take_idle(struct relay_redis_pool *pool, struct idle idle[RELAY_REDIS_LINKS_MAX])
{
    size_t count = pool->idle_count;

    memcpy(idle, pool->idle, count * sizeof(idle[0]));
    pool->idle_count = 0;
    return count;
}

static void close_all(struct idle idle[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        relay_redis_link_close(&idle[i].link);
    }
}

static void note_text(struct relay_redis_pool *pool, const char *why)
{
    size_t len = strnlen(why, sizeof(pool->text) - 1);

    memcpy(pool->text, why, len);
    pool->text[len] = '\0';
}

/* The server is away from now on, unless it is already. Takes the mutex. */
static void lose(struct relay_redis_pool *pool, unsigned age, const char *why)
{
    struct idle idle[RELAY_REDIS_LINKS_MAX];
    size_t count = 0;

    (void)pthread_mutex_lock(&pool->mutex);
    bool is_news = !pool->is_away && pool->age == age;

    if (is_news) {
        pool->is_away = true;
        pool->away_since_ms = relay_redis_now();
        pool->missed = 0;
        pool->age++;
        pool->alive = 0;
        note_text(pool, why);
        (void)relay_redis_news_is_due(&pool->news, why, true, pool->away_since_ms);
        count = take_idle(pool, idle);
        (void)pthread_cond_broadcast(&pool->change);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    close_all(idle, count);
    if (is_news) {
        relay_redis_news_lost(&pool->news, why);
        pool->wake(pool->ctx);
    }
}

/* ---- for all who ask ---- */

/* The link that was used last; NULL: none, or one that is of no use, which is in *stale_out. With the mutex held. */
static struct relay_redis_link *pop(struct relay_redis_pool *pool,
                                    struct relay_redis_link **stale_out)
{
    struct idle *last = &pool->idle[--pool->idle_count];

    if (relay_redis_now() - last->since_ms >= IDLE_MS && relay_redis_link_is_stale(last->link)) {
        *stale_out = last->link;
        pool->alive--;
        return NULL;
    }
    return last->link;
}

/* Waits until there may be an idle link; false: the time is over. With the mutex held. */
static bool wait_for_change(struct relay_redis_pool *pool, int64_t deadline_ms)
{
    struct timespec until = relay_redis_timespec(deadline_ms);

    return pthread_cond_timedwait(&pool->change, &pool->mutex, &until) != ETIMEDOUT;
}

/* As relay_redis_pool_take(), with the mutex held; *stale_out is to be closed by the caller, who then tries again. */
static bool take(struct relay_redis_pool *pool, int64_t deadline_ms,
                 struct relay_redis_loan *loan_out, struct relay_redis_link **stale_out)
{
    while (!pool->is_away && pool->idle_count == 0 && pool->alive > 0) {
        if (!wait_for_change(pool, deadline_ms)) {
            return false;
        }
    }
    loan_out->age = pool->age;
    if (pool->is_away || pool->idle_count == 0) {
        return false;
    }
    loan_out->link = pop(pool, stale_out);
    loan_out->state = pool->state;
    return loan_out->link != NULL;
}

bool relay_redis_pool_take(struct relay_redis_pool *pool, int64_t deadline_ms,
                           struct relay_redis_loan *loan_out)
{
    for (;;) {
        struct relay_redis_link *stale = NULL;

        *loan_out = (struct relay_redis_loan){.link = NULL};
        (void)pthread_mutex_lock(&pool->mutex);
        bool taken = take(pool, deadline_ms, loan_out, &stale);
        bool all_ended = !taken && !pool->is_away && pool->alive == 0;

        (void)pthread_mutex_unlock(&pool->mutex);
        relay_redis_link_close(&stale);
        if (all_ended) {
            lose(pool, loan_out->age, "it ended all connections");
        } else if (taken || stale == NULL) {
            return taken;
        } else {
            pool->wake(pool->ctx);
        }
        if (all_ended) {
            return false;
        }
    }
}

void relay_redis_pool_give(struct relay_redis_pool *pool, struct relay_redis_loan *loan)
{
    (void)pthread_mutex_lock(&pool->mutex);
    if (loan->age == pool->age && pool->idle_count < RELAY_REDIS_LINKS_MAX) {
        pool->idle[pool->idle_count++] = (struct idle){.link = loan->link,
                                                       .since_ms = relay_redis_now()};
        loan->link = NULL;
        (void)pthread_cond_signal(&pool->change);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    relay_redis_link_close(&loan->link);
}

void relay_redis_pool_fail(struct relay_redis_pool *pool, struct relay_redis_loan *loan,
                           const char *why)
{
    relay_redis_link_close(&loan->link);
    lose(pool, loan->age, why);
}

void relay_redis_pool_learn(struct relay_redis_pool *pool, const struct relay_redis_state *state)
{
    (void)pthread_mutex_lock(&pool->mutex);
    pool->state = *state;
    (void)pthread_mutex_unlock(&pool->mutex);
}

void relay_redis_pool_miss(struct relay_redis_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    pool->missed++;
    (void)pthread_mutex_unlock(&pool->mutex);
}

bool relay_redis_pool_is_away(struct relay_redis_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    bool is_away = pool->is_away;

    (void)pthread_mutex_unlock(&pool->mutex);
    return is_away;
}

void relay_redis_pool_text(struct relay_redis_pool *pool, char *buf, size_t size)
{
    struct strbuf text;

    strbuf_init(&text);
    (void)pthread_mutex_lock(&pool->mutex);
    if (pool->is_away) {
        strbuf_appendf(&text, "%s: %s", pool->server->name,
                       *pool->text == '\0' ? "not connected yet" : pool->text);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    size_t len = strnlen(text.data, size - 1);

    memcpy(buf, text.data, len);
    buf[len] = '\0';
    strbuf_fini(&text);
}

/* ---- for the thread ---- */

/* The state, by a command that fails if the server is not well. */
static bool ask_state(const struct relay_redis_pool *pool, struct relay_redis_link *link,
                      int64_t deadline_ms, struct relay_redis_state *state_out, struct strbuf *why)
{
    struct strbuf *command = relay_redis_link_command(link);
    struct strbuf *key = relay_redis_link_scratch(link);

    strbuf_append(key, pool->server->prefix);
    strbuf_append(key, "relay-state");
    relay_redis_command_begin(command, 2);
    relay_redis_command_text(command, "GET");
    relay_redis_command_add(command, key->data, key->len);
    const struct relay_redis_reply *reply = relay_redis_server_ask(link, command, deadline_ms, why);

    if (reply == NULL) {
        return false;
    }
    relay_redis_state_init(state_out);
    if (reply->kind != RELAY_REDIS_NIL &&
        (reply->kind != RELAY_REDIS_TEXT ||
         !relay_redis_state_parse(reply->text, reply->len, state_out))) {
        strbuf_appendf(why, "its key %s is not postern's", key->data);
        return false;
    }
    return true;
}

/* Does the server take changes? A full disk or memory does not hinder questions, and counts as well. */
static bool probe(const struct relay_redis_pool *pool, struct relay_redis_link *link,
                  int64_t deadline_ms, struct strbuf *why)
{
    struct strbuf *command = relay_redis_link_command(link);

    relay_redis_script_begin(command, RELAY_REDIS_PROBE, pool->server->prefix, 0);
    if (!relay_redis_link_send(link, command, deadline_ms, why)) {
        return false;
    }
    const struct relay_redis_reply *reply = relay_redis_link_receive(link, deadline_ms, why);

    if (reply != NULL && reply->kind == RELAY_REDIS_ERROR &&
        relay_redis_server_is_lost(reply->text)) {
        relay_redis_server_explain(reply->text, why);
        return false;
    }
    return reply != NULL;
}

/* All within the time of one answer: changes that come meanwhile wait for it. */
static bool open_links(struct relay_redis_pool *pool, bool writes, struct idle idle[],
                       size_t *count_out, struct relay_redis_state *state_out, struct strbuf *why)
{
    int64_t deadline_ms = relay_redis_server_deadline(pool->server);

    *count_out = 0;
    while (*count_out < pool->wanted) {
        struct relay_redis_link *link = relay_redis_server_connect(pool->server, deadline_ms, why);

        if (link == NULL) {
            return *count_out > 0; /* fewer will do; others are tried for later */
        }
        idle[(*count_out)++] = (struct idle){.link = link, .since_ms = relay_redis_now()};
        if (*count_out == 1 && (!ask_state(pool, link, deadline_ms, state_out, why) ||
                                (writes && !probe(pool, link, deadline_ms, why)))) {
            return false;
        }
    }
    return true;
}

bool relay_redis_pool_open(struct relay_redis_pool *pool, bool writes, struct strbuf *why)
{
    struct idle idle[RELAY_REDIS_LINKS_MAX];
    struct relay_redis_state state;
    size_t count;
    bool done = open_links(pool, writes, idle, &count, &state, why);

    (void)pthread_mutex_lock(&pool->mutex);
    bool is_first_loss = !pool->was_there && *pool->text == '\0';
    bool is_news = !done && relay_redis_news_is_due(&pool->news, why->data, is_first_loss,
                                                    relay_redis_now());
    bool returned = done && *pool->text != '\0';
    int64_t away_ms = relay_redis_now() - pool->away_since_ms;
    unsigned long missed = pool->missed;

    if (done) {
        memcpy(pool->idle, idle, count * sizeof(idle[0]));
        pool->idle_count = count;
        pool->alive = count;
        pool->state = state;
        pool->is_away = false;
        pool->was_there = true;
        pool->text[0] = '\0';
        (void)pthread_cond_broadcast(&pool->change);
    } else {
        note_text(pool, why->data);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    if (!done) {
        close_all(idle, count);
    }
    if (is_news) {
        relay_redis_news_lost(&pool->news, why->data);
    }
    if (returned) {
        relay_redis_news_returned(&pool->news, away_ms, missed);
    }
    return done;
}

/* Adds a link in the place of one that the server has ended. */
static bool replace_one(struct relay_redis_pool *pool, unsigned age)
{
    struct strbuf why;

    strbuf_init(&why);
    struct relay_redis_loan loan = {
        .link = relay_redis_server_connect(pool->server, relay_redis_server_deadline(pool->server),
                                           &why),
        .age = age};
    bool done = loan.link != NULL;

    if (!done) {
        (void)pthread_mutex_lock(&pool->mutex);
        bool is_last = pool->alive == 0;

        (void)pthread_mutex_unlock(&pool->mutex);
        if (is_last) { /* with others it does, and tries again the next time */
            lose(pool, age, why.data);
        }
    } else {
        (void)pthread_mutex_lock(&pool->mutex);
        pool->alive += pool->age == age ? 1 : 0;
        (void)pthread_mutex_unlock(&pool->mutex);
        relay_redis_pool_give(pool, &loan);
    }
    strbuf_fini(&why);
    return done;
}

/* The link that has been idle longest, if that is long enough. */
static bool take_idle_one(struct relay_redis_pool *pool, struct relay_redis_loan *loan)
{
    (void)pthread_mutex_lock(&pool->mutex);
    bool taken = pool->idle_count > 0 && relay_redis_now() - pool->idle[0].since_ms >= IDLE_MS;

    if (taken) {
        *loan = (struct relay_redis_loan){.link = pool->idle[0].link, .age = pool->age};
        pool->idle_count--;
        memmove(&pool->idle[0], &pool->idle[1], pool->idle_count * sizeof(pool->idle[0]));
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return taken;
}

/* Forgets a link that the server has ended. */
static void drop(struct relay_redis_pool *pool, struct relay_redis_loan *loan)
{
    relay_redis_link_close(&loan->link);
    (void)pthread_mutex_lock(&pool->mutex);
    pool->alive -= pool->age == loan->age ? 1 : 0;
    (void)pthread_mutex_unlock(&pool->mutex);
}

static void check_one(struct relay_redis_pool *pool, struct relay_redis_loan *loan)
{
    struct relay_redis_state state;
    struct strbuf why;

    strbuf_init(&why);
    if (relay_redis_link_is_stale(loan->link)) {
        drop(pool, loan);
    } else if (ask_state(pool, loan->link, relay_redis_server_deadline(pool->server), &state,
                         &why)) {
        relay_redis_pool_learn(pool, &state);
        relay_redis_pool_give(pool, loan);
    } else {
        relay_redis_pool_fail(pool, loan, why.data);
    }
    strbuf_fini(&why);
}

void relay_redis_pool_tend(struct relay_redis_pool *pool)
{
    struct relay_redis_loan loan;

    for (size_t i = 0; i < RELAY_REDIS_LINKS_MAX && take_idle_one(pool, &loan); i++) {
        check_one(pool, &loan);
    }
    (void)pthread_mutex_lock(&pool->mutex);
    unsigned age = pool->age;
    size_t missing = pool->is_away ? 0 : pool->wanted - pool->alive;

    (void)pthread_mutex_unlock(&pool->mutex);
    while (missing > 0 && replace_one(pool, age)) {
        missing--;
    }
}
