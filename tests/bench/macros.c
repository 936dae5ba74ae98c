/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/macros.h"

#include <stdio.h>
#include <string.h>

#define MTA_HOST "mx.local.example"

enum { MACRO_VALUE_SIZE = 1024, MACRO_NAME_SIZE = 64 };

const char *macro_default_list(enum mta mta, enum macro_stage stage)
{
    static const char *const lists[][MACRO_STAGES] = {
        [MTA_SENDMAIL] =
            {
                [MACRO_CONNECT] = "j, _, {daemon_name}, {if_name}, {if_addr}",
                [MACRO_HELO] =
                    "{tls_version}, {cipher}, {cipher_bits}, {cert_subject}, {cert_issuer}",
                [MACRO_MAIL] =
                    "i, {auth_type}, {auth_authen}, {auth_ssf}, {auth_author}, {mail_mailer}, "
                    "{mail_host}, {mail_addr}",
                [MACRO_RCPT] = "{rcpt_mailer}, {rcpt_host}, {rcpt_addr}",
                [MACRO_DATA] = "",
                [MACRO_EOM] = "{msg_id}",
                [MACRO_EOH] = "",
            },
        [MTA_POSTFIX] =
            {
                [MACRO_CONNECT] = "j {daemon_name} {daemon_addr} v _",
                [MACRO_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
                [MACRO_MAIL] =
                    "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
                [MACRO_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
                [MACRO_DATA] = "i",
                [MACRO_EOM] = "i",
                [MACRO_EOH] = "i",
            },
    };
    return lists[mta][stage];
}

static const char *domain_of(const char *address)
{
    const char *at = strrchr(address, '@');
    return at == NULL ? "" : at + 1;
}

static const char *tag_of(const struct facts_client *client)
{
    return client->ipv6 ? "IPv6:" : "";
}

static bool resolves(const struct facts_client *client)
{
    return strcmp(client->resolve, "OK") == 0;
}

/* Each function writes one macro's value; false: the MTA has none to send. */
typedef bool macro_value(const struct macro_view *view, char value[MACRO_VALUE_SIZE]);

static bool put(char value[MACRO_VALUE_SIZE], const char *text)
{
    snprintf(value, MACRO_VALUE_SIZE, "%s", text);
    return true;
}

static bool value_host(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    (void)view;
    return put(value, MTA_HOST);
}

static bool value_peer(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    const struct facts_client *client = view->client;
    const char *name = client->ptr[0] != '\0'     ? client->ptr
                       : view->mta == MTA_POSTFIX ? "unknown"
                                                  : "";
    snprintf(value, MACRO_VALUE_SIZE, "%s%s[%s%s]%s", name, name[0] == '\0' ? "" : " ",
             tag_of(client), client->addr,
             strcmp(client->resolve, "FORGED") == 0 ? " (may be forged)" : "");
    return true;
}

static bool value_version(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return put(value, view->mta == MTA_POSTFIX ? "Postfix 3.7.11" : "8.17.1.9");
}

static bool value_daemon_name(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return put(value, view->mta == MTA_POSTFIX ? MTA_HOST : "MTA");
}

static bool value_daemon_addr(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return put(value, view->mta == MTA_POSTFIX ? "192.0.2.25" : "0.0.0.0");
}

static bool value_daemon_port(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    (void)view;
    return put(value, "25");
}

static bool value_if_addr(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return view->mta == MTA_SENDMAIL && put(value, "192.0.2.25");
}

static bool value_if_name(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return view->mta == MTA_SENDMAIL && put(value, MTA_HOST);
}

static bool value_client_addr(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    snprintf(value, MACRO_VALUE_SIZE, "%s%s", tag_of(view->client), view->client->addr);
    return true;
}

static bool value_client_name(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    if (view->mta == MTA_POSTFIX && !resolves(view->client))
        return put(value, "unknown");
    return put(value, view->client->host);
}

static bool value_client_ptr(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    if (view->client->ptr[0] != '\0')
        return put(value, view->client->ptr);
    return put(value, view->mta == MTA_POSTFIX ? "unknown" : view->client->host);
}

static bool value_client_resolve(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return put(value, view->client->resolve);
}

static bool value_client_port(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    snprintf(value, MACRO_VALUE_SIZE, "%u", (unsigned)view->client->port);
    return true;
}

static bool value_client_connections(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    (void)view;
    return put(value, "1");
}

static bool value_queue_id(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return view->queue_id_known && put(value, view->message->queue_id);
}

static bool value_mail_mailer(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return put(value, view->mta == MTA_POSTFIX ? "smtp" : "esmtp");
}

static bool value_mail_host(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    const char *domain = domain_of(view->message->sender);
    snprintf(value, MACRO_VALUE_SIZE, "%s%s", domain,
             view->mta == MTA_SENDMAIL && domain[0] != '\0' ? "." : "");
    return true;
}

static bool value_mail_addr(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return put(value, view->message->sender);
}

static bool value_sender(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return view->mta == MTA_SENDMAIL && put(value, view->message->sender);
}

static bool value_rcpt_mailer(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    const char *remote = view->mta == MTA_POSTFIX ? "smtp" : "esmtp";
    return put(value, view->message->rcpt_local ? "local" : remote);
}

static bool value_rcpt_host(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    bool bare = view->mta == MTA_SENDMAIL && view->message->rcpt_local;
    return put(value, bare ? "" : domain_of(view->message->rcpt));
}

static bool value_rcpt_addr(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    const char *rcpt = view->message->rcpt;
    bool bare = view->mta == MTA_SENDMAIL && view->message->rcpt_local;
    snprintf(value, MACRO_VALUE_SIZE, "%.*s", bare ? (int)strcspn(rcpt, "@") : (int)strlen(rcpt),
             rcpt);
    return true;
}

static bool value_msg_id(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    if (view->mta == MTA_POSTFIX)
        return false;
    snprintf(value, MACRO_VALUE_SIZE, "<%s@" MTA_HOST ">", view->message->queue_id);
    return true;
}

static bool value_protocol(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return view->mta == MTA_SENDMAIL && put(value, "ESMTP");
}

static bool value_helo(const struct macro_view *view, char value[MACRO_VALUE_SIZE])
{
    return view->mta == MTA_SENDMAIL && put(value, view->client->helo);
}

/* Absent ones (no TLS, no AUTH) need no row: they have no value. */
static const struct macro_row {
    const char *name; /* without braces */
    macro_value *value;
} macro_rows[] = {
    {"j", value_host},
    {"_", value_peer},
    {"v", value_version},
    {"i", value_queue_id},
    {"f", value_sender},
    {"r", value_protocol},
    {"s", value_helo},
    {"daemon_name", value_daemon_name},
    {"daemon_addr", value_daemon_addr},
    {"daemon_port", value_daemon_port},
    {"if_addr", value_if_addr},
    {"if_name", value_if_name},
    {"client_addr", value_client_addr},
    {"client_name", value_client_name},
    {"client_ptr", value_client_ptr},
    {"client_resolve", value_client_resolve},
    {"client_port", value_client_port},
    {"client_connections", value_client_connections},
    {"mail_mailer", value_mail_mailer},
    {"mail_host", value_mail_host},
    {"mail_addr", value_mail_addr},
    {"rcpt_mailer", value_rcpt_mailer},
    {"rcpt_host", value_rcpt_host},
    {"rcpt_addr", value_rcpt_addr},
    {"msg_id", value_msg_id},
};

static macro_value *macro_find(const char *name)
{
    char bare[MACRO_NAME_SIZE];
    size_t len = strlen(name);
    bool braced = name[0] == '{' && len > 2 && name[len - 1] == '}';
    memcpy(bare, name + braced, len + 1 - braced);
    if (braced)
        bare[len - 2] = '\0';
    for (size_t i = 0; i < sizeof macro_rows / sizeof macro_rows[0]; i++)
        if (strcmp(macro_rows[i].name, bare) == 0)
            return macro_rows[i].value;
    return NULL;
}

unsigned macro_append(struct wire_buf *buf, const char *list, const struct macro_view *view)
{
    unsigned count = 0;
    char name[MACRO_NAME_SIZE];
    char value[MACRO_VALUE_SIZE];
    for (;;) {
        list += strspn(list, " ,\t");
        size_t len = strcspn(list, " ,\t");
        if (len == 0)
            return count;
        if (len < sizeof name) {
            memcpy(name, list, len);
            name[len] = '\0';
            macro_value *find = macro_find(name);
            if (find != NULL && find(view, value)) {
                wire_text(buf, name);
                wire_text(buf, value);
                count++;
            }
        }
        list += len;
    }
}
