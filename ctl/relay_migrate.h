/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_migrate - copies the addresses that may relay from one back end into the other.
 */
#ifndef POSTERN_CTL_RELAY_MIGRATE_H
#define POSTERN_CTL_RELAY_MIGRATE_H

#include "ctl/ctl.h"

/*
 * `from` and `to` are back ends, as postern.conf names them; it has the settings of both. What is beyond its window stays behind, what
 * the other back end has as young stays there. Returns the exit status: CTL_DONE only if all that is to be copied is there.
 */
int relay_migrate_run(struct ctl *ctl, const char *from, const char *to);

#endif
