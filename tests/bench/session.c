/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/session.h"

#include "tests/bench/protocol.h"
#include "tests/bench/verdict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void session_fail(struct session_world *world, struct session *session, const char *what)
{
    stats_error(world->stats, "session %llu, %s: %s", (unsigned long long)session->number,
                stage_name(session->stage), what);
    session->state = SESSION_OVER;
}

void session_flush(struct session_world *world, struct session *session)
{
    struct wire_buf *out = &session->out;
    while (out->done < out->len) {
        ssize_t sent = send(session->fd, out->data + out->done, out->len - out->done, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent < 0) {
            if (session->state != SESSION_CLOSING)
                session_fail(world, session, strerror(errno));
            else
                session->state = SESSION_OVER;
            return;
        }
        out->done += (size_t)sent;
    }
    wire_clear(out);
}

bool session_has_output(const struct session *session)
{
    return session->out.done < session->out.len;
}

/* Sendmail writes each packet by itself; Postfix collects them until it waits for an answer. */
static void packet_end(struct session_world *world, struct session *session, size_t start)
{
    wire_end(&session->out, start);
    if (world->options->mta == MTA_SENDMAIL)
        session_flush(world, session);
}

static const char *macro_list(const struct session_world *world, const struct session *session,
                              int stage)
{
    const char *own = session->macro_list[stage];
    /* Postfix takes an empty list for none at all. */
    if (own != NULL && (own[0] != '\0' || world->options->mta == MTA_SENDMAIL))
        return own;
    return macro_default_list(world->options->mta, (enum macro_stage)stage);
}

static void send_macros(struct session_world *world, struct session *session, char command,
                        int stage)
{
    const char *list = macro_list(world, session, stage);
    bool sendmail = world->options->mta == MTA_SENDMAIL;
    if (sendmail && list[0] == '\0')
        return;
    struct macro_view view = {
        .mta = world->options->mta,
        .client = &session->client,
        .message = &session->message,
        .queue_id_known = sendmail ? stage >= MACRO_MAIL : session->rcpts_taken > 0,
    };
    size_t start = wire_begin(&session->out, 'D');
    wire_byte(&session->out, command);
    macro_append(&session->out, list, &view);
    packet_end(world, session, start);
}

/* The macros of Postfix's header and body events are those of end-of-headers and end-of-data. */
static int macros_of(const struct session_world *world, enum stage stage)
{
    if (world->options->mta == MTA_POSTFIX && stage == STAGE_HEADER)
        return MACRO_EOH;
    if (world->options->mta == MTA_POSTFIX && stage == STAGE_BODY)
        return MACRO_EOM;
    return protocol_step(stage)->macros;
}

static bool step_is_off(const struct session *session, enum stage stage)
{
    return (session->steps & protocol_step(stage)->off) != 0;
}

/*
 * Puts the data of a command behind its macros. True: its answer must be awaited. Neither MTA sends the macros of message
 * content that is turned off.
 */
static bool send_step(struct session_world *world, struct session *session, enum stage stage,
                      void (*data)(const struct session_world *world, struct session *session))
{
    const struct protocol_step *step = protocol_step(stage);
    bool off = step_is_off(session, stage);
    bool content = stage == STAGE_HEADER || stage == STAGE_EOH || stage == STAGE_BODY;
    int macros = macros_of(world, stage);
    session->stage = stage;
    if (macros >= 0 && !(off && content))
        send_macros(world, session, step->command, macros);
    if (off)
        return false;
    size_t start = wire_begin(&session->out, step->command);
    if (data != NULL)
        data(world, session);
    if (world->recording)
        world->stats->commands++;
    packet_end(world, session, start);
    session->sent_ns = world->now_ns;
    return (session->steps & step->no_reply) == 0;
}

static void data_connect(const struct session_world *world, struct session *session)
{
    const struct facts_client *client = &session->client;
    (void)world;
    uint16_t port = htons(client->port);
    wire_text(&session->out, client->host);
    wire_byte(&session->out, client->ipv6 ? '6' : '4');
    wire_bytes(&session->out, &port, sizeof port);
    if (client->ipv6)
        wire_bytes(&session->out, "IPv6:", 5);
    wire_text(&session->out, client->addr);
}

static void data_helo(const struct session_world *world, struct session *session)
{
    (void)world;
    wire_text(&session->out, session->client.helo);
}

static void put_path(struct wire_buf *buf, const char *address)
{
    wire_byte(buf, '<');
    wire_bytes(buf, address, strlen(address));
    wire_text(buf, ">");
}

static void data_mail(const struct session_world *world, struct session *session)
{
    char size[32];
    (void)world;
    snprintf(size, sizeof size, "SIZE=%u", session->message.size);
    put_path(&session->out, session->message.sender);
    wire_text(&session->out, size);
}

static void data_rcpt(const struct session_world *world, struct session *session)
{
    (void)world;
    put_path(&session->out, session->message.rcpt);
}

static void data_header(const struct session_world *world, struct session *session)
{
    const char *name;
    const char *value;
    char room[FACTS_ADDRESS_SIZE];
    (void)world;
    facts_header(&session->source, &session->message, session->index, &name, &value, room);
    wire_text(&session->out, name);
    wire_text(&session->out,
              (session->steps & PROTOCOL_BLANK) == 0 && value[0] == ' ' ? value + 1 : value);
}

static void data_body(const struct session_world *world, struct session *session)
{
    static const char line[] =
        "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.\r\n";
    (void)world;
    size_t chunk = session->body_left < PROTOCOL_BODY_CHUNK ? session->body_left
                                                            : PROTOCOL_BODY_CHUNK;
    session->body_left -= chunk;
    while (chunk > 0) {
        size_t part = chunk < sizeof line - 1 ? chunk : sizeof line - 1;
        wire_bytes(&session->out, line, part);
        chunk -= part;
    }
}

static void send_bare(struct session_world *world, struct session *session, char command)
{
    packet_end(world, session, wire_begin(&session->out, command));
}

static void session_quit(struct session_world *world, struct session *session)
{
    /* Postfix resets once more when its client leaves, after whatever it has reset before. */
    if (world->options->mta == MTA_POSTFIX && session->message_ns != 0)
        send_bare(world, session, 'A');
    send_bare(world, session, 'Q');
    session_flush(world, session);
    if (session->state != SESSION_OVER)
        session->state = SESSION_CLOSING;
}

/* Sendmail aborts what the filter still holds open; Postfix resets after each transaction that has begun. */
static void message_reset(struct session_world *world, struct session *session)
{
    bool abort = world->options->mta == MTA_POSTFIX ? session->mail_sent : session->in_message;
    session->in_message = false;
    session->mail_sent = false;
    if (abort)
        send_bare(world, session, 'A');
}

static void message_over(struct session_world *world, struct session *session, bool refused)
{
    world->completed++;
    if (world->recording) {
        world->stats->messages++;
        world->stats->messages_refused += refused;
        if (session->message_ns != 0)
            histogram_add(&world->stats->message, world->now_ns - session->message_ns);
    }
    message_reset(world, session);
    session->messages_left--;
    session->stage = STAGE_MAIL;
    if (session->messages_left == 0 || world->finishing)
        session_quit(world, session);
    else if (session->state != SESSION_OVER)
        session->state = SESSION_BETWEEN;
}

static void advance(struct session_world *world, struct session *session);

void session_begin_message(struct session_world *world, struct session *session)
{
    facts_message(&session->source, &session->message);
    session->state = SESSION_BUSY;
    session->message_ns = world->now_ns;
    session->progress_ns = world->now_ns;
    session->index = 0;
    session->rcpts_taken = 0;
    session->body_left = world->options->facts.body_size;
    session->hold = NULL;
    session->unchecked = false;
    session->quarantined = false;
    session->mail_sent = true;
    if (!send_step(world, session, STAGE_MAIL, data_mail)) {
        session->in_message = true;
        advance(world, session);
    }
    session_flush(world, session);
}

static bool step_rcpt(struct session_world *world, struct session *session)
{
    facts_rcpt(&session->source, &session->message);
    session->index++;
    if (send_step(world, session, STAGE_RCPT, data_rcpt))
        return true;
    session->rcpts_taken++;
    return false;
}

static bool step_headers(struct session_world *world, struct session *session)
{
    while (session->index < session->message.header_count && !session->skipping) {
        bool wait = send_step(world, session, STAGE_HEADER, data_header);
        session->index++;
        if (wait)
            return true;
    }
    return false;
}

static bool step_body(struct session_world *world, struct session *session)
{
    while (session->body_left > 0 && !session->skipping && !step_is_off(session, STAGE_BODY))
        if (send_step(world, session, STAGE_BODY, data_body))
            return true;
    return false;
}

static void enter(struct session *session, enum stage stage)
{
    session->stage = stage;
    session->index = 0;
    session->skipping = false;
}

/* Takes the step that follows on session->stage; true when an answer is to be awaited. */
static bool take_step(struct session_world *world, struct session *session)
{
    switch (session->stage) {
    case STAGE_NEGOTIATE:
        return send_step(world, session, STAGE_CONNECT, data_connect);
    case STAGE_CONNECT:
        return send_step(world, session, STAGE_HELO, data_helo);
    case STAGE_HELO:
        session->stage = STAGE_MAIL;
        session->state = SESSION_BETWEEN;
        return true;
    case STAGE_MAIL:
        enter(session, STAGE_RCPT);
        return step_rcpt(world, session);
    case STAGE_RCPT:
        if (session->index < world->options->facts.rcpt_count)
            return step_rcpt(world, session);
        if (session->rcpts_taken == 0) {
            message_over(world, session, true);
            return true;
        }
        return send_step(world, session, STAGE_DATA, NULL);
    case STAGE_DATA:
        enter(session, STAGE_HEADER);
        return step_headers(world, session);
    case STAGE_HEADER:
        if (session->index < session->message.header_count && !session->skipping)
            return step_headers(world, session);
        return send_step(world, session, STAGE_EOH, NULL);
    case STAGE_EOH:
        enter(session, STAGE_BODY);
        return step_body(world, session);
    case STAGE_BODY:
        if (session->body_left > 0 && !session->skipping && !step_is_off(session, STAGE_BODY))
            return step_body(world, session);
        return send_step(world, session, STAGE_EOM, NULL);
    default:
        message_over(world, session, false);
        return true;
    }
}

static void advance(struct session_world *world, struct session *session)
{
    while (session->state == SESSION_BUSY && !take_step(world, session))
        continue;
    session_flush(world, session);
}

/* Message content comes without a pause, the commands of the envelope one by one. */
void verdict_advance(struct session_world *world, struct session *session)
{
    if (world->options->think_ns > 0 && session->stage >= STAGE_CONNECT &&
        session->stage < STAGE_DATA)
        session->state = SESSION_THINKING;
    else
        advance(world, session);
}

void session_resume(struct session_world *world, struct session *session)
{
    session->state = SESSION_BUSY;
    session->progress_ns = world->now_ns;
    advance(world, session);
}

void session_leave(struct session_world *world, struct session *session)
{
    session_quit(world, session);
}

void verdict_end_message(struct session_world *world, struct session *session, bool refused)
{
    message_over(world, session, refused);
}

/* The client gets no further, or the filter is not asked again: one message stands for all of the session. */
void verdict_end_session(struct session_world *world, struct session *session, bool refused)
{
    session->messages_left = 1;
    message_over(world, session, refused);
}

void session_readable(struct session_world *world, struct session *session)
{
    char chunk[16384];
    ssize_t got = recv(session->fd, chunk, sizeof chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        if (session->state == SESSION_CLOSING)
            session->state = SESSION_OVER;
        else
            session_fail(world, session,
                         got == 0 ? "the filter closed the connection" : strerror(errno));
        return;
    }
    wire_bytes(&session->in, chunk, (size_t)got);
    session->progress_ns = world->now_ns;
    struct wire_packet packet;
    enum wire_status status;
    while ((status = wire_take(&session->in, &packet)) == WIRE_OK) {
        if (session->state != SESSION_BUSY) {
            session_fail(world, session, "an answer to nothing");
            return;
        }
        const char *error = verdict_take(world, session, &packet);
        if (error != NULL) {
            session_fail(world, session, error);
            return;
        }
    }
    if (status == WIRE_BAD)
        session_fail(world, session, "a packet of impossible length");
    else if (session->in.done == session->in.len)
        wire_clear(&session->in);
}

struct session *session_open(struct session_world *world, uint64_t number)
{
    const char *why;
    int fd = wire_connect(world->options->socket, &why);
    if (fd < 0) {
        stats_error(world->stats, "session %llu: connect: %s", (unsigned long long)number, why);
        return NULL;
    }
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        abort();
    session->fd = fd;
    session->number = number;
    session->messages_left = world->options->messages;
    session->progress_ns = world->now_ns;
    session->sent_ns = world->now_ns;
    facts_start(&session->source, &world->options->facts, number);
    facts_client(&session->source, &session->client);
    size_t start = wire_begin(&session->out, protocol_step(STAGE_NEGOTIATE)->command);
    wire_u32(&session->out, PROTOCOL_VERSION);
    wire_u32(&session->out, PROTOCOL_ACTIONS);
    wire_u32(&session->out, PROTOCOL_STEPS);
    packet_end(world, session, start);
    session_flush(world, session);
    return session;
}

void session_free(struct session *session)
{
    close(session->fd);
    for (int i = 0; i < MACRO_STAGES; i++)
        free(session->macro_list[i]);
    wire_free(&session->out);
    wire_free(&session->in);
    free(session);
}

void session_timeout(struct session_world *world, struct session *session)
{
    session_fail(world, session,
                 session->state == SESSION_CLOSING ? "the filter did not close after QUIT"
                                                   : "no answer in time");
}
