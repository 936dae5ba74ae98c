/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/access_rules.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/access_key.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/trace.h"
#include "lib/table/netwalk.h"
#include "lib/table/table.h"

#include <string.h>

/* The longest key: a tag, two addresses and "<@>". What is longer is in no map. */
#define ACCESS_MAX_TAG 16u
#define ACCESS_MAX_KEY (2 * ADDRESS_MAX_LEN + 8u)

#define NETWORKS_AT_ONCE 8u

struct access_search access_search_init(struct session *session, const char *tag, bool tag_only)
{
    return (struct access_search){
        .session = session,
        .table = ruleset_access(session->ruleset),
        .tag = tag,
        .tag_only = tag_only,
    };
}

static void trace_lookup(const struct access_search *search, const char *key, enum status status,
                         const struct table_value *value)
{
    struct trace *trace = search->session->trace;

    if (trace == NULL) {
        return;
    }
    struct trace_lookup lookup = {
        .table = table_name(search->table),
        .key = key,
        .result = status,
    };
    if (status == STATUS_OK) {
        lookup.value = value->text;
        lookup.file = table_source(search->table);
        lookup.line = value->line;
    } else if (status == STATUS_TEMPFAIL) {
        lookup.value = table_failure(search->table);
    }
    trace->lookup(trace, &lookup);
}

/* A right-hand side that was found becomes an action; one that cannot be read is a failure of the map. */
static struct access_match found(const struct access_search *search, const char *key, size_t len,
                                 const struct table_value *value)
{
    struct arena *arena = search->session->scratch;
    struct access_match match = {.status = STATUS_OK};
    bool bare_discard = strcmp(search->tag, "compat:") == 0 &&
                        action_is_discard_with_text(value->text); /* nobody sees the text */

    match.rule = (struct verdict_rule){
        .file = table_source(search->table),
        .line = value->line,
        .key = arena_strndup(arena, key, len),
    };
    if (!action_parse(bare_discard ? "DISCARD" : value->text, arena, &match.action, NULL)) {
        match.status = STATUS_TEMPFAIL;
    }
    return match;
}

static bool ask(const struct access_search *search, const char *key, size_t len,
                struct access_match *match)
{
    struct table_value value = {0};
    enum status status = table_find(search->table, key, len, search->session->scratch, &value);

    trace_lookup(search, key, status, &value);
    if (status == STATUS_NOTFOUND) {
        return false;
    }
    if (status == STATUS_OK) {
        *match = found(search, key, len, &value);
    } else {
        *match = (struct access_match){.status = STATUS_TEMPFAIL};
    }
    return true;
}

/* A key in lower case, with room in front of it where a tag is put when it is asked for with one. */
struct key {
    char bytes[ACCESS_MAX_TAG + ACCESS_MAX_KEY + 1];
    char *text; /* behind the room */
    size_t len;
};

static void key_begin(struct key *key)
{
    key->text = key->bytes + ACCESS_MAX_TAG;
    key->len = 0;
    key->text[0] = '\0';
}

/* False: the key gets longer than any in a map. */
static bool key_add(struct key *key, const char *part, size_t len)
{
    if (len > ACCESS_MAX_KEY - key->len) {
        return false;
    }
    char *to = key->text + key->len;

    for (size_t i = 0; i < len; i++) {
        char c = part[i];

        to[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    to[len] = '\0';
    key->len += len;
    return true;
}

/* Is one look ahead worth it? It spares two lookups for nearly all keys. Who traces wants to see both. */
static bool looks_ahead(const struct access_search *search)
{
    return search->table != NULL && *search->tag != '\0' && !search->tag_only &&
           search->session->trace == NULL;
}

/*
 * Asks for what begins at `from` of the key: with the tag, then without. The tag overwrites what stands before. True if that ends
 * the search.
 */
static bool try_from(const struct access_search *search, struct key *key, size_t from,
                     struct access_match *match)
{
    size_t tag_len = strlen(search->tag);
    size_t len = key->len - from;
    char *at = key->text + from;

    if (search->table == NULL || len == 0) {
        return false;
    }
    if (looks_ahead(search) && !table_may_have(search->table, at, len)) {
        return false;
    }
    if (tag_len > 0) {
        memcpy(at - tag_len, search->tag, tag_len);
        if (ask(search, at - tag_len, tag_len + len, match)) {
            return true;
        }
    }
    return (tag_len == 0 || !search->tag_only) && ask(search, at, len, match);
}

static bool try_text(const struct access_search *search, const char *text,
                     struct access_match *match)
{
    struct key key;

    key_begin(&key);
    return key_add(&key, text, strlen(text)) && try_from(search, &key, 0, match);
}

/* SKIP ends the search of a domain or an address as if nothing had been found. */
static struct access_match skip_is_nothing(struct access_match match)
{
    if (match.status == STATUS_OK && match.action.kind == ACTION_SKIP) {
        match.status = STATUS_NOTFOUND;
        match.skip = true;
    }
    return match;
}

/* Cuts the last octet or group of "[10.1.2.3]", in place: "[10.1.2]". False if there is none left. */
static bool shorten_literal(char *literal)
{
    size_t len = strlen(literal);
    char *last = NULL;

    for (char *at = literal + 1; at < literal + len - 1; at++) {
        if (*at == '.' || *at == ':') {
            last = at;
        }
    }
    if (last == NULL || last == literal + 1) {
        return false;
    }
    if (*last == ':' && last[-1] == ':' && last - 1 > literal + 1) {
        last--; /* a trailing "::x" goes as a whole */
    }
    last[0] = ']';
    last[1] = '\0';
    return true;
}

static struct access_match find_literal(const struct access_search *search, const char *literal)
{
    struct access_match match = {.status = STATUS_NOTFOUND};
    char *key = arena_strdup(search->session->scratch, literal);

    do {
        if (try_text(search, key, &match)) {
            return skip_is_nothing(match);
        }
    } while (shorten_literal(key));
    return match;
}

/* Looks ahead wait for memory; those for a domain and its parents can do so at the same time. */
static void expect_domain(const struct access_search *search, const char *domain)
{
    for (const char *at = domain; looks_ahead(search) && at != NULL; at = domain_parent(at)) {
        table_expect(search->table, at, strlen(at));
    }
}

/* So can those for an address, its user and its domain. A user with quotes or a detail has other keys too, which come later. */
static void expect_address(const struct access_search *search, const char *local,
                           const char *domain)
{
    size_t local_len = strlen(local);
    struct key key;

    key_begin(&key);
    if (looks_ahead(search) && key_add(&key, local, local_len) && key_add(&key, "@", 1) &&
        key_add(&key, domain, strlen(domain))) {
        table_expect(search->table, key.text, key.len);
        table_expect(search->table, key.text, local_len + 1);
        expect_domain(search, key.text + local_len + 1);
    }
}

static struct access_match find_domain(const struct access_search *search, const char *domain)
{
    struct access_match match = {.status = STATUS_NOTFOUND};
    bool dots = session_has(search->session, FEATURE_LOOKUPDOTDOMAIN);

    if (strlen(domain) > DOMAIN_MAX_LEN) {
        return match;
    }
    if (domain_is_literal(domain)) {
        return find_literal(search, domain);
    }
    struct key key;

    key_begin(&key);
    if (!key_add(&key, domain, strlen(domain))) {
        return match;
    }
    for (const char *at = key.text; at != NULL;) {
        const char *parent = domain_parent(at);

        if (try_from(search, &key, (size_t)(at - key.text), &match)) {
            break;
        }
        if (dots && parent != NULL &&
            try_from(search, &key, (size_t)(parent - 1 - key.text), &match)) {
            break;
        }
        at = parent;
    }
    return skip_is_nothing(match);
}

struct access_match access_find_domain(const struct access_search *search, const char *domain)
{
    domain = access_key_ascii(search->session->scratch, domain);
    expect_domain(search, domain);
    return find_domain(search, domain);
}

/* The next keys of a walk; 0 at its end. */
static unsigned next_networks(const struct access_search *search, struct netwalk *walk,
                              char keys[NETWORKS_AT_ONCE][NETADDR_TEXT_SIZE])
{
    unsigned count = 0;

    while (count < NETWORKS_AT_ONCE && netwalk_next(walk, keys[count])) {
        if (looks_ahead(search)) {
            table_expect(search->table, keys[count], strlen(keys[count]));
        }
        count++;
    }
    return count;
}

struct access_match access_find_client(const struct access_search *search)
{
    struct access_match match = {.status = STATUS_NOTFOUND};
    char keys[NETWORKS_AT_ONCE][NETADDR_TEXT_SIZE];
    struct netwalk walk;
    unsigned count;

    if (search->table == NULL || search->session->client_net.family == NETADDR_NONE) {
        return match;
    }
    netwalk_init(&walk, search->table, &search->session->client_net);
    while ((count = next_networks(search, &walk, keys)) > 0) {
        for (unsigned i = 0; i < count; i++) {
            if (try_text(search, keys[i], &match)) {
                return skip_is_nothing(match);
            }
        }
    }
    return match;
}

/* Where the detail begins: the first '+' that is not the first byte; NULL in a local part that keeps its quotes. */
static const char *detail_of(const char *local)
{
    return *local == '\0' || *local == '"' ? NULL : strchr(local + 1, '+');
}

/* One key "user", "+*" or nothing, "@", domain or nothing. */
static bool try_user(const struct access_search *search, const char *user, size_t user_len,
                     const char *detail, const char *domain, struct access_match *match)
{
    struct key key;

    key_begin(&key);
    return key_add(&key, user, user_len) && key_add(&key, detail, strlen(detail)) &&
           key_add(&key, "@", 1) && key_add(&key, domain, strlen(domain)) &&
           try_from(search, &key, 0, match);
}

/*
 * F and U: for U the domain is empty. A detail goes up to the domain, but in F not beyond an '@' that quotes had hidden.
 */
static struct access_match find_user(const struct access_search *search, const char *local,
                                     const char *domain)
{
    struct arena *arena = search->session->scratch;
    struct access_match match = {.status = STATUS_NOTFOUND};
    bool has_detail = detail_of(local) != NULL;
    const char *plain = *local == '"' ? address_plain(arena, local) : local;
    const char *plus = has_detail ? strchr(plain + 1, '+') : NULL;

    if (try_user(search, plain, strlen(plain), "", domain, &match) || plus == NULL) {
        return match;
    }
    size_t user_len = (size_t)(plus - plain);
    const char *at = *domain == '\0' ? NULL : strchr(plus, '@');

    if (at != NULL) {
        domain = arena_printf(arena, "%s@%s", at + 1, domain);
    }
    if (!try_user(search, plain, user_len, "+*", domain, &match)) {
        (void)try_user(search, plain, user_len, "", domain, &match);
    }
    return match;
}

struct access_match access_find_full(const struct access_search *search, const char *local,
                                     const char *domain)
{
    return find_user(search, local, access_key_ascii(search->session->scratch, domain));
}

struct access_match access_find_user(const struct access_search *search, const char *local)
{
    return find_user(search, local, "");
}

struct access_match access_find_exact(const struct access_search *search, const char *key)
{
    struct access_match match = {.status = STATUS_NOTFOUND};

    (void)try_text(search, access_key_ascii(search->session->scratch, key), &match);
    return match;
}

struct access_match access_find(const struct access_search *search, const char *order,
                                const char *local, const char *domain)
{
    struct access_match match = {.status = STATUS_NOTFOUND};

    if (domain != NULL) {
        domain = access_key_ascii(search->session->scratch, domain);
        expect_address(search, local, domain);
    }
    for (; *order != '\0' && match.status == STATUS_NOTFOUND; order++) {
        match = *order == 'F'   ? access_find_full(search, local, domain)
                : *order == 'U' ? access_find_user(search, local)
                                : find_domain(search, domain);
    }
    return match;
}
