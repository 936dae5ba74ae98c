/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_upkeep.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_redis_bulk.h"
#include "lib/relay/relay_redis_wait.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_OF_MINUTE 60
#define SWEEP_MS 60000
#define RENEW_STEPS 20 /* at a time */

struct relay_redis_upkeep {
    const struct relay_redis_asked *asked;
    struct relay_trouble *trouble;
    struct relay_counts *counts;
    const struct relay_settings *settings;
    int64_t sweep_at_ms;
    int64_t renew_at_ms;
    char cursor[RELAY_REDIS_CURSOR_SIZE]; /* of the renewal; "": there is none */
};

struct relay_redis_upkeep *relay_redis_upkeep_new(const struct relay_redis_asked *asked,
                                                  struct relay_trouble *trouble,
                                                  struct relay_counts *counts,
                                                  const struct relay_settings *settings)
{
    struct relay_redis_upkeep *upkeep = xcalloc(1, sizeof(*upkeep));

    upkeep->asked = asked;
    upkeep->trouble = trouble;
    upkeep->counts = counts;
    upkeep->settings = settings;
    return upkeep;
}

void relay_redis_upkeep_free(struct relay_redis_upkeep **upkeep)
{
    free(*upkeep);
    *upkeep = NULL;
}

void relay_redis_upkeep_renew(struct relay_redis_upkeep *upkeep)
{
    memcpy(upkeep->cursor, "0", 2);
    upkeep->renew_at_ms = 0;
}

bool relay_redis_upkeep_is_busy(const struct relay_redis_upkeep *upkeep)
{
    return *upkeep->cursor != '\0' && relay_redis_now() >= upkeep->renew_at_ms;
}

static struct relay_redis_bulk bulk_of(const struct relay_redis_upkeep *upkeep)
{
    return (struct relay_redis_bulk){
        .asked = upkeep->asked,
        .window = (int64_t)atomic_load(&upkeep->settings->window_minutes) * SECONDS_OF_MINUTE,
        .now = (int64_t)time(NULL),
    };
}

/* Some more of the entries get the expiry that the window says now. */
static void renew_some(struct relay_redis_upkeep *upkeep)
{
    const struct relay_redis_bulk bulk = bulk_of(upkeep);
    struct strbuf why;

    strbuf_init(&why);
    for (int i = 0; i < RENEW_STEPS && *upkeep->cursor != '\0'; i++) {
        if (relay_redis_bulk_renew(&bulk, upkeep->cursor, &why) != STATUS_OK) {
            relay_redis_upkeep_renew(upkeep); /* from the start, later */
            upkeep->renew_at_ms = relay_redis_now() + SWEEP_MS;
            break;
        }
        if (strcmp(upkeep->cursor, "0") == 0) {
            *upkeep->cursor = '\0';
        }
    }
    strbuf_fini(&why);
}

/* Is there still what kept changes from being made? */
static void review_trouble(struct relay_redis_upkeep *upkeep, const struct relay_redis_bulk *bulk)
{
    char text[sizeof(((struct relay_store_stats *)0)->failure)];
    size_t entries;
    struct strbuf why;

    relay_trouble_text(upkeep->trouble, text, sizeof(text));
    if (*text == '\0') {
        return;
    }
    strbuf_init(&why);
    if (relay_redis_bulk_probe(bulk, &why) == STATUS_OK) {
        relay_trouble_clear(upkeep->trouble, RELAY_TROUBLE_CHANGES);
    }
    strbuf_fini(&why);
    if (relay_redis_question_count(upkeep->asked, bulk->now,
                                   atomic_load(&upkeep->settings->window_minutes),
                                   &entries) == STATUS_OK &&
        entries < atomic_load(&upkeep->settings->max_entries)) {
        relay_trouble_clear(upkeep->trouble, RELAY_TROUBLE_FULL);
    }
}

static void sweep(struct relay_redis_upkeep *upkeep)
{
    const struct relay_redis_bulk bulk = bulk_of(upkeep);
    size_t expired = 0;
    struct strbuf why;

    strbuf_init(&why);
    if (relay_redis_bulk_sweep(&bulk, &expired, &why) == STATUS_OK) {
        review_trouble(upkeep, &bulk);
    } else if (!relay_redis_pool_is_away(upkeep->asked->pool)) {
        relay_trouble_set(upkeep->trouble, RELAY_TROUBLE_CHANGES, why.data);
    }
    (void)atomic_fetch_add(&upkeep->counts->expired, expired);
    strbuf_fini(&why);
    upkeep->sweep_at_ms = relay_redis_now() + SWEEP_MS;
}

void relay_redis_upkeep_step(struct relay_redis_upkeep *upkeep)
{
    if (relay_redis_now() >= upkeep->sweep_at_ms) {
        sweep(upkeep);
    }
    if (relay_redis_upkeep_is_busy(upkeep)) {
        renew_some(upkeep);
    }
}
