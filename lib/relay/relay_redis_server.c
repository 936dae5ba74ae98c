/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_server.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_redis_command.h"
#include "lib/relay/relay_redis_password.h"
#include "lib/relay/relay_redis_tls.h"
#include "lib/relay/relay_redis_wait.h"

#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

struct relay_redis_server *relay_redis_server_new(const struct relay_redis_options *options,
                                                  struct strbuf *why)
{
    struct relay_redis_url url;
    const char *reason;

    if (!relay_redis_url_parse(options->url, &url, &reason)) {
        strbuf_appendf(why, "relay_store: redis_url: %s", reason);
        return NULL;
    }
    if (url.kind == RELAY_REDIS_TLS && !relay_redis_tls_is_built()) {
        strbuf_append(why, "relay_store: redis_url: this postern was built without TLS");
        return NULL;
    }
    struct relay_redis_server *server = xcalloc(1, sizeof(*server));

    server->url = url;
    server->name = xstrdup(options->url);
    server->password_file = xstrdup(options->password_file);
    server->ca_file = xstrdup(options->ca_file);
    server->prefix = xstrdup(options->key_prefix);
    server->timeout_ms = options->timeout_ms;
    return server;
}

void relay_redis_server_free(struct relay_redis_server **server)
{
    if (*server != NULL) {
        free((*server)->name);
        free((*server)->password_file);
        free((*server)->ca_file);
        free((*server)->prefix);
        free(*server);
        *server = NULL;
    }
}

int64_t relay_redis_server_deadline(const struct relay_redis_server *server)
{
    return relay_redis_now() + (int64_t)server->timeout_ms;
}

/* ---- errors ---- */

/* Servers before version 7 put the error of a command in a script behind a text of their own. */
static bool has_word(const char *error, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = strstr(error, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == error || at[-1] == '-') && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

bool relay_redis_server_is_lost(const char *error)
{
    static const char *const words[] = {
        "LOADING",     "READONLY", "NOAUTH", "WRONGPASS", "MASTERDOWN", "BUSY",
        "CLUSTERDOWN", "MOVED",    "ASK",    "CROSSSLOT", "NOPERM",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (has_word(error, words[i])) {
            return true;
        }
    }
    return false;
}

void relay_redis_server_explain(const char *error, struct strbuf *why)
{
    static const struct {
        const char *word;
        const char *advice;
    } advices[] = {
        {"NOAUTH", "name a redis_password_file"},
        {"WRONGPASS", "see redis_password_file and the user of redis_url"},
        {"NOPERM", "postern(8) says what the user must be allowed"},
        {"READONLY", "redis_url must name the master"},
        {"MOVED", "a Redis cluster cannot be used"},
        {"CROSSSLOT", "a Redis cluster cannot be used"},
    };

    strbuf_appendf(why, "it answers: %s", error);
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        if (has_word(error, advices[i].word)) {
            strbuf_appendf(why, " (%s)", advices[i].advice);
            return;
        }
    }
}

/* ---- connections ---- */

const struct relay_redis_reply *relay_redis_server_ask(struct relay_redis_link *link,
                                                       const struct strbuf *command,
                                                       int64_t deadline_ms, struct strbuf *why)
{
    if (!relay_redis_link_send(link, command, deadline_ms, why)) {
        return NULL;
    }
    const struct relay_redis_reply *reply = relay_redis_link_receive(link, deadline_ms, why);

    if (reply != NULL && reply->kind == RELAY_REDIS_ERROR) {
        relay_redis_server_explain(reply->text, why);
        return NULL;
    }
    return reply;
}

static bool authenticate(const struct relay_redis_server *server, struct relay_redis_link *link,
                         int64_t deadline_ms, struct strbuf *why)
{
    bool has_user = server->url.user[0] != '\0';
    struct strbuf password;

    strbuf_init(&password);
    bool done = relay_redis_password_read(server->password_file, &password, why);

    if (done) {
        struct strbuf *command = relay_redis_link_command(link);

        relay_redis_command_begin(command, has_user ? 3 : 2);
        relay_redis_command_text(command, "AUTH");
        if (has_user) {
            relay_redis_command_text(command, server->url.user);
        }
        relay_redis_command_add(command, password.data, password.len);
        done = relay_redis_server_ask(link, command, deadline_ms, why) != NULL;
        relay_redis_password_erase(command);
    }
    relay_redis_password_erase(&password);
    strbuf_fini(&password);
    return done;
}

static bool choose_database(const struct relay_redis_server *server, struct relay_redis_link *link,
                            int64_t deadline_ms, struct strbuf *why)
{
    struct strbuf *command = relay_redis_link_command(link);

    relay_redis_command_begin(command, 2);
    relay_redis_command_text(command, "SELECT");
    relay_redis_command_number(command, server->url.db);
    return relay_redis_server_ask(link, command, deadline_ms, why) != NULL;
}

struct relay_redis_link *relay_redis_server_connect(const struct relay_redis_server *server,
                                                    int64_t deadline_ms, struct strbuf *why)
{
    struct relay_redis_link *link = relay_redis_link_open(&server->url, server->ca_file,
                                                          deadline_ms, why);

    if (link != NULL &&
        ((*server->password_file != '\0' && !authenticate(server, link, deadline_ms, why)) ||
         (server->url.db != 0 && !choose_database(server, link, deadline_ms, why)))) {
        relay_redis_link_close(&link);
    }
    return link;
}
