/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of access and spammers: what is stored can be looked up, what is refused is explained. */
#include "lib/policy/access_map.h"
#include "lib/policy/action.h"
#include "lib/table/mapline.h"
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The right-hand sides of these are not for lookups: a number, and a verb with a text of Compat: alone. */
static bool is_action(const char *key)
{
    return strncasecmp(key, "client", 6) != 0 && strncasecmp(key, "compat:", 7) != 0;
}

static void require_explained(void *ctx, const struct diag_item *item)
{
    (void)ctx;
    FUZZ_REQUIRE(item->file != NULL && item->text != NULL && item->text[0] != '\0');
}

/* The stored key has no blank in it, and the right-hand side is one that lookups understand. */
static void require_usable(const struct mapfile_line *line, struct arena *arena)
{
    const char *key = line->stored_key->data;
    struct action action = {0};

    FUZZ_REQUIRE(line->stored_key->len > 0 && strlen(key) == line->stored_key->len);
    for (size_t i = 0; i < line->stored_key->len; i++) {
        FUZZ_REQUIRE(!isspace((unsigned char)key[i]));
    }
    FUZZ_REQUIRE(!is_action(key) || action_parse(line->value, arena, &action, NULL));
}

static void fuzz_format(const struct mapfile_format *format, const char *text, struct arena *arena)
{
    struct strbuf stored_key;
    struct mapfile_prefixes prefixes;
    struct diag diag;
    struct mapfile_line line = {.file = "access",
                                .number = 1,
                                .stored_key = &stored_key,
                                .prefixes = &prefixes,
                                .diag = &diag};

    memset(&prefixes, 0, sizeof(prefixes));
    strbuf_init(&stored_key);
    diag_init(&diag, require_explained, NULL);
    if (mapline_split(arena_strdup(arena, text), strlen(text), format->default_value, &line)) {
        switch (format->check(&line)) {
        case STATUS_OK:
            require_usable(&line, arena);
            break;
        case STATUS_INVALID:
            FUZZ_REQUIRE(diag.errors > 0);
            break;
        default:
            break;
        }
    }
    strbuf_fini(&stored_key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct fuzz_input input = {data, size, arena};
    const char *text = fuzz_line(&input);

    fuzz_format(&access_map_format, text, arena);
    fuzz_format(&spammers_map_format, text, arena);
    arena_free(&arena);
    return 0;
}
