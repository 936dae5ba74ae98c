/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/mapline.h"

#include <string.h>

void mapfile_note_prefix(const struct mapfile_line *line, const struct netaddr *network)
{
    bool is_ipv4 = network->family == NETADDR_IPV4;
    unsigned whole = is_ipv4 ? 8 : 16;

    /* Cutting octets off never ends at none: 0.0.0.0/0 is a length like any other. */
    if (network->family == NETADDR_NONE ||
        (network->bits % whole == 0 && !(is_ipv4 && network->bits == 0))) {
        return;
    }
    (is_ipv4 ? &line->prefixes->ipv4 : &line->prefixes->ipv6)->used[network->bits] = true;
}

/* isspace() of the C locale. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool mapline_split(char *text, size_t len, const char *default_value, struct mapfile_line *line)
{
    size_t key_len = 0;

    while (len > 0 && is_blank(text[len - 1])) {
        text[--len] = '\0';
    }
    if (len == 0 || text[0] == '#') {
        return false;
    }
    if (is_blank(text[0])) {
        diag_report(
            line->diag, DIAG_ERROR, line->file, line->number,
            "keys and the # of comments stand in the first column; no line continues another",
            "the line begins with a blank");
        return false;
    }
    while (key_len < len && !is_blank(text[key_len])) {
        key_len++;
    }
    char *value = text + key_len;

    while (is_blank(*value)) {
        *value++ = '\0';
    }
    line->key = text;
    line->key_len = key_len;
    line->value = value;
    line->value_len = len - (size_t)(value - text);
    if (line->value_len > 0) {
        return true;
    }
    if (default_value == NULL) {
        diag_report(line->diag, DIAG_ERROR, line->file, line->number,
                    "a line is: key, blanks, right-hand side", "\"%s\" has no right-hand side",
                    line->key);
        return false;
    }
    line->value = default_value;
    line->value_len = strlen(default_value);
    return true;
}
