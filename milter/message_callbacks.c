/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/message_callbacks.h"
#include "lib/policy/stages.h"
#include "milter/conversation.h"

/* ---- header and body ---- */

static bool is_receiving(const struct conversation *conversation)
{
    return conversation_is_usable(conversation) && conversation->in_message;
}

/* Logs what rules said of the message; what they would have changed only if it was. */
static void log_edits(struct callbacks *callbacks, struct mfi *mfi, bool changed)
{
    struct conversation *conversation = mfi->state;
    const struct session *session = &conversation->session;

    for (const struct header_edit *edit = session_header_edits(session); edit != NULL;
         edit = edit->next) {
        if (changed || edit->kind == HEADER_EDIT_INFO || edit->kind == HEADER_EDIT_WARN) {
            stats_add(&callbacks->stats->edits[edit->kind]);
            decision_log_edit(&conversation->log, session, mfi->ops->macro(mfi, "i"), edit);
        }
    }
}

static enum mfi_answer refuse(struct callbacks *callbacks, struct mfi *mfi, enum stats_stage stage,
                              const struct verdict *verdict)
{
    struct conversation *conversation = mfi->state;

    log_edits(callbacks, mfi, false);
    decision_log_message(&conversation->log, &conversation->session, mfi->ops->macro(mfi, "i"),
                         stage, verdict);
    enum mfi_answer result = conversation_answer(callbacks, mfi, stage, verdict);

    stats_add(&callbacks->stats->messages);
    conversation_end_message(callbacks, conversation);
    return result;
}

/* A step of no message. The answer to the next step, or to the end, says so where this one gets no reply. */
static enum mfi_answer out_of_order(struct callbacks *callbacks, struct conversation *conversation,
                                    enum mfi_step step, enum stats_stage stage)
{
    if (conversation != NULL && (conversation->silent & step) != 0) {
        conversation->broken = true;
        return MFI_NOREPLY;
    }
    return conversation_fail(callbacks, conversation, stage, "a part of a message without MAIL");
}

static enum mfi_answer silently(const struct conversation *conversation, enum mfi_step step)
{
    return (conversation->silent & step) != 0 ? MFI_NOREPLY : MFI_CONTINUE;
}

/* What a single field decides is answered later: an MTA need not wait for it. */
enum mfi_answer message_callbacks_header(void *owner, struct mfi *mfi, const char *name,
                                         const char *value)
{
    struct conversation *conversation = mfi->state;

    if (!is_receiving(conversation) || name == NULL || value == NULL) {
        return out_of_order(owner, conversation, MFI_STEP_HEADER, STATS_EOH);
    }
    if (!conversation->mta.leading_blank) {
        strbuf_reset(&conversation->value);
        strbuf_append_char(&conversation->value, ' ');
        strbuf_append(&conversation->value, value);
        value = conversation->value.data;
    }
    if (conversation->needs.headers) {
        (void)stage_header(&conversation->session, name, value);
    }
    return silently(conversation, MFI_STEP_HEADER);
}

/* A refusal here spares the MTA the body, and this filter too. */
enum mfi_answer message_callbacks_eoh(void *owner, struct mfi *mfi)
{
    struct conversation *conversation = mfi->state;

    if (!is_receiving(conversation)) {
        return out_of_order(owner, conversation, MFI_STEP_EOH, STATS_EOH);
    }
    struct verdict verdict = stage_eoh(&conversation->session);

    conversation_count(owner, STATS_EOH, &verdict);
    return verdict_is_refusal(&verdict) ? refuse(owner, mfi, STATS_EOH, &verdict) : MFI_CONTINUE;
}

/* What the body decides is answered at its end. */
enum mfi_answer message_callbacks_body(void *owner, struct mfi *mfi, const void *chunk, size_t len)
{
    struct conversation *conversation = mfi->state;

    if (!is_receiving(conversation)) {
        return out_of_order(owner, conversation, MFI_STEP_BODY, STATS_EOM);
    }
    if (conversation->needs.body) {
        (void)stage_body(&conversation->session, chunk, len);
    }
    return silently(conversation, MFI_STEP_BODY);
}

/* ---- end ---- */

/* Does any of what is to be changed need the right to change headers? */
static bool has_field_edits(const struct header_edit *edits)
{
    for (const struct header_edit *edit = edits; edit != NULL; edit = edit->next) {
        if (edit->kind == HEADER_EDIT_DELETE || edit->kind == HEADER_EDIT_REPLACE ||
            edit->kind == HEADER_EDIT_PREPEND) {
            return true;
        }
    }
    return false;
}

static bool has_new_recipients(const struct header_edit *edits)
{
    for (const struct header_edit *edit = edits; edit != NULL; edit = edit->next) {
        if (edit->kind == HEADER_EDIT_ADD_RECIPIENT || edit->kind == HEADER_EDIT_REDIRECT) {
            return true;
        }
    }
    return false;
}

/* Makes the message what it is to become. NULL if all was done, else what could not be. */
static const char *change_message(struct mfi *mfi)
{
    struct conversation *conversation = mfi->state;
    const struct header_edit *edits = session_header_edits(&conversation->session);

    if (conversation->no_edit_headers && has_field_edits(edits)) {
        return "the MTA does not let filters change headers";
    }
    if (conversation->no_add_recipients && has_new_recipients(edits)) {
        return "the MTA does not let filters add recipients";
    }
    const char *error = message_edits_apply_recipients(edits, mfi, &conversation->kept,
                                                       &conversation->drops);

    return error != NULL ? error : message_edits_apply(edits, mfi, &conversation->mta);
}

/* Asks the MTA for what is to become of the message. */
static enum mfi_answer carry_out(struct callbacks *callbacks, struct mfi *mfi,
                                 const struct verdict *verdict)
{
    struct conversation *conversation = mfi->state;
    const char *reason = verdict->quarantine;

    if (verdict->kind == VERDICT_DISCARD) {
        return MFI_DISCARD; /* there is nobody left who could see a change */
    }
    const char *error = change_message(mfi);

    if (error != NULL) {
        return conversation_fail(callbacks, conversation, STATS_EOM, error);
    }
    if (verdict->kind == VERDICT_CONTINUE) {
        return MFI_CONTINUE;
    }
    if (verdict->kind != VERDICT_QUARANTINE) {
        return conversation_fail(callbacks, conversation, STATS_EOM, "unknown verdict");
    }
    if (reason == NULL || reason[0] == '\0') {
        reason = "held by postern"; /* the protocol wants a text */
    }
    if (conversation->no_quarantine || !mfi->ops->quarantine(mfi, reason)) {
        return conversation_fail(callbacks, conversation, STATS_EOM, "the MTA does not quarantine");
    }
    return MFI_CONTINUE;
}

enum mfi_answer message_callbacks_eom(void *owner, struct mfi *mfi)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (!is_receiving(conversation) || conversation->log.recipient_count == 0) {
        enum mfi_answer failed = conversation_fail(callbacks, conversation, STATS_EOM,
                                                   "end of message without recipients");

        if (conversation != NULL) {
            conversation_end_message(callbacks, conversation);
        }
        return failed;
    }
    struct verdict verdict = stage_eom(&conversation->session);

    conversation_count(callbacks, STATS_EOM, &verdict);
    if (verdict_is_refusal(&verdict)) {
        return refuse(callbacks, mfi, STATS_EOM, &verdict);
    }
    enum mfi_answer result = carry_out(callbacks, mfi, &verdict);

    stats_add(&callbacks->stats->messages);
    if (result != MFI_TEMPFAIL) {
        log_edits(callbacks, mfi, verdict.kind != VERDICT_DISCARD);
        decision_log_message(&conversation->log, &conversation->session, mfi->ops->macro(mfi, "i"),
                             STATS_EOM, &verdict);
    }
    conversation_end_message(callbacks, conversation);
    return result;
}
