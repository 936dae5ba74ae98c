/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * postern-login: runs between the login of a POP or IMAP client and the program that serves it (Dovecot's script-login), tells the
 * daemon who logged in, and becomes that program. With --pam it is started by pam_exec, tells who logged in or out, and ends.
 *
 * Whatever goes wrong, the login goes on: it takes a second at most, says one line on standard error and nothing on
 * standard output, which is the client's connection.
 */
#include "ctl/login_hook_pam.h"
#include "lib/base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 1000    /* for all of it */
#define PAM_LIMIT_MS 900 /* the rest is for the system's log, which may hang as well */
#define RETRY_MS 20      /* when the daemon's queue of connections is full, or nobody listens */
#define ABSENT_MS 300    /* the longest wait for a daemon that starts again, or is not there */
#define ANSWER_MAX 512u
#define MAY_PASS "err temporary: " /* the daemon keeps the login, and tries again itself */
#define LINE_MAX_BYTES 1024
#define NO_PROGRAM 127 /* what a shell says, too */

static const char usage[] =
    "usage: postern-login [-s SOCKET] [--service NAME] [--] [PROGRAM ARGUMENT...]\n"
    "       postern-login --pam [-s SOCKET] [--service NAME]\n"
    "Tells the postern daemon that the client with the address $IP has logged in as $USER, and becomes PROGRAM.\n"
    "With --pam it is started by pam_exec and reads $PAM_RHOST, $PAM_USER, $PAM_SERVICE and $PAM_TYPE.\n";

struct hook {
    const char *socket;
    const char *service;
    bool pam;
    int64_t deadline; /* monotonic milliseconds */
};

/*
 * One line on standard error: Dovecot's log; pam_exec closes that, so with --pam it goes to the system's log, too. What others wrote (the
 * client's address, the answer) cannot make two of it.
 */
__attribute__((format(printf, 2, 3))) static void complain(const struct hook *hook,
                                                           const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *c = line; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '?';
        }
    }
    (void)fprintf(stderr, "postern-login: %s\n", line);
    if (hook->pam) {
        openlog("postern-login", LOG_PID, LOG_MAIL);
        syslog(LOG_WARNING, "%s", line);
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the descriptor (-1: for nothing), but not beyond the deadline and `most` milliseconds. False: the time is over. */
static bool wait_for(const struct hook *hook, int fd, short events, int most)
{
    int64_t left = hook->deadline - now_ms();
    struct pollfd poll_fd = {.fd = fd, .events = events};

    if (left <= 0) {
        errno = ETIMEDOUT;
        return false;
    }
    (void)poll(&poll_fd, 1, left < most ? (int)left : most);
    return true;
}

/* Above standard input, output and error, even if one of them is closed. */
static int make_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || fd > STDERR_FILENO) {
        return fd;
    }
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = errno;

    (void)close(fd);
    errno = error;
    return higher;
}

/* May another attempt to connect succeed, after this error? */
static bool is_passing(int error, int64_t begun)
{
    switch (error) {
    case EAGAIN:
    case EINTR:
        return true;
    case ENOENT:
    case ECONNREFUSED:
        return now_ms() - begun < ABSENT_MS;
    default:
        return false;
    }
}

/* -1: errno says why. */
static int connect_to_daemon(const struct hook *hook)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(hook->socket) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    (void)memcpy(address.sun_path, hook->socket, strlen(hook->socket) + 1);
    int fd = make_socket();
    int64_t begun = now_ms();

    while (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (!is_passing(errno, begun) || !wait_for(hook, -1, 0, RETRY_MS)) {
            int error = errno;

            (void)close(fd);
            errno = error;
            return -1;
        }
    }
    return fd;
}

static bool is_early(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static bool send_all(const struct hook *hook, int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t put = send(fd, data, len, MSG_NOSIGNAL);

        if (put < 0 && (!is_early() || !wait_for(hook, fd, POLLOUT, LIMIT_MS))) {
            return false;
        }
        data += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* The answer, without its newline. */
static bool receive_line(const struct hook *hook, int fd, char answer[ANSWER_MAX])
{
    size_t len = 0;

    while (len < ANSWER_MAX - 1) {
        ssize_t got = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0);

        if (got == 0) {
            errno = ECONNRESET;
            return false;
        }
        if (got < 0 && (!is_early() || !wait_for(hook, fd, POLLIN, LIMIT_MS))) {
            return false;
        }
        len += got > 0 ? (size_t)got : 0;
        answer[len] = '\0';
        if (strchr(answer, '\n') != NULL) {
            break;
        }
    }
    answer[strcspn(answer, "\n")] = '\0';
    return true;
}

static const char *value_of(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

/* A text that the daemon would refuse is left out: the login counts all the same. */
static const char *unless_longer(const char *text, size_t most)
{
    return strlen(text) <= most ? text : "";
}

/* What Dovecot says: the environment of a post-login script. */
static void read_dovecot(const struct hook *hook, struct login_report *report)
{
    const char *service = *value_of("SERVICE") != '\0' ? value_of("SERVICE") : value_of("PROTOCOL");

    *report = (struct login_report){
        .verb = "login",
        .address = value_of("IP"),
        .user = value_of("USER"),
        .service = hook->service != NULL ? hook->service : service,
    };
}

/* `login ADDR user=U service=S session=ID`, with a newline. */
static void format_request(const struct login_report *report, struct strbuf *request)
{
    const struct relay_entry entry = {.user = unless_longer(report->user, RELAY_USER_MAX),
                                      .service = unless_longer(report->service, RELAY_SERVICE_MAX)};
    struct strbuf words;

    strbuf_init(&words);
    relay_entry_format_value(&entry, &words);
    strbuf_appendf(request, "%s %s%s", report->verb, report->address,
                   words.data + strcspn(words.data, " ")); /* all but the date */
    if (*report->session != '\0') {
        strbuf_appendf(request, " session=%s", report->session);
    }
    strbuf_append_char(request, '\n');
    strbuf_fini(&words);
}

/* True: the daemon has it. */
static bool send_report(const struct hook *hook, const struct login_report *report)
{
    char answer[ANSWER_MAX] = "";
    struct strbuf request;

    strbuf_init(&request);
    format_request(report, &request);
    int fd = connect_to_daemon(hook);
    bool answered = fd >= 0 && send_all(hook, fd, request.data, request.len) &&
                    receive_line(hook, fd, answer);

    if (!answered) {
        complain(hook, "%s cannot be recorded: %s: %s", report->address, hook->socket,
                 strerror(errno));
    } else if (strncmp(answer, MAY_PASS, strlen(MAY_PASS)) == 0) {
        complain(hook, "%s is not recorded yet: %s", report->address, answer + strlen(MAY_PASS));
    } else if (strcmp(answer, "ok") != 0) {
        complain(hook, "%s is not recorded: %s", report->address,
                 strncmp(answer, "err ", 4) == 0 ? answer + 4 : answer);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    strbuf_fini(&request);
    return answered && strcmp(answer, "ok") == 0;
}

/* True: the address is recorded. */
static bool report_login(const struct hook *hook)
{
    struct login_report report;
    struct netaddr parsed;

    read_dovecot(hook, &report);
    if (!netaddr_parse(report.address, &parsed)) {
        complain(hook, "IP=\"%.64s\" in the environment is no address", report.address);
        return false;
    }
    return send_report(hook, &report);
}

/* ---- PAM ---- */

static void give_up(int signal)
{
    (void)signal;
    _exit(0);
}

/* Nothing that PAM's client waits for may take longer: not even the system's log. */
static void limit_time(void)
{
    const struct sigaction action = {.sa_handler = give_up};
    const struct itimerval second = {.it_value = {.tv_sec = LIMIT_MS / 1000}};

    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &second, NULL);
}

static void report_pam(const struct hook *hook)
{
    struct login_report report;
    const char *why = "";

    limit_time();
    switch (login_hook_pam_read(&report, &why)) {
    case LOGIN_HOOK_PAM_TELL:
        if (hook->service != NULL) {
            report.service = hook->service;
        }
        (void)send_report(hook, &report);
        break;
    case LOGIN_HOOK_PAM_REFUSED:
        complain(hook, "PAM_RHOST=\"%.64s\" PAM_TYPE=\"%.16s\" PAM_SERVICE=\"%.64s\": %s",
                 value_of("PAM_RHOST"), value_of("PAM_TYPE"), value_of("PAM_SERVICE"), why);
        break;
    case LOGIN_HOOK_PAM_SILENT:
        break;
    }
}

/* False: nothing is to be done. What is no option of ours is said, and the login goes on. */
static bool read_options(struct hook *hook, int argc, char **argv)
{
    static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                            {"service", required_argument, NULL, 'S'},
                                            {"pam", no_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "+s:h", options, NULL)) != -1) {
        if (option == 's') {
            hook->socket = optarg;
        } else if (option == 'S') {
            hook->service = optarg;
        } else if (option == 'p') {
            hook->pam = true;
            hook->deadline -= LIMIT_MS - PAM_LIMIT_MS;
        } else if (option == 'h') {
            (void)fputs(usage, stderr);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct hook hook = {.socket = POSTERN_RUNSTATEDIR "/popauth.sock",
                        .deadline = now_ms() + LIMIT_MS};

    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    bool saved = sigaction(SIGPIPE, &ignore, &before) ==
                 0; /* a log that nobody reads ends no login */

    if (!read_options(&hook, argc, argv)) {
        return 0;
    }
    if (hook.pam) {
        report_pam(&hook);
        return 0;
    }
    bool recorded = report_login(&hook);

    if (optind >= argc) {
        return recorded ? 0 : EX_TEMPFAIL;
    }
    if (saved) {
        (void)sigaction(SIGPIPE, &before, NULL);
    }
    (void)execvp(argv[optind], argv + optind);
    complain(&hook, "%s: %s", argv[optind], strerror(errno));
    return NO_PROGRAM;
}
