/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_limits - what a login to POP or IMAP permits, and how much of it: the keys grant_senders, recipients_per_message and
 * recipients_per_hour of the section relay_store.
 *
 * They hold for a recipient that is relayed for no other reason than the login. What is for us anyway, and who may relay
 * anyway, is never limited or counted.
 */
#ifndef POSTERN_LIB_POLICY_RELAY_LIMITS_H
#define POSTERN_LIB_POLICY_RELAY_LIMITS_H

#include "lib/policy/config.h"
#include "lib/policy/rules.h"

#include <stdbool.h>

struct relay_found;

/* Is there any of these limits? Then a login alone says yes to nothing: sender and numbers have to be known. */
bool relay_limits_are_set(const struct config *config);

/*
 * `refusal` is what becomes of the recipient without the login; anything else is given back as it is. If the client logged in, and the
 * sender is one that this permits: nothing, and the recipient is the login's until the end of the stage.
 */
struct rules_result relay_limits_check(struct session *session, struct rules_result refusal);

/* The recipient is permitted by this login (NULL: by something else), until the end of the stage. */
void relay_limits_grant(struct session *session, const struct relay_found *login);

/*
 * The last word on a recipient, as it was typed: if it is to be accepted, and is so because of a login, it is counted, once for each
 * message. A refusal if there were as many as may be, or if that cannot be known; else `verdict` as it is.
 */
struct verdict relay_limits_charge(struct session *session, const char *recipient,
                                   struct verdict verdict);

/* Is this a refusal that the client's next message, or the next hour, may not get? */
bool relay_limits_is_temporary(const struct verdict *verdict);

/* The name of the limit that has refused; NULL: it was none of these. A constant text. */
const char *relay_limits_reason(const struct verdict *verdict);

#endif
