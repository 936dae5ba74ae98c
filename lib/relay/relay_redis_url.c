/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_url.h"

#include "lib/mail/netaddr.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define PORT_MAX 65535u
#define DIGITS_MAX 5u

/* A piece of the text. */
struct piece {
    const char *at;
    const char *end;
};

static size_t piece_len(const struct piece *piece)
{
    return (size_t)(piece->end - piece->at);
}

static bool copy(const struct piece *piece, char *out, size_t size)
{
    size_t len = piece_len(piece);

    if (len >= size) {
        return false;
    }
    memcpy(out, piece->at, len);
    out[len] = '\0';
    return true;
}

static bool read_number(const struct piece *piece, unsigned max, unsigned *out)
{
    unsigned number = 0;

    for (const char *at = piece->at; at < piece->end; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        number = number * 10 + (unsigned)(*at - '0');
    }
    *out = number;
    return piece_len(piece) > 0 && piece_len(piece) <= DIGITS_MAX && number <= max;
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_host_name(const char *host)
{
    for (const char *at = host; *at != '\0'; at++) {
        if (!is_letter_or_digit(*at) && strchr(".-_", *at) == NULL) {
            return false;
        }
    }
    return *host != '\0';
}

static const char *take_user(const struct piece *piece, struct relay_redis_url *url)
{
    if (memchr(piece->at, ':', piece_len(piece)) != NULL) {
        return "a password does not belong into the URL; put it into a file, and name that as "
               "redis_password_file";
    }
    for (const char *at = piece->at; at < piece->end; at++) {
        if (*at <= ' ' || *at >= 0x7f) {
            return "the user holds a blank or a byte that is no printable ASCII";
        }
    }
    if (piece_len(piece) == 0 || !copy(piece, url->user, sizeof(url->user))) {
        return "the user is empty or too long";
    }
    return NULL;
}

static const char *take_port(const struct piece *piece, struct relay_redis_url *url)
{
    return read_number(piece, PORT_MAX, &url->port) && url->port > 0
               ? NULL
               : "the port is no number between 1 and 65535";
}

static const char *take_db(const struct piece *piece, struct relay_redis_url *url)
{
    return read_number(piece, RELAY_REDIS_DB_MAX, &url->db)
               ? NULL
               : "the database is no number between 0 and 65535";
}

/* [ADDRESS] and what follows it. */
static const char *take_bracketed(const struct piece *piece, struct relay_redis_url *url)
{
    const char *close = memchr(piece->at, ']', piece_len(piece));
    struct netaddr addr;

    if (close == NULL) {
        return "the bracket before the IPv6 address is not closed";
    }
    const struct piece host = {piece->at + 1, close};

    if (!copy(&host, url->host, sizeof(url->host)) || strchr(url->host, ':') == NULL ||
        strncasecmp(url->host, "IPv6:", 5) == 0 || !netaddr_parse(url->host, &addr)) {
        return "no IPv6 address in the brackets";
    }
    if (close + 1 == piece->end) {
        return NULL;
    }
    const struct piece port = {close + 2, piece->end};

    return close[1] == ':' ? take_port(&port, url) : "bytes after the bracket";
}

/* HOST[:PORT] */
static const char *take_server(const struct piece *piece, struct relay_redis_url *url)
{
    if (piece_len(piece) > 0 && *piece->at == '[') {
        return take_bracketed(piece, url);
    }
    const char *colon = memchr(piece->at, ':', piece_len(piece));
    const struct piece host = {piece->at, colon == NULL ? piece->end : colon};

    if (!copy(&host, url->host, sizeof(url->host))) {
        return "the host is too long";
    }
    if (!is_host_name(url->host)) {
        return "no host (an IPv6 address stands in brackets)";
    }
    if (colon == NULL) {
        return NULL;
    }
    const struct piece port = {colon + 1, piece->end};

    return take_port(&port, url);
}

/* [USER@]HOST[:PORT][/DB] */
static const char *take_net(const char *text, struct relay_redis_url *url)
{
    const char *slash = strchr(text, '/');
    struct piece server = {text, slash == NULL ? text + strlen(text) : slash};
    const char *at_sign = memchr(server.at, '@', piece_len(&server));
    const char *why = NULL;

    url->port = RELAY_REDIS_PORT;
    if (at_sign != NULL) {
        const struct piece user = {server.at, at_sign};

        why = take_user(&user, url);
        server.at = at_sign + 1;
    }
    if (why == NULL) {
        why = take_server(&server, url);
    }
    if (why == NULL && slash != NULL && slash[1] != '\0') {
        const struct piece db = {slash + 1, slash + strlen(slash)};

        why = take_db(&db, url);
    }
    return why;
}

/* db=N or user=NAME, more than one with & between. */
static const char *take_parameters(const char *at, struct relay_redis_url *url)
{
    const char *why = NULL;

    while (why == NULL && at != NULL) {
        const char *ampersand = strchr(at, '&');
        struct piece value = {at, ampersand == NULL ? at + strlen(at) : ampersand};

        if (strncmp(at, "db=", 3) == 0) {
            value.at += 3;
            why = take_db(&value, url);
        } else if (strncmp(at, "user=", 5) == 0) {
            value.at += 5;
            why = take_user(&value, url);
        } else {
            why = "after the question mark only db=NUMBER and user=NAME are known";
        }
        at = ampersand == NULL ? NULL : ampersand + 1;
    }
    return why;
}

/* /PATH[?...] */
static const char *take_unix(const char *text, struct relay_redis_url *url)
{
    const char *question = strchr(text, '?');
    /* unix:///path is common, too. */
    const char *path = strncmp(text, "///", 3) == 0 ? text + 2 : text;
    const struct piece piece = {path, question == NULL ? path + strlen(path) : question};

    if (*path != '/' || path[1] == '/' || piece_len(&piece) < 2) {
        return "after unix: comes the absolute path of a socket";
    }
    if (!copy(&piece, url->path, sizeof(url->path))) {
        return "the path of a socket has at most 107 bytes";
    }
    return question == NULL ? NULL : take_parameters(question + 1, url);
}

bool relay_redis_url_parse(const char *text, struct relay_redis_url *url_out, const char **why_out)
{
    const char *why = "it begins with none of redis://, rediss://, unix:/";

    *url_out = (struct relay_redis_url){.kind = RELAY_REDIS_TCP};
    if (strncasecmp(text, "redis://", 8) == 0) {
        why = take_net(text + 8, url_out);
    } else if (strncasecmp(text, "rediss://", 9) == 0) {
        url_out->kind = RELAY_REDIS_TLS;
        why = take_net(text + 9, url_out);
    } else if (strncasecmp(text, "unix:", 5) == 0) {
        url_out->kind = RELAY_REDIS_UNIX;
        why = take_unix(text + 5, url_out);
    }
    *why_out = why == NULL ? "" : why;
    return why == NULL;
}
