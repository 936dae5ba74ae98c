/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_transport - messages to servers and back, over UDP or TCP.
 *
 * The one wrapper of c-ares, which is used for what it does well: sockets, random source ports, TCP, and finding the question that an
 * answer belongs to. Which server is asked, how, when and how often, is not decided here. All but dns_transport_system_servers() is for
 * the one thread that owns the transport (c-ares before 1.23 is not safe for threads).
 */
#ifndef POSTERN_LIB_DNS_DNS_TRANSPORT_H
#define POSTERN_LIB_DNS_DNS_TRANSPORT_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/dns/dns_result.h"
#include "lib/dns/dns_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_TRANSPORT_SERVERS_MAX 8

enum dns_transport_way {
    DNS_TRANSPORT_UDP,
    DNS_TRANSPORT_UDP_EDNS, /* the message ends in an EDNS record without options */
    DNS_TRANSPORT_TCP,
};

#define DNS_TRANSPORT_WAYS (DNS_TRANSPORT_TCP + 1)

struct dns_transport;

/* A message under way, in memory of who sent it. The transport's own. */
struct dns_transport_ticket {
    struct dns_transport_line *line;
};

/*
 * A message that was sent has its answer, whose bytes live until this returns; or none (`message` NULL), and `failure` says why. `ticket` is what
 * dns_transport_send() was given, which needs it no more. No function of the transport may be called from here.
 */
typedef void dns_transport_done(void *ctx, struct dns_transport_ticket *ticket,
                                const uint8_t *message, size_t len, enum dns_failure failure);

/*
 * A transport without servers; dns_transport_wait() also ends when `wake_fd` can be read. NULL: there is none to be had, `why` says
 * why. Transports must be made and freed by one thread at a time.
 */
struct dns_transport *dns_transport_new(int wake_fd, dns_transport_done *done, void *ctx,
                                        struct strbuf *why);

/* All that is under way fails with DNS_FAILURE_STOPPED first. Sets the caller's pointer to NULL; NULL is legal. */
void dns_transport_free(struct dns_transport **transport);

/* From now on these are servers 0 to count - 1, and a message waits at most `lifetime_ms` for its answer. What is under way stays so. */
void dns_transport_configure(struct dns_transport *transport, const struct dns_server *servers,
                             size_t count, unsigned lifetime_ms);

/* Sends a message. `done` is called once for it, perhaps before this returns; so long the ticket has to live. */
void dns_transport_send(struct dns_transport *transport, size_t server, enum dns_transport_way way,
                        const uint8_t *message, size_t len, struct dns_transport_ticket *ticket);

/* Waits for answers, `timeout_ms` at most (-1: no limit). True: `wake_fd` can be read. */
bool dns_transport_wait(struct dns_transport *transport, int timeout_ms);

/* The servers of /etc/resolv.conf; STATUS_TEMPFAIL: it cannot be read. Any thread may ask. */
enum status dns_transport_system_servers(struct dns_server servers[DNS_TRANSPORT_SERVERS_MAX],
                                         size_t *count_out, struct strbuf *why);

#endif
