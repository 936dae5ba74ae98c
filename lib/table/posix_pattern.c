/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/posix_pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 200u
#define NO_ATOM SIZE_MAX
#define MAX_REPEAT 32767ul
#define MAX_REPEAT_DIGITS 6u

static const char *const class_names[] = {"alpha", "digit", "alnum", "upper", "lower", "space",
                                          "blank", "punct", "print", "graph", "cntrl", "xdigit"};

struct translation {
    const char *at;
    bool is_basic;
    struct strbuf *out;
    struct strbuf *why;
    size_t atom;      /* where the last thing that can be repeated begins in `out` */
    bool is_repeated; /* and it is already */
    bool is_at_start; /* of an alternative */
    size_t open[MAX_DEPTH];
    size_t depth;
};

static bool wrong(struct translation *tr, const char *why)
{
    strbuf_append(tr->why, why);
    return false;
}

static void begin_atom(struct translation *tr)
{
    tr->atom = tr->out->len;
    tr->is_repeated = false;
    tr->is_at_start = false;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_special(char c)
{
    return c > ' ' && c <= '~' && c != '_' && !is_alnum(c);
}

static void append_literal(struct strbuf *out, char c)
{
    if (is_special(c)) {
        strbuf_append_char(out, '\\');
    }
    strbuf_append_char(out, c);
}

static void add_literal(struct translation *tr, char c)
{
    begin_atom(tr);
    append_literal(tr->out, c);
}

/* What matches no text cannot be repeated. */
static void add_assertion(struct translation *tr, const char *text)
{
    strbuf_append(tr->out, text);
    tr->atom = NO_ATOM;
    tr->is_at_start = false;
}

/* ---- [...] ---- */

/* `[:alpha:]` and its like, behind the bracket. */
static bool add_class(struct translation *tr)
{
    for (size_t i = 0; i < sizeof(class_names) / sizeof(class_names[0]); i++) {
        size_t len = strlen(class_names[i]);

        if (strncmp(tr->at + 1, class_names[i], len) == 0 &&
            strncmp(tr->at + 1 + len, ":]", 2) == 0) {
            strbuf_appendf(tr->out, "[:%s:]", class_names[i]);
            tr->at += len + 3;
            return true;
        }
    }
    return wrong(tr, "there is no such class of characters inside of [...]");
}

/* One character inside of [...], also as [.c.] or [=c=]. */
static bool read_member(struct translation *tr, char *c_out)
{
    if (tr->at[0] == '[' && (tr->at[1] == '.' || tr->at[1] == '=')) {
        if (tr->at[2] == '\0' || tr->at[3] != tr->at[1] || tr->at[4] != ']') {
            return wrong(tr, "[. .] and [= =] can hold one character only");
        }
        *c_out = tr->at[2];
        tr->at += 5;
        return true;
    }
    *c_out = *tr->at;
    if (*c_out == '\0') {
        return wrong(tr, "a [ is not closed");
    }
    tr->at++;
    return true;
}

/* A character, or a range of them. */
static bool add_members(struct translation *tr)
{
    char first;
    char last;

    if (!read_member(tr, &first)) {
        return false;
    }
    append_literal(tr->out, first);
    if (tr->at[0] != '-' || tr->at[1] == ']' || tr->at[1] == '\0') {
        return true;
    }
    tr->at++;
    if (!read_member(tr, &last)) {
        return false;
    }
    if ((unsigned char)first > (unsigned char)last) {
        return wrong(tr, "a range inside of [...] ends before it begins");
    }
    strbuf_append_char(tr->out, '-');
    append_literal(tr->out, last);
    return true;
}

/* Where a backslash is a character as any other. */
static bool add_bracket(struct translation *tr)
{
    const char *first;

    begin_atom(tr);
    tr->at++;
    strbuf_append_char(tr->out, '[');
    if (*tr->at == '^') {
        strbuf_append_char(tr->out, '^');
        tr->at++;
    }
    for (first = tr->at; *tr->at != ']' || tr->at == first;) {
        bool is_class = tr->at[0] == '[' && tr->at[1] == ':';

        tr->at += is_class;
        if (is_class ? !add_class(tr) : !add_members(tr)) {
            return false;
        }
    }
    tr->at++;
    strbuf_append_char(tr->out, ']');
    return true;
}

/* ---- repetition ---- */

/* Puts the last atom, which is repeated already, into a group. */
static void wrap_atom(struct translation *tr)
{
    static const char open[] = "(?:";
    size_t moved = tr->out->len - tr->atom;

    strbuf_append(tr->out, open);
    memmove(tr->out->data + tr->atom + sizeof(open) - 1, tr->out->data + tr->atom, moved);
    memcpy(tr->out->data + tr->atom, open, sizeof(open) - 1);
    strbuf_append_char(tr->out, ')');
}

/* `how` is `*`, `+`, `?` or an interval. */
static bool repeat(struct translation *tr, const char *how)
{
    if (tr->is_repeated && tr->is_basic && (*how == '*' || *how == '{')) {
        return wrong(tr, "two repetitions follow each other");
    }
    if (tr->is_repeated) {
        wrap_atom(tr);
    }
    strbuf_append(tr->out, how);
    tr->is_repeated = true;
    return true;
}

/* `*`, and `+` and `?` where they repeat; `tr->at` is behind it. */
static bool add_repetition(struct translation *tr, char c)
{
    char how[2] = {c, '\0'};

    if (tr->atom != NO_ATOM) {
        return repeat(tr, how);
    }
    if (!tr->is_basic) {
        return wrong(tr, "there is nothing in front of a repetition that could be repeated");
    }
    add_literal(tr, c);
    return true;
}

static bool read_count(struct translation *tr, unsigned long *count_out)
{
    size_t digits = strspn(tr->at, "0123456789");

    *count_out = 0;
    if (digits > 0 && digits < MAX_REPEAT_DIGITS) {
        *count_out = strtoul(tr->at, NULL, 10);
    }
    tr->at += digits;
    return digits > 0 && digits < MAX_REPEAT_DIGITS && *count_out <= MAX_REPEAT;
}

/* `{n}`, `{n,}`, `{,m}`, `{n,m}`; `tr->at` is behind the bracket. */
static bool add_interval(struct translation *tr)
{
    static const char bad[] = "what stands between { and } is no number of repetitions";
    unsigned long least = 0;
    unsigned long most = 0;
    bool has_least = *tr->at != ',';

    if (has_least && !read_count(tr, &least)) {
        return wrong(tr, bad);
    }
    bool has_comma = *tr->at == ',';

    tr->at += has_comma;
    bool has_most = has_comma && *tr->at >= '0' && *tr->at <= '9';

    if ((has_most && !read_count(tr, &most)) || (has_most && most < least) ||
        (tr->is_basic && *tr->at++ != '\\') || *tr->at++ != '}') {
        return wrong(tr, bad);
    }
    if (tr->atom == NO_ATOM) {
        return wrong(tr, "there is nothing in front of a { that could be repeated");
    }
    struct strbuf text;

    strbuf_init(&text);
    strbuf_appendf(&text, "{%lu", least);
    if (has_comma) {
        strbuf_append_char(&text, ',');
    }
    if (has_most) {
        strbuf_appendf(&text, "%lu", most);
    }
    strbuf_append_char(&text, '}');
    bool is_right = repeat(tr, text.data);

    strbuf_fini(&text);
    return is_right;
}

/* ---- groups ---- */

static bool open_group(struct translation *tr)
{
    if (tr->depth == MAX_DEPTH) {
        return wrong(tr, "groups are nested too deeply");
    }
    tr->open[tr->depth++] = tr->out->len;
    strbuf_append_char(tr->out, '(');
    tr->atom = NO_ATOM;
    tr->is_at_start = true;
    return true;
}

static bool close_group(struct translation *tr)
{
    if (tr->depth == 0 && tr->is_basic) {
        return wrong(tr, "a group is closed that was not opened");
    }
    if (tr->depth == 0) {
        add_literal(tr, ')');
        return true;
    }
    strbuf_append_char(tr->out, ')');
    tr->atom = tr->open[--tr->depth];
    tr->is_repeated = false;
    tr->is_at_start = false;
    return true;
}

static void add_alternative(struct translation *tr)
{
    strbuf_append_char(tr->out, '|');
    tr->atom = NO_ATOM;
    tr->is_at_start = true;
}

/* ---- all of it ---- */

/* The operators that are written with a backslash in one kind and without in the other; `tr->at` is behind it. */
static bool add_operator(struct translation *tr, char c)
{
    switch (c) {
    case '(':
        return open_group(tr);
    case ')':
        return close_group(tr);
    case '{':
        return add_interval(tr);
    case '|':
        add_alternative(tr);
        return true;
    default:
        return add_repetition(tr, c);
    }
}

/* GNU's own escapes; false: it is none of them. */
static bool add_gnu_escape(struct translation *tr, char c)
{
    static const struct {
        char c;
        bool is_assertion;
        const char *text;
    } escapes[] = {
        {'w', false, "\\w"},       {'W', false, "\\W"},        {'s', false, "\\s"},
        {'S', false, "\\S"},       {'b', true, "\\b"},         {'B', true, "\\B"},
        {'<', true, "\\b(?=\\w)"}, {'>', true, "\\b(?<=\\w)"}, {'`', true, "\\A"},
        {'\'', true, "\\z"},
    };

    for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        if (escapes[i].c == c && escapes[i].is_assertion) {
            add_assertion(tr, escapes[i].text);
            return true;
        }
        if (escapes[i].c == c) {
            begin_atom(tr);
            strbuf_append(tr->out, escapes[i].text);
            return true;
        }
    }
    return false;
}

static bool add_escape(struct translation *tr)
{
    char c = tr->at[1];

    if (c == '\0') {
        return wrong(tr, "a backslash is the last character");
    }
    tr->at += 2;
    if (tr->is_basic && strchr("(){|+?", c) != NULL) {
        return add_operator(tr, c);
    }
    if (c >= '1' && c <= '9') {
        begin_atom(tr);
        strbuf_appendf(tr->out, "\\g{%c}", c);
        return true;
    }
    if (add_gnu_escape(tr, c)) {
        return true;
    }
    /* What regcomp() makes of them hangs on its flags; whoever writes \d means a digit. */
    if (is_alnum(c)) {
        strbuf_appendf(tr->why,
                       "\\%c means nothing in a pattern of POSIX; write [0-9], [[:alpha:]]", c);
        return false;
    }
    add_literal(tr, c);
    return true;
}

static bool is_anchor(const struct translation *tr)
{
    if (!tr->is_basic) {
        return true;
    }
    if (*tr->at == '^') {
        return tr->is_at_start;
    }
    return tr->at[1] == '\0' || (tr->at[1] == '\\' && (tr->at[2] == ')' || tr->at[2] == '|'));
}

static bool add_next(struct translation *tr)
{
    char c = *tr->at;

    if (c == '\\') {
        return add_escape(tr);
    }
    if (c == '[') {
        return add_bracket(tr);
    }
    if ((c == '^' || c == '$') && is_anchor(tr)) {
        tr->at++;
        add_assertion(tr, c == '^' ? "^" : "$");
        return true;
    }
    tr->at++;
    if (c == '*' || (!tr->is_basic && strchr("(){|+?", c) != NULL)) {
        return add_operator(tr, c);
    }
    if (c == '.') {
        begin_atom(tr);
        strbuf_append_char(tr->out, c);
    } else {
        add_literal(tr, c);
    }
    return true;
}

bool posix_pattern_translate(const char *text, bool basic, struct strbuf *out, struct strbuf *why)
{
    struct translation tr = {.at = text,
                             .is_basic = basic,
                             .out = out,
                             .why = why,
                             .atom = NO_ATOM,
                             .is_at_start = true};

    while (*tr.at != '\0') {
        if (!add_next(&tr)) {
            return false;
        }
    }
    return tr.depth == 0 || wrong(&tr, "a group is not closed");
}
