/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/stats.h"

const char *stats_stage_name(enum stats_stage stage)
{
    static const char *const names[STATS_STAGES] = {"connect", "helo", "mail",
                                                    "rcpt",    "eoh",  "eom"};

    return names[stage];
}
