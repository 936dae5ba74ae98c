/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/support.h"

#include <string.h>

/* One line of the trace, "  TABLE KEY = VALUE (...)", as " KEY=". A key may hold blanks. */
static void append_key(struct strbuf *out, char *line)
{
    static const char failed[] = " cannot be read";
    char *key = strchr(line + 2, ' ') + 1;
    char *value = strstr(key, " = ");
    size_t len = strlen(key);
    const char *mark = "";

    if (value != NULL) {
        len = (size_t)(value - key);
        mark = "=";
    } else if (len > strlen(failed) && strcmp(key + len - strlen(failed), failed) == 0) {
        len -= strlen(failed);
        mark = "!";
    }
    strbuf_append_char(out, ' ');
    strbuf_append_len(out, key, len);
    strbuf_append(out, mark);
}

const char *scene_keys(struct scene *scene)
{
    struct strbuf *out = &scene->verdict;
    char *rest = scene->log.text.data;
    char *line;

    strbuf_reset(out);
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line != '\0' && strncmp(line, "  note:", 7) != 0) {
            append_key(out, line);
        }
    }
    strbuf_reset(&scene->log.text);
    return out->data;
}
