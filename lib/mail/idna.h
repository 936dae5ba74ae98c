/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * idna - internationalised domain names as DNS and tables know them.
 *
 * SMTPUTF8 passes domains as U-labels or A-labels, as the client sent them (RFC 6531); DNS holds A-labels only (RFC 5890). The
 * other half of libidn2 is not used: nothing is shown as U-labels. No I/O, no locale, safe for threads.
 */
#ifndef POSTERN_LIB_MAIL_IDNA_H
#define POSTERN_LIB_MAIL_IDNA_H

#include <stdbool.h>
#include <stddef.h>

/* Room for the longest name, 253 bytes, and the NUL byte. */
#define IDNA_NAME_SIZE 254

/* Does the text hold bytes beyond ASCII? Cheap. */
bool idna_is_needed(const char *name);

/*
 * The name with A-labels and in lower case, into `out`: "Bücher.Example" gives "xn--bcher-kva.example" (IDNA 2008 with the mapping
 * of UTS 46, nontransitional). A name in ASCII is only folded, whatever its labels hold ("_dmarc.example"). False: it is not
 * UTF-8, IDNA forbids it, it is too long, or the mapping makes a plain ASCII label, or more or fewer labels, of what was not ASCII
 * (wide letters, characters without width, other dots); `out` is then "".
 */
bool idna_to_ascii(const char *name, char out[IDNA_NAME_SIZE]);

#endif
