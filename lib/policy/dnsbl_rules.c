/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dnsbl_rules.h"

#include "lib/dns/dns_name.h"
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_lookup.h"
#include "lib/policy/dns_text.h"
#include "lib/policy/dnsbl_exempt.h"
#include "lib/policy/dnsbl_subject.h"
#include "lib/policy/dnsbl_trace.h"
#include "lib/policy/ruleset.h"

#include <string.h>

/* Bytes that are kept for the log, which cuts there: a client may say HELO as often as it likes. */
#define SAID_MAX 512u

/* Lists whose questions go out together. */
#define BATCH_MAX 16u

_Static_assert(CONFIG_DNSBL_MAX <= DNS_QUESTIONS_LISTENERS, "each list asks for news");

/* What a walk over the lists has found. */
struct walk {
    struct session *session;
    struct dnsbl_subject subject;
    struct dnsbl_exempt exempt;
    const char *query;  /* of the list that is looked at: what it was asked about */
    const char *answer; /* and what it said */
    const char *name;   /* under which name of DNS */
    int score;
    const char *scorers; /* the lists that added to it */
};

static struct walk begin_walk(struct session *session)
{
    return (struct walk){.session = session, .subject = dnsbl_subject_of(session), .scorers = ""};
}

/* ---- which lists ---- */

static bool is_chosen(const struct session *session, size_t index)
{
    return session->daemon == NULL || !session->daemon->has_dnsbl ||
           (session->daemon->dnsbl >> index & 1) != 0;
}

bool dnsbl_rules_apply(const struct session *session, unsigned lookups)
{
    const struct dns_lists *lists = ruleset_dns_lists(session->ruleset);

    if (session->accepted || !dns_questions_possible(session)) {
        return false;
    }
    for (size_t i = 0; i < dns_lists_count(lists); i++) {
        if (is_chosen(session, i) && (dns_lists_get(lists, i)->config->lookups & lookups) != 0) {
            return true;
        }
    }
    return false;
}

/* ---- what is asked ---- */

/* Lists that are asked together about one fact. */
struct batch {
    size_t count;
    const struct dns_list *lists[BATCH_MAX];
    const char *names[BATCH_MAX];
    char texts[BATCH_MAX][DNS_NAME_SIZE];
};

/* What is known already needs no question, and no look at who the client is. */
static void put(struct walk *walk, struct batch *batch, enum dns_span span)
{
    struct session *session = walk->session;

    if (dns_questions_expect_all(session, span, batch->names, batch->count, DNS_A, false) > 0) {
        for (size_t i = 0; i < batch->count; i++) {
            if (dnsbl_exempt_ask(&walk->exempt, session, batch->lists[i]) == DNSBL_EXEMPT_YES) {
                batch->names[i] = NULL;
            }
        }
        (void)dns_questions_expect_all(session, span, batch->names, batch->count, DNS_A, true);
    }
    batch->count = 0;
}

static void expect(struct walk *walk, enum config_dns_lookup lookup)
{
    struct session *session = walk->session;
    const struct dns_lists *lists = ruleset_dns_lists(session->ruleset);
    struct batch batch;

    batch.count = 0;
    for (size_t i = 0; i < dns_lists_count(lists); i++) {
        const struct dns_list *list = dns_lists_get(lists, i);
        char *text = batch.texts[batch.count];

        if ((list->config->lookups & lookup) == 0 || !is_chosen(session, i) ||
            !dns_list_is_usable(list) || !dnsbl_subject_name(&walk->subject, list, lookup, text)) {
            continue;
        }
        batch.lists[batch.count] = list;
        batch.names[batch.count++] = text;
        if (batch.count == BATCH_MAX) {
            put(walk, &batch, dnsbl_subject_span(lookup));
        }
    }
    put(walk, &batch, dnsbl_subject_span(lookup));
}

void dnsbl_rules_expect(struct session *session, unsigned lookups)
{
    if (!dnsbl_rules_apply(session, lookups)) {
        return;
    }
    struct walk walk = begin_walk(session);

    for (size_t i = 0; i < DNSBL_SUBJECT_LOOKUPS; i++) {
        if ((lookups & dnsbl_subject_lookups[i]) != 0) {
            expect(&walk, dnsbl_subject_lookups[i]);
        }
    }
}

/* ---- what is answered ---- */

/* Is `item` one of those that commas separate? */
static bool holds(const char *items, const char *item)
{
    size_t len = strlen(item);

    for (const char *at = items; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strncmp(at, item, len) == 0 && (at[len] == ',' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* For the log: what a list said, other than "not listed". A list that goes on failing is asked for each message. */
static void remember(const struct walk *walk, const struct dns_list *list,
                     enum config_dns_lookup lookup)
{
    struct session *session = walk->session;
    bool sender = lookup == DNS_LOOKUP_SENDER;
    const char **said = sender ? &session->sender_lists : &session->client_lists;
    const char *item = arena_printf(session->scratch, "%s=%s", list->config->title, walk->answer);

    if (*said != NULL && (strlen(*said) > SAID_MAX || holds(*said, item))) {
        return;
    }
    *said = arena_printf(sender ? session->message : session->arena, "%s%s%s",
                         *said == NULL ? "" : *said, *said == NULL ? "" : ",", item);
}

/* Once for each question and list, however often rules look at its answer: lists can have one zone together. */
static void count(const struct walk *walk, struct dns_list *list, enum config_dns_lookup lookup,
                  enum dnsbl_sense sense, const struct dns_record *record)
{
    uint64_t latency;

    if (!dns_questions_is_news(walk->session, walk->name, DNS_A, list->number, &latency)) {
        return;
    }
    (void)atomic_fetch_add_explicit(&list->asked, 1, memory_order_relaxed);
    dns_list_count(list, sense, record);
    if (latency > 0) {
        dns_latency_add(&list->latency, latency);
    }
    if (sense != DNSBL_CLEAN || record != NULL) {
        remember(walk, list, lookup);
    }
}

/* What a look at one fact in one list came to. */
enum look {
    LOOK_DONE,
    LOOK_WAIT,   /* it is not answered yet */
    LOOK_UNSURE, /* it is listed, and whether this client is spared cannot be known */
};

static enum dnsbl_exempt_answer spares(struct walk *walk, const struct dns_list *list)
{
    return dnsbl_exempt_ask(&walk->exempt, walk->session, list);
}

/* For log and reply, which few answers need. */
static void describe(struct walk *walk, enum config_dns_lookup lookup,
                     const struct dns_result *result, const struct dns_record *record)
{
    struct session *session = walk->session;
    char text[NETADDR_TEXT_SIZE];

    walk->name = arena_strdup(session->scratch, walk->name);
    walk->query = dnsbl_subject_text(session, lookup);
    walk->answer = record == NULL
                       ? dns_lookup_text(session, result, DNS_A)
                       : arena_strdup(session->scratch, netaddr_format_short(&record->addr, text));
}

/* What an answer means for this client. */
static enum look weigh(struct walk *walk, struct dns_list *list, enum config_dns_lookup lookup,
                       const struct dns_result *result, enum dnsbl_sense *sense_out)
{
    const struct dns_record *record;
    enum dnsbl_sense sense = dnsbl_judge(result, &list->config->match, &record);

    *sense_out = sense;
    if (sense != DNSBL_CLEAN || record != NULL) {
        enum dnsbl_exempt_answer spared = dnsbl_exempt_ask_again(&walk->exempt, walk->session,
                                                                 list);

        if (spared == DNSBL_EXEMPT_YES) {
            *sense_out = DNSBL_CLEAN;
            return LOOK_DONE;
        }
        if (spared == DNSBL_EXEMPT_UNKNOWN && sense == DNSBL_LISTED) {
            return LOOK_UNSURE;
        }
        describe(walk, lookup, result, record);
    }
    count(walk, list, lookup, sense, record);
    if (sense == DNSBL_ERROR) {
        dnsbl_trace_note(walk->session, list, "the answer is an error of the list, not a listing");
    }
    return LOOK_DONE;
}

/* What the list says of one fact. */
static enum look ask(struct walk *walk, struct dns_list *list, enum config_dns_lookup lookup,
                     enum dnsbl_sense *sense_out)
{
    struct session *session = walk->session;
    enum dns_span span = dnsbl_subject_span(lookup);
    char name[DNS_NAME_SIZE];

    *sense_out = DNSBL_CLEAN;
    if (!dnsbl_subject_name(&walk->subject, list, lookup, name)) {
        dnsbl_trace_ipv6(session, list, lookup);
        return LOOK_DONE;
    }
    if (!dns_questions_is_answered(session, span, name, DNS_A) &&
        spares(walk, list) == DNSBL_EXEMPT_YES) {
        return LOOK_DONE;
    }
    const struct dns_result *result = dns_lookup(session, span, name, DNS_A);

    if (result == NULL) {
        return LOOK_WAIT;
    }
    walk->name = name;

    enum look look = weigh(walk, list, lookup, result, sense_out);

    if (look != LOOK_DONE || *sense_out == DNSBL_CLEAN) {
        walk->name = NULL; /* else it was copied */
    }
    return look;
}

/* ---- what becomes of it ---- */

static struct rules_result decided(const struct walk *walk, enum config_dns_action action,
                                   struct reply reply, const char *list)
{
    struct rules_result result = rules_nothing();

    switch (action) {
    case DNS_ACTION_DISCARD:
        result.verdict.kind = VERDICT_DISCARD;
        break;
    case DNS_ACTION_QUARANTINE:
        result.verdict.kind = VERDICT_QUARANTINE;
        result.verdict.quarantine = list;
        break;
    case DNS_ACTION_REJECT:
    case DNS_ACTION_TEMPFAIL:
    case DNS_ACTION_ALLOW:
        result.verdict = verdict_refuse(reply, "dnsbl");
        break;
    }
    result.verdict.reason = "dnsbl";
    result.verdict.list = list;
    result.verdict.answer = walk->answer;
    return result;
}

static const char *default_reply(enum config_dns_action action)
{
    return action == DNS_ACTION_TEMPFAIL ? "451 4.7.1 Rejected: %{query} listed at %{list}"
                                         : "550 5.7.1 Rejected: %{query} listed at %{list}";
}

/* The words of a reply. False: the TXT record is not there yet; a list that has none says nothing. */
static bool words_of(const struct walk *walk, const char *reply, const char *list,
                     struct dns_text *text_out)
{
    struct session *session = walk->session;

    *text_out = (struct dns_text){
        .client = session->client_addr,
        .list = list,
        .query = walk->query == NULL ? "" : walk->query,
        .answer = walk->answer == NULL ? "" : walk->answer,
        .text = "",
    };
    if (!dns_text_wants_record(reply) || walk->name == NULL) {
        return true;
    }
    const struct dns_result *result = dns_lookup(session, DNS_SPAN_MESSAGE, walk->name, DNS_TXT);

    if (result != NULL && result->status == DNS_FOUND) {
        text_out->text = result->records[0].text;
    }
    return result != NULL;
}

/* The decision of the list that was asked last, or of a score. */
static struct rules_result act(const struct walk *walk, enum config_dns_action action,
                               const char *reply, const char *list)
{
    struct dns_text text;

    if (*reply == '\0') {
        reply = default_reply(action);
    }
    if (!words_of(walk, reply, list, &text)) {
        return rules_wait();
    }
    return decided(walk, action, dns_text_reply(reply, &text, walk->session->scratch), list);
}

/* A list that could not be asked. */
static struct rules_result cannot_ask(const struct walk *walk, const struct dns_list *list)
{
    struct dns_text text;

    if (*list->config->tempfail_reply == '\0') {
        dnsbl_trace_note(walk->session, list, "cannot be asked, which is ignored (on_tempfail)");
        return rules_nothing();
    }
    (void)words_of(walk, "", list->config->title, &text);

    struct rules_result result = {
        .verdict = verdict_refuse(
            dns_text_reply(list->config->tempfail_reply, &text, walk->session->scratch), "dnsbl")};

    result.verdict.list = list->config->title;
    result.verdict.answer = walk->answer;
    return result;
}

/* Is the list asked for this client? Who looks on is told why not; otherwise that is seen when it says something. */
static bool is_asked(struct walk *walk, size_t index, const struct dns_list *list, unsigned lookups)
{
    if (!is_chosen(walk->session, index) || (list->config->lookups & lookups) == 0) {
        return false;
    }
    if (walk->session->trace != NULL && spares(walk, list) == DNSBL_EXEMPT_YES) {
        dnsbl_trace_spared(walk->session, list, walk->exempt.reasons);
        return false;
    }
    if (!dns_list_is_usable(list)) {
        dnsbl_trace_suspended(walk->session, list);
        return false;
    }
    return true;
}

/* What a look that is no answer comes to. */
static struct rules_result unanswered(enum look look)
{
    return look == LOOK_WAIT ? rules_wait() : rules_tempfail("dnsbl");
}

/* One list. `lookups` of one with a weight add up. */
static struct rules_result ask_list(struct walk *walk, struct dns_list *list, unsigned lookups)
{
    const struct config_dnsbl *config = list->config;
    enum dnsbl_sense sense;

    for (size_t i = 0; i < DNSBL_SUBJECT_LOOKUPS; i++) {
        if ((config->lookups & lookups & dnsbl_subject_lookups[i]) == 0) {
            continue;
        }
        enum look look = ask(walk, list, dnsbl_subject_lookups[i], &sense);

        if (look != LOOK_DONE) {
            return unanswered(look);
        }
        if (sense == DNSBL_UNKNOWN) {
            struct rules_result result = cannot_ask(walk, list);

            if (rules_decided(&result)) {
                return result;
            }
        } else if (sense == DNSBL_LISTED && config->weight == 0) {
            return act(walk, config->action, config->reply, config->title);
        } else if (sense == DNSBL_LISTED) {
            walk->score += config->weight;
            walk->scorers = arena_printf(walk->session->scratch, "%s%s%s", walk->scorers,
                                         *walk->scorers == '\0' ? "" : ", ", config->title);
            return rules_nothing();
        }
    }
    return rules_nothing();
}

/* Does an allow list hold one of the facts? The verdict is WAIT, a temporary failure, or nothing. */
static struct rules_result ask_allowing(struct walk *walk, unsigned lookups, bool *allowed)
{
    const struct dns_lists *lists = ruleset_dns_lists(walk->session->ruleset);
    enum dnsbl_sense sense;

    for (size_t i = 0; i < dns_lists_count(lists); i++) {
        struct dns_list *list = dns_lists_get(lists, i);

        if (list->config->action != DNS_ACTION_ALLOW || !is_asked(walk, i, list, lookups)) {
            continue;
        }
        for (size_t j = 0; j < DNSBL_SUBJECT_LOOKUPS; j++) {
            if ((list->config->lookups & lookups & dnsbl_subject_lookups[j]) == 0) {
                continue;
            }
            enum look look = ask(walk, list, dnsbl_subject_lookups[j], &sense);

            if (look != LOOK_DONE) {
                return unanswered(look);
            }
            if (sense == DNSBL_LISTED) {
                dnsbl_trace_note(walk->session, list, "allowed: the other lists are not asked");
                *allowed = true;
                return rules_nothing();
            }
        }
    }
    return rules_nothing();
}

static struct rules_result check_score(struct walk *walk)
{
    const struct config_dns *dns = &ruleset_config(walk->session->ruleset)->dns;

    dnsbl_trace_score(walk->session, walk->score, dns->score_threshold, walk->scorers);
    if (dns->score_threshold <= 0 || walk->score < dns->score_threshold) {
        return rules_nothing();
    }
    walk->name = NULL; /* a score has no TXT record */
    walk->query = walk->session->client_addr;
    walk->answer = arena_printf(walk->session->scratch, "score %d", walk->score);
    return act(walk, dns->score_action, dns->score_reply, walk->scorers);
}

struct rules_result dnsbl_rules_check(struct session *session, unsigned lookups, unsigned scored)
{
    const struct dns_lists *lists = ruleset_dns_lists(session->ruleset);
    bool allowed = false;

    if (!dnsbl_rules_apply(session, lookups | scored)) {
        return rules_nothing();
    }
    struct walk walk = begin_walk(session);
    struct rules_result result = ask_allowing(&walk, lookups | DNS_LOOKUP_ADDRESS | DNS_LOOKUP_NAME,
                                              &allowed);

    for (size_t i = 0; i < dns_lists_count(lists) && !allowed && !rules_decided(&result); i++) {
        struct dns_list *list = dns_lists_get(lists, i);
        unsigned wanted = list->config->weight == 0 ? lookups : scored;

        if (list->config->action != DNS_ACTION_ALLOW && is_asked(&walk, i, list, wanted)) {
            result = ask_list(&walk, list, wanted);
        }
    }
    return allowed || rules_decided(&result) ? result : check_score(&walk);
}
