/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dnsbl_exempt - clients that DNS lists are not asked about: who logged in, who may relay.
 *
 * To find that out takes lookups, so it is asked only where it matters: before a question goes out, and when a list has something to say.
 */
#ifndef POSTERN_LIB_POLICY_DNSBL_EXEMPT_H
#define POSTERN_LIB_POLICY_DNSBL_EXEMPT_H

#include "lib/policy/dns_lists.h"
#include "lib/policy/session.h"

#include <stdbool.h>

enum dnsbl_exempt_answer {
    DNSBL_EXEMPT_NO,
    DNSBL_EXEMPT_YES,
    DNSBL_EXEMPT_UNKNOWN, /* a map that says so cannot be read */
};

/* What is known of one session's client, for one look at the lists. All zero: nothing yet. */
struct dnsbl_exempt {
    bool known;
    bool login_known;   /* whether it logged in to POP or IMAP was asked for this look */
    unsigned reasons;   /* enum config_dns_exempt: that hold */
    bool relay_unknown; /* a map cannot be read */
};

/* Does this list spare the client, as far as the session knows? For who would ask the list. */
enum dnsbl_exempt_answer dnsbl_exempt_ask(struct dnsbl_exempt *exempt, struct session *session,
                                          const struct dns_list *list);

/* Does it now? For who would go by what the list says: a login to POP or IMAP may have come in the meantime. */
enum dnsbl_exempt_answer dnsbl_exempt_ask_again(struct dnsbl_exempt *exempt,
                                                struct session *session,
                                                const struct dns_list *list);

#endif
