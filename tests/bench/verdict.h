/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an answer of the filter means for its session, and whether it is the expected one. */
#ifndef TESTS_BENCH_VERDICT_H
#define TESTS_BENCH_VERDICT_H

#include "tests/bench/session.h"

/* Takes one packet of the filter. NULL, or what is wrong with it. */
const char *verdict_take(struct session_world *world, struct session *session,
                         const struct wire_packet *packet);

/* What follows from an answer; session.c has them. */
void verdict_advance(struct session_world *world, struct session *session);
void verdict_end_message(struct session_world *world, struct session *session, bool refused);
void verdict_end_session(struct session_world *world, struct session *session, bool refused);

#endif
