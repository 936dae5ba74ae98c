/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/server_client.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_GRACE_MS 100 /* so long nobody is dropped to make room */

/* What a client's deadline is for. */
enum wait {
    WAIT_FOR_US,      /* none: an answer was promised */
    WAIT_FOR_NEXT,    /* idle */
    WAIT_FOR_REQUEST, /* for the rest of it */
    WAIT_FOR_READER,  /* the client does not take its answers */
    WAIT_FOR_END,     /* everything is said */
};

struct server_client {
    struct server_clients *clients;
    struct server_client *older;
    struct server_client *newer;
    struct eventloop_source source;
    struct eventloop_timer deadline;
    struct eventloop_task again; /* settle() in the next round */
    struct server_answers answers;
    struct server_peer peer;
    int64_t active_at; /* when it came, or sent its last request */
    char *kept;        /* input that was not taken yet */
    size_t kept_len;
    int descriptor;
    enum wait wait;
    bool posted;    /* `again` is under way */
    bool dropped;   /* ... and then all that is left is to free it */
    bool untried;   /* there may be a whole request in what is kept */
    bool at_end;    /* the client sends no more */
    bool deaf;      /* the client reads no more */
    bool ending;    /* no more requests are taken */
    bool lingering; /* our side is shut; what it still sends is thrown away */
};

static void settle(struct server_client *client, bool progress);

/* ---- for protocols ---- */

void server_reply(struct server_client *client, const char *data, size_t len)
{
    server_answers_add(&client->answers, data, len);
}

struct server_answer *server_promise(struct server_client *client)
{
    return server_answers_promise(&client->answers);
}

struct server_peer server_peer(const struct server_client *client)
{
    return client->peer;
}

int server_take_descriptor(struct server_client *client)
{
    int descriptor = client->descriptor;

    client->descriptor = -1;
    return descriptor;
}

/* ---- the list of clients ---- */

static void unlink_client(struct server_client *client)
{
    struct server_clients *clients = client->clients;

    *(client->older != NULL ? &client->older->newer : &clients->oldest) = client->newer;
    *(client->newer != NULL ? &client->newer->older : &clients->newest) = client->older;
}

static void link_newest(struct server_client *client)
{
    struct server_clients *clients = client->clients;

    client->older = clients->newest;
    client->newer = NULL;
    *(clients->newest != NULL ? &clients->newest->newer : &clients->oldest) = client;
    clients->newest = client;
    client->active_at = eventloop_now(clients->loop);
}

struct server_client *server_client_next(const struct server_client *client)
{
    return client->newer;
}

bool server_client_may_go(const struct server_client *client)
{
    return client->wait != WAIT_FOR_US &&
           eventloop_now(client->clients->loop) - client->active_at >= SERVER_GRACE_MS;
}

void server_client_drop(struct server_client *client)
{
    struct eventloop *loop = client->clients->loop;

    (void)eventloop_watch(loop, &client->source, 0);
    eventloop_clear_timer(loop, &client->deadline);
    (void)close(client->source.fd);
    if (client->descriptor >= 0) {
        (void)close(client->descriptor);
    }
    server_answers_fini(&client->answers);
    free(client->kept);
    unlink_client(client);
    atomic_fetch_sub_explicit(&client->clients->count, 1, memory_order_relaxed);
    client->dropped = true;
    if (!client->posted) {
        free(client);
    }
}

/* ---- requests ---- */

static bool takes_requests(const struct server_client *client)
{
    return !client->ending && client->answers.count < client->clients->protocol->max_unanswered;
}

/* Keeps what was not taken; `data` may lie in what was kept before. */
static void keep_input(struct server_client *client, const char *data, size_t len)
{
    char *kept = len == 0 ? NULL : memcpy(xmalloc(len), data, len);

    free(client->kept);
    client->kept = kept;
    client->kept_len = len;
}

/* The length of the request at `data`, 0 if there is none to be taken. */
static size_t take_request(struct server_client *client, const char *data, size_t len)
{
    const struct server_protocol *protocol = client->clients->protocol;
    size_t taken = protocol->request(client->clients->owner, client, data, len);

    if (taken == SERVER_INCOMPLETE) {
        client->ending = len >= protocol->max_request;
        return 0;
    }
    client->ending = protocol->one_request || taken > len;
    client->deaf = client->deaf || taken == SERVER_DROP;
    return taken > len ? len : taken;
}

/* Takes what is whole until it is the others' turn. True: there was a request. */
static bool take_requests(struct server_client *client, const char *data, size_t len)
{
    size_t used = 0;
    size_t taken = 1;

    for (unsigned turn = client->clients->protocol->max_unanswered;
         turn > 0 && taken > 0 && used < len && takes_requests(client); turn--) {
        taken = take_request(client, data + used, len - used);
        used += taken;
    }
    keep_input(client, data + used, client->ending ? 0 : len - used);
    client->untried = taken > 0 && client->kept_len > 0;
    if (used == 0) {
        return false;
    }
    unlink_client(client);
    link_newest(client);
    return true;
}

/* A descriptor that came along; the control buffer holds no more than one, the kernel closes others. */
static void take_passed(struct server_client *client, struct msghdr *message)
{
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    int passed;

    if (part == NULL || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
        part->cmsg_len < CMSG_LEN(sizeof(passed))) {
        return;
    }
    (void)memcpy(&passed, CMSG_DATA(part), sizeof(passed));
    if (client->descriptor >= 0) {
        (void)close(client->descriptor);
    }
    client->descriptor = passed;
}

static ssize_t receive(struct server_client *client, char *data, size_t size)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (!client->clients->protocol->takes_descriptor) {
        return recv(client->source.fd, data, size, MSG_DONTWAIT);
    }
    message.msg_control = &control;
    message.msg_controllen = CMSG_LEN(sizeof(int));
    ssize_t got = recvmsg(client->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got >= 0) {
        take_passed(client, &message);
    }
    return got;
}

/* One read. True: a request was taken. */
static bool read_requests(struct server_client *client)
{
    struct server_clients *clients = client->clients;
    size_t len = client->kept_len;

    if (len > 0) {
        (void)memcpy(clients->input, client->kept, len);
    }
    ssize_t got = receive(client, clients->input + len, clients->protocol->max_request - len);

    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        client->at_end = true;
        client->deaf = client->deaf || got < 0;
        return false;
    }
    return !client->ending && take_requests(client, clients->input, len + (size_t)got);
}

static bool retry_requests(struct server_client *client)
{
    size_t len = client->kept_len;

    (void)memcpy(client->clients->input, client->kept, len);
    return take_requests(client, client->clients->input, len);
}

/* ---- what happens next ---- */

static enum wait find_wait(const struct server_client *client)
{
    if (client->lingering) {
        return WAIT_FOR_END;
    }
    if (server_answers_ready(&client->answers)) {
        return WAIT_FOR_READER;
    }
    if (client->answers.count > 0 || client->untried) {
        return WAIT_FOR_US;
    }
    return client->kept_len > 0 ? WAIT_FOR_REQUEST : WAIT_FOR_NEXT;
}

/* It begins anew with each request, and when something was sent. */
static void set_deadline(struct server_client *client, bool progress)
{
    const struct server_protocol *protocol = client->clients->protocol;
    enum wait wait = find_wait(client);
    int delay = wait == WAIT_FOR_US     ? 0
                : wait == WAIT_FOR_NEXT ? protocol->idle_ms
                                        : protocol->request_ms;

    if (wait == client->wait && !progress) {
        return;
    }
    client->wait = wait;
    if (delay > 0) {
        eventloop_set_timer(client->clients->loop, &client->deadline, delay);
    } else {
        eventloop_clear_timer(client->clients->loop, &client->deadline);
    }
}

/* False: the system refuses. */
static bool set_events(struct server_client *client)
{
    bool reads = !client->at_end &&
                 (client->lingering || (takes_requests(client) && !client->untried));
    bool writes = server_answers_ready(&client->answers);

    return eventloop_watch(client->clients->loop, &client->source,
                           (reads ? (unsigned)EVENTLOOP_READ : 0u) |
                               (writes ? (unsigned)EVENTLOOP_WRITE : 0u));
}

static void settle_again(void *owner)
{
    struct server_client *client = owner;

    client->posted = false;
    if (client->dropped) {
        free(client);
    } else {
        settle(client, client->untried && takes_requests(client) && retry_requests(client));
    }
}

/* What several promises do for one client is done once. */
static void settle_soon(void *owner)
{
    struct server_client *client = owner;

    if (!client->posted) {
        client->posted = true;
        client->again = (struct eventloop_task){.run = settle_again, .owner = client};
        eventloop_post(client->clients->loop, &client->again);
    }
}

/* close() alone would cost the client its answer if it has sent more than was read. */
static void begin_to_linger(struct server_client *client)
{
    client->lingering = true;
    (void)shutdown(client->source.fd, SHUT_WR);
}

/* Everything that can be done for a client now; it may be gone afterwards. */
static void settle(struct server_client *client, bool progress)
{
    if (!client->deaf) {
        client->deaf = !server_answers_send(&client->answers, client->source.fd, &progress);
    }
    if (client->deaf) {
        server_answers_discard(&client->answers);
    }
    if (client->untried && takes_requests(client)) {
        settle_soon(client); /* when all others have had their turn */
    }
    if (client->answers.count == 0 && !client->untried) {
        if (client->at_end || (client->ending && client->deaf)) {
            server_client_drop(client);
            return;
        }
        if (client->ending && !client->lingering) {
            begin_to_linger(client);
        }
    }
    if (!set_events(client)) {
        server_client_drop(client);
        return;
    }
    set_deadline(client, progress);
}

static void client_ready(void *owner, unsigned events)
{
    struct server_client *client = owner;
    bool readable = (events & (EVENTLOOP_READ | EVENTLOOP_ENDED)) != 0 &&
                    (client->source.events & EVENTLOOP_READ) != 0;

    settle(client, readable && read_requests(client));
}

static void deadline_passed(void *owner)
{
    server_client_drop(owner);
}

void server_client_add(struct server_clients *clients, int fd, struct server_peer peer)
{
    struct server_client *client = xcalloc(1, sizeof(*client));

    client->clients = clients;
    client->source = (struct eventloop_source){.fd = fd, .ready = client_ready, .owner = client};
    client->deadline = (struct eventloop_timer){.expired = deadline_passed, .owner = client};
    server_answers_init(&client->answers, clients->loop, settle_soon, client);
    client->peer = peer;
    client->descriptor = -1;
    link_newest(client);
    atomic_fetch_add_explicit(&clients->count, 1, memory_order_relaxed);
    settle(client, true);
}

void server_client_finish(struct server_client *client)
{
    client->ending = true;
    client->untried = false;
    keep_input(client, NULL, 0);
    settle(client, false);
}
