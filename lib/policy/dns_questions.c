/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_questions.h"

#include "lib/base/xalloc.h"
#include "lib/dns/dns_name.h"
#include "lib/dns/resolver.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/session.h"

#include <stdlib.h>
#include <string.h>

#define MILLISECOND INT64_C(1000000)
#define PAUSE (30000 * MILLISECOND) /* after time ran out */

/* Questions of one span; those beyond are answered as if DNS failed. All lists, with their TXT records, are far less. */
#define QUESTIONS_MAX 512u

struct question {
    struct question *next;
    struct dns_answer *answer;
    int64_t put_at; /* dns_now() */
    bool at_once;   /* it was answered from the cache */
    bool told;      /* dns_questions_is_news() said so */
    bool given_up;  /* time ran out: its answer is a failure, whatever comes later */
};

struct dns_questions {
    struct question *first[DNS_SPANS];
    unsigned count[DNS_SPANS];
    struct question *wanted; /* what the stage waits for */
    int64_t budget;          /* nanoseconds that may still be waited */
    int64_t ran_out;         /* when there were none left; 0: there are */
};

static const struct dns_result no_time = {
    .status = DNS_TEMPFAIL, .failure = DNS_FAILURE_TIMEOUT, .name = ""};
static const struct dns_result too_many = {
    .status = DNS_TEMPFAIL, .failure = DNS_FAILURE_OVERLOAD, .name = ""};
static const struct dns_result no_name = {.status = DNS_NXDOMAIN, .name = ""};

static int64_t full_budget(const struct session *session)
{
    return (int64_t)ruleset_config(session->ruleset)->dns.timeout_ms * MILLISECOND;
}

bool dns_questions_possible(const struct session *session)
{
    return session->resolver != NULL;
}

/* ---- asking ---- */

static struct question *find(const struct dns_questions *dns, const char *name, enum dns_type type)
{
    for (int span = 0; dns != NULL && span < DNS_SPANS; span++) {
        for (struct question *at = dns->first[span]; at != NULL; at = at->next) {
            if (dns_answer_type(at->answer) == type &&
                dns_name_equal(dns_answer_name(at->answer), name)) {
                return at;
            }
        }
    }
    return NULL;
}

/* NULL: the session has put too many already. */
static struct question *put(struct session *session, enum dns_span span, const char *name,
                            enum dns_type type)
{
    if (session->dns == NULL) {
        session->dns = xcalloc(1, sizeof(*session->dns));
        session->dns->budget = full_budget(session);
    }
    struct dns_questions *dns = session->dns;

    if (dns->count[span] >= QUESTIONS_MAX) {
        return NULL;
    }
    struct question *question = xcalloc(1, sizeof(*question));

    question->answer = resolver_ask(session->resolver, name, type);
    question->put_at = dns_now();
    question->at_once = dns_answer_is_ready(question->answer);
    question->next = dns->first[span];
    dns->first[span] = question;
    dns->count[span]++;
    return question;
}

static struct question *get(struct session *session, enum dns_span span, const char *name,
                            enum dns_type type)
{
    struct question *question = find(session->dns, name, type);

    return question != NULL ? question : put(session, span, name, type);
}

const struct dns_result *dns_questions_expect(struct session *session, enum dns_span span,
                                              const char *name, enum dns_type type)
{
    char normal[DNS_NAME_SIZE];

    if (!dns_questions_possible(session) || !dns_name_normalize(name, normal)) {
        return NULL;
    }
    struct question *question = get(session, span, normal, type);

    return question != NULL && dns_answer_is_ready(question->answer)
               ? dns_answer_result(question->answer)
               : NULL;
}

const struct dns_result *dns_questions_ask(struct session *session, enum dns_span span,
                                           const char *name, enum dns_type type)
{
    char normal[DNS_NAME_SIZE];

    if (!dns_name_normalize(name, normal)) {
        return &no_name;
    }
    struct question *question = dns_questions_possible(session) ? get(session, span, normal, type)
                                                                : NULL;

    if (question == NULL) {
        return &too_many;
    }
    if (question->given_up) {
        return &no_time;
    }
    if (dns_answer_is_ready(question->answer)) {
        return dns_answer_result(question->answer);
    }
    session->dns->wanted = question;
    return NULL;
}

bool dns_questions_is_news(struct session *session, const char *name, enum dns_type type,
                           uint64_t *latency_us_out)
{
    char normal[DNS_NAME_SIZE];
    struct question *question = dns_name_normalize(name, normal) ? find(session->dns, normal, type)
                                                                 : NULL;

    *latency_us_out = 0;
    if (question == NULL || question->told) {
        return false;
    }
    question->told = true;
    if (!question->at_once && !question->given_up) {
        *latency_us_out = dns_answer_latency_us(question->answer);
    }
    return true;
}

/* ---- waiting ---- */

void dns_questions_wait(struct session *session)
{
    struct dns_questions *dns = session->dns;

    if (dns == NULL || dns->wanted == NULL) {
        return;
    }
    int64_t before = dns_now();
    int64_t deadline = dns->wanted->put_at + full_budget(session);

    /* Who came to wait late waits the less: threads that wait hold up others. */
    if (deadline > before + dns->budget) {
        deadline = before + dns->budget;
    }
    if (!dns_answer_wait(dns->wanted->answer, deadline)) {
        dns->wanted->given_up = true;
    }
    int64_t after = dns_now();

    dns->budget -= after - before;
    if (dns->budget <= 0 || dns->wanted->given_up) {
        dns->budget = 0;
        dns->ran_out = after;
    }
    dns->wanted = NULL;
}

/* ---- forgetting ---- */

static void free_span(struct dns_questions *dns, int span)
{
    struct question *next;

    for (struct question *at = dns->first[span]; at != NULL; at = next) {
        next = at->next;
        dns_answer_unref(&at->answer);
        free(at);
    }
    dns->first[span] = NULL;
    dns->count[span] = 0;
}

/* A new message has all the time again, unless there was none to be had a moment ago. */
static void refill(const struct session *session, struct dns_questions *dns)
{
    if (dns->ran_out == 0 || dns_now() - dns->ran_out > PAUSE) {
        dns->budget = full_budget(session);
        dns->ran_out = 0;
    }
}

void dns_questions_forget(struct session *session, enum dns_span span)
{
    struct dns_questions *dns = session->dns;

    if (dns == NULL) {
        return;
    }
    for (int i = (int)span; i < DNS_SPANS; i++) {
        free_span(dns, i);
    }
    dns->wanted = NULL;
    if (span == DNS_SPAN_CONNECTION) {
        free(dns);
        session->dns = NULL;
    } else if (span == DNS_SPAN_MESSAGE) {
        refill(session, dns);
    }
}
