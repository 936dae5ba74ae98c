/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/relay_report.h"
#include "lib/relay/relay_summary.h"
#include "milter/answer.h"
#include "milter/popauth.h"

#include <time.h>

#define TOP_ADDRESSES 10u

struct number {
    const char *name;
    uint64_t value;
};

static void set_numbers(json_t *object, const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)json_object_set_new(object, numbers[i].name, answer_number(numbers[i].value));
    }
}

#define SET_NUMBERS(object, numbers) \
    set_numbers(object, numbers, sizeof(numbers) / sizeof((numbers)[0]))

/* ---- what the store has ---- */

static json_t *list_users(const struct relay_summary *summary)
{
    json_t *users = json_array();

    for (size_t i = 0; i < summary->top_count; i++) {
        (void)json_array_append_new(users, json_pack("{so, so}", "user",
                                                     answer_text(summary->top[i].user), "addresses",
                                                     answer_number(summary->top[i].addresses)));
    }
    return users;
}

static void set_summary(json_t *object, const struct relay_report *report)
{
    struct relay_summary summary;

    if (!relay_summary_read(&summary, report->store, (int64_t)time(NULL),
                            report->config->terms.window_minutes)) {
        (void)json_object_set_new(object, "unread", json_true());
        return;
    }
    const struct number numbers[] = {
        {"in_force", summary.in_force},   {"expired", summary.expired},
        {"in_future", summary.in_future}, {"users", summary.users},
        {"nameless", summary.nameless},
    };

    SET_NUMBERS(object, numbers);
    if (summary.in_force > 0) {
        (void)json_object_set_new(object, "oldest_login", answer_utc((time_t)summary.oldest));
        (void)json_object_set_new(object, "newest_login", answer_utc((time_t)summary.newest));
    }
    (void)json_object_set_new(object, "top_users", list_users(&summary));
}

/* ---- what has been done with it ---- */

static void set_counters(json_t *object, const struct relay_store_stats *stats)
{
    const struct number numbers[] = {
        {"entries", stats->entries},       {"granted", stats->granted},
        {"refused", stats->refused},       {"removed", stats->removed},
        {"swept", stats->expired},         {"asked", stats->asked},
        {"found", stats->found},           {"syncs", stats->syncs},
        {"recipients", stats->recipients}, {"recipients_refused", stats->recipients_refused},
    };

    SET_NUMBERS(object, numbers);
}

static json_t *list_addresses(const struct relay_store *store)
{
    struct relay_top top[TOP_ADDRESSES];
    size_t count = relay_store_top(store, top, TOP_ADDRESSES);
    json_t *addresses = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct number numbers[] = {
            {"recipients", top[i].recipients},
            {"refused", top[i].refused},
            {"this_hour", top[i].this_hour},
        };
        char key[RELAY_KEY_SIZE];
        json_t *address = json_pack("{so}", "address",
                                    answer_text(relay_entry_key(&top[i].addr, key)));

        SET_NUMBERS(address, numbers);
        (void)json_array_append_new(addresses, address);
    }
    return addresses;
}

/* ---- what popauth is told ---- */

static void set_popauth(json_t *object, const struct popauth *popauth)
{
    struct popauth_stats stats;

    popauth_stats(popauth, &stats);
    const struct number sessions[] = {
        {"open", stats.sessions.sessions},       {"addresses", stats.sessions.addresses},
        {"not_counted", stats.sessions.surplus}, {"too_old", stats.sessions.too_old},
        {"withdrawn", stats.sessions.withdrawn}, {"touches", stats.sessions.touches},
        {"owed", stats.sessions.owed},
    };
    const struct number numbers[] = {
        {"logins_kept", stats.kept},
        {"lines_refused", stats.refused},
        {"events_ignored", stats.ignored},
        {"too_many_addresses", stats.excesses},
    };
    json_t *counted = json_object();

    SET_NUMBERS(counted, sessions);
    (void)json_object_set_new(object, "sessions", counted);
    SET_NUMBERS(object, numbers);
}

/* ---- all of it ---- */

static json_t *describe_place(const struct relay_report *report)
{
    const struct config_relay_store *started = report->started;
    json_t *object = started->backend == RELAY_BACKEND_GDBM
                         ? json_pack("{ss, so}", "backend", "gdbm", "file",
                                     answer_text(started->file))
                         : json_pack("{ss, so, so}", "backend", "redis", "redis_url",
                                     answer_text(started->redis_url), "redis_key_prefix",
                                     answer_text(started->redis_key_prefix));
    const struct number numbers[] = {
        {"window_minutes", report->config->terms.window_minutes},
        {"max_entries", report->config->terms.max_entries},
    };

    SET_NUMBERS(object, numbers);
    return object;
}

static json_t *describe(const struct relay_report *report, bool walks)
{
    json_t *object = describe_place(report);
    struct relay_store_stats stats = {.failure = "the daemon has no store of addresses"};

    if (report->store != NULL) {
        relay_store_stats(report->store, &stats);
        set_counters(object, &stats);
        if (walks) {
            set_summary(object, report);
        }
        (void)json_object_set_new(object, "top_addresses", list_addresses(report->store));
    }
    if (report->popauth != NULL) {
        set_popauth(object, report->popauth);
    }
    (void)json_object_set_new(object, "usable", json_boolean(stats.usable));
    if (stats.failure[0] != '\0') {
        (void)json_object_set_new(object, "failure", answer_text(stats.failure));
    }
    return object;
}

json_t *relay_report_status(const struct relay_report *report)
{
    return describe(report, report->store != NULL && !relay_store_waits(report->store));
}

json_t *relay_report_stats(const struct relay_report *report)
{
    return json_pack("{si, ss, so}", "version", 1, "result", "ok", "relay_store",
                     describe(report, true));
}
