/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_news.h"

#include <string.h>

bool relay_redis_news_is_due(struct relay_redis_news *news, const char *why, bool is_loss,
                             int64_t now_ms)
{
    size_t len = strnlen(why, sizeof(news->told) - 1);

    if (!is_loss && (strncmp(news->told, why, sizeof(news->told) - 1) == 0 ||
                     now_ms - news->told_ms < RELAY_REDIS_NEWS_MS)) {
        return false;
    }
    memcpy(news->told, why, len);
    news->told[len] = '\0';
    news->told_ms = now_ms;
    return true;
}

static void begin(const struct relay_redis_news *news, struct strbuf *line)
{
    strbuf_init(line);
    log_field(line, "event", "relay_store");
    log_field(line, "redis", news->server);
}

void relay_redis_news_lost(const struct relay_redis_news *news, const char *why)
{
    struct strbuf line;

    begin(news, &line);
    log_field(&line, "error", why);
    log_line(news->logger, LOG_LEVEL_ERROR, line.data);
    strbuf_fini(&line);
}

void relay_redis_news_returned(const struct relay_redis_news *news, int64_t away_ms,
                               unsigned long missed)
{
    struct strbuf line;

    begin(news, &line);
    log_field(&line, "result", "answers again");
    log_field_uint(&line, "away_ms", (unsigned long)away_ms);
    log_field_uint(&line, "unanswered", missed);
    log_line(news->logger, LOG_LEVEL_INFO, line.data);
    strbuf_fini(&line);
}
