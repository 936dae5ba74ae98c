/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/control_client.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/policy/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_SECONDS 60 /* a reload reads all lists before it answers */
#define ANSWER_MAX (256u << 20)

/* ---- which socket ---- */

/* The value of `control_socket = "..."` if the line is that, else NULL; free() it. */
static char *value_in_line(const char *line)
{
    static const char key[] = "control_socket";
    const char *at = line + strspn(line, " \t");

    if (strncmp(at, key, strlen(key)) != 0) {
        return NULL;
    }
    at += strlen(key);
    at += strspn(at, " \t");
    if (*at != '=') {
        return NULL;
    }
    at++;
    at += strspn(at, " \t");
    if (*at != '"' && *at != '\'') {
        return NULL;
    }
    const char *end = strchr(at + 1, *at);

    return end == NULL ? NULL : xstrndup(at + 1, (size_t)(end - at - 1));
}

/* The control socket of a file that has errors elsewhere; free() it. */
static char *socket_of_broken_file(const char *path)
{
    char *found = xstrdup(POSTERN_RUNSTATEDIR "/control.sock");
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    while (file != NULL && getline(&line, &size, file) > 0) {
        char *value = value_in_line(line);

        if (value != NULL) {
            free(found);
            found = value;
        }
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

char *control_client_socket(const struct ctl *ctl)
{
    struct diag diag;

    diag_init(&diag, NULL, NULL);
    struct config *config = config_load(ctl->config_path, &diag);

    if (config == NULL) {
        return socket_of_broken_file(ctl->config_path);
    }
    char *path = xstrdup(config->control_socket);

    config_free(&config);
    return path;
}

/* ---- question and answer ---- */

int control_client_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    int error = errno;

    if (fd >= 0) {
        (void)close(fd);
    }
    errno = error;
    return -1;
}

/* Sends the request, and with its first byte the file. */
static bool send_request(int fd, const char *request, int descriptor)
{
    struct strbuf line;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct msghdr message = {.msg_iovlen = 1};

    strbuf_init(&line);
    strbuf_appendf(&line, "%s\n", request);
    struct iovec part = {line.data, line.len};

    message.msg_iov = &part;
    if (descriptor >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof(control.room);
        control.head = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.head), &descriptor, sizeof(descriptor));
    }
    bool sent = sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)line.len;

    strbuf_fini(&line);
    return sent;
}

/* Sends the request and reads until the daemon closes. False: errno says why. */
static bool exchange(int fd, const char *request, int descriptor, struct strbuf *answer)
{
    char part[65536];
    ssize_t got;

    if (!send_request(fd, request, descriptor)) {
        return false;
    }
    while ((got = read(fd, part, sizeof(part))) > 0 && answer->len < ANSWER_MAX) {
        strbuf_append_len(answer, part, (size_t)got);
    }
    if (got > 0) {
        errno = EMSGSIZE;
    }
    return got == 0;
}

json_t *control_client_ask_at(const struct ctl *ctl, const char *path, const char *request,
                              int descriptor)
{
    int fd = control_client_connect(path);

    if (fd < 0) {
        ctl_complain(ctl, "no daemon answers on %s: %s", path, strerror(errno));
        return NULL;
    }
    struct strbuf text;

    strbuf_init(&text);
    json_t *answer = NULL;

    if (!exchange(fd, request, descriptor, &text)) {
        ctl_complain(ctl, "%s: %s", path,
                     errno == EAGAIN ? "the daemon does not answer" : strerror(errno));
    } else {
        answer = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(answer) || json_object_get(answer, "error") != NULL) {
            ctl_complain(ctl, "%s: %s", path,
                         answer == NULL ? "the daemon went away without an answer"
                                        : control_client_text(answer, "error"));
            json_decref(answer);
            answer = NULL;
        }
    }
    strbuf_fini(&text);
    (void)close(fd);
    return answer;
}

json_t *control_client_ask(const struct ctl *ctl, const char *request)
{
    char *path = control_client_socket(ctl);
    json_t *answer = NULL;

    if (*path == '\0') {
        ctl_complain(ctl, "%s: control_socket is empty: the daemon cannot be asked",
                     ctl->config_path);
    } else {
        answer = control_client_ask_at(ctl, path, request, -1);
    }
    free(path);
    return answer;
}

/* ---- helpers of the verbs ---- */

bool control_client_arguments(struct ctl *ctl, int argc, char **argv, const char *help,
                              int *code_out)
{
    static const struct option options[] = {CTL_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, CTL_SHORT_OPTIONS, options, NULL)) != -1) {
        if (!ctl_option(ctl, option, optarg)) {
            *code_out = option == 'h' ? ctl_help(ctl, help) : ctl_usage(ctl, "unknown option");
            return false;
        }
    }
    if (optind < argc) {
        *code_out = ctl_usage(ctl, "%s takes no arguments", ctl->verb);
        return false;
    }
    return true;
}

json_int_t control_client_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

const char *control_client_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}
