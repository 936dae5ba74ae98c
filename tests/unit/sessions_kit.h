/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sessions_kit - what the tests of lib/relay/relay_sessions share. */
#ifndef POSTERN_TESTS_UNIT_SESSIONS_KIT_H
#define POSTERN_TESTS_UNIT_SESSIONS_KIT_H

#include "lib/relay/relay_sessions.h"
#include "tests/unit/relay_kit.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define BEGIN (1000 * HOUR) /* of the clock that never goes back; KIT_NOW is the date then */
#define PIECE 1000

/* A window of an hour, a day at most. */
extern const struct relay_sessions_terms sessions_kit_usual;

/* cmocka's; *state is a struct relay_sessions with the usual terms. */
int sessions_kit_setup(void **state);
int sessions_kit_teardown(void **state);

/* The parts of a login, and all of one that was granted. */
enum relay_sessions_result begin(struct relay_sessions *sessions, const char *client,
                                 const char *id, int64_t now_ms);
void settle(struct relay_sessions *sessions, const char *client, const char *id, bool was_granted,
            int64_t now_ms);
void login(struct relay_sessions *sessions, const char *client, const char *id, int64_t now_ms);

/* A logout; `grant` may be NULL. */
bool ends(struct relay_sessions *sessions, const char *client, const char *id,
          struct relay_sessions_grant *grant);

size_t count_open(const struct relay_sessions *sessions);
size_t count_addresses(const struct relay_sessions *sessions);

#endif
