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

/* Of these a session has room without asking for memory: some lists, and what else is asked about an ordinary client. */
#define QUESTIONS_AT_HAND 8u

/* That are put together at once; what is more goes in turns. */
#define TOGETHER_MAX 16u

struct question {
    struct question *next;
    struct dns_answer *answer; /* NULL: a place at hand that is free */
    int64_t put_at;            /* dns_now(); not set if answered at once */
    bool at_once;              /* it was answered from the cache */
    uint64_t told;             /* a bit for each listener whom dns_questions_is_news() said so */
    bool given_up;             /* time ran out: its answer is a failure, whatever comes later */
};

struct dns_questions {
    struct question *first[DNS_SPANS];
    unsigned count[DNS_SPANS];
    struct question *found;  /* last: rules look several times for the same */
    struct question *wanted; /* what the stage waits for */
    int64_t budget;          /* nanoseconds that may still be waited */
    int64_t ran_out;         /* when there were none left; 0: there are */
    struct question at_hand[QUESTIONS_AT_HAND];
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

static bool is_of(const struct question *question, const char *name, enum dns_type type)
{
    return dns_answer_type(question->answer) == type &&
           strcmp(dns_answer_name(question->answer), name) == 0;
}

/* By the name as it was put. */
static struct question *find(struct dns_questions *dns, const char *name, enum dns_type type)
{
    if (dns == NULL) {
        return NULL;
    }
    if (dns->found != NULL && is_of(dns->found, name, type)) {
        return dns->found;
    }
    for (int span = 0; span < DNS_SPANS; span++) {
        for (struct question *at = dns->first[span]; at != NULL; at = at->next) {
            if (is_of(at, name, type)) {
                dns->found = at;
                return at;
            }
        }
    }
    return NULL;
}

static struct question *alloc_question(struct dns_questions *dns)
{
    for (size_t i = 0; i < QUESTIONS_AT_HAND; i++) {
        if (dns->at_hand[i].answer == NULL) {
            return &dns->at_hand[i];
        }
    }
    return xmalloc(sizeof(struct question));
}

static void free_question(struct dns_questions *dns, struct question *question)
{
    dns_answer_unref(&question->answer);
    if (question < dns->at_hand || question >= dns->at_hand + QUESTIONS_AT_HAND) {
        free(question);
    }
}

/* How many more the session may put. */
static size_t room(struct session *session, enum dns_span span)
{
    if (session->dns == NULL) {
        session->dns = xcalloc(1, sizeof(*session->dns));
        session->dns->budget = full_budget(session);
    }
    return QUESTIONS_MAX - session->dns->count[span];
}

/* A question of this session from now on; there is room for it. */
static struct question *add(struct session *session, enum dns_span span, struct dns_answer *answer)
{
    struct dns_questions *dns = session->dns;
    struct question *question = alloc_question(dns);

    *question = (struct question){
        .answer = answer, .at_once = dns_answer_is_ready(answer), .next = dns->first[span]};
    question->put_at = question->at_once ? 0 : dns_now();
    dns->first[span] = question;
    dns->count[span]++;
    return question;
}

/* NULL: the session has put too many already. */
static struct question *get(struct session *session, enum dns_span span, const char *name,
                            enum dns_type type)
{
    struct question *question = find(session->dns, name, type);

    return question != NULL ? question
           : room(session, span) > 0
               ? add(session, span, resolver_ask(session->resolver, name, type))
               : NULL;
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

/* Of at most TOGETHER_MAX names. */
static size_t put_some(struct session *session, enum dns_span span, const char *const *names,
                       size_t count, enum dns_type type, bool send)
{
    struct resolver_question questions[TOGETHER_MAX];
    size_t most = room(session, span);

    for (size_t i = 0; i < count; i++) {
        bool skip = names[i] == NULL || i >= most || find(session->dns, names[i], type) != NULL;

        questions[i] = (struct resolver_question){.name = skip ? NULL : names[i], .type = type};
    }
    size_t left = resolver_ask_all(session->resolver, questions, count, send);

    for (size_t i = 0; i < count; i++) {
        if (questions[i].answer != NULL) {
            (void)add(session, span, questions[i].answer);
        }
    }
    return left;
}

size_t dns_questions_expect_all(struct session *session, enum dns_span span,
                                const char *const *names, size_t count, enum dns_type type,
                                bool send)
{
    size_t left = 0;

    for (size_t i = 0; i < count && dns_questions_possible(session); i += TOGETHER_MAX) {
        size_t some = count - i < TOGETHER_MAX ? count - i : TOGETHER_MAX;

        left += put_some(session, span, names + i, some, type, send);
    }
    return left;
}

bool dns_questions_is_answered(struct session *session, enum dns_span span, const char *name,
                               enum dns_type type)
{
    struct question *question = find(session->dns, name, type);

    if (question == NULL && dns_questions_possible(session) &&
        put_some(session, span, &name, 1, type, false) == 0) {
        question = find(session->dns, name, type);
    }
    return question != NULL && (question->given_up || dns_answer_is_ready(question->answer));
}

const struct dns_result *dns_questions_ask(struct session *session, enum dns_span span,
                                           const char *name, enum dns_type type)
{
    char normal[DNS_NAME_SIZE];
    struct question *question = find(session->dns, name, type);

    if (question == NULL && !dns_name_normalize(name, normal)) {
        return &no_name;
    }
    if (question == NULL && dns_questions_possible(session)) {
        question = get(session, span, normal, type);
    }
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
                           size_t listener, uint64_t *latency_us_out)
{
    char normal[DNS_NAME_SIZE];
    struct question *question = find(session->dns, name, type);

    if (question == NULL && dns_name_normalize(name, normal)) {
        question = find(session->dns, normal, type);
    }
    *latency_us_out = 0;
    if (question == NULL || (question->told >> listener & 1) != 0) {
        return false;
    }
    question->told |= UINT64_C(1) << listener;
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
        free_question(dns, at);
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

static bool has_failed(const struct question *question)
{
    return question->given_up || (dns_answer_is_ready(question->answer) &&
                                  dns_answer_result(question->answer)->status == DNS_TEMPFAIL);
}

/* What failed for one message is asked again for the next: the answer may have come meanwhile, or the server be back. */
static void ask_again(struct session *session, struct question *question)
{
    struct dns_answer *answer = resolver_ask(session->resolver, dns_answer_name(question->answer),
                                             dns_answer_type(question->answer));

    dns_answer_unref(&question->answer);
    question->answer = answer;
    question->given_up = false;
    question->told = 0;
    question->at_once = dns_answer_is_ready(answer);
    question->put_at = question->at_once ? 0 : dns_now();
    session->unlisted = false;
}

static void ask_failed_again(struct session *session)
{
    for (int span = 0; span < DNS_SPANS && dns_questions_possible(session); span++) {
        for (struct question *at = session->dns->first[span]; at != NULL; at = at->next) {
            if (has_failed(at)) {
                ask_again(session, at);
            }
        }
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
    dns->found = NULL;
    dns->wanted = NULL;
    if (span == DNS_SPAN_CONNECTION) {
        free(dns);
        session->dns = NULL;
    } else if (span == DNS_SPAN_MESSAGE) {
        refill(session, dns);
        ask_failed_again(session);
    }
}
