/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/daemon.h"
#include "lib/base/log.h"
#include "lib/dns/resolver.h"
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_options.h"
#include "lib/policy/ruleset.h"
#include "milter/background.h"
#include "milter/callbacks.h"
#include "milter/crash.h"
#include "milter/listener.h"
#include "milter/mfi_libmilter.h"
#include "milter/notify.h"
#include "milter/privileges.h"
#include "milter/reload.h"
#include "milter/report.h"
#include "milter/services.h"
#include "milter/threads.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REFRESH_MS 1000 /* a renamed map takes effect within two seconds */
#define DRAIN_MS 10000  /* messages under way get this long at the end */
#define DRAIN_STEP_MS 20
#define SETTLE_MS 100 /* for libmilter to send the last answers */
#define PARK_MS 2000

struct daemon {
    const struct daemon_options *options;
    struct logger *logger;
    struct stats stats;
    struct snapshot *snapshot;
    struct resolver *resolver;
    struct callbacks callbacks;
    struct reload reload;
    struct report report;
    struct listener milter_socket;
    struct services services;
    struct pid_file pid_file;
    int ready;   /* for background_ready(); -1: in the foreground */
    int signals; /* signalfd */
    int ended;   /* eventfd: libmilter gave up */
    int stop;    /* eventfd: ends the watch for maps */
    pthread_t watch;
    bool watching;
};

/* ---- start ---- */

/* One line: event=EVENT KEY="text". */
static void note(struct daemon *daemon, enum log_level level, const char *event, const char *key,
                 const char *text)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", event);
    log_field(&line, key, text);
    log_line(daemon->logger, level, line.data);
    strbuf_fini(&line);
}

static void warn(struct daemon *daemon, const char *text)
{
    note(daemon, LOG_LEVEL_WARNING, "start", "warning", text);
}

/* A start that fails is told to who started it, and to the log. */
static void complain(struct daemon *daemon, const char *text)
{
    if (!daemon->options->foreground) {
        (void)fprintf(stderr, "postern: %s\n", text);
    }
    note(daemon, LOG_LEVEL_ERROR, "start", "error", text);
}

/* libmilter on EL uses select(2), whatever the limit; elsewhere each session needs a descriptor. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Blocked before the first thread, so that they are blocked in all; main_loop() reads them. */
static enum status take_signals(struct daemon *daemon, struct strbuf *why)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    daemon->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    daemon->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    daemon->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (daemon->signals < 0 || daemon->ended < 0 || daemon->stop < 0) {
        strbuf_appendf(why, "signalfd or eventfd: %s", strerror(errno));
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

/* The group of listen_group; ordinary users may well not have it, and then their socket has theirs. */
static enum status find_listen_group(struct daemon *daemon, const struct config *config,
                                     gid_t *gid_out, struct strbuf *why)
{
    *gid_out = (gid_t)-1;
    if (config->listen_group[0] == '\0' ||
        privileges_find_group("listen_group", config->listen_group, gid_out, why) == STATUS_OK) {
        return STATUS_OK;
    }
    if (geteuid() == 0) {
        return STATUS_INVALID;
    }
    warn(daemon, why->data);
    strbuf_reset(why);
    return STATUS_OK;
}

/* The path of a unix socket in libmilter's notation, or NULL. */
static const char *unix_path(const char *listen)
{
    return strncasecmp(listen, "unix:", 5) == 0    ? listen + 5
           : strncasecmp(listen, "local:", 6) == 0 ? listen + 6
                                                   : NULL;
}

static enum status open_milter_socket(struct daemon *daemon, const struct config *config,
                                      struct strbuf *why)
{
    const char *path = unix_path(config->listen);
    gid_t group;

    if (find_listen_group(daemon, config, &group, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if (path != NULL && listener_prepare(&daemon->milter_socket, path, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    /* The socket has its mode from the first moment on. */
    mode_t old = umask((mode_t)~config->listen_mode & 0777);
    bool opened = mfi_libmilter_listen(config->listen);
    int error = errno;

    (void)umask(old);
    if (!opened) {
        strbuf_appendf(why, "cannot listen on %s: %s", config->listen,
                       error != 0 ? strerror(error) : "libmilter's line in the mail log says why");
        return STATUS_INVALID;
    }
    if (path == NULL) {
        return STATUS_OK;
    }
    enum status adopted = listener_adopt(&daemon->milter_socket, group, why);

    if (adopted != STATUS_OK && geteuid() != 0 && daemon->milter_socket.inode != 0) {
        warn(daemon, why->data);
        strbuf_reset(why);
        return STATUS_OK;
    }
    return adopted;
}

static enum status open_sockets(struct daemon *daemon, const struct config *config,
                                gid_t user_group, struct strbuf *why)
{
    if (open_milter_socket(daemon, config, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    return services_open_sockets(&daemon->services, config, user_group, why);
}

/* Everything that needs root, and then no root any more. */
static enum status prepare(struct daemon *daemon, const struct config *config, struct strbuf *why)
{
    struct privileges privileges;

    if (privileges_find(&privileges, config->user, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    raise_limits();
    bool done = (!daemon->options->background ||
                 (background_start(&daemon->ready, why) == STATUS_OK &&
                  pid_file_create(&daemon->pid_file, config->pid_file, why) == STATUS_OK)) &&
                take_signals(daemon, why) == STATUS_OK &&
                open_sockets(daemon, config, privileges.gid, why) == STATUS_OK &&
                privileges_drop(&privileges, why) == STATUS_OK;

    if (done && geteuid() == 0) {
        warn(daemon, "running as root: set user in postern.conf");
    }
    privileges_fini(&privileges);
    return done ? STATUS_OK : STATUS_INVALID;
}

/* ---- threads ---- */

static void *watch_thread(void *arg)
{
    struct daemon *daemon = arg;
    struct pollfd stop = {.fd = daemon->stop, .events = POLLIN};

    while (poll(&stop, 1, REFRESH_MS) <= 0) {
        reload_refresh(&daemon->reload);
        reload_probe_lists(&daemon->reload);
    }
    return NULL;
}

static void *milter_thread(void *arg)
{
    struct daemon *daemon = arg;

    mfi_libmilter_run();
    (void)eventfd_write(daemon->ended, 1);
    return NULL;
}

/* Wait until libmilter's own signal thread is out of the way. */
static void wait_until_parked(struct daemon *daemon)
{
    for (int waited = 0; waited < PARK_MS; waited += DRAIN_STEP_MS) {
        if (mfi_libmilter_owns_no_signals()) {
            return;
        }
        (void)poll(NULL, 0, DRAIN_STEP_MS);
    }
    warn(daemon,
         "this libmilter waits for signals in a way of its own: use posternctl reload, not SIGHUP");
}

static void start_log_thread(struct daemon *daemon)
{
    if (!log_start_thread(daemon->logger)) {
        warn(daemon, "there is no thread for the log: mail waits for each line to be written");
    }
    crash_catch(daemon->logger);
}

static enum status start_threads(struct daemon *daemon, const struct config *config,
                                 struct strbuf *why)
{
    pthread_t milter;

    if (services_start(&daemon->services, config, daemon->snapshot, &daemon->report, why) !=
        STATUS_OK) {
        return STATUS_INVALID;
    }
    daemon->watching = pthread_create(&daemon->watch, NULL, watch_thread, daemon) == 0;
    if (!daemon->watching || pthread_create(&milter, NULL, milter_thread, daemon) != 0) {
        strbuf_append(why, "cannot start threads");
        return STATUS_INVALID;
    }
    (void)pthread_detach(milter);
    wait_until_parked(daemon);
    return STATUS_OK;
}

/* Those that loading needs already. */
static enum status start_first_threads(struct daemon *daemon, const struct config *config,
                                       struct strbuf *why)
{
    struct resolver_options options = dns_options(&config->dns);

    threads_prepare();
    start_log_thread(daemon);
    daemon->resolver = resolver_new(&options, daemon->logger, why);
    return daemon->resolver != NULL ? STATUS_OK : STATUS_INVALID;
}

/* The rules are read as the user who will read them again at each reload. */
static enum status load(struct daemon *daemon, const struct config *config, struct strbuf *why)
{
    struct diag diag;
    struct timespec now;

    diag_init(&diag, reload_log_item, daemon->logger);
    struct ruleset *ruleset = ruleset_load(config->path, &diag);

    if (ruleset == NULL) {
        strbuf_appendf(why, "%s: %zu error%s: see postern -t", config->path, diag.errors,
                       diag.errors == 1 ? "" : "s");
        return STATUS_INVALID;
    }
    ruleset_prepare(ruleset);
    /* No session is to meet a list of which nobody knows whether it still exists. */
    dns_lists_probe(ruleset_dns_lists(ruleset), daemon->resolver, daemon->logger,
                    dns_now() + (int64_t)config->dns.timeout_ms * 1000000);
    daemon->snapshot = snapshot_new(ruleset);
    reload_init(&daemon->reload, config, daemon->snapshot, daemon->resolver, daemon->logger,
                &daemon->stats);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    daemon->report = (struct report){.snapshot = daemon->snapshot,
                                     .reload = &daemon->reload,
                                     .stats = &daemon->stats,
                                     .resolver = daemon->resolver,
                                     .started = now.tv_sec};
    daemon->callbacks.snapshot = daemon->snapshot;
    daemon->callbacks.logger = daemon->logger;
    daemon->callbacks.stats = &daemon->stats;
    daemon->callbacks.resolver = daemon->resolver;
    daemon->callbacks.relayers = &daemon->services.gate.lookup;
    return STATUS_OK;
}

/* ---- run ---- */

static void reload_by_signal(struct daemon *daemon)
{
    notify_reloading();
    (void)reload_run(&daemon->reload, NULL);
    notify_send("READY=1");
}

/* True: SIGTERM or SIGINT came. */
static bool read_signals(struct daemon *daemon)
{
    struct signalfd_siginfo info;
    bool reload = false;
    bool stop = false;

    while (read(daemon->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        reload = reload || info.ssi_signo == SIGHUP;
        stop = stop || info.ssi_signo != SIGHUP;
    }
    if (reload && !stop) {
        reload_by_signal(daemon);
    }
    return stop;
}

/* 0: asked to stop; 1: libmilter gave up. */
static int main_loop(struct daemon *daemon)
{
    struct pollfd polls[2] = {{.fd = daemon->signals, .events = POLLIN},
                              {.fd = daemon->ended, .events = POLLIN}};

    for (;;) {
        if (poll(polls, 2, -1) < 0) {
            continue;
        }
        if (polls[1].revents != 0) {
            note(daemon, LOG_LEVEL_ERROR, "stop", "error",
                 "libmilter gave up; its lines in the mail log say why");
            return 1;
        }
        if (read_signals(daemon)) {
            return 0;
        }
    }
}

/*
 * No new MTA connections; messages under way get time. A second signal ends the waiting. libmilter's threads end with the
 * process: smfi_stop() would leave their sessions hanging all the same.
 */
static void drain(struct daemon *daemon)
{
    for (int waited = 0; waited < DRAIN_MS && stats_level(&daemon->stats.messages_open) > 0;
         waited += DRAIN_STEP_MS) {
        struct pollfd signals = {.fd = daemon->signals, .events = POLLIN};

        if (poll(&signals, 1, DRAIN_STEP_MS) > 0 && read_signals(daemon)) {
            return;
        }
    }
    (void)poll(NULL, 0, SETTLE_MS);
}

static void close_sockets(struct daemon *daemon)
{
    services_close_sockets(&daemon->services);
    listener_close(&daemon->milter_socket);
    pid_file_remove(&daemon->pid_file);
}

/* What libraries keep for the whole process goes when it ends: no thread of ours may be in them then. */
static void stop_compiling(struct daemon *daemon)
{
    struct ruleset *ruleset = snapshot_get(daemon->snapshot);

    ruleset_stop(ruleset);
    ruleset_unref(&ruleset);
}

static int serve(struct daemon *daemon)
{
    char version[16];

    log_printf(daemon->logger, LOG_LEVEL_INFO,
               "event=start result=ready pid=%ld version=%s libmilter=%s", (long)getpid(),
               PACKAGE_VERSION, mfi_libmilter_version(version, sizeof(version)));
    notify_send("READY=1\nSTATUS=serving");
    if (daemon->ready >= 0) {
        background_ready(daemon->ready);
    }
    int result = main_loop(daemon);

    notify_send("STOPPING=1\nSTATUS=finishing messages");
    log_printf(daemon->logger, LOG_LEVEL_INFO, "event=stop sessions_open=%lld messages_open=%lld",
               (long long)stats_level(&daemon->stats.sessions_open),
               (long long)stats_level(&daemon->stats.messages_open));
    close_sockets(daemon);
    if (result == 0) {
        drain(daemon);
    }
    services_stop(&daemon->services);
    (void)eventfd_write(daemon->stop, 1);
    (void)pthread_join(daemon->watch, NULL);
    resolver_stop(daemon->resolver);
    stop_compiling(daemon);
    log_printf(daemon->logger, LOG_LEVEL_INFO, "event=stop result=done");
    log_flush(daemon->logger);
    return result;
}

/* Warnings come when the rules are loaded, to the log. */
static void print_error(void *ctx, const struct diag_item *item)
{
    (void)ctx;
    if (item->level == DIAG_ERROR) {
        diag_to_stream(stderr, item);
    }
}

/* What this allocates and threads of libmilter may still use lives until the process ends. */
int daemon_run(const struct daemon_options *options)
{
    static struct daemon daemon = {.ready = -1, .pid_file = {.fd = -1}};
    struct diag diag;
    struct strbuf why;

    daemon.options = options;
    listener_init(&daemon.milter_socket);
    diag_init(&diag, print_error, NULL);
    struct config *config = config_load(options->config_path, &diag);

    if (config == NULL) {
        return 1;
    }
    daemon.logger = log_new(options->foreground ? LOG_TARGET_STDERR : LOG_TARGET_SYSLOG, "postern",
                            config->log_facility, config->log_level);
    services_init(&daemon.services, daemon.logger);
    strbuf_init(&why);
    int result = 1;

    if (!mfi_libmilter_init("postern", callbacks_filter(), &daemon.callbacks)) {
        strbuf_append(&why, "this libmilter does not fit the one that postern was built with");
    }
    if (why.len > 0 || prepare(&daemon, config, &why) != STATUS_OK ||
        start_first_threads(&daemon, config, &why) != STATUS_OK ||
        load(&daemon, config, &why) != STATUS_OK ||
        start_threads(&daemon, config, &why) != STATUS_OK) {
        complain(&daemon, why.data);
        resolver_stop(daemon.resolver);
        close_sockets(&daemon);
        services_stop(&daemon.services);
        log_flush(daemon.logger);
    } else {
        result = serve(&daemon);
    }
    strbuf_fini(&why);
    config_free(&config);
    return result;
}
