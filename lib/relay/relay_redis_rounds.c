/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_rounds.h"

#include "lib/base/thread.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_redis_find.h"
#include "lib/relay/relay_redis_wait.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define ROUND_MAX 128u /* questions */
#define PATIENCE 16    /* this part of the time for an answer one waits for a round of others */
#define TRIES 3        /* in which the state may change under a question */
#define NO_SENSE "its answer makes no sense"

enum turn {
    WAITS,
    LEADS, /* it asks for itself and for those behind it */
    ENDED,
};

/* One who asks; on its stack. */
struct asker {
    struct relay_redis_find find;
    int64_t deadline_ms;
    enum status status;
    bool must_ask_again;

    enum turn turn; /* with the mutex held; so is `next`, but by a leader */
    pthread_cond_t change;
    struct asker *next;
};

struct relay_redis_rounds {
    const struct relay_redis_asked *asked;

    pthread_mutex_t mutex; /* of all below */
    struct asker *first;   /* they wait for a round */
    struct asker **last;
    unsigned on_the_way; /* rounds */
};

/* A round on its connection. */
struct round {
    const struct relay_redis_asked *asked;
    struct relay_redis_loan loan;
    int64_t deadline_ms; /* of the one who has the least time */
    struct strbuf scratch;
    struct strbuf why;
};

struct relay_redis_rounds *relay_redis_rounds_new(const struct relay_redis_asked *asked)
{
    struct relay_redis_rounds *rounds = xcalloc(1, sizeof(*rounds));

    rounds->asked = asked;
    rounds->last = &rounds->first;
    (void)pthread_mutex_init(&rounds->mutex, NULL);
    return rounds;
}

void relay_redis_rounds_free(struct relay_redis_rounds **rounds)
{
    if (*rounds == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&(*rounds)->mutex);
    free(*rounds);
    *rounds = NULL;
}

/* ---- one round ---- */

static void miss(const struct round *round, struct asker *asker)
{
    relay_redis_pool_miss(round->asked->pool);
    asker->status = STATUS_TEMPFAIL;
}

static void miss_all(const struct round *round, struct asker *asker)
{
    for (; asker != NULL; asker = asker->next) {
        miss(round, asker);
    }
}

/* The connection is of no use any more, nor is the server. */
static bool lose(struct round *round, const char *why)
{
    relay_redis_pool_fail(round->asked->pool, &round->loan, why);
    return false;
}

static bool send_all(struct round *round, struct asker *first)
{
    struct strbuf *command = relay_redis_link_command(round->loan.link);

    for (struct asker *asker = first; asker != NULL; asker = asker->next) {
        relay_redis_find_write(&asker->find, round->asked->server->prefix, &round->loan.state,
                               &round->scratch, command);
    }
    return relay_redis_link_send(round->loan.link, command, round->deadline_ms, &round->why) ||
           lose(round, round->why.data);
}

/* False: the connection was lost. An error that only hinders this question leaves it alone. */
static bool take_answer(struct round *round, struct asker *asker,
                        const struct relay_redis_reply *reply)
{
    struct relay_redis_state state;

    if (reply->kind == RELAY_REDIS_ERROR) {
        if (relay_redis_server_is_lost(reply->text)) {
            relay_redis_server_explain(reply->text, &round->why);
            return lose(round, round->why.data);
        }
        miss(round, asker);
        return true;
    }
    switch (
        relay_redis_find_read(&asker->find, reply, &round->loan.state, &state, &round->scratch)) {
    case RELAY_REDIS_FIND_YES:
        asker->status = STATUS_OK;
        return true;
    case RELAY_REDIS_FIND_NO:
        asker->status = STATUS_NOTFOUND;
        return true;
    case RELAY_REDIS_FIND_AGAIN:
        relay_redis_pool_learn(round->asked->pool, &state);
        asker->must_ask_again = true;
        return true;
    case RELAY_REDIS_FIND_NONSENSE:
        break;
    }
    return lose(round, NO_SENSE);
}

/* Returns the first who got no answer, because the connection was lost. */
static struct asker *take_answers(struct round *round, struct asker *asker)
{
    while (asker != NULL) {
        const struct relay_redis_reply *reply = relay_redis_link_receive(
            round->loan.link, round->deadline_ms, &round->why);

        if (reply == NULL) {
            (void)lose(round, round->why.data);
            return asker;
        }
        if (!take_answer(round, asker, reply)) {
            return asker;
        }
        asker = asker->next;
    }
    relay_redis_pool_give(round->asked->pool, &round->loan);
    return NULL;
}

static void ask(const struct relay_redis_asked *asked, struct asker *first)
{
    struct round round = {.asked = asked, .deadline_ms = first->deadline_ms};

    for (const struct asker *asker = first->next; asker != NULL; asker = asker->next) {
        if (asker->deadline_ms < round.deadline_ms) {
            round.deadline_ms = asker->deadline_ms;
        }
    }
    if (!relay_redis_pool_take(asked->pool, round.deadline_ms, &round.loan)) {
        miss_all(&round, first);
        return;
    }
    strbuf_init(&round.scratch);
    strbuf_init(&round.why);
    miss_all(&round, send_all(&round, first) ? take_answers(&round, first) : first);
    strbuf_fini(&round.scratch);
    strbuf_fini(&round.why);
}

/* ---- who asks, and who waits; with the mutex held ---- */

/* The next round: takes those who have waited longest, and returns the one who leads them. NULL: nobody waits. */
static struct asker *take_round(struct relay_redis_rounds *rounds)
{
    struct asker *leader = rounds->first;
    struct asker *end = leader;

    if (leader == NULL) {
        return NULL;
    }
    for (unsigned i = 1; i < ROUND_MAX && end->next != NULL; i++) {
        end = end->next;
    }
    rounds->first = end->next;
    if (rounds->first == NULL) {
        rounds->last = &rounds->first;
    }
    end->next = NULL;
    return leader;
}

/* The round is over: its answers are told, and another one begins or not. */
static void end_round(struct relay_redis_rounds *rounds, struct asker *leader)
{
    struct asker *next;

    leader->turn = ENDED;
    for (struct asker *asker = leader->next; asker != NULL; asker = next) {
        next = asker->next; /* once it is told, it is gone */
        asker->turn = ENDED;
        (void)pthread_cond_signal(&asker->change);
    }
    next = take_round(rounds);
    if (next == NULL) {
        rounds->on_the_way--;
    } else {
        next->turn = LEADS;
        (void)pthread_cond_signal(&next->change);
    }
}

/* Begins a round with those who wait, if there are any. */
static void begin_round(struct relay_redis_rounds *rounds)
{
    struct asker *leader = take_round(rounds);

    if (leader != NULL) {
        rounds->on_the_way++;
        leader->turn = LEADS;
        (void)pthread_cond_signal(&leader->change);
    }
}

/*
 * Enters, and waits until there is an answer or the asker has to lead. A round that takes long is not waited for: others go beside it, so that all
 * have most of their time for an answer of their own.
 */
static void wait_for_turn(struct relay_redis_rounds *rounds, struct asker *asker)
{
    int64_t patience_ms = 1 + rounds->asked->server->timeout_ms / PATIENCE;

    asker->next = NULL;
    asker->turn = WAITS;
    *rounds->last = asker;
    rounds->last = &asker->next;
    if (rounds->on_the_way == 0) {
        begin_round(rounds);
    }
    while (asker->turn == WAITS) {
        struct timespec until = relay_redis_timespec(relay_redis_now() + patience_ms);

        if (pthread_cond_timedwait(&asker->change, &rounds->mutex, &until) == ETIMEDOUT &&
            asker->turn == WAITS) {
            begin_round(rounds);
        }
    }
}

static void find_once(struct relay_redis_rounds *rounds, struct asker *asker)
{
    asker->must_ask_again = false;
    (void)pthread_mutex_lock(&rounds->mutex);
    wait_for_turn(rounds, asker);
    if (asker->turn == LEADS) {
        (void)pthread_mutex_unlock(&rounds->mutex);
        ask(rounds->asked, asker);
        (void)pthread_mutex_lock(&rounds->mutex);
        end_round(rounds, asker);
    }
    (void)pthread_mutex_unlock(&rounds->mutex);
}

enum status relay_redis_rounds_find(struct relay_redis_rounds *rounds, const struct netaddr *client,
                                    int64_t now, unsigned window_minutes,
                                    struct relay_found *found_out)
{
    struct asker asker = {.deadline_ms = relay_redis_server_deadline(rounds->asked->server),
                          .status = STATUS_TEMPFAIL};

    asker.find.client = *client;
    asker.find.now = now;
    asker.find.window_minutes = window_minutes;
    asker.find.found_out = found_out;
    thread_cond_init(&asker.change);
    find_once(rounds, &asker);
    for (int try = 1; asker.must_ask_again && try < TRIES; try++) {
        find_once(rounds, &asker);
    }
    (void)pthread_cond_destroy(&asker.change);
    if (asker.must_ask_again) {
        relay_redis_pool_miss(rounds->asked->pool);
        return STATUS_TEMPFAIL;
    }
    return asker.status;
}
