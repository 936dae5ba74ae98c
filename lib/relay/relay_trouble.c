/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_trouble.h"

#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_SIZE 512u
#define REPEAT_S 60

struct state {
    char text[TEXT_SIZE]; /* "": none */
    int64_t logged_at;    /* when the log heard of it last */
    unsigned long hushed; /* how often it has not, since then */
};

struct relay_trouble {
    struct logger *logger;
    const char *field; /* of the log, in which the store stands: a constant text */
    char *store;
    pthread_mutex_t mutex;
    struct state states[RELAY_TROUBLE_KINDS];
};

static int64_t now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

struct relay_trouble *relay_trouble_new(struct logger *logger, const char *field, const char *store)
{
    struct relay_trouble *trouble = xcalloc(1, sizeof(*trouble));

    trouble->logger = logger;
    trouble->field = field;
    trouble->store = xstrdup(store);
    (void)pthread_mutex_init(&trouble->mutex, NULL);
    return trouble;
}

void relay_trouble_free(struct relay_trouble **trouble)
{
    if (*trouble != NULL) {
        (void)pthread_mutex_destroy(&(*trouble)->mutex);
        free((*trouble)->store);
        free(*trouble);
        *trouble = NULL;
    }
}

static void write_log(const struct relay_trouble *trouble, enum log_level level, const char *key,
                      const char *text, unsigned long hushed)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "relay_store");
    log_field(&line, trouble->field, trouble->store);
    log_field(&line, key, text);
    if (hushed > 0) {
        log_field_uint(&line, "repeated", hushed);
    }
    log_line(trouble->logger, level, line.data);
    strbuf_fini(&line);
}

/* Of a full store and of a missing snapshot nobody's mail suffers yet. */
static enum log_level level_of(enum relay_trouble_kind kind)
{
    return kind == RELAY_TROUBLE_FILE || kind == RELAY_TROUBLE_CHANGES ? LOG_LEVEL_ERROR
                                                                       : LOG_LEVEL_WARNING;
}

void relay_trouble_set(struct relay_trouble *trouble, enum relay_trouble_kind kind,
                       const char *text)
{
    struct state *state = &trouble->states[kind];
    size_t len = strnlen(text, sizeof(state->text) - 1);
    int64_t now = now_s();
    unsigned long hushed = 0;

    (void)pthread_mutex_lock(&trouble->mutex);
    bool is_news = strncmp(state->text, text, sizeof(state->text) - 1) != 0 ||
                   now - state->logged_at >= REPEAT_S;

    memcpy(state->text, text, len);
    state->text[len] = '\0';
    if (is_news) {
        hushed = state->hushed;
        state->hushed = 0;
        state->logged_at = now;
    } else {
        state->hushed++;
    }
    (void)pthread_mutex_unlock(&trouble->mutex);
    if (is_news) {
        write_log(trouble, level_of(kind), level_of(kind) == LOG_LEVEL_ERROR ? "error" : "warning",
                  text, hushed);
    }
}

void relay_trouble_clear(struct relay_trouble *trouble, enum relay_trouble_kind kind)
{
    struct state *state = &trouble->states[kind];
    unsigned long hushed;

    (void)pthread_mutex_lock(&trouble->mutex);
    bool was_there = state->text[0] != '\0';

    hushed = state->hushed;
    *state = (struct state){.text = ""};
    (void)pthread_mutex_unlock(&trouble->mutex);
    if (was_there) {
        write_log(trouble, LOG_LEVEL_INFO, "result", "works again", hushed);
    }
}

void relay_trouble_text(struct relay_trouble *trouble, char *buf, size_t size)
{
    (void)pthread_mutex_lock(&trouble->mutex);
    const char *text = "";

    for (unsigned kind = RELAY_TROUBLE_KINDS; kind-- > 0;) {
        if (trouble->states[kind].text[0] != '\0') {
            text = trouble->states[kind].text;
        }
    }
    size_t len = strnlen(text, size - 1);

    memcpy(buf, text, len);
    buf[len] = '\0';
    (void)pthread_mutex_unlock(&trouble->mutex);
}
