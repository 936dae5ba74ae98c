/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/encoded_word.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define MAX_CHARSET \
    40u /* longest name; the longest registered one has 45 with its aliases, none in use over 30 */
#define REPLACEMENT "\xef\xbf\xbd"

/* One `=?charset?B?text?=`; the pointers lead into the header. */
struct word {
    const char *charset;
    size_t charset_len;
    char encoding; /* 'B' or 'Q' */
    const char *text;
    size_t text_len;
    const char *end; /* behind it */
};

#define CONVERTER_NONE ((iconv_t)-1)

/* From one character set to UTF-8. */
struct converter {
    char charset[MAX_CHARSET + 1];
    iconv_t handle; /* CONVERTER_NONE: the character set is not known */
};

/* One word after the other may hold parts of one character, so their bytes are converted together. */
struct decoder {
    struct strbuf *out;
    struct strbuf bytes;              /* decoded, not yet converted */
    const struct converter *of_bytes; /* what they are to be converted with */
    struct converter converters[ENCODED_WORD_MAX_CHARSETS];
    unsigned count;
    bool decoded; /* at least one word */
};

/* ---- finding words ---- */

static bool is_charset_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.:+", c) != NULL);
}

/* The next byte of [at, end) that is `c`, before any line end; NULL: none. */
static const char *find(const char *at, const char *end, char c)
{
    while (at < end && *at != c && *at != '\n') {
        at++;
    }
    return at < end && *at == c ? at : NULL;
}

/* Where the text ends: at the first "?=". */
static const char *find_end(const char *at, const char *end)
{
    while ((at = find(at, end, '?')) != NULL && (at + 1 >= end || at[1] != '=')) {
        at++;
    }
    return at;
}

/* Reads the word that begins at `at`, where "=?" stands. */
static bool read_word(const char *at, const char *end, struct word *word)
{
    const char *name = at + 2;
    const char *close = name;

    while (close < end && is_charset_char(*close)) {
        close++;
    }
    word->charset = name;
    word->charset_len = (size_t)(close - name);
    if (close < end && *close == '*') { /* a language behind it: RFC 2231, 5 */
        close = find(close, end, '?');
    }
    if (close == NULL || end - close < 5 || close[0] != '?' || close[2] != '?' ||
        word->charset_len == 0 || word->charset_len > MAX_CHARSET) {
        return false;
    }
    word->encoding = (char)(close[1] & ~0x20);
    word->text = close + 3;

    const char *last = find_end(word->text, end);

    if (last == NULL || (word->encoding != 'B' && word->encoding != 'Q')) {
        return false;
    }
    word->text_len = (size_t)(last - word->text);
    word->end = last + 2;
    return true;
}

/* ---- B and Q ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode_q(const struct word *word, struct strbuf *bytes)
{
    for (size_t i = 0; i < word->text_len; i++) {
        char c = word->text[i];
        int high = -1;
        int low = -1;

        if (c == '=' && i + 2 < word->text_len) {
            high = hex_digit(word->text[i + 1]);
            low = hex_digit(word->text[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            strbuf_append_char(bytes, (char)(high * 16 + low));
            i += 2;
        } else {
            strbuf_append_char(bytes, (char)(c == '_' ? ' ' : c));
        }
    }
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

/* What is no digit is passed over, and a rest without padding counts, as mail programs do it. */
static void decode_b(const struct word *word, struct strbuf *bytes)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < word->text_len && word->text[i] != '='; i++) {
        int digit = base64_digit(word->text[i]);

        if (digit < 0) {
            continue;
        }
        bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            strbuf_append_char(bytes, (char)(bits >> count & 0xff));
        }
    }
}

/* ---- character sets ---- */

/* NULL: it is not known, or there were too many. */
static const struct converter *find_converter(struct decoder *decoder, const char *name, size_t len)
{
    struct converter *converter = decoder->converters;
    const struct converter *end = converter + decoder->count;

    while (converter < end &&
           (strlen(converter->charset) != len || strncasecmp(converter->charset, name, len) != 0)) {
        converter++;
    }
    if (converter == end) {
        if (decoder->count == ENCODED_WORD_MAX_CHARSETS) {
            return NULL;
        }
        decoder->count++;
        memcpy(converter->charset, name, len);
        converter->charset[len] = '\0';
        converter->handle = iconv_open("UTF-8", converter->charset);
    }
    return converter->handle == CONVERTER_NONE ? NULL : converter;
}

static void close_converters(struct decoder *decoder)
{
    for (unsigned i = 0; i < decoder->count; i++) {
        if (decoder->converters[i].handle != CONVERTER_NONE) {
            (void)iconv_close(decoder->converters[i].handle);
        }
    }
}

/* Converts what was decoded so far and appends it. */
static void flush(struct decoder *decoder)
{
    char *in = decoder->bytes.data;
    size_t in_left = decoder->bytes.len;
    char buffer[256];
    bool more = in_left > 0;

    if (more) { /* back to the initial state */
        (void)iconv(decoder->of_bytes->handle, NULL, NULL, NULL, NULL);
    }
    while (more) {
        char *to = buffer;
        size_t room = sizeof(buffer);
        size_t result = iconv(decoder->of_bytes->handle, &in, &in_left, &to, &room);

        strbuf_append_len(decoder->out, buffer, sizeof(buffer) - room);
        if (result != (size_t)-1) {
            more = false;
        } else if (errno != E2BIG) { /* wrong in this character set, or cut off */
            strbuf_append(decoder->out, REPLACEMENT);
            in++;
            in_left--;
            more = in_left > 0;
        }
    }
    strbuf_reset(&decoder->bytes);
}

static void take_word(struct decoder *decoder, const struct word *word,
                      const struct converter *converter)
{
    if (decoder->of_bytes != converter) {
        flush(decoder);
    }
    decoder->of_bytes = converter;
    if (word->encoding == 'B') {
        decode_b(word, &decoder->bytes);
    } else {
        decode_q(word, &decoder->bytes);
    }
    decoder->decoded = true;
}

/* ---- the header ---- */

static bool is_all_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    return at == end;
}

static const char *find_start(const char *at, const char *end)
{
    while (at + 1 < end && (at[0] != '=' || at[1] != '?')) {
        at++;
    }
    return at + 1 < end ? at : NULL;
}

/* Appends what stands before a word, unless it is the gap between two. */
static void take_plain(struct decoder *decoder, const char *at, const char *end, bool after_word)
{
    if (at == end || (after_word && is_all_blank(at, end))) {
        return;
    }
    flush(decoder);
    strbuf_append_len(decoder->out, at, (size_t)(end - at));
}

bool encoded_word_decode(const char *text, size_t len, struct strbuf *out)
{
    const char *end = text + len;
    const char *plain = text; /* what has not been taken yet begins here */
    const char *at = text;
    struct decoder decoder = {.out = out};
    struct word word;

    strbuf_init(&decoder.bytes);
    while ((at = find_start(at, end)) != NULL) {
        const struct converter *converter = NULL;

        if (!read_word(at, end, &word)) {
            at += 2;
            continue;
        }
        converter = find_converter(&decoder, word.charset, word.charset_len);
        if (converter != NULL) {
            take_plain(&decoder, plain, at, decoder.decoded);
            take_word(&decoder, &word, converter);
            plain = word.end;
        }
        at = word.end;
    }
    if (decoder.decoded) {
        take_plain(&decoder, plain, end, false);
        flush(&decoder);
    }
    strbuf_fini(&decoder.bytes);
    close_converters(&decoder);
    return decoder.decoded;
}
