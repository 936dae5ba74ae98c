/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/action.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Verbs that stand alone, and those that a ':' and a text follow. */
static const struct {
    const char *name;
    enum action_kind kind;
    bool takes_text;
} verbs[] = {
    {"OK", ACTION_OK, false},
    {"RELAY", ACTION_RELAY, false},
    {"REJECT", ACTION_REJECT, false},
    {"DISCARD", ACTION_DISCARD, false},
    {"SKIP", ACTION_SKIP, false},
    {"FRIEND", ACTION_FRIEND, false},
    {"HATER", ACTION_HATER, false},
    {"SUBJECT", ACTION_SUBJECT, false},
    {"QUARANTINE", ACTION_QUARANTINE, true},
    {"ERROR", ACTION_ERROR, true},
    {"TEMP", ACTION_TEMP, true},
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

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    size_t len = strlen(text);

    while (len > 0 && is_blank(text[len - 1])) {
        text[--len] = '\0';
    }
    return text;
}

/* ---- what Sendmail's scanner does to a value: comments go, pairs must close ---- */

struct scan {
    char *text; /* without comments */
    bool had_comment;
    const char *error; /* NULL: all pairs close */
};

/* Copies a quoted string with its quotes; returns what follows. */
static const char *copy_quoted(const char *at, char **end, const char **error)
{
    *(*end)++ = *at++;
    while (*at != '\0' && *at != '"') {
        if (*at == '\\' && at[1] != '\0') {
            *(*end)++ = *at++;
        }
        *(*end)++ = *at++;
    }
    if (*at == '\0') {
        *error = "a quote is not closed";
        return at;
    }
    *(*end)++ = *at++;
    return at;
}

static const char *skip_comment(const char *at, const char **error)
{
    unsigned depth = 0;

    for (; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '(') {
            depth++;
        } else if (*at == ')' && --depth == 0) {
            return at + 1;
        }
    }
    *error = "a parenthesis is not closed";
    return at;
}

static struct scan scan_value(const char *value, struct arena *arena)
{
    struct scan scan = {.text = arena_alloc(arena, strlen(value) + 1)};
    char *end = scan.text;
    int angles = 0;

    while (*value != '\0' && scan.error == NULL) {
        if (*value == '"') {
            value = copy_quoted(value, &end, &scan.error);
        } else if (*value == '(') {
            value = skip_comment(value, &scan.error);
            scan.had_comment = true;
            while (is_blank(*value) && end > scan.text && is_blank(end[-1])) {
                value++;
            }
        } else if (*value == ')') {
            scan.error = "a parenthesis closes that none opened";
        } else {
            angles += (*value == '<') - (*value == '>');
            if (angles < 0) {
                scan.error = "a '>' without '<'";
            }
            if (*value == '\\' && value[1] != '\0') {
                *end++ = *value++;
            }
            *end++ = *value++;
        }
    }
    if (scan.error == NULL && angles > 0) {
        scan.error = "a '<' without '>'";
    }
    *end = '\0';
    scan.text = trim(scan.text);
    return scan;
}

/* Takes quotes and backslashes off, in place. */
static char *dequote(char *text)
{
    char *end = text;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '"') {
            continue;
        }
        *end++ = *at;
    }
    *end = '\0';
    return trim(text);
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

/* Why an unknown value is refused, in the words of what was probably meant. */
static bool unknown_value(const char *text, struct arena *arena, struct action_problem *out)
{
    size_t word = 0;

    while (isalpha((unsigned char)text[word])) {
        word++;
    }
    for (size_t i = 0; i < VERBS; i++) {
        if (strncasecmp(text, verbs[i].name, word) != 0 || strlen(verbs[i].name) != word) {
            continue;
        }
        const char *rest = text + word + strspn(text + word, " \t");

        if (verbs[i].takes_text) {
            return problem(out, arena_printf(arena, "%s needs a text", verbs[i].name),
                           arena_printf(arena, "write %s:text", verbs[i].name));
        }
        return problem(
            out, arena_printf(arena, "%s stands alone: \"%s\" follows it", verbs[i].name, rest),
            *rest == '#' ? "a comment needs a line of its own"
                         : "for a text of your own write ERROR:5.7.1:550 text");
    }
    for (size_t i = 0; i < VERBS && word > 2; i++) {
        if (distance(text, word, verbs[i].name) <= 2) {
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
        "write OK, RELAY, REJECT, DISCARD, SKIP, QUARANTINE:text or a reply: 550 5.7.1 text");
}

/* ---- texts ---- */

static void warn_mismatch(const struct reply *reply, struct arena *arena,
                          struct action_problem *out)
{
    if (reply->dsn[0] - '0' != reply->code / 100) {
        out->text = arena_printf(arena, "reply code %d contradicts enhanced code %s", reply->code,
                                 reply->dsn);
        out->hint = "both begin with 4 (try again) or both with 5 (refused)";
    }
}

/* A text that must begin with a reply code. */
static bool parse_reply(char *text, const char *dsn, struct arena *arena, struct action *action_out,
                        struct action_problem *out)
{
    if (isdigit((unsigned char)*text) && *text != '4' && *text != '5') {
        return problem(out, arena_printf(arena, "%.3s is no code for a refusal", text),
                       "a refusal begins with 4 (try again) or 5");
    }
    if (!reply_parse(text, dsn, arena, &action_out->reply)) {
        return false;
    }
    if (*action_out->reply.text == '\0') {
        return problem(out, "a reply without a text", "write 550 5.7.1 text");
    }
    action_out->kind = ACTION_ERROR;
    warn_mismatch(&action_out->reply, arena, out);
    return true;
}

/* Length of the `a.b.c` of "a.b.c:text", three words without operators between dots; 0: there is none. */
static size_t three_tokens(const char *text)
{
    size_t len = 0;

    for (int part = 0; part < 3; part++) {
        size_t token = strcspn(text + len, ".:%@!^/[]+()<>,; \t\"");

        if (token == 0 || text[len + token] != (part < 2 ? '.' : ':')) {
            return 0;
        }
        len += token + (part < 2 ? 1 : 0);
    }
    return len;
}

static bool looks_like_code(const char *text)
{
    return isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[1]) &&
           isdigit((unsigned char)text[2]) && (text[3] == '\0' || is_blank(text[3]));
}

/* Behind "ERROR:". */
static bool parse_error(char *text, struct arena *arena, struct action *action_out,
                        struct action_problem *out)
{
    size_t len = three_tokens(text);
    const char *dsn = NULL;

    if (len > 0) {
        dsn = reply_is_dsn(text, len) ? arena_strndup(arena, text, len) : NULL;
        if (dsn == NULL) {
            out->text = arena_printf(arena, "%.*s is no enhanced status code", (int)len, text);
            out->hint = "RFC 3463: class 4 or 5, subject, detail, such as 5.7.1";
        }
        text += len + 1;
    }
    text = dequote(text);
    if (*text == '\0') {
        return problem(out, "ERROR without a text", "write ERROR:5.7.1:550 text");
    }
    if (looks_like_code(text)) {
        return parse_reply(text, dsn, arena, action_out, out);
    }
    action_out->kind = ACTION_ERROR;
    if (dsn == NULL) {
        action_out->reply = reply_make(553, "5.3.0", reply_clean(arena, text));
        if (out->text == NULL && isdigit((unsigned char)*text)) {
            out->text = arena_printf(arena, "\"%s\" is sent as text: 553 5.3.0", text);
            out->hint = "write ERROR:5.7.1:550 text";
        }
        return true;
    }
    if (*dsn == '2') {
        return problem(out, arena_printf(arena, "%s is the enhanced code of a success", dsn),
                       "a refusal begins with 4 (try again) or 5");
    }
    action_out->reply = reply_make(*dsn == '4' ? 450 : 550, dsn, reply_clean(arena, text));
    return true;
}

/* Behind "TEMP:". A text may begin with a code of its own, as behind "ERROR:". */
static bool parse_temp(char *text, struct arena *arena, struct action *action_out,
                       struct action_problem *out)
{
    text = dequote(text);
    if (!looks_like_code(text)) {
        action_out->reply = reply_make(450, "4.7.1", reply_clean(arena, text));
    } else if (*text != '4') {
        return problem(out, arena_printf(arena, "%.3s is no code of a temporary failure", text),
                       "write TEMP:450 text, or ERROR: for a refusal");
    } else if (!parse_reply(text, "4.7.1", arena, action_out, out)) {
        return false;
    }
    action_out->kind = ACTION_TEMP;
    return true;
}

/* A verb that a text follows. */
static bool parse_with_text(enum action_kind kind, char *text, struct arena *arena,
                            struct action *action_out, struct action_problem *out)
{
    if (*text == '\0' || (*dequote(arena_strdup(arena, text)) == '\0')) {
        return problem(out, arena_printf(arena, "%s without a text", action_kind_name(kind)),
                       arena_printf(arena, "write %s:text", action_kind_name(kind)));
    }
    if (kind == ACTION_ERROR) {
        return parse_error(text, arena, action_out, out);
    }
    if (kind == ACTION_TEMP) {
        return parse_temp(text, arena, action_out, out);
    }
    action_out->kind = kind;
    action_out->quarantine = reply_clean(arena, text);
    return true;
}

static bool parse_text(char *text, struct arena *arena, struct action *action_out,
                       struct action_problem *out)
{
    size_t word = strcspn(text, ": \t\"");
    char *rest = trim(text + word);

    for (size_t i = 0; i < VERBS; i++) {
        if (strlen(verbs[i].name) != word || strncasecmp(text, verbs[i].name, word) != 0) {
            continue;
        }
        if (!verbs[i].takes_text && *rest == '\0') {
            action_out->kind = verbs[i].kind;
            return true;
        }
        if (verbs[i].takes_text && *rest == ':') {
            return parse_with_text(verbs[i].kind, trim(rest + 1), arena, action_out, out);
        }
    }
    char *plain = dequote(arena_strdup(arena, text));

    if (looks_like_code(plain)) {
        return parse_reply(plain, NULL, arena, action_out, out);
    }
    return unknown_value(text, arena, out);
}

bool action_parse(const char *text, struct arena *arena, struct action *action_out,
                  struct action_problem *problem_out)
{
    struct action_problem found = {NULL, NULL};
    struct scan scan = scan_value(text, arena);
    bool done = false;

    *action_out = (struct action){.kind = ACTION_REJECT};
    if (scan.error != NULL) {
        problem(&found, scan.error, "put the text in quotes: \"550 5.7.1 text\"");
    } else if (*scan.text == '\0') {
        problem(&found, "an empty right-hand side", "write an action behind the key");
    } else {
        done = parse_text(scan.text, arena, action_out, &found);
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
