/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/regex_text.h"

#include "lib/table/pattern.h"

#include <string.h>
#include <strings.h>

#define MAX_NUMBER_DIGITS 9u
#define SHOWN_MAX 40

const struct regex_dialect regex_dialect_postfix = {.tags = NULL};

static const struct {
    char letter;
    enum pattern_flag flag;
} flag_letters[] = {
    {'i', PATTERN_CASELESS}, {'m', PATTERN_MULTILINE}, {'s', PATTERN_DOTALL},
    {'x', PATTERN_EXTENDED}, {'A', PATTERN_ANCHORED},  {'E', PATTERN_DOLLAR_ENDONLY},
    {'U', PATTERN_UNGREEDY},
};

static const char *const part_words[] = {
    [REGEX_PART_SUBJECT] = "subject",
    [REGEX_PART_LOCAL] = "local",
    [REGEX_PART_DOMAIN] = "domain",
};

/* As isspace() and isalnum() are in the C locale. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static char *skip_blanks(char *at)
{
    while (is_blank(*at)) {
        at++;
    }
    return at;
}

static char *skip_word(char *at)
{
    while (*at != '\0' && !is_blank(*at)) {
        at++;
    }
    return at;
}

static bool error(struct regex_reader *reader, const struct regex_line *line, const char *hint,
                  const char *what, const char *shown)
{
    if (shown == NULL) {
        diag_report(reader->diag, DIAG_ERROR, reader->lines.physical.file, line->number, hint, "%s",
                    what);
    } else {
        diag_report(reader->diag, DIAG_ERROR, reader->lines.physical.file, line->number, hint,
                    "%s: \"%.*s\"", what, SHOWN_MAX, shown);
    }
    return false;
}

static void warning(struct regex_reader *reader, const struct regex_line *line, const char *hint,
                    const char *what, const char *shown)
{
    diag_report(reader->diag, DIAG_WARNING, reader->lines.physical.file, line->number, hint,
                "%s: \"%.*s\"", what, SHOWN_MAX, shown);
}

void regex_reader_init(struct regex_reader *reader, int fd, const char *file,
                       const struct regex_dialect *dialect, struct diag *diag)
{
    *reader = (struct regex_reader){.dialect = dialect, .diag = diag};
    logicalline_init(&reader->lines, fd, file, diag);
    strbuf_init(&reader->written);
}

void regex_reader_fini(struct regex_reader *reader)
{
    logicalline_fini(&reader->lines);
    strbuf_fini(&reader->written);
}

/* ---- patterns ---- */

static char *read_flags(struct regex_reader *reader, char *at, struct regex_line *line)
{
    for (; *at != '\0' && !is_blank(*at); at++) {
        size_t i = 0;

        while (i < sizeof(flag_letters) / sizeof(flag_letters[0]) &&
               flag_letters[i].letter != *at) {
            i++;
        }
        if (i < sizeof(flag_letters) / sizeof(flag_letters[0])) {
            line->flags ^= flag_letters[i].flag;
        } else if (*at == 'D' && reader->dialect->decoded) {
            line->decoded = !line->decoded;
        } else if (*at == 'X') {
            warning(reader, line, "it means nothing any more", "the flag X is ignored", at);
        } else {
            char letter[2] = {*at, '\0'};

            (void)error(reader, line, "a blank stands between the flags and the result",
                        "there is no such flag", letter);
            return NULL;
        }
    }
    return at;
}

/* `!/pattern/flags`. Returns what follows, or NULL after a report. */
static char *read_pattern(struct regex_reader *reader, char *at, struct regex_line *line)
{
    for (; *at == '!' || is_blank(*at); at++) {
        line->negated ^= *at == '!';
    }
    if (*at == '\0') {
        (void)error(reader, line, NULL, "there is no pattern", NULL);
        return NULL;
    }
    char delimiter = *at++;

    line->pattern = at;
    /* A backslash is looked at first: it cannot be the delimiter. */
    while (*at != '\0' && (*at == '\\' || *at != delimiter)) {
        at += *at == '\\' && at[1] != '\0' ? 2 : 1;
    }
    if (*at == '\0') {
        char shown[2] = {delimiter, '\0'};

        (void)error(reader, line, "a delimiter inside of the pattern is written behind a backslash",
                    "the pattern has no end, which is its delimiter", shown);
        return NULL;
    }
    line->pattern_len = (size_t)(at - line->pattern);
    *at++ = '\0';
    line->flags = PATTERN_CASELESS | PATTERN_DOTALL;
    return read_flags(reader, at, line);
}

/* ---- conditions ---- */

/* The sign behind one of the parts, or NULL if this is no condition. */
static char *find_sign(char *at, enum regex_part *part_out)
{
    for (size_t i = 0; i < sizeof(part_words) / sizeof(part_words[0]); i++) {
        size_t len = strlen(part_words[i]);

        if (strncasecmp(at, part_words[i], len) == 0) {
            char *behind = at + len;

            *part_out = (enum regex_part)i;
            behind += *behind == '!';
            if (*behind == '~' || *behind == '=') {
                return at + len;
            }
        }
    }
    return NULL;
}

static bool is_condition(const struct regex_reader *reader, char *at)
{
    enum regex_part part;

    return reader->dialect->named && find_sign(at, &part) != NULL;
}

static void make_lower(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text = (char)(*text + ('a' - 'A'));
        }
    }
}

/* All conditions from `at` on. Returns what follows, or NULL after a report. */
static char *read_conditions(struct regex_reader *reader, char *at, struct regex_line *line)
{
    enum regex_part part = REGEX_PART_SUBJECT;
    char *sign;

    while ((sign = find_sign(at, &part)) != NULL) {
        bool is_negated = *sign == '!';
        bool is_named = sign[is_negated] == '~';
        char *text = sign + is_negated + 1;
        char *end = skip_word(text);

        if (text == end) {
            (void)error(reader, line, "it is written without blanks: domain=example.org",
                        "nothing stands behind the condition", at);
            return NULL;
        }
        if (line->condition_count == REGEX_MAX_CONDITIONS) {
            (void)error(reader, line, NULL, "there are too many conditions", NULL);
            return NULL;
        }
        at = *end == '\0' ? end : skip_blanks(end + 1);
        *end = '\0';
        if (!is_named) {
            make_lower(text);
        }
        line->conditions[line->condition_count++] = (struct regex_condition){
            .part = part, .negated = is_negated, .named = is_named, .text = text};
    }
    return at;
}

static char *read_test(struct regex_reader *reader, char *at, struct regex_line *line)
{
    return is_condition(reader, at) ? read_conditions(reader, at, line)
                                    : read_pattern(reader, at, line);
}

/* ---- what a dialect adds ---- */

/* Behind a tag, whose bit is set, or `at` as it is. */
static char *read_tag(const struct regex_reader *reader, char *at, struct regex_line *line)
{
    const char *const *tags = reader->dialect->tags;

    for (unsigned bit = 0; tags != NULL && tags[bit] != NULL; bit++) {
        size_t len = strlen(tags[bit]);

        if (strncasecmp(at, tags[bit], len) == 0 && at[len] == ':') {
            line->tags = 1u << bit;
            return skip_blanks(at + len + 1);
        }
    }
    return at;
}

/* The bit of a word of `if client`; 0: there is none of that name. */
static unsigned client_bit(const struct regex_reader *reader, const char *word)
{
    const char *const *words = reader->dialect->client;

    for (unsigned bit = 0; words[bit] != NULL; bit++) {
        if (strcasecmp(words[bit], word) == 0) {
            return 1u << bit;
        }
    }
    return 0;
}

static bool read_client(struct regex_reader *reader, char *at, struct regex_line *line)
{
    at = skip_blanks(at);
    if (*at == '\0') {
        return error(reader, line, NULL, "no word follows `if client`", NULL);
    }
    while (*at != '\0') {
        bool is_negated = *at == '!';
        char *word = at + is_negated;
        char *end = skip_word(word);

        at = *end == '\0' ? end : skip_blanks(end + 1);
        *end = '\0';
        unsigned bit = client_bit(reader, word);

        if (bit == 0) {
            return error(reader, line, NULL, "`if client` knows no such word", word);
        }
        if ((line->client_mask & bit) != 0) {
            return error(reader, line, NULL, "`if client` names the word twice", word);
        }
        line->client_mask |= bit;
        line->client_bits |= is_negated ? 0 : bit;
    }
    return true;
}

static bool read_number(char **at, unsigned long *value_out)
{
    size_t digits = strspn(*at, "0123456789");

    if (digits == 0 || digits > MAX_NUMBER_DIGITS ||
        ((*at)[digits] != '\0' && !is_blank((*at)[digits]))) {
        return false;
    }
    *value_out = 0;
    for (; digits > 0; digits--) {
        *value_out = *value_out * 10 + (unsigned long)(*(*at)++ - '0');
    }
    *at = skip_blanks(*at);
    return true;
}

/* A header's name, with or without its colon; ends in a NUL byte. */
static bool read_name(char **at, const char **name_out)
{
    char *name = *at;
    char *end = skip_word(name);

    *at = *end == '\0' ? end : skip_blanks(end + 1);
    *end = '\0';
    if (end > name && end[-1] == ':') {
        *--end = '\0';
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == ':') {
            return false;
        }
    }
    *name_out = name;
    return end > name;
}

/* The keyword that the line begins with, or NULL. */
static const struct regex_keyword *find_keyword(const struct regex_reader *reader, const char *at)
{
    const struct regex_keyword *keyword = reader->dialect->keywords;

    for (; keyword != NULL && keyword->word != NULL; keyword++) {
        size_t len = strlen(keyword->word);

        if (strncasecmp(at, keyword->word, len) == 0 && (at[len] == '\0' || is_blank(at[len]))) {
            return keyword;
        }
    }
    return NULL;
}

static bool read_keyword(struct regex_reader *reader, char *at, struct regex_line *line)
{
    line->kind = REGEX_KEYWORD;
    at = skip_blanks(at + strlen(line->keyword->word));
    if (line->keyword->name && !read_name(&at, &line->name)) {
        return error(reader, line, NULL, "no name of a header follows the word",
                     line->keyword->word);
    }
    if (line->keyword->number && !read_number(&at, &line->value)) {
        return error(reader, line, NULL, "a number has to follow", line->keyword->word);
    }
    line->result = at;
    return true;
}

/* `Kname class options`, as sendmail.cf has them. */
static bool is_named(const struct regex_reader *reader, const char *at)
{
    if (!reader->dialect->named || *at != 'K' || !is_alnum(at[1])) {
        return false;
    }
    do {
        at++;
    } while (is_alnum(*at) || *at == '_' || *at == '.');
    return is_blank(*at);
}

static bool read_named(struct regex_reader *reader, char *at, struct regex_line *line)
{
    char *name_end = skip_word(at);
    char *kind = skip_blanks(name_end);
    char *kind_end = skip_word(kind);

    line->kind = REGEX_NAMED;
    line->name = at + 1;
    line->options = skip_blanks(kind_end);
    *name_end = '\0';
    *kind_end = '\0';
    if (strcasecmp(kind, "regex") != 0) {
        return error(reader, line, "only maps of class regex can be defined here",
                     "maps of this class are not known", kind);
    }
    line->result = "";
    return true;
}

/* ---- lines ---- */

static bool read_if(struct regex_reader *reader, char *at, struct regex_line *line)
{
    static const char client[] = "client";

    line->kind = REGEX_IF;
    at = skip_blanks(at);
    if (reader->dialect->client != NULL && strncasecmp(at, client, sizeof(client) - 1) == 0 &&
        (at[sizeof(client) - 1] == '\0' || is_blank(at[sizeof(client) - 1]))) {
        return read_client(reader, at + sizeof(client) - 1, line);
    }
    at = read_test(reader, read_tag(reader, at, line), line);
    if (at == NULL) {
        return false;
    }
    at = skip_blanks(at);
    if (*at != '\0') {
        warning(reader, line, "a line that starts with a blank belongs to the one before it",
                "text behind the pattern of an `if` is ignored", at);
    }
    return true;
}

static void read_endif(struct regex_reader *reader, char *at, struct regex_line *line)
{
    line->kind = REGEX_ENDIF;
    at = skip_blanks(at);
    if (*at != '\0') {
        warning(reader, line, NULL, "text behind `endif` is ignored", at);
    }
}

/* Is it this word, and not the begin of a longer one? */
static bool is_word(const char *at, const char *word)
{
    size_t len = strlen(word);

    return strncasecmp(at, word, len) == 0 && !is_alnum(at[len]);
}

/* `[Tag:] test result`. */
static bool read_rule(struct regex_reader *reader, char *at, struct regex_line *line)
{
    char *test = read_tag(reader, at, line);

    line->kind = REGEX_MATCH;
    if (is_alnum(*test) && !is_condition(reader, test)) {
        return test == at
                   ? error(reader, line, "a pattern stands between delimiters: /pattern/  RESULT",
                           "the line is not understood", at)
                   : error(reader, line, "a pattern stands between delimiters: /pattern/  RESULT",
                           "no pattern follows the tag", test);
    }
    at = read_test(reader, test, line);
    if (at == NULL) {
        return false;
    }
    line->result = skip_blanks(at);
    return true;
}

static bool read_line(struct regex_reader *reader, char *at, struct regex_line *line)
{
    if (is_blank(*at)) {
        return error(reader, line, "take the blanks away",
                     "the line starts with a blank, but there is none before it to go on with",
                     skip_blanks(at));
    }
    if (is_word(at, "if")) {
        return read_if(reader, at + 2, line);
    }
    if (is_word(at, "endif")) {
        read_endif(reader, at + 5, line);
        return true;
    }
    line->keyword = find_keyword(reader, at);
    if (line->keyword != NULL) {
        return read_keyword(reader, at, line);
    }
    if (is_named(reader, at)) {
        return read_named(reader, at, line);
    }
    return read_rule(reader, at, line);
}

/* The left-hand side as it was written: all that stands in front of the result. */
static const char *cut_written(struct regex_reader *reader, const struct regex_line *line)
{
    char *text = reader->written.data;
    size_t len = reader->written.len;

    if (line->kind == REGEX_MATCH || line->kind == REGEX_KEYWORD) {
        len = (size_t)(line->result - reader->lines.text.data);
    }
    while (len > 0 && is_blank(text[len - 1])) {
        len--;
    }
    text[len] = '\0';
    return text;
}

bool regex_reader_next(struct regex_reader *reader, struct regex_line *line_out)
{
    while (logicalline_next(&reader->lines)) {
        *line_out = (struct regex_line){.number = reader->lines.number};
        strbuf_reset(&reader->written);
        strbuf_append_len(&reader->written, reader->lines.text.data, reader->lines.text.len);
        if (read_line(reader, reader->lines.text.data, line_out)) {
            line_out->written = cut_written(reader, line_out);
            return true;
        }
    }
    return false;
}
