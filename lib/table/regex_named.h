/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_named - a map of class regex, as a K line of sendmail.cf defines it.
 *
 *     [-n] [-f] [-b] [-s[FIELDS]] [-dDELIMITER] [-aTEXT] [-m] [-Sc] [-D] [-TTEXT] [-q] pattern
 *
 * The pattern is POSIX's, extended unless -b, and case does not count unless -f. A match gives the empty text; with -s the groups (of FIELDS,
 * as in -s1,3: these; 0 is all that matched), joined by DELIMITER (`$|` if there is none); with -m the subject. TEXT of -a stands
 * behind it. -n turns the answer around. -S replaces each blank of the subject by c. -D, -T and -q are read and mean nothing: no lookup is
 * deferred here, and one that fails stays a failure. As in any line of sendmail.cf `$$` is a dollar sign, `$` at the end too, and `#` begins
 * a comment unless it is written `\#`.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_NAMED_H
#define POSTERN_LIB_TABLE_REGEX_NAMED_H

#include "lib/base/arena.h"
#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/table/pattern.h"

#define REGEX_NAMED_MAX_FIELDS 32u

struct regex_named {
    const char *name;
    unsigned line;
    struct pattern *pattern;
    const char *text; /* the pattern as PCRE2 got it */
    unsigned flags;
    bool negated;
    bool match_only;
    bool substrings;
    unsigned fields[REGEX_NAMED_MAX_FIELDS];
    size_t field_count;
    const char *delimiter;
    const char *append;
    char blank; /* what replaces a blank; NUL: nothing */
};

/*
 * Reads what follows `regex` on the line. False: it is wrong, `why` says how. Texts live in `arena`; the pattern is the caller's.
 */
bool regex_named_parse(const char *options, struct pattern_engine *engine, struct arena *arena,
                       struct regex_named *named_out, struct strbuf *why);

/*
 * Asks it. STATUS_OK: *value_out is what the map gives, in the arena. STATUS_TEMPFAIL: *value_out says why. Safe for threads, each
 * with its own scratch and arena.
 */
enum status regex_named_find(const struct regex_named *named, struct pattern_scratch *scratch,
                             const char *subject, size_t len, struct arena *arena,
                             const char **value_out);

#endif
