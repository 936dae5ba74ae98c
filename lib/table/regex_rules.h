/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_rules - what a table of patterns is made of: shared by table_regex, which makes it, and regex_search, which asks it.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_RULES_H
#define POSTERN_LIB_TABLE_REGEX_RULES_H

#include "lib/table/pattern.h"
#include "lib/table/prefilter.h"
#include "lib/table/regex_named.h"
#include "lib/table/table_regex.h"

#include <stdatomic.h>
#include <stdint.h>

#define REGEX_NONE UINT32_MAX
#define REGEX_ALL_TAGS UINT32_MAX

struct regex_rule {
    /* What each search looks at. */
    struct pattern *pattern; /* NULL: conditions, `if client`, `endif` or a keyword */
    uint32_t tags;           /* that it is asked for, with those of the blocks around it */
    uint32_t block;          /* the `if` around it; REGEX_NONE: none */
    uint32_t end;            /* of an `if`: its `endif`; REGEX_NONE: there is none */
    unsigned char kind;      /* enum regex_kind */
    bool negated;
    bool decoded;
    bool varies; /* the result has to be expanded */

    const char *result;  /* ready to be given out, or with its $n */
    const char *written; /* the left-hand side */
    const char *written_result;
    unsigned line;
    unsigned client_mask;
    unsigned client_bits;
    const struct regex_condition *conditions;
    const struct regex_named **named; /* of each condition; NULL: it compares with a text */
    size_t condition_count;
    const char *text; /* the pattern */
    size_t text_len;
    unsigned flags;
    const struct regex_keyword *keyword;
    const char *name;
    unsigned long value;
};

struct table_regex {
    atomic_size_t references;
    const struct regex_dialect *dialect;
    struct arena *arena; /* all texts */
    const char *name;
    const char *file;
    struct pattern_engine *engine;
    struct regex_rule *rules;
    size_t count;
    size_t results; /* rules that have one */
    uint32_t *
        keywords; /* rules of keywords: asked once a message, so nobody looks for them among thousands */
    size_t keyword_count;
    struct regex_named *named;
    size_t named_count;
    struct prefilter *prefilter; /* pattern n is that of rule n */
    struct sparse_bits always;   /* rules that a search looks at whatever the prefilter says */
    bool has_decoded;            /* there are rules with the flag D */
};

#endif
