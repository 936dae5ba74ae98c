/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/answer.h"
#include "lib/base/xalloc.h"

#include <stdlib.h>

json_t *answer_text(const char *value)
{
    json_t *string = json_string(value);

    if (string != NULL) {
        return string;
    }
    char *copy = xstrdup(value);

    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80) {
            *c = '?';
        }
    }
    string = json_string(copy);
    free(copy);
    return string;
}

json_t *answer_number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

json_t *answer_utc(time_t when)
{
    struct tm parts;
    char out[32];

    if (gmtime_r(&when, &parts) == NULL ||
        strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        return json_null();
    }
    return json_string(out);
}

void answer_collect(void *ctx, const struct diag_item *item)
{
    json_t *items = ctx;
    json_t *object = json_object();

    (void)json_object_set_new(object, "level",
                              json_string(item->level == DIAG_ERROR ? "error" : "warning"));
    (void)json_object_set_new(object, "file", answer_text(item->file));
    if (item->line > 0) {
        (void)json_object_set_new(object, "line", answer_number(item->line));
    }
    (void)json_object_set_new(object, "text", answer_text(item->text));
    if (item->hint != NULL) {
        (void)json_object_set_new(object, "hint", answer_text(item->hint));
    }
    (void)json_array_append_new(items, object);
}
