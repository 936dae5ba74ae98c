/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain_print - what explain_session() made, for a person to read.
 */
#ifndef POSTERN_CTL_EXPLAIN_PRINT_H
#define POSTERN_CTL_EXPLAIN_PRINT_H

#include <jansson.h>

/* Writes the object to standard output. */
void explain_print(const json_t *object);

#endif
