/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/header_names.h"

#include "lib/mail/domain.h"
#include "lib/table/hash64.h"

#include <stdbool.h>
#include <string.h>

#define FIRST_SIZE 64u /* slots; a power of two, as all sizes are */

struct header_name {
    const char *name; /* in lower case; NULL: the slot is free */
    size_t len;
    unsigned count;
};

/* Where the name (in lower case) is, or would be. */
static struct header_name *find(const struct header_names *names, const char *name, size_t len)
{
    size_t at = (size_t)hash64(name, len, 0) & (names->size - 1);

    while (names->slots[at].name != NULL &&
           (names->slots[at].len != len || memcmp(names->slots[at].name, name, len) != 0)) {
        at = (at + 1) & (names->size - 1);
    }
    return &names->slots[at];
}

/* Twice the room, so that at most half of the slots are taken. */
static void grow(struct header_names *names, struct arena *arena)
{
    struct header_names old = *names;

    names->size = old.size == 0 ? FIRST_SIZE : old.size * 2;
    names->slots = arena_alloc(arena, names->size * sizeof(*names->slots));
    memset(names->slots, 0, names->size * sizeof(*names->slots));
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].name != NULL) {
            *find(names, old.slots[i].name, old.slots[i].len) = old.slots[i];
        }
    }
}

/* Its lower case; false: it is too long. */
static bool fold(char folded[HEADER_NAMES_MAX_LEN + 1], const char *name, size_t *len_out)
{
    *len_out = strnlen(name, HEADER_NAMES_MAX_LEN + 1);
    if (*len_out > HEADER_NAMES_MAX_LEN) {
        return false;
    }
    memcpy(folded, name, *len_out + 1);
    domain_fold(folded);
    return true;
}

/* The slot of the name, a new one if there is room for one more; else NULL. */
static struct header_name *slot_of(struct header_names *names, struct arena *arena,
                                   const char *name)
{
    char folded[HEADER_NAMES_MAX_LEN + 1];
    size_t len;

    if (!fold(folded, name, &len)) {
        return NULL;
    }
    if (names->used * 2 >= names->size) {
        grow(names, arena);
    }
    struct header_name *slot = find(names, folded, len);

    if (slot->name == NULL) {
        if (names->used == HEADER_NAMES_MAX) {
            return NULL;
        }
        slot->name = arena_strndup(arena, folded, len);
        slot->len = len;
        names->used++;
    }
    return slot;
}

void header_names_expect(struct header_names *names, struct arena *arena, const char *name)
{
    (void)slot_of(names, arena, name);
}

unsigned header_names_add(struct header_names *names, struct arena *arena, const char *name)
{
    struct header_name *slot = slot_of(names, arena, name);

    return slot == NULL ? 0 : ++slot->count;
}

unsigned header_names_count(const struct header_names *names, const char *name)
{
    char folded[HEADER_NAMES_MAX_LEN + 1];
    size_t len;

    return names->size == 0 || !fold(folded, name, &len) ? 0 : find(names, folded, len)->count;
}
