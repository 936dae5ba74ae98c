/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of a relay store may hold: values, journals, and texts that people edited. */
#include "lib/relay/relay_entry.h"
#include "lib/relay/relay_journal.h"
#include "lib/relay/relay_replay.h"
#include "lib/relay/relay_text.h"
#include "lib/table/hash64.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* What was read is sound, and written again it reads the same. */
static void require_entry(const struct relay_entry *entry)
{
    char key[RELAY_KEY_SIZE];
    struct netaddr addr;
    struct relay_entry again;
    struct strbuf value;
    struct strbuf texts;
    const char *why;

    strbuf_init(&value);
    strbuf_init(&texts);
    FUZZ_REQUIRE(relay_entry_is_sound(entry, &why));
    FUZZ_REQUIRE(relay_entry_parse_address(relay_entry_key(&entry->addr, key), &addr, &why));
    FUZZ_REQUIRE(netaddr_equal(&addr, &entry->addr));
    relay_entry_format_value(entry, &value);
    FUZZ_REQUIRE(relay_entry_parse_value(value.data, value.len, &texts, &again, &why));
    FUZZ_REQUIRE(again.login_at == entry->login_at);
    FUZZ_REQUIRE(strcmp(again.user, entry->user) == 0);
    FUZZ_REQUIRE(strcmp(again.service, entry->service) == 0);
    strbuf_fini(&value);
    strbuf_fini(&texts);
}

static void visit(void *ctx, const struct relay_entry *entry)
{
    require_entry(entry);
    ++*(size_t *)ctx;
}

static void require_index(const struct relay_index *index)
{
    size_t cursor = 0;
    size_t count = 0;

    while (relay_index_walk(index, &cursor, visit, &count)) {
    }
    FUZZ_REQUIRE(count == relay_index_count(index));
}

/* A journal; twice, because reading it a second time must change nothing. */
static void fuzz_journal(const char *text, size_t len)
{
    struct relay_index *index = relay_index_new();
    struct relay_replay first;
    struct relay_replay second;

    relay_replay_text(text, len, index, &first);
    FUZZ_REQUIRE(first.good_bytes + first.torn_bytes <= len);
    FUZZ_REQUIRE(first.bad == 0 || first.bad_why != NULL);
    require_index(index);
    size_t count = relay_index_count(index);

    relay_replay_text(text, len, index, &second);
    FUZZ_REQUIRE(second.lines == first.lines && second.bad == first.bad);
    FUZZ_REQUIRE(relay_index_count(index) == count);
    relay_index_free(&index);

    /* What counts of it is sound by itself: the rest may be cut off. */
    index = relay_index_new();
    relay_replay_text(text, (size_t)first.good_bytes, index, &second);
    FUZZ_REQUIRE(first.bad > 0 || (second.torn_bytes == 0 && relay_index_count(index) == count));
    relay_index_free(&index);
}

/* The same with the checksums that the lines should have, so that what is behind them is reached. */
static void fuzz_checked_journal(struct arena *arena, const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size, arena};
    struct strbuf journal;

    strbuf_init(&journal);
    while (input.left > 0) {
        const char *line = fuzz_line(&input);

        strbuf_appendf(&journal, "%08x %s\n", (unsigned)(uint32_t)hash64(line, strlen(line), 0),
                       line);
    }
    fuzz_journal(journal.data, journal.len);
    strbuf_fini(&journal);
}

static void fuzz_lines(struct arena *arena, const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size, arena};
    struct strbuf texts;

    strbuf_init(&texts);
    while (input.left > 0) {
        char *line = arena_strdup(arena, fuzz_line(&input));
        struct relay_entry entry;
        const char *why;

        if (relay_entry_parse_value(line, strlen(line), &texts, &entry, &why)) {
            entry.addr = (struct netaddr){.family = NETADDR_IPV4, .bits = 32};
            require_entry(&entry);
        }
        if (relay_text_parse_line(line, &texts, &entry, &why)) {
            require_entry(&entry);
        }
    }
    strbuf_fini(&texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();

    fuzz_journal((const char *)data, size);
    fuzz_checked_journal(arena, data, size);
    fuzz_lines(arena, data, size);
    arena_free(&arena);
    return 0;
}
