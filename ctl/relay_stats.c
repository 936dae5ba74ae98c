/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/relay_stats.h"

#include "ctl/control_client.h"
#include "ctl/relay_print.h"
#include "ctl/relay_target.h"
#include "lib/policy/config.h"
#include "lib/relay/relay_entry.h"
#include "lib/relay/relay_summary.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TITLE "%-15s" /* as the other lines of a status */
#define INDENT "               "

/* ---- for people ---- */

static long long number(const json_t *object, const char *key)
{
    return (long long)control_client_number(object, key);
}

static bool knows(const json_t *object, const char *key)
{
    return json_object_get(object, key) != NULL;
}

static const char *plural(long long count)
{
    return count == 1 ? "" : "s";
}

static void print_entries(const char *title, const json_t *store)
{
    long long entries = number(store, "entries");

    printf(TITLE "%lld %s", title, entries, entries == 1 ? "entry" : "entries");
    if (json_is_true(json_object_get(store, "unread"))) {
        printf("; the store could not be read to its end\n");
    } else if (knows(store, "in_force")) {
        printf(": %lld in force, %lld expired, %lld dated in the future\n",
               number(store, "in_force"), number(store, "expired"), number(store, "in_future"));
    } else {
        printf("\n");
    }
}

/* Where they are kept; an older daemon has a file. */
static void print_place(const json_t *store)
{
    long long window = number(store, "window_minutes");

    if (strcmp(control_client_text(store, "backend"), "redis") == 0) {
        printf(INDENT "%s, keys %s*, ", control_client_text(store, "redis_url"),
               control_client_text(store, "redis_key_prefix"));
    } else {
        printf(INDENT "%s, ", control_client_text(store, "file"));
    }
    if (window > 0) {
        printf("window %lld min", window);
    } else {
        printf("no window");
    }
    printf(", at most %lld\n", number(store, "max_entries"));
}

/* As `relay list` writes a user: whatever others made of the name, it is one printable word. */
static void print_user(const char *user)
{
    const struct relay_entry entry = {.user = user, .service = ""};
    struct strbuf value;

    strbuf_init(&value);
    relay_entry_format_value(&entry, &value);
    printf("%s", value.data + strcspn(value.data, "=") + 1);
    strbuf_fini(&value);
}

static void print_users(const json_t *store)
{
    size_t index;
    json_t *user;

    if (!knows(store, "users")) {
        return;
    }
    printf(INDENT "%lld user%s", number(store, "users"), plural(number(store, "users")));
    if (number(store, "nameless") > 0) {
        printf(", and %lld without a user", number(store, "nameless"));
    }
    if (knows(store, "oldest_login")) {
        printf("; logins from %s to %s", control_client_text(store, "oldest_login"),
               control_client_text(store, "newest_login"));
    }
    printf("\n");
    json_array_foreach(json_object_get(store, "top_users"), index, user)
    {
        if (number(user, "addresses") > 1) {
            printf(INDENT "%8lld addresses of ", number(user, "addresses"));
            print_user(control_client_text(user, "user"));
            printf("\n");
        }
    }
}

static void print_counters(const json_t *store)
{
    if (!knows(store, "asked")) {
        return; /* nobody has counted */
    }
    printf(INDENT "granted %lld, refused %lld, removed %lld, expired %lld, in %lld syncs; asked "
                  "%lld times, %lld times found\n",
           number(store, "granted"), number(store, "refused"), number(store, "removed"),
           number(store, "swept"), number(store, "syncs"), number(store, "asked"),
           number(store, "found"));
}

/* What POP and IMAP servers tell. */
static void print_logins(const json_t *store)
{
    const json_t *sessions = json_object_get(store, "sessions");

    if (sessions == NULL) {
        return;
    }
    printf(INDENT "%lld POP and IMAP session%s open, of %lld %s", number(sessions, "open"),
           plural(number(sessions, "open")), number(sessions, "addresses"),
           number(sessions, "addresses") == 1 ? "entry" : "entries");
    if (number(sessions, "not_counted") > 0) {
        printf("; %lld not counted", number(sessions, "not_counted"));
    }
    if (number(sessions, "too_old") > 0) {
        printf("; %lld without an end", number(sessions, "too_old"));
    }
    if (number(store, "lines_refused") > 0) {
        printf("; %lld line%s not understood", number(store, "lines_refused"),
               plural(number(store, "lines_refused")));
    }
    printf("\n");
    long long waiting = number(store, "logins_kept") + number(sessions, "owed");

    if (waiting > 0) {
        printf(INDENT "%lld login%s kept until the store is back\n", waiting, plural(waiting));
    }
    if (number(store, "too_many_addresses") > 0) {
        printf(INDENT "%lld login%s from too many addresses of one user\n",
               number(store, "too_many_addresses"), plural(number(store, "too_many_addresses")));
    }
}

static void print_recipients(const json_t *store)
{
    size_t index;
    json_t *address;

    if (number(store, "recipients") == 0 && number(store, "recipients_refused") == 0) {
        return;
    }
    printf(INDENT "%lld recipient%s relayed, %lld refused by recipients_per_hour\n",
           number(store, "recipients"), plural(number(store, "recipients")),
           number(store, "recipients_refused"));
    json_array_foreach(json_object_get(store, "top_addresses"), index, address)
    {
        printf(INDENT "%8lld of %s, %lld in this hour, %lld refused\n",
               number(address, "recipients"), control_client_text(address, "address"),
               number(address, "this_hour"), number(address, "refused"));
    }
}

void relay_stats_print(const char *title, const json_t *store)
{
    if (store == NULL) {
        return;
    }
    if (!json_is_true(json_object_get(store, "usable"))) {
        printf(TITLE "CANNOT BE USED: %s\n", title, control_client_text(store, "failure"));
        return;
    }
    print_entries(title, store);
    print_place(store);
    print_users(store);
    print_counters(store);
    print_logins(store);
    print_recipients(store);
    if (knows(store, "failure")) {
        printf(INDENT "TROUBLE: %s\n", control_client_text(store, "failure"));
    }
}

/* ---- without a daemon ---- */

static void set_number(json_t *object, const char *name, size_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void set_date(json_t *object, const char *name, int64_t date)
{
    char utc[40];
    time_t when = (time_t)date;
    struct tm parts;

    if (gmtime_r(&when, &parts) != NULL &&
        strftime(utc, sizeof(utc), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0) {
        json_object_set_new(object, name, json_string(utc));
    }
}

static json_t *describe_place(const struct config_relay_store *config)
{
    json_t *object = config->backend == RELAY_BACKEND_GDBM
                         ? json_pack("{ss, so}", "backend", "gdbm", "file",
                                     ctl_json_text(config->file))
                         : json_pack("{ss, so, so}", "backend", "redis", "redis_url",
                                     ctl_json_text(config->redis_url), "redis_key_prefix",
                                     ctl_json_text(config->redis_key_prefix));

    set_number(object, "window_minutes", config->terms.window_minutes);
    set_number(object, "max_entries", config->terms.max_entries);
    return object;
}

/* What a daemon would say, but for what it has counted. */
static json_t *describe(const struct config_relay_store *config, const struct relay_store *store)
{
    json_t *object = describe_place(config);
    json_t *users = json_array();
    struct relay_summary summary;
    bool whole = relay_summary_read(&summary, store, (int64_t)time(NULL),
                                    config->terms.window_minutes);

    set_number(object, "entries", summary.in_force + summary.expired + summary.in_future);
    set_number(object, "in_force", summary.in_force);
    set_number(object, "expired", summary.expired);
    set_number(object, "in_future", summary.in_future);
    set_number(object, "users", summary.users);
    set_number(object, "nameless", summary.nameless);
    if (summary.in_force > 0) {
        set_date(object, "oldest_login", summary.oldest);
        set_date(object, "newest_login", summary.newest);
    }
    for (size_t i = 0; i < summary.top_count; i++) {
        json_t *user = json_pack("{so}", "user", ctl_json_text(summary.top[i].user));

        set_number(user, "addresses", summary.top[i].addresses);
        json_array_append_new(users, user);
    }
    json_object_set_new(object, "top_users", users);
    if (!whole) {
        json_object_set_new(object, "unread", json_true());
    }
    json_object_set_new(object, "usable", json_true());
    return object;
}

/* ---- the verb ---- */

/* Tells it, and gives back `store`. */
static int tell(const struct ctl *ctl, json_t *store)
{
    bool works = json_is_true(json_object_get(store, "usable")) &&
                 !json_is_true(json_object_get(store, "unread"));
    int code = works ? CTL_DONE : CTL_TEMPFAIL;

    if (ctl->json) {
        return ctl_print_json(ctl, json_pack("{so}", "relay_store", store), NULL, code);
    }
    relay_stats_print("relayers", store);
    json_decref(store);
    return code;
}

int relay_stats_run(struct ctl *ctl)
{
    struct relay_target *target = relay_target_open(ctl);

    if (target == NULL) {
        return CTL_TEMPFAIL;
    }
    const struct relay_store *store = relay_target_store(target);
    json_t *object = NULL;

    if (store != NULL) {
        object = describe(relay_target_config(target), store);
    } else {
        json_t *answer = relay_target_ask(target, "relay stats");

        object = json_incref(json_object_get(answer, "relay_store"));
        if (object == NULL && answer != NULL) {
            ctl_complain(ctl, "the daemon is of an older version: it keeps no such numbers");
        }
        json_decref(answer);
    }
    relay_target_close(&target);
    return object != NULL ? tell(ctl, object) : CTL_TEMPFAIL;
}
