/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/action.h"

#include "lib/policy/action_reply.h"
#include "lib/policy/action_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Where a verb means something. */
enum {
    ACCESS = 1u << 0,  /* Sendmail's dialect */
    REGEX = 1u << 1,   /* patterns of the envelope */
    HEADERS = 1u << 2, /* patterns of headers */
    PATTERNS = REGEX | HEADERS,
};

/* What follows a verb. */
enum form {
    ALONE,
    COLON,  /* ":text" */
    MAYBE,  /* a blank and a text, or nothing */
    NEEDED, /* a blank and a text */
};

static const struct verb {
    const char *name;
    enum action_kind kind;
    unsigned where;
    enum form form;
} verbs[] = {
    {"OK", ACTION_OK, ACCESS, ALONE},
    {"RELAY", ACTION_RELAY, ACCESS | REGEX, ALONE},
    {"REJECT", ACTION_REJECT, ACCESS, ALONE},
    {"DISCARD", ACTION_DISCARD, ACCESS, ALONE},
    {"SKIP", ACTION_SKIP, ACCESS, ALONE},
    {"FRIEND", ACTION_FRIEND, ACCESS, ALONE},
    {"HATER", ACTION_HATER, ACCESS, ALONE},
    {"SUBJECT", ACTION_SUBJECT, ACCESS, ALONE},
    {"QUARANTINE", ACTION_QUARANTINE, ACCESS | PATTERNS, COLON},
    {"ERROR", ACTION_ERROR, ACCESS | PATTERNS, COLON},
    {"TEMP", ACTION_TEMP, ACCESS | REGEX, COLON},
    {"OK", ACTION_OK, PATTERNS, MAYBE},
    {"REJECT", ACTION_REJECT, PATTERNS, MAYBE},
    {"DISCARD", ACTION_DISCARD, PATTERNS, MAYBE},
    {"DUNNO", ACTION_DUNNO, PATTERNS, MAYBE},
    {"HOLD", ACTION_QUARANTINE, PATTERNS, MAYBE},
    {"DEFER", ACTION_ERROR, PATTERNS, MAYBE},
    {"DEFER_IF_PERMIT", ACTION_DEFER_IF_PERMIT, REGEX, MAYBE},
    {"DEFER_IF_REJECT", ACTION_DEFER_IF_REJECT, REGEX, MAYBE},
    {"INFO", ACTION_INFO, PATTERNS, MAYBE},
    {"WARN", ACTION_WARN, PATTERNS, MAYBE},
    {"PREPEND", ACTION_PREPEND, PATTERNS, NEEDED},
    {"BCC", ACTION_BCC, PATTERNS, NEEDED},
    {"REDIRECT", ACTION_REDIRECT, PATTERNS, NEEDED},
    {"IGNORE", ACTION_IGNORE, HEADERS, MAYBE},
    {"STRIP", ACTION_STRIP, HEADERS, MAYBE},
    {"REPLACE", ACTION_REPLACE, HEADERS, NEEDED},
    {"PASS", ACTION_PASS, HEADERS, MAYBE},
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

const char *action_kind_name(enum action_kind kind)
{
    for (size_t i = 0; i < VERBS; i++) {
        if (verbs[i].kind == kind) {
            return verbs[i].name;
        }
    }
    return "?";
}

bool action_is_discard_with_text(const char *text)
{
    return strncasecmp(text, "DISCARD:", 8) == 0;
}

static bool problem(struct action_problem *problem_out, const char *text, const char *hint)
{
    *problem_out = (struct action_problem){.text = text, .hint = hint};
    return false;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

/* ---- hints ---- */

/* Edit distance of two short words, without regard to case; 9 if one is longer than 15 letters. */
static unsigned distance(const char *a, size_t a_len, const char *b)
{
    size_t b_len = strlen(b);
    unsigned row[16];

    if (a_len > 15 || b_len > 15) {
        return 9;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned same = toupper((unsigned char)a[i - 1]) == b[j - 1] ? 0 : 1;
            unsigned best = diagonal + same;

            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_len];
}

/* A verb of this place, and what follows it is wrong. */
static bool wrong_form(const struct verb *verb, const char *rest, struct arena *arena,
                       struct action_problem *out)
{
    const char *name = verb->name;

    if (verb->form == COLON) {
        return problem(out, arena_printf(arena, "%s needs a text", name),
                       arena_printf(arena, "write %s:text", name));
    }
    if (verb->form == NEEDED) {
        return problem(out, arena_printf(arena, "%s needs a text", name),
                       arena_printf(arena, "write %s text", name));
    }
    if (verb->form == MAYBE) {
        return problem(out, arena_printf(arena, "%s%s: unknown action", name, rest),
                       arena_printf(arena, "a blank stands between %s and its text", name));
    }
    return problem(out, arena_printf(arena, "%s stands alone: \"%s\" follows it", name, rest),
                   *rest == '#' ? "a comment needs a line of its own"
                                : "for a text of your own write ERROR:5.7.1:550 text");
}

/* What Postfix knows and no milter can do, or what belongs elsewhere. */
static const char *hint_of_pattern(const char *text, size_t word)
{
    static const struct {
        const char *name;
        const char *hint;
    } others[] = {
        {"FILTER", "no milter can choose a transport; use Postfix's own check with this line"},
        {"SKIP", "write DUNNO: as if nothing had matched"},
        {"FRIEND", "it stands in the access file, behind Spam: keys"},
        {"HATER", "it stands in the access file, behind Spam: keys"},
        {"SUBJECT", "it stands in the access file, behind CertIssuer: keys"},
        {"RELAY", "a header cannot permit relaying"},
        {"TEMP", "write DEFER text"},
        {"IGNORE", "it stands in header_checks"},
        {"STRIP", "it stands in header_checks"},
        {"REPLACE", "it stands in header_checks"},
        {"PASS", "it stands in header_checks"},
        {"DEFER_IF_PERMIT", "it stands in regex; write DEFER text"},
        {"DEFER_IF_REJECT", "it stands in regex; write DEFER text"},
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (is_word(text, word, others[i].name)) {
            return others[i].hint;
        }
    }
    if (strncasecmp(text, "permit", 6) == 0 || strncasecmp(text, "reject_", 7) == 0 ||
        strncasecmp(text, "check_", 6) == 0 || strncasecmp(text, "warn_if", 7) == 0) {
        return "a list of Postfix's restrictions works in Postfix's own checks only";
    }
    return NULL;
}

/* Why an unknown value is refused, in the words of what was probably meant. */
static bool unknown_value(unsigned where, const char *text, struct arena *arena,
                          struct action_problem *out)
{
    size_t word = 0;

    while (isalpha((unsigned char)text[word]) || text[word] == '_') {
        word++;
    }
    for (size_t i = 0; i < VERBS; i++) {
        if ((verbs[i].where & where) != 0 && is_word(text, word, verbs[i].name)) {
            return wrong_form(&verbs[i], text + word + strspn(text + word, " \t"), arena, out);
        }
    }
    const char *hint = where == ACCESS ? NULL : hint_of_pattern(text, word);

    if (hint != NULL) {
        return problem(out, arena_printf(arena, "%.*s cannot be done here", (int)word, text), hint);
    }
    for (size_t i = 0; i < VERBS && word > 2; i++) {
        if ((verbs[i].where & where) != 0 && distance(text, word, verbs[i].name) <= 2) {
            return problem(out, arena_printf(arena, "%.*s: unknown action", (int)word, text),
                           arena_printf(arena, "did you mean %s?", verbs[i].name));
        }
    }
    if (*text == '"') {
        return problem(
            out, arena_printf(arena, "%s: a text without a reply code", text),
            "an action stands without quotes; a text begins with its code: \"550 5.7.1 text\"");
    }
    return problem(
        out, arena_printf(arena, "%s: neither an action nor a reply code", text),
        where == ACCESS
            ? "write OK, RELAY, REJECT, DISCARD, SKIP, QUARANTINE:text or a reply: 550 5.7.1 text"
            : "write an action such as REJECT text, or a reply: 550 5.7.1 text");
}

/* ---- texts ---- */

/* "VERB:text" */
static bool parse_with_text(enum action_kind kind, char *text, struct arena *arena,
                            struct action *action_out, struct action_problem *out)
{
    if (*text == '\0' || *action_text_dequote(arena_strdup(arena, text)) == '\0') {
        return problem(out, arena_printf(arena, "%s without a text", action_kind_name(kind)),
                       arena_printf(arena, "write %s:text", action_kind_name(kind)));
    }
    action_out->kind = kind;
    if (kind == ACTION_ERROR) {
        return action_reply_parse_error(text, arena, &action_out->reply, out);
    }
    if (kind == ACTION_TEMP) {
        return action_reply_parse_temp(text, arena, &action_out->reply, out);
    }
    action_out->quarantine = reply_clean(arena, text);
    return true;
}

/* Sendmail's dialect; `text` without comments. */
static bool parse_access(char *text, struct arena *arena, struct action *action_out,
                         struct action_problem *out)
{
    size_t word = strcspn(text, ": \t\"");
    char *rest = action_text_trim(text + word);

    for (size_t i = 0; i < VERBS; i++) {
        if ((verbs[i].where & ACCESS) == 0 || !is_word(text, word, verbs[i].name)) {
            continue;
        }
        if (verbs[i].form == ALONE && *rest == '\0') {
            action_out->kind = verbs[i].kind;
            return true;
        }
        if (verbs[i].form == COLON && *rest == ':') {
            return parse_with_text(verbs[i].kind, action_text_trim(rest + 1), arena, action_out,
                                   out);
        }
    }
    char *plain = action_text_dequote(arena_strdup(arena, text));

    if (action_reply_has_code(plain)) {
        action_out->kind = ACTION_ERROR;
        return action_reply_parse(plain, NULL, arena, &action_out->reply, out);
    }
    return unknown_value(ACCESS, text, arena, out);
}

bool action_parse(const char *text, struct arena *arena, struct action *action_out,
                  struct action_problem *problem_out)
{
    struct action_problem found = {NULL, NULL};
    struct action_text scan = action_text_scan(text, arena);
    bool done = false;

    *action_out = (struct action){.kind = ACTION_REJECT, .text = ""};
    if (scan.error != NULL) {
        problem(&found, scan.error, "put the text in quotes: \"550 5.7.1 text\"");
    } else if (*scan.text == '\0') {
        problem(&found, "an empty right-hand side", "write an action behind the key");
    } else {
        done = parse_access(scan.text, arena, action_out, &found);
        if (done && found.text == NULL && scan.had_comment && action_out->kind == ACTION_ERROR) {
            found.text = "text in parentheses is a comment and is not sent";
            found.hint = "put the text in quotes to send it";
        }
    }
    if (problem_out != NULL) {
        *problem_out = found;
    }
    return done;
}

/* ---- patterns ---- */

/* "Name: value", with a name that RFC 5322 allows. */
static bool is_header(const char *text)
{
    size_t name = 0;

    while (text[name] > ' ' && text[name] < 127 && text[name] != ':') {
        name++;
    }
    return name > 0 && text[name + strspn(text + name, " \t")] == ':';
}

/* user@domain, as BCC and REDIRECT need it; NULL: it is none. */
static const char *parse_recipient(const char *text, struct arena *arena)
{
    size_t len = strlen(text);
    bool bracketed = len > 2 && text[0] == '<' && text[len - 1] == '>';
    const char *address = bracketed ? arena_strndup(arena, text + 1, len - 2) : text;
    const char *at = strrchr(address, '@');

    if (at == NULL || at == address || at[1] == '\0') {
        return NULL;
    }
    for (const char *byte = address; *byte != '\0'; byte++) {
        if ((unsigned char)*byte <= ' ' || *byte == 127 || strchr("<>,;", *byte) != NULL) {
            return NULL;
        }
    }
    return arena_strdup(arena, address);
}

/* Behind the verb and its blank. */
static bool parse_postfix(const struct verb *verb, const char *text, struct arena *arena,
                          struct action *action_out, struct action_problem *out)
{
    bool defers = verb->kind == ACTION_ERROR || verb->kind == ACTION_DEFER_IF_PERMIT ||
                  verb->kind == ACTION_DEFER_IF_REJECT;

    action_out->kind = verb->kind;
    action_out->text = arena_strdup(arena, text);
    if (verb->kind == ACTION_REJECT && *text != '\0') {
        action_out->kind = ACTION_ERROR;
        action_out->reply = action_reply_of_text(text, 550, "5.7.1", arena);
        if (action_reply_has_code(text)) {
            out->text = "the reply code is sent as text, as Postfix does";
            out->hint = "write 550 5.7.1 text without REJECT, or REJECT 5.7.1 text";
        }
    } else if (defers) {
        action_out->reply = action_reply_of_text(*text == '\0' ? "Access denied" : text, 450,
                                                 "4.7.1", arena);
    } else if (verb->kind == ACTION_QUARANTINE) {
        action_out->quarantine = reply_clean(arena, *text == '\0' ? "held by a pattern" : text);
    } else if (verb->kind == ACTION_BCC || verb->kind == ACTION_REDIRECT) {
        action_out->text = parse_recipient(text, arena);
        if (action_out->text == NULL) {
            return problem(out,
                           arena_printf(arena, "%s needs an address, not \"%s\"", verb->name, text),
                           arena_printf(arena, "write %s user@domain", verb->name));
        }
    } else if ((verb->kind == ACTION_PREPEND || verb->kind == ACTION_REPLACE) && !is_header(text)) {
        return problem(out, arena_printf(arena, "%s needs a header, not \"%s\"", verb->name, text),
                       arena_printf(arena, "write %s Name: value", verb->name));
    }
    return true;
}

/* A reply, in quotes or not; what $1 leaves of it may be no text. */
static bool parse_code(const char *text, struct arena *arena, struct action *action_out,
                       struct action_problem *out)
{
    action_out->kind = ACTION_ERROR;
    if (!action_reply_parse(text, NULL, arena, &action_out->reply, out) &&
        (action_out->reply.code == 0 || *action_out->reply.text != '\0')) {
        return false;
    }
    if (*action_out->reply.text == '\0') {
        action_out->reply.text = "Access denied";
        out->text = "a reply without a text: \"Access denied\" is sent";
    }
    return true;
}

static bool fits(enum form form, const char *rest)
{
    return form == MAYBE || (form == NEEDED && *rest != '\0') || (form == ALONE && *rest == '\0');
}

static bool parse_pattern(unsigned where, char *text, struct arena *arena,
                          struct action *action_out, struct action_problem *out)
{
    size_t word = strcspn(text, ": \t\"");
    char *rest = action_text_trim(text + word);
    bool blank = text[word] == '\0' || text[word] == ' ' || text[word] == '\t';

    rest += strspn(rest, ACTION_REPLY_BLANKS); /* a match may hold lines and begin in a fold */
    for (size_t i = 0; i < VERBS; i++) {
        if ((verbs[i].where & where) == 0 || !is_word(text, word, verbs[i].name)) {
            continue;
        }
        if (verbs[i].form == COLON && *rest == ':') {
            return parse_with_text(verbs[i].kind, action_text_trim(rest + 1), arena, action_out,
                                   out);
        }
        if (blank && fits(verbs[i].form, rest)) {
            return parse_postfix(&verbs[i], rest, arena, action_out, out);
        }
    }
    const char *plain = *text == '"' ? action_text_dequote(arena_strdup(arena, text)) : text;

    if (action_reply_has_code(plain)) {
        return parse_code(plain, arena, action_out, out);
    }
    /* Postfix takes what POP-before-SMTP tables hold, times, for OK. */
    if (where == REGEX && text[strspn(text, "0123456789")] == '\0') {
        action_out->kind = ACTION_OK;
        return true;
    }
    return unknown_value(where, text, arena, out);
}

/* Blanks at the end of a header are its own: `REPLACE Subject: [x] $1` where $1 is empty. */
static void keep_end(const char *text, struct arena *arena, struct action *action)
{
    size_t len = strlen(text);
    size_t end = len;

    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) {
        end--;
    }
    if (end < len && (action->kind == ACTION_REPLACE || action->kind == ACTION_PREPEND)) {
        action->text = arena_printf(arena, "%s%s", action->text, text + end);
    }
}

bool action_parse_pattern(enum action_table table, const char *text, struct arena *arena,
                          struct action *action_out, struct action_problem *problem_out)
{
    unsigned where = table == ACTION_OF_HEADERS ? HEADERS : REGEX;
    struct action_problem found = {NULL, NULL};
    char *copy = action_text_trim(arena_strdup(arena, text));
    bool done = false;

    *action_out = (struct action){.kind = ACTION_REJECT, .text = ""};
    if (*copy == '\0') {
        problem(&found, "an empty right-hand side", "write an action behind the pattern");
    } else {
        done = parse_pattern(where, copy, arena, action_out, &found);
        keep_end(text, arena, action_out);
    }
    if (problem_out != NULL) {
        *problem_out = found;
    }
    return done;
}

bool action_may_be_pattern(enum action_table table, const char *text, bool varies,
                           struct arena *arena, struct action *action_out,
                           struct action_problem *problem_out)
{
    static const char *const matched[] = {"x@x.example", "X: x"};
    int verb = (int)strcspn(text, " \t");

    if (action_parse_pattern(table, text, arena, action_out, problem_out)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(matched) / sizeof(matched[0]) && varies; i++) {
        const char *other = arena_printf(arena, "%.*s %s", verb, text, matched[i]);

        if (text[verb] != '\0' && action_parse_pattern(table, other, arena, action_out, NULL)) {
            *problem_out = (struct action_problem){NULL, NULL};
            return true;
        }
    }
    return false;
}
