/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_message - questions and answers as they travel (RFC 1035 4).
 *
 * The reader is this project's own, because that of c-ares 1.18 tells no TTL for some types, not the authority section that a negative
 * TTL comes from (RFC 2308), and not whether CNAMEs led to what was found. It takes any bytes, and keeps no more than dns_result.h
 * allows. No I/O, safe for threads.
 */
#ifndef POSTERN_LIB_DNS_DNS_MESSAGE_H
#define POSTERN_LIB_DNS_DNS_MESSAGE_H

#include "lib/dns/dns_result.h"

#include <stddef.h>
#include <stdint.h>

/* Header, name, type and class, and an EDNS record. */
#define DNS_MESSAGE_QUESTION_SIZE (12 + 255 + 4 + 11)

/* The largest answer over UDP that is asked for: no path breaks it into fragments (DNS flag day 2020). */
#define DNS_MESSAGE_UDP_SIZE 1232

/* And without EDNS (RFC 1035 2.3.4). */
#define DNS_MESSAGE_PLAIN_SIZE 512

/* CNAMEs that are followed. */
#define DNS_MESSAGE_CNAMES_MAX 16

/* What NS records are called; only dns_message_question() knows this type. */
#define DNS_MESSAGE_TYPE_NS 2

/*
 * Writes a recursive question; the name is normalized, "" is the root. With `udp_size` > 0 it has an EDNS record that says so; that is
 * the last of it. Returns its length.
 */
size_t dns_message_question(uint8_t out[DNS_MESSAGE_QUESTION_SIZE], const char *name, unsigned type,
                            uint16_t id, uint16_t udp_size);

/* Does the answer say that the server did not understand the question (it may not know EDNS)? */
bool dns_message_is_format_error(const uint8_t *message, size_t len);

/* Does it lack what had no room in a datagram? */
bool dns_message_is_truncated(const uint8_t *message, size_t len);

/* What an answer to that question says; what cannot be read is DNS_TEMPFAIL. Never NULL; free() it. */
struct dns_result *dns_message_read(const uint8_t *message, size_t len, const char *name,
                                    enum dns_type type) __attribute__((returns_nonnull));

#endif
