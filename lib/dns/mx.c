/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/mx.h"

#include <string.h>

bool mx_is_null(const struct dns_result *mx)
{
    return mx->status == DNS_FOUND && mx->count == 1 && *mx->records[0].text == '\0';
}

size_t mx_best_count(const struct dns_result *mx)
{
    size_t best = 0;

    while (best < mx->count && mx->records[best].preference == mx->records[0].preference) {
        best++;
    }
    return best;
}

bool mx_host_is_illegal(const char *host)
{
    return *host == '\0' || host[strspn(host, "0123456789.")] == '\0';
}

const struct dns_record *mx_find_address(const struct dns_result *addresses,
                                         const struct netaddr *networks, size_t count)
{
    for (size_t i = 0; i < addresses->count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (netaddr_contains(&networks[j], &addresses->records[i].addr)) {
                return &addresses->records[i];
            }
        }
    }
    return NULL;
}
