/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/header_edit.h"

#include <string.h>

static const char *copy_of(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_strdup(arena, text);
}

static size_t length_of(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

bool header_edit_is_log(const struct header_edit *edit)
{
    return edit->kind == HEADER_EDIT_INFO || edit->kind == HEADER_EDIT_WARN;
}

/* Counts it in, if there is room for it. */
static bool take_room(struct header_edits *edits, const struct header_edit *edit)
{
    size_t bytes = length_of(edit->name) + length_of(edit->new_name) + length_of(edit->value);

    if (header_edit_is_log(edit)) {
        if (edits->logs >= HEADER_EDIT_MAX_LOGS) {
            edits->unlogged++;
            return false;
        }
        edits->logs++;
        return true;
    }
    if (edits->count >= HEADER_EDIT_MAX || bytes > HEADER_EDIT_MAX_BYTES - edits->bytes) {
        return false;
    }
    edits->count++;
    edits->bytes += bytes;
    return true;
}

bool header_edit_append(struct header_edits *edits, struct arena *arena,
                        const struct header_edit *edit)
{
    if (!take_room(edits, edit)) {
        return false;
    }
    struct header_edit *copy = arena_alloc(arena, sizeof(*copy));

    *copy = *edit;
    copy->name = copy_of(arena, edit->name);
    copy->new_name = copy_of(arena, edit->new_name);
    copy->value = copy_of(arena, edit->value);
    copy->rule.key = copy_of(arena, edit->rule.key);
    if (edit->subject != NULL) {
        copy->subject = arena_strndup(arena, edit->subject,
                                      strnlen(edit->subject, HEADER_EDIT_MAX_SUBJECT));
    }
    copy->next = NULL;
    if (edits->last == NULL) {
        edits->first = copy;
    } else {
        edits->last->next = copy;
    }
    edits->last = copy;
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
