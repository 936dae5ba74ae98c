/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/regex_widen.h"

#define MAX_LENGTH 2000u
/* Repetitions beyond this are not counted. */
#define MAX_REPEAT 16u
/* Larger expressions are left to PCRE2. */
#define MAX_STATES 128u

/*
 * How many states an automaton has for it, roughly: what is repeated counts as often as it is repeated. hyperscan's time
 * grows with them, and for some forms much faster than they do.
 */
static size_t states_of(const struct regex_node *node)
{
    size_t states = node->kind == REGEX_NODE_SET;

    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        states += states_of(child);
    }
    if (node->kind == REGEX_NODE_REPEAT) {
        unsigned times = node->most > MAX_REPEAT ? node->least + 1 : node->most;

        times = times < MAX_REPEAT ? times : MAX_REPEAT;
        states *= times > 0 ? times : 1;
    }
    return states < MAX_STATES ? states : MAX_STATES;
}

/* Can it match no text at all? Then it matches every subject, at its start if nowhere else. */
static bool is_nullable(const struct regex_node *node)
{
    switch (node->kind) {
    case REGEX_NODE_SET:
        return false;
    case REGEX_NODE_ANYTHING: /* fall through */
    case REGEX_NODE_START:
        return true;
    case REGEX_NODE_REPEAT:
        return node->least == 0 || is_nullable(node->first);
    case REGEX_NODE_SEQUENCE:
        for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
            if (!is_nullable(child)) {
                return false;
            }
        }
        return true;
    case REGEX_NODE_CHOICE:
        for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
            if (is_nullable(child)) {
                return true;
            }
        }
        return false;
    }
    return true;
}

static void append_set(const struct regex_node *node, struct strbuf *expression)
{
    strbuf_append_char(expression, '[');
    for (unsigned first = 0; first < 256; first++) {
        unsigned last = first;

        if (!regex_node_has_byte(node, (unsigned char)first)) {
            continue;
        }
        while (last < 255 && regex_node_has_byte(node, (unsigned char)(last + 1))) {
            last++;
        }
        strbuf_appendf(expression, last > first ? "\\x%02x-\\x%02x" : "\\x%02x", first, last);
        first = last;
    }
    strbuf_append_char(expression, ']');
}

static bool is_empty_set(const struct regex_node *node)
{
    for (size_t i = 0; i < sizeof(node->set); i++) {
        if (node->set[i] != 0) {
            return false;
        }
    }
    return true;
}

static void append_limits(const struct regex_node *node, struct strbuf *expression)
{
    unsigned least = node->least < MAX_REPEAT ? node->least : MAX_REPEAT;

    if (node->most > MAX_REPEAT) {
        strbuf_appendf(expression, "{%u,}", least);
    } else {
        strbuf_appendf(expression, "{%u,%u}", least, node->most > least ? node->most : least);
    }
}

static bool append(const struct regex_node *node, struct strbuf *expression);

/* False: too long, or a set without bytes. */
static bool append_children(const struct regex_node *node, const char *between,
                            struct strbuf *expression)
{
    strbuf_append(expression, "(?:");
    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        if (!append(child, expression)) {
            return false;
        }
        strbuf_append(expression, child->next != NULL ? between : "");
    }
    strbuf_append_char(expression, ')');
    return true;
}

static bool append(const struct regex_node *node, struct strbuf *expression)
{
    bool is_good = true;

    switch (node->kind) {
    case REGEX_NODE_SET:
        append_set(node, expression);
        is_good = !is_empty_set(node);
        break;
    case REGEX_NODE_ANYTHING:
        strbuf_append(expression, "[\\x00-\\xff]*");
        break;
    case REGEX_NODE_START:
        strbuf_append_char(expression, '^');
        break;
    case REGEX_NODE_SEQUENCE:
        is_good = append_children(node, "", expression);
        break;
    case REGEX_NODE_CHOICE:
        is_good = append_children(node, "|", expression);
        break;
    case REGEX_NODE_REPEAT:
        strbuf_append(expression, "(?:");
        is_good = append(node->first, expression);
        strbuf_append_char(expression, ')');
        append_limits(node, expression);
        break;
    }
    return is_good && expression->len <= MAX_LENGTH;
}

bool regex_widen(const struct regex_node *tree, struct strbuf *expression)
{
    return !is_nullable(tree) && states_of(tree) < MAX_STATES && append(tree, expression);
}
