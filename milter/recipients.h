/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recipients - a bounded list of addresses as the client typed them.
 *
 * Starts empty as zeroed memory. Not for use by two threads at once.
 */
#ifndef POSTERN_MILTER_RECIPIENTS_H
#define POSTERN_MILTER_RECIPIENTS_H

#include <stdbool.h>
#include <stddef.h>

/* Postfix takes 1000 recipients by default (smtpd_recipient_limit), Sendmail has no limit. */
#define RECIPIENTS_MAX 10000u

struct recipients {
    char **items;
    size_t count;
    size_t size;
};

/* Adds a copy. False: the list is full. */
bool recipients_add(struct recipients *list, const char *address);

/* Forgets all and gives the memory back. */
void recipients_clear(struct recipients *list);

#endif
