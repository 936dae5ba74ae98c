/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config_keys - the grammar of postern.conf: its keys, their defaults and what their values may be.
 */
#ifndef POSTERN_LIB_POLICY_CONFIG_KEYS_H
#define POSTERN_LIB_POLICY_CONFIG_KEYS_H

#include "lib/base/diag.h"
#include "lib/base/strbuf.h"

#include <confuse.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Parses and validates the text of the file `path`; a newline is added to a text without one. NULL on the first error, which was reported with its line. Free with cfg_free(). Keys of
 * features that this version does not have are refused where ignoring them would decide otherwise than asked for, and
 * a warning elsewhere.
 */
cfg_t *config_keys_parse(struct strbuf *text, const char *path, struct diag *diag);

/* Where what is wrong with a configuration, or a section of it, is to be reported. */
struct diag *config_keys_diag(cfg_t *cfg);

/* The bits of a feature by its name, in config.c; false if there is none of that name. */
bool config_feature_parse(const char *name, uint32_t *bits_out);

#endif
