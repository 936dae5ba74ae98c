/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_check - doubtful things in the sections dns and dnsbl: they can be used, and hardly as their author meant.
 */
#ifndef POSTERN_LIB_POLICY_DNS_CHECK_H
#define POSTERN_LIB_POLICY_DNS_CHECK_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

/* Warnings only. */
void dns_check_config(const struct config *config, struct diag *diag);

#endif
