/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_window - how fast messages may go to a server.
 *
 * What comes faster than a server reads finds no room in its socket and is lost. So there may be DNS_WINDOW messages at once, and so
 * many more each millisecond; who answers gets more at once, who takes seconds to find out still gets all. Times are those of dns_now(). Plain
 * values; not for use by two threads at once.
 */
#ifndef POSTERN_LIB_DNS_DNS_WINDOW_H
#define POSTERN_LIB_DNS_DNS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define DNS_WINDOW 64

/* All zero is wide open. */
struct dns_window {
    int64_t room; /* nanoseconds; each message takes some, and time gives them back */
    int64_t at;   /* when that was */
};

/* Is there room for one more message? Takes it. */
bool dns_window_take(struct dns_window *window, int64_t now);

/* A message was answered. */
void dns_window_give(struct dns_window *window);

#endif
