/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/watch_loop.h"

#include "ctl/log_files.h"
#include "ctl/log_follow.h"
#include "ctl/popauth_link.h"
#include "ctl/watch_log.h"
#include "ctl/watch_open.h"
#include "ctl/watch_request.h"
#include "ctl/watch_state.h"
#include "lib/base/diag.h"
#include "lib/relay/login_patterns.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define MAX_WAITING 10000u /* requests that are not answered */
#define MAX_SESSIONS 100000u
#define LINES_A_ROUND 1000u
#define SAVE_MS 1000
/* So many are written as often as the place, more of them seldom: each time all are written. */
#define FEW_SESSIONS 5000u
#define SAVE_SESSIONS_MS 60000
/* How long the daemon may take for what is on its way when the end comes. */
#define FINISH_MS 3000
#define SESSIONS ".sessions"
/* A log in which nothing happens is looked at once a second, and a busy machine may take its time. */
#define LATE_MS 2000

struct watch {
    const struct watch_options *options;
    struct logger *logger;
    struct login_patterns *patterns;
    struct log_follow *follow;
    struct popauth_link *link;
    struct watch_open *open;
    bool is_pipe;
    bool is_first_sweep; /* of a log that is read from its start: its lines may be old */
    bool has_more;       /* lines that can be read now */
    bool is_ended;       /* standard input */

    bool is_changed;
    bool is_sessions_changed;
    bool is_save_failed; /* said */
    int64_t saved_at;
    int64_t sessions_saved_at;

    unsigned long lines;
    unsigned long logins;
    unsigned long logouts;
    unsigned long refused;
    unsigned long expired;
    unsigned long expired_told;
    struct watch_log_seldom refusals;
    struct watch_log_seldom wrong_lines;
};

/* Set by signals: there is one watcher in a process. */
static volatile sig_atomic_t is_stopped;
static volatile sig_atomic_t is_hung_up;

static void on_signal(int number)
{
    if (number == SIGHUP) {
        is_hung_up = 1;
    } else {
        is_stopped = 1;
    }
}

/* ---- what is told ---- */

static void tell(struct watch *watch, const char *state)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "watch");
    log_field(&line, "log", watch->options->log);
    log_field(&line, "state", state);
    log_field_uint(&line, "patterns", login_patterns_count(watch->patterns));
    log_field_uint(&line, "lines", watch->lines);
    log_field_uint(&line, "logins", watch->logins);
    log_field_uint(&line, "logouts", watch->logouts);
    log_field_uint(&line, "refused", watch->refused);
    log_field_uint(&line, "expired", watch->expired);
    log_field_uint(&line, "too_long", log_follow_long_lines(watch->follow));
    log_line(watch->logger, LOG_LEVEL_INFO, line.data);
    strbuf_fini(&line);
}

/* ---- patterns ---- */

static struct login_patterns *load_patterns(struct watch *watch)
{
    struct diag diag;

    diag_init(&diag, watch_log_report, watch->logger);
    return login_patterns_load(watch->options->patterns, &diag);
}

/* After SIGHUP: the old ones stay if the new ones are wrong. */
static void reload_patterns(struct watch *watch)
{
    struct login_patterns *patterns = load_patterns(watch);

    is_hung_up = 0;
    if (patterns == NULL) {
        log_printf(watch->logger, LOG_LEVEL_ERROR,
                   "event=watch state=reloaded result=failed error=\"the old patterns stay\"");
        return;
    }
    login_patterns_free(&watch->patterns);
    watch->patterns = patterns;
    tell(watch, "reloaded");
}

/* ---- state ---- */

static bool write_state(struct watch *watch, const char *suffix, const struct strbuf *text)
{
    struct strbuf why;

    strbuf_init(&why);
    bool is_written = watch_state_write(watch->options->state, suffix, text, &why);

    if (!is_written && !watch->is_save_failed) {
        log_printf(watch->logger, LOG_LEVEL_ERROR, "event=watch state=unsaved error=\"%s\"",
                   why.data);
    }
    watch->is_save_failed = !is_written;
    strbuf_fini(&why);
    return is_written;
}

static void save_place(struct watch *watch)
{
    struct strbuf text;

    watch->saved_at = log_files_now();
    watch->is_changed = false;
    if (watch->is_pipe) {
        return; /* it has none to go on at */
    }
    strbuf_init(&text);
    log_follow_save(watch->follow, &text);
    (void)write_state(watch, "", &text);
    strbuf_fini(&text);
}

static void save_sessions(struct watch *watch)
{
    struct strbuf text;

    watch->sessions_saved_at = log_files_now();
    watch->is_sessions_changed = false;
    strbuf_init(&text);
    watch_open_save(watch->open, &text);
    (void)write_state(watch, SESSIONS, &text);
    strbuf_fini(&text);
}

/* The place is also kept when nothing changes: that there was nothing to read is known until then. */
static int64_t idle_save_ms(const struct watch *watch)
{
    int64_t tenth = watch->options->catch_up_seconds * 100;

    return tenth < SAVE_MS ? SAVE_MS : tenth > 30 * SAVE_MS ? 30 * SAVE_MS : tenth;
}

/* The sessions first: what stands behind the place is read again after a crash, and what stands before it is not. */
static void save_if_due(struct watch *watch, bool is_end)
{
    int64_t now = log_files_now();
    int64_t pause = watch->is_changed ? SAVE_MS : idle_save_ms(watch);
    bool is_due = is_end || now - watch->saved_at >= pause;
    bool are_few = watch_open_count(watch->open) < FEW_SESSIONS;

    if (watch->options->state == NULL) {
        return;
    }
    if (watch->is_sessions_changed &&
        (is_end || (is_due && are_few) || now - watch->sessions_saved_at >= SAVE_SESSIONS_MS)) {
        save_sessions(watch);
    }
    if (is_due) {
        save_place(watch);
    }
}

static bool read_state(struct watch *watch, const char *suffix, struct strbuf *text)
{
    struct strbuf why;

    strbuf_init(&why);
    bool is_read = watch_state_read(watch->options->state, suffix, text, &why);

    if (why.len > 0) {
        log_printf(watch->logger, LOG_LEVEL_WARNING, "event=watch state=forgotten error=\"%s\"",
                   why.data);
    }
    strbuf_fini(&why);
    return is_read;
}

/* False: there is no place to go on at. */
static bool restore(struct watch *watch)
{
    struct strbuf text;
    bool is_restored = false;

    if (watch->options->state == NULL) {
        return false;
    }
    strbuf_init(&text);
    if (read_state(watch, SESSIONS, &text)) {
        watch_open_restore(watch->open, text.data);
    }
    strbuf_reset(&text);
    if (!watch->is_pipe && !watch->options->from_start && read_state(watch, "", &text)) {
        is_restored = log_follow_restore(watch->follow, text.data);
        if (!is_restored) {
            log_printf(watch->logger, LOG_LEVEL_WARNING,
                       "event=watch state=forgotten error=\"%s is not about this log\"",
                       watch->options->state);
        }
    }
    strbuf_fini(&text);
    return is_restored;
}

static void tell_skipped(struct watch *watch, int64_t bytes, int64_t age_ms, const char *why)
{
    log_printf(watch->logger, LOG_LEVEL_WARNING,
               "event=watch state=skipped bytes=%" PRId64 " seconds=%" PRId64 " error=\"%s\"",
               bytes, age_ms / 1000, why);
}

static void find_begin(struct watch *watch)
{
    if (watch->is_pipe || watch->options->from_start) {
        (void)restore(watch);
        log_follow_from_start(watch->follow);
        watch->is_first_sweep = watch->options->from_start;
    } else if (!restore(watch)) {
        int64_t bytes = log_follow_from_end(watch->follow);

        if (bytes > 0) {
            tell_skipped(watch, bytes, 0, "what the log holds already may be old");
        }
    }
}

/* ---- lines ---- */

static int64_t catch_up_ms(const struct watch *watch)
{
    return watch->options->catch_up_seconds * 1000 + LATE_MS;
}

/* When what is read now can be too old. */
static int64_t expiry(const struct watch *watch)
{
    return watch->is_first_sweep
               ? INT64_MAX
               : log_files_now() - log_follow_age(watch->follow) + catch_up_ms(watch);
}

static void report_found(struct watch *watch, const struct log_line *line,
                         struct login_found *found)
{
    struct strbuf request;

    watch->is_sessions_changed = watch->is_sessions_changed || *found->session != '\0';
    if (watch_open_follow(watch->open, found) != NULL) {
        return; /* nobody's session ends */
    }
    watch->logins += !found->is_logout;
    watch->logouts += found->is_logout;
    strbuf_init(&request);
    watch_request_format(found, &request);
    log_file_hold(line);
    popauth_link_add(watch->link, request.data, expiry(watch), line->file, line->end);
    strbuf_fini(&request);
}

/* No line tells of these ends. */
static void end_sessions(struct watch *watch)
{
    struct login_found found;
    struct strbuf request;

    strbuf_init(&request);
    while (!popauth_link_is_full(watch->link) && watch_open_next_end(watch->open, &found)) {
        watch->is_sessions_changed = true;
        strbuf_reset(&request);
        watch_request_format(&found, &request);
        popauth_link_add(watch->link, request.data, INT64_MAX, NULL, 0);
    }
    strbuf_fini(&request);
}

static void take_line(struct watch *watch, const struct log_line *line)
{
    struct login_found found;
    const char *why = "";

    watch->lines++;
    switch (login_patterns_find(watch->patterns, line->text, line->len, &found, &why)) {
    case STATUS_OK:
        report_found(watch, line, &found);
        break;
    case STATUS_NOTFOUND:
        break;
    default: {
        struct strbuf text;

        strbuf_init(&text);
        strbuf_append_len(&text, line->text, line->len);
        watch_log_complain(watch->logger, &watch->wrong_lines, "unknown", text.data, why);
        strbuf_fini(&text);
    }
    }
}

static void request_ended(void *owner, void *ctx, int64_t mark, enum popauth_end end,
                          const char *request, const char *text)
{
    struct watch *watch = owner;
    char session[LOGIN_SESSION_MAX + 1];
    struct netaddr addr;

    if (watch_request_read_logout(request, session, &addr)) {
        watch_open_settle(watch->open, session, &addr);
        watch->is_sessions_changed = true;
    }
    if (ctx != NULL) {
        log_file_settle(ctx, mark);
    }
    watch->is_changed = true;
    if (end == POPAUTH_REFUSED) {
        watch->refused++;
        watch_log_complain(watch->logger, &watch->refusals, "refused", request, text);
    } else if (end == POPAUTH_EXPIRED) {
        watch->expired++;
    } else if (watch->expired > watch->expired_told) {
        log_printf(watch->logger, LOG_LEVEL_WARNING,
                   "event=watch state=expired requests=%lu error=\"the daemon, or its store, was "
                   "away for longer than --catch-up\"",
                   watch->expired - watch->expired_told);
        watch->expired_told = watch->expired;
    }
}

/* Reads what is there, as long as there is room for it. */
static void read_lines(struct watch *watch)
{
    struct log_line line;
    int64_t age = log_follow_age(watch->follow);

    if (!watch->is_first_sweep && age > catch_up_ms(watch)) {
        int64_t bytes = log_follow_skip(watch->follow);

        if (bytes > 0) {
            tell_skipped(watch, bytes, age, "older than --catch-up");
        }
        watch->is_changed = true;
    }
    watch->has_more = true;
    for (unsigned i = 0; i < LINES_A_ROUND && !popauth_link_is_full(watch->link); i++) {
        switch (log_follow_next(watch->follow, &line)) {
        case LOG_FOLLOW_LINE:
            watch->is_changed = true;
            take_line(watch, &line);
            break;
        case LOG_FOLLOW_NO_MORE:
            watch->is_first_sweep = false;
            watch->has_more = false;
            return;
        case LOG_FOLLOW_END:
            watch->is_ended = true;
            watch->has_more = false;
            return;
        }
    }
}

/* ---- the loop ---- */

static int shorter(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Waits for the daemon, the log, a signal, or until it is time to look at one of them anyway. */
static void wait_for_news(struct watch *watch, bool is_finishing, const sigset_t *signals)
{
    struct pollfd poll_fds[2] = {{.fd = -1}, {.fd = -1, .events = POLLIN}};
    int wait_ms = popauth_link_prepare(watch->link, &poll_fds[0]);
    bool is_full = popauth_link_is_full(watch->link);

    if (!watch->is_ended && !is_full && !is_finishing) {
        poll_fds[1].fd = log_follow_wait_fd(watch->follow);
        wait_ms = watch->has_more ? 0 : shorter(wait_ms, log_follow_wait_ms(watch->follow));
    }
    wait_ms = shorter(wait_ms, SAVE_MS);
    struct timespec timeout = {wait_ms / 1000, (long)(wait_ms % 1000) * 1000000};

    if (ppoll(poll_fds, 2, &timeout, signals) < 0) {
        poll_fds[0].revents = 0;
    }
    popauth_link_work(watch->link, poll_fds[0].revents);
}

static void follow_log(struct watch *watch, const sigset_t *signals)
{
    while (is_stopped == 0 && !(watch->is_ended && popauth_link_count(watch->link) == 0)) {
        if (is_hung_up != 0) {
            reload_patterns(watch);
        }
        if (!watch->is_ended) {
            read_lines(watch);
        }
        end_sessions(watch);
        popauth_link_work(watch->link, 0);
        save_if_due(watch, false);
        wait_for_news(watch, false, signals);
    }
    int64_t end = log_files_now() + FINISH_MS;

    while (popauth_link_count(watch->link) > 0 && log_files_now() < end) {
        wait_for_news(watch, true, signals);
    }
}

static void catch_signals(sigset_t *before)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;

    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaddset(&blocked, numbers[i]);
        (void)sigaction(numbers[i], &action, NULL);
    }
    /* They come while we wait, and at no other time. */
    (void)sigprocmask(SIG_BLOCK, &blocked, before);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigdelset(before, numbers[i]);
    }
}

bool watch_loop_run(const struct watch_options *options, struct logger *logger)
{
    struct watch watch = {
        .options = options, .logger = logger, .is_pipe = strcmp(options->log, "-") == 0};
    sigset_t signals;

    watch.patterns = load_patterns(&watch);
    if (watch.patterns == NULL) {
        return false;
    }
    catch_signals(&signals);
    watch.follow = log_follow_new(options->log, logger);
    watch.open = watch_open_new(MAX_SESSIONS, logger);
    watch.link = popauth_link_new(options->socket, MAX_WAITING, request_ended, &watch, logger);
    find_begin(&watch);
    tell(&watch, "started");
    follow_log(&watch, &signals);
    save_if_due(&watch, true);
    tell(&watch, "stopped");
    popauth_link_free(&watch.link);
    watch_open_free(&watch.open);
    log_follow_free(&watch.follow);
    login_patterns_free(&watch.patterns);
    return true;
}
