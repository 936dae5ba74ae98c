/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/header_action.h"

#include "lib/policy/action.h"
#include "lib/policy/rules.h"

#include <string.h>
#include <strings.h>

#define REJECTED "message content rejected"

/* ---- keeping ---- */

/* A verdict whose strings live as long as the message. */
static struct verdict kept(struct session *session, struct verdict verdict)
{
    if (verdict.reply.text != NULL) {
        verdict.reply.text = arena_strdup(session->message, verdict.reply.text);
    }
    if (verdict.quarantine != NULL) {
        verdict.quarantine = arena_strdup(session->message, verdict.quarantine);
    }
    if (verdict.rule.key != NULL) {
        verdict.rule.key = arena_strdup(session->message, verdict.rule.key);
    }
    if (verdict.why != NULL) {
        verdict.why = arena_strdup(session->message, verdict.why);
    }
    return verdict;
}

static struct verdict refuse(struct header_state *state, struct verdict verdict)
{
    state->done = true;
    state->session->refusal = kept(state->session, verdict);
    return state->session->refusal;
}

struct verdict header_action_refuse(struct header_state *state, struct reply reply,
                                    const char *reason)
{
    return refuse(state, verdict_refuse(reply, reason));
}

struct verdict header_action_fail(struct header_state *state, const char *reason, const char *why)
{
    struct verdict verdict = rules_tempfail(reason).verdict;

    rules_note(state->session, why);
    verdict.why = why;
    return refuse(state, verdict);
}

/* Of several rules the first one says why the message is held, as in Postfix. */
static void hold(struct header_state *state, struct verdict *verdict)
{
    if (!state->held) {
        state->held = true;
        state->session->quarantine = kept(state->session, *verdict);
    }
}

/* ---- edits ---- */

static struct verdict append(struct header_state *state, const struct header_edit *edit,
                             struct verdict verdict)
{
    struct session *session = state->session;

    if (header_edit_append(&session->edits, session->message, edit) || header_edit_is_log(edit)) {
        return verdict;
    }
    rules_note(state->session, "more changes than one message may have");
    verdict = verdict_refuse(
        reply_make(552, "5.3.4", "Too many header fields would have to be changed"),
        verdict.reason);
    verdict.rule = edit->rule;
    return refuse(state, verdict);
}

/* A field whose number is not known cannot be told to the MTA. */
static struct verdict change(struct header_state *state, const struct header_field *field,
                             struct header_edit *edit, struct verdict verdict)
{
    if (field->in_body) {
        static const char *const verbs[] = {
            [HEADER_EDIT_DELETE] = "IGNORE",
            [HEADER_EDIT_REPLACE] = "REPLACE",
            [HEADER_EDIT_PREPEND] = "PREPEND",
        };

        edit->value = arena_printf(state->session->scratch, "%s is not done in the body",
                                   verbs[edit->kind]);
        edit->kind = HEADER_EDIT_WARN;
        edit->new_name = NULL;
    } else if (field->name != NULL && field->occurrence == 0 && edit->kind != HEADER_EDIT_PREPEND) {
        rules_note(state->session, "more names of headers than one message may have");
        verdict = verdict_refuse(reply_make(552, "5.3.4", "Too many different header fields"),
                                 verdict.reason);
        verdict.rule = edit->rule;
        return refuse(state, verdict);
    }
    return append(state, edit, verdict);
}

/* A line of a header must begin with a blank unless it is the first one; captures may hold any. */
static const char *fold(struct arena *arena, const char *text)
{
    size_t lines = 0;

    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    char *folded = arena_alloc(arena, strlen(text) + lines + 1);
    char *to = folded;

    for (; *text != '\0'; text++) {
        *to++ = *text;
        if (*text == '\n' && text[1] != ' ' && text[1] != '\t') {
            *to++ = '\t';
        }
    }
    *to = '\0';
    return folded;
}

/* "Name: value" as an edit has it. Action texts were checked to be that. */
static void split(struct session *session, const char *text, struct header_edit *edit)
{
    const char *colon = strchr(text, ':');
    size_t len = (size_t)(colon - text);

    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        len--;
    }
    edit->new_name = arena_strndup(session->scratch, text, len);
    edit->value = fold(session->scratch, colon + 1);
}

static bool has_copy_to(const struct session *session, const char *address)
{
    for (const struct header_edit *at = session->edits.first; at != NULL; at = at->next) {
        if (at->kind == HEADER_EDIT_ADD_RECIPIENT && strcmp(at->value, address) == 0) {
            return true;
        }
    }
    return false;
}

static struct verdict apply_edit(struct header_state *state, const struct header_field *field,
                                 const struct action *action, struct header_edit *edit,
                                 struct verdict verdict)
{
    switch (action->kind) {
    case ACTION_IGNORE:
    case ACTION_STRIP:
        edit->kind = HEADER_EDIT_DELETE;
        edit->value = *action->text == '\0' ? NULL : action->text;
        return change(state, field, edit, verdict);
    case ACTION_REPLACE:
        edit->kind = HEADER_EDIT_REPLACE;
        split(state->session, action->text, edit);
        return change(state, field, edit, verdict);
    case ACTION_PREPEND:
        edit->kind = HEADER_EDIT_PREPEND;
        split(state->session, action->text, edit);
        return change(state, field, edit, verdict);
    case ACTION_BCC:
        edit->kind = HEADER_EDIT_ADD_RECIPIENT;
        edit->value = action->text;
        return has_copy_to(state->session, action->text) ? verdict : append(state, edit, verdict);
    case ACTION_REDIRECT:
        edit->kind = HEADER_EDIT_REDIRECT;
        edit->value = action->text;
        verdict = append(state, edit, verdict);
        state->done = true;
        return verdict;
    case ACTION_PASS:
        state->done = true;
        edit->value = arena_printf(state->session->scratch,
                                   *action->text == '\0' ? "PASS%s" : "PASS %s", action->text);
        edit->kind = HEADER_EDIT_INFO;
        return append(state, edit, verdict);
    default:
        edit->kind = action->kind == ACTION_WARN ? HEADER_EDIT_WARN : HEADER_EDIT_INFO;
        edit->value = action->text;
        return append(state, edit, verdict);
    }
}

/* ---- actions ---- */

/* The right-hand side is one of the rule's making: it is never as if nothing had matched. */
static struct verdict fail_rule(struct header_state *state, struct verdict verdict, const char *why)
{
    struct verdict failed = rules_tempfail(verdict.reason).verdict;

    rules_note(state->session, why);
    failed.rule = verdict.rule;
    failed.why = why;
    return refuse(state, failed);
}

static struct verdict refuse_by_rule(struct header_state *state, struct reply reply,
                                     const struct verdict *found)
{
    struct verdict verdict = verdict_refuse(reply, found->reason);

    verdict.rule = found->rule;
    return refuse(state, verdict);
}

static struct verdict apply(struct header_state *state, const struct header_field *field,
                            const struct action *action, struct verdict verdict)
{
    struct header_edit edit = {
        .name = field->in_body ? NULL : field->name,
        .occurrence = field->occurrence,
        .position = field->position,
        .rule = verdict.rule,
        .subject = field->text,
    };

    switch (action->kind) {
    case ACTION_OK:
    case ACTION_DUNNO:
        return verdict;
    case ACTION_ERROR:
        return refuse_by_rule(state, action->reply, &verdict);
    case ACTION_REJECT:
        return refuse_by_rule(state, reply_make(550, "5.7.1", REJECTED), &verdict);
    case ACTION_DISCARD:
        verdict.kind = VERDICT_DISCARD;
        state->done = true;
        state->session->discard = kept(state->session, verdict);
        return verdict;
    case ACTION_QUARANTINE:
        verdict.kind = VERDICT_QUARANTINE;
        verdict.quarantine = action->quarantine;
        hold(state, &verdict);
        return verdict;
    case ACTION_IGNORE:
    case ACTION_STRIP:
    case ACTION_REPLACE:
    case ACTION_PREPEND:
    case ACTION_BCC:
    case ACTION_REDIRECT:
    case ACTION_PASS:
    case ACTION_INFO:
    case ACTION_WARN:
        return apply_edit(state, field, action, &edit, verdict);
    default:
        return fail_rule(state, verdict, "this action is none for a header");
    }
}

struct verdict header_action_take(struct header_state *state, const struct header_field *field,
                                  const struct regex_match *match)
{
    struct verdict verdict = verdict_continue();
    struct action_problem problem = {NULL, NULL};
    struct action action;

    verdict.reason = field->reason;
    verdict.rule = (struct verdict_rule){
        .file = match->place.file,
        .line = match->place.line,
        .key = match->place.written,
    };
    if (match->status != STATUS_OK) {
        return fail_rule(state, verdict, match->why);
    }
    if (!action_parse_pattern(ACTION_OF_HEADERS, match->result, state->session->scratch, &action,
                              &problem)) {
        return fail_rule(state, verdict, problem.text);
    }
    if (field->name == NULL && !field->in_body &&
        (action.kind == ACTION_IGNORE || action.kind == ACTION_STRIP ||
         action.kind == ACTION_REPLACE)) {
        return fail_rule(state, verdict, "there is no single field that could be changed");
    }
    return apply(state, field, &action, verdict);
}
