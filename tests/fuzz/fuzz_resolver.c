/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fuzz/fuzz_resolver.h"

static struct dns_result *dns_records(unsigned number, enum dns_type type)
{
    static const char *const hosts[] = {"mx.here.test", "", "10.0.0.1", "x.test"};
    struct dns_record records[2] = {
        {.text = hosts[number / 8 % 4]},
        {.preference = 10, .text = hosts[number / 32 % 4]},
    };
    const struct dns_result result = {
        .status = DNS_FOUND, .name = "x.test", .count = 1 + number % 2, .records = records};

    for (size_t i = 0; i < 2; i++) {
        records[i].addr = (struct netaddr){.family = NETADDR_IPV4,
                                           .bits = 32,
                                           .bytes = {127, 0, 0, (uint8_t)(number / 4 % 5 + i)}};
        if (type == DNS_AAAA) {
            records[i].addr = (struct netaddr){.family = NETADDR_IPV6, .bits = 128};
        }
    }
    return dns_result_new(&result);
}

/* NULL: a server that is silent. */
static struct dns_result *dns_answer_by_name(void *ctx, const char *name, enum dns_type type)
{
    static const enum dns_failure failures[] = {DNS_FAILURE_SERVFAIL, DNS_FAILURE_LOOP};
    static const struct dns_result none[] = {{.status = DNS_NODATA, .name = ""},
                                             {.status = DNS_NXDOMAIN, .name = ""}};
    unsigned number = (unsigned)type;

    (void)ctx;
    for (; *name != '\0'; name++) {
        number = number * 31 + (unsigned char)*name;
    }
    switch (number % 8) {
    case 0:
        return NULL;
    case 1:
        return dns_result_failure(failures[number / 8 % 2], 1);
    case 2:
    case 3:
        return dns_result_new(&none[number % 2]);
    default:
        return dns_records(number / 8, type);
    }
}

struct resolver *fuzz_resolver_new(void)
{
    return resolver_new_scripted(dns_answer_by_name, NULL);
}
