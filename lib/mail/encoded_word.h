/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * encoded_word - reads what a mail program shows for `=?charset?B?...?=` in a header (RFC 2047).
 *
 * Words are found wherever they stand, also where RFC 2047 allows none (inside of quotes, with text right before them):
 * that is what mail programs do, and what senders who hide something rely on. Safe for threads.
 */
#ifndef POSTERN_LIB_MAIL_ENCODED_WORD_H
#define POSTERN_LIB_MAIL_ENCODED_WORD_H

#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

/* Different character sets in one header; words in further ones are left as they are. */
#define ENCODED_WORD_MAX_CHARSETS 32u

/*
 * Appends `text` to `out` with its encoded words decoded to UTF-8. Blanks and folds between two of them vanish; what cannot be
 * decoded (an unknown character set, a broken encoding) stays as it is; bytes that are wrong in their character
 * set become U+FFFD. What comes out is never more than a few times as long. False, with nothing appended: there was nothing to
 * decode. Which character sets are known is the C library's business (iconv), which may read its tables from files.
 */
bool encoded_word_decode(const char *text, size_t len, struct strbuf *out);

#endif
