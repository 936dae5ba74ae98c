/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config_scan - texts for libConfuse, and what it takes without a word: texts and sections without an end, and second sections.
 */
#ifndef POSTERN_LIB_POLICY_CONFIG_SCAN_H
#define POSTERN_LIB_POLICY_CONFIG_SCAN_H

#include "lib/base/strbuf.h"

#include <confuse.h>
#include <stdbool.h>

/* Parses the text, which ends with a newline; false if something is wrong, which was said to the error function of `cfg`. */
bool config_scan_parse(cfg_t *cfg, const struct strbuf *text);

/*
 * Parses a text that config_scan_parse() took once more, to see whether all is closed that it opens. `cfg` is another one for the
 * same keys, where sections without a title have CFGF_MULTI, so that they are counted; it is of no use afterwards. What is wrong
 * goes to config_keys_diag() of it.
 */
bool config_scan_is_whole(cfg_t *cfg, const struct strbuf *text);

#endif
