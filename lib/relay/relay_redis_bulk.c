/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_bulk.h"

#include "lib/relay/relay_redis_command.h"
#include "lib/relay/relay_redis_scripts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES_AT_ONCE 200u
#define WORDS_OF_ENTRY 3u
#define LEFT_BEHIND_S 3600 /* a generation that nobody has finished by then */
#define NUMBER_SIZE 24
#define STEPS_MAX 1000000u /* more than the largest store has: a server that never ends is none */
#define NO_SENSE "its answer makes no sense"

/* ---- one step ---- */

struct step {
    const struct relay_redis_bulk *bulk;
    struct relay_redis_loan loan;
    struct strbuf *command;
    const struct relay_redis_reply *reply;
};

/* The command of a script, to which `count` arguments are to be added. False: `why` says why not. */
static bool step_begin(struct step *step, const struct relay_redis_bulk *bulk,
                       enum relay_redis_script script, size_t count, struct strbuf *why)
{
    const struct relay_redis_asked *asked = bulk->asked;
    char text[256];

    step->bulk = bulk;
    if (!relay_redis_pool_take(asked->pool, relay_redis_server_deadline(asked->server),
                               &step->loan)) {
        relay_redis_pool_text(asked->pool, text, sizeof(text));
        strbuf_append(why, *text == '\0' ? "all connections to it are in use" : text);
        return false;
    }
    step->command = relay_redis_link_command(step->loan.link);
    relay_redis_script_begin(step->command, script, asked->server->prefix, count);
    return true;
}

static void step_end(struct step *step)
{
    relay_redis_pool_give(step->bulk->asked->pool, &step->loan);
}

/* Runs the script. True: its answer is of that kind, and step_end() must follow. */
static bool step_run(struct step *step, enum relay_redis_reply_kind kind, size_t count,
                     struct strbuf *why)
{
    const struct relay_redis_asked *asked = step->bulk->asked;
    struct relay_redis_link *link = step->loan.link;
    int64_t deadline_ms = relay_redis_server_deadline(asked->server);

    step->reply = NULL;
    if (relay_redis_link_send(link, step->command, deadline_ms, why)) {
        step->reply = relay_redis_link_receive(link, deadline_ms, why);
    }
    bool is_error = step->reply != NULL && step->reply->kind == RELAY_REDIS_ERROR;

    if (is_error) {
        relay_redis_server_explain(step->reply->text, why);
        if (!relay_redis_server_is_lost(step->reply->text)) {
            step_end(step);
            return false;
        }
    } else if (step->reply != NULL && (step->reply->kind != kind || step->reply->count < count)) {
        strbuf_append(why, NO_SENSE);
    } else if (step->reply != NULL) {
        return true;
    }
    relay_redis_pool_fail(asked->pool, &step->loan, why->data);
    return false;
}

static int64_t item_number(const struct step *step, size_t item)
{
    const struct relay_redis_reply *reply = step->reply->items[item];

    return reply->kind == RELAY_REDIS_INTEGER && reply->integer > 0 ? reply->integer : 0;
}

/* Copies a short text of the answer; false: it is none. */
static bool copy_text(const struct relay_redis_reply *reply, char *out, size_t size)
{
    if (reply->kind != RELAY_REDIS_TEXT || reply->len >= size) {
        return false;
    }
    memcpy(out, reply->text, reply->len);
    out[reply->len] = '\0';
    return true;
}

/* Runs a script with one or two arguments (`second` may be NULL) that answers with a number. */
static enum status run_number(const struct relay_redis_bulk *bulk, enum relay_redis_script script,
                              const char *first, const char *second, int64_t *number_out,
                              struct strbuf *why)
{
    struct step step;

    if (!step_begin(&step, bulk, script, second == NULL ? 1 : 2, why)) {
        return STATUS_TEMPFAIL;
    }
    relay_redis_command_text(step.command, first);
    if (second != NULL) {
        relay_redis_command_text(step.command, second);
    }
    if (!step_run(&step, RELAY_REDIS_INTEGER, 0, why)) {
        return STATUS_TEMPFAIL;
    }
    *number_out = step.reply->integer;
    step_end(&step);
    return STATUS_OK;
}

static const char *number_text(int64_t number, char buf[NUMBER_SIZE])
{
    (void)snprintf(buf, NUMBER_SIZE, "%" PRId64, number);
    return buf;
}

/* ---- generations ---- */

static enum status drop_generation(const struct relay_redis_bulk *bulk, const char *generation,
                                   struct strbuf *why)
{
    int64_t dropped = 1;
    enum status status = STATUS_OK;

    for (size_t step = 0; status == STATUS_OK && dropped > 0 && step < STEPS_MAX; step++) {
        status = run_number(bulk, RELAY_REDIS_DROP, generation, NULL, &dropped, why);
    }
    return status;
}

static enum status begin_generation(const struct relay_redis_bulk *bulk, char name[NUMBER_SIZE],
                                    struct strbuf *why)
{
    char now[NUMBER_SIZE];
    int64_t number;
    enum status status = run_number(bulk, RELAY_REDIS_BEGIN, number_text(bulk->now, now), NULL,
                                    &number, why);

    if (status == STATUS_OK) {
        (void)number_text(number, name);
    }
    return status;
}

/* A piece of the entries, as many as one script takes. */
static enum status fill_piece(const struct relay_redis_bulk *bulk, const char *generation,
                              const struct relay_entry *entries, size_t count, struct strbuf *why)
{
    struct step step;
    struct strbuf value;
    char key[RELAY_KEY_SIZE];

    if (!step_begin(&step, bulk, RELAY_REDIS_FILL, 2 + count * WORDS_OF_ENTRY, why)) {
        return STATUS_TEMPFAIL;
    }
    strbuf_init(&value);
    relay_redis_command_text(step.command, generation);
    relay_redis_command_number(step.command, bulk->window);
    for (size_t i = 0; i < count; i++) {
        strbuf_reset(&value);
        relay_entry_format_value(&entries[i], &value);
        relay_redis_command_text(step.command, relay_entry_key(&entries[i].addr, key));
        relay_redis_command_add(step.command, value.data, value.len);
        relay_redis_command_number(step.command, entries[i].login_at);
    }
    strbuf_fini(&value);
    if (!step_run(&step, RELAY_REDIS_INTEGER, 0, why)) {
        return STATUS_TEMPFAIL;
    }
    step_end(&step);
    return STATUS_OK;
}

static enum status fill(const struct relay_redis_bulk *bulk, const char *generation,
                        const struct relay_entry *entries, size_t count, struct strbuf *why)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < count && status == STATUS_OK; i += ENTRIES_AT_ONCE) {
        size_t left = count - i;

        status = fill_piece(bulk, generation, &entries[i],
                            left < ENTRIES_AT_ONCE ? left : ENTRIES_AT_ONCE, why);
    }
    return status;
}

/* " 64 56": the prefix lengths of the networks. */
static void write_lengths(const struct relay_entry *entries, size_t count, struct strbuf *out)
{
    bool seen[RELAY_REDIS_LENGTHS_MAX] = {false};

    for (size_t i = 0; i < count; i++) {
        const struct netaddr *addr = &entries[i].addr;

        if (addr->family == NETADDR_IPV6 && addr->bits < netaddr_width(NETADDR_IPV6) &&
            !seen[addr->bits - RELAY_MIN_PREFIX]) {
            seen[addr->bits - RELAY_MIN_PREFIX] = true;
            strbuf_appendf(out, " %u", addr->bits);
        }
    }
}

/* From now on another generation counts; the one before is named in `old`. */
static enum status switch_to(const struct relay_redis_bulk *bulk, const char *generation,
                             const char *lengths, char old[NUMBER_SIZE], size_t *count_out,
                             struct strbuf *why)
{
    struct step step;

    if (!step_begin(&step, bulk, RELAY_REDIS_SWITCH, 3, why)) {
        return STATUS_TEMPFAIL;
    }
    relay_redis_command_text(step.command, generation);
    relay_redis_command_number(step.command, bulk->now);
    relay_redis_command_text(step.command, lengths);
    if (!step_run(&step, RELAY_REDIS_ARRAY, 2, why)) {
        return STATUS_TEMPFAIL;
    }
    bool done = copy_text(step.reply->items[0], old, NUMBER_SIZE);

    *count_out = (size_t)item_number(&step, 1);
    if (!done) {
        strbuf_append(why, NO_SENSE);
    }
    step_end(&step);
    return done ? STATUS_OK : STATUS_TEMPFAIL;
}

static enum status exchange(const struct relay_redis_bulk *bulk, const struct relay_entry *entries,
                            size_t count, size_t *before_out, struct strbuf *why)
{
    char generation[NUMBER_SIZE];
    char old[NUMBER_SIZE];
    struct strbuf lengths;
    enum status status = begin_generation(bulk, generation, why);

    if (status != STATUS_OK) {
        return status;
    }
    strbuf_init(&lengths);
    write_lengths(entries, count, &lengths);
    status = fill(bulk, generation, entries, count, why);
    if (status == STATUS_OK) {
        status = switch_to(bulk, generation, lengths.data, old, before_out, why);
    }
    strbuf_fini(&lengths);
    if (status == STATUS_OK) {
        /* What fails here is done by a sweep; the new entries count already. */
        struct strbuf ignored;

        strbuf_init(&ignored);
        (void)drop_generation(bulk, old, &ignored);
        strbuf_fini(&ignored);
    }
    return status;
}

enum status relay_redis_bulk_replace(const struct relay_redis_bulk *bulk,
                                     const struct relay_entry *entries, size_t count,
                                     struct strbuf *why)
{
    size_t before;

    return exchange(bulk, entries, count, &before, why);
}

enum status relay_redis_bulk_remove_all(const struct relay_redis_bulk *bulk, size_t *removed_out,
                                        struct strbuf *why)
{
    size_t expired;
    enum status status = relay_redis_bulk_sweep(bulk, &expired, why);

    return status == STATUS_OK ? exchange(bulk, NULL, 0, removed_out, why) : status;
}

/* Removes what a host that went away has left behind. */
static enum status drop_left_behind(const struct relay_redis_bulk *bulk, struct strbuf *why)
{
    char names[8][NUMBER_SIZE];
    struct step step;
    size_t count = 0;
    enum status status = STATUS_OK;

    if (!step_begin(&step, bulk, RELAY_REDIS_OLD, 1, why)) {
        return STATUS_TEMPFAIL;
    }
    relay_redis_command_number(step.command, bulk->now - LEFT_BEHIND_S);
    if (!step_run(&step, RELAY_REDIS_ARRAY, 0, why)) {
        return STATUS_TEMPFAIL;
    }
    for (size_t i = 0; i < step.reply->count && count < sizeof(names) / sizeof(names[0]); i++) {
        count += copy_text(step.reply->items[i], names[count], NUMBER_SIZE) ? 1 : 0;
    }
    step_end(&step);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = drop_generation(bulk, names[i], why);
    }
    return status;
}

/* ---- some of the entries ---- */

enum status relay_redis_bulk_expire(const struct relay_redis_bulk *bulk, int64_t until,
                                    size_t *removed_out, struct strbuf *why)
{
    int64_t looked_at = 1;

    *removed_out = 0;
    for (size_t steps = 0; looked_at > 0 && steps < STEPS_MAX; steps++) {
        struct step step;

        if (!step_begin(&step, bulk, RELAY_REDIS_EXPIRE, 1, why)) {
            return STATUS_TEMPFAIL;
        }
        relay_redis_command_number(step.command, until);
        if (!step_run(&step, RELAY_REDIS_ARRAY, 2, why)) {
            return STATUS_TEMPFAIL;
        }
        looked_at = item_number(&step, 0);
        *removed_out += (size_t)item_number(&step, 1);
        step_end(&step);
    }
    return STATUS_OK;
}

enum status relay_redis_bulk_disown(const struct relay_redis_bulk *bulk, const char *user,
                                    size_t *removed_out, struct strbuf *why)
{
    char cursor[RELAY_REDIS_CURSOR_SIZE] = "0";
    bool read = true;
    size_t steps = 0;

    *removed_out = 0;
    do {
        struct step step;

        if (!step_begin(&step, bulk, RELAY_REDIS_DISOWN, 2, why)) {
            return STATUS_TEMPFAIL;
        }
        relay_redis_command_text(step.command, cursor);
        relay_redis_command_text(step.command, user);
        if (!step_run(&step, RELAY_REDIS_ARRAY, 2, why)) {
            return STATUS_TEMPFAIL;
        }
        read = copy_text(step.reply->items[0], cursor, sizeof(cursor));
        *removed_out += (size_t)item_number(&step, 1);
        step_end(&step);
    } while (read && strcmp(cursor, "0") != 0 && ++steps < STEPS_MAX);
    if (!read) {
        strbuf_append(why, NO_SENSE);
    }
    return read ? STATUS_OK : STATUS_TEMPFAIL;
}

enum status relay_redis_bulk_sweep(const struct relay_redis_bulk *bulk, size_t *expired_out,
                                   struct strbuf *why)
{
    char until[NUMBER_SIZE];
    int64_t expired = bulk->window > 0 ? 1 : 0;
    enum status status = STATUS_OK;

    *expired_out = 0;
    for (size_t steps = 0; status == STATUS_OK && expired > 0 && steps < STEPS_MAX; steps++) {
        status = run_number(bulk, RELAY_REDIS_SWEEP, number_text(bulk->now - bulk->window, until),
                            NULL, &expired, why);
        *expired_out += status == STATUS_OK && expired > 0 ? (size_t)expired : 0;
    }
    return status == STATUS_OK ? drop_left_behind(bulk, why) : status;
}

enum status relay_redis_bulk_probe(const struct relay_redis_bulk *bulk, struct strbuf *why)
{
    int64_t ignored;

    return run_number(bulk, RELAY_REDIS_PROBE, "", NULL, &ignored, why);
}

enum status relay_redis_bulk_renew(const struct relay_redis_bulk *bulk,
                                   char cursor[RELAY_REDIS_CURSOR_SIZE], struct strbuf *why)
{
    struct step step;

    if (!step_begin(&step, bulk, RELAY_REDIS_RENEW, 2, why)) {
        return STATUS_TEMPFAIL;
    }
    relay_redis_command_text(step.command, cursor);
    relay_redis_command_number(step.command, bulk->window);
    if (!step_run(&step, RELAY_REDIS_TEXT, 0, why)) {
        return STATUS_TEMPFAIL;
    }
    if (!copy_text(step.reply, cursor, RELAY_REDIS_CURSOR_SIZE)) {
        (void)snprintf(cursor, RELAY_REDIS_CURSOR_SIZE, "0");
    }
    step_end(&step);
    return STATUS_OK;
}
