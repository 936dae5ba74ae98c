/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_text.h"

#include "lib/base/strbuf.h"

#include <stddef.h>
#include <string.h>

/* Where each word has its value. */
static const struct {
    const char *word;
    size_t offset;
} words[] = {
    {"client", offsetof(struct dns_text, client)}, {"list", offsetof(struct dns_text, list)},
    {"query", offsetof(struct dns_text, query)},   {"answer", offsetof(struct dns_text, answer)},
    {"text", offsetof(struct dns_text, text)},
};

/* The word at "%{", and what stands behind it; NULL: there is none of that name. */
static const char *value_at(const char *at, const struct dns_text *text, const char **rest)
{
    size_t len = strcspn(at + 2, "}");

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && at[2 + len] == '}'; i++) {
        if (strlen(words[i].word) == len && strncmp(at + 2, words[i].word, len) == 0) {
            *rest = at + 2 + len + 1;
            return *(const char *const *)((const char *)text + words[i].offset);
        }
    }
    return NULL;
}

const char *dns_text_check(const char *reply, char first)
{
    static const struct dns_text none = {"", "", "", "", ""};
    struct arena *arena = arena_new();
    struct reply parsed;
    bool good = reply_parse(reply, NULL, arena, &parsed) && *parsed.text != '\0';
    const char *rest;

    arena_free(&arena);
    if (!good) {
        return "write a reply with its code, such as \"550 5.7.1 Rejected: %{client} listed at "
               "%{list}\"";
    }
    if (first != '\0' && *reply != first) {
        return first == '4' ? "its code must be 4xx" : "its code must be 5xx";
    }
    for (const char *at = strstr(reply, "%{"); at != NULL; at = strstr(rest, "%{")) {
        if (value_at(at, &none, &rest) == NULL) {
            return "it knows %{client}, %{list}, %{query}, %{answer} and %{text}";
        }
    }
    return NULL;
}

bool dns_text_wants_record(const char *reply)
{
    return strstr(reply, "%{text}") != NULL;
}

static void expand(const char *from, const struct dns_text *text, struct strbuf *out)
{
    const char *rest;

    for (const char *at = strstr(from, "%{"); at != NULL; at = strstr(from, "%{")) {
        const char *value = value_at(at, text, &rest);

        strbuf_append_len(out, from, (size_t)(at - from));
        strbuf_append(out, value == NULL ? "" : value);
        from = value == NULL ? at + 2 : rest;
    }
    strbuf_append(out, from);
}

struct reply dns_text_reply(const char *reply, const struct dns_text *text, struct arena *arena)
{
    struct reply parsed = reply_make(451, "4.3.0", "Temporary system failure");
    struct strbuf out;

    /* First the code, then the words: what a list or a client says must not be taken for one. */
    if (!reply_parse(reply, "5.7.1", arena, &parsed)) {
        return parsed;
    }
    if (parsed.code < 500 && parsed.dsn[0] == '5') {
        parsed.dsn[0] = '4';
    }
    strbuf_init(&out);
    expand(parsed.text, text, &out);
    parsed.text = reply_clean(arena, out.data);
    strbuf_fini(&out);
    return parsed;
}
