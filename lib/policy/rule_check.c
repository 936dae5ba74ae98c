/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/rule_check.h"

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"
#include "lib/mail/domain.h"
#include "lib/policy/access_map.h"
#include "lib/policy/action.h"
#include "lib/policy/classes.h"
#include "lib/policy/dns_check.h"
#include "lib/policy/header_rules.h"
#include "lib/policy/keyindex.h"
#include "lib/policy/pop_check.h"
#include "lib/policy/regex_check.h"
#include "lib/policy/relay_check.h"
#include "lib/table/linereader.h"
#include "lib/table/mapline.h"
#include "lib/table/table_gdbm.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Findings of which a large file may have a million: the first one is told, with the number of the rest. */
enum finding { NO_BLOCKLIST, NO_LOOKUPDOTDOMAIN, NO_SPAM_FEATURE, NO_COMPAT, FINDINGS };

static const struct {
    const char *text;
    const char *hint;
} findings[FINDINGS] = {
    [NO_BLOCKLIST] = {"To: entries other than RELAY decide nothing",
                      "add blocklist_recipients to features"},
    [NO_LOOKUPDOTDOMAIN] = {"keys that begin with '.' are never asked for",
                            "add lookupdotdomain to features"},
    [NO_SPAM_FEATURE] = {"Spam: entries are never asked for",
                         "add delay_checks_friend or delay_checks_hater to features"},
    [NO_COMPAT] = {"Compat: entries are never asked for", "add compat_check to features"},
};

struct check {
    const struct config *config;
    const struct mapfile_format *format;
    const char *path;
    struct diag *diag;
    struct keyindex *access; /* keys of the access file */
    struct keyindex *skips;  /* those of them that end a search without deciding: SKIP */
    unsigned first[FINDINGS];
    size_t count[FINDINGS];
};

/* What is done with each good line; `key` is the stored key, folded. */
typedef void visit_fn(struct check *check, const struct mapfile_line *line,
                      const struct strbuf *key);

/* ---- reading a text ---- */

static void visit_lines(struct check *check, int fd, struct diag *diag, visit_fn *visit)
{
    struct mapfile_prefixes prefixes = {0};
    struct linereader reader;
    struct strbuf key;
    char *text;
    size_t len;

    strbuf_init(&key);
    linereader_init(&reader, fd, check->path, MAPFILE_MAX_LINE, diag);
    while ((text = linereader_next(&reader, &len)) != NULL) {
        struct mapfile_line line = {
            .file = check->path,
            .number = reader.number,
            .stored_key = &key,
            .prefixes = &prefixes,
            .diag = diag,
        };

        strbuf_reset(&key);
        if (mapline_split(text, len, check->format->default_value, &line) &&
            check->format->check(&line) == STATUS_OK) {
            domain_fold(key.data);
            visit(check, &line, &key);
        }
    }
    linereader_fini(&reader);
    strbuf_fini(&key);
}

/* One pass over the text; false (and told) if it cannot be read. A `diag` without sink: errors are told elsewhere. */
static bool pass(struct check *check, struct diag *diag, visit_fn *visit)
{
    int fd = open(check->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        diag_report(check->diag, DIAG_ERROR, check->path, 0,
                    "create it, or set the key to \"\" for none", "cannot be read: %s",
                    strerror(errno));
        return false;
    }
    visit_lines(check, fd, diag, visit);
    close(fd);
    return true;
}

/* ---- rules that never decide ---- */

static void count(struct check *check, enum finding finding, unsigned line)
{
    if (check->count[finding]++ == 0) {
        check->first[finding] = line;
    }
}

static void report_counts(const struct check *check)
{
    for (size_t i = 0; i < FINDINGS; i++) {
        if (check->count[i] == 1) {
            diag_report(check->diag, DIAG_WARNING, check->path, check->first[i], findings[i].hint,
                        "%s", findings[i].text);
        } else if (check->count[i] > 1) {
            diag_report(check->diag, DIAG_WARNING, check->path, check->first[i], findings[i].hint,
                        "%s (this line and %zu more)", findings[i].text, check->count[i] - 1);
        }
    }
}

/* The line of "tag" + key in an index, or 0. */
static unsigned line_in(const struct keyindex *index, const char *tag, const char *key)
{
    char text[MAPFILE_MAX_LINE + 16];
    int len = snprintf(text, sizeof(text), "%s%s", tag, key);

    return len > 0 && (size_t)len < sizeof(text) ? keyindex_line(index, text, (size_t)len) : 0;
}

/* ... in the access file. */
static unsigned tagged_line(const struct check *check, const char *tag, const char *key)
{
    return line_in(check->access, tag, key);
}

static bool is_network_key(const char *key)
{
    return strncmp(key, "ipv6", 4) == 0 ||
           (isdigit((unsigned char)*key) && key[strspn(key, "0123456789./")] == '\0');
}

/* A bare key is asked for after each tag's own; if all of them exist, it never is. */
static void find_shadow_of_bare(const struct check *check, const struct mapfile_line *line,
                                const char *key)
{
    static const char *const tags[] = {"connect:", "from:", "to:"};
    bool network = is_network_key(key);
    bool user = strchr(key, '@') != NULL;
    struct strbuf who;
    bool shadowed = true;

    strbuf_init(&who);
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]) && shadowed; i++) {
        if ((network && i > 0) || (user && i == 0)) {
            continue;
        }
        unsigned other = tagged_line(check, tags[i], key);

        shadowed = other > 0;
        if (shadowed) {
            strbuf_appendf(&who, "%s%s%s (line %u)", who.len > 0 ? ", " : "", tags[i], key, other);
        }
    }
    if (shadowed) {
        diag_report(check->diag, DIAG_WARNING, line->file, line->number, "remove it",
                    "\"%s\" can never decide: %s is asked first", line->key, who.data);
    }
    strbuf_fini(&who);
}

/* A second line with the same key. */
static void find_duplicate(const struct check *check, const struct mapfile_line *line,
                           const struct strbuf *key)
{
    unsigned first = keyindex_line(check->access, key->data, key->len);

    if (first > 0 && first < line->number) {
        diag_report(check->diag, DIAG_WARNING, line->file, line->number,
                    "the first one counts; remove one of them",
                    "\"%s\" can never decide: it is there already, in line %u", line->key, first);
    }
}

static bool is_relay(const char *value)
{
    struct arena *arena = arena_new();
    struct action action;
    bool relay = action_parse(value, arena, &action, NULL) && action.kind == ACTION_RELAY;

    arena_free(&arena);
    return relay;
}

static void find_open_relay(const struct check *check, const struct mapfile_line *line,
                            const char *key)
{
    if (relay_check_matters(check->config) && is_relay(line->value)) {
        relay_check_entry(line->file, line->number, key, check->diag);
    }
}

static void find_unasked(struct check *check, const struct mapfile_line *line, const char *key)
{
    const struct config *config = check->config;
    const char *colon = strncmp(key, "ipv6", 4) == 0 ? NULL : strchr(key, ':');
    const char *rest = colon == NULL || *key == '[' ? key : colon + 1;

    /* Where postern decides on relaying, any value of a nearer key hides a RELAY further up. */
    if (strncmp(key, "to:", 3) == 0 && !config_controls_relaying(config) &&
        !config_has_anywhere(config, FEATURE_BLOCKLIST_RECIPIENTS) && !is_relay(line->value)) {
        count(check, NO_BLOCKLIST, line->number);
    }
    if (*rest == '.' && !config_has_anywhere(config, FEATURE_LOOKUPDOTDOMAIN)) {
        count(check, NO_LOOKUPDOTDOMAIN, line->number);
    }
    if (strncmp(key, "spam:", 5) == 0 &&
        !config_has_anywhere(config, FEATURE_DELAY_CHECKS_FRIEND) &&
        !config_has_anywhere(config, FEATURE_DELAY_CHECKS_HATER)) {
        count(check, NO_SPAM_FEATURE, line->number);
    }
    if (strncmp(key, "compat:", 7) == 0 && !config_has_anywhere(config, FEATURE_COMPAT_CHECK)) {
        count(check, NO_COMPAT, line->number);
    }
}

static bool has_tag(const char *key)
{
    static const char *const tags[] = {
        "connect:", "from:", "to:", "spam:", "compat:", "clientrate:", "clientconn:"};

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (strncmp(key, tags[i], strlen(tags[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- passes ---- */

static bool is_skip(const char *value)
{
    struct arena *arena = arena_new();
    struct action action;
    bool skip = action_parse(value, arena, &action, NULL) && action.kind == ACTION_SKIP;

    arena_free(&arena);
    return skip;
}

static void index_key(struct check *check, const struct mapfile_line *line,
                      const struct strbuf *key)
{
    keyindex_add(check->access, key->data, key->len, line->number);
    if (is_skip(line->value)) {
        keyindex_add(check->skips, key->data, key->len, line->number);
    }
}

static void inspect_access(struct check *check, const struct mapfile_line *line,
                           const struct strbuf *key)
{
    find_duplicate(check, line, key);
    find_unasked(check, line, key->data);
    find_open_relay(check, line, key->data);
    if (!has_tag(key->data)) {
        find_shadow_of_bare(check, line, key->data);
    }
}

/*
 * The line of the access file that answers for `key` before the spammers map is asked, or 0. A SKIP ends the search and
 * leaves the answer to the spammers map.
 */
static unsigned access_line_for(const struct check *check, const char *key, bool *skips_out)
{
    const char *tag = tagged_line(check, "from:", key) > 0 ? "from:" : "";

    *skips_out = line_in(check->skips, tag, key) > 0;
    return *skips_out ? 0 : tagged_line(check, tag, key);
}

static void inspect_spammers(struct check *check, const struct mapfile_line *line,
                             const struct strbuf *key)
{
    const char *at = strchr(key->data, '@');
    bool skips = false;
    unsigned other = at == NULL ? 0 : access_line_for(check, key->data, &skips);
    const char *domain = at == NULL ? key->data : at + 1;

    for (; other == 0 && !skips && domain != NULL; domain = domain_parent(domain)) {
        other = access_line_for(check, domain, &skips);
    }
    if (other > 0) {
        diag_report(check->diag, DIAG_WARNING, line->file, line->number, "remove one of them",
                    "\"%s\" can never decide: line %u of %s is asked first", line->key, other,
                    check->config->access);
    }
}

/* What is said of a map names it already. */
static const char *without_path(const char *why, const char *path)
{
    size_t len = strlen(path);

    return strncmp(why, path, len) == 0 && strncmp(why + len, ": ", 2) == 0 ? why + len + 2 : why;
}

/* Is the compiled map there, whole, and made from the text as it is now? */
static void check_map(const struct check *check)
{
    char *map = config_map_path(check->path);
    char hint[64];
    struct strbuf why;

    strbuf_init(&why);
    (void)snprintf(hint, sizeof(hint), "run posternctl makemap %s", check->format->name);

    struct table *table = table_gdbm_open(check->format->name, map, check->path, &why);

    if (table == NULL) {
        diag_report(check->diag, DIAG_ERROR, map, 0, hint, "%s", without_path(why.data, map));
    } else if (!mapfile_is_current(map, check->path, check->format, &why)) {
        diag_report(check->diag, DIAG_WARNING, map, 0, hint, "%s", without_path(why.data, map));
    }
    table_unref(&table);
    strbuf_fini(&why);
    free(map);
}

static void check_maps(struct check *check)
{
    const struct config *config = check->config;
    struct diag silent;

    diag_init(&silent, NULL, NULL);
    if (*config->access != '\0') {
        check->path = config->access;
        check->format = &access_map_format;
        if (pass(check, check->diag, index_key)) {
            keyindex_sort(check->access);
            keyindex_sort(check->skips);
            (void)pass(check, &silent, inspect_access);
            report_counts(check);
        }
        check_map(check);
    }
    if (*config->spammers != '\0') {
        check->path = config->spammers;
        check->format = &spammers_map_format;
        (void)pass(check, check->diag, inspect_spammers);
        check_map(check);
    }
}

static void check_headers(const struct config *config, struct diag *diag)
{
    struct header_rules *rules = header_rules_load(config, diag);

    if (rules != NULL) {
        header_rules_lint(rules, diag);
    }
    header_rules_free(&rules);
}

void rule_check_all(const struct config *config, struct diag *diag)
{
    struct classes *classes = classes_load(config, diag);
    struct keyindex index;
    struct keyindex skips;
    struct check check = {.config = config, .diag = diag, .access = &index, .skips = &skips};

    classes_free(&classes);
    keyindex_init(&index);
    keyindex_init(&skips);
    check_maps(&check);
    keyindex_fini(&index);
    keyindex_fini(&skips);
    regex_check(config, diag);
    check_headers(config, diag);
    relay_check_config(config, diag);
    pop_check_config(config, diag);
    dns_check_config(config, diag);
}
