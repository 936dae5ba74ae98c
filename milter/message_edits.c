/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/message_edits.h"
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "milter/mfi.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * What insert_header() of Sendmail takes for a place before the client's first field: "behind the ninth entry", counted from 0,
 * of a list that begins with sendmail.cf's own Return-Path, Received, Resent-Date, Date, Resent-From, From, Full-Name,
 * Resent-Message-Id and Message-Id, whether they are sent or not.
 */
#define SENDMAIL_FIRST_INDEX 8u

/* Postfix: 0 would be before its own Received. */
#define POSTFIX_FIRST_INDEX 1u

unsigned message_edits_first_index(const char *version)
{
    bool sendmail = version != NULL && strncmp(version, "8.", 2) == 0;

    return sendmail ? SENDMAIL_FIRST_INDEX : POSTFIX_FIRST_INDEX;
}

/* ---- names and values ---- */

/* RFC 5322, 2.2. A part of the name can come from the message. */
static bool is_field_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == ':') {
            return false;
        }
    }
    return *name != '\0';
}

/*
 * Writes the value as both MTAs take it. A line end without a blank behind it would get one of the MTA's choice, a CR would
 * reach the next host as it is, and an empty value is the order to take the field out. All else is as the rule has it.
 */
static void write_value(struct strbuf *out, const char *value, bool leading_blank)
{
    size_t len = strlen(value);

    while (len > 0 && (value[len - 1] == '\n' || value[len - 1] == '\r')) {
        len--;
    }
    strbuf_reset(out);
    for (size_t i = !leading_blank && *value == ' ' ? 1 : 0; i < len; i++) {
        char c = value[i];

        if (c == '\n') {
            strbuf_append_char(out, '\n');
            if (value[i + 1] != ' ' && value[i + 1] != '\t') {
                strbuf_append_char(out, '\t');
            }
        } else if (c != '\r') {
            strbuf_append_char(out, c);
        } else if (value[i + 1] != '\n') {
            strbuf_append_char(out, ' ');
        }
    }
    if (out->len == 0) {
        strbuf_append_char(out, ' ');
    }
}

/* ---- fields ---- */

struct step {
    const struct header_edit *edit;
    size_t number; /* in the list */
};

static bool changes_field(const struct header_edit *edit)
{
    return edit->kind == HEADER_EDIT_DELETE || edit->kind == HEADER_EDIT_REPLACE;
}

/* By place; what goes before a field before what happens to it; then as listed. */
static int compare_steps(const void *left, const void *right)
{
    const struct step *a = left;
    const struct step *b = right;

    if (a->edit->position != b->edit->position) {
        return a->edit->position < b->edit->position ? -1 : 1;
    }
    if (changes_field(a->edit) != changes_field(b->edit)) {
        return changes_field(a->edit) ? 1 : -1;
    }
    return a->number < b->number ? -1 : 1;
}

/* An array of the edits of fields, in the order of the message; free() it. */
static struct step *sort_steps(const struct header_edit *edits, size_t *count_out)
{
    size_t count = 0;

    for (const struct header_edit *edit = edits; edit != NULL; edit = edit->next) {
        count += changes_field(edit) || edit->kind == HEADER_EDIT_PREPEND;
    }
    struct step *steps = xcalloc(count + 1, sizeof(*steps));

    *count_out = 0;
    for (const struct header_edit *edit = edits; edit != NULL; edit = edit->next) {
        if (changes_field(edit) || edit->kind == HEADER_EDIT_PREPEND) {
            steps[*count_out] = (struct step){edit, *count_out};
            (*count_out)++;
        }
    }
    qsort(steps, count, sizeof(*steps), compare_steps);
    return steps;
}

static const char *insert(const struct header_edit *edit, struct mfi *mfi,
                          const struct message_edits_mta *mta, const char *value)
{
    if (!mfi->ops->insert_header(mfi, mta->first_index + edit->position, edit->new_name, value)) {
        return "a header cannot be inserted";
    }
    return NULL;
}

static const char *change(const struct header_edit *edit, struct mfi *mfi,
                          const struct message_edits_mta *mta, const char *value)
{
    /* Sendmail would keep the letters of the old name, so only the very same name stays where it is. */
    bool keeps_name = edit->kind == HEADER_EDIT_REPLACE && strcmp(edit->name, edit->new_name) == 0;

    if (!mfi->ops->change_header(mfi, edit->name, edit->occurrence, keeps_name ? value : NULL)) {
        return "a header cannot be changed";
    }
    if (edit->kind == HEADER_EDIT_REPLACE && !keeps_name) {
        return insert(edit, mfi, mta, value);
    }
    return NULL;
}

static const char *apply(const struct header_edit *edit, struct mfi *mfi,
                         const struct message_edits_mta *mta, struct strbuf *value)
{
    if (changes_field(edit) && (edit->occurrence == 0 || edit->name == NULL)) {
        return "a rule changes a header that is not there";
    }
    if (edit->kind != HEADER_EDIT_DELETE) {
        if (!is_field_name(edit->new_name)) {
            return "a rule makes a header without a valid name";
        }
        write_value(value, edit->value, mta->leading_blank);
    }
    return changes_field(edit) ? change(edit, mfi, mta, value->data)
                               : insert(edit, mfi, mta, value->data);
}

const char *message_edits_apply(const struct header_edit *edits, struct mfi *mfi,
                                const struct message_edits_mta *mta)
{
    size_t count;
    struct step *steps = sort_steps(edits, &count);
    const struct header_edit *changed =
        NULL; /* a field is changed once: by the last that says so */
    const char *error = NULL;
    struct strbuf value;

    strbuf_init(&value);
    for (size_t i = count; i > 0 && error == NULL; i--) {
        const struct header_edit *edit = steps[i - 1].edit;

        if (!changes_field(edit)) {
            error = apply(edit, mfi, mta, &value);
        } else if (changed == NULL || changed->position != edit->position) {
            error = apply(edit, mfi, mta, &value);
            changed = edit;
        }
    }
    strbuf_fini(&value);
    free(steps);
    return error;
}

/* ---- recipients ---- */

/* Is the address among the typed ones, which stand in <> or not? Domains are compared without regard to case. */
static bool is_among(const struct recipients *typed, const char *address)
{
    size_t len = strlen(address);
    size_t local = strcspn(address, "@");

    for (size_t i = 0; i < typed->count; i++) {
        const char *item = typed->items[i] + (typed->items[i][0] == '<' ? 1 : 0);

        if (strncmp(item, address, local) == 0 && strncasecmp(item, address, len) == 0 &&
            (item[len] == '\0' || strcmp(item + len, ">") == 0)) {
            return true;
        }
    }
    return false;
}

static bool drop_all(struct mfi *mfi, const struct recipients *list)
{
    bool done = true;

    for (size_t i = 0; i < list->count && done; i++) {
        done = mfi->ops->drop(mfi, list->items[i]);
    }
    return done;
}

/* The old ones go first: one of them can be the new one as well. */
static const char *redirect(const char *address, struct mfi *mfi, const struct recipients *accepted,
                            const struct recipients *dropped)
{
    if (!drop_all(mfi, accepted) || !drop_all(mfi, dropped)) {
        return "the MTA does not drop recipients";
    }
    return mfi->ops->add_recipient(mfi, address) ? NULL : "the MTA does not add recipients";
}

static const char *add_copies(const struct header_edit *edits, struct mfi *mfi,
                              const struct recipients *accepted)
{
    struct recipients added = {0}; /* Postfix would send as many copies as are asked for */
    const char *error = NULL;

    for (const struct header_edit *edit = edits; edit != NULL && error == NULL; edit = edit->next) {
        if (edit->kind == HEADER_EDIT_ADD_RECIPIENT && !is_among(accepted, edit->value) &&
            !is_among(&added, edit->value)) {
            bool done = recipients_add(&added, edit->value) &&
                        mfi->ops->add_recipient(mfi, edit->value);

            error = done ? NULL : "the MTA does not add recipients";
        }
    }
    recipients_clear(&added);
    return error;
}

const char *message_edits_apply_recipients(const struct header_edit *edits, struct mfi *mfi,
                                           const struct recipients *accepted,
                                           const struct recipients *dropped)
{
    const char *target = NULL;

    for (const struct header_edit *edit = edits; edit != NULL; edit = edit->next) {
        target = edit->kind == HEADER_EDIT_REDIRECT ? edit->value : target;
    }
    if (target != NULL) {
        return redirect(target, mfi, accepted, dropped);
    }
    if (!drop_all(mfi, dropped)) {
        return "the MTA does not drop recipients";
    }
    return add_copies(edits, mfi, accepted);
}
