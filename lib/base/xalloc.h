/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xalloc - allocation that cannot return NULL.
 *
 * All that postern allocates is bounded by configuration and by the packet size of the milter
 * protocol, so memory that is refused means that the machine is out of memory. The process then
 * ends with a message on standard error: the MTA sees its filter go away and answers 4xx
 * (F=T, milter_default_action = tempfail). No half-made decision can leave the process.
 */
#ifndef POSTERN_LIB_BASE_XALLOC_H
#define POSTERN_LIB_BASE_XALLOC_H

#include <stddef.h>

/* Like malloc, calloc, realloc, strdup and strndup; the caller frees with free(). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));

#endif
