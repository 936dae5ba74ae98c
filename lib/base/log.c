/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/log.h"
#include "lib/base/logqueue.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define LOG_MAX_VALUE 512u

/* How long the end of the program waits for a log that stands still. */
#define LOG_FLUSH_MS 2000

struct logger {
    enum log_target target;
    const char *ident;
    bool journal; /* standard error is read by journald */
    atomic_int level;
    atomic_int facility;
    struct logqueue *queue; /* NULL: whoever logs writes */
};

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    {"mail", LOG_MAIL},     {"daemon", LOG_DAEMON}, {"auth", LOG_AUTH},     {"user", LOG_USER},
    {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
    {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* Indexed by enum log_level. */
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

/* The syslog facility of that name, or -1. */
static int facility_number(const char *name)
{
    for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
        if (strcasecmp(facilities[i].name, name) == 0) {
            return facilities[i].facility;
        }
    }
    return -1;
}

bool log_facility_known(const char *name)
{
    return facility_number(name) >= 0;
}

bool log_level_parse(const char *name, enum log_level *level_out)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcasecmp(level_names[i], name) == 0) {
            *level_out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

struct logger *log_new(enum log_target target, const char *ident, const char *facility,
                       enum log_level level)
{
    struct logger *logger = xcalloc(1, sizeof(*logger));

    logger->target = target;
    logger->ident = ident;
    logger->journal = target == LOG_TARGET_STDERR && getenv("JOURNAL_STREAM") != NULL;
    log_configure(logger, facility, level);
    if (target == LOG_TARGET_SYSLOG) {
        openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
    }
    return logger;
}

void log_free(struct logger **logger)
{
    if (*logger == NULL) {
        return;
    }
    logqueue_stop(&(*logger)->queue, LOG_FLUSH_MS);
    if ((*logger)->target == LOG_TARGET_SYSLOG) {
        closelog();
    }
    free(*logger);
    *logger = NULL;
}

void log_configure(struct logger *logger, const char *facility, enum log_level level)
{
    int number = facility_number(facility);

    atomic_store_explicit(&logger->facility, number < 0 ? LOG_MAIL : number, memory_order_relaxed);
    atomic_store_explicit(&logger->level, (int)level, memory_order_relaxed);
}

bool log_enabled(const struct logger *logger, enum log_level level)
{
    return logger != NULL &&
           (int)level <= atomic_load_explicit(&logger->level, memory_order_relaxed);
}

/* ---- lines ---- */

static struct iovec part(const char *text, size_t len)
{
    /* Neither writev() nor the queue writes to what it is given. */
    return (struct iovec){.iov_base = (char *)(uintptr_t)text, .iov_len = len};
}

static int syslog_priority(const struct logger *logger, enum log_level level)
{
    return atomic_load_explicit(&logger->facility, memory_order_relaxed) | priorities[level];
}

/* In the queue a line for syslog stands behind its priority, and ends in a NUL byte. */
static void queue_for_syslog(struct logger *logger, enum log_level level, const char *line)
{
    int priority = syslog_priority(logger, level);
    const struct iovec parts[] = {
        part((const char *)&priority, sizeof(priority)),
        part(line, strlen(line) + 1),
    };

    logqueue_put(logger->queue, parts, 2, level <= LOG_LEVEL_WARNING);
}

/* Without a queue one writev(2) each, so that lines of several threads do not mix. */
static void put_on_stderr(struct logger *logger, enum log_level level, const char *line)
{
    char prefix[16] = "";

    if (logger->journal) {
        (void)snprintf(prefix, sizeof(prefix), "<%d>", priorities[level]);
    }
    const struct iovec parts[] = {
        part(prefix, strlen(prefix)),
        part(line, strlen(line)),
        part("\n", 1),
    };

    if (logger->queue != NULL) {
        logqueue_put(logger->queue, parts, 3, level <= LOG_LEVEL_WARNING);
        return;
    }
    ssize_t written = writev(STDERR_FILENO, parts, 3);
    (void)written; /* there is nowhere left to report it */
}

void log_line(struct logger *logger, enum log_level level, const char *line)
{
    if (!log_enabled(logger, level)) {
        return;
    }
    if (logger->target == LOG_TARGET_STDERR) {
        put_on_stderr(logger, level, line);
    } else if (logger->queue != NULL) {
        queue_for_syslog(logger, level, line);
    } else {
        syslog(syslog_priority(logger, level), "%s", line);
    }
}

/* ---- the thread that writes ---- */

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, len);

        if (written < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};

            (void)poll(&writable, 1, -1);
        } else if (written < 0 && errno != EINTR) {
            return; /* there is nowhere left to report it */
        } else if (written > 0) {
            bytes += written;
            len -= (size_t)written;
        }
    }
}

static void write_queued(void *ctx, const char *bytes, size_t len, size_t lost)
{
    const struct logger *logger = ctx;
    const char *end = bytes + len;
    char notice[64];

    (void)snprintf(notice, sizeof(notice), "event=log lost=%zu", lost);
    if (logger->target == LOG_TARGET_STDERR) {
        if (lost > 0) {
            (void)dprintf(STDERR_FILENO, "%s%s\n", logger->journal ? "<4>" : "", notice);
        }
        write_all(bytes, len);
        return;
    }
    if (lost > 0) {
        syslog(syslog_priority(logger, LOG_LEVEL_WARNING), "%s", notice);
    }
    while (bytes < end) {
        int priority;

        (void)memcpy(&priority, bytes, sizeof(priority));
        bytes += sizeof(priority);
        syslog(priority, "%s", bytes);
        bytes += strlen(bytes) + 1;
    }
}

bool log_start_thread(struct logger *logger)
{
    logger->queue = logqueue_start(write_queued, logger);
    return logger->queue != NULL;
}

void log_flush(struct logger *logger)
{
    if (logger != NULL && logger->queue != NULL) {
        (void)logqueue_flush(logger->queue, LOG_FLUSH_MS);
    }
}

void log_crash(const struct logger *logger)
{
    if (logger != NULL && logger->queue != NULL && logger->target == LOG_TARGET_STDERR) {
        size_t len;
        const char *bytes = logqueue_rest(logger->queue, &len);
        ssize_t written = write(STDERR_FILENO, bytes, len);

        (void)written; /* the process ends in any case */
    }
}

void log_printf(struct logger *logger, enum log_level level, const char *format, ...)
{
    if (!log_enabled(logger, level)) {
        return;
    }
    va_list args;
    char *line = NULL;

    va_start(args, format);
    int len = vasprintf(&line, format, args);
    va_end(args);
    if (len >= 0) {
        log_line(logger, level, line);
        free(line);
    }
}

/* Length of the valid UTF-8 sequence at `text` (RFC 3629), or 0. `left` > 0. */
static size_t utf8_sequence(const unsigned char *text, size_t left)
{
    size_t len = text[0] < 0x80                      ? 1
                 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                 : (text[0] & 0xf0) == 0xe0          ? 3
                 : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                     : 0;

    if (len == 0 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90)) {
        return 0;
    }
    /* U+0080 to U+009F are control characters too. */
    return len == 2 && text[0] == 0xc2 && text[1] < 0xa0 ? 0 : len;
}

static bool needs_quotes(const char *value, size_t len)
{
    /* What may stand without quotes. */
    static const bool plain[256] = {
        ['!'] = true,
        ['#' ... '<'] = true,
        ['>' ... '['] = true,
        [']' ... '~'] = true,
    };

    for (size_t i = 0; i < len; i++) {
        if (!plain[(unsigned char)value[i]]) {
            return true;
        }
    }
    return len == 0;
}

static void append_quoted(struct strbuf *line, const char *value, size_t len, const char *ending)
{
    size_t i = 0;

    strbuf_append_char(line, '"');
    while (i < len) {
        const unsigned char *at = (const unsigned char *)value + i;
        size_t sequence = utf8_sequence(at, len - i);

        if (sequence == 0 || *at < ' ' || *at == 0x7f) {
            strbuf_appendf(line, "\\x%02x", *at);
            sequence = 1;
        } else {
            if (*at == '"' || *at == '\\') {
                strbuf_append_char(line, '\\');
            }
            strbuf_append_len(line, value + i, sequence);
        }
        i += sequence;
    }
    strbuf_append(line, ending);
    strbuf_append_char(line, '"');
}

void log_field(struct strbuf *line, const char *key, const char *value)
{
    if (value == NULL) {
        return;
    }
    size_t len = strlen(value);
    bool cut = len > LOG_MAX_VALUE;

    if (line->len > 0) {
        strbuf_append_char(line, ' ');
    }
    strbuf_append(line, key);
    strbuf_append_char(line, '=');
    len = cut ? LOG_MAX_VALUE : len;
    const char *ending = cut ? "..." : "";

    if (needs_quotes(value, len)) {
        append_quoted(line, value, len, ending);
    } else {
        strbuf_append_len(line, value, len);
        strbuf_append(line, ending);
    }
}

void log_field_uint(struct strbuf *line, const char *key, unsigned long value)
{
    char number[24];

    char *at = number + sizeof(number) - 1;

    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    log_field(line, key, at);
}
