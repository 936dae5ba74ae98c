/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_scripts - what a Redis server does with entries in one go, in its own language (Lua): nothing can come between the steps.
 *
 * The keys, each after the configured prefix:
 *   relay:ADDRESS        a value as relay_entry_format_value() writes it; the server lets it expire at the end of the window
 *   relay-index          sorted set of the addresses by the dates of their logins
 *   relay-state          "GENERATION [PREFIX-LENGTH...]": see below; no such key is "0"
 *   relay-user:USER      hash ADDRESS -> date [" g" if granted] of where a user came from; USER lower-case and encoded as in a value
 *   relay-disown:USER    there while all entries are to be searched for those of this user, who has passed his limit; USER as above
 *   relay-sent:ADDRESS   recipients in this hour
 *   relay-number         the youngest generation that was ever begun
 *   relay-old            sorted set of generations that are to be removed, by the time of their end
 *   relay-probe          written to learn whether the server takes changes
 * All entries are replaced by beginning another generation, whose keys are relay.N:ADDRESS and relay-index.N, and by naming it in relay-state when
 * it is complete. The prefix lengths are those of IPv6 networks that have entries (or had some): so that one question can ask for all that may hold
 * a client.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_SCRIPTS_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_SCRIPTS_H

#include "lib/base/strbuf.h"

#include <stddef.h>

/* With the arguments that follow the prefix, and the answer. */
enum relay_redis_script {
    /*
     * address, value, date, window in s, now, max_entries, "login"|"add"|"merge", prefix length or "", user or "", addresses_per_user,
     * "log"|"refuse"|"withdraw", period in s -> {"taken"|"kept"|"full"|"excess"|"disown", addresses of the user, 1 if this one is new, removed,
     * expired}; "disown" is an excess after which RELAY_REDIS_DISOWN has to look for what else the user has
     */
    RELAY_REDIS_LOGIN,
    RELAY_REDIS_TOUCH,  /* address, date, window -> 1, or 0: there is no entry */
    RELAY_REDIS_REMOVE, /* address -> how many */
    RELAY_REDIS_CHARGE, /* address, limit -> 1, or 0: there were as many already */
    RELAY_REDIS_SWEEP,  /* until -> how many were older */
    RELAY_REDIS_EXPIRE, /* until -> {looked at, removed}; to be repeated until nothing was looked at */
    RELAY_REDIS_RENEW, /* cursor, window -> the next cursor, "0" at the end; sets the expiry of all entries anew */
    RELAY_REDIS_DISOWN, /* cursor, user -> {the next cursor, "0" at the end; removed} */
    RELAY_REDIS_BEGIN,  /* now -> number of a new generation */
    RELAY_REDIS_FILL, /* generation, window, then address, value and date of each entry -> how many */
    RELAY_REDIS_SWITCH,  /* generation, now, prefix lengths -> {the one before, its entries} */
    RELAY_REDIS_DROP,    /* generation -> how many were removed; to be repeated until 0 */
    RELAY_REDIS_OLD,     /* until -> generations to be dropped */
    RELAY_REDIS_COUNT,   /* until -> entries that are younger */
    RELAY_REDIS_PAGE,    /* cursor -> {the next one, generation, address, value, address, ...} */
    RELAY_REDIS_PROBE,   /* -> 1, after writing something */
    RELAY_REDIS_SCRIPTS, /* how many */
};

/* Begins the command that runs a script: `count` arguments must follow. */
void relay_redis_script_begin(struct strbuf *out, enum relay_redis_script script,
                              const char *prefix, size_t count);

#endif
