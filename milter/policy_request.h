/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * policy_request - a question of Postfix's policy delegation: lines `name=value`, then an empty one (SMTPD_POLICY_README).
 *
 * No I/O, safe for threads.
 */
#ifndef POSTERN_MILTER_POLICY_REQUEST_H
#define POSTERN_MILTER_POLICY_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* The longest request, in bytes: Postfix sends some forty lines, of which few can be long. */
#define POLICY_REQUEST_MAX 16384u

/* What is asked about; "" where it was not said. */
struct policy_request {
    const char *request;        /* "smtpd_access_policy" */
    const char *protocol_state; /* "RCPT" */
    const char *client_address;
    const char *client_name; /* "unknown": it has none that leads back */
    const char *reverse_client_name;
    const char *server_address;
    const char *sender; /* without brackets and quotes, as is the recipient */
    const char *recipient;
    const char *sasl_method;
    const char *sasl_username;
    const char *ccert_subject; /* common names, of a certificate that Postfix trusts; decoded */
    const char *ccert_issuer;
    const char *instance;       /* the same for all questions about one message */
    const char *policy_context; /* what check_policy_service in main.cf or master.cf says */
};

/* The length of the request that `data` begins with, its empty line too; 0: it goes on. */
size_t policy_request_length(const char *data, size_t len);

/*
 * Reads the `len` bytes of a request and a NUL byte behind them, in place: the members point into it. Names that are not known are
 * skipped. False, and *why_out says it, if it is not to be understood: a line without '=', a NUL byte, an attribute
 * that is there twice.
 */
bool policy_request_parse(char *text, size_t len, struct policy_request *out, const char **why_out);

#endif
