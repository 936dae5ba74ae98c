/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/effects.h"

#include <string.h>

struct effects effects_none(void)
{
    return (struct effects){
        .hold = verdict_continue(),
        .if_permit = verdict_continue(),
        .if_reject = verdict_continue(),
    };
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool has_edit(const struct header_edits *edits, const struct header_edit *edit)
{
    for (const struct header_edit *at = edits->first; at != NULL; at = at->next) {
        if (at->kind == edit->kind && at->rule.line == edit->rule.line &&
            same_text(at->rule.file, edit->rule.file) && same_text(at->value, edit->value) &&
            same_text(at->new_name, edit->new_name)) {
            return true;
        }
    }
    return false;
}

bool effects_add_edits(struct header_edits *edits, struct arena *arena,
                       const struct header_edits *more)
{
    bool all = true;

    for (const struct header_edit *at = more->first; at != NULL; at = at->next) {
        bool logs = at->kind == HEADER_EDIT_INFO || at->kind == HEADER_EDIT_WARN;

        if (!has_edit(edits, at) && !header_edit_append(edits, arena, at) && !logs) {
            all = false;
        }
    }
    return all;
}

struct verdict effects_defer(const struct effects *near, const struct effects *far,
                             struct verdict verdict, bool final)
{
    const struct verdict *if_reject = near->if_reject.kind == VERDICT_CONTINUE ? &far->if_reject
                                                                               : &near->if_reject;
    const struct verdict *if_permit = near->if_permit.kind == VERDICT_CONTINUE ? &far->if_permit
                                                                               : &near->if_permit;

    if (verdict.kind == VERDICT_REJECT && if_reject->kind == VERDICT_TEMPFAIL) {
        return *if_reject;
    }
    if (final && !verdict_is_refusal(&verdict) && verdict.kind != VERDICT_DISCARD &&
        if_permit->kind == VERDICT_TEMPFAIL) {
        return *if_permit;
    }
    return verdict;
}
