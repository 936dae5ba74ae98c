/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * status - the result of anything that can fail or find nothing.
 *
 * STATUS_TEMPFAIL is "cannot be known now": whoever receives it must not decide as if
 * nothing had been found. In the daemon it ends as a 4xx reply, never as an accept.
 */
#ifndef POSTERN_LIB_BASE_STATUS_H
#define POSTERN_LIB_BASE_STATUS_H

enum status {
    STATUS_OK = 0,   /* done, or found */
    STATUS_NOTFOUND, /* asked and answered: there is none */
    STATUS_TEMPFAIL, /* could not be asked: unreadable, broken, out of a resource */
    STATUS_INVALID,  /* the input is wrong; the caller was told why */
};

#endif
