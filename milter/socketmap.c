/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/socketmap.h"

#include "lib/base/xalloc.h"
#include "lib/policy/pop_check.h"
#include "lib/policy/ruleset.h"
#include "milter/map_answers.h"
#include "milter/netstring.h"
#include "milter/ratelog.h"
#include "milter/relay_gate.h"
#include "milter/server.h"
#include "milter/snapshot.h"
#include "milter/workers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CLIENTS 8192u
#define MAX_UNANSWERED 16u
#define REQUEST_MS 10000
#define TOO_LATE "it waited for its turn for longer than timeout_ms: nobody relays for a login"
#define HOSTNAME_SIZE 256

struct socketmap {
    struct server *server;
    struct workers *workers;
    struct snapshot *snapshot;
    const struct relay_lookup *relayers;
    struct logger *logger;
    struct ratelog failures;
    struct ratelog limits;    /* questions that logins cannot answer */
    struct ratelog strangers; /* clients that do not speak the protocol, or ask for other maps */
    char hostname[HOSTNAME_SIZE];
};

/* A question on its way to a thread; the text stands behind it. */
struct job {
    struct workers_job job; /* its owner is this structure */
    struct socketmap *socketmap;
    struct server_answer *answer;
    size_t len;
    char text[];
};

static void log_once(struct socketmap *socketmap, struct ratelog *ratelog, const char *text,
                     const char *question, size_t len)
{
    struct strbuf line;
    struct strbuf asked;
    unsigned long withheld;

    if (!ratelog_due(ratelog, &withheld)) {
        return;
    }
    strbuf_init(&line);
    strbuf_init(&asked);
    strbuf_append_len(&asked, question, len);
    strbuf_append(&line, "event=map");
    log_field(&line, "error", text);
    log_field(&line, "question", asked.data);
    if (withheld > 0) {
        log_field_uint(&line, "withheld", withheld);
    }
    log_line(socketmap->logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&asked);
    strbuf_fini(&line);
}

static void log_answer(struct socketmap *socketmap, const char *question, size_t len,
                       const char *answer)
{
    struct strbuf line;
    struct strbuf asked;

    if (!log_enabled(socketmap->logger, LOG_LEVEL_DEBUG)) {
        return;
    }
    strbuf_init(&line);
    strbuf_init(&asked);
    strbuf_append_len(&asked, question, len);
    strbuf_append(&line, "event=map");
    log_field(&line, "question", asked.data);
    log_field(&line, "answer", answer);
    log_line(socketmap->logger, LOG_LEVEL_DEBUG, line.data);
    strbuf_fini(&asked);
    strbuf_fini(&line);
}

/* The answer as a netstring. It was asked `age_ms` ago. */
static void make_answer(struct socketmap *socketmap, const char *text, size_t len,
                        const struct map_question *question, int64_t age_ms, struct strbuf *out)
{
    struct ruleset *ruleset = snapshot_get(socketmap->snapshot);
    struct map_facts facts = {ruleset, socketmap->relayers, socketmap->hostname};
    struct strbuf answer;

    if (facts.relayers != NULL && facts.relayers->waits &&
        age_ms > ruleset_config(ruleset)->relay_store.timeout_ms) {
        log_once(socketmap, &socketmap->failures, TOO_LATE, text, len);
        facts.relayers = &relay_gate_closed;
    }
    if ((question->map == MAP_RELAYERS || question->map == MAP_RELAY_CLIENT) &&
        pop_check_tables_ignore_logins(ruleset_config(ruleset))) {
        log_once(socketmap, &socketmap->limits, POP_CHECK_TABLES, text, len);
    }
    strbuf_init(&answer);
    switch (map_answers_find(&facts, question, &answer)) {
    case STATUS_OK:
    case STATUS_NOTFOUND:
        break;
    case STATUS_TEMPFAIL:
        log_once(socketmap, &socketmap->failures,
                 "what the answer depends on cannot be read: nobody relays by it", text, len);
        break;
    case STATUS_INVALID:
        log_once(socketmap, &socketmap->strangers, "there is no map of this name", text, len);
        break;
    }
    log_answer(socketmap, text, len, answer.data);
    netstring_append(out, answer.data, answer.len);
    strbuf_fini(&answer);
    ruleset_unref(&ruleset);
}

static void run_job(void *owner)
{
    struct job *job = owner;
    struct map_question question;
    struct strbuf answer;

    strbuf_init(&answer);
    if (map_answers_parse(job->text, job->len, &question)) {
        make_answer(job->socketmap, job->text, job->len, &question, workers_age(&job->job),
                    &answer);
    }
    server_keep(job->answer, answer.data, answer.len);
    strbuf_fini(&answer);
    free(job);
}

static void answer_later(struct socketmap *socketmap, struct server_client *client,
                         const char *text, size_t len)
{
    struct job *job = xmalloc(sizeof(*job) + len);

    *job = (struct job){
        .job = {.run = run_job, .owner = job},
        .socketmap = socketmap,
        .answer = server_promise(client),
        .len = len,
    };
    memcpy(job->text, text, len);
    workers_submit(socketmap->workers, &job->job);
}

static size_t take_request(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct socketmap *socketmap = owner;
    struct map_question question;
    const char *text;
    size_t text_len;
    size_t used = 0;

    switch (netstring_read(data, len, MAP_QUESTION_MAX, &text, &text_len, &used)) {
    case NETSTRING_PART:
        return SERVER_INCOMPLETE;
    case NETSTRING_BAD:
        log_once(socketmap, &socketmap->strangers, "not a netstring", data, len);
        return SERVER_END;
    case NETSTRING_WHOLE:
        break;
    }
    if (!map_answers_parse(text, text_len, &question)) {
        log_once(socketmap, &socketmap->strangers, "not a map and a key", text, text_len);
        return SERVER_END;
    }
    if (map_answers_at_once(&question, socketmap->relayers)) {
        struct strbuf answer;

        strbuf_init(&answer);
        make_answer(socketmap, text, text_len, &question, 0, &answer);
        server_reply(client, answer.data, answer.len);
        strbuf_fini(&answer);
    } else {
        answer_later(socketmap, client, text, text_len);
    }
    return used;
}

struct socketmap *socketmap_start(struct eventloop *loop, int listen_fd, struct snapshot *snapshot,
                                  const struct relay_lookup *relayers, struct logger *logger)
{
    static const struct server_protocol protocol = {
        .name = "map",
        .max_request = MAP_QUESTION_MAX + NETSTRING_OVERHEAD,
        .max_clients = MAX_CLIENTS,
        .max_unanswered = MAX_UNANSWERED,
        .request_ms = REQUEST_MS,
        .request = take_request,
    };
    struct socketmap *socketmap = xcalloc(1, sizeof(*socketmap));

    socketmap->snapshot = snapshot;
    socketmap->relayers = relayers;
    socketmap->logger = logger;
    (void)gethostname(socketmap->hostname, sizeof(socketmap->hostname) - 1);
    socketmap->workers = workers_new(relayers != NULL && relayers->waits ? WORKERS_TO_WAIT
                                                                         : WORKERS_TO_COMPUTE);
    if (socketmap->workers != NULL) {
        socketmap->server = server_new(loop, &protocol, socketmap, listen_fd, logger);
    } else {
        (void)close(listen_fd);
    }
    if (socketmap->server == NULL) {
        socketmap_stop(&socketmap);
    }
    return socketmap;
}

void socketmap_close_socket(struct socketmap *socketmap)
{
    server_close_socket(socketmap->server);
}

void socketmap_stop(struct socketmap **socketmap)
{
    if (*socketmap == NULL) {
        return;
    }
    if ((*socketmap)->server != NULL) {
        server_finish((*socketmap)->server);
    }
    workers_free(&(*socketmap)->workers);
    server_free(&(*socketmap)->server);
    free(*socketmap);
    *socketmap = NULL;
}
