/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_health.h"

void dns_health_sent(struct dns_health *health, int64_t now)
{
    if (health->waiting_since == 0) {
        health->waiting_since = now;
    }
}

void dns_health_probe_sent(struct dns_health *health, int64_t now)
{
    health->probing = true;
    health->probed_at = now;
}

bool dns_health_answered(struct dns_health *health)
{
    bool was_silent = health->silent;

    health->waiting_since = 0;
    health->probing = false;
    health->silent = false;
    return was_silent;
}

bool dns_health_wants_probe(const struct dns_health *health, int64_t now, int64_t patience)
{
    bool suspect = health->waiting_since != 0 && now - health->waiting_since >= patience;
    bool due = health->probed_at == 0 || now - health->probed_at >= DNS_HEALTH_PROBE_EVERY;

    return !health->probing && due && (health->silent || suspect);
}

bool dns_health_tick(struct dns_health *health, int64_t now, int64_t patience)
{
    if (!health->probing || now - health->probed_at < patience) {
        return false;
    }
    bool was_silent = health->silent;

    health->probing = false;
    health->silent = true;
    return !was_silent;
}
