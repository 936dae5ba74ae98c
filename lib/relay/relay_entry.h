/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_entry - an address that logged in to POP or IMAP, and when: what POP-before-SMTP knows.
 *
 * Values; no I/O, safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_ENTRY_H
#define POSTERN_LIB_RELAY_RELAY_ENTRY_H

#include "lib/base/strbuf.h"
#include "lib/mail/netaddr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest user and service, in bytes; longer ones are refused. */
#define RELAY_USER_MAX 255u
#define RELAY_SERVICE_MAX 31u

/* The latest date that is taken: the end of the year 9999. */
#define RELAY_LOGIN_MAX INT64_C(253402300799)

/* The shortest IPv6 prefix that may be granted: what is shorter is more than one site. IPv4 entries are single addresses. */
#define RELAY_MIN_PREFIX 48u

/* Room for the text of an address with its prefix, and the NUL byte. */
#define RELAY_KEY_SIZE NETADDR_TEXT_SIZE

struct relay_entry {
    struct netaddr addr; /* an IPv4 address, an IPv6 address, or an IPv6 network */
    int64_t login_at;    /* of the last login, Unix time in seconds; may lie in the future */
    const char *user;    /* "": not known */
    const char *service; /* "": not known; "pop3", "imap", ... */
};

/*
 * Reads an address as people and programs write it: `192.0.2.1`, `2001:db8::1`, `2001:db8::/64`, `IPv6:...` in any case, and
 * IPv4-mapped IPv6, which is the IPv4 address. False, and *why_out says it, if it is none, has bits set behind its prefix, or is more
 * than may be granted.
 */
bool relay_entry_parse_address(const char *text, struct netaddr *addr_out, const char **why_out);

/*
 * What the login of a client is recorded for: the address, or its network of so many bits if it is IPv6. Where the last bits tell IPv4 hosts
 * apart (NAT64, Teredo) it is the address in any case: a network would be many people's.
 */
struct netaddr relay_entry_client(const struct netaddr *addr, unsigned ipv6_prefix_bits);

/* The one text of an address: `192.0.2.1`, `2001:db8::1`, `2001:db8::/64`. Returns `buf`. */
const char *relay_entry_key(const struct netaddr *addr, char buf[RELAY_KEY_SIZE]);

/*
 * Does the entry permit at `now`? `window_minutes` 0: for ever. An entry that is dated in the future permits until its window after
 * that date ends: that is how an administrator gives an address more time.
 */
bool relay_entry_permits(const struct relay_entry *entry, int64_t now, unsigned window_minutes);

/* Is the entry older than `minutes`, and not dated in the future? */
bool relay_entry_is_older(const struct relay_entry *entry, int64_t now, unsigned minutes);

/*
 * `1695420927 user=ann service=imap`: the timestamp, then what else is known; in user and service, bytes that are no printable ASCII, blanks and
 * '%' are %XX. It is the value in a GDBM file, and what follows the address in a line of text.
 */
void relay_entry_format_value(const struct relay_entry *entry, struct strbuf *out);

/*
 * Reads such a value (not NUL-terminated). Unknown words of the form name=value are skipped. The texts of user and service are
 * decoded into `texts` (emptied first) and live as long as it is not changed; `addr` is not touched. False: *why_out says what is wrong.
 */
bool relay_entry_parse_value(const char *value, size_t len, struct strbuf *texts,
                             struct relay_entry *entry_out, const char **why_out);

/*
 * May the entry be kept: is it one address or network that may be granted, and do date and texts fit? False: *why_out says what is
 * wrong.
 */
bool relay_entry_is_sound(const struct relay_entry *entry, const char **why_out);

#endif
