/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/watch_open.h"

#include "ctl/watch_sessions.h"
#include "lib/base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Patterns may name services of their own; those for which there is no room share the last. */
#define MAX_SERVICES 8u

struct service {
    char name[RELAY_SERVICE_MAX + 1];
    unsigned logins; /* with a session, since its last end; no more than the limit */
    bool is_ended;   /* an end was seen, ever */
    bool is_ending;  /* there may be sessions left that count no longer */
};

struct watch_open {
    struct logger *logger;
    struct watch_sessions *sessions;
    struct service services[MAX_SERVICES];
    size_t count;
};

struct watch_open *watch_open_new(size_t most, struct logger *logger)
{
    struct watch_open *open = xcalloc(1, sizeof(*open));

    open->logger = logger;
    open->sessions = watch_sessions_new(most);
    return open;
}

void watch_open_free(struct watch_open **open)
{
    if (*open == NULL) {
        return;
    }
    watch_sessions_free(&(*open)->sessions);
    free(*open);
    *open = NULL;
}

size_t watch_open_count(const struct watch_open *open)
{
    return watch_sessions_count(open->sessions);
}

static struct service *find_service(struct watch_open *open, const char *name)
{
    for (size_t i = 0; i < open->count; i++) {
        if (strcmp(open->services[i].name, name) == 0) {
            return &open->services[i];
        }
    }
    if (open->count == MAX_SERVICES) {
        return &open->services[MAX_SERVICES - 1];
    }
    struct service *service = &open->services[open->count++];

    (void)snprintf(service->name, sizeof(service->name), "%s", name);
    return service;
}

static unsigned limit(const struct service *service)
{
    return service->is_ended ? WATCH_OPEN_LATER : WATCH_OPEN_FIRST;
}

static bool is_counted(const struct service *service)
{
    return service->logins < limit(service);
}

static void tell(const struct watch_open *open, const struct service *service, const char *state,
                 const char *why)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "watch");
    log_field(&line, "state", state);
    log_field(&line, "service", service->name);
    log_field(&line, "reason", why);
    log_line(open->logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

/* ---- lines ---- */

static void follow_login(struct watch_open *open, struct service *service,
                         struct login_found *found)
{
    /* That its end came first means that its window begins now. */
    if (!is_counted(service) ||
        !watch_sessions_add(open->sessions, found->session, &found->addr, service->name)) {
        found->session[0] = '\0';
    }
    if (is_counted(service)) {
        service->logins++;
        if (!is_counted(service)) {
            service->is_ending = true;
            tell(open, service, "uncounted",
                 "no end of a session is logged: its window begins with the login");
        }
    }
}

static void see_end(struct watch_open *open, struct service *service)
{
    bool was_counted = is_counted(service);

    service->logins = 0;
    service->is_ended = true;
    service->is_ending = false;
    if (!was_counted) {
        tell(open, service, "counted", "the end of a session is logged: sessions count again");
    }
}

const char *watch_open_follow(struct watch_open *open, struct login_found *found)
{
    if (*found->session == '\0') {
        return found->is_logout ? "no session is named: ignored" : NULL;
    }
    struct service *service = find_service(open, found->service);

    if (!found->is_logout) {
        follow_login(open, service, found);
        return NULL;
    }
    see_end(open, service);
    (void)watch_sessions_take(open->sessions, found->session, &found->addr);
    return found->addr.family == NETADDR_NONE
               ? "the login of this session is not in the log: ignored"
               : NULL;
}

bool watch_open_next_end(struct watch_open *open, struct login_found *found_out)
{
    for (size_t i = 0; i < open->count; i++) {
        struct service *service = &open->services[i];

        if (service->is_ending) {
            *found_out = (struct login_found){.is_logout = true};
            if (watch_sessions_take_oldest(open->sessions, service->name, found_out->session,
                                           &found_out->addr)) {
                (void)snprintf(found_out->service, sizeof(found_out->service), "%s", service->name);
                return true;
            }
            service->is_ending = false;
        }
    }
    return false;
}

void watch_open_settle(struct watch_open *open, const char *session, const struct netaddr *addr)
{
    watch_sessions_settle(open->sessions, session, addr);
}

/* ---- the text: `SESSION ADDRESS SERVICE` of each session, and `#ends SERVICE LOGINS yes|no` ---- */

/* As a word. */
static const char *word(const char *name)
{
    return *name == '\0' ? "-" : name;
}

void watch_open_save(const struct watch_open *open, struct strbuf *out)
{
    for (size_t i = 0; i < open->count; i++) {
        const struct service *service = &open->services[i];

        strbuf_appendf(out, "#ends %s %u %s\n", word(service->name), service->logins,
                       service->is_ended ? "yes" : "no");
    }
    watch_sessions_save(open->sessions, out);
}

static void restore_line(struct watch_open *open, const char *line)
{
    char name[RELAY_SERVICE_MAX + 1];
    char answer[4];
    unsigned logins;

    if (sscanf(line, "#ends %31[^ \n] %6u %3[a-z]", name, &logins, answer) == 3) {
        struct service *service = find_service(open, strcmp(name, "-") == 0 ? "" : name);

        service->is_ended = strcmp(answer, "yes") == 0;
        service->logins = logins < limit(service) ? logins : limit(service);
        service->is_ending = !is_counted(service);
    }
}

void watch_open_restore(struct watch_open *open, const char *text)
{
    watch_sessions_restore(open->sessions, text);
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        restore_line(open, text);
    }
}
