/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/relay_print.h"

#include "lib/base/strbuf.h"
#include "lib/relay/relay_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WRITE_BYTES (64u << 10)

static void write_out(struct strbuf *text)
{
    /* An error is seen when the verb has ended. */
    (void)fwrite(text->data, 1, text->len, stdout);
    strbuf_reset(text);
}

json_t *relay_print_json(const struct relay_entry *entry)
{
    char key[RELAY_KEY_SIZE];
    char utc[40];
    time_t when = (time_t)entry->login_at;
    struct tm parts;
    json_t *object = json_object();

    json_object_set_new(object, "address", json_string(relay_entry_key(&entry->addr, key)));
    json_object_set_new(object, "timestamp", json_integer((json_int_t)entry->login_at));
    if (gmtime_r(&when, &parts) != NULL &&
        strftime(utc, sizeof(utc), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0) {
        json_object_set_new(object, "time", json_string(utc));
    }
    if (*entry->user != '\0') {
        json_object_set_new(object, "user", ctl_json_text(entry->user));
    }
    if (*entry->service != '\0') {
        json_object_set_new(object, "service", ctl_json_text(entry->service));
    }
    return object;
}

static void write_json(const struct relay_entry *entry, bool first, struct strbuf *out)
{
    json_t *object = relay_print_json(entry);
    char *text = json_dumps(object, JSON_PRESERVE_ORDER);

    strbuf_appendf(out, "%s\n    %s", first ? "" : ",", text != NULL ? text : "null");
    free(text);
    json_decref(object);
}

void relay_print_list(const struct ctl *ctl, const struct relay_list *list,
                      bool (*wants)(void *ctx, const struct relay_entry *entry), void *ctx)
{
    enum relay_text_fields fields = ctl->old_output ? RELAY_TEXT_TWO : RELAY_TEXT_ALL;
    struct strbuf text;
    bool first = true;

    strbuf_init(&text);
    if (ctl->json) {
        strbuf_append(&text, "{\n  \"version\": 1,\n  \"entries\": [");
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct relay_entry *entry = &list->entries[i];

        if (wants != NULL && !wants(ctx, entry)) {
            continue;
        }
        if (ctl->json) {
            write_json(entry, first, &text);
        } else {
            relay_text_write(entry, fields, &text);
        }
        first = false;
        if (text.len >= WRITE_BYTES) {
            write_out(&text);
        }
    }
    if (ctl->json) {
        strbuf_append(&text, first ? "]\n}\n" : "\n  ]\n}\n");
    }
    write_out(&text);
    strbuf_fini(&text);
}

int relay_print_code(enum status status)
{
    return status == STATUS_OK ? CTL_DONE : status == STATUS_TEMPFAIL ? CTL_TEMPFAIL : CTL_NO;
}

int relay_print_result(const struct ctl *ctl, const char *what, enum status status, const char *why,
                       size_t count, const struct ctl_problems *problems)
{
    static const char *const words[] = {
        [STATUS_OK] = "ok",
        [STATUS_NOTFOUND] = "notfound",
        [STATUS_TEMPFAIL] = "tempfail",
        [STATUS_INVALID] = "invalid",
    };
    int code = relay_print_code(status);

    if (!ctl->json) {
        if (status != STATUS_OK && *why != '\0') {
            ctl_complain(ctl, "%s: %s", what, why);
        }
        return code;
    }
    json_t *object = json_pack("{ss}", "result", words[status]);

    if (status == STATUS_OK) {
        json_object_set_new(object, "count", json_integer((json_int_t)count));
    } else {
        json_object_set_new(object, "reason",
                            ctl_json_text(*why != '\0' ? why : RELAY_PRINT_NO_ANSWER));
    }
    return ctl_print_json(ctl, object, problems, code);
}
