/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config_keys.h"

#include "lib/base/arena.h"
#include "lib/base/log.h"
#include "lib/base/xalloc.h"
#include "lib/mail/reply.h"
#include "lib/policy/config_dns_keys.h"
#include "lib/policy/config_relay_keys.h"
#include "lib/policy/config_scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * libConfuse's error function gets no pointer of ours, and lib/ keeps no globals: the struct diag travels in a hidden
 * option of every section. A name with a blank cannot be written without quotes.
 */
#define DIAG_OPTION " diag"

struct diag *config_keys_diag(cfg_t *cfg)
{
    for (cfg_opt_t *opt = cfg->opts; opt->name != NULL; opt++) {
        if (strcmp(opt->name, DIAG_OPTION) == 0) {
            return (struct diag *)opt->simple_value.ptr;
        }
    }
    return NULL;
}

/* What to do about errors that libConfuse finds itself. NULL: nothing beyond what they say. */
static const char *hint_for(const char *text)
{
    return strstr(text, "duplicate title") == NULL
               ? NULL
               : "each section has a title of its own; a second dnsbl section about the same zone "
                 "names it by zone = \"...\"";
}

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format,
                                                           va_list args)
{
    struct diag *diag = config_keys_diag(cfg);
    char text[512];

    (void)vsnprintf(text, sizeof(text), format, args);
    if (diag != NULL) {
        diag_report(diag, DIAG_ERROR, cfg->filename == NULL ? "postern.conf" : cfg->filename,
                    cfg->line > 0 ? (unsigned)cfg->line : 0, hint_for(text), "%s", text);
    }
}

static int refuse_hidden(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
    (void)argc;
    (void)argv;
    cfg_error(cfg, "no such option '%s'", cfg_opt_name(opt));
    return -1;
}

/* ---- values; each function returns 0, or -1 after cfg_error() ---- */

/* The value just parsed: the last one of a list. */
static const char *last_value(cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);

    return value == NULL ? "" : value;
}

static int check_path(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);

    if (*value != '\0' && *value != '/') {
        cfg_error(cfg, "%s: \"%s\" must be an absolute path, or \"\" for none", cfg_opt_name(opt),
                  value);
        return -1;
    }
    return 0;
}

/* inet:PORT@HOST, inet6:PORT@HOST */
static bool is_inet(const char *value)
{
    const char *port = strncasecmp(value, "inet6:", 6) == 0  ? value + 6
                       : strncasecmp(value, "inet:", 5) == 0 ? value + 5
                                                             : NULL;
    char *end;

    if (port == NULL) {
        return false;
    }
    long number = strtol(port, &end, 10);

    return end != port && number > 0 && number < 65536 &&
           (*end == '\0' || (*end == '@' && end[1] != '\0'));
}

static int check_listen(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);
    bool unix_path = (strncasecmp(value, "unix:", 5) == 0 && value[5] == '/') ||
                     (strncasecmp(value, "local:", 6) == 0 && value[6] == '/');

    if (!unix_path && !is_inet(value)) {
        cfg_error(cfg, "listen: \"%s\": write unix:/path, inet:port@host or inet6:port@host",
                  value);
        return -1;
    }
    return 0;
}

static int check_control_socket(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);

    if (strlen(value) > 100) {
        cfg_error(cfg, "%s: the path of a socket has at most 100 bytes", cfg_opt_name(opt));
        return -1;
    }
    return check_path(cfg, opt);
}

static int check_mode(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);
    char *end;
    unsigned long mode = strtoul(value, &end, 8);

    if (end == value || *end != '\0' || mode > 0777) {
        cfg_error(cfg, "listen_mode: \"%s\" is no octal mode such as \"0660\"", value);
        return -1;
    }
    return 0;
}

static int check_features(cfg_t *cfg, cfg_opt_t *opt)
{
    uint32_t bits;

    for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
        const char *name = cfg_opt_getnstr(opt, i);

        if (strcasecmp(name, "dnsbl") == 0 || strcasecmp(name, "enhdnsbl") == 0) {
            cfg_error(cfg, "features: \"%s\" is a section: write dnsbl \"bl.example.org\" { }",
                      name);
            return -1;
        }
        if (!config_feature_parse(name, &bits)) {
            cfg_error(cfg, "features: there is no \"%s\"; postern.conf(5) lists them", name);
            return -1;
        }
    }
    return 0;
}

static int check_relay_control(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);

    if (strcasecmp(value, "milter") != 0 && strcasecmp(value, "mta") != 0 &&
        strcasecmp(value, "off") != 0) {
        cfg_error(cfg, "relay_control: \"%s\" is none of \"mta\", \"milter\", \"off\"", value);
        return -1;
    }
    return 0;
}

static int check_certificate(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);

    if (strcasecmp(value, "dn") != 0 && strcasecmp(value, "cn") != 0) {
        cfg_error(cfg, "relay_by_certificate: \"%s\" is neither \"dn\" nor \"cn\"", value);
        return -1;
    }
    return 0;
}

static int check_reply(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = last_value(opt);
    struct arena *arena = arena_new();
    struct reply reply;
    bool good = reply_parse(value, NULL, arena, &reply) && *reply.text != '\0';

    arena_free(&arena);
    if (!good) {
        cfg_error(cfg,
                  "%s: \"%s\": write a reply with its code, such as \"550 5.7.1 Access denied\"",
                  cfg_opt_name(opt), value);
        return -1;
    }
    return 0;
}

static int check_facility(cfg_t *cfg, cfg_opt_t *opt)
{
    if (!log_facility_known(last_value(opt))) {
        cfg_error(cfg,
                  "facility: \"%s\" is unknown; write mail, daemon, auth, user or local0 to local7",
                  last_value(opt));
        return -1;
    }
    return 0;
}

static int check_level(cfg_t *cfg, cfg_opt_t *opt)
{
    enum log_level level;

    if (!log_level_parse(last_value(opt), &level)) {
        cfg_error(cfg, "level: \"%s\" is none of error, warning, info, debug", last_value(opt));
        return -1;
    }
    return 0;
}

/* ---- the keys ---- */

#define HIDDEN(diag)                                                                             \
    {                                                                                            \
        .name = (char *)DIAG_OPTION, .type = CFGT_FUNC, .func = refuse_hidden, .simple_value = { \
            .ptr = (void **)(diag)                                                               \
        }                                                                                        \
    }

static void set_validators(cfg_t *cfg)
{
    static const struct {
        const char *key;
        cfg_validate_callback_t check;
    } validators[] = {
        {"listen", check_listen},
        {"listen_mode", check_mode},
        {"pid_file", check_path},
        {"control_socket", check_control_socket},
        {"access", check_path},
        {"spammers", check_path},
        {"local_host_names", check_path},
        {"relay_domains", check_path},
        {"features", check_features},
        {"relay_control", check_relay_control},
        {"reject_message", check_reply},
        {"recipient_reject_message", check_reply},
        {"relay_message", check_reply},
        {"regex", check_path},
        {"header_checks", check_path},
        {"mime_header_checks", check_path},
        {"popauth_socket", check_control_socket},
        {"map_socket", check_control_socket},
        {"policy_socket", check_control_socket},
        {"daemon|features", check_features},
        {"daemon|relay_control", check_relay_control},
        {"relay_by_certificate", check_certificate},
        {"log|facility", check_facility},
        {"log|level", check_level},
    };

    for (size_t i = 0; i < sizeof(validators) / sizeof(validators[0]); i++) {
        cfg_set_validate_func(cfg, validators[i].key, validators[i].check);
    }
    config_dns_keys_validate(cfg);
    config_relay_keys_validate(cfg);
}

/* libConfuse names the file only for sections that it makes while it reads: those with defaults are there before. */
static void set_file_name(cfg_t *cfg, const char *path)
{
    free(cfg->filename);
    cfg->filename = xstrdup(path);
    for (cfg_opt_t *opt = cfg->opts; opt->name != NULL; opt++) {
        if (opt->type == CFGT_SEC && cfg_opt_size(opt) > 0) {
            set_file_name(cfg_opt_getnsec(opt, 0), path);
        }
    }
}

/* An empty configuration; `single` are the flags of the sections that have no title. NULL: out of memory. */
static cfg_t *new_config(const char *path, cfg_flag_t single, struct diag *diag)
{
    const cfg_opt_t hidden = HIDDEN(diag);
    struct config_dns_keys dns;
    cfg_opt_t log_keys[] = {
        CFG_STR("facility", "mail", CFGF_NONE),
        CFG_STR("level", "info", CFGF_NONE),
        HIDDEN(diag),
        CFG_END(),
    };
    struct config_relay_keys store;
    cfg_opt_t daemon_keys[] = {
        CFG_BOOL("require_auth", cfg_false, CFGF_NONE),
        CFG_BOOL("require_fqdn", cfg_false, CFGF_NONE),
        CFG_STR("relay_control", "mta", CFGF_NONE),
        CFG_STR_LIST("features", "{}", CFGF_NONE),
        CFG_STR_LIST("dnsbl", "{}", CFGF_NONE),
        HIDDEN(diag),
        CFG_END(),
    };
    cfg_opt_t keys[] = {
        CFG_STR("listen", "unix:" POSTERN_RUNSTATEDIR "/milter.sock", CFGF_NONE),
        CFG_STR("listen_mode", "0660", CFGF_NONE),
        CFG_STR("listen_group", "postern", CFGF_NONE),
        CFG_STR("user", "postern", CFGF_NONE),
        CFG_STR("pid_file", POSTERN_RUNSTATEDIR "/postern.pid", CFGF_NONE),
        CFG_STR("control_socket", POSTERN_RUNSTATEDIR "/control.sock", CFGF_NONE),
        CFG_STR("hostname", "", CFGF_NONE),
        CFG_STR("access", POSTERN_SYSCONFDIR "/access", CFGF_NONE),
        CFG_STR("spammers", POSTERN_SYSCONFDIR "/spammers", CFGF_NONE),
        CFG_STR("local_host_names", POSTERN_SYSCONFDIR "/local-host-names", CFGF_NONE),
        CFG_STR("relay_domains", POSTERN_SYSCONFDIR "/relay-domains", CFGF_NONE),
        CFG_STR_LIST("local_domains", "{}", CFGF_NONE),
        CFG_STR_LIST("local_mailers", "{local, virtual}", CFGF_NONE),
        CFG_STR_LIST("trust_auth_mech", "{}", CFGF_NONE),
        CFG_STR_LIST("features", "{}", CFGF_NONE),
        CFG_STR("relay_control", "mta", CFGF_NONE),
        CFG_STR("relay_by_certificate", "dn", CFGF_NONE),
        CFG_STR("reject_message", "550 5.7.1 Access denied", CFGF_NONE),
        CFG_STR("recipient_reject_message", "550 Mailbox disabled for this recipient", CFGF_NONE),
        CFG_SEC("log", log_keys, single),
        CFG_STR("relay_message", "550 5.7.1 Relaying denied", CFGF_NONE),
        CFG_STR("regex", POSTERN_SYSCONFDIR "/regex", CFGF_NONE),
        CFG_STR("header_checks", POSTERN_SYSCONFDIR "/header_checks", CFGF_NONE),
        CFG_STR("mime_header_checks", "", CFGF_NONE),
        CFG_STR("popauth_socket", POSTERN_RUNSTATEDIR "/popauth.sock", CFGF_NONE),
        CFG_STR("popauth_group", "postern", CFGF_NONE),
        CFG_STR("map_socket", POSTERN_RUNSTATEDIR "/map.sock", CFGF_NONE),
        CFG_STR("policy_socket", POSTERN_RUNSTATEDIR "/policy.sock", CFGF_NONE),
        CFG_SEC("dns", dns.dns, single),
        CFG_SEC("helo", dns.helo, single),
        CFG_SEC("relay_store", store.keys, single),
        CFG_SEC("dnsbl", dns.list, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("enhdnsbl", dns.list, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("daemon", daemon_keys, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        HIDDEN(diag),
        CFG_END(),
    };
    config_dns_keys_init(&dns, hidden);
    config_relay_keys_init(&store, hidden);

    cfg_t *cfg = cfg_init(keys, CFGF_NONE);

    if (cfg == NULL) {
        diag_report(diag, DIAG_ERROR, path, 0, NULL, "out of memory");
        return NULL;
    }
    set_file_name(cfg, path);
    cfg_set_error_function(cfg, on_error);
    set_validators(cfg);
    return cfg;
}

/*
 * libConfuse takes the end of a file for the end of a section, and a second section for more of the first. So a text that
 * is right is looked at once more.
 */
static bool is_whole(const struct strbuf *text, const char *path, struct diag *diag)
{
    cfg_t *cfg = new_config(path, CFGF_MULTI, diag);
    bool whole = cfg != NULL && config_scan_is_whole(cfg, text);

    if (cfg != NULL) {
        cfg_free(cfg);
    }
    return whole;
}

cfg_t *config_keys_parse(struct strbuf *text, const char *path, struct diag *diag)
{
    cfg_t *cfg = new_config(path, CFGF_NONE, diag);
    size_t before = diag->errors;

    if (cfg == NULL) {
        return NULL;
    }
    /* The last line may be a comment; and the mark needs a line of its own. */
    if (text->len == 0 || text->data[text->len - 1] != '\n') {
        strbuf_append_char(text, '\n');
    }
    if (config_scan_parse(cfg, text) && diag->errors == before && is_whole(text, path, diag) &&
        config_dns_keys_check(cfg, path, diag)) {
        return cfg;
    }
    if (diag->errors == before) {
        diag_report(diag, DIAG_ERROR, path, 0, NULL, "cannot be read: %s", strerror(errno));
    }
    cfg_free(cfg);
    return NULL;
}
