/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/regex_tree.h"

#include "lib/table/pattern.h"
#include "lib/table/regex_class.h"

#include <stdint.h>
#include <string.h>

#define MAX_DEPTH 100u
/* Unicode's, a blank in some builds of PCRE2. */
#define NEXT_LINE 0x85u

struct parser {
    const unsigned char *text;
    struct regex_input input;
    struct arena *arena;
    unsigned depth;
    bool extended; /* the flags that change what is read; others change only how much matches */
    bool multiline;
    bool quoting; /* between \Q and \E */
};

static struct regex_node *parse_choice(struct parser *parser);

/* ---- nodes ---- */

static struct regex_node *node_new(struct parser *parser, enum regex_node_kind kind)
{
    struct regex_node *node = arena_alloc(parser->arena, sizeof(*node));

    *node = (struct regex_node){.kind = kind};
    return node;
}

static struct regex_node *set_node(struct parser *parser, struct regex_set *set)
{
    struct regex_node *node = node_new(parser, REGEX_NODE_SET);

    regex_set_fold(set);
    memcpy(node->set, set->bits, sizeof(node->set));
    return node;
}

static struct regex_node *byte_node(struct parser *parser, unsigned char byte)
{
    struct regex_set set = {{0}};

    regex_set_add(&set, byte);
    return set_node(parser, &set);
}

static struct regex_node *any_byte_node(struct parser *parser)
{
    struct regex_set set;

    regex_set_add_all(&set);
    return set_node(parser, &set);
}

static struct regex_node *nothing_node(struct parser *parser)
{
    return node_new(parser, REGEX_NODE_SEQUENCE);
}

/* ---- what stands for nothing ---- */

/* A comment of an extended pattern ends where PCRE2 was built to see the end of a line. False: that is not known. */
static bool skip_comment(struct parser *parser)
{
    while (!regex_input_ended(&parser->input) && *parser->input.at != '\n') {
        if (regex_byte_is_space(*parser->input.at) && *parser->input.at != ' ' &&
            *parser->input.at != '\t') {
            return false;
        }
        if (*parser->input.at == NEXT_LINE || *parser->input.at == '\0') {
            return false;
        }
        parser->input.at++;
    }
    return true;
}

/* Also between an item and its quantifier. False: it cannot be known what stands here. */
static bool skip_ignored(struct parser *parser)
{
    for (;;) {
        if (regex_input_take(&parser->input, "\\Q\\E") || regex_input_take(&parser->input, "\\E")) {
            continue;
        }
        if (!parser->extended || regex_input_ended(&parser->input)) {
            return true;
        }
        if (*parser->input.at == NEXT_LINE) {
            return false;
        }
        if (*parser->input.at == '#') {
            if (!skip_comment(parser)) {
                return false;
            }
        } else if (regex_byte_is_space(*parser->input.at)) {
            parser->input.at++;
        } else {
            return true;
        }
    }
}

/* ---- quantifiers ---- */

/* The node with its quantifiers; NULL: not understood. */
static struct regex_node *quantified(struct parser *parser, struct regex_node *node)
{
    unsigned least, most;

    if (parser->quoting) {
        if (!regex_input_take(&parser->input, "\\E")) {
            return node;
        }
        parser->quoting = false;
    }
    for (unsigned depth = 0; depth < MAX_DEPTH && skip_ignored(parser); depth++) {
        if (!regex_input_take_quantifier(&parser->input, &least, &most)) {
            return node;
        }
        struct regex_node *repeat = node_new(parser, REGEX_NODE_REPEAT);

        repeat->least = least;
        repeat->most = most;
        repeat->first = node;
        node = repeat;
        /* Lazy or possessive: it matches no more for that. Behind a blank it is taken for one quantifier more. */
        if (!regex_input_take(&parser->input, "?")) {
            repeat->atomic = regex_input_take(&parser->input, "+");
        }
    }
    return NULL;
}

/* ---- groups ---- */

/* What is in the group, to behind its `)`. */
static struct regex_node *parse_group_body(struct parser *parser)
{
    bool extended = parser->extended;
    bool multiline = parser->multiline;

    if (++parser->depth > MAX_DEPTH) {
        return NULL;
    }
    struct regex_node *body = parse_choice(parser);

    parser->depth--;
    parser->extended = extended;
    parser->multiline = multiline;
    return body != NULL && regex_input_take(&parser->input, ")") ? body : NULL;
}

static struct regex_node *parse_assertion(struct parser *parser)
{
    return parse_group_body(parser) != NULL ? nothing_node(parser) : NULL;
}

/* Behind (?< or (?P< or (?': the name, and the group. */
static struct regex_node *parse_named_group(struct parser *parser, unsigned char close)
{
    while (!regex_input_ended(&parser->input) && *parser->input.at != close &&
           *parser->input.at != ')') {
        parser->input.at++;
    }
    if (regex_input_ended(&parser->input) || *parser->input.at++ != close) {
        return NULL;
    }
    return parse_group_body(parser);
}

/* (?R), (?1), (?-1), (?&name), (?P>name), (?P=name): some text. */
static struct regex_node *parse_reference(struct parser *parser)
{
    while (!regex_input_ended(&parser->input) && *parser->input.at != ')') {
        if (*parser->input.at++ == '(') {
            return NULL;
        }
    }
    return regex_input_take(&parser->input, ")") ? node_new(parser, REGEX_NODE_ANYTHING) : NULL;
}

static bool at_reference(const struct parser *parser)
{
    const unsigned char *at = parser->input.at;

    if (regex_input_looks_at(&parser->input, "R)") || regex_input_looks_at(&parser->input, "&") ||
        regex_input_looks_at(&parser->input, "P>") || regex_input_looks_at(&parser->input, "P=")) {
        return true;
    }
    at += at < parser->input.end && (*at == '+' || *at == '-');
    return at < parser->input.end && regex_byte_is_digit(*at);
}

/* Letters of (?i) and (?i:...), up to their `)` or `:`. */
static bool take_letters(struct parser *parser)
{
    bool on = true;
    unsigned extended = 0;

    for (; !regex_input_ended(&parser->input); parser->input.at++) {
        unsigned char letter = *parser->input.at;

        if (letter == ')' || letter == ':') {
            return true;
        }
        if (letter == '-' && on) {
            on = false;
        } else if (letter == 'x') {
            if (++extended > 1) {
                return false; /* (?xx): blanks in classes */
            }
            parser->extended = on;
        } else if (letter == 'm') {
            parser->multiline = on;
        } else if (strchr("isnJU", letter) == NULL || letter == '\0') {
            return false;
        }
    }
    return false;
}

static struct regex_node *parse_letters(struct parser *parser)
{
    bool extended = parser->extended;
    bool multiline = parser->multiline;

    if (!take_letters(parser)) {
        return NULL;
    }
    if (regex_input_take(&parser->input, ")")) {
        return nothing_node(parser); /* they hold to the end of the group around */
    }
    parser->input.at++;
    struct regex_node *body = parse_group_body(parser);

    parser->extended = extended;
    parser->multiline = multiline;
    return body;
}

static struct regex_node *parse_atomic_group(struct parser *parser)
{
    struct regex_node *body = parse_group_body(parser);

    if (body != NULL) {
        body->atomic = true;
    }
    return body;
}

/* Behind the `(`. */
static struct regex_node *parse_group(struct parser *parser)
{
    if (regex_input_looks_at(&parser->input, "*")) {
        return NULL; /* verbs change what matches in all ways */
    }
    if (!regex_input_take(&parser->input, "?")) {
        return parse_group_body(parser);
    }
    if (regex_input_take(&parser->input, ":") || regex_input_take(&parser->input, "|")) {
        return parse_group_body(parser);
    }
    if (regex_input_take(&parser->input, ">")) {
        return parse_atomic_group(parser);
    }
    if (regex_input_take(&parser->input, "=") || regex_input_take(&parser->input, "!") ||
        regex_input_take(&parser->input, "<=") || regex_input_take(&parser->input, "<!")) {
        return parse_assertion(parser);
    }
    if (regex_input_take(&parser->input, "P<") || regex_input_take(&parser->input, "<")) {
        return parse_named_group(parser, '>');
    }
    if (regex_input_take(&parser->input, "'")) {
        return parse_named_group(parser, '\'');
    }
    return at_reference(parser) ? parse_reference(parser) : parse_letters(parser);
}

/* ---- items ---- */

static struct regex_node *parse_class(struct parser *parser)
{
    struct regex_set set;

    return regex_class_read(&parser->input, &set) ? set_node(parser, &set) : NULL;
}

/* An escape that is neither a set nor one byte; its letter was not read yet. NULL: not understood. */
static struct regex_node *parse_special_escape(struct parser *parser)
{
    unsigned char letter = *parser->input.at++;

    switch (letter) {
    case 'b': /* fall through */
    case 'B': /* fall through */
    case 'G': /* fall through */
    case 'K': /* fall through */
    case 'Z': /* fall through */
    case 'z':
        return nothing_node(parser);
    case 'A':
        return node_new(parser, REGEX_NODE_START);
    case 'N':
        return regex_input_looks_at(&parser->input, "{") ? NULL : any_byte_node(parser);
    case 'C':
        return any_byte_node(parser);
    case 'p': /* fall through */
    case 'P':
        return regex_class_skip_property(&parser->input) ? any_byte_node(parser) : NULL;
    case 'R': /* fall through */
    case 'X':
        return node_new(parser, REGEX_NODE_ANYTHING);
    default:
        /* \1 to \9 are back references; \10 and on may be octal. */
        return letter >= '1' && letter <= '9' &&
                       (regex_input_ended(&parser->input) ||
                        !regex_byte_is_digit(*parser->input.at))
                   ? node_new(parser, REGEX_NODE_ANYTHING)
                   : NULL;
    }
}

/* Behind the backslash. */
static struct regex_node *parse_escape(struct parser *parser)
{
    struct regex_set set = {{0}};
    struct regex_input before = parser->input;
    unsigned char byte;

    if (regex_input_ended(&parser->input)) {
        return NULL;
    }
    if (regex_class_named(*parser->input.at, &set)) {
        parser->input.at++;
        return set_node(parser, &set);
    }
    if (regex_class_escaped_byte(&parser->input, &byte)) {
        return byte_node(parser, byte);
    }
    parser->input = before;
    return parse_special_escape(parser);
}

/* One item, without its quantifier. NULL: not understood. */
static struct regex_node *parse_item(struct parser *parser)
{
    if (parser->quoting) {
        return byte_node(parser, *parser->input.at++);
    }
    if (*parser->input.at == '{' && regex_input_brace_is_doubtful(&parser->input)) {
        return NULL;
    }
    unsigned char byte = *parser->input.at++;

    switch (byte) {
    case '*': /* fall through */
    case '+': /* fall through */
    case '?':
        return NULL;
    case '^':
        return parser->multiline ? nothing_node(parser) : node_new(parser, REGEX_NODE_START);
    case '$':
        return nothing_node(parser);
    case '.':
        return any_byte_node(parser);
    case '[':
        return parse_class(parser);
    case '(':
        return parse_group(parser);
    case '\\':
        return parse_escape(parser);
    default:
        return byte_node(parser, byte);
    }
}

/* Is the sequence over? Takes marks of quoting on its way; *understood is false if it cannot be known. */
static bool sequence_ends(struct parser *parser, bool *understood)
{
    while (parser->quoting ? regex_input_take(&parser->input, "\\E")
                           : regex_input_take(&parser->input, "\\Q")) {
        parser->quoting = !parser->quoting;
    }
    if (parser->quoting) {
        return regex_input_ended(&parser->input);
    }
    *understood = skip_ignored(parser);
    if (!*understood || regex_input_ended(&parser->input)) {
        return true;
    }
    if (regex_input_looks_at(&parser->input, "\\Q")) {
        return sequence_ends(parser, understood);
    }
    return *parser->input.at == '|' || *parser->input.at == ')';
}

static struct regex_node *parse_sequence(struct parser *parser)
{
    struct regex_node *sequence = nothing_node(parser);
    const struct regex_node **tail = &sequence->first;
    bool understood = true;

    while (!sequence_ends(parser, &understood)) {
        size_t begin = (size_t)(parser->input.at - parser->text);
        struct regex_node *item = parse_item(parser);

        item = item != NULL ? quantified(parser, item) : NULL;
        if (item == NULL) {
            return NULL;
        }
        item->begin = begin;
        item->end = (size_t)(parser->input.at - parser->text);
        *tail = item;
        tail = &item->next;
    }
    return understood ? sequence : NULL;
}

/* Branches, up to the `)` of their group or the end of the pattern. */
static struct regex_node *parse_choice(struct parser *parser)
{
    struct regex_node *choice = node_new(parser, REGEX_NODE_CHOICE);
    const struct regex_node **tail = &choice->first;

    do {
        struct regex_node *branch = parse_sequence(parser);

        if (branch == NULL) {
            return NULL;
        }
        *tail = branch;
        tail = &branch->next;
    } while (regex_input_take(&parser->input, "|"));
    return choice;
}

const struct regex_node *regex_tree_parse(const char *text, size_t len, unsigned flags,
                                          struct arena *arena)
{
    struct parser parser = {
        .input = {(const unsigned char *)text, (const unsigned char *)text + len},
        .text = (const unsigned char *)text,
        .arena = arena,
        .extended = (flags & PATTERN_EXTENDED) != 0,
        .multiline = (flags & PATTERN_MULTILINE) != 0,
    };
    struct regex_node *all = parse_choice(&parser);

    if (all == NULL || !regex_input_ended(&parser.input) || (flags & PATTERN_ANCHORED) == 0) {
        return all != NULL && regex_input_ended(&parser.input) ? all : NULL;
    }
    struct regex_node *anchored = nothing_node(&parser);
    struct regex_node *start = node_new(&parser, REGEX_NODE_START);

    anchored->first = start;
    start->next = all;
    return anchored;
}

/* ---- for those who use the tree ---- */

bool regex_node_has_byte(const struct regex_node *node, unsigned char byte)
{
    return (node->set[byte / 8] >> byte % 8 & 1) != 0;
}

/* Eight bytes at once: adding to their lower seven bits tells by the eighth which are at or above 'A', and which above 'Z'. */
static uint64_t fold_word(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low = bytes & 0x7f * ones;
    uint64_t from_a = low + (0x80 - 'A') * ones;
    uint64_t above_z = low + (0x7f - 'Z') * ones;
    uint64_t upper = (from_a ^ above_z) & ~bytes & 0x80 * ones;

    return bytes | upper >> 2;
}

void regex_tree_fold(char *folded, const char *subject, size_t len)
{
    uint64_t word;
    size_t at = 0;

    for (; at + sizeof(word) <= len; at += sizeof(word)) {
        memcpy(&word, subject + at, sizeof(word));
        word = fold_word(word);
        memcpy(folded + at, &word, sizeof(word));
    }
    for (; at < len; at++) {
        char byte = subject[at];

        folded[at] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
    }
}
