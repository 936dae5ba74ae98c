/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * message_callbacks - the part of the filter that sees a message: header, body and end.
 */
#ifndef POSTERN_MILTER_MESSAGE_CALLBACKS_H
#define POSTERN_MILTER_MESSAGE_CALLBACKS_H

#include "milter/mfi.h"

#include <stddef.h>

/* As the functions of struct mfi_filter; the owner is a struct callbacks. */
enum mfi_answer message_callbacks_header(void *owner, struct mfi *mfi, const char *name,
                                         const char *value);
enum mfi_answer message_callbacks_eoh(void *owner, struct mfi *mfi);
enum mfi_answer message_callbacks_body(void *owner, struct mfi *mfi, const void *chunk, size_t len);
enum mfi_answer message_callbacks_eom(void *owner, struct mfi *mfi);

#endif
