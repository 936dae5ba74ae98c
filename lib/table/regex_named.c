/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/regex_named.h"

#include "lib/table/posix_pattern.h"

#include <string.h>

#define DEFAULT_DELIMITER "$|"
#define MAX_FIELD 999u

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool wrong(struct strbuf *why, const char *what)
{
    strbuf_append(why, what);
    return false;
}

/* What Sendmail does with each line: comments go, `$$` becomes `$`. */
static bool undo_dollars(const char *text, struct strbuf *out, struct strbuf *why)
{
    for (; *text != '\0'; text++) {
        if (*text == '#') {
            break;
        }
        if (text[0] == '\\' && text[1] == '#') {
            text++;
        } else if (text[0] == '$' && text[1] == '$') {
            text++;
        } else if (text[0] == '$' && text[1] != '\0' && !is_blank(text[1])) {
            return wrong(why,
                         "in a K line `$` begins a macro of Sendmail, which is not known here; a "
                         "dollar sign itself is `$$`");
        }
        strbuf_append_char(out, *text);
    }
    while (out->len > 0 && is_blank(out->data[out->len - 1])) {
        out->data[--out->len] = '\0';
    }
    return true;
}

/* `1,3,4`; an empty text is the number 0, as Sendmail has it. */
static bool parse_fields(const char *text, struct regex_named *named, struct strbuf *why)
{
    for (;;) {
        unsigned number = 0;

        for (; *text >= '0' && *text <= '9'; text++) {
            number = number > MAX_FIELD ? number : number * 10 + (unsigned)(*text - '0');
        }
        if (*text != ',' && *text != '\0') {
            return wrong(why, "-s is followed by the numbers of groups: -s1,3");
        }
        if (named->field_count == REGEX_NAMED_MAX_FIELDS) {
            return wrong(why, "-s names too many groups");
        }
        named->fields[named->field_count++] = number;
        if (*text++ == '\0') {
            return true;
        }
    }
}

/* One option; `text` is what stands directly behind its letter. */
static bool parse_option(char letter, const char *text, struct regex_named *named, bool *is_basic,
                         struct strbuf *why)
{
    switch (letter) {
    case 'n':
        named->negated = true;
        return true;
    case 'f':
        named->flags &= ~(unsigned)PATTERN_CASELESS;
        return true;
    case 'b':
        *is_basic = true;
        return true;
    case 's':
        named->substrings = true;
        named->field_count = 0;
        return *text == '\0' || parse_fields(text, named, why);
    case 'd':
        named->delimiter = text;
        return true;
    case 'a':
        named->append = text;
        return true;
    case 'm':
        named->match_only = true;
        return true;
    case 'S':
        named->blank = *text;
        return true;
    case 'D':
    case 'T':
    case 'q':
        return true;
    default:
        strbuf_appendf(
            why, "-%c is no option of a regex map; these are -n -f -b -s -d -a -m -S -D -T -q",
            letter);
        return false;
    }
}

/* Takes all options. Returns the pattern, or NULL if one of them is wrong. */
static const char *parse_options(const char *at, struct arena *arena, struct regex_named *named,
                                 bool *is_basic, struct strbuf *why)
{
    for (;;) {
        while (is_blank(*at)) {
            at++;
        }
        if (*at != '-') {
            return at;
        }
        size_t len = 0;

        while (at[len] != '\0' && !is_blank(at[len])) {
            len++;
        }
        const char *word = arena_strndup(arena, at, len);

        if (len < 2) {
            (void)wrong(why, "no letter follows the - of an option");
            return NULL;
        }
        if (!parse_option(word[1], word + 2, named, is_basic, why)) {
            return NULL;
        }
        at += len;
    }
}

/* All groups if none are named; those that are named must be there. */
static bool check_fields(struct regex_named *named, struct strbuf *why)
{
    unsigned groups = pattern_groups(named->pattern);

    if (!named->substrings) {
        return true;
    }
    if (groups + 1 > REGEX_NAMED_MAX_FIELDS) {
        return wrong(why, "the pattern has too many groups for -s");
    }
    for (unsigned i = 0; named->field_count == 0 && i <= groups; i++) {
        named->fields[i] = i;
    }
    named->field_count = named->field_count == 0 ? groups + 1 : named->field_count;
    for (size_t i = 0; i < named->field_count; i++) {
        if (named->fields[i] > groups) {
            strbuf_appendf(why, "-s asks for group %u, but the pattern has %u", named->fields[i],
                           groups);
            return false;
        }
    }
    return true;
}

static bool compile(const char *text, bool is_basic, struct pattern_engine *engine,
                    struct arena *arena, struct regex_named *named, struct strbuf *why)
{
    struct strbuf translated;

    strbuf_init(&translated);
    if (posix_pattern_translate(text, is_basic, &translated, why)) {
        named->text = arena_strndup(arena, translated.data, translated.len);
        named->pattern = pattern_compile(engine, translated.data, translated.len, named->flags,
                                         why);
    }
    strbuf_fini(&translated);
    if (named->pattern == NULL) {
        return false;
    }
    if (!check_fields(named, why)) {
        pattern_free(&named->pattern);
        return false;
    }
    return true;
}

bool regex_named_parse(const char *options, struct pattern_engine *engine, struct arena *arena,
                       struct regex_named *named_out, struct strbuf *why)
{
    struct strbuf line;
    bool is_basic = false;
    bool is_right = false;

    *named_out = (struct regex_named){
        .flags = PATTERN_CASELESS | PATTERN_DOTALL | PATTERN_DOLLAR_ENDONLY,
        .delimiter = DEFAULT_DELIMITER,
        .append = "",
    };
    strbuf_init(&line);
    if (undo_dollars(options, &line, why)) {
        const char *text = parse_options(line.data, arena, named_out, &is_basic, why);

        is_right = text != NULL && compile(text, is_basic, engine, arena, named_out, why);
    }
    strbuf_fini(&line);
    return is_right;
}

/* ---- asking ---- */

static const char *replace_blanks(const char *subject, size_t len, char blank, struct arena *arena)
{
    char *copy = arena_strndup(arena, subject, len);

    for (size_t i = 0; i < len; i++) {
        copy[i] = copy[i] == ' ' ? blank : copy[i];
    }
    return copy;
}

static const char *make_value(const struct regex_named *named,
                              const struct pattern_scratch *scratch, const char *subject,
                              size_t len, struct arena *arena)
{
    struct strbuf value;

    strbuf_init(&value);
    if (named->match_only) {
        strbuf_append_len(&value, subject, len);
    } else if (named->substrings && !named->negated) {
        for (size_t i = 0; i < named->field_count; i++) {
            size_t begin;
            size_t end;

            strbuf_append(&value, i > 0 ? named->delimiter : "");
            if (pattern_group(scratch, named->fields[i], &begin, &end)) {
                strbuf_append_len(&value, subject + begin, end - begin);
            }
        }
    }
    strbuf_append(&value, named->append);
    const char *copy = arena_strndup(arena, value.data, value.len);

    strbuf_fini(&value);
    return copy;
}

enum status regex_named_find(const struct regex_named *named, struct pattern_scratch *scratch,
                             const char *subject, size_t len, struct arena *arena,
                             const char **value_out)
{
    if (named->blank != '\0' && memchr(subject, ' ', len) != NULL) {
        subject = replace_blanks(subject, len, named->blank, arena);
    }
    switch (pattern_match(named->pattern, scratch, subject, len, value_out)) {
    case PATTERN_FAILED:
        return STATUS_TEMPFAIL;
    case PATTERN_MATCH:
        if (named->negated) {
            return STATUS_NOTFOUND;
        }
        break;
    default:
        if (!named->negated) {
            return STATUS_NOTFOUND;
        }
        break;
    }
    *value_out = make_value(named, scratch, subject, len, arena);
    return STATUS_OK;
}
