/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses, domains and IP addresses as a client may type them. */
#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/mail/netaddr.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void fuzz_split(struct arena *arena, const char *stripped,
                       struct address_operators operators)
{
    struct address address = {0};
    struct reply error = {0};

    if (!address_split(arena, stripped, operators, &address, &error)) {
        fuzz_require_reply(&error);
        return;
    }
    FUZZ_REQUIRE(address.local != NULL);
    address_dequote(arena, address.local);
    address_has_operator(address.local, operators);
    FUZZ_REQUIRE(address_format(arena, &address) != NULL);
}

static void fuzz_domain(struct arena *arena, const char *name)
{
    const char *normal = domain_normalize(arena, name);
    size_t steps = 0;

    FUZZ_REQUIRE(strcmp(domain_normalize(arena, normal), normal) == 0);
    for (const char *at = normal; at != NULL; at = domain_parent(at)) {
        FUZZ_REQUIRE(domain_ends_in(normal, at));
        FUZZ_REQUIRE(steps++ <= strlen(normal));
    }
    steps = 0;
    for (const char *at = normal; at != NULL; at = domain_next_token(at)) {
        FUZZ_REQUIRE(at >= normal && at <= normal + strlen(normal));
        FUZZ_REQUIRE(steps++ <= strlen(normal));
    }
    domain_is_literal(name);
}

static void fuzz_network(const char *text)
{
    struct netaddr network = {0};
    struct netaddr again = {0};
    bool host_bits = false;
    char shown[NETADDR_TEXT_SIZE];

    if (netaddr_parse(text, &network)) {
        FUZZ_REQUIRE(network.bits == netaddr_width(network.family));
        FUZZ_REQUIRE(netaddr_contains(&network, &network));
        FUZZ_REQUIRE(netaddr_parse(netaddr_format(&network, shown), &again));
        FUZZ_REQUIRE(netaddr_equal(&network, &again));
    } else {
        FUZZ_REQUIRE(network.family == NETADDR_NONE);
    }
    if (netaddr_parse_network(text, &network, &host_bits) || host_bits) {
        struct netaddr masked = netaddr_masked(&network, network.bits);

        FUZZ_REQUIRE(network.bits <= netaddr_width(network.family));
        FUZZ_REQUIRE(netaddr_equal(&network, &masked));
        FUZZ_REQUIRE(netaddr_parse_network(netaddr_format(&network, shown), &again, &host_bits));
        FUZZ_REQUIRE(netaddr_equal(&network, &again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct fuzz_input input = {data, size, arena};
    const char *typed = fuzz_line(&input);
    const char *stripped = address_strip(arena, typed);

    FUZZ_REQUIRE(strlen(stripped) <= strlen(typed));
    for (unsigned i = 0; i < 4; i++) {
        fuzz_split(arena, stripped, (struct address_operators){.percent = i & 1u, .bang = i & 2u});
    }
    fuzz_domain(arena, typed);
    fuzz_network(typed);
    arena_free(&arena);
    return 0;
}
