/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/policy_server.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/trace.h"
#include "milter/policy_counts.h"
#include "milter/policy_decision.h"
#include "milter/policy_request.h"
#include "milter/ratelog.h"
#include "milter/relay_gate.h"
#include "milter/server.h"
#include "milter/snapshot.h"
#include "milter/workers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CLIENTS 8192u
#define MAX_UNANSWERED 4u
#define REQUEST_MS 10000
#define TOO_LATE "it waited for its turn for longer than timeout_ms: nobody relays for a login"
#define HOSTNAME_SIZE 256

struct policy_server {
    struct server *server;
    struct workers *workers;
    struct snapshot *snapshot;
    const struct relay_lookup *relayers;
    struct policy_counts *counts;
    struct logger *logger;
    struct ratelog failures;
    struct ratelog strangers; /* what is not understood */
    char hostname[HOSTNAME_SIZE];
};

/* A request on its way to a thread; the text, and a NUL byte, stand behind it. */
struct job {
    struct workers_job job; /* its owner is this structure */
    struct policy_server *policy;
    struct server_answer *answer;
    size_t len;
    char text[];
};

/* Keeps what was noted last: that is what decided. */
struct last_note {
    struct trace trace; /* first: the functions get a pointer to it */
    struct strbuf text;
};

static void on_lookup(struct trace *trace, const struct trace_lookup *lookup)
{
    struct strbuf *text = &((struct last_note *)trace)->text;

    if (lookup->result == STATUS_OK) {
        strbuf_reset(text);
        strbuf_appendf(text, "%s: %s %s", lookup->table, lookup->key, lookup->value);
    }
}

static void on_note(struct trace *trace, const char *note)
{
    struct strbuf *text = &((struct last_note *)trace)->text;

    strbuf_reset(text);
    strbuf_append(text, note);
}

/* ---- log ---- */

static void log_trouble(struct policy_server *policy, struct ratelog *ratelog, const char *why,
                        const struct policy_request *request)
{
    struct strbuf line;
    unsigned long withheld;

    if (!ratelog_due(ratelog, &withheld)) {
        return;
    }
    strbuf_init(&line);
    strbuf_append(&line, "event=policy action=dunno");
    log_field(&line, "error", why);
    log_field(&line, "client", request->client_address);
    log_field(&line, "recipient", request->recipient);
    if (withheld > 0) {
        log_field_uint(&line, "withheld", withheld);
    }
    log_line(policy->logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

/* What a limit of a login has refused is told as the filter tells it. */
static void log_decision(struct policy_server *policy, const struct policy_request *request,
                         const char *action, const char *limit, const char *why)
{
    enum log_level level = *limit != '\0' ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
    struct strbuf line;

    if (!log_enabled(policy->logger, level)) {
        return;
    }

    strbuf_init(&line);
    strbuf_appendf(&line, "event=policy action=%s", action);
    log_field(&line, "client", request->client_address);
    log_field(&line, "name", request->client_name);
    log_field(&line, "sender", request->sender);
    log_field(&line, "recipient", request->recipient);
    log_field(&line, "reason", *limit != '\0' ? limit : NULL);
    log_field(&line, "why", *why != '\0' ? why : NULL);
    log_line(policy->logger, level, line.data);
    strbuf_fini(&line);
}

/* ---- decide ---- */

/* It was asked `age_ms` ago. `later_out`: see policy_decision_make(). */
static bool decide(struct policy_server *policy, const struct policy_request *request,
                   int64_t age_ms, struct reply *later_out)
{
    bool traced = log_enabled(policy->logger, LOG_LEVEL_DEBUG);
    struct ruleset *ruleset = snapshot_get(policy->snapshot);
    struct last_note note = {.trace = {.lookup = on_lookup, .note = on_note}};
    struct policy_facts facts = {
        .ruleset = ruleset,
        .relayers = policy->relayers,
        .hostname = policy->hostname,
        .counts = policy->counts,
        .trace = traced ? &note.trace : NULL,
    };
    const char *why = "";

    if (facts.relayers != NULL && facts.relayers->waits &&
        age_ms > ruleset_config(ruleset)->relay_store.timeout_ms) {
        log_trouble(policy, &policy->failures, TOO_LATE, request);
        facts.relayers = &relay_gate_closed;
    }
    strbuf_init(&note.text);
    enum status status = policy_decision_make(&facts, request, &why, later_out);

    if (status == STATUS_TEMPFAIL) {
        log_trouble(policy, &policy->failures, why, request);
    } else if (status == STATUS_INVALID) {
        log_trouble(policy, &policy->strangers, why, request);
    }
    log_decision(policy, request,
                 status == STATUS_OK       ? "ok"
                 : later_out->text != NULL ? "defer_if_reject"
                                           : "dunno",
                 status == STATUS_NOTFOUND ? why : "", note.text.data);
    strbuf_fini(&note.text);
    ruleset_unref(&ruleset);
    return status == STATUS_OK;
}

/*
 * What Postfix itself permits, it knows best: what is refused only for now by a limit becomes a temporary refusal only where Postfix would refuse
 * it.
 */
static void send_answer(struct server_answer *answer, bool permitted, const struct reply *later)
{
    struct strbuf text;

    strbuf_init(&text);
    if (permitted) {
        strbuf_append(&text, "action=OK\n\n");
    } else if (later->text != NULL) {
        strbuf_appendf(&text, "action=DEFER_IF_REJECT %s %s\n\n", later->dsn, later->text);
    } else {
        strbuf_append(&text, "action=DUNNO\n\n");
    }
    server_keep(answer, text.data, text.len);
    strbuf_fini(&text);
}

static void run_job(void *owner)
{
    struct job *job = owner;
    struct policy_request request;
    struct reply later = {0};
    const char *why = "";
    bool permitted = false;

    if (policy_request_parse(job->text, job->len, &request, &why)) {
        permitted = decide(job->policy, &request, workers_age(&job->job), &later);
    } else {
        request = (struct policy_request){0};
        log_trouble(job->policy, &job->policy->strangers, why, &request);
    }
    send_answer(job->answer, permitted, &later);
    free(job);
}

static size_t take_request(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct policy_server *policy = owner;
    size_t used = policy_request_length(data, len);

    if (used == 0 && len >= POLICY_REQUEST_MAX) {
        const struct policy_request none = {0};

        log_trouble(policy, &policy->strangers, "a request that is too long", &none);
        return SERVER_END;
    }
    if (used == 0) {
        return SERVER_INCOMPLETE;
    }
    struct job *job = xmalloc(sizeof(*job) + used + 1);

    *job = (struct job){
        .job = {.run = run_job, .owner = job},
        .policy = policy,
        .answer = server_promise(client),
        .len = used,
    };
    memcpy(job->text, data, used);
    job->text[used] = '\0';
    workers_submit(policy->workers, &job->job);
    return used;
}

struct policy_server *policy_server_start(struct eventloop *loop, int listen_fd,
                                          struct snapshot *snapshot,
                                          const struct relay_lookup *relayers,
                                          struct logger *logger)
{
    static const struct server_protocol protocol = {
        .name = "policy",
        .max_request = POLICY_REQUEST_MAX,
        .max_clients = MAX_CLIENTS,
        .max_unanswered = MAX_UNANSWERED,
        .request_ms = REQUEST_MS,
        .request = take_request,
    };
    struct policy_server *policy = xcalloc(1, sizeof(*policy));

    policy->snapshot = snapshot;
    policy->relayers = relayers;
    policy->counts = policy_counts_new();
    policy->logger = logger;
    (void)gethostname(policy->hostname, sizeof(policy->hostname) - 1);
    policy->workers = workers_new(relayers != NULL && relayers->waits ? WORKERS_TO_WAIT
                                                                      : WORKERS_TO_COMPUTE);
    if (policy->workers != NULL) {
        policy->server = server_new(loop, &protocol, policy, listen_fd, logger);
    } else {
        (void)close(listen_fd);
    }
    if (policy->server == NULL) {
        policy_server_stop(&policy);
    }
    return policy;
}

void policy_server_close_socket(struct policy_server *policy)
{
    server_close_socket(policy->server);
}

void policy_server_stop(struct policy_server **policy)
{
    if (*policy == NULL) {
        return;
    }
    if ((*policy)->server != NULL) {
        server_finish((*policy)->server);
    }
    workers_free(&(*policy)->workers);
    server_free(&(*policy)->server);
    policy_counts_free(&(*policy)->counts);
    free(*policy);
    *policy = NULL;
}
