/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/watch_log.h"

#include "ctl/log_files.h"
#include "lib/base/strbuf.h"

#define SELDOM_MS 10000

void watch_log_report(void *ctx, const struct diag_item *item)
{
    struct logger *logger = ctx;
    struct strbuf line;

    strbuf_init(&line);
    strbuf_append(&line, item->file);
    if (item->line > 0) {
        strbuf_appendf(&line, ":%u", item->line);
    }
    strbuf_appendf(&line, ": %s", item->text);
    if (item->hint != NULL) {
        strbuf_appendf(&line, " (%s)", item->hint);
    }
    log_line(logger, item->level == DIAG_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

void watch_log_complain(struct logger *logger, struct watch_log_seldom *seldom, const char *result,
                        const char *what, const char *error)
{
    int64_t now = log_files_now();
    struct strbuf line;

    if (seldom->said_at > 0 && now - seldom->said_at < SELDOM_MS) {
        seldom->withheld++;
        return;
    }
    strbuf_init(&line);
    log_field(&line, "event", "watch");
    log_field(&line, "result", result);
    log_field(&line, "error", error);
    log_field(&line, "line", what);
    if (seldom->withheld > 0) {
        log_field_uint(&line, "withheld", seldom->withheld);
    }
    log_line(logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
    *seldom = (struct watch_log_seldom){.said_at = now};
}
