/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/pop_check.h"

#include "lib/policy/relay_limits.h"
#include "lib/table/logicalline.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAME_BYTES 256 /* of a map in sendmail.cf */

/* ---- settings ---- */

static bool is_set(const struct config_socket *socket)
{
    return socket->was_set && *socket->path != '\0';
}

/* Does the file say that POP-before-SMTP is wanted? Defaults do not. */
static bool is_wanted(const struct config *config)
{
    return config->relay_store.was_set || is_set(&config->popauth_socket);
}

static bool is_used_by(const struct config *config, enum config_relay_control control)
{
    if (config->relay_control == control) {
        return true;
    }
    for (size_t i = 0; i < config->daemon_count; i++) {
        if (config->daemons[i].has_relay_control && config->daemons[i].relay_control == control) {
            return true;
        }
    }
    return false;
}

bool pop_check_tables_ignore_logins(const struct config *config)
{
    return relay_limits_are_set(config) && is_used_by(config, RELAY_CONTROL_MTA) &&
           *config->map_socket.path != '\0';
}

/* Settings that cannot have the effect that they seem to have. */
static void check_limits(const struct config *config, struct diag *diag)
{
    const struct config_relay_store *store = &config->relay_store;

    if (pop_check_tables_ignore_logins(config)) {
        diag_report(diag, DIAG_WARNING, config->path, 0,
                    "set relay_control to \"milter\"; or have the mail server ask policy_socket, "
                    "and set map_socket to \"\"",
                    POP_CHECK_TABLES);
    }
    if (store->recipients_per_hour > 0 &&
        store->recipients_per_message > store->recipients_per_hour) {
        diag_report(diag, DIAG_WARNING, config->path, 0, "make it the smaller one",
                    "recipients_per_message %u is never reached: recipients_per_hour is %u",
                    store->recipients_per_message, store->recipients_per_hour);
    }
    if (store->terms.addresses_exceeded != RELAY_EXCESS_LOG &&
        store->terms.addresses_per_user == 0) {
        diag_report(diag, DIAG_WARNING, config->path, 0, "set addresses_per_user",
                    "addresses_exceeded without addresses_per_user: no number of addresses is too "
                    "many");
    }
}

void pop_check_config(const struct config *config, struct diag *diag)
{
    bool milter = is_used_by(config, RELAY_CONTROL_MILTER);

    if (!is_wanted(config)) {
        return;
    }
    if (!milter && !is_used_by(config, RELAY_CONTROL_MTA)) {
        diag_report(diag, DIAG_WARNING, config->path, 0, "set relay_control to \"mta\"",
                    "relay_control \"off\": nobody relays because of a login to POP or IMAP");
    } else if (!milter && *config->map_socket.path == '\0' && *config->policy_socket.path == '\0') {
        diag_report(diag, DIAG_WARNING, config->path, 0,
                    "set map_socket or policy_socket, and have the mail server ask there",
                    "relay_control \"mta\" without map_socket and policy_socket: nobody relays "
                    "because of a login to POP or IMAP, as the mail server cannot ask");
    }
    if (*config->popauth_socket.path == '\0') {
        diag_report(diag, DIAG_WARNING, config->path, 0, "set popauth_socket",
                    "without popauth_socket no POP or IMAP server can tell who logged in");
    }
    check_limits(config, diag);
}

/* ---- sendmail.cf ---- */

/* The next word of *text, in place; NULL: there is none. */
static char *next_word(char **text)
{
    *text += strspn(*text, " \t");
    if (**text == '\0') {
        return NULL;
    }
    char *word = *text;

    *text += strcspn(word, " \t");
    if (**text != '\0') {
        *(*text)++ = '\0';
    }
    return word;
}

/* Is it our socket, as Sendmail writes it? */
static bool is_our_socket(const struct config *config, const char *address)
{
    size_t scheme = strncasecmp(address, "local:", 6) == 0  ? 6
                    : strncasecmp(address, "unix:", 5) == 0 ? 5
                                                            : 0;

    return scheme > 0 && *config->map_socket.path != '\0' &&
           strcmp(address + scheme, config->map_socket.path) == 0;
}

/* A raw map of right-hand sides must not seem empty when it cannot be asked: there -T is as it should be. */
static bool is_raw(const char *name)
{
    return strcmp(name, "access") == 0;
}

/* "Kname socket -T<TMPF> local:/run/postern/map.sock" */
static void check_line(const struct config *config, const char *path, unsigned line, char *text,
                       struct diag *diag)
{
    char *rest = text + 1;
    const char *name = next_word(&rest);
    const char *class = name == NULL ? NULL : next_word(&rest);
    const char *word;
    bool answers = false;
    bool ours = false;

    if (class == NULL || strcasecmp(class, "socket") != 0) {
        return;
    }
    while ((word = next_word(&rest)) != NULL) {
        answers = answers || strncmp(word, "-T", 2) == 0;
        ours = ours || is_our_socket(config, word);
    }
    if (ours && answers && !is_raw(name)) {
        diag_report(diag, DIAG_WARNING, path, line,
                    "take -T... out of the line, or of the FEATURE in the .mc file that made it",
                    "the map %.*s has -T: Sendmail relays for everybody when the daemon does not "
                    "answer",
                    NAME_BYTES, name);
    }
}

void pop_check_sendmail(const struct config *config, const char *path, struct diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct logicalline lines;
    struct diag silent; /* what is wrong with it is Sendmail's to say */

    if (fd < 0) {
        return;
    }
    diag_init(&silent, NULL, NULL);
    logicalline_init(&lines, fd, path, &silent);
    while (logicalline_next(&lines)) {
        if (*lines.text.data == 'K') {
            check_line(config, path, lines.number, lines.text.data, diag);
        }
    }
    logicalline_fini(&lines);
    (void)close(fd);
}
