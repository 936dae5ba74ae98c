/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trace - who wants to see each lookup: `posternctl explain`, and the log at level debug.
 */
#ifndef POSTERN_LIB_POLICY_TRACE_H
#define POSTERN_LIB_POLICY_TRACE_H

#include "lib/base/status.h"
#include "lib/table/table_regex.h"

#include <stddef.h>

struct trace_lookup {
    const char *table;  /* name of the table: "access", "spammers" */
    const char *key;    /* as it was asked */
    enum status result; /* OK: found; NOTFOUND; TEMPFAIL */
    const char *value;  /* the right-hand side, if found; the failure, with TEMPFAIL */
    const char *file;   /* where it stands, if found, or if a pattern failed */
    unsigned line;

    /* of a table of patterns, with the same: the left-hand side, and what its groups matched, the whole first */
    const char *pattern;
    const struct regex_capture *captures;
    size_t capture_count;
};

/* Embed it as the first member of what the functions need. The strings live until the function returns. */
struct trace {
    void (*lookup)(struct trace *trace, const struct trace_lookup *lookup);
    /* Something that decided without a lookup: "client address is in relay_domains". */
    void (*note)(struct trace *trace, const char *text);
};

#endif
