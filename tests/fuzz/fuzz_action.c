/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Right-hand sides: what is accepted can be sent, what is refused is explained. */
#include "lib/policy/action.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct fuzz_input input = {data, size, arena};
    const char *text = fuzz_line(&input);
    struct action action = {0};
    struct action_problem problem = {0};

    if (action_parse(text, arena, &action, &problem)) {
        FUZZ_REQUIRE(strcmp(action_kind_name(action.kind), "?") != 0);
        if (action.kind == ACTION_ERROR || action.kind == ACTION_TEMP) {
            fuzz_require_reply(&action.reply);
        }
        FUZZ_REQUIRE(action.kind != ACTION_QUARANTINE || action.quarantine != NULL);
    } else {
        FUZZ_REQUIRE(problem.text != NULL && problem.text[0] != '\0');
    }
    /* Without a place for the problem the answer is the same. */
    struct action again = {0};

    FUZZ_REQUIRE(action_parse(text, arena, &again, NULL) ==
                 action_parse(text, arena, &action, &problem));
    arena_free(&arena);
    return 0;
}
