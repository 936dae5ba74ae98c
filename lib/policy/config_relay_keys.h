/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config_relay_keys - the grammar of the section relay_store, and its values. For config.c and config_keys.c.
 */
#ifndef POSTERN_LIB_POLICY_CONFIG_RELAY_KEYS_H
#define POSTERN_LIB_POLICY_CONFIG_RELAY_KEYS_H

#include "lib/policy/config_relay.h"

#include <confuse.h>

#define CONFIG_RELAY_KEYS 19

/* The keys of the section, for CFG_SEC(); the caller keeps them until cfg_init() has copied them. */
struct config_relay_keys {
    cfg_opt_t keys[CONFIG_RELAY_KEYS];
};

/* The words that some keys take. */
enum config_relay_words {
    CONFIG_RELAY_BACKEND,
    CONFIG_RELAY_EXCESS,
    CONFIG_RELAY_SENDERS,
    CONFIG_RELAY_WORDS,
};

/* What such a word stands for, without regard to case; false: there is none of that name. */
bool config_relay_keys_word(enum config_relay_words which, const char *text, unsigned *value_out);

/* `hidden` is the option that carries the struct diag. */
void config_relay_keys_init(struct config_relay_keys *keys, cfg_opt_t hidden);

/* Sets the functions that check values. */
void config_relay_keys_validate(cfg_t *cfg);

/* ---- config_relay.c: the values of a file that was checked ---- */

void config_relay_get(cfg_t *cfg, struct config_relay_store *out);

#endif
