/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/mime_type.h"

#include "lib/base/strbuf.h"

#include <string.h>
#include <strings.h>

#define MAX_TOKENS 3u /* name = value; type / subtype: nobody looks behind them */

struct token {
    char type; /* 'a': a word; '"': a quoted one; else the special character itself */
    size_t offset;
};

/* The tokens up to the next ';'. Their texts lie in `text`, each with its NUL byte. */
struct tokens {
    const unsigned char *at;
    struct strbuf text;
    struct token list[MAX_TOKENS];
    unsigned count;
};

bool mime_kind_is_multipart(enum mime_kind kind)
{
    return kind == MIME_KIND_MULTIPART || kind == MIME_KIND_DIGEST;
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The tspecials of RFC 2045 and control characters end a word. */
static bool is_special(unsigned char c)
{
    return c < ' ' || c == 0x7f || strchr("()<>@,;:\\\"/[]?=", c) != NULL;
}

static void skip_comment(struct tokens *tokens)
{
    unsigned depth = 1;

    while (*tokens->at != '\0' && depth > 0) {
        unsigned char c = *tokens->at++;

        if (c == '(') {
            depth++;
        } else if (c == ')') {
            depth--;
        } else if (c == '\\' && *tokens->at != '\0') {
            tokens->at++;
        }
    }
}

/* Begins a token if there is room for one more; what comes too late is read and forgotten. */
static bool begin(struct tokens *tokens, char type)
{
    if (tokens->count == MAX_TOKENS) {
        return false;
    }
    tokens->list[tokens->count++] = (struct token){.type = type, .offset = tokens->text.len};
    return true;
}

/* A fold inside quotes, with the blanks before it, is not part of the text. */
static void drop_trailing_blanks(struct tokens *tokens, size_t begun)
{
    struct strbuf *text = &tokens->text;

    while (text->len > begun && is_blank((unsigned char)text->data[text->len - 1])) {
        text->data[--text->len] = '\0';
    }
}

/* Behind the opening quote. */
static void read_quoted(struct tokens *tokens)
{
    size_t begun = tokens->text.len;
    bool kept = begin(tokens, '"');

    while (*tokens->at != '\0') {
        unsigned char c = *tokens->at++;

        if (c == '"') {
            break;
        }
        if (c == '\n') {
            drop_trailing_blanks(tokens, begun);
            continue;
        }
        if (c == '\\') {
            if (*tokens->at == '\0') {
                break;
            }
            c = *tokens->at++;
        }
        if (kept) {
            strbuf_append_char(&tokens->text, (char)c);
        }
    }
    if (kept) {
        strbuf_append_char(&tokens->text, '\0');
    }
}

static void read_word(struct tokens *tokens)
{
    const unsigned char *begun = tokens->at;

    while (*tokens->at != '\0' && !is_blank(*tokens->at) && !is_special(*tokens->at)) {
        tokens->at++;
    }
    if (begin(tokens, 'a')) {
        strbuf_append_len(&tokens->text, (const char *)begun, (size_t)(tokens->at - begun));
        strbuf_append_char(&tokens->text, '\0');
    }
}

/* The tokens up to the next ';' or the end. False: the end, and there were none. */
static bool read_parameter(struct tokens *tokens)
{
    strbuf_reset(&tokens->text);
    tokens->count = 0;
    while (*tokens->at != '\0') {
        unsigned char c = *tokens->at;

        if (!is_blank(c) && !is_special(c)) {
            read_word(tokens);
            continue;
        }
        tokens->at++;
        if (c == ';') {
            return true;
        }
        if (c == '(') {
            skip_comment(tokens);
        } else if (c == '"') {
            read_quoted(tokens);
        } else if (!is_blank(c) && begin(tokens, (char)c)) {
            strbuf_append_len(&tokens->text, (const char *)&c, 1);
            strbuf_append_char(&tokens->text, '\0');
        }
    }
    return tokens->count > 0;
}

static const char *text_of(const struct tokens *tokens, unsigned index)
{
    return tokens->text.data + tokens->list[index].offset;
}

static bool is_word(const struct tokens *tokens, unsigned index, const char *word)
{
    return index < tokens->count && tokens->list[index].type == 'a' &&
           strcasecmp(text_of(tokens, index), word) == 0;
}

static bool is_subtype(const struct tokens *tokens, const char *word)
{
    return tokens->count == MAX_TOKENS && tokens->list[1].type == '/' && is_word(tokens, 2, word);
}

static void read_boundaries(struct tokens *tokens, mime_type_boundary *boundary, void *ctx)
{
    while (read_parameter(tokens)) {
        if (tokens->count == MAX_TOKENS && is_word(tokens, 0, "boundary") &&
            tokens->list[1].type == '=') {
            const char *text = text_of(tokens, 2);

            boundary(ctx, text, strlen(text));
        }
    }
}

void mime_type_read(const char *value, enum mime_kind *kind, mime_type_boundary *boundary,
                    void *ctx)
{
    struct tokens tokens = {.at = (const unsigned char *)value};

    strbuf_init(&tokens.text);
    if (!read_parameter(&tokens) || tokens.count == 0) {
        *kind = MIME_KIND_LEAF;
    } else if (is_word(&tokens, 0, "text")) {
        *kind = MIME_KIND_LEAF;
    } else if (is_word(&tokens, 0, "message")) {
        *kind = is_subtype(&tokens, "rfc822") || is_subtype(&tokens, "global") ? MIME_KIND_MESSAGE
                                                                               : MIME_KIND_OPAQUE;
    } else if (is_word(&tokens, 0, "multipart")) {
        *kind = is_subtype(&tokens, "digest") ? MIME_KIND_DIGEST : MIME_KIND_MULTIPART;
        read_boundaries(&tokens, boundary, ctx);
    }
    strbuf_fini(&tokens.text);
}
