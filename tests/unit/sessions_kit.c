/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/sessions_kit.h"

const struct relay_sessions_terms sessions_kit_usual = {
    .max_hours = 24, .max_sessions = 1000, .window_minutes = 60, .ipv6_prefix_bits = 64};

int sessions_kit_setup(void **state)
{
    *state = relay_sessions_new(&sessions_kit_usual);
    return 0;
}

int sessions_kit_teardown(void **state)
{
    relay_sessions_free((struct relay_sessions **)state);
    assert_null(*state);
    return 0;
}

enum relay_sessions_result begin(struct relay_sessions *sessions, const char *client,
                                 const char *id, int64_t now_ms)
{
    struct netaddr addr = kit_address(client);

    return relay_sessions_begin(sessions, &addr, id, now_ms);
}

void settle(struct relay_sessions *sessions, const char *client, const char *id, bool was_granted,
            int64_t now_ms)
{
    const struct relay_entry login = {.addr = kit_address(client),
                                      .login_at = KIT_NOW + (now_ms - BEGIN) / SECOND,
                                      .user = "ann",
                                      .service = "imap"};

    (void)relay_sessions_settle(sessions, &login, id,
                                was_granted ? RELAY_SESSIONS_GRANTED : RELAY_SESSIONS_REFUSED,
                                now_ms);
}

void login(struct relay_sessions *sessions, const char *client, const char *id, int64_t now_ms)
{
    assert_int_equal(begin(sessions, client, id, now_ms), RELAY_SESSIONS_COUNTED);
    settle(sessions, client, id, true, now_ms);
}

bool ends(struct relay_sessions *sessions, const char *client, const char *id,
          struct relay_sessions_grant *grant)
{
    struct relay_sessions_grant ignored;
    struct netaddr addr = kit_address(client);

    return relay_sessions_end(sessions, &addr, id, grant == NULL ? &ignored : grant);
}

size_t count_open(const struct relay_sessions *sessions)
{
    struct relay_sessions_stats stats;

    relay_sessions_stats(sessions, &stats);
    return stats.sessions;
}

size_t count_addresses(const struct relay_sessions *sessions)
{
    struct relay_sessions_stats stats;

    relay_sessions_stats(sessions, &stats);
    return stats.addresses;
}
