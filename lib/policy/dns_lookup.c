/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_lookup.h"

#include "lib/policy/trace.h"

#define RECORDS_SHOWN 4u

static const char *record_text(struct session *session, const struct dns_record *record,
                               enum dns_type type)
{
    char addr[NETADDR_TEXT_SIZE];

    if (type == DNS_A || type == DNS_AAAA) {
        return arena_strdup(session->scratch, netaddr_format_short(&record->addr, addr));
    }
    if (type == DNS_MX) {
        return arena_printf(session->scratch, "%u %s", record->preference,
                            *record->text == '\0' ? "." : record->text);
    }
    return record->text;
}

const char *dns_lookup_text(struct session *session, const struct dns_result *result,
                            enum dns_type type)
{
    const char *text = "";

    if (result->status == DNS_TEMPFAIL) {
        return dns_failure_name(result->failure);
    }
    if (result->status != DNS_FOUND) {
        return dns_status_name(result->status);
    }
    for (size_t i = 0; i < result->count && i < RECORDS_SHOWN; i++) {
        text = arena_printf(session->scratch, "%s%s%s", text, i == 0 ? "" : ", ",
                            record_text(session, &result->records[i], type));
    }
    return result->count <= RECORDS_SHOWN ? text
                                          : arena_printf(session->scratch, "%s and %zu more", text,
                                                         result->count - RECORDS_SHOWN);
}

static void trace_answer(struct session *session, const char *name, enum dns_type type,
                         const struct dns_result *result)
{
    struct trace_lookup lookup = {
        .table = "dns",
        .key = arena_printf(session->scratch, "%s %s", name, dns_type_name(type)),
        .result = result->status == DNS_FOUND      ? STATUS_OK
                  : result->status == DNS_TEMPFAIL ? STATUS_TEMPFAIL
                                                   : STATUS_NOTFOUND,
        .value = dns_lookup_text(session, result, type),
    };

    session->trace->lookup(session->trace, &lookup);
}

const struct dns_result *dns_lookup(struct session *session, enum dns_span span, const char *name,
                                    enum dns_type type)
{
    const struct dns_result *result = dns_questions_ask(session, span, name, type);

    if (result != NULL && session->trace != NULL) {
        trace_answer(session, name, type, result);
    }
    return result;
}

enum dns_lookup_state dns_lookup_addresses(struct session *session, enum dns_span span,
                                           const char *name)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    enum dns_lookup_state state = DNS_LOOKUP_NONE;

    (void)dns_questions_expect(session, span, name, DNS_AAAA);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct dns_result *result = dns_lookup(session, span, name, types[i]);

        if (result == NULL) {
            return DNS_LOOKUP_WAIT;
        }
        if (result->status == DNS_FOUND) {
            return DNS_LOOKUP_FOUND;
        }
        if (result->status == DNS_TEMPFAIL) {
            state = DNS_LOOKUP_FAILED;
        }
    }
    return state;
}
