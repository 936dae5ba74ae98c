/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/header_state.h"

struct header_state *header_state_new(struct arena *arena, mime_scanner_found *found)
{
    struct header_state *state = arena_alloc(arena, sizeof(*state));

    *state = (struct header_state){0};
    mime_scanner_init(&state->scanner, found, state);
    return state;
}

void header_state_free(struct header_state **state)
{
    if (*state != NULL) {
        mime_scanner_fini(&(*state)->scanner);
        *state = NULL;
    }
}
