/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/access_key.h"

#include "lib/mail/idna.h"

#include <string.h>

/* Between the two addresses of a pair. */
static const char middle[] = "<@>";

/* The domain in a key: behind the last '@', or else behind a tag; without the dot of ".example". */
static const char *domain_in(const char *key)
{
    const char *at = strrchr(key, '@');

    if (at == NULL) {
        at = strrchr(key, ':');
    }
    const char *domain = at == NULL ? key : at + 1;

    return *domain == '.' ? domain + 1 : domain;
}

static const char *convert(struct arena *arena, const char *key)
{
    const char *domain = domain_in(key);
    char ascii[IDNA_NAME_SIZE];

    if (!idna_is_needed(domain) || !idna_to_ascii(domain, ascii)) {
        return key;
    }
    return arena_printf(arena, "%.*s%s", (int)(domain - key), key, ascii);
}

const char *access_key_ascii(struct arena *arena, const char *key)
{
    if (!idna_is_needed(key)) {
        return key;
    }
    const char *pair = strstr(key, middle);

    if (pair == NULL) {
        return convert(arena, key);
    }
    return arena_printf(arena, "%s%s%s",
                        convert(arena, arena_strndup(arena, key, (size_t)(pair - key))), middle,
                        convert(arena, pair + strlen(middle)));
}
