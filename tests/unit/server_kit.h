/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server_kit - clients and sockets for tests of servers. Whatever fails ends the test.
 */
#ifndef POSTERN_TESTS_UNIT_SERVER_KIT_H
#define POSTERN_TESTS_UNIT_SERVER_KIT_H

#include "milter/listener.h"

#include <stddef.h>
#include <stdint.h>

/* A folder with a socket in it. */
struct server_kit {
    char folder[32];
    char path[64];
    struct listener listener;
};

/* Makes the folder; returns the descriptor that listens. */
int server_kit_open(struct server_kit *kit);

/* Removes both; fails if anything else was left in the folder. */
void server_kit_close(struct server_kit *kit);

/* A connection; reads from it wait for 20 seconds at most. */
int server_kit_dial(const struct server_kit *kit);

void server_kit_put(int fd, const char *text);

/* Reads `len` bytes, or less if the connection ends; the NUL-terminated text is in `out`. Returns the length. */
size_t server_kit_get(int fd, char *out, size_t len);

/* Sends `request` on a connection of its own and shuts it; the answer up to the end must be `answer`. */
void server_kit_ask(const struct server_kit *kit, const char *request, const char *answer);

/* Fails unless the other side closes the connection; what comes before is thrown away. */
void server_kit_expect_end(int fd);

/* Milliseconds of a clock that never goes back. */
int64_t server_kit_now(void);

#endif
