/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_text - the text of a table of patterns: Postfix's pcre_table(5), and what a dialect adds to it.
 *
 * Logical lines are Postfix's: a line that starts with a blank goes on with the one before it; empty lines and lines whose first
 * text is `#` are left out, also between. A rule is
 *
 *     [Tag:] [!]/pattern/flags  result          any delimiter that is no letter or digit
 *     [Tag:] part~name part=text ...  result    conditions, see below (dialects with `named`)
 *     Kname regex OPTIONS pattern               a named pattern, as in sendmail.cf (dialects with `named`)
 *     word [NAME] [NUMBER]  result              a keyword of the dialect
 *
 * and `if [Tag:] [!]/pattern/flags`, `if [Tag:] part~name ...` or `if client [!]word ...` begins a block that `endif` ends.
 *
 * The parts are `subject` (all of it), `local` and `domain` (before and behind its last `@`; a subject without one has no domain).
 * `part~name` asks a named pattern, `part=text` compares without regard to case (`domain=.example` is any
 * domain below example); `!~` and `!=` are their opposites. All conditions of a line must hold.
 *
 * What is wrong is reported with its line, that line is left out, and reading goes on: as Postfix does it. A caller for whom a table
 * with errors is none looks at diag->errors.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_TEXT_H
#define POSTERN_LIB_TABLE_REGEX_TEXT_H

#include "lib/base/diag.h"
#include "lib/base/strbuf.h"
#include "lib/table/logicalline.h"

#include <stdbool.h>
#include <stddef.h>

/* A word that begins a rule which no subject is compared with: `repeated From 1  REJECT`. */
struct regex_keyword {
    const char *word;
    bool name;   /* a header's name follows */
    bool number; /* a number follows */
};

/* A result, for the dialect to say whether it means anything. */
struct regex_result {
    const char *file;
    unsigned line;
    const char *text;                    /* what a match gives; "x" stands for each $n */
    const char *written;                 /* as it stands in the file */
    unsigned tags;                       /* that the rule is asked for */
    const struct regex_keyword *keyword; /* NULL: it is a rule with a pattern */
    bool varies;                         /* there are $n in it */
    bool verb_varies;                    /* and already in its first word */
};

/* What a kind of file may hold beyond pcre_table(5). Constant, and lives as long as the tables of it. */
struct regex_dialect {
    const char *const
        *tags;         /* names in the order of their bits, a NULL behind them; NULL: no tags */
    unsigned untagged; /* bits of the tags that a rule without a tag is asked for */
    const char *const *client; /* words of `if client`, in the order of their bits; NULL: none */
    const struct regex_keyword *keywords; /* the last one has no word; NULL: none */
    bool decoded;                         /* the flag D: compare with regex_query.decoded */
    bool named;                           /* K lines and conditions */
    /* False: the result is wrong, which was reported as an error; the rule is left out. NULL: all are right. */
    bool (*check)(const struct regex_result *result, struct diag *diag);
};

/* pcre_table(5) and nothing else. */
extern const struct regex_dialect regex_dialect_postfix;

/* ---- for table_regex ---- */

#define REGEX_MAX_CONDITIONS 8u

enum regex_kind {
    REGEX_MATCH,
    REGEX_IF,
    REGEX_ENDIF,
    REGEX_NAMED,
    REGEX_KEYWORD,
};

enum regex_part { REGEX_PART_SUBJECT, REGEX_PART_LOCAL, REGEX_PART_DOMAIN };

struct regex_condition {
    enum regex_part part;
    bool negated;
    bool named; /* ~: `text` is the name of a pattern; else text to compare with, in lower case */
    const char *text; /* ends in a NUL byte */
};

/* One logical line. All texts lie in the reader's buffer, until the next one; all but `pattern` end in a NUL byte. */
struct regex_line {
    enum regex_kind kind;
    unsigned number;     /* of its first physical line */
    unsigned tags;       /* bits; 0: none is written */
    const char *written; /* the line up to its result */

    bool negated;
    bool decoded;
    unsigned flags;      /* PATTERN_* */
    const char *pattern; /* NULL: conditions, or `if client` */
    size_t pattern_len;
    struct regex_condition conditions[REGEX_MAX_CONDITIONS];
    size_t condition_count;

    unsigned
        client_mask; /* `if client`: the words that are named, and of these those that must hold */
    unsigned client_bits;

    const struct regex_keyword *keyword;
    const char *name;    /* of the keyword's header, or of the named pattern */
    unsigned long value; /* of the keyword */
    const char *options; /* of the named pattern: all that follows `regex` */

    const char *result;
};

struct regex_reader {
    struct logicalline lines;
    const struct regex_dialect *dialect;
    struct diag *diag;
    struct strbuf written; /* the line as it was, cut behind its left-hand side */
};

/* Begins with line 1 of `fd`; `fd` and `file` must outlive the reader. */
void regex_reader_init(struct regex_reader *reader, int fd, const char *file,
                       const struct regex_dialect *dialect, struct diag *diag);
void regex_reader_fini(struct regex_reader *reader);

/* The next line that is right. False: no more; reader->lines.physical.failed says whether reading failed. */
bool regex_reader_next(struct regex_reader *reader, struct regex_line *line_out);

#endif
