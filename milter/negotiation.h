/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * negotiation - asks the MTA for the steps, rights and macros that the ruleset needs, and for no others.
 */
#ifndef POSTERN_MILTER_NEGOTIATION_H
#define POSTERN_MILTER_NEGOTIATION_H

#include "milter/mfi.h"

struct callbacks;
struct conversation;

/*
 * Fills the request and keeps in the conversation what was agreed. What an MTA lacks is said once in the log; a message for which it
 * is needed is a temporary failure.
 */
void negotiation_run(struct callbacks *callbacks, struct conversation *conversation,
                     const struct mfi_offer *offer, struct mfi_request *request_out);

/* Sees by {if_addr} (NULL: not told), which Sendmail alone has, with whom the next sessions will be. */
void negotiation_learn(struct callbacks *callbacks, const char *if_addr);

#endif
