/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * threads - how the threads of this process run, those that libmilter makes too.
 */
#ifndef POSTERN_MILTER_THREADS_H
#define POSTERN_MILTER_THREADS_H

/*
 * To be called before the first thread is made. Threads get stacks of THREADS_STACK_SIZE: libmilter makes and ends many of them, and
 * the C library keeps small stacks for the next thread where it would give large ones back to the system. The process is scheduled as
 * SCHED_BATCH (sched(7)), unless whoever started it chose a policy: a filter that interrupts the MTA for each command that
 * arrives costs both of them more than one that lets it write the next.
 */
void threads_prepare(void);

/* Bytes; no function of ours or of the libraries needs a tenth of it. */
#define THREADS_STACK_SIZE (512u * 1024u)

#endif
