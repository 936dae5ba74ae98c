/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/mail/domain.h"
#include "lib/policy/config_dns_keys.h"
#include "lib/policy/config_keys.h"
#include "lib/policy/config_relay_keys.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    uint32_t bits; /* with all that it implies */
} features[] = {
    {"accept_unqualified_senders", FEATURE_ACCEPT_UNQUALIFIED_SENDERS},
    {"accept_unresolvable_domains", FEATURE_ACCEPT_UNRESOLVABLE_DOMAINS},
    {"badmx", FEATURE_BADMX},
    {"block_bad_helo", FEATURE_BLOCK_BAD_HELO},
    {"blocklist_recipients", FEATURE_BLOCKLIST_RECIPIENTS},
    {"blacklist_recipients", FEATURE_BLACKLIST_RECIPIENTS | FEATURE_BLOCKLIST_RECIPIENTS},
    {"compat_check", FEATURE_COMPAT_CHECK},
    {"delay_checks", FEATURE_DELAY_CHECKS},
    {"delay_checks_friend", FEATURE_DELAY_CHECKS_FRIEND | FEATURE_DELAY_CHECKS},
    {"delay_checks_hater", FEATURE_DELAY_CHECKS_HATER | FEATURE_DELAY_CHECKS},
    {"lookupdotdomain", FEATURE_LOOKUPDOTDOMAIN},
    {"loose_relay_check", FEATURE_LOOSE_RELAY_CHECK},
    {"nopercenthack_nospecial", FEATURE_NOPERCENTHACK_NOSPECIAL},
    {"nopercenthack_reject", FEATURE_NOPERCENTHACK_REJECT},
    {"nouucp_nospecial", FEATURE_NOUUCP_NOSPECIAL},
    {"nouucp_reject", FEATURE_NOUUCP_REJECT},
    {"promiscuous_relay", FEATURE_PROMISCUOUS_RELAY},
    {"relay_based_on_MX", FEATURE_RELAY_BASED_ON_MX},
    {"relay_entire_domain", FEATURE_RELAY_ENTIRE_DOMAIN},
    {"relay_hosts_only", FEATURE_RELAY_HOSTS_ONLY},
    {"relay_local_from", FEATURE_RELAY_LOCAL_FROM},
    {"relay_mail_from", FEATURE_RELAY_MAIL_FROM},
    {"relay_mail_from_domain", FEATURE_RELAY_MAIL_FROM_DOMAIN | FEATURE_RELAY_MAIL_FROM},
    {"relaytofulladdress", FEATURE_RELAYTOFULLADDRESS},
    {"require_rdns", FEATURE_REQUIRE_RDNS},
    {"skip", FEATURE_SKIP},
    {"use_client_ptr", FEATURE_USE_CLIENT_PTR},
};

#define FEATURES (sizeof(features) / sizeof(features[0]))

bool config_feature_parse(const char *name, uint32_t *bits_out)
{
    for (size_t i = 0; i < FEATURES; i++) {
        if (strcasecmp(features[i].name, name) == 0) {
            *bits_out = features[i].bits;
            return true;
        }
    }
    return false;
}

const char *config_default_path(void)
{
    const char *path = getenv("POSTERN_CONF");

    return path != NULL && *path != '\0' ? path : POSTERN_SYSCONFDIR "/postern.conf";
}

char *config_map_path(const char *text_path)
{
    size_t len = strlen(text_path) + sizeof(".gdbm");
    char *path = xmalloc(len);

    (void)snprintf(path, len, "%s.gdbm", text_path);
    return path;
}

/* ---- from libConfuse's values to the structure ---- */

static char *get_string(cfg_t *cfg, const char *key)
{
    const char *value = cfg_getstr(cfg, key);

    return xstrdup(value == NULL ? "" : value);
}

static struct config_list get_list(cfg_t *cfg, const char *key)
{
    struct config_list list = {.count = cfg_size(cfg, key)};

    list.items = xcalloc(list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++) {
        list.items[i] = xstrdup(cfg_getnstr(cfg, key, (unsigned)i));
    }
    return list;
}

static void free_list(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
}

static bool was_set(cfg_t *cfg, const char *key)
{
    cfg_opt_t *opt = cfg_getopt(cfg, key);

    return opt != NULL && (opt->flags & CFGF_MODIFIED) != 0;
}

/*
 * The path of a list or map that need not be there: a default that names no file is "none"; a file that the
 * administrator named must exist, and whoever reads it says so.
 */
static char *get_optional_path(cfg_t *cfg, const char *key)
{
    char *path = get_string(cfg, key);
    struct stat st;

    if (!was_set(cfg, key) && stat(path, &st) != 0 && errno == ENOENT) {
        char *map = config_map_path(path);

        if (stat(map, &st) != 0 && errno == ENOENT) {
            *path = '\0';
        }
        free(map);
    }
    return path;
}

/* The text of a reply, copied; the key was validated before. */
static struct reply get_reply(cfg_t *cfg, const char *key, const char *default_dsn)
{
    struct arena *arena = arena_new();
    struct reply reply = {0};

    if (reply_parse(cfg_getstr(cfg, key), default_dsn, arena, &reply)) {
        reply.text = xstrdup(reply.text);
    }
    arena_free(&arena);
    return reply;
}

static uint32_t get_features(cfg_t *cfg)
{
    uint32_t all = 0;

    for (unsigned i = 0; i < cfg_size(cfg, "features"); i++) {
        uint32_t bits = 0;

        (void)config_feature_parse(cfg_getnstr(cfg, "features", i), &bits);
        all |= bits;
    }
    return all;
}

static enum config_relay_control get_relay_control(cfg_t *cfg)
{
    const char *value = cfg_getstr(cfg, "relay_control");

    return strcasecmp(value, "off") == 0      ? RELAY_CONTROL_OFF
           : strcasecmp(value, "milter") == 0 ? RELAY_CONTROL_MILTER
                                              : RELAY_CONTROL_MTA;
}

static void get_daemons(struct config *config, cfg_t *cfg)
{
    config->daemon_count = cfg_size(cfg, "daemon");
    config->daemons = xcalloc(config->daemon_count, sizeof(*config->daemons));
    for (size_t i = 0; i < config->daemon_count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "daemon", (unsigned)i);

        config->daemons[i] = (struct config_daemon){
            .name = xstrdup(cfg_title(section)),
            .require_auth = cfg_getbool(section, "require_auth") == cfg_true,
            .require_fqdn = cfg_getbool(section, "require_fqdn") == cfg_true,
            .has_features = was_set(section, "features"),
            .features = get_features(section),
            .has_relay_control = was_set(section, "relay_control"),
            .relay_control = get_relay_control(section),
            .has_dnsbl = was_set(section, "dnsbl"),
            .dnsbl = config_dns_get_choice(section, &config->dns),
        };
    }
}

/* Sendmail's default says more where a login would help. */
static struct reply get_relay_reply(const struct config *config, cfg_t *cfg)
{
    struct reply reply = get_reply(cfg, "relay_message", "5.7.1");

    if (!was_set(cfg, "relay_message") && config->trust_auth_mech.count > 0) {
        free((char *)reply.text);
        reply.text = xstrdup("Relaying denied. Proper authentication required.");
    }
    return reply;
}

static struct config_socket get_socket(cfg_t *cfg, const char *key)
{
    return (struct config_socket){.path = get_string(cfg, key), .was_set = was_set(cfg, key)};
}

static void fill(struct config *config, cfg_t *cfg)
{
    cfg_t *log = cfg_getsec(cfg, "log");

    config->listen = get_string(cfg, "listen");
    config->listen_mode = (unsigned)strtoul(cfg_getstr(cfg, "listen_mode"), NULL, 8);
    config->listen_group = get_string(cfg, "listen_group");
    config->user = get_string(cfg, "user");
    config->pid_file = get_string(cfg, "pid_file");
    config->control_socket = get_string(cfg, "control_socket");
    config->popauth_socket = get_socket(cfg, "popauth_socket");
    config->popauth_group = get_string(cfg, "popauth_group");
    config->map_socket = get_socket(cfg, "map_socket");
    config->policy_socket = get_socket(cfg, "policy_socket");
    config->hostname = get_string(cfg, "hostname");
    config->access = get_string(cfg, "access");
    config->spammers = get_optional_path(cfg, "spammers");
    config->regex = get_optional_path(cfg, "regex");
    config->header_checks = get_optional_path(cfg, "header_checks");
    config->mime_header_checks = get_string(cfg, "mime_header_checks");
    config->local_host_names = get_optional_path(cfg, "local_host_names");
    config->relay_domains = get_optional_path(cfg, "relay_domains");
    config->local_domains = get_list(cfg, "local_domains");
    config->local_mailers = get_list(cfg, "local_mailers");
    config->trust_auth_mech = get_list(cfg, "trust_auth_mech");
    config->features = get_features(cfg);
    config->relay_control = get_relay_control(cfg);
    config->certificate = strcasecmp(cfg_getstr(cfg, "relay_by_certificate"), "cn") == 0
                              ? CERTIFICATE_CN
                              : CERTIFICATE_DN;
    config_dns_get(cfg, &config->dns);
    config_relay_get(cfg, &config->relay_store);
    get_daemons(config, cfg);
    config->reject = get_reply(cfg, "reject_message", NULL);
    config->recipient_reject = get_reply(cfg, "recipient_reject_message", "5.2.1");
    config->relay = get_relay_reply(config, cfg);
    config->log_facility = get_string(log, "facility");
    (void)log_level_parse(cfg_getstr(log, "level"), &config->log_level);
}

/* The whole file; false with errno set if it cannot be read. */
static bool read_file(const char *path, struct strbuf *text)
{
    char buffer[4096];
    size_t len;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return false;
    }
    while ((len = fread(buffer, 1, sizeof(buffer), file)) > 0) {
        strbuf_append_len(text, buffer, len);
    }
    int failure = ferror(file) != 0 ? errno : 0;

    fclose(file);
    errno = failure;
    return failure == 0;
}

/* libConfuse's scanner ends the process when reading fails (a folder, a disk that is broken), so it reads memory only. */
static cfg_t *parse_file(const char *path, struct diag *diag)
{
    struct strbuf text;
    cfg_t *cfg = NULL;

    strbuf_init(&text);
    if (read_file(path, &text)) {
        cfg = config_keys_parse(&text, path, diag);
    } else {
        diag_report(diag, DIAG_ERROR, path, 0, "name another file with -c FILE or in POSTERN_CONF",
                    "cannot be read: %s", strerror(errno));
    }
    strbuf_fini(&text);
    return cfg;
}

struct config *config_load(const char *path, struct diag *diag)
{
    cfg_t *cfg = parse_file(path, diag);

    if (cfg == NULL) {
        return NULL;
    }
    struct config *config = xcalloc(1, sizeof(*config));

    config->path = xstrdup(path);
    fill(config, cfg);
    cfg_free(cfg);
    return config;
}

void config_free(struct config **config)
{
    if (*config == NULL) {
        return;
    }
    char *const strings[] = {
        (*config)->path,
        (*config)->listen,
        (*config)->listen_group,
        (*config)->user,
        (*config)->pid_file,
        (*config)->control_socket,
        (*config)->popauth_socket.path,
        (*config)->popauth_group,
        (*config)->map_socket.path,
        (*config)->policy_socket.path,
        (*config)->hostname,
        (*config)->access,
        (*config)->spammers,
        (*config)->regex,
        (*config)->header_checks,
        (*config)->mime_header_checks,
        (*config)->local_host_names,
        (*config)->relay_domains,
        (*config)->log_facility,
        (char *)(*config)->reject.text,
        (char *)(*config)->recipient_reject.text,
        (char *)(*config)->relay.text,
    };

    config_relay_fini(&(*config)->relay_store);
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        free(strings[i]);
    }
    for (size_t i = 0; i < (*config)->daemon_count; i++) {
        free((*config)->daemons[i].name);
    }
    free((*config)->daemons);
    config_dns_free(&(*config)->dns);
    free_list(&(*config)->local_domains);
    free_list(&(*config)->local_mailers);
    free_list(&(*config)->trust_auth_mech);
    free(*config);
    *config = NULL;
}

const struct config_daemon *config_find_daemon(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->daemon_count; i++) {
        if (strcasecmp(config->daemons[i].name, name) == 0) {
            return &config->daemons[i];
        }
    }
    return NULL;
}

bool config_has_anywhere(const struct config *config, enum config_feature feature)
{
    bool found = config_has(config, feature);

    for (size_t i = 0; i < config->daemon_count; i++) {
        found = found || (config->daemons[i].features & (uint32_t)feature) != 0;
    }
    return found;
}

bool config_controls_relaying(const struct config *config)
{
    bool controls = config->relay_control == RELAY_CONTROL_MILTER;

    for (size_t i = 0; i < config->daemon_count; i++) {
        controls = controls || (config->daemons[i].has_relay_control &&
                                config->daemons[i].relay_control == RELAY_CONTROL_MILTER);
    }
    return controls;
}
