/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dnsbl_rules.h"

#include "lib/dns/dns_name.h"
#include "lib/policy/client_facts.h"
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_lookup.h"
#include "lib/policy/dns_text.h"
#include "lib/policy/relay_rules.h"
#include "lib/policy/ruleset.h"

#include <string.h>

/* Each fact that is looked up, by its bit. */
static const enum config_dns_lookup all_lookups[] = {
    DNS_LOOKUP_ADDRESS,
    DNS_LOOKUP_NAME,
    DNS_LOOKUP_HELO,
    DNS_LOOKUP_SENDER,
};

#define LOOKUPS (sizeof(all_lookups) / sizeof(all_lookups[0]))

/* Bytes that are kept for the log, which cuts there: a client may say HELO as often as it likes. */
#define SAID_MAX 512u

/* What a walk over the lists has found. */
struct walk {
    struct session *session;
    unsigned exempt;     /* enum config_dns_exempt: what spares this client lists */
    bool exempt_unknown; /* a map that says so cannot be read */
    const char *query;   /* of the list that is looked at: what it was asked about */
    const char *answer;  /* and what it said */
    const char *name;    /* under which name of DNS */
    int score;
    const char *scorers; /* the lists that added to it */
};

/* ---- which lists ---- */

static bool is_chosen(const struct session *session, size_t index)
{
    return session->daemon == NULL || !session->daemon->has_dnsbl ||
           (session->daemon->dnsbl >> index & 1) != 0;
}

bool dnsbl_rules_apply(const struct session *session, unsigned lookups)
{
    const struct dns_lists *lists = ruleset_dns_lists(session->ruleset);

    for (size_t i = 0; i < dns_lists_count(lists) && dns_questions_possible(session); i++) {
        if (is_chosen(session, i) && (dns_lists_get(lists, i)->config->lookups & lookups) != 0) {
            return true;
        }
    }
    return false;
}

/* Has it shown at MAIL who it is? */
static bool shows_who(const struct session *session)
{
    return *session->login.type != '\0' || *session->login.authen != '\0' ||
           *session->login.cert_issuer != '\0';
}

/*
 * Who may relay by what it is. What the envelope sender claims to be (relay_mail_from, relay_local_from) spares nobody anything.
 * Nobody wants to see these lookups once more, and what hangs on address and name alone is found out once.
 */
static enum status may_relay(struct session *session, bool *relays_out)
{
    const char *sender = session->sender;
    struct trace *trace = session->trace;

    if (session->relay_known && !shows_who(session)) {
        *relays_out = session->relays;
        return STATUS_OK;
    }
    session->sender = NULL;
    session->trace = NULL;

    enum status status = relay_rules_client_relays(session, relays_out);

    session->sender = sender;
    session->trace = trace;
    if (status == STATUS_OK && !shows_who(session)) {
        session->relay_known = true;
        session->relays = *relays_out;
    }
    return status;
}

/* What spares this client lists, of all that any list may say. */
static struct walk begin_walk(struct session *session)
{
    struct walk walk = {.session = session, .scorers = ""};
    bool relays = false;

    if ((client_facts_known(session) & CLIENT_AUTHENTICATED) != 0) {
        walk.exempt |= DNS_EXEMPT_AUTHENTICATED;
    }
    walk.exempt_unknown = may_relay(session, &relays) != STATUS_OK;
    if (relays) {
        walk.exempt |= DNS_EXEMPT_RELAY;
    }
    return walk;
}

/* ---- what is asked ---- */

/* The domain or address that is looked up; NULL: there is none. */
static const char *query_of(const struct session *session, enum config_dns_lookup lookup)
{
    const char *name = lookup == DNS_LOOKUP_ADDRESS ? session->client_addr
                       : lookup == DNS_LOOKUP_NAME  ? session->client_name
                       : lookup == DNS_LOOKUP_HELO  ? session->helo
                                                    : session->sender_domain;

    return name == NULL || *name == '\0' || *name == '[' ? NULL : name;
}

/* The same, as it can stand in a reply: with A-labels. */
static const char *query_text(const struct session *session, enum config_dns_lookup lookup)
{
    const char *query = query_of(session, lookup);
    char plain[DNS_NAME_SIZE];

    return lookup != DNS_LOOKUP_ADDRESS && dns_name_normalize(query, plain)
               ? arena_strdup(session->scratch, plain)
               : query;
}

/* The name under which a list has the fact; false: it cannot have it. */
static bool name_in_list(const struct session *session, const struct dns_list *list,
                         enum config_dns_lookup lookup, char out[DNS_NAME_SIZE])
{
    const char *query = query_of(session, lookup);
    const char *zone = list->config->zone;
    char plain[DNS_NAME_SIZE];

    if (query == NULL) {
        return false;
    }
    if (lookup == DNS_LOOKUP_ADDRESS) {
        return (session->client_net.family != NETADDR_IPV6 ||
                dnsbl_health_has_ipv6(list->health)) &&
               dns_name_reverse(&session->client_net, zone, out);
    }
    return dns_name_normalize(query, plain) && dns_name_is_host(plain) &&
           dns_name_under(plain, zone, out);
}

static enum dns_span span_of(enum config_dns_lookup lookup)
{
    return lookup == DNS_LOOKUP_SENDER ? DNS_SPAN_MESSAGE
           : lookup == DNS_LOOKUP_HELO ? DNS_SPAN_HELO
                                       : DNS_SPAN_CONNECTION;
}

void dnsbl_rules_expect(struct session *session, unsigned lookups)
{
    const struct dns_lists *lists = ruleset_dns_lists(session->ruleset);
    char name[DNS_NAME_SIZE];

    if (!dnsbl_rules_apply(session, lookups)) {
        return;
    }
    struct walk walk = begin_walk(session);

    for (size_t i = 0; i < dns_lists_count(lists); i++) {
        struct dns_list *list = dns_lists_get(lists, i);

        if (!is_chosen(session, i) || !dns_list_is_usable(list) ||
            (list->config->exempt & walk.exempt) != 0) {
            continue;
        }
        for (size_t j = 0; j < LOOKUPS; j++) {
            if ((list->config->lookups & lookups & all_lookups[j]) != 0 &&
                name_in_list(session, list, all_lookups[j], name)) {
                (void)dns_questions_expect(session, span_of(all_lookups[j]), name, DNS_A);
            }
        }
    }
}

/* ---- what is answered ---- */

static void note(const struct walk *walk, const struct dns_list *list, const char *what)
{
    if (walk->session->trace != NULL) {
        rules_note(walk->session,
                   arena_printf(walk->session->scratch, "dnsbl %s: %s", list->config->title, what));
    }
}

/* For the log: what a list said, other than "not listed". */
static void remember(const struct walk *walk, const struct dns_list *list,
                     enum config_dns_lookup lookup)
{
    struct session *session = walk->session;
    bool sender = lookup == DNS_LOOKUP_SENDER;
    const char **said = sender ? &session->sender_lists : &session->client_lists;

    if (*said != NULL && strlen(*said) > SAID_MAX) {
        return;
    }
    *said = arena_printf(sender ? session->message : session->arena, "%s%s%s=%s",
                         *said == NULL ? "" : *said, *said == NULL ? "" : ",", list->config->title,
                         walk->answer);
}

/* Once for each question, however often rules look at its answer. */
static void count(const struct walk *walk, struct dns_list *list, enum config_dns_lookup lookup,
                  enum dnsbl_sense sense, const struct dns_record *record)
{
    uint64_t latency;

    if (!dns_questions_is_news(walk->session, walk->name, DNS_A, &latency)) {
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

/* What the list says of one fact. False: it is not known yet. */
static bool ask(struct walk *walk, struct dns_list *list, enum config_dns_lookup lookup,
                enum dnsbl_sense *sense_out)
{
    struct session *session = walk->session;
    const struct dns_record *record;
    char name[DNS_NAME_SIZE];

    *sense_out = DNSBL_CLEAN;
    if (!name_in_list(session, list, lookup, name)) {
        return true;
    }
    walk->name = arena_strdup(session->scratch, name);

    const struct dns_result *result = dns_lookup(session, span_of(lookup), walk->name, DNS_A);

    if (result == NULL) {
        return false;
    }
    *sense_out = dnsbl_judge(result, &list->config->match, &record);
    walk->query = query_text(session, lookup);
    walk->answer = dns_lookup_text(session, result, DNS_A);
    if (record != NULL) {
        char text[NETADDR_TEXT_SIZE];

        walk->answer = arena_strdup(session->scratch, netaddr_format_short(&record->addr, text));
    }
    count(walk, list, lookup, *sense_out, record);
    if (*sense_out == DNSBL_ERROR) {
        note(walk, list, "the answer is an error of the list, not a listing");
    }
    return true;
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
        note(walk, list, "cannot be asked, which is ignored (on_tempfail)");
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

/* Is the list asked for this client? */
static bool is_asked(const struct walk *walk, size_t index, const struct dns_list *list,
                     unsigned lookups)
{
    if (!is_chosen(walk->session, index) || (list->config->lookups & lookups) == 0) {
        return false;
    }
    if ((list->config->exempt & walk->exempt) != 0) {
        note(walk, list,
             (list->config->exempt & walk->exempt & DNS_EXEMPT_AUTHENTICATED) != 0
                 ? "not asked for clients that logged in"
                 : "not asked for clients that may relay");
        return false;
    }
    if (!dns_list_is_usable(list)) {
        note(walk, list, "suspended, because it fails its probe");
        return false;
    }
    return true;
}

/* One list. `lookups` of one with a weight add up. */
static struct rules_result ask_list(struct walk *walk, struct dns_list *list, unsigned lookups)
{
    const struct config_dnsbl *config = list->config;
    enum dnsbl_sense sense;

    for (size_t i = 0; i < LOOKUPS; i++) {
        if ((config->lookups & lookups & all_lookups[i]) == 0) {
            continue;
        }
        if (!ask(walk, list, all_lookups[i], &sense)) {
            return rules_wait();
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

/* Does an allow list hold one of the facts? The verdict is WAIT or nothing. */
static struct rules_result ask_allowing(struct walk *walk, unsigned lookups, bool *allowed)
{
    const struct dns_lists *lists = ruleset_dns_lists(walk->session->ruleset);
    enum dnsbl_sense sense;

    for (size_t i = 0; i < dns_lists_count(lists); i++) {
        struct dns_list *list = dns_lists_get(lists, i);

        if (list->config->action != DNS_ACTION_ALLOW || !is_asked(walk, i, list, lookups)) {
            continue;
        }
        for (size_t j = 0; j < LOOKUPS; j++) {
            if ((list->config->lookups & lookups & all_lookups[j]) == 0) {
                continue;
            }
            if (!ask(walk, list, all_lookups[j], &sense)) {
                return rules_wait();
            }
            if (sense == DNSBL_LISTED) {
                note(walk, list, "allowed: the other lists are not asked");
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

    if (*walk->scorers != '\0' && walk->session->trace != NULL) {
        rules_note(walk->session,
                   arena_printf(walk->session->scratch, "dnsbl: the score is %d of %d (%s)",
                                walk->score, dns->score_threshold, walk->scorers));
    }
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

    if (walk.exempt_unknown) {
        return rules_tempfail("dnsbl");
    }
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
