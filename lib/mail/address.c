/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/mail/netaddr.h"

#include <string.h>

/* ---- scanning outside of quotes ---- */

/* The byte after the one at `at`, or after the quoted string or quoted pair that begins there. */
static const char *step(const char *at)
{
    if (*at == '\\' && at[1] != '\0') {
        return at + 2;
    }
    if (*at != '"') {
        return at + 1;
    }
    for (at++; *at != '\0' && *at != '"'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        }
    }
    return *at == '"' ? at + 1 : at;
}

/* The first byte from which on quotes have to be looked at. */
static const char *first_quote(const char *text)
{
    return strpbrk(text, "\"\\");
}

static const char *find_first(const char *text, const char *set)
{
    const char *simple = set[1] == '\0' ? strchr(text, *set) : strpbrk(text, set);

    if (simple == NULL) {
        return NULL;
    }
    const char *quote = first_quote(text);

    if (quote == NULL || quote > simple) {
        return simple;
    }
    for (const char *at = text; *at != '\0'; at = step(at)) {
        if (strchr(set, *at) != NULL) {
            return at;
        }
    }
    return NULL;
}

static const char *find_last(const char *text, const char *set)
{
    const char *last = NULL;

    if (strpbrk(text, set) == NULL) {
        return NULL;
    }
    if (set[1] == '\0' && first_quote(text) == NULL) {
        return strrchr(text, *set);
    }

    for (const char *at = text; *at != '\0'; at = step(at)) {
        if (strchr(set, *at) != NULL) {
            last = at;
        }
    }
    return last;
}

/* ---- step 1: what surrounds the address ---- */

const char *address_skip_comment(const char *at)
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
    return NULL;
}

static char *without_comments(struct arena *arena, const char *typed)
{
    char *text = arena_alloc(arena, strlen(typed) + 1);
    char *end = text;

    while (*typed != '\0') {
        if (*typed == '(') {
            const char *behind = address_skip_comment(typed);

            typed = behind != NULL ? behind : typed + strlen(typed);
        } else if (strchr(" \t\r\n", *typed) != NULL) {
            typed++;
        } else {
            const char *next = step(typed);

            memcpy(end, typed, (size_t)(next - typed));
            end += next - typed;
            typed = next;
        }
    }
    *end = '\0';
    return text;
}

/* Cuts text to what stands in the innermost angle brackets; false if there are none. */
static bool take_innermost(char **text)
{
    const char *open = find_last(*text, "<");

    if (open == NULL) {
        return false;
    }
    const char *close = find_first(open + 1, ">");

    *text += open + 1 - *text;
    if (close != NULL) {
        (*text)[close - *text] = '\0';
    }
    return true;
}

/* The first "]:" with something behind it, after which the address stands: "@[192.0.2.1]:user@c". */
static const char *literal_route_end(const char *text)
{
    const char *end = *text == '@' && text[1] == '[' ? strstr(text, "]:") : NULL;

    return end == NULL || end[2] == '\0' ? NULL : end + 2;
}

/* "@a,@b:user@c": what stands behind the route, as canonify's three rules find it. */
static const char *skip_route(const char *text)
{
    const char *at;

    while (*text == '@' && (at = find_first(text + 1, ",")) != NULL && at > text + 1 &&
           at[1] != '\0') {
        text = at + 1;
    }
    while ((at = literal_route_end(text)) != NULL) {
        text = at;
    }
    while (*text == '@' && (at = find_first(text + 1, ":")) != NULL && at > text + 1 &&
           at[1] != '\0') {
        text = at + 1;
    }
    return text;
}

/* "<user@domain>" with nothing in it that has a meaning here, as nearly every address is; else NULL. */
static const char *strip_plain(struct arena *arena, const char *typed)
{
    if (*typed != '<' || typed[1] == '@') {
        return NULL;
    }
    size_t len = strcspn(typed + 1, "<>()[]\"\\ \t\r\n:,;");

    return typed[len + 1] == '>' && typed[len + 2] == '\0' ? arena_strndup(arena, typed + 1, len)
                                                           : NULL;
}

const char *address_strip(struct arena *arena, const char *typed)
{
    const char *plain = strip_plain(arena, typed);

    if (plain != NULL) {
        return plain;
    }
    char *text = without_comments(arena, typed);

    if (!take_innermost(&text) && *text != '@' && strstr(text, "::") == NULL &&
        find_first(text, "[") == NULL) {
        const char *colon = find_first(text, ":");

        if (colon != NULL) {
            text += colon + 1 - text; /* group syntax: only outside of angle brackets */
        }
    }
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == ';') {
        text[--len] = '\0';
    }
    return skip_route(text);
}

const char *address_unbracket(struct arena *arena, const char *typed)
{
    char *text = without_comments(arena, typed);

    (void)take_innermost(&text);
    return text;
}

/* ---- step 2: local part and domain ---- */

static void split_at(struct arena *arena, const char *text, const char *at, struct address *out)
{
    out->local = arena_strndup(arena, text, (size_t)(at - text));
    out->domain = arena_strdup(arena, at + 1);
}

/* The '@' that the last of canonify's "move gaze right" rules stops at. */
static const char *focus(const char *text)
{
    const char *simple = strrchr(text, '@');

    if (simple == NULL || (simple > text && simple[1] != '\0' && first_quote(text) == NULL)) {
        return simple;
    }
    const char *found = NULL;

    for (const char *at = text; *at != '\0'; at = step(at)) {
        if (*at == '@' && at > text && at[1] != '\0') {
            found = at;
        }
    }
    return found;
}

/* "b.test!user": where the host ends, if there is a dot before its last label; else NULL. */
static const char *dotted_host_end(const char *text)
{
    for (const char *dot = find_first(text + 1, "."); dot != NULL; dot = find_first(dot + 1, ".")) {
        const char *end = dot + 1;

        while (*end != '\0' && !domain_is_operator(*end)) {
            end++;
        }
        if (*end == '!' && end > dot + 1 && end[1] != '\0') {
            return end;
        }
    }
    return NULL;
}

/* host!user: false if the text is not of that form. */
static bool split_bang(struct arena *arena, const char *text, struct address *out)
{
    const char *bang = *text == '\0' ? NULL : find_first(text, "!");

    if (bang == NULL || bang == text || bang[1] == '\0') {
        return false;
    }
    size_t first_token = strcspn(text, ".:%@!^/[]+()<>,;");
    const char *end = text + first_token == bang ? NULL : dotted_host_end(text);

    if (end != NULL) {
        out->domain = arena_strndup(arena, text, (size_t)(end - text));
        out->local = arena_strdup(arena, end + 1);
    } else {
        out->domain = arena_printf(arena, "%.*s.UUCP", (int)(bang - text), text);
        out->local = arena_strdup(arena, bang + 1);
    }
    return true;
}

static bool refuse(struct reply *error_out, const char *dsn, const char *text)
{
    *error_out = reply_make(553, dsn, text);
    return false;
}

/* The errors that Sendmail's ruleset 0 finds before anything else. */
static bool check_domain(const char *domain, struct reply *error_out)
{
    const char *close = *domain == '[' ? strchr(domain, ']') : NULL;

    if (close != NULL) {
        if (close[1] != '\0' && close[1] != ':' && close[1] != ',') {
            return refuse(error_out, "5.1.2", "Invalid address");
        }
        return true;
    }
    if (strchr(domain, ':') != NULL) {
        return refuse(error_out, "5.1.3", "Colon illegal in host name part");
    }
    const char *dots = strstr(domain, ".."); /* at the end they are taken off later */

    if (*domain == '.' || (dots != NULL && dots[strspn(dots, ".")] != '\0')) {
        return refuse(error_out, "5.1.2", "Invalid host name");
    }
    if (strchr(domain, '@') != NULL) {
        return refuse(error_out, "5.1.2", "Invalid route address");
    }
    return true;
}

static bool check(const struct address *address, struct reply *error_out)
{
    if (address->domain != NULL) {
        if (*address->local == '\0') {
            return refuse(error_out, "5.1.3", "User address required");
        }
        if (*address->domain == '\0') {
            return refuse(error_out, "5.1.3", "Hostname required");
        }
        if (!check_domain(address->domain, error_out)) {
            return false;
        }
        if (find_first(address->local, "@") != NULL) {
            return refuse(error_out, "5.1.3", "Invalid route address");
        }
    }
    const char *comma = find_last(address->local, ",");

    if (comma != NULL && comma[1] != '@' && comma[1] != '%' && comma[1] != '!') {
        return refuse(error_out, "5.1.3", "Invalid route address");
    }
    return true;
}

bool address_split(struct arena *arena, const char *text, struct address_operators operators,
                   struct address *out, struct reply *error_out)
{
    const char *at = focus(text);

    *out = (struct address){.local = text, .domain = NULL};
    if (at != NULL) {
        split_at(arena, text, at, out);
    } else if (!operators.bang || !split_bang(arena, text, out)) {
        const char *last = find_last(text, operators.percent ? "@%" : "@");

        if (last != NULL) {
            split_at(arena, text, last, out);
        }
    }
    return check(out, error_out);
}

const char *address_dequote(struct arena *arena, const char *local)
{
    size_t len = strlen(local);

    if (len < 2 || *local != '"' || step(local) != local + len || local[len - 1] != '"') {
        return local;
    }
    char *text = arena_alloc(arena, len);
    char *end = text;
    int angles = 0;
    int parens = 0;

    for (const char *at = local + 1; at < local + len - 1; at++) {
        if (*at == '\\' && at + 1 < local + len - 1) {
            *end++ = *at++; /* still quotes what follows */
            *end++ = *at;
            continue;
        }
        if (*at == ' ' || *at == '\t') {
            return local;
        }
        angles += (*at == '<') - (*at == '>');
        parens += (*at == '(') - (*at == ')');
        *end++ = *at;
    }
    *end = '\0';
    return angles == 0 && parens == 0 ? text : local;
}

const char *address_plain(struct arena *arena, const char *text)
{
    char *plain = arena_alloc(arena, strlen(text) + 1);
    char *end = plain;

    for (; *text != '\0'; text++) {
        if (*text == '"') {
            continue;
        }
        if (*text == '\\' && text[1] != '\0') {
            text++;
        }
        *end++ = *text;
    }
    *end = '\0';
    return plain;
}

bool address_has_byte(const char *local, char byte)
{
    const char set[2] = {byte, '\0'};

    return find_first(local, set) != NULL;
}

bool address_has_operator(const char *local, struct address_operators operators)
{
    char set[4] = "@";
    size_t n = 1;

    if (operators.percent) {
        set[n++] = '%';
    }
    if (operators.bang) {
        set[n++] = '!';
    }
    set[n] = '\0';
    return find_first(local, set) != NULL;
}

const char *address_format(struct arena *arena, const struct address *address)
{
    if (address->domain == NULL) {
        return address->local;
    }
    return arena_printf(arena, "%s@%s", address->local, address->domain);
}

static bool is_plain_local_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte >= 0x80 ||
           (byte != '\0' && strchr(".#$&'*+-/=?^_`{|}~", byte) != NULL);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
static bool is_address_literal(const char *domain)
{
    char inner[NETADDR_TEXT_SIZE];
    struct netaddr addr;
    size_t len = strlen(domain);

    if (len < 3 || len - 2 >= sizeof(inner) || domain[0] != '[' || domain[len - 1] != ']') {
        return false;
    }
    memcpy(inner, domain + 1, len - 2);
    inner[len - 2] = '\0';
    return netaddr_parse(inner, &addr);
}

bool address_is_plain(const char *address)
{
    const char *at = address;

    while (is_plain_local_byte((unsigned char)*at)) {
        at++;
    }
    return at > address && *at == '@' && (domain_is_plain(at + 1) || is_address_literal(at + 1));
}
