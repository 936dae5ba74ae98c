/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_state.h"

#include <string.h>

#define IPV6_BITS 128u

void relay_redis_state_init(struct relay_redis_state *state)
{
    *state = (struct relay_redis_state){.text = "0", .generation = "0"};
}

/* Puts a length in its place; one that is there already is passed over. */
static void add_length(struct relay_redis_state *state, uint8_t bits)
{
    size_t place = 0;

    while (place < state->count && state->lengths[place] > bits) {
        place++;
    }
    if (place < state->count && state->lengths[place] == bits) {
        return;
    }
    memmove(&state->lengths[place + 1], &state->lengths[place], state->count - place);
    state->lengths[place] = bits;
    state->count++;
}

/* " 64" at *at; false: something else. */
static bool parse_length(const char **at, struct relay_redis_state *state)
{
    unsigned bits = 0;

    if (*(*at)++ != ' ') {
        return false;
    }
    while (**at >= '0' && **at <= '9' && bits < IPV6_BITS) {
        bits = bits * 10 + (unsigned)(*(*at)++ - '0');
    }
    if (bits < RELAY_MIN_PREFIX || bits >= IPV6_BITS) {
        return false;
    }
    add_length(state, (uint8_t)bits);
    return true;
}

bool relay_redis_state_parse(const char *text, size_t len, struct relay_redis_state *state_out)
{
    size_t digits = strspn(text, "0123456789");

    if (len >= sizeof(state_out->text) || strlen(text) != len || digits == 0 ||
        digits >= sizeof(state_out->generation)) {
        return false;
    }
    *state_out = (struct relay_redis_state){.count = 0};
    memcpy(state_out->text, text, len + 1);
    memcpy(state_out->generation, text, digits);
    for (const char *at = text + digits; *at != '\0';) {
        if (!parse_length(&at, state_out)) {
            return false;
        }
    }
    return true;
}

void relay_redis_state_key(const struct relay_redis_state *state, const struct netaddr *addr,
                           struct strbuf *out)
{
    char key[RELAY_KEY_SIZE];

    strbuf_append(out, "relay");
    if (strcmp(state->generation, "0") != 0) {
        strbuf_append_char(out, '.');
        strbuf_append(out, state->generation);
    }
    strbuf_append_char(out, ':');
    strbuf_append(out, relay_entry_key(addr, key));
}
