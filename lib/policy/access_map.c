/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/access_map.h"

#include "lib/base/arena.h"
#include "lib/mail/domain.h"
#include "lib/mail/netaddr.h"
#include "lib/policy/access_key.h"
#include "lib/policy/action.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum tag_kind {
    TAG_NONE,
    TAG_CONNECT,
    TAG_FROM,
    TAG_TO,
    TAG_SPAM,
    TAG_COMPAT,
    TAG_CERTIFICATE,
    TAG_LIMIT,  /* ClientRate:, ClientConn: */
    TAG_OTHERS, /* Sendmail's own business: kept, never asked for */
};

static const struct {
    const char *name; /* with its ':' */
    enum tag_kind kind;
} tags[] = {
    {"Connect:", TAG_CONNECT},
    {"From:", TAG_FROM},
    {"To:", TAG_TO},
    {"Spam:", TAG_SPAM},
    {"Compat:", TAG_COMPAT},
    {"ClientRate:", TAG_LIMIT},
    {"ClientConn:", TAG_LIMIT},
    {"GreetPause:", TAG_OTHERS},
    {"Srv_Features:", TAG_OTHERS},
    {"Clt_Features:", TAG_OTHERS},
    {"TLS_Srv:", TAG_OTHERS},
    {"TLS_Clt:", TAG_OTHERS},
    {"TLS_Rcpt:", TAG_OTHERS},
    {"TLS_Srv_Features:", TAG_OTHERS},
    {"TLS_Clt_Features:", TAG_OTHERS},
    {"Try_TLS:", TAG_OTHERS},
    {"AuthInfo:", TAG_OTHERS},
    {"CertIssuer:", TAG_CERTIFICATE},
    {"CertSubject:", TAG_CERTIFICATE},
};

#define TAGS (sizeof(tags) / sizeof(tags[0]))

/* One line on its way into the map. */
struct entry {
    const struct mapfile_line *line;
    enum tag_kind tag;
    const char *rest; /* the key behind the tag */
    bool bad;         /* an error was reported */
};

static void error(struct entry *entry, const char *hint, const char *text)
{
    diag_report(entry->line->diag, DIAG_ERROR, entry->line->file, entry->line->number, hint,
                "%s: %s", entry->line->key, text);
    entry->bad = true;
}

static void warn(const struct entry *entry, const char *hint, const char *text)
{
    diag_report(entry->line->diag, DIAG_WARNING, entry->line->file, entry->line->number, hint,
                "%s: %s", entry->line->key, text);
}

/* ---- tags ---- */

static bool is_ipv6_key(const char *key)
{
    return strncasecmp(key, "IPv6", 4) == 0 && (key[4] == ':' || key[4] == '\0' || key[4] == '/');
}

/* "2001:db8::/32", which Sendmail would not read without the word IPv6: in front. */
static bool is_bare_ipv6(const char *key)
{
    const char *colon = *key == '[' ? NULL : strchr(key, ':');

    return colon != NULL && strchr(colon + 1, ':') != NULL &&
           key[strspn(key, "0123456789abcdefABCDEF:./")] == '\0';
}

/* "Form:" is one letter or one swap away from "From:". */
static const char *similar_tag(const char *key, size_t len)
{
    for (size_t i = 0; i < TAGS; i++) {
        size_t tag_len = strlen(tags[i].name) - 1; /* without the ':' */
        size_t same = 0;

        if (len + 1 < tag_len || len > tag_len + 1) {
            continue;
        }
        for (size_t j = 0; j < len; j++) {
            same += memchr(tags[i].name, key[j], tag_len) != NULL ||
                    memchr(tags[i].name, toupper((unsigned char)key[j]), tag_len) != NULL;
        }
        if (same + 1 >= len && toupper((unsigned char)key[0]) == tags[i].name[0]) {
            return tags[i].name;
        }
    }
    return NULL;
}

static void find_tag(struct entry *entry)
{
    const char *key = entry->line->key;
    const char *colon = strchr(key, ':');

    entry->tag = TAG_NONE;
    entry->rest = key;
    for (size_t i = 0; i < TAGS; i++) {
        size_t len = strlen(tags[i].name);

        if (strncasecmp(key, tags[i].name, len) == 0) {
            entry->tag = tags[i].kind;
            entry->rest = key + len;
            return;
        }
        /* Written with its capital letter: "spam.example" is a domain, "From.example" was meant for a tag. */
        if (strncmp(key, tags[i].name, len - 1) == 0 && key[len - 1] == '.' &&
            tags[i].kind != TAG_OTHERS) {
            warn(entry, "a tag ends in ':', not in '.'", "is taken as a domain");
        }
    }
    if (colon == NULL || is_ipv6_key(key) || is_bare_ipv6(key) || *key == '[' ||
        memchr(key, '@', (size_t)(colon - key)) != NULL) {
        return;
    }
    char hint[80];
    const char *similar = similar_tag(key, (size_t)(colon - key));

    if (similar != NULL) {
        (void)snprintf(hint, sizeof(hint), "did you mean %s?", similar);
    } else {
        (void)snprintf(hint, sizeof(hint), "%s",
                       strchr(colon + 1, ':') != NULL
                           ? "an IPv6 address begins with IPv6:"
                           : "tags are Connect: From: To: Spam: Compat:");
    }
    error(entry, hint, "unknown tag");
}

/* ---- keys ---- */

/* Is it meant as an address: digits and dots, or IPv6? */
static bool looks_like_network(const char *key)
{
    return is_ipv6_key(key) || is_bare_ipv6(key) ||
           (isdigit((unsigned char)*key) && key[strspn(key, "0123456789./")] == '\0');
}

static void check_network(struct entry *entry)
{
    char text[NETADDR_TEXT_SIZE];
    struct netaddr network;
    bool host_bits = false;

    if (!netaddr_parse_network(entry->rest, &network, &host_bits)) {
        if (host_bits) {
            char hint[NETADDR_TEXT_SIZE + 20];

            (void)snprintf(hint, sizeof(hint), "the network is %s", netaddr_format(&network, text));
            error(entry, hint, "has bits set behind its prefix length");
        } else if (strpbrk(entry->rest, "/:") != NULL) {
            error(entry, "write 192.0.2.0/25 or IPv6:2001:db8::/33", "is no address or network");
        } else {
            warn(entry, "octets are 0 to 255 without leading zeros",
                 "is no address: it can never match one");
            strbuf_append(entry->line->stored_key, entry->rest);
        }
        return;
    }
    mapfile_note_prefix(entry->line, &network);
    strbuf_append(entry->line->stored_key, netaddr_format(&network, text));
}

/* "[IPv6:2001:db8::1]" is stored as clients and domains will be written: all groups; U-labels as A-labels. */
static void store_name(const struct entry *entry, const char *name)
{
    struct arena *arena = arena_new();

    strbuf_append(entry->line->stored_key,
                  access_key_ascii(arena, domain_full_literal(arena, name)));
    arena_free(&arena);
}

static void check_address_key(const struct entry *entry)
{
    const char *at = strrchr(entry->rest, '@');

    if (at == entry->rest) {
        warn(entry, "write the domain without '@'", "can never match: no key begins with '@'");
    } else if (at[1] != '\0' && at[strlen(at) - 1] == '.') {
        warn(entry, "leave the last dot out", "can never match: addresses lose trailing dots");
    } else if (entry->tag == TAG_CONNECT) {
        warn(entry, "clients are hosts and addresses", "can never match");
    }
    strbuf_append_len(entry->line->stored_key, entry->rest, (size_t)(at + 1 - entry->rest));
    store_name(entry, at + 1);
}

/* What can never match is stored all the same, as Sendmail's makemap does, with a warning. */
static void check_key(struct entry *entry)
{
    const char *rest = entry->rest;
    size_t len = strlen(rest);

    if (len == 0) {
        warn(entry, "no blank may stand between tag and key",
             "can never match: a tag without a key");
    } else if (strpbrk(rest, "<>") != NULL) {
        warn(entry, "write addresses without <>; the sender of a bounce, <>, is never looked up",
             "can never match");
        strbuf_append(entry->line->stored_key, rest);
    } else if (strchr(rest, '@') != NULL) {
        check_address_key(entry);
    } else if (strpbrk(rest, "\"\\(),;") != NULL) {
        warn(entry, "a user's key ends in '@'", "can never match: no host has such a name");
        strbuf_append(entry->line->stored_key, rest);
    } else if (looks_like_network(rest)) {
        check_network(entry);
    } else if (*rest == '[' && !domain_is_literal(rest)) {
        warn(entry, "write [192.0.2.1]", "can never match: the bracket is not closed");
        strbuf_append(entry->line->stored_key, rest);
    } else {
        if (rest[len - 1] == '.') {
            warn(entry, "leave the last dot out", "can never match: names lose trailing dots");
        }
        store_name(entry, rest);
    }
}

/* `sender<@>recipient`, exact addresses. */
static void check_compat_key(struct entry *entry)
{
    const char *middle = strstr(entry->rest, "<@>");

    if (middle == NULL || middle == entry->rest || middle[3] == '\0') {
        error(entry, "write Compat:sender@domain<@>recipient@domain", "is no pair of addresses");
        return;
    }
    store_name(entry, entry->rest);
}

/* ---- right-hand sides ---- */

static bool is_user_key(const struct entry *entry)
{
    return strchr(entry->rest, '@') != NULL;
}

/* Does the verb mean anything behind this key? */
static void check_action(struct entry *entry, const struct action *action)
{
    bool spam_verb = action->kind == ACTION_FRIEND || action->kind == ACTION_HATER;

    if (spam_verb && entry->tag != TAG_SPAM) {
        error(entry, "FRIEND and HATER stand behind Spam: keys", "would be sent as a text");
    } else if (action->kind == ACTION_SKIP && is_user_key(entry)) {
        error(entry, "SKIP is for domains and addresses of clients",
              "SKIP means nothing for a user");
    } else if (action->kind == ACTION_TEMP && entry->tag != TAG_COMPAT) {
        error(entry, "write ERROR:4.7.1:450 text", "TEMP: stands behind Compat: keys only");
    } else if (action->kind == ACTION_SUBJECT &&
               strncasecmp(entry->line->key, "CertIssuer:", 11) != 0) {
        error(entry, "SUBJECT stands behind CertIssuer: keys only", "would be sent as a text");
    } else if (entry->tag == TAG_COMPAT && action->kind == ACTION_QUARANTINE) {
        error(entry, "Compat: knows DISCARD, TEMP:text, ERROR:text, REJECT",
              "QUARANTINE cannot hold one recipient");
    } else if (entry->tag == TAG_SPAM && !spam_verb && action->kind != ACTION_OK) {
        warn(entry, "Spam: keys are asked for FRIEND and HATER",
             "this right-hand side has no effect");
    }
}

static void check_value(struct entry *entry)
{
    struct arena *arena = arena_new();
    const char *value = entry->line->value;
    struct action_problem problem;
    struct action action;

    if (entry->tag == TAG_COMPAT && action_is_discard_with_text(value)) {
        value = "DISCARD";
    }
    bool good = action_parse(value, arena, &action, &problem);

    if (problem.text != NULL) {
        diag_report(entry->line->diag, good ? DIAG_WARNING : DIAG_ERROR, entry->line->file,
                    entry->line->number, problem.hint, "%s", problem.text);
    }
    if (good) {
        check_action(entry, &action);
    }
    entry->bad = entry->bad || !good;
    arena_free(&arena);
}

static void check_limit(struct entry *entry)
{
    const char *value = entry->line->value;

    if (*value == '\0' || value[strspn(value, "0123456789")] != '\0') {
        error(entry, "write the number of connections, 0: no limit",
              "the right-hand side is no number");
    }
}

/* ---- the two formats ---- */

static enum status check_access_line(const struct mapfile_line *line)
{
    struct entry entry = {.line = line};

    find_tag(&entry);
    if (entry.bad) {
        check_value(&entry);
        return STATUS_INVALID;
    }
    if (entry.tag == TAG_OTHERS) {
        warn(&entry, "the MTA's own access map is the place for it", "is not asked for by postern");
        return STATUS_NOTFOUND;
    }
    strbuf_append_len(line->stored_key, line->key, (size_t)(entry.rest - line->key));
    if (entry.tag == TAG_COMPAT) {
        check_compat_key(&entry);
    } else if (entry.tag == TAG_CERTIFICATE) {
        strbuf_append(line->stored_key, entry.rest);
    } else if (entry.tag == TAG_LIMIT) {
        if (*entry.rest == '\0') {
            strbuf_append(line->stored_key,
                          entry.rest); /* "ClientConn:" alone is the default for all */
        } else {
            check_key(&entry);
        }
    } else {
        check_key(&entry);
    }
    if (entry.tag == TAG_LIMIT) {
        check_limit(&entry);
    } else {
        check_value(&entry);
    }
    return entry.bad ? STATUS_INVALID : STATUS_OK;
}

static enum status check_spammers_line(const struct mapfile_line *line)
{
    struct entry entry = {.line = line, .tag = TAG_FROM, .rest = line->key};

    if (strchr(line->key, ':') != NULL && *line->key != '[') {
        error(&entry, "write user@host or host", "the spammers file knows no tags");
        return STATUS_INVALID;
    }
    if (strpbrk(line->key, "\"\\<>(),;") != NULL || *line->key == '@') {
        error(&entry, "write user@host or host", "can never match");
    } else if (line->key[line->key_len - 1] == '.') {
        error(&entry, "leave the last dot out",
              "can never match: trailing dots are taken off names");
    } else {
        store_name(&entry, line->key);
    }
    check_value(&entry);
    return entry.bad ? STATUS_INVALID : STATUS_OK;
}

const struct mapfile_format access_map_format = {
    .name = "access",
    .default_value = NULL,
    .check = check_access_line,
};

const struct mapfile_format spammers_map_format = {
    .name = "spammers",
    .default_value = "REJECT",
    .check = check_spammers_line,
};
