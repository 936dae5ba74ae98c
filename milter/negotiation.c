/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/negotiation.h"
#include "milter/conversation.h"

/* {v} comes with all of them that end in it: it says how the MTA counts headers. */
static const char *const connect_macros[] = {
    "j {daemon_name}",
    "j {daemon_name} {client_resolve}",
    "j {daemon_name} {client_ptr}",
    "j {daemon_name} {client_resolve} {client_ptr}",
    "j {daemon_name} {if_addr} {daemon_addr}",
    "j {daemon_name} {if_addr} {daemon_addr} {client_resolve}",
    "j {daemon_name} {if_addr} {daemon_addr} {client_ptr}",
    "j {daemon_name} {if_addr} {daemon_addr} {client_resolve} {client_ptr}",
    "j {daemon_name} v",
    "j {daemon_name} {client_resolve} v",
    "j {daemon_name} {client_ptr} v",
    "j {daemon_name} {client_resolve} {client_ptr} v",
    "j {daemon_name} {if_addr} {daemon_addr} v",
    "j {daemon_name} {if_addr} {daemon_addr} {client_resolve} v",
    "j {daemon_name} {if_addr} {daemon_addr} {client_ptr} v",
    "j {daemon_name} {if_addr} {daemon_addr} {client_resolve} {client_ptr} v",
};

static const char *const mail_macros[] = {
    "i",
    "i {auth_type} {auth_authen}",
    "i {verify} {cert_subject} {cert_issuer}",
    "i {auth_type} {auth_authen} {verify} {cert_subject} {cert_issuer}",
};

static void tell_once(struct callbacks *callbacks, enum callbacks_told what, bool lacking)
{
    static const char *const texts[CALLBACKS_TOLD] = {
        [CALLBACKS_TOLD_QUARANTINE] =
            "the MTA does not let filters quarantine: mail to be held gets a 4xx reply",
        [CALLBACKS_TOLD_DROP] =
            "the MTA does not let filters take recipients out: mail for those that rules drop or "
            "redirect gets a 4xx reply",
        [CALLBACKS_TOLD_ADD_RECIPIENTS] =
            "the MTA does not let filters add recipients: mail to be copied or redirected gets a "
            "4xx reply",
        [CALLBACKS_TOLD_EDIT_HEADERS] =
            "the MTA does not let filters change headers: mail whose headers rules change gets a "
            "4xx reply",
        [CALLBACKS_TOLD_MACROS] =
            "the MTA does not let filters choose macros: it must send those that postern(8) lists",
    };

    if (lacking && !atomic_exchange(&callbacks->told[what], true)) {
        log_printf(callbacks->logger, LOG_LEVEL_WARNING, "event=negotiate warning=\"%s\"",
                   texts[what]);
    }
}

/*
 * The steps that get no reply: connect and HELO, whose refusal waits for MAIL; fields; the body. Postfix sends such a step together
 * with the next one that gets a reply, so where DNS is asked about a step it is answered. Sendmail sends each at once.
 */
static unsigned silent_steps(const struct ruleset_needs *needs, const struct mfi_offer *offer,
                             bool sends_at_once)
{
    const unsigned greeting = MFI_STEP_CONNECT | MFI_STEP_HELO;
    unsigned silent = (offer->silent & greeting) == greeting ? greeting : 0;

    if (!sends_at_once) {
        silent &= ~((needs->ask_client ? (unsigned)MFI_STEP_CONNECT : 0u) |
                    (needs->ask_helo ? (unsigned)MFI_STEP_HELO : 0u));
    }
    silent |= needs->headers ? offer->silent & MFI_STEP_HEADER : 0;
    silent |= needs->body ? offer->silent & MFI_STEP_BODY : 0;
    return silent;
}

/* The end of the header is a step only where a refusal then spares the MTA the body. */
static unsigned wanted_steps(const struct ruleset_needs *needs)
{
    return MFI_STEP_CONNECT | MFI_STEP_HELO | MFI_STEP_MAIL | MFI_STEP_RCPT | MFI_STEP_EOM |
           (needs->headers ? MFI_STEP_HEADER : 0) |
           (needs->body ? MFI_STEP_EOH | MFI_STEP_BODY : 0);
}

static void agree(struct conversation *conversation, const struct mfi_offer *offer,
                  bool sends_at_once)
{
    const struct ruleset_needs *needs = &conversation->needs;

    conversation->silent = silent_steps(needs, offer, sends_at_once);
    conversation->no_drop = !needs->drop_recipients || !offer->drop;
    conversation->no_quarantine = !needs->quarantine || !offer->quarantine;
    conversation->no_add_recipients = !needs->add_recipients || !offer->add_recipients;
    conversation->no_edit_headers = !needs->edit_headers || !offer->edit_headers;
    conversation->mta.leading_blank = needs->headers && offer->leading_blank;
}

void negotiation_run(struct callbacks *callbacks, struct conversation *conversation,
                     const struct mfi_offer *offer, struct mfi_request *request_out)
{
    const struct ruleset_needs *needs = &conversation->needs;

    agree(conversation, offer,
          atomic_load_explicit(&callbacks->sends_at_once, memory_order_relaxed));
    tell_once(callbacks, CALLBACKS_TOLD_QUARANTINE, needs->quarantine && !offer->quarantine);
    tell_once(callbacks, CALLBACKS_TOLD_DROP, needs->drop_recipients && !offer->drop);
    tell_once(callbacks, CALLBACKS_TOLD_ADD_RECIPIENTS,
              needs->add_recipients && !offer->add_recipients);
    tell_once(callbacks, CALLBACKS_TOLD_EDIT_HEADERS, needs->edit_headers && !offer->edit_headers);
    tell_once(callbacks, CALLBACKS_TOLD_MACROS, !offer->choose_macros);
    *request_out = (struct mfi_request){
        .steps = wanted_steps(needs),
        .silent = conversation->silent,
        .quarantine = !conversation->no_quarantine,
        .drop = !conversation->no_drop,
        .add_recipients = !conversation->no_add_recipients,
        .edit_headers = !conversation->no_edit_headers,
        .leading_blank = conversation->mta.leading_blank,
        .macros =
            {
                [MFI_MACROS_CONNECT] =
                    connect_macros[(needs->client_resolve ? 1 : 0) + (needs->client_ptr ? 2 : 0) +
                                   (needs->daemon_addr ? 4 : 0) + (needs->edit_headers ? 8 : 0)],
                [MFI_MACROS_HELO] = "",
                [MFI_MACROS_MAIL] =
                    mail_macros[(needs->login ? 1 : 0) + (needs->certificate ? 2 : 0)],
                [MFI_MACROS_RCPT] = needs->mailer ? "{rcpt_mailer}" : "",
                [MFI_MACROS_DATA] = "",
                [MFI_MACROS_EOH] = "",
                [MFI_MACROS_EOM] = "i",
            },
    };
}

/* A wrong guess, where two MTAs share a socket, costs a needless reply or makes questions go out later; nothing is decided by it. */
void negotiation_learn(struct callbacks *callbacks, const char *if_addr)
{
    bool sends_at_once = if_addr != NULL;

    if (atomic_load_explicit(&callbacks->sends_at_once, memory_order_relaxed) != sends_at_once) {
        atomic_store_explicit(&callbacks->sends_at_once, sends_at_once, memory_order_relaxed);
    }
}
