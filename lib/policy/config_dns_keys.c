/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config_dns_keys.h"

#include "lib/base/xalloc.h"
#include "lib/dns/dns_name.h"
#include "lib/policy/dns_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECTIONS 2 /* dnsbl, enhdnsbl */

static const char *const section_names[SECTIONS] = {"dnsbl", "enhdnsbl"};

/* A word of the file, and the number that it stands for. */
struct word {
    const char *text;
    unsigned value;
};

#define MOST_WORDS 6

static const struct word words[CONFIG_DNS_WORDS][MOST_WORDS] = {
    [CONFIG_DNS_LOOKUPS] = {{"address", DNS_LOOKUP_ADDRESS},
                            {"name", DNS_LOOKUP_NAME},
                            {"helo", DNS_LOOKUP_HELO},
                            {"sender", DNS_LOOKUP_SENDER},
                            {NULL, 0}},
    [CONFIG_DNS_EXEMPTS] = {{"authenticated", DNS_EXEMPT_AUTHENTICATED},
                            {"relay", DNS_EXEMPT_RELAY},
                            {NULL, 0}},
    [CONFIG_DNS_ACTIONS] = {{"reject", DNS_ACTION_REJECT},
                            {"tempfail", DNS_ACTION_TEMPFAIL},
                            {"discard", DNS_ACTION_DISCARD},
                            {"quarantine", DNS_ACTION_QUARANTINE},
                            {"allow", DNS_ACTION_ALLOW},
                            {NULL, 0}},
    [CONFIG_DNS_ANSWER_AT] = {{"rcpt", 0}, {"mail", 1}, {NULL, 0}},
    [CONFIG_DNS_RELAY_MX] = {{"best", DNS_RELAY_MX_BEST}, {"any", DNS_RELAY_MX_ANY}, {NULL, 0}},
};

bool config_dns_keys_word(enum config_dns_words which, const char *text, unsigned *value_out)
{
    for (const struct word *word = words[which]; word->text != NULL; word++) {
        if (strcasecmp(word->text, text) == 0) {
            *value_out = word->value;
            return true;
        }
    }
    return false;
}

/* ---- values; each function returns 0, or -1 after cfg_error() ---- */

static const char *last_value(cfg_opt_t *opt)
{
    unsigned count = cfg_opt_size(opt);
    const char *value = count == 0 ? "" : cfg_opt_getnstr(opt, count - 1);

    return value == NULL ? "" : value;
}

static int check_word(cfg_t *cfg, cfg_opt_t *opt, enum config_dns_words which, const char *what)
{
    unsigned value;

    if (cfg_opt_size(opt) > 0 && !config_dns_keys_word(which, last_value(opt), &value)) {
        cfg_error(cfg, "%s: \"%s\" is none of %s", cfg_opt_name(opt), last_value(opt), what);
        return -1;
    }
    return 0;
}

static int check_lookup(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_word(cfg, opt, CONFIG_DNS_LOOKUPS, "\"address\", \"name\", \"helo\", \"sender\"");
}

static int check_exempt(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_word(cfg, opt, CONFIG_DNS_EXEMPTS, "\"authenticated\", \"relay\"");
}

static int check_action(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_word(cfg, opt, CONFIG_DNS_ACTIONS,
                      "\"reject\", \"tempfail\", \"discard\", \"quarantine\", \"allow\"");
}

static int check_score_action(cfg_t *cfg, cfg_opt_t *opt)
{
    unsigned value;

    if (config_dns_keys_word(CONFIG_DNS_ACTIONS, last_value(opt), &value) &&
        value == DNS_ACTION_ALLOW) {
        cfg_error(cfg, "score_action: \"allow\" is for lists");
        return -1;
    }
    return check_action(cfg, opt);
}

static int check_answer_at(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_word(cfg, opt, CONFIG_DNS_ANSWER_AT, "\"rcpt\", \"mail\"");
}

static int check_relay_mx(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_word(cfg, opt, CONFIG_DNS_RELAY_MX, "\"best\", \"any\"");
}

static int check_reply(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);
    const char *problem = *value == '\0' ? NULL : dns_text_check(value, '\0');

    if (problem != NULL) {
        cfg_error(cfg, "%s: \"%s\": %s", cfg_opt_name(opt), value, problem);
        return -1;
    }
    return 0;
}

static bool is_reply(const char *value)
{
    return strchr(value, ' ') != NULL;
}

static int check_on_tempfail(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);
    const char *problem = is_reply(value) ? dns_text_check(value, '4')
                          : strcasecmp(value, "ignore") == 0 || strcmp(value, "451") == 0
                              ? NULL
                              : "write \"ignore\", \"451\" or a reply that begins with 4xx";

    if (problem != NULL) {
        cfg_error(cfg, "on_tempfail: \"%s\": %s", value, problem);
        return -1;
    }
    return 0;
}

static int check_match(cfg_t *cfg, cfg_opt_t *opt)
{
    struct dnsbl_range range;
    bool usable;

    if (cfg_opt_size(opt) == 0) {
        return 0;
    }
    if (!dnsbl_range_parse(last_value(opt), &range, &usable)) {
        cfg_error(cfg,
                  "match: \"%s\": write an address, \"127.0.0.2-127.0.0.11\" or \"127.0.1.0/24\"",
                  last_value(opt));
        return -1;
    }
    if (!usable) {
        cfg_error(cfg,
                  "match: \"%s\" is no listing: 127.0.0.1, 127.255.255.0/24 and what is outside "
                  "of 127.0.0.0/8 are errors of a list",
                  last_value(opt));
        return -1;
    }
    return 0;
}

static int check_server(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = cfg_opt_size(opt) > 0 ? last_value(opt) : NULL;
    struct dns_server server;

    if (value != NULL && dns_server_is_ambiguous(value)) {
        const char *port = strrchr(value, ':');

        cfg_error(cfg,
                  "servers: \"%s\" may be an address, or another one with a port: write "
                  "\"[%.*s]%s\" or \"[%s]\"",
                  value, (int)(port - value), value, port, value);
        return -1;
    }
    if (value != NULL && !dns_server_parse(value, &server)) {
        cfg_error(cfg,
                  "servers: \"%s\": write an address, with a port as \"127.0.0.1:5353\" or "
                  "\"[::1]:5353\"",
                  value);
        return -1;
    }
    return 0;
}

static int check_network(cfg_t *cfg, cfg_opt_t *opt)
{
    struct netaddr network;
    bool host_bits;

    if (cfg_opt_size(opt) > 0 && !netaddr_parse_network(last_value(opt), &network, &host_bits)) {
        cfg_error(cfg, "%s: \"%s\" is no network such as \"10\" or \"10.0.0.0/8\"",
                  cfg_opt_name(opt), last_value(opt));
        return -1;
    }
    return 0;
}

/* Also with a dot at its end, and with letters beyond ASCII. */
static bool is_name(const char *text)
{
    char name[DNS_NAME_SIZE];

    return dns_name_normalize(text, name);
}

static int check_name(cfg_t *cfg, cfg_opt_t *opt)
{
    if (*last_value(opt) != '\0' && !is_name(last_value(opt))) {
        cfg_error(cfg, "%s: \"%s\" is no name that DNS can have", cfg_opt_name(opt),
                  last_value(opt));
        return -1;
    }
    return 0;
}

static int check_number(cfg_t *cfg, cfg_opt_t *opt)
{
    static const struct {
        const char *key;
        long least;
        long most;
    } limits[] = {
        {"timeout_ms", 100, 60000},         {"tries", 1, 10},
        {"cache_entries", 100, 10000000},   {"probe_seconds", 1, 86400},
        {"score_threshold", 0, 1000000000}, {"weight", -1000000, 1000000},
    };
    long value = cfg_opt_getnint(opt, 0);

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(limits[i].key, cfg_opt_name(opt)) == 0 &&
            (value < limits[i].least || value > limits[i].most)) {
            cfg_error(cfg, "%s: %ld is not between %ld and %ld", limits[i].key, value,
                      limits[i].least, limits[i].most);
            return -1;
        }
    }
    return 0;
}

/* ---- the keys ---- */

void config_dns_keys_init(struct config_dns_keys *keys, cfg_opt_t hidden)
{
    const cfg_opt_t dns[CONFIG_DNS_KEYS] = {
        CFG_STR_LIST("servers", "{}", CFGF_NONE),
        CFG_INT("timeout_ms", 3000, CFGF_NONE),
        CFG_INT("tries", 2, CFGF_NONE),
        CFG_INT("cache_entries", 20000, CFGF_NONE),
        CFG_INT("probe_seconds", 3600, CFGF_NONE),
        CFG_STR("answer_at", "rcpt", CFGF_NONE),
        CFG_STR("relay_mx", "best", CFGF_NONE),
        CFG_STR_LIST("bad_mx", "{127, 10, \"0.0.0.0\", \"::\", \"::1\"}", CFGF_NONE),
        CFG_INT("score_threshold", 0, CFGF_NONE),
        CFG_STR("score_action", "reject", CFGF_NONE),
        CFG_STR("score_reply", "", CFGF_NONE),
        hidden,
        CFG_END(),
    };
    const cfg_opt_t list[CONFIG_DNSBL_KEYS] = {
        CFG_STR("zone", "", CFGF_NONE),
        CFG_STR_LIST("lookup", "{address}", CFGF_NONE),
        CFG_STR_LIST("match", "{}", CFGF_NONE),
        CFG_STR("reply", "", CFGF_NONE),
        CFG_STR("action", "reject", CFGF_NONE),
        CFG_STR("on_tempfail", "ignore", CFGF_NONE),
        CFG_STR_LIST("exempt", "{authenticated, relay}", CFGF_NONE),
        CFG_INT("weight", 0, CFGF_NONE),
        CFG_BOOL("ipv6", cfg_true, CFGF_NONE),
        CFG_BOOL("probe", cfg_true, CFGF_NONE),
        CFG_STR("probe_listed", "test", CFGF_NONE),
        CFG_STR("probe_unlisted", "invalid", CFGF_NONE),
        hidden,
        CFG_END(),
    };
    const cfg_opt_t helo[CONFIG_HELO_KEYS] = {
        CFG_BOOL("must_resolve", cfg_false, CFGF_NONE),
        CFG_BOOL("refuse_own", cfg_false, CFGF_NONE),
        hidden,
        CFG_END(),
    };

    memcpy(keys->dns, dns, sizeof(dns));
    memcpy(keys->list, list, sizeof(list));
    memcpy(keys->helo, helo, sizeof(helo));
}

void config_dns_keys_validate(cfg_t *cfg)
{
    static const struct {
        const char *key;
        cfg_validate_callback_t check;
    } dns[] = {
        {"dns|servers", check_server},         {"dns|timeout_ms", check_number},
        {"dns|tries", check_number},           {"dns|cache_entries", check_number},
        {"dns|probe_seconds", check_number},   {"dns|answer_at", check_answer_at},
        {"dns|relay_mx", check_relay_mx},      {"dns|bad_mx", check_network},
        {"dns|score_threshold", check_number}, {"dns|score_action", check_score_action},
        {"dns|score_reply", check_reply},
    };
    static const struct {
        const char *key;
        cfg_validate_callback_t check;
    } list[] = {
        {"zone", check_name},         {"lookup", check_lookup},
        {"match", check_match},       {"reply", check_reply},
        {"action", check_action},     {"on_tempfail", check_on_tempfail},
        {"exempt", check_exempt},     {"weight", check_number},
        {"probe_listed", check_name}, {"probe_unlisted", check_name},
    };
    char key[64];

    for (size_t i = 0; i < sizeof(dns) / sizeof(dns[0]); i++) {
        cfg_set_validate_func(cfg, dns[i].key, dns[i].check);
    }
    for (size_t i = 0; i < SECTIONS * sizeof(list) / sizeof(list[0]); i++) {
        (void)snprintf(key, sizeof(key), "%s|%s", section_names[i % SECTIONS],
                       list[i / SECTIONS].key);
        cfg_set_validate_func(cfg, key, list[i / SECTIONS].check);
    }
}

/* ---- what hangs together ---- */

/* Calls `visit` for each list of both kinds of section; false as soon as it says so. */
typedef bool visit_fn(cfg_t *section, void *ctx);

static bool each_list(cfg_t *cfg, visit_fn *visit, void *ctx)
{
    for (int kind = 0; kind < SECTIONS; kind++) {
        for (unsigned i = 0; i < cfg_size(cfg, section_names[kind]); i++) {
            if (!visit(cfg_getnsec(cfg, section_names[kind], i), ctx)) {
                return false;
            }
        }
    }
    return true;
}

/* The zone of a list: its title, unless it names one. */
static const char *zone_of(cfg_t *section)
{
    const char *zone = cfg_getstr(section, "zone");

    return zone == NULL || *zone == '\0' ? cfg_title(section) : zone;
}

struct checking {
    const char *path;
    struct diag *diag;
    size_t lists;
    const char *wanted; /* a title that is looked for */
};

static bool complain(struct checking *checking, cfg_t *section, const char *text, const char *value)
{
    diag_report(checking->diag, DIAG_ERROR, checking->path,
                section->line > 0 ? (unsigned)section->line : 0, NULL, "%s \"%s\": %s%s",
                section->name, cfg_title(section), text, value);
    return false;
}

static bool check_list(cfg_t *section, void *ctx)
{
    struct checking *checking = ctx;
    const char *reply = cfg_getstr(section, "reply");
    unsigned action = 0;

    (void)config_dns_keys_word(CONFIG_DNS_ACTIONS, cfg_getstr(section, "action"), &action);
    if (!is_name(zone_of(section))) {
        return complain(checking, section, "is no name that DNS can have; write zone = \"...\"",
                        "");
    }
    if (cfg_size(section, "lookup") == 0) {
        return complain(checking, section, "lookup: name what is looked up, such as \"address\"",
                        "");
    }
    if (*reply != '\0' && *reply != (action == DNS_ACTION_TEMPFAIL ? '4' : *reply)) {
        return complain(checking, section, "reply: with action tempfail its code must be 4xx", "");
    }
    if (cfg_getint(section, "weight") != 0 && action != DNS_ACTION_REJECT) {
        return complain(checking, section,
                        "weight: a list that counts in a score has no action of its own", "");
    }
    checking->lists++;
    return checking->lists <= CONFIG_DNSBL_MAX ||
           complain(checking, section, "there are more than 64 lists", "");
}

/* Stops at the list of that title. */
static bool is_other(cfg_t *section, void *ctx)
{
    const struct checking *checking = ctx;

    return strcasecmp(cfg_title(section), checking->wanted) != 0;
}

/* A title is one list, whichever section it has. */
static bool check_titles(cfg_t *cfg, struct checking *checking)
{
    for (unsigned i = 0; i < cfg_size(cfg, "enhdnsbl"); i++) {
        cfg_t *section = cfg_getnsec(cfg, "enhdnsbl", i);

        for (unsigned j = 0; j < cfg_size(cfg, "dnsbl"); j++) {
            if (strcasecmp(cfg_title(section), cfg_title(cfg_getnsec(cfg, "dnsbl", j))) == 0) {
                return complain(checking, section, "is a dnsbl section already", "");
            }
        }
    }
    return true;
}

static bool check_daemons(cfg_t *cfg, struct checking *checking)
{
    for (unsigned i = 0; i < cfg_size(cfg, "daemon"); i++) {
        cfg_t *daemon = cfg_getnsec(cfg, "daemon", i);

        for (unsigned j = 0; j < cfg_size(daemon, "dnsbl"); j++) {
            checking->wanted = cfg_getnstr(daemon, "dnsbl", j);
            if (each_list(cfg, is_other, checking)) {
                return complain(checking, daemon, "dnsbl: there is no list ", checking->wanted);
            }
        }
    }
    return true;
}

bool config_dns_keys_check(cfg_t *cfg, const char *path, struct diag *diag)
{
    struct checking checking = {.path = path, .diag = diag};

    if (cfg_size(cfg_getsec(cfg, "dns"), "servers") > 8) {
        diag_report(diag, DIAG_ERROR, path, 0, NULL, "dns: servers: at most 8 can be named");
        return false;
    }
    return each_list(cfg, check_list, &checking) && check_titles(cfg, &checking) &&
           check_daemons(cfg, &checking);
}
