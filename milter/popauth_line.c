/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/popauth_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const verbs[] = {
    [POPAUTH_LOGIN] = "login",
    [POPAUTH_LOGOUT] = "logout",
    [POPAUTH_ADD] = "add",
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

const char *popauth_line_verb(enum popauth_verb verb)
{
    return verbs[verb];
}

/* The next word, after blanks; empty at the end of the line. */
struct word {
    const char *at;
    size_t len;
};

static struct word next_word(const char **at, const char *end)
{
    while (*at < end && **at == ' ') {
        (*at)++;
    }
    struct word word = {.at = *at};

    while (*at < end && **at != ' ') {
        (*at)++;
    }
    word.len = (size_t)(*at - word.at);
    return word;
}

static bool parse_verb(const struct word *word, enum popauth_verb *verb_out, const char **why_out)
{
    for (size_t i = 0; i < VERBS; i++) {
        if (word->len == strlen(verbs[i]) && memcmp(word->at, verbs[i], word->len) == 0) {
            *verb_out = (enum popauth_verb)i;
            return true;
        }
    }
    *why_out = "the request is none of login, logout, add";
    return false;
}

static bool parse_address(const struct word *word, struct popauth_line *line, const char **why_out)
{
    char text[RELAY_KEY_SIZE];
    struct netaddr *addr = &line->entry.addr;

    if (word->len == 0) {
        *why_out = "there is no address";
        return false;
    }
    if (word->len >= sizeof(text)) {
        *why_out = "no IP address";
        return false;
    }
    (void)memcpy(text, word->at, word->len);
    text[word->len] = '\0';
    if (!relay_entry_parse_address(text, addr, why_out)) {
        return false;
    }
    if (line->verb != POPAUTH_ADD && addr->bits != netaddr_width(addr->family)) {
        *why_out = "a client logs in from one address, not from a network";
        return false;
    }
    return true;
}

/* Does the word begin with the name? It is taken off. */
static bool take_name(struct word *word, const char *name)
{
    size_t len = strlen(name);

    if (word->len < len || memcmp(word->at, name, len) != 0) {
        return false;
    }
    word->at += len;
    word->len -= len;
    return true;
}

/* The words that are no part of the entry: `session=ID` and `keep=no`. */
static bool find_words(const char *at, const char *end, struct popauth_line *line,
                       const char **why_out)
{
    struct word word;

    while ((word = next_word(&at, end)).len > 0) {
        if (take_name(&word, "session=")) {
            if (word.len > POPAUTH_SESSION_MAX) {
                *why_out = "session is too long";
                return false;
            }
            (void)memcpy(line->session, word.at, word.len);
            line->session[word.len] = '\0';
        } else if (take_name(&word, "keep=")) {
            line->is_told_again = word.len == 2 && memcmp(word.at, "no", 2) == 0;
        }
    }
    return true;
}

/* What follows the address has the form of a value without its date. */
static bool parse_texts(const char *at, const char *end, int64_t now, struct strbuf *texts,
                        struct relay_entry *entry, const char **why_out)
{
    struct strbuf value;

    strbuf_init(&value);
    strbuf_appendf(&value, "%" PRId64 " ", now);
    strbuf_append_len(&value, at, (size_t)(end - at));
    bool parsed = relay_entry_parse_value(value.data, value.len, texts, entry, why_out);

    strbuf_fini(&value);
    return parsed;
}

bool popauth_line_parse(const char *line, size_t len, int64_t now, struct strbuf *texts,
                        struct popauth_line *line_out, const char **why_out)
{
    const char *at = line;
    const char *end = line + len;

    strbuf_reset(texts);
    *line_out = (struct popauth_line){.entry = {.user = "", .service = ""}};
    for (const char *c = line; c < end; c++) {
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f) {
            *why_out = "a byte that is not printable ASCII: write it as %XX";
            return false;
        }
    }
    struct word verb = next_word(&at, end);
    struct word address = next_word(&at, end);

    return parse_verb(&verb, &line_out->verb, why_out) &&
           parse_address(&address, line_out, why_out) && find_words(at, end, line_out, why_out) &&
           parse_texts(at, end, now, texts, &line_out->entry, why_out);
}
