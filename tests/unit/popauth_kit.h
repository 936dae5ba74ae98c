/* SPDX-License-Identifier: GPL-3.0-or-later */
/* popauth_kit - popauth on a socket of its own, with a real store. */
#ifndef POSTERN_TESTS_UNIT_POPAUTH_KIT_H
#define POSTERN_TESTS_UNIT_POPAUTH_KIT_H

#include "lib/relay/relay_store.h"
#include "milter/popauth.h"
#include "tests/unit/server_kit.h"
#include "tests/unit/support.h"

struct popauth_kit {
    struct site site; /* where the store lies */
    char file[SITE_PATH_SIZE];
    struct server_kit kit;
    struct eventloop *loop;
    struct relay_store *store;
    struct popauth *popauth;
};

/* cmocka's; *state is a struct popauth_kit, started. 100 sessions are counted at most. */
int popauth_kit_setup(void **state);
int popauth_kit_teardown(void **state);

/* As the daemon starts, with the store of `file`, and ends. */
void popauth_kit_start(struct popauth_kit *fixture);
void popauth_kit_stop(struct popauth_kit *fixture);

/* May this address relay now? `found` may be NULL. */
enum status popauth_kit_find(struct popauth_kit *fixture, const char *address,
                             struct relay_found *found);

struct relay_sessions_stats popauth_kit_sessions(struct popauth_kit *fixture);

#endif
