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

/* ---- stores ---- */

/* The store of the kit's options, as a daemon opens it. */
struct relay_store *redis_kit_open(struct redis_kit *kit);

enum status redis_kit_find(const struct relay_store *store, const char *client, int64_t now);

/* One change, waited for; the reason is in kit->kit.why. `count_out` may be NULL. */
enum status redis_kit_apply(struct redis_kit *kit, struct relay_store *store,
                            enum relay_change_kind kind, const char *text, size_t *count_out);
enum status redis_kit_replace(struct redis_kit *kit, struct relay_store *store,
                              const struct relay_entry *entries, size_t count);

/* A login of now from 192.0.2.`host`; true: it was granted. */
bool redis_kit_login(struct redis_kit *kit, struct relay_store *store, unsigned host,
                     const char *user, struct relay_change *change_out);

/* Addresses of 10.0.0.0/8 from the number `first` on. */
void redis_kit_fill(struct relay_entry *entries, size_t count, unsigned first, int64_t date);

size_t redis_kit_entries(const struct relay_store *store);

/* Writes a password file and names it in the options. */
void redis_kit_password(struct redis_kit *kit, const char *text, char path[KIT_PATH_SIZE]);

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
