/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_find.h"

#include "lib/relay/relay_entry.h"
#include "lib/relay/relay_redis_command.h"

#include <stdbool.h>
#include <string.h>

static void list_candidates(struct relay_redis_find *find, const struct relay_redis_state *state)
{
    find->addrs[0] = find->client;
    find->count = 1;
    for (size_t i = 0; find->client.family == NETADDR_IPV6 && i < state->count; i++) {
        find->addrs[find->count++] = netaddr_masked(&find->client, state->lengths[i]);
    }
}

void relay_redis_find_write(struct relay_redis_find *find, const char *prefix,
                            const struct relay_redis_state *state, struct strbuf *scratch,
                            struct strbuf *command)
{
    list_candidates(find, state);
    relay_redis_command_begin(command, 2 + find->count);
    relay_redis_command_add(command, "MGET", 4);
    strbuf_reset(scratch);
    strbuf_append(scratch, prefix);
    strbuf_append(scratch, "relay-state");
    relay_redis_command_add(command, scratch->data, scratch->len);
    for (size_t i = 0; i < find->count; i++) {
        strbuf_reset(scratch);
        strbuf_append(scratch, prefix);
        relay_redis_state_key(state, &find->addrs[i], scratch);
        relay_redis_command_add(command, scratch->data, scratch->len);
    }
}

static bool is_answer(const struct relay_redis_reply *reply, size_t count)
{
    bool fits = reply->kind == RELAY_REDIS_ARRAY && reply->count == count + 1;

    for (size_t i = 0; fits && i < reply->count; i++) {
        fits = reply->items[i]->kind == RELAY_REDIS_TEXT ||
               reply->items[i]->kind == RELAY_REDIS_NIL;
    }
    return fits;
}

/* Was it the right generation that was asked, and all lengths? */
static enum relay_redis_find_end check_state(const struct relay_redis_reply *item,
                                             const struct relay_redis_state *state,
                                             struct relay_redis_state *state_out)
{
    const char *text = item->kind == RELAY_REDIS_TEXT ? item->text : "0";
    size_t len = item->kind == RELAY_REDIS_TEXT ? item->len : 1;

    if (strlen(state->text) == len && memcmp(state->text, text, len) == 0) {
        return RELAY_REDIS_FIND_YES;
    }
    return relay_redis_state_parse(text, len, state_out) ? RELAY_REDIS_FIND_AGAIN
                                                         : RELAY_REDIS_FIND_NONSENSE;
}

static void copy_found(const struct relay_entry *entry, struct relay_found *found)
{
    *found = (struct relay_found){.addr = entry->addr, .login_at = entry->login_at};
    (void)strncat(found->user, entry->user, sizeof(found->user) - 1);
    (void)strncat(found->service, entry->service, sizeof(found->service) - 1);
}

enum relay_redis_find_end relay_redis_find_read(const struct relay_redis_find *find,
                                                const struct relay_redis_reply *reply,
                                                const struct relay_redis_state *state,
                                                struct relay_redis_state *state_out,
                                                struct strbuf *scratch)
{
    const char *why;

    if (!is_answer(reply, find->count)) {
        return RELAY_REDIS_FIND_NONSENSE;
    }
    enum relay_redis_find_end end = check_state(reply->items[0], state, state_out);

    if (end != RELAY_REDIS_FIND_YES) {
        return end;
    }
    for (size_t i = 0; i < find->count; i++) {
        const struct relay_redis_reply *value = reply->items[i + 1];
        struct relay_entry entry = {.addr = find->addrs[i]};

        if (value->kind == RELAY_REDIS_TEXT &&
            relay_entry_parse_value(value->text, value->len, scratch, &entry, &why) &&
            relay_entry_permits(&entry, find->now, find->window_minutes)) {
            if (find->found_out != NULL) {
                copy_found(&entry, find->found_out);
            }
            return RELAY_REDIS_FIND_YES;
        }
    }
    return RELAY_REDIS_FIND_NO;
}
