/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The macros an MTA would send: default lists and values of Sendmail 8.17 and of Postfix 3.7. */
#ifndef TESTS_BENCH_MACROS_H
#define TESTS_BENCH_MACROS_H

#include "tests/bench/facts.h"
#include "tests/bench/wire.h"

enum mta { MTA_SENDMAIL, MTA_POSTFIX };

/* SMFIM_* of the protocol. */
enum macro_stage {
    MACRO_CONNECT,
    MACRO_HELO,
    MACRO_MAIL,
    MACRO_RCPT,
    MACRO_DATA,
    MACRO_EOM,
    MACRO_EOH,
    MACRO_STAGES
};

struct macro_view {
    enum mta mta;
    const struct facts_client *client;
    const struct facts_message *message;
    bool queue_id_known; /* Postfix has none before a recipient was accepted */
};

/* The names the MTA sends unless the filter asks for others; blanks or commas between them, maybe empty. */
const char *macro_default_list(enum mta mta, enum macro_stage stage);

/* Appends "name NUL value NUL" for each name that has a value; returns their number. */
unsigned macro_append(struct wire_buf *buf, const char *list, const struct macro_view *view);

#endif
