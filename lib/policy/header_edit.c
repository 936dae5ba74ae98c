/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/header_edit.h"

static const char *copy_of(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_strdup(arena, text);
}

bool header_edit_append(struct header_edits *edits, struct arena *arena,
                        const struct header_edit *edit)
{
    if (edits->count >= HEADER_EDIT_MAX) {
        return false;
    }
    struct header_edit *copy = arena_alloc(arena, sizeof(*copy));

    *copy = *edit;
    copy->name = copy_of(arena, edit->name);
    copy->new_name = copy_of(arena, edit->new_name);
    copy->value = copy_of(arena, edit->value);
    copy->subject = copy_of(arena, edit->subject);
    copy->rule.key = copy_of(arena, edit->rule.key);
    copy->next = NULL;
    if (edits->last == NULL) {
        edits->first = copy;
    } else {
        edits->last->next = copy;
    }
    edits->last = copy;
    edits->count++;
    return true;
}

const char *header_edit_kind_name(enum header_edit_kind kind)
{
    static const char *const names[] = {
        [HEADER_EDIT_DELETE] = "delete",     [HEADER_EDIT_REPLACE] = "replace",
        [HEADER_EDIT_PREPEND] = "prepend",   [HEADER_EDIT_ADD_RECIPIENT] = "add recipient",
        [HEADER_EDIT_REDIRECT] = "redirect", [HEADER_EDIT_INFO] = "info",
        [HEADER_EDIT_WARN] = "warn",
    };

    return names[kind];
}
