/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/conversation.h"
#include "lib/base/xalloc.h"
#include "milter/snapshot.h"

#include <stdlib.h>

/* ---- begin and end ---- */

struct conversation *conversation_new(struct callbacks *callbacks)
{
    struct conversation *conversation = xcalloc(1, sizeof(*conversation));
    struct ruleset *ruleset = snapshot_get(callbacks->snapshot);
    bool traced = log_enabled(callbacks->logger, LOG_LEVEL_DEBUG);

    decision_log_init(&conversation->log, callbacks->logger);
    session_init(&conversation->session, ruleset, traced ? &conversation->log.trace : NULL);
    conversation->session.resolver = callbacks->resolver;
    conversation->session.relayers = relay_memo_init(&conversation->relayers, callbacks->relayers);
    conversation->needs = ruleset_needs(ruleset);
    strbuf_init(&conversation->value);
    conversation->mta.first_index = message_edits_first_index(NULL);
    ruleset_unref(&ruleset);
    return conversation;
}

void conversation_end_message(struct callbacks *callbacks, struct conversation *conversation)
{
    recipients_clear(&conversation->drops);
    recipients_clear(&conversation->kept);
    if (conversation->in_message) {
        conversation->in_message = false;
        stats_change(&callbacks->stats->messages_open, -1);
    }
    session_reset_message(&conversation->session);
    relay_memo_forget(&conversation->relayers);
}

void conversation_free(struct callbacks *callbacks, struct conversation **conversation)
{
    struct conversation *old = *conversation;

    *conversation = NULL;
    if (old == NULL) {
        return;
    }
    conversation_end_message(callbacks, old);
    if (old->connected) {
        stats_change(&callbacks->stats->sessions_open, -1);
    }
    session_fini(&old->session);
    strbuf_fini(&old->value);
    decision_log_fini(&old->log);
    free(old);
}

bool conversation_is_usable(const struct conversation *conversation)
{
    return conversation != NULL && conversation->connected && !conversation->broken;
}

/* ---- answers ---- */

enum mfi_answer conversation_fail(struct callbacks *callbacks, struct conversation *conversation,
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

void conversation_count(struct callbacks *callbacks, enum stats_stage stage,
                        const struct verdict *verdict)
{
    if ((unsigned)verdict->kind < STATS_KINDS) {
        stats_add(&callbacks->stats->verdicts[stage][verdict->kind]);
    }
}

enum mfi_answer conversation_answer(struct callbacks *callbacks, struct mfi *mfi,
                                    enum stats_stage stage, const struct verdict *verdict)
{
    struct conversation *conversation = mfi->state;

    switch (verdict->kind) {
    case VERDICT_CONTINUE:
    case VERDICT_DISCARD:
    case VERDICT_QUARANTINE:
    case VERDICT_DROP:
        return MFI_CONTINUE;
    case VERDICT_WAIT: /* run_mail() and run_rcpt() give none */
        break;
    case VERDICT_REJECT:
    case VERDICT_TEMPFAIL:
        if (!mfi->ops->set_reply(mfi, &verdict->reply)) {
            return conversation_fail(callbacks, conversation, stage, "the reply cannot be sent");
        }
        /* The engine drops a reply whose class is not that of the answer. */
        return verdict->reply.code >= 500 ? MFI_REJECT : MFI_TEMPFAIL;
    }
    return conversation_fail(callbacks, conversation, stage, "unknown verdict");
}
