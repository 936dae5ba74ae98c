/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_transport.h"
#include "lib/base/xalloc.h"
#include "lib/dns/dns_answer.h"
#include "lib/dns/dns_message.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A channel keeps its UDP socket, and so its source port, because a new socket costs more than a question; who wants to forge answers must not
 * have the same port for long.
 */
#define LINE_MESSAGES_MAX 500
#define LINE_AGE_MAX 1000000000 /* nanoseconds */
#define MS INT64_C(1000000)

/* A server that ends a TCP connection would end all questions on it. */
#define LINE_MESSAGES_TCP 1

/* Those of all servers, one for each way, and some that wait for their last answers. */
#define LINES_MAX (6 * DNS_TRANSPORT_SERVERS_MAX)

#define EVENTS_MAX 64
#define WAKE UINT64_MAX
#define NO_LINE LINES_MAX

/*
 * c-ares since 1.32 ends a try over UDP before its time: after five times what the server took lately, after 250 milliseconds perhaps. So
 * many tries, each twice as long as the one before it, take 128 seconds, longer than any message lives; the same message goes out by the
 * same socket, so that the answer to an earlier one still counts. The line is closed when the time of its last message is over.
 */
#define CARES_SHORTENS 0x012000 /* 1.32.0 */
#define SHORT_TRIES 10

/* Answers come in bursts, and what finds no room in the socket is lost. */
#define RECEIVE_BUFFER (1 << 20)

/* One channel of c-ares, for one server. */
struct dns_transport_line {
    struct dns_transport *transport;
    ares_channel channel; /* NULL: free */
    int64_t opened_at;
    int64_t sent_at; /* the last message */
    size_t index;
    unsigned under_way;
    unsigned sent;
    bool retired; /* ends when nothing is under way */
};

struct dns_transport {
    dns_transport_done *done;
    void *ctx;
    int epoll;
    unsigned lifetime_ms;
    struct dns_server servers[DNS_TRANSPORT_SERVERS_MAX];
    size_t server_lines[DNS_TRANSPORT_SERVERS_MAX][DNS_TRANSPORT_WAYS]; /* NO_LINE: none yet */
    size_t server_count;
    struct dns_transport_line lines[LINES_MAX];
};

/* ---- what c-ares calls ---- */

/* It has opened, watches or closes a socket. */
static void on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns_transport_line *line = data;
    int epoll = line->transport->epoll;
    struct epoll_event event = {
        .events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
        .data.u64 = (uint64_t)line->index << 32 | (uint32_t)fd,
    };

    if (event.events == 0) {
        (void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    } else if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) != 0) {
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static enum dns_failure failure_of(int status)
{
    return status == ARES_ETIMEOUT                                    ? DNS_FAILURE_TIMEOUT
           : status == ARES_EDESTRUCTION || status == ARES_ECANCELLED ? DNS_FAILURE_STOPPED
                                                                      : DNS_FAILURE_UNREACHABLE;
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *message, int len)
{
    struct dns_transport_ticket *ticket = arg;
    struct dns_transport *transport = ticket->line->transport;

    (void)timeouts;
    ticket->line->under_way--;
    if (status == ARES_SUCCESS && message != NULL && len > 0) {
        transport->done(transport->ctx, ticket, message, (size_t)len, DNS_FAILURE_NONE);
    } else {
        transport->done(transport->ctx, ticket, NULL, 0, failure_of(status));
    }
}

/* ---- lines ---- */

static bool set_server(ares_channel channel, const struct dns_server *server)
{
    struct ares_addr_port_node node = {.udp_port = server->port, .tcp_port = server->port};

    if (server->addr.family == NETADDR_IPV4) {
        node.family = AF_INET;
        (void)memcpy(&node.addr.addr4, server->addr.bytes, 4);
    } else {
        node.family = AF_INET6;
        (void)memcpy(&node.addr.addr6, server->addr.bytes, 16);
    }
    return ares_set_servers_ports(channel, &node) == ARES_SUCCESS;
}

/*
 * What the way asks for. A short answer over UDP is an answer like others. Where the EDNS flag is set, c-ares cuts eleven bytes off a message that the
 * server did not understand, and sends it again.
 */
static int flags_of(enum dns_transport_way way)
{
    static const int flags[DNS_TRANSPORT_WAYS] = {
        [DNS_TRANSPORT_UDP] = ARES_FLAG_IGNTC | ARES_FLAG_STAYOPEN,
        [DNS_TRANSPORT_UDP_EDNS] = ARES_FLAG_IGNTC | ARES_FLAG_STAYOPEN | ARES_FLAG_EDNS,
        [DNS_TRANSPORT_TCP] = ARES_FLAG_USEVC,
    };

    return flags[way] | ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
}

/* Of the library at hand, which may be another one than that of the headers. */
static bool shortens(enum dns_transport_way way)
{
    int version;

    (void)ares_version(&version);
    return version >= CARES_SHORTENS && way != DNS_TRANSPORT_TCP;
}

/* No search domains, no file of hosts, no memory, one server; errors of the server are answers like others. */
static bool open_channel(struct dns_transport_line *line, const struct dns_server *server,
                         enum dns_transport_way way, unsigned lifetime_ms)
{
    char dns_only[] = "b";
    bool several = shortens(way);
    /* Of these none is to go out just before the line is closed. */
    int timeout_ms = (int)lifetime_ms + (several ? (int)(LINE_AGE_MAX / MS) : 0);
    struct ares_options options = {
        .flags = flags_of(way),
        .timeout = timeout_ms,
        .tries = several ? SHORT_TRIES : 1,
        .ndots = 1,
        .socket_receive_buffer_size = RECEIVE_BUFFER,
        .ednspsz = DNS_MESSAGE_UDP_SIZE,
        .lookups = dns_only,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = line,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
               ARES_OPT_SOCK_RCVBUF | ARES_OPT_EDNSPSZ | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;

#ifdef ARES_OPT_QUERY_CACHE /* since 1.31: it would answer for a server that is silent */
    mask |= ARES_OPT_QUERY_CACHE;
#endif
#ifdef ARES_OPT_MAXTIMEOUTMS /* since 1.20; without it no try takes longer than five seconds */
    options.maxtimeout = timeout_ms;
    mask |= ARES_OPT_MAXTIMEOUTMS;
#endif
    if (ares_init_options(&line->channel, &options, mask) != ARES_SUCCESS) {
        line->channel = NULL;
        return false;
    }
    if (!set_server(line->channel, server)) {
        ares_destroy(line->channel);
        line->channel = NULL;
        return false;
    }
    return true;
}

/* A free place, or NO_LINE. */
static size_t find_free(const struct dns_transport *transport)
{
    size_t i = 0;

    while (i < LINES_MAX && transport->lines[i].channel != NULL) {
        i++;
    }
    return i;
}

/* The line to a server, a new one if it has none or its old one has served for long; NULL: it cannot be opened. */
static struct dns_transport_line *line_to(struct dns_transport *transport, size_t server,
                                          enum dns_transport_way way)
{
    unsigned most = way == DNS_TRANSPORT_TCP ? LINE_MESSAGES_TCP : LINE_MESSAGES_MAX;
    size_t present = transport->server_lines[server][way];
    int64_t now = dns_now();

    if (present != NO_LINE && transport->lines[present].sent < most &&
        now - transport->lines[present].opened_at < LINE_AGE_MAX) {
        return &transport->lines[present];
    }
    size_t place = find_free(transport);

    if (place != NO_LINE) {
        struct dns_transport_line *line = &transport->lines[place];

        *line = (struct dns_transport_line){
            .transport = transport, .opened_at = now, .index = place};
        if (open_channel(line, &transport->servers[server], way, transport->lifetime_ms)) {
            if (present != NO_LINE) {
                transport->lines[present].retired = true;
            }
            transport->server_lines[server][way] = place;
            return line;
        }
    }
    return present != NO_LINE ? &transport->lines[present] : NULL;
}

static void close_line(struct dns_transport_line *line)
{
    ares_channel channel = line->channel;

    if (channel != NULL) {
        ares_destroy(channel);
        line->channel = NULL;
    }
}

/* ---- interface ---- */

struct dns_transport *dns_transport_new(int wake_fd, dns_transport_done *done, void *ctx,
                                        struct strbuf *why)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = WAKE};
    int result = ares_library_init(ARES_LIB_INIT_ALL);

    if (result != ARES_SUCCESS) {
        strbuf_appendf(why, "c-ares: %s", ares_strerror(result));
        return NULL;
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, wake_fd, &wake) != 0) {
        strbuf_appendf(why, "epoll: %s", strerror(errno));
        if (epoll >= 0) {
            (void)close(epoll);
        }
        ares_library_cleanup();
        return NULL;
    }
    struct dns_transport *transport = xcalloc(1, sizeof(*transport));

    transport->epoll = epoll;
    transport->done = done;
    transport->ctx = ctx;
    return transport;
}

void dns_transport_free(struct dns_transport **transport_ptr)
{
    struct dns_transport *transport = *transport_ptr;

    *transport_ptr = NULL;
    if (transport == NULL) {
        return;
    }
    for (size_t i = 0; i < LINES_MAX; i++) {
        close_line(&transport->lines[i]);
    }
    (void)close(transport->epoll);
    free(transport);
    ares_library_cleanup();
}

void dns_transport_configure(struct dns_transport *transport, const struct dns_server *servers,
                             size_t count, unsigned lifetime_ms)
{
    for (size_t i = 0; i < LINES_MAX; i++) {
        transport->lines[i].retired = true;
    }
    transport->lifetime_ms = lifetime_ms;
    transport->server_count = count;
    for (size_t i = 0; i < count; i++) {
        transport->servers[i] = servers[i];
        for (size_t way = 0; way < DNS_TRANSPORT_WAYS; way++) {
            transport->server_lines[i][way] = NO_LINE;
        }
    }
}

void dns_transport_send(struct dns_transport *transport, size_t server, enum dns_transport_way way,
                        const uint8_t *message, size_t len, struct dns_transport_ticket *ticket)
{
    struct dns_transport_line *line = line_to(transport, server, way);

    if (line == NULL) {
        transport->done(transport->ctx, ticket, NULL, 0, DNS_FAILURE_UNREACHABLE);
        return;
    }
    ticket->line = line;
    line->under_way++;
    line->sent++;
    line->sent_at = dns_now();
    ares_send(line->channel, message, (int)len, on_answer, ticket);
}

/* What happened on a socket of a line; the line may be another one by now, which does not know the socket then. */
static void process(struct dns_transport *transport, const struct epoll_event *event)
{
    struct dns_transport_line *line = &transport->lines[event->data.u64 >> 32];
    ares_socket_t fd = (ares_socket_t)(event->data.u64 & UINT32_MAX);

    if (line->channel != NULL) {
        ares_process_fd(line->channel,
                        (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 ? fd
                                                                               : ARES_SOCKET_BAD,
                        (event->events & EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
    }
}

/* Takes no more messages. */
static void retire(struct dns_transport *transport, size_t place)
{
    transport->lines[place].retired = true;
    for (size_t i = 0; i < transport->server_count; i++) {
        for (size_t way = 0; way < DNS_TRANSPORT_WAYS; way++) {
            if (transport->server_lines[i][way] == place) {
                transport->server_lines[i][way] = NO_LINE;
            }
        }
    }
}

/* Lets time pass for what is under way, and ends lines that nobody needs. */
static void tend_lines(struct dns_transport *transport)
{
    int64_t longest = (int64_t)transport->lifetime_ms * MS;
    int64_t now = dns_now();

    for (size_t i = 0; i < LINES_MAX; i++) {
        struct dns_transport_line *line = &transport->lines[i];

        if (line->channel != NULL && line->under_way > 0 && now - line->sent_at > longest) {
            retire(transport, i);
            close_line(line);
        } else if (line->channel != NULL && line->under_way > 0) {
            ares_process_fd(line->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        }
        if (line->retired && line->under_way == 0) {
            close_line(line);
        }
    }
}

bool dns_transport_wait(struct dns_transport *transport, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(transport->epoll, events, EVENTS_MAX, timeout_ms);
    bool woken = false;

    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == WAKE) {
            woken = true;
        } else {
            process(transport, &events[i]);
        }
    }
    tend_lines(transport);
    return woken;
}

/* ---- the system's servers ---- */

static size_t take_servers(const struct ares_addr_port_node *node,
                           struct dns_server servers[DNS_TRANSPORT_SERVERS_MAX])
{
    size_t count = 0;

    for (; node != NULL && count < DNS_TRANSPORT_SERVERS_MAX; node = node->next) {
        struct dns_server *server = &servers[count++];
        bool is_ipv4 = node->family == AF_INET;

        *server = (struct dns_server){
            .addr.family = is_ipv4 ? NETADDR_IPV4 : NETADDR_IPV6,
            .addr.bits = is_ipv4 ? 32 : 128,
            .port = node->udp_port != 0 ? (uint16_t)node->udp_port : DNS_SERVER_PORT,
        };
        (void)memcpy(server->addr.bytes, &node->addr, is_ipv4 ? 4 : 16);
    }
    return count;
}

enum status dns_transport_system_servers(struct dns_server servers[DNS_TRANSPORT_SERVERS_MAX],
                                         size_t *count_out, struct strbuf *why)
{
    struct ares_options options = {.flags = 0};
    struct ares_addr_port_node *nodes = NULL;
    ares_channel channel;
    int result = ares_init_options(&channel, &options, ARES_OPT_FLAGS);

    if (result == ARES_SUCCESS) {
        result = ares_get_servers_ports(channel, &nodes);
        *count_out = take_servers(nodes, servers);
        ares_free_data(nodes);
        ares_destroy(channel);
    }
    if (result != ARES_SUCCESS || *count_out == 0) {
        strbuf_appendf(why, "no DNS servers in /etc/resolv.conf (%s)", ares_strerror(result));
        return STATUS_TEMPFAIL;
    }
    return STATUS_OK;
}
