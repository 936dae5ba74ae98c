/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/literal_groups.h"

#include "lib/base/xalloc.h"
#include "lib/table/gram_table.h"

#include <stdlib.h>

/* Bytes by which groups are told apart: enough for names of headers, and not more than the shortest of them has ("to:"). */
#define BEGINNING 3u
/* A pattern that may begin in more ways is in none of the groups. */
#define MAX_BEGINNINGS 8u

struct literal_groups {
    struct literal_index *common;                /* patterns whose beginning is not known */
    struct literal_index *group[LITERAL_GROUPS]; /* by the hash of their beginning; NULL: none */
};

struct literal_groups *literal_groups_new(void)
{
    struct literal_groups *groups = xcalloc(1, sizeof(*groups));

    groups->common = literal_index_new();
    return groups;
}

void literal_groups_free(struct literal_groups **groups)
{
    if (*groups == NULL) {
        return;
    }
    literal_index_free(&(*groups)->common);
    for (size_t i = 0; i < LITERAL_GROUPS; i++) {
        literal_index_free(&(*groups)->group[i]);
    }
    free(*groups);
    *groups = NULL;
}

static size_t group_of(const char *beginning)
{
    return gram_read(beginning, BEGINNING) * UINT32_C(2654435761) >> 24;
}

size_t literal_groups_of_subject(const char *subject, size_t len)
{
    char beginning[BEGINNING];

    if (len < BEGINNING) {
        return LITERAL_GROUPS_NONE;
    }
    regex_tree_fold(beginning, subject, BEGINNING);
    return group_of(beginning);
}

/* The groups of all beginnings, each once. 0: they are not known, too short or too many. */
static size_t find_groups(const struct regex_clause *prefixes, size_t groups_out[MAX_BEGINNINGS])
{
    size_t count = 0;

    for (size_t i = 0; i < prefixes->count; i++) {
        size_t at = 0;

        if (prefixes->words[i].len < BEGINNING) {
            return 0;
        }
        size_t group = group_of(prefixes->words[i].text);

        while (at < count && groups_out[at] != group) {
            at++;
        }
        if (at == MAX_BEGINNINGS) {
            return 0;
        }
        groups_out[at] = group;
        count = at == count ? count + 1 : count;
    }
    return count;
}

size_t literal_groups_of_pattern(const struct regex_needs *needs)
{
    size_t found[MAX_BEGINNINGS];

    return find_groups(&needs->prefixes, found) == 1 ? found[0] : LITERAL_GROUPS_NONE;
}

bool literal_groups_add(struct literal_groups *groups, uint32_t pattern,
                        const struct regex_needs *needs)
{
    size_t found[MAX_BEGINNINGS];
    size_t count = find_groups(&needs->prefixes, found);
    bool is_added = true;

    if (count == 0) {
        return literal_index_add(groups->common, pattern, needs);
    }
    for (size_t i = 0; i < count && is_added; i++) {
        struct literal_index **group = &groups->group[found[i]];

        *group = *group != NULL ? *group : literal_index_new();
        is_added = literal_index_add(*group, pattern, needs);
    }
    return is_added;
}

void literal_groups_finish(struct literal_groups *groups)
{
    literal_index_finish(groups->common);
    for (size_t i = 0; i < LITERAL_GROUPS; i++) {
        if (groups->group[i] != NULL) {
            literal_index_finish(groups->group[i]);
        }
    }
}

size_t literal_groups_crowd(const struct literal_groups *groups, uint32_t pattern)
{
    size_t most = literal_index_crowd(groups->common, pattern);

    for (size_t i = 0; i < LITERAL_GROUPS; i++) {
        size_t crowd = groups->group[i] != NULL ? literal_index_crowd(groups->group[i], pattern)
                                                : 0;

        most = crowd > most ? crowd : most;
    }
    return most;
}

void literal_groups_scratch_init(struct literal_scratch *scratch,
                                 const struct literal_groups *groups)
{
    const struct literal_index *largest = groups->common;

    for (size_t i = 0; i < LITERAL_GROUPS; i++) {
        if (groups->group[i] != NULL &&
            literal_index_words(groups->group[i]) > literal_index_words(largest)) {
            largest = groups->group[i];
        }
    }
    literal_scratch_init(scratch, largest);
}

static const struct literal_index *index_of(const struct literal_groups *groups, size_t group)
{
    return group == LITERAL_GROUPS_NONE ? NULL : groups->group[group];
}

bool literal_groups_rule_out(const struct literal_groups *groups, size_t group)
{
    return literal_index_words(groups->common) == 0 && index_of(groups, group) == NULL;
}

void literal_groups_scan(const struct literal_groups *groups, size_t group, const char *folded,
                         size_t len, struct literal_scratch *scratch, struct sparse_bits *may_match)
{
    const struct literal_index *index = index_of(groups, group);

    literal_index_scan(groups->common, folded, len, scratch, may_match);
    if (index != NULL) {
        literal_index_scan(index, folded, len, scratch, may_match);
    }
}

size_t literal_groups_bytes(const struct literal_groups *groups)
{
    size_t bytes = literal_index_bytes(groups->common);

    for (size_t i = 0; i < LITERAL_GROUPS; i++) {
        bytes += groups->group[i] != NULL ? literal_index_bytes(groups->group[i]) : 0;
    }
    return bytes;
}
