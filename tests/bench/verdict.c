/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/verdict.h"

#include "tests/bench/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_SIZE = 512, OFFER_BYTES = 12 };

/* Version, actions, steps, and then lists of macros: a stage and names up to a NUL. */
static const char *take_offer(struct session *session, const struct wire_packet *packet)
{
    if (packet->command != 'O' || packet->len < OFFER_BYTES)
        return "no answer to the offer";
    uint32_t version = wire_get_u32(packet->data);
    session->actions = wire_get_u32(packet->data + 4);
    session->steps = wire_get_u32(packet->data + 8);
    if (version < 2 || version > PROTOCOL_VERSION)
        return "a protocol version that was not offered";
    if ((session->actions & ~(uint32_t)PROTOCOL_ACTIONS) != 0 ||
        (session->steps & ~(uint32_t)PROTOCOL_STEPS) != 0)
        return "actions or steps that were not offered";
    size_t at = OFFER_BYTES;
    while (at < packet->len) {
        const char *names = packet->data + at + 4;
        size_t left = packet->len - at;
        if (left < 5 || memchr(names, '\0', left - 4) == NULL)
            return "a list of macros without an end";
        uint32_t stage = wire_get_u32(packet->data + at);
        if (stage >= MACRO_STAGES)
            return "a list of macros for an unknown stage";
        free(session->macro_list[stage]);
        session->macro_list[stage] = strdup(names);
        at += 4 + strlen(names) + 1;
    }
    return NULL;
}

static bool is_refusal(char letter)
{
    return letter == REPLY_REJECT || letter == REPLY_TEMPFAIL || letter == REPLY_CODE;
}

/* "discard" and "quarantine" show at end of message only. */
static bool is_held(const char *expect)
{
    return strcmp(expect, "discard") == 0 || strcmp(expect, "quarantine") == 0;
}

static bool wants_refusal(const char *expect)
{
    return expect != NULL && strcmp(expect, "continue") != 0 && strcmp(expect, "accept") != 0 &&
           !is_held(expect);
}

static bool answer_is(const char *expect, char letter, const char *text)
{
    if (strcmp(expect, "continue") == 0 || is_held(expect))
        return letter == REPLY_CONTINUE;
    if (strcmp(expect, "accept") == 0)
        return letter == REPLY_ACCEPT;
    if (strcmp(expect, "reject") == 0)
        return letter == REPLY_REJECT || (letter == REPLY_CODE && text[0] == '5');
    if (strcmp(expect, "tempfail") == 0)
        return letter == REPLY_TEMPFAIL || (letter == REPLY_CODE && text[0] == '4');
    return letter == REPLY_CODE && strncmp(text, expect, strlen(expect)) == 0;
}

static const char *expected_at_end(const struct session *session)
{
    return session->hold == NULL ? "continue" : session->hold;
}

/* A message that is both to be held and to be dropped is dropped. */
static void keep_hold(struct session *session, const char *expect)
{
    if (expect != NULL && is_held(expect) &&
        (session->hold == NULL || strcmp(expect, "discard") == 0))
        session->hold = expect;
}

/* The answer that the keys in play ask for at this stage; NULL: any. A refused client may be told at MAIL. */
static const char *expected(struct session *session)
{
    const char *client = session->client.expect;
    const char *own = NULL;
    switch (session->stage) {
    case STAGE_CONNECT:
    case STAGE_HELO:
        return wants_refusal(client) ? NULL : client;
    case STAGE_MAIL:
        keep_hold(session, client);
        own = wants_refusal(client) ? client : session->message.sender_expect;
        session->unchecked = client == NULL || own == NULL;
        break;
    case STAGE_RCPT:
        own = session->message.rcpt_expect;
        session->unchecked |= own == NULL;
        break;
    case STAGE_EOM:
        return session->unchecked ? NULL : expected_at_end(session);
    default:
        return session->unchecked ? NULL : "continue";
    }
    keep_hold(session, own);
    return client == NULL ? NULL : own;
}

static bool end_is(const struct session *session, const char *expect, char letter)
{
    if (strcmp(expect, "discard") == 0)
        return letter == REPLY_DISCARD;
    if (strcmp(expect, "quarantine") == 0)
        return letter == REPLY_CONTINUE && session->quarantined;
    return letter == REPLY_CONTINUE && !session->quarantined;
}

static const char *check_expected(const struct session_world *world, struct session *session,
                                  char letter, const char *text)
{
    static char error[ERROR_SIZE];
    const char *expect = expected(session);
    if (world->options->continue_only)
        expect = "continue";
    if (expect == NULL)
        return NULL;
    if (session->stage == STAGE_EOM ? end_is(session, expect, letter)
                                    : answer_is(expect, letter, text))
        return NULL;
    snprintf(
        error, sizeof error,
        "%s %.100s where %.50s is expected (client %.60s %.100s, sender <%.100s>, recipient <%.100s>)",
        protocol_reply_name(letter), text, expect, session->client.addr, session->client.ptr,
        session->message.sender, session->message.rcpt);
    return error;
}

static bool is_allowed(const struct session *session, char letter)
{
    switch (letter) {
    case REPLY_SKIP:
        return session->stage == STAGE_HEADER || session->stage == STAGE_BODY;
    case REPLY_DISCARD:
        return session->stage >= STAGE_MAIL;
    case REPLY_CONTINUE:
    case REPLY_ACCEPT:
    case REPLY_REJECT:
    case REPLY_TEMPFAIL:
    case REPLY_CODE:
        return true;
    default:
        return false;
    }
}

/* At end of message edits come before the last word, each only if the filter asked for the right to make it. */
static bool take_edit(struct session *session, char letter, const char **error_out)
{
    uint32_t action = protocol_action(letter);
    if (session->stage != STAGE_EOM || (action == 0 && letter != REPLY_PROGRESS))
        return false;
    if ((session->actions & action) != action)
        *error_out = "an edit that was not negotiated";
    if (letter == REPLY_QUARANTINE)
        session->quarantined = true;
    return true;
}

static void follow(struct session_world *world, struct session *session, char letter)
{
    enum stage stage = session->stage;
    if (stage == STAGE_CONNECT || stage == STAGE_HELO) {
        if (letter == REPLY_CONTINUE)
            verdict_advance(world, session);
        else
            verdict_end_session(world, session, is_refusal(letter));
        return;
    }
    if (letter == REPLY_CONTINUE && stage == STAGE_MAIL)
        session->in_message = true;
    if (letter == REPLY_CONTINUE && stage == STAGE_RCPT)
        session->rcpts_taken++;
    if (letter == REPLY_SKIP)
        session->skipping = true;
    bool goes_on = letter == REPLY_CONTINUE || letter == REPLY_SKIP ||
                   (stage == STAGE_RCPT && is_refusal(letter));
    if (goes_on && stage != STAGE_EOM) {
        verdict_advance(world, session);
        return;
    }
    /* Only after these has the filter had its last word; else it must be told by ABORT. */
    if (letter == REPLY_ACCEPT || stage == STAGE_MAIL || stage >= STAGE_HEADER)
        session->in_message = false;
    verdict_end_message(world, session, is_refusal(letter));
}

const char *verdict_take(struct session_world *world, struct session *session,
                         const struct wire_packet *packet)
{
    struct stats *stats = world->stats;
    enum stage stage = session->stage;
    char letter = packet->command;
    const char *error = NULL;
    if (world->recording)
        stats->answer[stage][(unsigned char)letter]++;
    if (take_edit(session, letter, &error))
        return error;
    if (world->recording)
        histogram_add(&stats->stage[stage], world->now_ns - session->sent_ns);
    if (stage == STAGE_NEGOTIATE) {
        error = take_offer(session, packet);
        if (error == NULL)
            verdict_advance(world, session);
        return error;
    }
    if (!is_allowed(session, letter))
        return "an answer that this step cannot have";
    if (letter == REPLY_CODE && !protocol_reply_valid(packet->data, packet->len))
        return "a malformed reply text";
    const char *text = letter == REPLY_CODE ? packet->data : "";
    if (letter == REPLY_CODE && world->recording)
        stats_count_text(stats, stage, text);
    error = check_expected(world, session, letter, text);
    if (error == NULL)
        follow(world, session, letter);
    return error;
}
