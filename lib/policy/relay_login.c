/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/relay_login.h"

#include "lib/base/strbuf.h"
#include "lib/policy/rules.h"
#include "lib/relay/relay_lookup.h"

#include <string.h>
#include <time.h>

#define TIME_TEXT_SIZE 64

/* The rest of a value as it is stored: what a POP server reported is data, and must not break a line. */
static void append_who(const struct relay_found *found, struct strbuf *out)
{
    const struct relay_entry entry = {
        .addr = found->addr,
        .login_at = found->login_at,
        .user = found->user,
        .service = found->service,
    };
    struct strbuf value;

    strbuf_init(&value);
    relay_entry_format_value(&entry, &value);
    strbuf_append(out, value.data + strcspn(value.data, " "));
    strbuf_fini(&value);
}

static void note_found(const struct session *session, const struct relay_found *found)
{
    char key[RELAY_KEY_SIZE];
    char when[TIME_TEXT_SIZE] = "?";
    time_t seconds = (time_t)found->login_at;
    struct strbuf note;
    struct tm date;

    if (gmtime_r(&seconds, &date) != NULL) {
        (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &date);
    }
    strbuf_init(&note);
    strbuf_appendf(&note, "relaying: %s logged in on %s UTC", relay_entry_key(&found->addr, key),
                   when);
    append_who(found, &note);
    rules_note(session, note.data);
    strbuf_fini(&note);
}

const struct relay_found *relay_login_find(const struct session *session)
{
    const struct relay_lookup *relayers = session->relayers;

    if (relayers == NULL || session->client_net.family == NETADDR_NONE) {
        return NULL;
    }
    struct relay_found *found = arena_alloc(session->scratch, sizeof(*found));
    enum status status = relayers->find(relayers->ctx, &session->client_net, found);

    if (status == STATUS_OK && session->trace != NULL) {
        note_found(session, found);
    }
    if (status != STATUS_OK && status != STATUS_NOTFOUND) {
        rules_note(session, "relaying: who logged in cannot be known now, and counts as nobody");
    }
    return status == STATUS_OK ? found : NULL;
}

bool relay_login_permits(const struct session *session)
{
    return relay_login_find(session) != NULL;
}
