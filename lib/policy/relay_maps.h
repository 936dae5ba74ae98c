/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_maps - the relay decision by one key, as a mail server asks a table: a client's address or name, a recipient.
 *
 * A key is less than a session, so what needs more is not asked: patterns, senders, logins by SMTP. STATUS_OK: may relay;
 * STATUS_NOTFOUND: not by this key, which is also the answer to a key that is not understood; STATUS_TEMPFAIL: a map cannot be
 * read. The session needs no facts of a client but the own name; one session may be asked again and again.
 */
#ifndef POSTERN_LIB_POLICY_RELAY_MAPS_H
#define POSTERN_LIB_POLICY_RELAY_MAPS_H

#include "lib/base/status.h"
#include "lib/policy/session.h"

/*
 * Did this address log in? An address as people write it, or with `IPv6:` in any case; nothing else is a key. `relayers` may be
 * NULL. Nobody did, here and below, where relay_limits_are_set(): a table cannot keep limits, and must not seem to.
 */
enum status relay_maps_relayers(const struct config *config, const struct relay_lookup *relayers,
                                const char *key);

/*
 * May this client relay? An address: logged in, of class R, or Connect: RELAY. A name, which the mail server has verified: of
 * class R (with relay_entire_domain also m) or Connect: RELAY. The words that stand for no name (`unknown`, `[192.0.2.1]`) are nobody.
 */
enum status relay_maps_client(struct session *session, const char *key);

/*
 * Do we relay to this recipient for everybody? `user@domain` or a domain: of class R (with relay_entire_domain also m), or To:
 * RELAY. With relaytofulladdress the map says nothing of a domain without its user. Nothing is said of `user@`, of addresses
 * that mail programs may take for others (quotes, '%', '!', routes), and of what is only local.
 */
enum status relay_maps_recipient(struct session *session, const char *key);

#endif
