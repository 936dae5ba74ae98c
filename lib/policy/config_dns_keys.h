/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config_dns_keys - the grammar of the sections dns, dnsbl, enhdnsbl and helo, and their values. For config.c and config_keys.c.
 */
#ifndef POSTERN_LIB_POLICY_CONFIG_DNS_KEYS_H
#define POSTERN_LIB_POLICY_CONFIG_DNS_KEYS_H

#include "lib/policy/config_dns.h"

#include <confuse.h>

#define CONFIG_DNS_KEYS 13
#define CONFIG_DNSBL_KEYS 14
#define CONFIG_HELO_KEYS 4

/* The keys of each section, for CFG_SEC(); the caller keeps them until cfg_init() has copied them. */
struct config_dns_keys {
    cfg_opt_t dns[CONFIG_DNS_KEYS];
    cfg_opt_t list[CONFIG_DNSBL_KEYS];
    cfg_opt_t helo[CONFIG_HELO_KEYS];
};

/* The words that some keys take. */
enum config_dns_words {
    CONFIG_DNS_LOOKUPS,
    CONFIG_DNS_EXEMPTS,
    CONFIG_DNS_ACTIONS,
    CONFIG_DNS_ANSWER_AT,
    CONFIG_DNS_RELAY_MX,
    CONFIG_DNS_WORDS,
};

/* What such a word stands for, without regard to case; false: there is none of that name. */
bool config_dns_keys_word(enum config_dns_words which, const char *text, unsigned *value_out);

/* `hidden` is the option that carries the struct diag. */
void config_dns_keys_init(struct config_dns_keys *keys, cfg_opt_t hidden);

/* Sets the functions that check values. */
void config_dns_keys_validate(cfg_t *cfg);

/* What can be checked only when all is read; false after errors. */
bool config_dns_keys_check(cfg_t *cfg, const char *path, struct diag *diag);

/* ---- config_dns.c: the values of a file that was checked ---- */

void config_dns_get(cfg_t *cfg, struct config_dns *out);

/* The lists that a section `daemon` names, by their bits. */
uint64_t config_dns_get_choice(cfg_t *daemon, const struct config_dns *dns);

#endif
