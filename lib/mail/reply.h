/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reply - an SMTP reply: code (RFC 5321), enhanced status code (RFC 3463) and text.
 */
#ifndef POSTERN_LIB_MAIL_REPLY_H
#define POSTERN_LIB_MAIL_REPLY_H

#include "lib/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

#define REPLY_DSN_SIZE 12 /* "5.123.123" and the NUL byte, with room */
#define REPLY_MAX_TEXT \
    480u /* bytes: one reply line of 512 with code, enhanced code and CRLF (RFC 5321, 4.5.3.1.5) */

struct reply {
    int code; /* 400 to 599; 0: no reply */
    char dsn[REPLY_DSN_SIZE];
    const char *text; /* not owned */
};

/* A reply from its parts; `text` must outlive it. */
struct reply reply_make(int code, const char *dsn, const char *text);

/*
 * Is `text`, of which `len` bytes count, an enhanced status code (RFC 3463): class 2, 4 or 5, then two
 * numbers of one to three digits?
 */
bool reply_is_dsn(const char *text, size_t len);

/*
 * Reads `CODE text` or `CODE D.S.N text` (CODE: three digits, first one 4 or 5). Without D.S.N the reply gets
 * `default_dsn`, or D.0.0 by the first digit of the code if that is NULL. False if there is no code.
 * The text is copied into the arena and cleaned: see reply_clean().
 */
bool reply_parse(const char *text, const char *default_dsn, struct arena *arena,
                 struct reply *reply_out);

/*
 * The text as it can stand in one SMTP reply line: control characters become blanks, bytes over 127 become '?'
 * (a client without SMTPUTF8 may not get them), at most REPLY_MAX_TEXT bytes. Lives in the arena.
 */
const char *reply_clean(struct arena *arena, const char *text);

#endif
