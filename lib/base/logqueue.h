/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * logqueue - log lines on their way out, written by a thread of their own.
 *
 * Whoever logs only copies; a disk, pipe or syslog daemon that stands still delays no mail. What comes while others are
 * written goes out together. Memory is bounded: if nothing can be written for so long that the queue is full, lines are lost and
 * counted.
 */
#ifndef POSTERN_LIB_BASE_LOGQUEUE_H
#define POSTERN_LIB_BASE_LOGQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* Bytes that can wait. */
#define LOGQUEUE_SIZE (256u * 1024u)

/* Milliseconds that a line waits at most for others to go out with it. */
#define LOGQUEUE_DELAY_MS 10

struct logqueue;

/*
 * Writes what was put, in order, records unbroken and any number at once; `lost` records had no room since the last call
 * and would stand before these. Called by the queue's thread alone.
 */
typedef void logqueue_write(void *ctx, const char *bytes, size_t len, size_t lost);

/* Starts the thread. NULL: there is none to be had. */
struct logqueue *logqueue_start(logqueue_write *write, void *ctx);

/*
 * One record, copied from its parts. `urgent`: it goes out at once. Safe for threads; never waits for what is written.
 */
void logqueue_put(struct logqueue *queue, const struct iovec *parts, size_t count, bool urgent);

/*
 * Writes what is left, ends the thread and sets the caller's pointer to NULL. Nobody may put any more. If writing still stands still
 * after `deadline_ms`, thread and queue are left to the end of the process.
 */
void logqueue_stop(struct logqueue **queue, int deadline_ms);

/* Waits until all that was put is written, `deadline_ms` at most. False: it is not. */
bool logqueue_flush(struct logqueue *queue, int deadline_ms);

/*
 * What has not been taken out yet, for a process that is about to crash: takes no lock, so the last record may be half one.
 */
const char *logqueue_rest(const struct logqueue *queue, size_t *len_out)
    __attribute__((no_sanitize("thread")));

#endif
