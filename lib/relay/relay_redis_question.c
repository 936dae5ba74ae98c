/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_question.h"

#include "lib/relay/relay_redis_command.h"
#include "lib/relay/relay_redis_scripts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_OF_MINUTE 60
#define NO_SENSE "its answer makes no sense"

/* ---- one question on one connection ---- */

struct question {
    const struct relay_redis_asked *asked;
    struct relay_redis_loan loan;
    int64_t deadline_ms;
};

static bool begin(struct question *question, const struct relay_redis_asked *asked)
{
    question->asked = asked;
    question->deadline_ms = relay_redis_server_deadline(asked->server);
    if (relay_redis_pool_take(asked->pool, question->deadline_ms, &question->loan)) {
        return true;
    }
    relay_redis_pool_miss(asked->pool);
    return false;
}

static enum status give_back(struct question *question, enum status status)
{
    relay_redis_pool_give(question->asked->pool, &question->loan);
    return status;
}

static enum status fail(struct question *question, const char *why)
{
    relay_redis_pool_fail(question->asked->pool, &question->loan, why);
    relay_redis_pool_miss(question->asked->pool);
    return STATUS_TEMPFAIL;
}

/*
 * The answer to a command; NULL: *status_out is what becomes of the question, and the connection was given back. An error that only hinders
 * changes leaves the connection alone.
 */
static const struct relay_redis_reply *ask(struct question *question, const struct strbuf *command,
                                           enum status *status_out)
{
    struct relay_redis_link *link = question->loan.link;
    const struct relay_redis_reply *reply = NULL;
    struct strbuf why;

    strbuf_init(&why);
    if (relay_redis_link_send(link, command, question->deadline_ms, &why)) {
        reply = relay_redis_link_receive(link, question->deadline_ms, &why);
    }
    if (reply == NULL) {
        *status_out = fail(question, why.data);
    } else if (reply->kind == RELAY_REDIS_ERROR) {
        if (relay_redis_server_is_lost(reply->text)) {
            relay_redis_server_explain(reply->text, &why);
            *status_out = fail(question, why.data);
        } else {
            relay_redis_pool_miss(question->asked->pool);
            *status_out = give_back(question, STATUS_TEMPFAIL);
        }
        reply = NULL;
    }
    strbuf_fini(&why);
    return reply;
}

/* ---- charge and count ---- */

/* Runs a script that answers with a number. */
static enum status ask_number(struct question *question, const struct strbuf *command,
                              int64_t *number_out)
{
    enum status status;
    const struct relay_redis_reply *reply = ask(question, command, &status);

    if (reply == NULL) {
        return status;
    }
    if (reply->kind != RELAY_REDIS_INTEGER) {
        return fail(question, NO_SENSE);
    }
    *number_out = reply->integer;
    return give_back(question, STATUS_OK);
}

enum status relay_redis_question_charge(const struct relay_redis_asked *asked,
                                        const struct netaddr *addr, unsigned limit)
{
    struct question question;
    char key[RELAY_KEY_SIZE];
    int64_t charged = 0;

    if (!begin(&question, asked)) {
        return STATUS_TEMPFAIL;
    }
    struct strbuf *command = relay_redis_link_command(question.loan.link);

    relay_redis_script_begin(command, RELAY_REDIS_CHARGE, asked->server->prefix, 2);
    relay_redis_command_text(command, relay_entry_key(addr, key));
    relay_redis_command_number(command, limit);
    enum status status = ask_number(&question, command, &charged);

    return status == STATUS_OK && charged != 1 ? STATUS_NOTFOUND : status;
}

enum status relay_redis_question_count(const struct relay_redis_asked *asked, int64_t now,
                                       unsigned window_minutes, size_t *count_out)
{
    struct question question;
    int64_t count = 0;

    if (!begin(&question, asked)) {
        return STATUS_TEMPFAIL;
    }
    struct strbuf *command = relay_redis_link_command(question.loan.link);

    relay_redis_script_begin(command, RELAY_REDIS_COUNT, asked->server->prefix, 1);
    if (window_minutes == 0) {
        relay_redis_command_text(command, "-inf");
    } else {
        relay_redis_command_number(command, now - (int64_t)window_minutes * SECONDS_OF_MINUTE + 1);
    }
    enum status status = ask_number(&question, command, &count);

    *count_out = status == STATUS_OK && count > 0 ? (size_t)count : 0;
    return status;
}

/* ---- walk ---- */

/*
 * A walk's cursor: the server's, with some bits of the generation above it, so that the walk of a generation that has gone ends as
 * failed. It stays below 2^63, which JSON can carry; the last one says that nothing follows.
 */
#define CURSOR_BITS 56
#define CURSOR_MAX ((UINT64_C(1) << CURSOR_BITS) - 1)
#define GENERATION_BITS UINT64_C(0x7f)
#define WALK_END ((uint64_t)INT64_MAX)

static bool read_text_number(const struct relay_redis_reply *item, uint64_t *number_out)
{
    char *end;

    if (item->kind != RELAY_REDIS_TEXT || item->len == 0 || item->text[0] < '0' ||
        item->text[0] > '9') {
        return false;
    }
    *number_out = strtoull(item->text, &end, 10);
    return *end == '\0';
}

static void visit_page(const struct relay_redis_reply *reply, struct strbuf *texts,
                       relay_store_visit *visit, void *ctx)
{
    for (size_t i = 2; i + 1 < reply->count; i += 2) {
        const struct relay_redis_reply *key = reply->items[i];
        const struct relay_redis_reply *value = reply->items[i + 1];
        struct relay_entry entry;
        const char *why;

        if (key->kind == RELAY_REDIS_TEXT && value->kind == RELAY_REDIS_TEXT &&
            relay_entry_parse_address(key->text, &entry.addr, &why) &&
            relay_entry_parse_value(value->text, value->len, texts, &entry, &why)) {
            visit(ctx, &entry);
        }
    }
}

/* Takes a page that belongs to the walk. False: it does not, or is no page. */
static bool take_page(const struct relay_redis_reply *reply, struct strbuf *texts, size_t *cursor,
                      relay_store_visit *visit, void *ctx)
{
    uint64_t next;
    uint64_t generation;

    if (reply->kind != RELAY_REDIS_ARRAY || reply->count < 2 ||
        !read_text_number(reply->items[0], &next) ||
        !read_text_number(reply->items[1], &generation) || next >= CURSOR_MAX) {
        return false;
    }
    generation &= GENERATION_BITS;
    if (*cursor != 0 && (uint64_t)*cursor >> CURSOR_BITS != generation) {
        return false;
    }
    uint64_t packed = next == 0 ? WALK_END : generation << CURSOR_BITS | next;

    if (packed > SIZE_MAX - 1) {
        return false;
    }
    visit_page(reply, texts, visit, ctx);
    *cursor = (size_t)packed;
    return true;
}

bool relay_redis_question_walk(const struct relay_redis_asked *asked, size_t *cursor,
                               relay_store_visit *visit, void *ctx)
{
    char text[24];
    struct question question;
    enum status status;

    if ((uint64_t)*cursor == WALK_END) {
        *cursor = 0;
        return false;
    }
    if (!begin(&question, asked)) {
        *cursor = RELAY_WALK_FAILED;
        return false;
    }
    struct strbuf *command = relay_redis_link_command(question.loan.link);

    (void)snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)*cursor & CURSOR_MAX);
    relay_redis_script_begin(command, RELAY_REDIS_PAGE, asked->server->prefix, 1);
    relay_redis_command_text(command, text);
    const struct relay_redis_reply *reply = ask(&question, command, &status);

    if (reply == NULL) {
        *cursor = RELAY_WALK_FAILED;
        return false;
    }
    bool taken = take_page(reply, relay_redis_link_scratch(question.loan.link), cursor, visit, ctx);

    (void)give_back(&question, STATUS_OK);
    if (!taken) {
        *cursor = RELAY_WALK_FAILED;
    }
    return taken;
}
