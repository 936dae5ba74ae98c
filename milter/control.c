/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/control.h"
#include "lib/base/xalloc.h"
#include "milter/workers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line that does not end is answered, not obeyed. */
#define TOO_LONG "{\"version\":1,\"error\":\"the request is too long\"}\n"

struct control {
    struct server *server;
    struct workers *workers;
    control_handler *handler;
    void *owner;
};

struct job {
    struct workers_job link;
    struct control *control;
    struct server_answer *answer;
    char *line;
    int descriptor;
};

/* In one of the workers' threads. */
static void carry_out(void *owner)
{
    struct job *job = owner;
    char *answer = job->control->handler(job->control->owner, job->line, job->descriptor);
    size_t len = strlen(answer);

    answer[len] = '\n'; /* in the place of the NUL byte */
    server_keep_owned(job->answer, answer, len + 1);
    if (job->descriptor >= 0) {
        (void)close(job->descriptor);
    }
    free(job->line);
    free(job);
}

static size_t take_request(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct control *control = owner;
    const char *end = memchr(data, '\n', len);

    if (end == NULL && len < CONTROL_MAX_REQUEST) {
        return SERVER_INCOMPLETE;
    }
    if (end == NULL) {
        server_reply(client, TOO_LONG, strlen(TOO_LONG));
        return SERVER_END;
    }
    struct job *job = xcalloc(1, sizeof(*job));

    job->link = (struct workers_job){.run = carry_out, .owner = job};
    job->control = control;
    job->answer = server_promise(client);
    job->line = xstrndup(data, (size_t)(end - data));
    job->descriptor = server_take_descriptor(client);
    workers_submit(control->workers, &job->link);
    return (size_t)(end - data) + 1;
}

struct control *control_start(struct eventloop *loop, int listen_fd, control_handler *handler,
                              void *owner, struct logger *logger)
{
    static const struct server_protocol protocol = {
        .name = "control",
        .max_request = CONTROL_MAX_REQUEST,
        .max_clients = CONTROL_MAX_CLIENTS,
        .max_unanswered = 1,
        .request_ms = CONTROL_DEADLINE_MS,
        .idle_ms = CONTROL_DEADLINE_MS,
        .one_request = true,
        .takes_descriptor = true,
        .request = take_request,
    };
    struct control *control = xcalloc(1, sizeof(*control));

    control->handler = handler;
    control->owner = owner;
    control->workers = workers_new(CONTROL_THREADS);
    if (control->workers == NULL) {
        (void)close(listen_fd);
        free(control);
        return NULL;
    }
    control->server = server_new(loop, &protocol, control, listen_fd, logger);
    return control;
}

void control_stop(struct control **control)
{
    if (*control == NULL) {
        return;
    }
    server_finish((*control)->server);
    workers_free(&(*control)->workers);
    server_free(&(*control)->server);
    free(*control);
    *control = NULL;
}
