/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config_relay_keys.h"

#include "lib/relay/relay_entry.h"
#include "lib/relay/relay_redis_url.h"
#include "lib/relay/relay_store_redis.h"

#include <string.h>
#include <strings.h>

/* A word of the file, and the number that it stands for. */
struct word {
    const char *text;
    unsigned value;
};

#define MOST_WORDS 4
#define KEY_PREFIX_MAX 64

static const struct word words[CONFIG_RELAY_WORDS][MOST_WORDS] = {
    [CONFIG_RELAY_BACKEND] = {{"gdbm", RELAY_BACKEND_GDBM},
                              {"redis", RELAY_BACKEND_REDIS},
                              {NULL, 0}},
    [CONFIG_RELAY_EXCESS] = {{"log", RELAY_EXCESS_LOG},
                             {"refuse", RELAY_EXCESS_REFUSE},
                             {"withdraw", RELAY_EXCESS_WITHDRAW},
                             {NULL, 0}},
    [CONFIG_RELAY_SENDERS] = {{"any", GRANT_SENDERS_ANY},
                              {"address", GRANT_SENDERS_ADDRESS},
                              {"domain", GRANT_SENDERS_DOMAIN},
                              {NULL, 0}},
};

bool config_relay_keys_word(enum config_relay_words which, const char *text, unsigned *value_out)
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

static const char *text_of(cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, 0);

    return value == NULL ? "" : value;
}

static int check_word(cfg_t *cfg, cfg_opt_t *opt, enum config_relay_words which,
                      const char *expected)
{
    unsigned value;

    if (config_relay_keys_word(which, text_of(opt), &value)) {
        return 0;
    }
    cfg_error(cfg, "%s: \"%s\" is none of %s", cfg_opt_name(opt), text_of(opt), expected);
    return -1;
}

static int check_backend(cfg_t *cfg, cfg_opt_t *opt)
{
    unsigned backend;

    if (check_word(cfg, opt, CONFIG_RELAY_BACKEND, "\"gdbm\", \"redis\"") != 0) {
        return -1;
    }
    if (config_relay_keys_word(CONFIG_RELAY_BACKEND, text_of(opt), &backend) &&
        backend == RELAY_BACKEND_REDIS && relay_store_redis_lacks(NULL) != NULL) {
        cfg_error(cfg, "backend: %s", relay_store_redis_lacks(NULL));
        return -1;
    }
    return 0;
}

static int check_excess(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_word(cfg, opt, CONFIG_RELAY_EXCESS, "\"log\", \"refuse\", \"withdraw\"");
}

static int check_senders(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_word(cfg, opt, CONFIG_RELAY_SENDERS, "\"any\", \"address\", \"domain\"");
}

static int check_range(cfg_t *cfg, cfg_opt_t *opt, long least, long most)
{
    long value = cfg_opt_getnint(opt, 0);

    if (value < least || value > most) {
        cfg_error(cfg, "%s: %ld is not between %ld and %ld", cfg_opt_name(opt), value, least, most);
        return -1;
    }
    return 0;
}

static int check_window(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, 100L * 365 * 24 * 60);
}

static int check_max_entries(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 1, 100000000);
}

static int check_ipv6_prefix(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, RELAY_MIN_PREFIX, 128);
}

static int check_timeout(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 10, 60000);
}

static int check_session_hours(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, 365L * 24);
}

static int check_max_sessions(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 1, 10000000);
}

static int check_limit(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, 1000000);
}

/* More are not remembered of a user. */
static int check_addresses(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, 1000);
}

static int check_path(cfg_t *cfg, cfg_opt_t *opt)
{
    if (*text_of(opt) != '\0' && *text_of(opt) != '/') {
        cfg_error(cfg, "%s: \"%s\" must be an absolute path, or \"\" for none", cfg_opt_name(opt),
                  text_of(opt));
        return -1;
    }
    return 0;
}

/* The text is not repeated: it may hold a password, by mistake. */
static int check_redis_url(cfg_t *cfg, cfg_opt_t *opt)
{
    struct relay_redis_url url;
    const char *why;

    if (!relay_redis_url_parse(text_of(opt), &url, &why)) {
        cfg_error(cfg, "redis_url: %s", why);
        return -1;
    }
    /* A postern without Redis has nothing to say of the URL. */
    if (relay_store_redis_lacks(NULL) == NULL && relay_store_redis_lacks(&url) != NULL) {
        cfg_error(cfg, "redis_url: %s", relay_store_redis_lacks(&url));
        return -1;
    }
    return 0;
}

static int check_key_prefix(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *prefix = text_of(opt);

    for (const char *at = prefix; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f) {
            cfg_error(cfg, "redis_key_prefix: holds a blank or a byte that is no printable ASCII");
            return -1;
        }
    }
    if (strlen(prefix) > KEY_PREFIX_MAX) {
        cfg_error(cfg, "redis_key_prefix: has more than %d bytes", KEY_PREFIX_MAX);
        return -1;
    }
    return 0;
}

/* A store must lie somewhere: "" would be none, and then nobody could ever relay by it. */
static int check_file(cfg_t *cfg, cfg_opt_t *opt)
{
    if (*text_of(opt) == '\0') {
        cfg_error(cfg, "file: write the absolute path of the file that keeps the addresses");
        return -1;
    }
    return check_path(cfg, opt);
}

/* ---- the section ---- */

void config_relay_keys_init(struct config_relay_keys *keys, cfg_opt_t hidden)
{
    const cfg_opt_t all[CONFIG_RELAY_KEYS] = {
        CFG_STR("backend", "gdbm", CFGF_NONE),
        CFG_STR("file", POSTERN_STATEDIR "/relayers.gdbm", CFGF_NONE),
        CFG_STR("redis_url", "redis://127.0.0.1:6379/0", CFGF_NONE),
        CFG_STR("redis_password_file", "", CFGF_NONE),
        CFG_STR("redis_ca_file", "", CFGF_NONE),
        CFG_STR("redis_key_prefix", "postern:", CFGF_NONE),
        CFG_INT("timeout_ms", 500, CFGF_NONE),
        CFG_INT("window_minutes", 0, CFGF_NONE),
        CFG_INT("max_entries", 100000, CFGF_NONE),
        CFG_INT("ipv6_prefix_bits", 128, CFGF_NONE),
        CFG_INT("session_max_hours", 24, CFGF_NONE),
        CFG_INT("max_sessions", 100000, CFGF_NONE),
        CFG_STR("grant_senders", "any", CFGF_NONE),
        CFG_INT("recipients_per_message", 0, CFGF_NONE),
        CFG_INT("recipients_per_hour", 0, CFGF_NONE),
        CFG_INT("addresses_per_user", 0, CFGF_NONE),
        CFG_STR("addresses_exceeded", "log", CFGF_NONE),
        hidden,
        CFG_END(),
    };

    memcpy(keys->keys, all, sizeof(all));
}

void config_relay_keys_validate(cfg_t *cfg)
{
    static const struct {
        const char *key;
        cfg_validate_callback_t check;
    } validators[] = {
        {"relay_store|backend", check_backend},
        {"relay_store|file", check_file},
        {"relay_store|redis_url", check_redis_url},
        {"relay_store|redis_password_file", check_path},
        {"relay_store|redis_ca_file", check_path},
        {"relay_store|redis_key_prefix", check_key_prefix},
        {"relay_store|timeout_ms", check_timeout},
        {"relay_store|window_minutes", check_window},
        {"relay_store|max_entries", check_max_entries},
        {"relay_store|ipv6_prefix_bits", check_ipv6_prefix},
        {"relay_store|session_max_hours", check_session_hours},
        {"relay_store|max_sessions", check_max_sessions},
        {"relay_store|grant_senders", check_senders},
        {"relay_store|recipients_per_message", check_limit},
        {"relay_store|recipients_per_hour", check_limit},
        {"relay_store|addresses_per_user", check_addresses},
        {"relay_store|addresses_exceeded", check_excess},
    };

    for (size_t i = 0; i < sizeof(validators) / sizeof(validators[0]); i++) {
        cfg_set_validate_func(cfg, validators[i].key, validators[i].check);
    }
}
