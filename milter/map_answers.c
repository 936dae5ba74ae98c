/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/map_answers.h"

#include "lib/mail/domain.h"
#include "lib/mail/netaddr.h"
#include "lib/policy/relay_maps.h"
#include "lib/policy/ruleset.h"
#include "lib/relay/relay_lookup.h"
#include "lib/table/table.h"

#include <string.h>

static const struct {
    const char *name;
    enum map_name map;
} names[] = {
    {"relayers", MAP_RELAYERS}, {"drac", MAP_RELAYERS}, {"relay_client", MAP_RELAY_CLIENT},
    {"relay_to", MAP_RELAY_TO}, {"access", MAP_ACCESS},
};

static enum map_name find_name(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0) {
            return names[i].map;
        }
    }
    return MAP_NONE;
}

bool map_answers_parse(const char *text, size_t len, struct map_question *question_out)
{
    const char *blank = len == 0 ? NULL : memchr(text, ' ', len);

    if (blank == NULL) {
        return false;
    }
    size_t name_len = (size_t)(blank - text);

    *question_out = (struct map_question){
        .map = find_name(text, name_len),
        .key = blank + 1,
        .key_len = len - name_len - 1,
    };
    return true;
}

bool map_answers_at_once(const struct map_question *question, const struct relay_lookup *relayers)
{
    return question->map == MAP_NONE ||
           (question->map == MAP_RELAYERS && (relayers == NULL || !relayers->waits));
}

/* ---- relaying ---- */

static enum status ask_session(const struct map_facts *facts, enum map_name map, const char *key)
{
    const struct session_client client = {.hostname = facts->hostname};
    struct session session;

    session_init(&session, facts->ruleset, NULL);
    session.relayers = facts->relayers;
    session_connect(&session, &client);
    enum status status = map == MAP_RELAY_CLIENT ? relay_maps_client(&session, key)
                                                 : relay_maps_recipient(&session, key);

    session_fini(&session);
    return status;
}

static enum status ask_relaying(const struct map_facts *facts, enum map_name map, const char *key)
{
    const struct config *config = ruleset_config(facts->ruleset);

    if (config->relay_control == RELAY_CONTROL_OFF) {
        return STATUS_NOTFOUND;
    }
    return map == MAP_RELAYERS ? relay_maps_relayers(config, facts->relayers, key)
                               : ask_session(facts, map, key);
}

/* ---- the access map ---- */

/* As lookups fold keys: lower case, no quotes and backslashes, an IPv6 address with all its groups. In place, or in `arena`. */
static const char *fold_key(struct arena *arena, char *key)
{
    char text[NETADDR_TEXT_SIZE];
    struct netaddr addr;
    char *to = key;

    for (const char *from = key; *from != '\0'; from++) {
        if (*from != '"' && *from != '\\') {
            *to++ = *from;
        }
    }
    *to = '\0';
    domain_fold(key);

    const char *colon = strchr(key, ':');
    const char *name = colon == NULL || strncmp(key, "ipv6:", 5) == 0 ? key : colon + 1;

    if (netaddr_parse(name, &addr) && addr.family == NETADDR_IPV6) {
        key = arena_printf(arena, "%.*s%s", (int)(name - key), key, netaddr_format(&addr, text));
        domain_fold(key);
    }
    return key;
}

static enum status ask_access(const struct map_facts *facts, char *key, struct arena *arena,
                              struct strbuf *answer)
{
    const struct table *table = ruleset_access(facts->ruleset);
    struct table_value value = {0};
    enum status status = STATUS_NOTFOUND;

    if (table != NULL && *key != '\0') {
        const char *folded = fold_key(arena, key);

        status = table_find(table, folded, strlen(folded), arena, &value);
    }
    if (status == STATUS_OK) {
        strbuf_append(answer, "OK ");
        strbuf_append_len(answer, value.text, value.len);
    } else if (status == STATUS_NOTFOUND) {
        strbuf_append(answer, "NOTFOUND ");
    } else {
        strbuf_append(answer, "TEMP the access map cannot be read");
    }
    return status;
}

enum status map_answers_find(const struct map_facts *facts, const struct map_question *question,
                             struct strbuf *answer)
{
    if (question->map == MAP_NONE) {
        strbuf_append(answer, "PERM there is no map of this name");
        return STATUS_INVALID;
    }
    if (question->key_len > MAP_QUESTION_MAX ||
        (question->key_len > 0 && memchr(question->key, '\0', question->key_len) != NULL)) {
        strbuf_append(answer, "NOTFOUND ");
        return STATUS_NOTFOUND;
    }
    struct arena *arena = arena_new();
    char *key = arena_strndup(arena, question->key, question->key_len);
    enum status status;

    if (question->map == MAP_ACCESS) {
        status = ask_access(facts, key, arena, answer);
    } else {
        status = ask_relaying(facts, question->map, key);
        strbuf_append(answer, status == STATUS_OK ? "OK OK" : "NOTFOUND ");
    }
    arena_free(&arena);
    return status;
}
