/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * map_answers - one question by socketmap, `MAP KEY`, and its answer: `OK TEXT`, `NOTFOUND `, `TEMP WHY` or `PERM WHY`.
 *
 * The maps: `relayers` and `drac`, who logged in; `relay_client` and `relay_to`, who and what may be relayed (relay_maps.h);
 * `access`, the right-hand side of a key of the access file as it stands there. A question about relaying whose answer cannot be
 * known is NOTFOUND: TEMP would make Postfix put off all mail, and a Sendmail map with -T takes it for a yes. No sockets; safe
 * for threads.
 */
#ifndef POSTERN_MILTER_MAP_ANSWERS_H
#define POSTERN_MILTER_MAP_ANSWERS_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

struct relay_lookup;
struct ruleset;

/* The longest question, in bytes: no address or name of SMTP is longer (RFC 5321, 4.5.3.1). */
#define MAP_QUESTION_MAX 4096u

enum map_name {
    MAP_NONE, /* there is no map of this name */
    MAP_RELAYERS,
    MAP_RELAY_CLIENT,
    MAP_RELAY_TO,
    MAP_ACCESS,
};

struct map_question {
    enum map_name map;
    const char *key; /* inside of the question, not NUL-terminated */
    size_t key_len;
};

/* Takes a question apart. False: it has no blank behind the name of a map, so it is none. */
bool map_answers_parse(const char *text, size_t len, struct map_question *question_out);

/* What the answers are made of. */
struct map_facts {
    struct ruleset *ruleset;
    const struct relay_lookup *relayers; /* may be NULL */
    const char *hostname;                /* of this host, where the configuration names none */
};

/* Is this one answered from memory? The others may wait for a file, or for a server. */
bool map_answers_at_once(const struct map_question *question, const struct relay_lookup *relayers);

/*
 * Appends the answer to `answer`. STATUS_TEMPFAIL: what it needed could not be read, which is to be logged, whatever the
 * answer is; STATUS_INVALID: there is no such map.
 */
enum status map_answers_find(const struct map_facts *facts, const struct map_question *question,
                             struct strbuf *answer);

#endif
