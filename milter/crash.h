/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crash - the last log lines of a process that ends by a fatal signal.
 */
#ifndef POSTERN_MILTER_CRASH_H
#define POSTERN_MILTER_CRASH_H

struct logger;

/*
 * From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT write what the logger's thread has not written yet, and then do what they
 * always do. The logger must live as long as the process. Signals that somebody else handles (a sanitizer) stay his.
 */
void crash_catch(const struct logger *logger);

#endif
