/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/netwalk.h"

#include "lib/mail/domain.h"

void netwalk_init(struct netwalk *walk, const struct table *table, const struct netaddr *addr)
{
    walk->addr = *addr;
    walk->lengths_left = table_prefixes(table, addr->family, &walk->lengths);
    walk->whole = addr->family == NETADDR_NONE ? -1 : (int)netaddr_width(addr->family);
}

/* Whole octets end at 8 bits: no address is asked for as "". Groups end with "IPv6" alone. */
static int next_whole(const struct netwalk *walk)
{
    if (walk->addr.family == NETADDR_IPV4) {
        return walk->whole > 8 ? walk->whole - 8 : -1;
    }
    return walk->whole - 16;
}

bool netwalk_next(struct netwalk *walk, char key[NETADDR_TEXT_SIZE])
{
    int bits = walk->whole;

    if (walk->lengths_left > 0 && (int)walk->lengths[0] >= bits) {
        bits = walk->lengths[0];
        if (bits == walk->whole) {
            walk->whole = next_whole(walk);
        }
        walk->lengths++;
        walk->lengths_left--;
    } else if (bits >= 0) {
        walk->whole = next_whole(walk);
    } else {
        return false;
    }
    struct netaddr network = netaddr_masked(&walk->addr, (unsigned)bits);

    (void)netaddr_format(&network, key);
    domain_fold(key);
    return true;
}
