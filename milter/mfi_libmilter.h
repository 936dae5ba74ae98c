/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mfi_libmilter - the protocol engine of Sendmail's libmilter.
 *
 * libmilter allows one filter per process. It wants SIGHUP, SIGTERM and SIGINT for itself: the caller blocks them before
 * it starts any thread and receives them alone; see mfi_libmilter_owns_no_signals().
 */
#ifndef POSTERN_MILTER_MFI_LIBMILTER_H
#define POSTERN_MILTER_MFI_LIBMILTER_H

#include "milter/mfi.h"

#include <stdbool.h>

/* Registers the filter; once per process. False if libmilter does not want it. */
bool mfi_libmilter_init(const char *name, const struct mfi_filter *filter, void *owner);

/*
 * Opens the socket (unix:PATH, inet:PORT@HOST, inet6:PORT@HOST). A file at PATH is an error: see
 * listener_prepare(). False after an error, which libmilter has written to syslog; errno says more if it is not 0.
 */
bool mfi_libmilter_listen(const char *listen);

/* Serves until libmilter gives up. Runs in a thread of its own. */
void mfi_libmilter_run(void);

/*
 * Has libmilter's signal thread been kept away from the process's signals? Becomes true soon after mfi_libmilter_run()
 * began; if it stays false, SIGHUP may end the process.
 */
bool mfi_libmilter_owns_no_signals(void);

/* libmilter's version, "1.0.1". buf of 16 bytes or more. */
const char *mfi_libmilter_version(char *buf, unsigned long size);

#endif
