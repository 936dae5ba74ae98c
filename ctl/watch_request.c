/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/watch_request.h"

#include <stdio.h>
#include <string.h>

void watch_request_format(const struct login_found *found, struct strbuf *out)
{
    const struct relay_entry entry = {.user = found->user, .service = found->service};
    char key[RELAY_KEY_SIZE];
    struct strbuf words;

    strbuf_init(&words);
    relay_entry_format_value(&entry, &words);
    strbuf_append(out, found->is_logout ? "logout " : "login ");
    strbuf_append(out, relay_entry_key(&found->addr, key));
    strbuf_append(out, words.data + strcspn(words.data, " ")); /* all but the date */
    if (*found->session != '\0') {
        strbuf_appendf(out, " session=%s", found->session);
    }
    if (!found->is_logout) {
        strbuf_append(out, " keep=no"); /* the watcher keeps it for longer than the daemon does */
    }
    strbuf_append_char(out, '\n');
    strbuf_fini(&words);
}

bool watch_request_read_logout(const char *request, char session_out[LOGIN_SESSION_MAX + 1],
                               struct netaddr *addr_out)
{
    const char *session = strstr(request, " session="); /* no other word holds a blank */
    char key[RELAY_KEY_SIZE];
    const char *why;

    if (session == NULL || sscanf(request, "logout %45s", key) != 1 ||
        !relay_entry_parse_address(key, addr_out, &why)) {
        return false;
    }
    (void)snprintf(session_out, LOGIN_SESSION_MAX + 1, "%s", strchr(session, '=') + 1);
    return true;
}
