/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/popauth_event.h"

#include <jansson.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PORT_MAX 65535

static const struct {
    const char *name;
    enum popauth_verb verb;
} known_events[] = {
    {"auth_master_client_login_finished", POPAUTH_LOGIN},
    {"proxy_session_established", POPAUTH_LOGIN},
    {"imap_client_unhibernated", POPAUTH_LOGIN},
    {"mail_user_session_finished", POPAUTH_LOGOUT},
    {"proxy_session_finished", POPAUTH_LOGOUT},
};

/* Dovecot's services, and whom they serve. */
static const struct {
    const char *category;
    const char *service;
} known_services[] = {
    {"service:imap", "imap"},
    {"service:imap-login", "imap"},
    {"service:pop3", "pop3"},
    {"service:pop3-login", "pop3"},
};

/* NULL: none of those that are understood. */
static const char *find_service(const json_t *categories)
{
    size_t index;
    json_t *category;

    json_array_foreach(categories, index, category)
    {
        for (size_t i = 0; json_is_string(category) && i < COUNT(known_services); i++) {
            if (strcmp(json_string_value(category), known_services[i].category) == 0) {
                return known_services[i].service;
            }
        }
    }
    return NULL;
}

static bool find_verb(const char *name, enum popauth_verb *verb_out)
{
    for (size_t i = 0; i < COUNT(known_events); i++) {
        if (strcmp(name, known_events[i].name) == 0) {
            *verb_out = known_events[i].verb;
            return true;
        }
    }
    return false;
}

/* The event as a line of the socket, whose rules hold for it, too. False: there is no such line. */
static bool format_line(enum popauth_verb verb, const char *service, const json_t *fields,
                        struct strbuf *line, const char **why_out)
{
    const char *address = json_string_value(json_object_get(fields, "remote_ip"));
    const char *user = json_string_value(json_object_get(fields, "user"));
    json_int_t port = json_integer_value(json_object_get(fields, "remote_port"));
    char key[RELAY_KEY_SIZE];
    struct netaddr addr;
    struct strbuf words;

    if (address == NULL || !relay_entry_parse_address(address, &addr, why_out)) {
        *why_out = "remote_ip is no IP address";
        return false;
    }
    if (port < 1 || port > PORT_MAX) {
        *why_out = "there is no remote_port, which tells the sessions of an address apart";
        return false;
    }
    const struct relay_entry entry = {
        .user = user != NULL && strlen(user) <= RELAY_USER_MAX ? user : "",
        .service = service,
    };

    (void)relay_entry_key(&addr, key);
    strbuf_init(&words);
    relay_entry_format_value(&entry, &words);
    strbuf_appendf(line, "%s %s%s session=%s/%d", popauth_line_verb(verb), key,
                   words.data + strcspn(words.data, " "), key, (int)port);
    strbuf_fini(&words);
    return true;
}

static enum popauth_event read_event(const json_t *event, int64_t now, struct strbuf *texts,
                                     struct popauth_line *line_out, const char **why_out)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    const json_t *categories = json_object_get(event, "categories");
    const json_t *fields = json_object_get(event, "fields");
    enum popauth_verb verb;
    struct strbuf line;

    if (name == NULL || !json_is_array(categories) || !json_is_object(fields)) {
        *why_out = "the event lacks its name, categories or fields: see exporter_include";
        return POPAUTH_EVENT_WRONG;
    }
    const char *service = find_service(categories);

    if (!find_verb(name, &verb) || service == NULL ||
        json_object_get(fields, "remote_ip") == NULL ||
        (verb == POPAUTH_LOGIN && json_object_get(fields, "error") != NULL)) {
        return POPAUTH_EVENT_IGNORED;
    }
    strbuf_init(&line);
    bool good = format_line(verb, service, fields, &line, why_out) &&
                popauth_line_parse(line.data, line.len, now, texts, line_out, why_out);

    strbuf_fini(&line);
    return good ? POPAUTH_EVENT_TAKEN : POPAUTH_EVENT_WRONG;
}

enum popauth_event popauth_event_parse(const char *json, size_t len, int64_t now,
                                       struct strbuf *texts, struct popauth_line *line_out,
                                       const char **why_out)
{
    json_t *event = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(event)) {
        json_decref(event);
        *why_out = "no JSON object";
        return POPAUTH_EVENT_WRONG;
    }
    enum popauth_event result = read_event(event, now, texts, line_out, why_out);

    json_decref(event);
    return result;
}
