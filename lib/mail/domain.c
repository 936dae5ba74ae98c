/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/domain.h"
#include "lib/mail/netaddr.h"

#include <string.h>
#include <strings.h>

const char *domain_parent(const char *name)
{
    const char *dot = *name == '\0' ? NULL : strchr(name + 1, '.');

    return dot == NULL || dot[1] == '\0' ? NULL : dot + 1;
}

bool domain_is_literal(const char *name)
{
    size_t len = strlen(name);

    return len >= 2 && name[0] == '[' && name[len - 1] == ']';
}

const char *domain_full_literal(struct arena *arena, const char *name)
{
    char inner[NETADDR_TEXT_SIZE];
    char text[NETADDR_TEXT_SIZE];
    struct netaddr addr;
    size_t len = strlen(name);

    if (!domain_is_literal(name) || strncasecmp(name, "[ipv6:", 6) != 0 ||
        len - 2 >= sizeof(inner)) {
        return name;
    }
    memcpy(inner, name + 1, len - 2);
    inner[len - 2] = '\0';
    if (!netaddr_parse(inner, &addr) || addr.family != NETADDR_IPV6) {
        return name;
    }
    char *literal = arena_printf(arena, "[%s]", netaddr_format(&addr, text));

    domain_fold(literal);
    return literal;
}

static bool is_label_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte >= 0x80;
}

bool domain_is_plain(const char *name)
{
    const char *label = name;
    const char *at = name;

    for (; *at != '\0'; at++) {
        if (*at == '.' ? at == label : !is_label_byte((unsigned char)*at)) {
            return false;
        }
        if (*at == '.') {
            label = at + 1;
        }
    }
    bool is_number = strspn(label, "0123456789") == (size_t)(at - label);

    return at > label && !is_number && (size_t)(at - name) <= DOMAIN_MAX_LEN;
}

bool domain_equal(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

bool domain_ends_in(const char *name, const char *suffix)
{
    size_t name_len = strlen(name);
    size_t suffix_len = strlen(suffix);

    return suffix_len <= name_len && strcasecmp(name + name_len - suffix_len, suffix) == 0;
}

bool domain_is_operator(char c)
{
    return c != '\0' && strchr(".:%@!^/[]+()<>,;", c) != NULL;
}

const char *domain_next_token(const char *at)
{
    if (*at == '\0') {
        return NULL;
    }
    if (domain_is_operator(*at)) {
        at++;
    } else {
        while (*at != '\0' && !domain_is_operator(*at)) {
            at++;
        }
    }
    return *at == '\0' ? NULL : at;
}

void domain_fold(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text = (char)(*text + ('a' - 'A'));
        }
    }
}

const char *domain_normalize(struct arena *arena, const char *name)
{
    size_t len = strlen(name);

    while (len > 0 && name[len - 1] == '.') {
        len--;
    }
    char *copy = arena_strndup(arena, name, len);

    domain_fold(copy);
    return copy;
}
