/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A port in decimal digits alone. */
static bool parse_port(const char *text, uint16_t *port_out)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 5 || text[digits] != '\0') {
        return false;
    }
    unsigned long port = strtoul(text, NULL, 10);

    *port_out = (uint16_t)port;
    return port > 0 && port <= 65535;
}

static bool parse_addr(const char *text, size_t len, struct netaddr *out)
{
    char addr[NETADDR_TEXT_SIZE];

    if (len >= sizeof(addr)) {
        return false;
    }
    (void)memcpy(addr, text, len);
    addr[len] = '\0';
    return netaddr_parse(addr, out);
}

bool dns_server_is_ambiguous(const char *text)
{
    const char *colon = strrchr(text, ':');
    struct netaddr addr;
    uint16_t port;

    return text[0] != '[' && colon != NULL && strchr(text, ':') != colon &&
           parse_port(colon + 1, &port) && parse_addr(text, (size_t)(colon - text), &addr);
}

bool dns_server_parse(const char *text, struct dns_server *out)
{
    const char *colon = strchr(text, ':');

    out->port = DNS_SERVER_PORT;
    if (text[0] == '[') {
        const char *end = strchr(text, ']');

        return end != NULL && parse_addr(text + 1, (size_t)(end - text) - 1, &out->addr) &&
               (end[1] == '\0' || (end[1] == ':' && parse_port(end + 2, &out->port)));
    }
    if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        return parse_addr(text, (size_t)(colon - text), &out->addr) &&
               parse_port(colon + 1, &out->port);
    }
    return !dns_server_is_ambiguous(text) && netaddr_parse(text, &out->addr);
}

const char *dns_server_format(const struct dns_server *server, char buf[DNS_SERVER_TEXT_SIZE])
{
    char addr[NETADDR_TEXT_SIZE];
    bool brackets = server->addr.family == NETADDR_IPV6;

    (void)netaddr_format_short(&server->addr, addr);
    (void)snprintf(buf, DNS_SERVER_TEXT_SIZE, "%s%s%s:%u", brackets ? "[" : "", addr,
                   brackets ? "]" : "", server->port);
    return buf;
}
