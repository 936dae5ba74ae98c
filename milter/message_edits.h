/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * message_edits - carries out what header rules change, so that each MTA makes the same message of it.
 *
 * The MTAs count differently: behind a field that was taken out Postfix counts the next one in its place while Sendmail goes
 * on to count it, and Sendmail's places for new fields include its own header lines. Working from the last field to the
 * first, all that an edit says of the header as it was received stays true on both.
 */
#ifndef POSTERN_MILTER_MESSAGE_EDITS_H
#define POSTERN_MILTER_MESSAGE_EDITS_H

#include "lib/policy/header_edit.h"
#include "milter/recipients.h"

#include <stdbool.h>

struct mfi;

/* How the MTA counts and writes. */
struct message_edits_mta {
    unsigned
        first_index;    /* for insert_header(): before the first field that the filter was shown */
    bool leading_blank; /* values are given with the blank behind the colon */
};

/*
 * The index of the first field for the MTA whose macro {v} is `version` (NULL: not told). Sendmail ("8.17.1") inserts behind an
 * entry of its own list, which begins with the nine header lines that every sendmail.cf has; others count from 1.
 */
unsigned message_edits_first_index(const char *version);

/*
 * Changes, takes out and inserts fields. NULL if all was done, else what could not be, in words. Not for a message that is
 * refused or discarded.
 */
const char *message_edits_apply(const struct header_edit *edits, struct mfi *mfi,
                                const struct message_edits_mta *mta);

/*
 * Adds the recipients of BCC to those of `accepted` (as typed), or puts the last REDIRECT in their and the `dropped` ones'
 * place. NULL or what could not be done.
 */
const char *message_edits_apply_recipients(const struct header_edit *edits, struct mfi *mfi,
                                           const struct recipients *accepted,
                                           const struct recipients *dropped);

#endif
