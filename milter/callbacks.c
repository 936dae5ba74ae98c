/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/callbacks.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/stages.h"
#include "milter/conversation.h"
#include "milter/message_callbacks.h"
#include "milter/negotiation.h"

static bool cb_negotiate(void *owner, struct mfi *mfi, const struct mfi_offer *offer,
                         struct mfi_request *request_out)
{
    struct callbacks *callbacks = owner;

    if (mfi->state != NULL) {
        return false;
    }
    mfi->state = conversation_new(callbacks);
    negotiation_run(callbacks, mfi->state, offer, request_out);
    return true;
}

/* ---- stages ---- */

static const char *macro_if(bool needed, struct mfi *mfi, const char *name)
{
    return needed ? mfi->ops->macro(mfi, name) : NULL;
}

static enum mfi_answer cb_connect(void *owner, struct mfi *mfi, const char *hostname,
                                  const char *address)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (conversation != NULL && conversation->connected) {
        conversation->broken = true;
        return conversation_fail(callbacks, conversation, STATS_CONNECT,
                                 "a second client on one connection");
    }
    if (conversation == NULL) {
        /* An MTA that uses its connection for the next client does not negotiate again. */
        conversation = mfi->state = conversation_new(callbacks);
    }
    const struct ruleset_needs *needs = &conversation->needs;
    const char *own_addr = macro_if(needs->daemon_addr, mfi, "{if_addr}"); /* Sendmail */

    negotiation_learn(callbacks, own_addr);
    if (own_addr == NULL) {
        own_addr = macro_if(needs->daemon_addr, mfi, "{daemon_addr}"); /* Postfix */
    }
    const struct session_client client = {
        .name = hostname,
        .address = address,
        .resolve = macro_if(needs->client_resolve, mfi, "{client_resolve}"),
        .ptr = macro_if(needs->client_ptr, mfi, "{client_ptr}"),
        .hostname = mfi->ops->macro(mfi, "j"),
        .daemon_name = mfi->ops->macro(mfi, "{daemon_name}"),
        .daemon_addr = own_addr,
    };

    if (needs->edit_headers) {
        conversation->mta.first_index = message_edits_first_index(mfi->ops->macro(mfi, "v"));
    }
    session_connect(&conversation->session, &client);
    decision_log_client_changed(&conversation->log);
    conversation->connected = true;
    stats_add(&callbacks->stats->sessions);
    stats_change(&callbacks->stats->sessions_open, 1);
    struct verdict verdict = stage_connect(&conversation->session);

    conversation_count(callbacks, STATS_CONNECT, &verdict);
    decision_log_event(&conversation->log, &conversation->session, "connect");
    return (conversation->silent & MFI_STEP_CONNECT) != 0 ? MFI_NOREPLY : MFI_CONTINUE;
}

static enum mfi_answer cb_helo(void *owner, struct mfi *mfi, const char *name)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (!conversation_is_usable(conversation) || name == NULL) {
        return conversation_fail(callbacks, conversation, STATS_HELO, "HELO without a session");
    }
    struct verdict verdict = stage_helo(&conversation->session, name);

    decision_log_client_changed(&conversation->log);
    conversation_count(callbacks, STATS_HELO, &verdict);
    return (conversation->silent & MFI_STEP_HELO) != 0 ? MFI_NOREPLY : MFI_CONTINUE;
}

/*
 * libmilter knows no way to answer later, so this thread waits: rarely, as the questions were put at earlier commands, and for a time
 * that is bounded for the whole session.
 */
static void wait_for_dns(struct mfi *mfi, struct session *session)
{
    if (mfi->ops->waits != NULL) {
        mfi->ops->waits(mfi, true);
    }
    dns_questions_wait(session);
    if (mfi->ops->waits != NULL) {
        mfi->ops->waits(mfi, false);
    }
}

/* The two stages that may want an answer of DNS first. */
static struct verdict run_mail(struct mfi *mfi, struct session *session,
                               const struct session_login *login, const char *sender)
{
    struct verdict verdict = stage_mail(session, login, sender);

    while (verdict.kind == VERDICT_WAIT) {
        wait_for_dns(mfi, session);
        verdict = stage_mail(session, login, sender);
    }
    return verdict;
}

static struct verdict run_rcpt(struct mfi *mfi, struct session *session, const char *recipient,
                               const char *mailer)
{
    struct verdict verdict = stage_rcpt(session, recipient, mailer);

    while (verdict.kind == VERDICT_WAIT) {
        wait_for_dns(mfi, session);
        verdict = stage_rcpt(session, recipient, mailer);
    }
    return verdict;
}

static enum mfi_answer cb_mail(void *owner, struct mfi *mfi, char *const *args)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (!conversation_is_usable(conversation) || args[0] == NULL) {
        return conversation_fail(callbacks, conversation, STATS_MAIL, "MAIL without a session");
    }
    conversation_end_message(callbacks, conversation);
    decision_log_begin_message(&conversation->log);
    const struct ruleset_needs *needs = &conversation->needs;
    const struct session_login login = {
        .type = macro_if(needs->login, mfi, "{auth_type}"),
        .authen = macro_if(needs->login, mfi, "{auth_authen}"),
        .verify = macro_if(needs->certificate, mfi, "{verify}"),
        .cert_subject = macro_if(needs->certificate, mfi, "{cert_subject}"),
        .cert_issuer = macro_if(needs->certificate, mfi, "{cert_issuer}"),
    };
    struct verdict verdict = run_mail(mfi, &conversation->session, &login, args[0]);

    conversation_count(callbacks, STATS_MAIL, &verdict);
    if (verdict_is_refusal(&verdict)) {
        decision_log_refusal(&conversation->log, &conversation->session, mfi->ops->macro(mfi, "i"),
                             STATS_MAIL, args[0], NULL, &verdict);
    }
    enum mfi_answer result = conversation_answer(callbacks, mfi, STATS_MAIL, &verdict);

    if (result == MFI_CONTINUE) {
        conversation->in_message = true;
        stats_change(&callbacks->stats->messages_open, 1);
    }
    return result;
}

static enum mfi_answer cb_rcpt(void *owner, struct mfi *mfi, char *const *args)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (!conversation_is_usable(conversation) || !conversation->in_message || args[0] == NULL) {
        return conversation_fail(callbacks, conversation, STATS_RCPT, "RCPT without MAIL");
    }
    struct session *session = &conversation->session;
    struct verdict verdict = run_rcpt(mfi, session, args[0],
                                      macro_if(conversation->needs.mailer, mfi, "{rcpt_mailer}"));

    conversation_count(callbacks, STATS_RCPT, &verdict);
    if (verdict.kind == VERDICT_DROP &&
        (conversation->no_drop || !recipients_add(&conversation->drops, args[0]))) {
        return conversation_fail(callbacks, conversation, STATS_RCPT,
                                 "the recipient cannot be dropped");
    }
    if (verdict_is_refusal(&verdict) || verdict.kind == VERDICT_DROP) {
        decision_log_refusal(&conversation->log, session, mfi->ops->macro(mfi, "i"), STATS_RCPT,
                             session->sender, args[0], &verdict);
    }
    enum mfi_answer result = conversation_answer(callbacks, mfi, STATS_RCPT, &verdict);

    if (result == MFI_CONTINUE) {
        decision_log_add_recipient(&conversation->log, args[0]);
    }
    if (result == MFI_CONTINUE && conversation->needs.add_recipients &&
        verdict.kind != VERDICT_DROP && !recipients_add(&conversation->kept, args[0])) {
        return conversation_fail(callbacks, conversation, STATS_RCPT, "too many recipients");
    }
    return result;
}

static void cb_abort(void *owner, struct mfi *mfi)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (conversation == NULL || !conversation->in_message) {
        return;
    }
    stats_add(&callbacks->stats->aborted);
    decision_log_event(&conversation->log, &conversation->session, "abort");
    conversation_end_message(callbacks, conversation);
}

static void cb_close(void *owner, struct mfi *mfi)
{
    struct conversation *conversation =
        mfi->state; /* NULL: only looked whether somebody is there */

    conversation_free(owner, &conversation);
    mfi->state = NULL;
}

const struct mfi_filter *callbacks_filter(void)
{
    static const struct mfi_filter filter = {
        .negotiate = cb_negotiate,
        .connect = cb_connect,
        .helo = cb_helo,
        .mail = cb_mail,
        .rcpt = cb_rcpt,
        .header = message_callbacks_header,
        .eoh = message_callbacks_eoh,
        .body = message_callbacks_body,
        .eom = message_callbacks_eom,
        .abort = cb_abort,
        .close = cb_close,
    };

    return &filter;
}
