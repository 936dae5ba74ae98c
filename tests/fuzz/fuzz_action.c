/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Right-hand sides: what is accepted can be sent, what is refused is explained. */
#include "lib/policy/action.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void require_strings(const struct action *action)
{
    FUZZ_REQUIRE(strcmp(action_kind_name(action->kind), "?") != 0);
    if (action->reply.code != 0) {
        fuzz_require_reply(&action->reply);
    }
    FUZZ_REQUIRE((action->kind != ACTION_ERROR && action->kind != ACTION_TEMP) ||
                 action->reply.code != 0);
    FUZZ_REQUIRE(action->kind != ACTION_QUARANTINE || action->quarantine != NULL);
    FUZZ_REQUIRE(action->text != NULL);
}

/* The right-hand sides of patterns: whatever a client sent into them is a text, and what they cannot be is explained. */
static void read_pattern(enum action_table table, const char *text, struct arena *arena)
{
    struct action_problem problem = {0};
    struct action action = {0};

    if (action_parse_pattern(table, text, arena, &action, &problem)) {
        require_strings(&action);
    } else {
        FUZZ_REQUIRE(problem.text != NULL && problem.text[0] != '\0');
    }
    const char *refusal = arena_printf(arena, "REJECT x%s", text);

    FUZZ_REQUIRE(action_parse_pattern(table, refusal, arena, &action, NULL) &&
                 action.kind == ACTION_ERROR);
    require_strings(&action);
    if (action_may_be_pattern(table, text, true, arena, &action, &problem)) {
        require_strings(&action);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct fuzz_input input = {data, size, arena};
    const char *text = fuzz_line(&input);
    struct action action = {0};
    struct action_problem problem = {0};

    if (action_parse(text, arena, &action, &problem)) {
        require_strings(&action);
    } else {
        FUZZ_REQUIRE(problem.text != NULL && problem.text[0] != '\0');
    }
    /* Without a place for the problem the answer is the same. */
    struct action again = {0};

    FUZZ_REQUIRE(action_parse(text, arena, &again, NULL) ==
                 action_parse(text, arena, &action, &problem));
    read_pattern(ACTION_OF_REGEX, text, arena);
    read_pattern(ACTION_OF_HEADERS, text, arena);
    arena_free(&arena);
    return 0;
}
