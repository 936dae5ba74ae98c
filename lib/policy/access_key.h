/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * access_key - keys of the access map with internationalised domains: both forms are one key, with A-labels.
 */
#ifndef POSTERN_LIB_POLICY_ACCESS_KEY_H
#define POSTERN_LIB_POLICY_ACCESS_KEY_H

#include "lib/base/arena.h"

/*
 * The key or domain with A-labels where it has U-labels: "joe@Bücher.example" gives "joe@xn--bcher-kva.example", also in both halves of
 * "sender<@>recipient", and behind the dot or the tag that a key may begin with. Itself if it is in ASCII, or if no such domain can be.
 */
const char *access_key_ascii(struct arena *arena, const char *key);

#endif
