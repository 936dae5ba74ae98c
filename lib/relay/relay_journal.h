/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_journal - the changes since the last snapshot, appended to a file of text.
 *
 * One line a change: eight hexadecimal digits of checksum, a blank, and what was done:
 *
 *     login 192.0.2.1 1695420927 user=ann service=imap    an older date than the present one changes nothing
 *     add 2001:db8::/64 1695420927                        whatever was there
 *     remove 192.0.2.1
 *     expire 1695417327                                   all with this date or before; `expire all`
 *     replace 2 / entry ADDRESS VALUE (twice) / end       all entries by these; without `end` nothing happened
 *
 * Who reads the lines a second time, on what they have made already, comes to the same end: so it does no harm to
 * find lines that a snapshot holds too. Zeros behind the last line are room for more.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_JOURNAL_H
#define POSTERN_LIB_RELAY_RELAY_JOURNAL_H

#include "lib/relay/relay_files.h"
#include "lib/relay/relay_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest line, with its newline. */
#define RELAY_JOURNAL_LINE_MAX 2048u

/* ---- lines ---- */

enum relay_journal_op {
    RELAY_JOURNAL_LOGIN,
    RELAY_JOURNAL_ADD,
    RELAY_JOURNAL_REMOVE,
    RELAY_JOURNAL_EXPIRE,
    RELAY_JOURNAL_REPLACE,
    RELAY_JOURNAL_ENTRY,
    RELAY_JOURNAL_END,
};

/* A date that no entry passes. */
#define RELAY_JOURNAL_ALL INT64_MAX

struct relay_journal_line {
    enum relay_journal_op op;
    struct relay_entry entry; /* of LOGIN, ADD, ENTRY; its address alone: of REMOVE */
    int64_t until;            /* of EXPIRE: a date, or RELAY_JOURNAL_ALL */
    uint64_t count;           /* of REPLACE */
};

void relay_journal_format(const struct relay_journal_line *line, struct strbuf *out);

/* Reads a line without its newline; texts of the entry live in `texts`. False: *why_out says what is wrong. */
bool relay_journal_parse(const char *text, size_t len, struct strbuf *texts,
                         struct relay_journal_line *line_out, const char **why_out);

/* Does what the line says, for REPLACE to END in their order. Returns how many entries were removed or, of END, are there. */
size_t relay_journal_apply(const struct relay_journal_line *line, struct relay_index *index);

/* ---- writing ---- */

struct relay_journal {
    int fd;           /* -1: not open */
    uint64_t size;    /* what is durable */
    uint64_t end;     /* what is written */
    uint64_t padded;  /* bytes of the file; behind the lines they are zeros */
    bool is_unpadded; /* there was no room for zeros */
    bool has_name;    /* its name is durable too */
};

/* Opens the journal, or makes it, and cuts it off behind `size` bytes. */
bool relay_journal_open(struct relay_journal *journal, const struct relay_files *files,
                        uint64_t size, struct strbuf *why);
void relay_journal_close(struct relay_journal *journal);

/*
 * Writes lines; they count after relay_journal_commit(), which returns when they are on the disk. False: `why` says why; call
 * relay_journal_rollback(), and nothing of what was written since the last commit counts.
 */
bool relay_journal_write(struct relay_journal *journal, const struct strbuf *lines,
                         struct strbuf *why);
bool relay_journal_commit(struct relay_journal *journal, const struct relay_files *files,
                          struct strbuf *why);

/* False: what was written cannot be taken back, so nothing must be appended any more; begin a new journal. */
bool relay_journal_rollback(struct relay_journal *journal);

/*
 * Makes the journal the old one and begins a new one. There must be no old one. False: all is as before, `why` says why.
 */
bool relay_journal_rotate(struct relay_journal *journal, const struct relay_files *files,
                          struct strbuf *why);

#endif
