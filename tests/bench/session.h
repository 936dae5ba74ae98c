/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection from MTA to filter: what to send next, and whether an answer is the right one.
 *
 * It behaves as Sendmail's sendmail/milter.c or Postfix's src/milter/milter8.c: all steps and actions are offered, steps that
 * the filter turned off are not sent, steps that it will not answer are not waited for, and macros are sent as each of them does
 * (Postfix also for steps that are turned off).
 */
#ifndef TESTS_BENCH_SESSION_H
#define TESTS_BENCH_SESSION_H

#include "tests/bench/macros.h"
#include "tests/bench/stats.h"

struct session_options {
    struct facts_options facts;
    enum mta mta;
    const char *socket;
    unsigned messages;  /* in one session */
    bool continue_only; /* anything but CONTINUE is an error */
    uint64_t think_ns;  /* what client and network take before each command of the envelope */
};

/* What the loop keeps for all sessions. */
struct session_world {
    const struct session_options *options;
    struct stats *stats;
    bool finishing;     /* no session begins another message */
    bool recording;     /* the counters count */
    uint64_t completed; /* messages, whether recorded or not */
    uint64_t now_ns;
};

enum session_state {
    SESSION_BUSY,     /* waits for an answer */
    SESSION_THINKING, /* has its answer, but the client is not ready */
    SESSION_BETWEEN,  /* may begin a message when the loop says so */
    SESSION_CLOSING,  /* QUIT is sent, the filter should close */
    SESSION_OVER      /* to be freed */
};

struct session {
    int fd;
    uint64_t number;
    enum session_state state;
    enum stage stage; /* the answer that is awaited, or the step to take next */
    bool in_message;  /* the filter has taken MAIL and has not had the last word yet */
    bool mail_sent;   /* since the last ABORT */
    bool skipping;    /* SKIP was answered: no more of this stage */
    uint32_t actions; /* what the filter asked for */
    uint32_t steps;
    char *macro_list[MACRO_STAGES]; /* NULL: the MTA's own */
    struct facts_source source;
    struct facts_client client;
    struct facts_message message;
    unsigned messages_left;
    unsigned index; /* of the recipient or header to send next */
    unsigned rcpts_taken;
    size_t body_left;
    const char *hold; /* the answer that a key wants at end of message: "discard" or "quarantine" */
    bool unchecked;   /* a fact of this message came without a wanted answer */
    bool quarantined;
    uint64_t sent_ns;
    uint64_t message_ns;
    uint64_t progress_ns; /* when something last went well, for the timeout */
    struct wire_buf out;
    struct wire_buf in;
    bool scheduled;       /* the loop's: a timer points here, */
    bool replaced;        /* another session has taken this one's place, */
    bool awaits_write;    /* and the socket was full */
    struct session *prev; /* in the list of all */
    struct session *next;
};

/* Opens the connection and sends the offer. NULL after stats_error() when that fails. */
struct session *session_open(struct session_world *world, uint64_t number);
void session_free(struct session *session);

/* Begins the next message of a session that is between two. */
void session_begin_message(struct session_world *world, struct session *session);

/* The client of a thinking session goes on; one that is between two messages leaves. */
void session_resume(struct session_world *world, struct session *session);
void session_leave(struct session_world *world, struct session *session);

/* The socket can be read or written. */
void session_readable(struct session_world *world, struct session *session);
void session_flush(struct session_world *world, struct session *session);

bool session_has_output(const struct session *session);

/* No answer for too long. */
void session_timeout(struct session_world *world, struct session *session);

#endif
