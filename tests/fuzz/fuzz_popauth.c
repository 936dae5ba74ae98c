/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines and events of popauth_socket: what is taken can be recorded, and comes back from the disk as it was. */
#include "lib/relay/relay_entry.h"
#include "milter/popauth_event.h"
#include "milter/popauth_line.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define NOW 1695420927

static void require_kept(const struct relay_entry *entry)
{
    char key[RELAY_KEY_SIZE];
    struct netaddr addr;
    struct relay_entry again;
    struct strbuf value;
    struct strbuf texts;
    const char *why = NULL;

    FUZZ_REQUIRE(entry->login_at == NOW);
    FUZZ_REQUIRE(strlen(entry->user) <= RELAY_USER_MAX &&
                 strlen(entry->service) <= RELAY_SERVICE_MAX);
    FUZZ_REQUIRE(relay_entry_parse_address(relay_entry_key(&entry->addr, key), &addr, &why));
    FUZZ_REQUIRE(netaddr_equal(&addr, &entry->addr));
    strbuf_init(&value);
    strbuf_init(&texts);
    relay_entry_format_value(entry, &value);
    for (size_t i = 0; i < value.len; i++) {
        FUZZ_REQUIRE(value.data[i] >= ' ' && value.data[i] < 0x7f);
    }
    FUZZ_REQUIRE(relay_entry_parse_value(value.data, value.len, &texts, &again, &why));
    FUZZ_REQUIRE(again.login_at == NOW && strcmp(again.user, entry->user) == 0 &&
                 strcmp(again.service, entry->service) == 0);
    strbuf_fini(&value);
    strbuf_fini(&texts);
}

static void try_event(const char *data, size_t size, struct strbuf *texts)
{
    struct popauth_line line;
    const char *why = NULL;

    switch (popauth_event_parse(data, size, NOW, texts, &line, &why)) {
    case POPAUTH_EVENT_TAKEN:
        FUZZ_REQUIRE(line.verb != POPAUTH_ADD && *line.session != '\0');
        FUZZ_REQUIRE(strcmp(line.entry.service, "imap") == 0 ||
                     strcmp(line.entry.service, "pop3") == 0);
        require_kept(&line.entry);
        break;
    case POPAUTH_EVENT_WRONG:
        FUZZ_REQUIRE(why != NULL && *why != '\0');
        break;
    case POPAUTH_EVENT_IGNORED:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct popauth_line line;
    struct strbuf texts;
    const char *why = NULL;

    strbuf_init(&texts);
    if (size > 0 && data[0] == '{') {
        try_event((const char *)data, size, &texts);
        strbuf_fini(&texts);
        return 0;
    }
    if (popauth_line_parse((const char *)data, size, NOW, &texts, &line, &why)) {
        const char *verb = popauth_line_verb(line.verb);

        FUZZ_REQUIRE(memmem(data, size, verb, strlen(verb)) != NULL);
        FUZZ_REQUIRE(strlen(line.session) <= POPAUTH_SESSION_MAX);
        require_kept(&line.entry);
    } else {
        FUZZ_REQUIRE(why != NULL && *why != '\0');
    }
    strbuf_fini(&texts);
    return 0;
}
