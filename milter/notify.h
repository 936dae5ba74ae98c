/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * notify - tells systemd how the daemon is: sd_notify(3), one datagram. Without systemd all of it does nothing.
 */
#ifndef POSTERN_MILTER_NOTIFY_H
#define POSTERN_MILTER_NOTIFY_H

/* "READY=1", "STOPPING=1" and the like; several lines are separated by newlines. */
void notify_send(const char *state);

/* RELOADING=1 with the time that systemd wants to see. */
void notify_reloading(void);

#endif
