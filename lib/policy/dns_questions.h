/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_questions - what one session has asked of DNS.
 *
 * Asked early, awaited late: dns_questions_expect() puts a question when its facts are known; dns_questions_ask() says what was
 * answered, or that the stage has to return VERDICT_WAIT and be called again. Only dns_questions_wait() waits; it is called between
 * stages by who runs them. A question is awaited until dns.timeout_ms after it was put, and all
 * waits of a session together take no longer than that, after which what is not answered counts as a temporary
 * failure: the time is given back at the next message if nothing was in vain, or half a minute later.
 */
#ifndef POSTERN_LIB_POLICY_DNS_QUESTIONS_H
#define POSTERN_LIB_POLICY_DNS_QUESTIONS_H

#include "lib/dns/dns_answer.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

/* How long a question is kept. */
enum dns_span {
    DNS_SPAN_CONNECTION,
    DNS_SPAN_HELO, /* of the last name given */
    DNS_SPAN_MESSAGE,
    DNS_SPAN_RECIPIENT,
    DNS_SPANS,
};

/* Can this session ask anything? */
bool dns_questions_possible(const struct session *session);

/* Puts a question, unless the session has put it already, or can ask none. Returns what is answered; NULL: nothing yet. */
const struct dns_result *dns_questions_expect(struct session *session, enum dns_span span,
                                              const char *name, enum dns_type type);

/*
 * Puts several questions together, which costs far less; the names are normalized, NULLs among them are skipped. `send` false: only those whose
 * answer is known already, or on its way. Returns how many are left for which something would have to be sent; 0 if none, or if the
 * session can ask none.
 */
size_t dns_questions_expect_all(struct session *session, enum dns_span span,
                                const char *const *names, size_t count, enum dns_type type,
                                bool send);

/* Is the answer known (the name is normalized)? Sends nothing. */
bool dns_questions_is_answered(struct session *session, enum dns_span span, const char *name,
                               enum dns_type type);

/*
 * What is answered to a question, which is put if it was not before. NULL: it is not there yet; return VERDICT_WAIT. Otherwise it is
 * final, and a temporary failure if there was no more time.
 */
const struct dns_result *dns_questions_ask(struct session *session, enum dns_span span,
                                           const char *name, enum dns_type type);

/* Who may ask for news, each with a number of his own below this. */
#define DNS_QUESTIONS_LISTENERS 64u

/*
 * True once for each question that the session has put and each `listener`, for who counts. *latency_us_out: how long its answer took
 * if it was asked of a server for this session; else 0.
 */
bool dns_questions_is_news(struct session *session, const char *name, enum dns_type type,
                           size_t listener, uint64_t *latency_us_out);

/* Waits for what the last stage wanted. To be called after VERDICT_WAIT, before the same stage is called again. */
void dns_questions_wait(struct session *session);

/* Forgets the questions of this span and of those that are shorter. For a new message those that are kept and failed are put again. */
void dns_questions_forget(struct session *session, enum dns_span span);

#endif
