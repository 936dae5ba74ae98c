/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_result.h"
#include "lib/base/xalloc.h"

#include <string.h>

/* Seconds. RFC 2181 8, RFC 2308 5 and 7.1. */
#define TTL_MAX 86400u
#define TTL_NEGATIVE_MAX 3600u
#define TTL_FAILURE 5u

static const char *const status_names[] = {"found", "nodata", "nxdomain", "tempfail"};

/* Indexed by enum dns_failure. */
static const char *const failure_names[] = {"",         "timeout", "down",      "unreachable",
                                            "servfail", "refused", "malformed", "loop",
                                            "overload", "stopped"};

const char *dns_status_name(enum dns_status status)
{
    return status_names[status];
}

const char *dns_failure_name(enum dns_failure failure)
{
    return failure_names[failure];
}

const char *dns_type_name(enum dns_type type)
{
    switch (type) {
    case DNS_A:
        return "A";
    case DNS_CNAME:
        return "CNAME";
    case DNS_PTR:
        return "PTR";
    case DNS_MX:
        return "MX";
    case DNS_TXT:
        return "TXT";
    case DNS_AAAA:
        return "AAAA";
    }
    return "?";
}

static bool says_nothing_of_the_name(enum dns_failure failure)
{
    return failure == DNS_FAILURE_DOWN || failure == DNS_FAILURE_STOPPED ||
           failure == DNS_FAILURE_OVERLOAD;
}

uint32_t dns_result_lifetime(const struct dns_result *result)
{
    uint32_t most = result->status == DNS_FOUND ? TTL_MAX : TTL_NEGATIVE_MAX;

    if (result->status == DNS_TEMPFAIL) {
        return says_nothing_of_the_name(result->failure) ? 0 : TTL_FAILURE;
    }
    return result->ttl < most ? result->ttl : most;
}

struct dns_result *dns_result_failure(enum dns_failure failure, uint32_t ttl)
{
    const struct dns_result from = {
        .status = DNS_TEMPFAIL, .failure = failure, .ttl = ttl, .name = ""};

    return dns_result_new(&from);
}

/* Puts a copy of `text` at *at and moves that behind it. */
static const char *put_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    const char *copy = memcpy(*at, text, size);

    *at += size;
    return copy;
}

struct dns_result *dns_result_new(const struct dns_result *from)
{
    size_t bytes = sizeof(*from) + from->count * sizeof(*from->records) + strlen(from->name) + 1;

    for (size_t i = 0; i < from->count; i++) {
        bytes += strlen(from->records[i].text) + 1;
    }
    struct dns_result *result = xmalloc(bytes);
    struct dns_record *records = (struct dns_record *)(result + 1);
    char *text = (char *)(records + from->count);

    *result = *from;
    result->bytes = bytes;
    result->name = put_text(&text, from->name);
    result->records = records;
    for (size_t i = 0; i < from->count; i++) {
        records[i] = from->records[i];
        records[i].text = put_text(&text, from->records[i].text);
    }
    return result;
}
