/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_tls.h"

#include "lib/base/xalloc.h"
#include "lib/mail/netaddr.h"
#include "lib/relay/relay_redis_wait.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ERROR_SIZE 256
#define NAME_SIZE 200

struct relay_redis_tls {
    SSL *ssl;
};

bool relay_redis_tls_is_built(void)
{
    return true;
}

/* What OpenSSL has to say of the last failure; its queue is empty then. */
static void append_error(struct strbuf *why, const char *otherwise)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    char text[ERROR_SIZE];

    ERR_error_string_n(code, text, sizeof(text)); /* which names the reason by its number, too */
    strbuf_append(why, code == 0 ? otherwise : reason != NULL ? reason : text);
    ERR_clear_error();
}

/* ---- the greeting ---- */

static bool trust(SSL_CTX *context, const char *ca_file, struct strbuf *why)
{
    bool done = *ca_file == '\0' ? SSL_CTX_set_default_verify_paths(context) == 1
                                 : SSL_CTX_load_verify_file(context, ca_file) == 1;

    if (!done) {
        strbuf_appendf(why, "TLS: the certificates of %s cannot be read: ",
                       *ca_file == '\0' ? "the system" : ca_file);
        if (*ca_file != '\0' && access(ca_file, R_OK) != 0) {
            strbuf_append(why, strerror(errno));
            ERR_clear_error();
        } else {
            append_error(why, "no reason is known");
        }
    }
    return done;
}

bool relay_redis_tls_check(const char *ca_file, struct strbuf *why)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool done = context != NULL && trust(context, ca_file, why);

    SSL_CTX_free(context);
    return done;
}

/* What a fault of a certificate asks of whoever runs postern. */
static const char *advice_for(int fault)
{
    switch (fault) {
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return "redis_url must have the host as the certificate names it";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "redis_ca_file does not have it";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        return "redis_ca_file does not have the authority that it is from";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "renew it, or set the clock";
    default:
        return NULL;
    }
}

/*
 * OpenSSL asks for each certificate of the chain: tells the text behind the session, while there is one, which of them is wrong. An
 * authority that has expired is not to be taken for the server's own certificate.
 */
static int judge(int is_good, X509_STORE_CTX *chain)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct strbuf *why = SSL_get_app_data(ssl);
    const X509 *cert = X509_STORE_CTX_get_current_cert(chain);
    int fault = X509_STORE_CTX_get_error(chain);
    bool is_servers = X509_STORE_CTX_get_error_depth(chain) == 0;
    const char *advice = advice_for(fault);
    char name[NAME_SIZE] = "";

    if (is_good == 1 || why == NULL) {
        return is_good;
    }
    if (cert != NULL) {
        (void)X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof(name));
    }
    strbuf_appendf(why, "TLS: the certificate of %s, %s: %s",
                   is_servers ? "the server" : "an authority", name,
                   X509_verify_cert_error_string(fault));
    if (advice != NULL) {
        strbuf_appendf(why, " (%s)", advice);
    }
    return is_good;
}

/* The certificate must be this host's, and not just anybody's whom the same authority knows. */
static bool demand_host(SSL *ssl, const char *host)
{
    struct netaddr addr;

    SSL_set_verify(ssl, SSL_VERIFY_PEER, judge);
    if (netaddr_parse(host, &addr)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *new_ssl(int fd, const char *host, const char *ca_file, struct strbuf *why)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;

    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        append_error(why, "TLS: no context");
    } else if (trust(context, ca_file, why)) {
        ssl = SSL_new(context);
        if (ssl == NULL || !demand_host(ssl, host) || SSL_set_fd(ssl, fd) != 1) {
            append_error(why, "TLS: no session");
            SSL_free(ssl);
            ssl = NULL;
        }
    }
    SSL_CTX_free(context); /* the session has a reference of its own */
    if (ssl != NULL) {
        (void)SSL_set_mode(ssl,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    return ssl;
}

static void explain_greeting(const SSL *ssl, struct strbuf *why)
{
    if (SSL_get_verify_result(ssl) != X509_V_OK) {
        ERR_clear_error(); /* judge() has told */
    } else {
        strbuf_append(why, "TLS: ");
        append_error(why, "the server ended the connection");
    }
}

/* The events that the last result waits for; 0: it has failed. */
static short events_of(const SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return POLLIN;
    case SSL_ERROR_WANT_WRITE:
        return POLLOUT;
    default:
        return 0;
    }
}

/*
 * OpenSSL writes with write(): a server that has gone would end a program that has not asked to be spared. The signal goes to the thread that
 * writes, so it is held back there and taken.
 */
struct quiet {
    sigset_t pipe;
    sigset_t before;
    bool was_pending;
};

static void begin_quiet(struct quiet *quiet)
{
    sigset_t pending;

    (void)sigemptyset(&quiet->pipe);
    (void)sigaddset(&quiet->pipe, SIGPIPE);
    (void)sigpending(&pending);
    quiet->was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &quiet->pipe, &quiet->before);
}

static void end_quiet(const struct quiet *quiet)
{
    const struct timespec none = {0};
    int error = errno;

    if (!quiet->was_pending) {
        (void)sigtimedwait(&quiet->pipe, NULL, &none);
    }
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = error;
}

static bool greet(SSL *ssl, int fd, int64_t deadline_ms, struct strbuf *why)
{
    for (;;) {
        struct quiet quiet;

        ERR_clear_error();
        begin_quiet(&quiet);
        int result = SSL_connect(ssl);

        end_quiet(&quiet);
        if (result == 1) {
            return true;
        }
        short events = events_of(ssl, result);

        if (events == 0) {
            explain_greeting(ssl, why);
            return false;
        }
        if (!relay_redis_wait(fd, events, deadline_ms)) {
            strbuf_append(why, "TLS: the server did not answer in time (does its port speak TLS?)");
            return false;
        }
    }
}

struct relay_redis_tls *relay_redis_tls_new(int fd, const char *host, const char *ca_file,
                                            int64_t deadline_ms, struct strbuf *why)
{
    SSL *ssl = new_ssl(fd, host, ca_file, why);

    if (ssl == NULL) {
        return NULL;
    }
    SSL_set_app_data(ssl, why);
    bool greeted = greet(ssl, fd, deadline_ms, why);

    SSL_set_app_data(ssl, NULL); /* the text is the caller's */
    if (!greeted) {
        SSL_free(ssl);
        return NULL;
    }
    struct relay_redis_tls *tls = xcalloc(1, sizeof(*tls));

    tls->ssl = ssl;
    return tls;
}

void relay_redis_tls_free(struct relay_redis_tls **tls)
{
    if (*tls != NULL) {
        SSL_free((*tls)->ssl);
        free(*tls);
        *tls = NULL;
    }
}

/* ---- bytes ---- */

/* 0: the end; -1: errno says what. */
static ssize_t result_of(SSL *ssl, int result, short *events_out)
{
    *events_out = events_of(ssl, result);
    if (*events_out != 0) {
        errno = EAGAIN;
        return -1;
    }
    if (SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN) {
        return 0;
    }
    ERR_clear_error();
    errno = ECONNRESET;
    return -1;
}

static int clipped(size_t size)
{
    return size > INT_MAX ? INT_MAX : (int)size;
}

ssize_t relay_redis_tls_read(struct relay_redis_tls *tls, char *buf, size_t size, short *events_out)
{
    struct quiet quiet;

    ERR_clear_error();
    begin_quiet(&quiet); /* a read may write: TLS has messages of its own */
    int result = SSL_read(tls->ssl, buf, clipped(size));

    end_quiet(&quiet);
    return result > 0 ? result : result_of(tls->ssl, result, events_out);
}

ssize_t relay_redis_tls_write(struct relay_redis_tls *tls, const char *buf, size_t len,
                              short *events_out)
{
    struct quiet quiet;

    ERR_clear_error();
    begin_quiet(&quiet);
    int result = SSL_write(tls->ssl, buf, clipped(len));

    end_quiet(&quiet);
    return result > 0 ? result : result_of(tls->ssl, result, events_out);
}
