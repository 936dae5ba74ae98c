/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * status_dns - what status says of DNS: the resolver, and each list.
 */
#ifndef POSTERN_CTL_STATUS_DNS_H
#define POSTERN_CTL_STATUS_DNS_H

#include <jansson.h>

/* Prints the member "dns" of the daemon's answer, on standard output. */
void status_dns_print(const json_t *dns);

#endif
