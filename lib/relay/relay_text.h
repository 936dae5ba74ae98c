/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_text - entries as a text that people read and edit:
 *
 *     # timestamp (UTC): Tue Sep 22 22:15:27 1998
 *     10.11.12.13 906502527 user=ann service=pop3
 *
 * The comment is for people; programs read the second line, whose further fields may be absent.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_TEXT_H
#define POSTERN_LIB_RELAY_RELAY_TEXT_H

#include "lib/base/diag.h"
#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/relay/relay_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line that is longer is no entry: user and service at their longest, all of it encoded, are shorter. */
#define RELAY_TEXT_MAX_LINE 2048u

enum relay_text_fields {
    RELAY_TEXT_TWO, /* address and timestamp, as old programs print them */
    RELAY_TEXT_ALL, /* and what else is known */
};

/* Appends the line of an entry. */
void relay_text_write_line(const struct relay_entry *entry, enum relay_text_fields fields,
                           struct strbuf *out);

/* Appends the comment with its date, and the line. */
void relay_text_write(const struct relay_entry *entry, enum relay_text_fields fields,
                      struct strbuf *out);

/*
 * Reads the line of an entry (no comment, without its newline; it is changed). The texts of the entry are in `texts` and live as
 * long as it is not changed. False: *why_out says what is wrong.
 */
bool relay_text_parse_line(char *line, struct strbuf *texts, struct relay_entry *entry_out,
                           const char **why_out);

/*
 * Reads a text and adds its entries to the list, which was empty. Comments and blank lines are skipped; each line that is wrong, an address that
 * comes twice, and more than `max_entries` entries are errors, reported with their number: STATUS_INVALID. STATUS_TEMPFAIL: reading
 * failed, which was reported too. In both cases the list holds what was right.
 */
enum status relay_text_read(int fd, const char *name, size_t max_entries, struct diag *diag,
                            struct relay_list *list);

#endif
