/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_command - the text of a command to a Redis server (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/).
 *
 * Arguments go with their length, so any byte may be in them: nothing that a client sent can become a command. Commands are appended to the
 * same text to be sent in one go.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_COMMAND_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_COMMAND_H

#include "lib/base/strbuf.h"

#include <stddef.h>
#include <stdint.h>

/* Begins a command of `count` words, its name among them; as many of the others must follow. */
void relay_redis_command_begin(struct strbuf *out, size_t count);
void relay_redis_command_add(struct strbuf *out, const char *bytes, size_t len);
void relay_redis_command_text(struct strbuf *out, const char *text);
void relay_redis_command_number(struct strbuf *out, int64_t number);

#endif
