/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_request.h"

#include "lib/relay/relay_redis_command.h"
#include "lib/relay/relay_redis_scripts.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECONDS_OF_MINUTE 60
#define SECONDS_OF_DAY (24 * 60 * 60)
#define IPV6_BITS 128u

static int64_t window_seconds(const struct relay_settings *settings)
{
    return (int64_t)atomic_load(&settings->window_minutes) * SECONDS_OF_MINUTE;
}

static const char *mode_of(enum relay_change_kind kind)
{
    return kind == RELAY_LOGIN ? "login" : kind == RELAY_MERGE ? "merge" : "add";
}

static const char *excess_of(unsigned excess)
{
    return excess == RELAY_EXCESS_REFUSE     ? "refuse"
           : excess == RELAY_EXCESS_WITHDRAW ? "withdraw"
                                             : "log";
}

void relay_redis_request_user(const struct relay_entry *entry, struct strbuf *out)
{
    const struct relay_entry bare = {.addr = entry->addr, .user = entry->user, .service = ""};
    struct strbuf value;

    strbuf_init(&value);
    relay_entry_format_value(&bare, &value); /* 0 user=... */
    const char *user = strstr(value.data, " user=");

    if (user != NULL) {
        for (const char *at = user + strlen(" user="); *at != '\0'; at++) {
            strbuf_append_char(out, *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at);
        }
    }
    strbuf_fini(&value);
}

static void write_prefix_length(const struct netaddr *addr, struct strbuf *out)
{
    char length[8] = "";

    if (addr->family == NETADDR_IPV6 && addr->bits < IPV6_BITS) {
        (void)snprintf(length, sizeof(length), "%u", addr->bits);
    }
    relay_redis_command_text(out, length);
}

static void write_login(const char *prefix, enum relay_change_kind kind,
                        const struct relay_entry *entry, const struct relay_settings *settings,
                        struct strbuf *out)
{
    int64_t window = window_seconds(settings);
    char key[RELAY_KEY_SIZE];
    struct strbuf text;

    strbuf_init(&text);
    relay_redis_script_begin(out, RELAY_REDIS_LOGIN, prefix, 12);
    relay_redis_command_text(out, relay_entry_key(&entry->addr, key));
    relay_entry_format_value(entry, &text);
    relay_redis_command_add(out, text.data, text.len);
    relay_redis_command_number(out, entry->login_at);
    relay_redis_command_number(out, window);
    relay_redis_command_number(out, (int64_t)time(NULL));
    relay_redis_command_number(out, (int64_t)atomic_load(&settings->max_entries));
    relay_redis_command_text(out, mode_of(kind));
    write_prefix_length(&entry->addr, out);
    strbuf_reset(&text);
    relay_redis_request_user(entry, &text);
    relay_redis_command_add(out, text.data, text.len);
    relay_redis_command_number(out, atomic_load(&settings->addresses_per_user));
    relay_redis_command_text(out, excess_of(atomic_load(&settings->addresses_exceeded)));
    relay_redis_command_number(out, window == 0 ? SECONDS_OF_DAY : window);
    strbuf_fini(&text);
}

void relay_redis_request_write(const char *prefix, enum relay_change_kind kind,
                               const struct relay_entry *entry,
                               const struct relay_settings *settings, struct strbuf *out)
{
    char key[RELAY_KEY_SIZE];

    if (kind == RELAY_TOUCH) {
        relay_redis_script_begin(out, RELAY_REDIS_TOUCH, prefix, 3);
        relay_redis_command_text(out, relay_entry_key(&entry->addr, key));
        relay_redis_command_number(out, entry->login_at);
        relay_redis_command_number(out, window_seconds(settings));
    } else if (kind == RELAY_REMOVE) {
        relay_redis_script_begin(out, RELAY_REDIS_REMOVE, prefix, 1);
        relay_redis_command_text(out, relay_entry_key(&entry->addr, key));
    } else {
        write_login(prefix, kind, entry, settings, out);
    }
}
