/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report_dns - what the control socket tells of DNS.
 */
#ifndef POSTERN_MILTER_REPORT_DNS_H
#define POSTERN_MILTER_REPORT_DNS_H

#include <jansson.h>

struct dns_lists;
struct resolver;

/* Servers, questions, what became of them, the cache; and of each list its state, what it answered, and how fast. */
json_t *report_dns(struct resolver *resolver, const struct dns_lists *lists);

#endif
