/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/mfi_libmilter.h"
#include "lib/mail/reply.h"
#include "milter/nudge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A burst of clients must not meet a full queue; the kernel cuts this to its own limit. */
#define LISTEN_BACKLOG 4096

#define EDIT_HEADERS ((unsigned long)(SMFIF_ADDHDRS | SMFIF_CHGHDRS))

/* All that can be negotiated. */
#define ACTIONS (SMFIF_QUARANTINE | SMFIF_DELRCPT | SMFIF_ADDRCPT | EDIT_HEADERS | SMFIF_SETSYMLIST)

/* libmilter has one filter per process and hands no pointer of the filter to its first callback. */
static const struct mfi_filter *filter;
static void *owner;

static char listens_on[256];
static struct nudge *nudge;

static atomic_bool signal_thread_parked;

struct connection {
    struct mfi mfi; /* first: ops get a pointer to it */
    SMFICTX *ctx;
    unsigned waits; /* the ticket, while it does */
};

/* ---- signals ---- */

/*
 * libmilter starts a thread that waits in sigwait(3) for SIGHUP, SIGTERM and SIGINT and takes each of them as the order to
 * stop. SIGHUP has to mean "reload", and two threads that wait for one signal get it by chance. This function takes the
 * place of the C library's for libmilter (a program's symbols come before those of its libraries) and never returns, so
 * that the main thread, which uses signalfd(2), is the only one to see a signal.
 */
int sigwait(const sigset_t *restrict set, int *restrict sig)
{
    (void)set;
    (void)sig;
    atomic_store(&signal_thread_parked, true);
    for (;;) {
        (void)pause();
    }
}

bool mfi_libmilter_owns_no_signals(void)
{
    return atomic_load(&signal_thread_parked);
}

/* ---- what the filter asks for ---- */

static const char *op_macro(struct mfi *mfi, const char *name)
{
    char copy[64]; /* libmilter takes it as not const, and does not keep it */

    if (strlen(name) >= sizeof(copy)) {
        return NULL;
    }
    (void)memcpy(copy, name, strlen(name) + 1);
    return smfi_getsymval(((struct connection *)mfi)->ctx, copy);
}

/*
 * libmilter passes the text on as it is, but Sendmail uses it as a format and Postfix takes the percent signs out that are not
 * doubled: both turn "%%" into "%". Whatever could end the line or be lost becomes harmless.
 */
static void escape_text(const char *text, char *out, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; text[i] != '\0' && i < REPLY_MAX_TEXT && used + 3 < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '%') {
            out[used++] = '%';
        }
        out[used++] = c < ' ' || c == 0x7f ? ' ' : c > 0x7f ? '?' : (char)c;
    }
    out[used] = '\0';
}

static bool op_set_reply(struct mfi *mfi, const struct reply *reply)
{
    char code[4];
    char dsn[REPLY_DSN_SIZE];
    char text[2 * REPLY_MAX_TEXT + 4];

    if (reply->code < 400 || reply->code > 599) {
        return false;
    }
    (void)snprintf(code, sizeof(code), "%d", reply->code);
    (void)snprintf(dsn, sizeof(dsn), "%s", reply->dsn);
    escape_text(reply->text != NULL ? reply->text : "", text, sizeof(text));
    return smfi_setreply(((struct connection *)mfi)->ctx, code, dsn[0] != '\0' ? dsn : NULL,
                         text) == MI_SUCCESS;
}

static bool op_quarantine(struct mfi *mfi, const char *reason)
{
    char line[REPLY_MAX_TEXT + 1];
    size_t len = strnlen(reason, sizeof(line) - 1);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)reason[i];

        line[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    line[len] = '\0';
    return smfi_quarantine(((struct connection *)mfi)->ctx, line) == MI_SUCCESS;
}

static bool op_drop(struct mfi *mfi, const char *recipient)
{
    char *copy = strdup(recipient); /* libmilter takes it as not const, and does not keep it */
    bool done = copy != NULL && smfi_delrcpt(((struct connection *)mfi)->ctx, copy) == MI_SUCCESS;

    free(copy);
    return done;
}

static bool op_add_recipient(struct mfi *mfi, const char *recipient)
{
    size_t size = strlen(recipient) + sizeof("<>");
    char *copy = malloc(size); /* libmilter takes it as not const, and does not keep it */
    bool done = false;

    if (copy != NULL) {
        (void)snprintf(copy, size, "<%s>", recipient);
        done = smfi_addrcpt(((struct connection *)mfi)->ctx, copy) == MI_SUCCESS;
    }
    free(copy);
    return done;
}

static bool op_change_header(struct mfi *mfi, const char *name, unsigned occurrence,
                             const char *value)
{
    char *name_copy = strdup(name);
    char *value_copy = value != NULL ? strdup(value) : NULL;
    bool done = name_copy != NULL && (value == NULL || value_copy != NULL) &&
                smfi_chgheader(((struct connection *)mfi)->ctx, name_copy, (int)occurrence,
                               value_copy) == MI_SUCCESS;

    free(name_copy);
    free(value_copy);
    return done;
}

static bool op_insert_header(struct mfi *mfi, unsigned index, const char *name, const char *value)
{
    char *name_copy = strdup(name);
    char *value_copy = strdup(value);
    bool done = name_copy != NULL && value_copy != NULL &&
                smfi_insheader(((struct connection *)mfi)->ctx, (int)index, name_copy,
                               value_copy) == MI_SUCCESS;

    free(name_copy);
    free(value_copy);
    return done;
}

static void op_waits(struct mfi *mfi, bool begins)
{
    struct connection *connection = (struct connection *)mfi;

    if (begins) {
        connection->waits = nudge_begin(nudge);
    } else {
        nudge_end(nudge, connection->waits);
    }
}

static const struct mfi_ops libmilter_ops = {
    .macro = op_macro,
    .set_reply = op_set_reply,
    .quarantine = op_quarantine,
    .drop = op_drop,
    .add_recipient = op_add_recipient,
    .change_header = op_change_header,
    .insert_header = op_insert_header,
    .waits = op_waits,
};

/* ---- callbacks: libmilter -> filter ---- */

static struct connection begin(SMFICTX *ctx)
{
    return (struct connection){.mfi = {&libmilter_ops, smfi_getpriv(ctx)}, .ctx = ctx};
}

/* Keeps the filter's state; libmilter answers what the filter said. */
static sfsistat end(struct connection *connection, enum mfi_answer answer)
{
    (void)smfi_setpriv(connection->ctx, connection->mfi.state);
    switch (answer) {
    case MFI_CONTINUE:
        return SMFIS_CONTINUE;
    case MFI_REJECT:
        return SMFIS_REJECT;
    case MFI_DISCARD:
        return SMFIS_DISCARD;
    case MFI_NOREPLY:
        return SMFIS_NOREPLY;
    case MFI_TEMPFAIL:
        break;
    }
    return SMFIS_TEMPFAIL;
}

static const struct {
    unsigned step;
    unsigned long no_step; /* the MTA does not send it; 0: cannot be switched off */
    unsigned long no_reply;
} steps[] = {
    {MFI_STEP_CONNECT, SMFIP_NOCONNECT, SMFIP_NR_CONN},
    {MFI_STEP_HELO, SMFIP_NOHELO, SMFIP_NR_HELO},
    {MFI_STEP_MAIL, SMFIP_NOMAIL, SMFIP_NR_MAIL},
    {MFI_STEP_RCPT, SMFIP_NORCPT, SMFIP_NR_RCPT},
    {MFI_STEP_DATA, SMFIP_NODATA, SMFIP_NR_DATA},
    {MFI_STEP_HEADER, SMFIP_NOHDRS, SMFIP_NR_HDR},
    {MFI_STEP_EOH, SMFIP_NOEOH, SMFIP_NR_EOH},
    {MFI_STEP_BODY, SMFIP_NOBODY, SMFIP_NR_BODY},
    {MFI_STEP_UNKNOWN, SMFIP_NOUNKNOWN, SMFIP_NR_UNKN},
};

static const int macro_stages[MFI_MACROS_COUNT] = {
    [MFI_MACROS_CONNECT] = SMFIM_CONNECT, [MFI_MACROS_HELO] = SMFIM_HELO,
    [MFI_MACROS_MAIL] = SMFIM_ENVFROM,    [MFI_MACROS_RCPT] = SMFIM_ENVRCPT,
    [MFI_MACROS_DATA] = SMFIM_DATA,       [MFI_MACROS_EOH] = SMFIM_EOH,
    [MFI_MACROS_EOM] = SMFIM_EOM,
};

/* libmilter copies the lists, although it does not take them as const. */
static bool choose_macros(SMFICTX *ctx, const struct mfi_request *request)
{
    for (int i = 0; i < MFI_MACROS_COUNT; i++) {
        char list[256];
        size_t size = request->macros[i] != NULL ? strlen(request->macros[i]) + 1 : 0;

        if (size == 0) {
            continue;
        }
        if (size > sizeof(list)) {
            return false;
        }
        (void)memcpy(list, request->macros[i], size);
        if (smfi_setsymlist(ctx, macro_stages[i], list) != MI_SUCCESS) {
            return false;
        }
    }
    return true;
}

static unsigned long requested_actions(const struct mfi_request *request)
{
    return (request->quarantine ? SMFIF_QUARANTINE : 0) | (request->drop ? SMFIF_DELRCPT : 0) |
           (request->add_recipients ? SMFIF_ADDRCPT : 0) |
           (request->edit_headers ? EDIT_HEADERS : 0);
}

static sfsistat cb_negotiate(SMFICTX *ctx, unsigned long mta_actions, unsigned long mta_steps,
                             unsigned long unused2, unsigned long unused3, unsigned long *actions,
                             unsigned long *step_flags, unsigned long *out2, unsigned long *out3)
{
    (void)unused2;
    (void)unused3;
    struct connection connection = begin(ctx);
    struct mfi_request request = {0};
    struct mfi_offer offer = {
        .quarantine = (mta_actions & SMFIF_QUARANTINE) != 0,
        .drop = (mta_actions & SMFIF_DELRCPT) != 0,
        .add_recipients = (mta_actions & SMFIF_ADDRCPT) != 0,
        .edit_headers = (mta_actions & EDIT_HEADERS) == EDIT_HEADERS,
        .leading_blank = (mta_steps & SMFIP_HDR_LEADSPC) != 0,
        .choose_macros = (mta_actions & SMFIF_SETSYMLIST) != 0,
    };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        offer.silent |= (mta_steps & steps[i].no_reply) != 0 ? steps[i].step : 0;
    }
    bool agreed = filter->negotiate(owner, &connection.mfi, &offer, &request);
    (void)smfi_setpriv(ctx, connection.mfi.state);
    if (!agreed || (offer.choose_macros && !choose_macros(ctx, &request))) {
        return SMFIS_REJECT; /* libmilter then drops the connection */
    }
    *actions = requested_actions(&request) | (offer.choose_macros ? SMFIF_SETSYMLIST : 0);
    *step_flags = request.leading_blank ? SMFIP_HDR_LEADSPC : 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if ((request.steps & steps[i].step) == 0) {
            *step_flags |= steps[i].no_step & mta_steps;
        } else if ((request.silent & steps[i].step) != 0) {
            *step_flags |= steps[i].no_reply;
        }
    }
    *out2 = *out3 = 0;
    return SMFIS_CONTINUE;
}

static sfsistat cb_connect(SMFICTX *ctx, char *hostname, _SOCK_ADDR *address)
{
    struct connection connection = begin(ctx);
    char text[INET6_ADDRSTRLEN];
    const char *ip = NULL;

    if (address != NULL && address->sa_family == AF_INET) {
        ip = inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)address)->sin_addr, text,
                       sizeof(text));
    } else if (address != NULL && address->sa_family == AF_INET6) {
        ip = inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)address)->sin6_addr, text,
                       sizeof(text));
    }
    return end(&connection, filter->connect(owner, &connection.mfi, hostname, ip));
}

static sfsistat cb_helo(SMFICTX *ctx, char *name)
{
    struct connection connection = begin(ctx);

    return end(&connection, filter->helo(owner, &connection.mfi, name));
}

static sfsistat cb_mail(SMFICTX *ctx, char **args)
{
    struct connection connection = begin(ctx);

    return end(&connection, filter->mail(owner, &connection.mfi, args));
}

static sfsistat cb_rcpt(SMFICTX *ctx, char **args)
{
    struct connection connection = begin(ctx);

    return end(&connection, filter->rcpt(owner, &connection.mfi, args));
}

static sfsistat cb_header(SMFICTX *ctx, char *name, char *value)
{
    struct connection connection = begin(ctx);

    return end(&connection, filter->header(owner, &connection.mfi, name, value));
}

static sfsistat cb_eoh(SMFICTX *ctx)
{
    struct connection connection = begin(ctx);

    return end(&connection, filter->eoh(owner, &connection.mfi));
}

static sfsistat cb_body(SMFICTX *ctx, unsigned char *chunk, size_t len)
{
    struct connection connection = begin(ctx);

    return end(&connection, filter->body(owner, &connection.mfi, chunk, len));
}

static sfsistat cb_eom(SMFICTX *ctx)
{
    struct connection connection = begin(ctx);

    return end(&connection, filter->eom(owner, &connection.mfi));
}

static sfsistat cb_abort(SMFICTX *ctx)
{
    struct connection connection = begin(ctx);

    filter->abort(owner, &connection.mfi);
    return end(&connection, MFI_CONTINUE);
}

static sfsistat cb_close(SMFICTX *ctx)
{
    struct connection connection = begin(ctx);

    filter->close(owner, &connection.mfi);
    return end(&connection, MFI_CONTINUE);
}

/* ---- start ---- */

bool mfi_libmilter_init(const char *name, const struct mfi_filter *the_filter, void *the_owner)
{
    char copy[64];
    struct smfiDesc description = {
        .xxfi_name = copy,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = ACTIONS,
        .xxfi_connect = cb_connect,
        .xxfi_helo = cb_helo,
        .xxfi_envfrom = cb_mail,
        .xxfi_envrcpt = cb_rcpt,
        .xxfi_header = cb_header,
        .xxfi_eoh = cb_eoh,
        .xxfi_body = cb_body,
        .xxfi_eom = cb_eom,
        .xxfi_abort = cb_abort,
        .xxfi_close = cb_close,
        .xxfi_negotiate = cb_negotiate,
    };

    (void)snprintf(copy, sizeof(copy), "%s", name);
    filter = the_filter;
    owner = the_owner;
    return smfi_register(description) == MI_SUCCESS;
}

bool mfi_libmilter_listen(const char *listen)
{
    int len = snprintf(listens_on, sizeof(listens_on), "%s", listen);

    errno = 0;
    return len > 0 && (size_t)len < sizeof(listens_on) && smfi_setconn(listens_on) == MI_SUCCESS &&
           smfi_setbacklog(LISTEN_BACKLOG) == MI_SUCCESS && smfi_opensocket(false) == MI_SUCCESS;
}

void mfi_libmilter_run(void)
{
    nudge = nudge_start(listens_on);
    (void)smfi_main();
}

const char *mfi_libmilter_version(char *buf, unsigned long size)
{
    unsigned major = 0;
    unsigned minor = 0;
    unsigned patch = 0;

    (void)smfi_version(&major, &minor, &patch);
    (void)snprintf(buf, size, "%u.%u.%u", major, minor, patch);
    return buf;
}
