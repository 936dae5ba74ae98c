/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/callbacks.h"
#include "lib/base/xalloc.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/stages.h"
#include "milter/decision_log.h"
#include "milter/recipients.h"
#include "milter/snapshot.h"
#include "milter/stats.h"

#include <stdlib.h>

/* The connection of one SMTP client, from negotiation to close. */
struct conversation {
    struct decision_log log; /* has its id from the start */
    struct session session;
    struct ruleset_needs
        needs;       /* what the ruleset asks the MTA for; looking for a macro is not cheap */
    bool connected;  /* session has the facts of a connection */
    bool broken;     /* ... which cannot be trusted: every command is answered 4xx */
    bool in_message; /* MAIL was accepted, and neither end nor abort came yet */
    bool silent;     /* no reply at connect and helo */
    bool no_quarantine;
    bool no_drop;
    struct recipients drops; /* of this message: taken out of the envelope at its end */
};

/* ---- begin and end of a conversation ---- */

static struct conversation *conversation_new(struct callbacks *callbacks)
{
    struct conversation *conversation = xcalloc(1, sizeof(*conversation));
    struct ruleset *ruleset = snapshot_get(callbacks->snapshot);
    bool traced = log_enabled(callbacks->logger, LOG_LEVEL_DEBUG);

    decision_log_init(&conversation->log, callbacks->logger);
    session_init(&conversation->session, ruleset, traced ? &conversation->log.trace : NULL);
    conversation->needs = ruleset_needs(ruleset);
    ruleset_unref(&ruleset);
    return conversation;
}

static void end_message(struct callbacks *callbacks, struct conversation *conversation)
{
    recipients_clear(&conversation->drops);
    if (conversation->in_message) {
        conversation->in_message = false;
        stats_change(&callbacks->stats->messages_open, -1);
    }
    session_reset_message(&conversation->session);
}

static void conversation_free(struct callbacks *callbacks, struct conversation *conversation)
{
    end_message(callbacks, conversation);
    if (conversation->connected) {
        stats_change(&callbacks->stats->sessions_open, -1);
    }
    session_fini(&conversation->session);
    decision_log_fini(&conversation->log);
    free(conversation);
}

static bool is_usable(const struct conversation *conversation)
{
    return conversation != NULL && conversation->connected && !conversation->broken;
}

/* ---- answers ---- */

/* Something that cannot be: the client tries again later, and the log says what happened. */
static enum mfi_answer failure(struct callbacks *callbacks, struct conversation *conversation,
                               enum stats_stage stage, const char *what)
{
    stats_add(&callbacks->stats->internal_failures);
    if (conversation != NULL) {
        decision_log_failure(&conversation->log, &conversation->session, stage, what);
    } else {
        log_printf(callbacks->logger, LOG_LEVEL_ERROR, "stage=%s action=tempfail error=\"%s\"",
                   stats_stage_name(stage), what);
    }
    return MFI_TEMPFAIL;
}

static void count(struct callbacks *callbacks, enum stats_stage stage,
                  const struct verdict *verdict)
{
    if ((unsigned)verdict->kind < STATS_KINDS) {
        stats_add(&callbacks->stats->verdicts[stage][verdict->kind]);
    }
}

/* The answer to MAIL or RCPT. DISCARD and QUARANTINE wait for the end of the message. */
static enum mfi_answer answer(struct callbacks *callbacks, struct mfi *mfi, enum stats_stage stage,
                              const struct verdict *verdict)
{
    struct conversation *conversation = mfi->state;

    switch (verdict->kind) {
    case VERDICT_CONTINUE:
    case VERDICT_DISCARD:
    case VERDICT_QUARANTINE:
    case VERDICT_DROP:
        return MFI_CONTINUE;
    case VERDICT_REJECT:
    case VERDICT_TEMPFAIL:
        if (!mfi->ops->set_reply(mfi, &verdict->reply)) {
            return failure(callbacks, conversation, stage, "the reply cannot be sent");
        }
        /* The engine drops a reply whose class is not that of the answer. */
        return verdict->reply.code >= 500 ? MFI_REJECT : MFI_TEMPFAIL;
    }
    return failure(callbacks, conversation, stage, "unknown verdict");
}

/* ---- negotiation ---- */

static const char *const connect_macros[] = {
    "j {daemon_name}",
    "j {daemon_name} {client_resolve}",
    "j {daemon_name} {client_ptr}",
    "j {daemon_name} {client_resolve} {client_ptr}",
    "j {daemon_name} {if_addr} {daemon_addr}",
    "j {daemon_name} {if_addr} {daemon_addr} {client_resolve}",
    "j {daemon_name} {if_addr} {daemon_addr} {client_ptr}",
    "j {daemon_name} {if_addr} {daemon_addr} {client_resolve} {client_ptr}",
};

static const char *const mail_macros[] = {
    "i",
    "i {auth_type} {auth_authen}",
    "i {verify} {cert_subject} {cert_issuer}",
    "i {auth_type} {auth_authen} {verify} {cert_subject} {cert_issuer}",
};

static void tell_once(struct callbacks *callbacks, atomic_bool *told, const char *what)
{
    if (!atomic_exchange(told, true)) {
        log_printf(callbacks->logger, LOG_LEVEL_WARNING, "event=negotiate warning=\"%s\"", what);
    }
}

static bool cb_negotiate(void *owner, struct mfi *mfi, const struct mfi_offer *offer,
                         struct mfi_request *request_out)
{
    struct callbacks *callbacks = owner;
    const unsigned silent = MFI_STEP_CONNECT | MFI_STEP_HELO;

    if (mfi->state != NULL) {
        return false;
    }
    struct conversation *conversation = mfi->state = conversation_new(callbacks);
    struct ruleset_needs needs = conversation->needs;

    conversation->silent = (offer->silent & silent) == silent;
    conversation->no_drop = !needs.drop_recipients || !offer->drop;
    conversation->no_quarantine = !needs.quarantine || !offer->quarantine;
    if (needs.quarantine && !offer->quarantine) {
        tell_once(callbacks, &callbacks->told_quarantine,
                  "the MTA does not let filters quarantine: mail to be held gets a 4xx reply");
    }
    if (needs.drop_recipients && !offer->drop) {
        tell_once(callbacks, &callbacks->told_drop,
                  "the MTA does not let filters take recipients out: those that Compat: entries "
                  "drop get a 4xx reply");
    }
    if (!offer->choose_macros) {
        tell_once(callbacks, &callbacks->told_macros,
                  "the MTA does not let filters choose macros: it must send those that postern(8) "
                  "lists");
    }
    *request_out = (struct mfi_request){
        .steps = MFI_STEP_CONNECT | MFI_STEP_HELO | MFI_STEP_MAIL | MFI_STEP_RCPT | MFI_STEP_EOM,
        .silent = conversation->silent ? silent : 0,
        .quarantine = needs.quarantine && offer->quarantine,
        .drop = needs.drop_recipients && offer->drop,
        .macros =
            {
                [MFI_MACROS_CONNECT] =
                    connect_macros[(needs.client_resolve ? 1 : 0) + (needs.client_ptr ? 2 : 0) +
                                   (needs.daemon_addr ? 4 : 0)],
                [MFI_MACROS_HELO] = "",
                [MFI_MACROS_MAIL] =
                    mail_macros[(needs.login ? 1 : 0) + (needs.certificate ? 2 : 0)],
                [MFI_MACROS_RCPT] = needs.mailer ? "{rcpt_mailer}" : "",
                [MFI_MACROS_DATA] = "",
                [MFI_MACROS_EOH] = "",
                [MFI_MACROS_EOM] = "i",
            },
    };
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
        return failure(callbacks, conversation, STATS_CONNECT, "a second client on one connection");
    }
    if (conversation == NULL) {
        /* An MTA that uses its connection for the next client does not negotiate again. */
        conversation = mfi->state = conversation_new(callbacks);
    }
    const struct ruleset_needs *needs = &conversation->needs;
    const char *own_addr = macro_if(needs->daemon_addr, mfi, "{if_addr}"); /* Sendmail */

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

    session_connect(&conversation->session, &client);
    decision_log_client_changed(&conversation->log);
    conversation->connected = true;
    stats_add(&callbacks->stats->sessions);
    stats_change(&callbacks->stats->sessions_open, 1);
    struct verdict verdict = stage_connect(&conversation->session);

    count(callbacks, STATS_CONNECT, &verdict);
    decision_log_event(&conversation->log, &conversation->session, "connect");
    return conversation->silent ? MFI_NOREPLY : MFI_CONTINUE;
}

static enum mfi_answer cb_helo(void *owner, struct mfi *mfi, const char *name)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (!is_usable(conversation) || name == NULL) {
        return failure(callbacks, conversation, STATS_HELO, "HELO without a session");
    }
    struct verdict verdict = stage_helo(&conversation->session, name);

    decision_log_client_changed(&conversation->log);
    count(callbacks, STATS_HELO, &verdict);
    return conversation->silent ? MFI_NOREPLY : MFI_CONTINUE;
}

static enum mfi_answer cb_mail(void *owner, struct mfi *mfi, char *const *args)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (!is_usable(conversation) || args[0] == NULL) {
        return failure(callbacks, conversation, STATS_MAIL, "MAIL without a session");
    }
    end_message(callbacks, conversation);
    decision_log_begin_message(&conversation->log);
    const struct ruleset_needs *needs = &conversation->needs;
    const struct session_login login = {
        .type = macro_if(needs->login, mfi, "{auth_type}"),
        .authen = macro_if(needs->login, mfi, "{auth_authen}"),
        .verify = macro_if(needs->certificate, mfi, "{verify}"),
        .cert_subject = macro_if(needs->certificate, mfi, "{cert_subject}"),
        .cert_issuer = macro_if(needs->certificate, mfi, "{cert_issuer}"),
    };
    struct verdict verdict = stage_mail(&conversation->session, &login, args[0]);

    count(callbacks, STATS_MAIL, &verdict);
    if (verdict_is_refusal(&verdict)) {
        decision_log_refusal(&conversation->log, &conversation->session, mfi->ops->macro(mfi, "i"),
                             STATS_MAIL, args[0], NULL, &verdict);
    }
    enum mfi_answer result = answer(callbacks, mfi, STATS_MAIL, &verdict);

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

    if (!is_usable(conversation) || !conversation->in_message || args[0] == NULL) {
        return failure(callbacks, conversation, STATS_RCPT, "RCPT without MAIL");
    }
    struct session *session = &conversation->session;
    struct verdict verdict = stage_rcpt(session, args[0],
                                        macro_if(conversation->needs.mailer, mfi, "{rcpt_mailer}"));

    count(callbacks, STATS_RCPT, &verdict);
    if (verdict.kind == VERDICT_DROP &&
        (conversation->no_drop || !recipients_add(&conversation->drops, args[0]))) {
        return failure(callbacks, conversation, STATS_RCPT, "the recipient cannot be dropped");
    }
    if (verdict_is_refusal(&verdict) || verdict.kind == VERDICT_DROP) {
        decision_log_refusal(&conversation->log, session, mfi->ops->macro(mfi, "i"), STATS_RCPT,
                             session->sender, args[0], &verdict);
    }
    enum mfi_answer result = answer(callbacks, mfi, STATS_RCPT, &verdict);

    if (result == MFI_CONTINUE) {
        decision_log_add_recipient(&conversation->log, args[0]);
    }
    return result;
}

/* What becomes of the message, in the engine's terms. */
static enum mfi_answer answer_eom(struct callbacks *callbacks, struct mfi *mfi,
                                  const struct verdict *verdict)
{
    struct conversation *conversation = mfi->state;
    const char *reason = verdict->quarantine;

    switch (verdict->kind) {
    case VERDICT_CONTINUE:
        return MFI_CONTINUE;
    case VERDICT_DISCARD:
        return MFI_DISCARD;
    case VERDICT_DROP: /* of a recipient, not of a message */
        break;
    case VERDICT_QUARANTINE:
        if (reason == NULL || reason[0] == '\0') {
            reason = "held by postern"; /* the protocol wants a text */
        }
        if (conversation->no_quarantine || !mfi->ops->quarantine(mfi, reason)) {
            return failure(callbacks, conversation, STATS_EOM, "the MTA does not quarantine");
        }
        return MFI_CONTINUE;
    case VERDICT_REJECT:
    case VERDICT_TEMPFAIL:
        return answer(callbacks, mfi, STATS_EOM, verdict);
    }
    return failure(callbacks, conversation, STATS_EOM, "unknown verdict");
}

/* Takes the dropped recipients out. A message that is discarded has none that could get it. */
static bool drop_recipients(struct mfi *mfi, const struct verdict *verdict)
{
    const struct conversation *conversation = mfi->state;
    const struct recipients *drops = &conversation->drops;
    bool done = true;

    for (size_t i = 0; i < drops->count && done && verdict->kind != VERDICT_DISCARD; i++) {
        done = mfi->ops->drop(mfi, drops->items[i]);
    }
    return done;
}

static enum mfi_answer cb_eom(void *owner, struct mfi *mfi)
{
    struct callbacks *callbacks = owner;
    struct conversation *conversation = mfi->state;

    if (!is_usable(conversation) || !conversation->in_message ||
        conversation->log.recipient_count == 0) {
        return failure(callbacks, conversation, STATS_EOM, "end of message without recipients");
    }
    struct session *session = &conversation->session;
    struct verdict verdict = stage_eom(session);

    count(callbacks, STATS_EOM, &verdict);
    stats_add(&callbacks->stats->messages);
    enum mfi_answer result = drop_recipients(mfi, &verdict)
                                 ? answer_eom(callbacks, mfi, &verdict)
                                 : failure(callbacks, conversation, STATS_EOM,
                                           "the MTA does not drop recipients");

    if (result != MFI_TEMPFAIL) {
        decision_log_message(&conversation->log, session, mfi->ops->macro(mfi, "i"),
                             session->sender, &verdict);
    }
    end_message(callbacks, conversation);
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
    end_message(callbacks, conversation);
}

static void cb_close(void *owner, struct mfi *mfi)
{
    struct callbacks *callbacks = owner;

    if (mfi->state == NULL) {
        return; /* a connection that only looked whether somebody is there */
    }
    conversation_free(callbacks, mfi->state);
    mfi->state = NULL;
}

const struct mfi_filter *callbacks_filter(void)
{
    static const struct mfi_filter filter = {
        cb_negotiate, cb_connect, cb_helo, cb_mail, cb_rcpt, cb_eom, cb_abort, cb_close,
    };

    return &filter;
}
