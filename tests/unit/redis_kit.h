/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * redis_kit - what the tests of the Redis back end share: a real server, if one is found, and one that answers what the test says.
 */
#ifndef POSTERN_TESTS_UNIT_REDIS_KIT_H
#define POSTERN_TESTS_UNIT_REDIS_KIT_H

#include "tests/unit/relay_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct redis_kit {
    struct kit kit;
    char socket[KIT_PATH_SIZE];
    char url[KIT_PATH_SIZE + 8];
    pid_t server; /* 0: none */
};

/*
 * cmocka's setup and teardown; *state is a struct redis_kit whose options name the server's socket. A server is not started. The first member is
 * a struct kit, so that the functions of relay_kit.h can be used.
 */
int redis_kit_setup(void **state);
int redis_kit_teardown(void **state);

/*
 * Starts redis-server (or valkey-server): the one of POSTERN_TEST_REDIS, of PATH, or of /var/cache/postern-test/redis, with further words of its
 * command line (NULL ends them). Skips the test if there is none.
 */
void redis_kit_start(struct redis_kit *kit, const char *const words[]);
/* Kills it, without a warning. */
void redis_kit_kill(struct redis_kit *kit);

/* What the server answers to a command that is written as in redis-cli, on one line; in kit->kit.text. */
const char *redis_kit_ask(struct redis_kit *kit, const char *command);

/* Waits until the store is usable or not, 10 s at most. */
void redis_kit_await(const struct relay_store *store, bool usable);

/* ---- a server that plays a part ---- */

/*
 * Writes the answer to one command, `words` (its name first), to `fd`; `connection` counts from 0. False: the connection is to be closed.
 */
typedef bool redis_kit_part(void *ctx, int fd, unsigned connection, const char *const *words,
                            size_t count);

struct redis_actor;

/* Listens on kit->socket. */
struct redis_actor *redis_actor_start(struct redis_kit *kit, redis_kit_part *part, void *ctx);
void redis_actor_stop(struct redis_actor **actor);

/* Writes bytes to a socket. */
void redis_actor_say(int fd, const char *bytes);

#endif
