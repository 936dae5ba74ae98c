/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/load.h"

#include "tests/bench/timers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LOAD_EVENTS = 256, LOAD_MAX_ERRORS = 20 };

static const uint64_t second_ns = 1000000000u;
static const uint64_t sample_ns = 50000000u; /* memory is looked at this often */

enum phase { PHASE_WARMUP, PHASE_MEASURE, PHASE_FINISH };

struct load {
    const struct load_options *options;
    struct session_world world;
    struct report *report;
    enum phase phase;
    int epoll;
    uint64_t next_session;
    uint64_t begun_ns;
    uint64_t next_sample_ns;
    uint64_t next_message_ns; /* with a rate */
    double own_cpu_at_begin;
    bool failed;       /* the filter cannot be reached: no sense in going on */
    unsigned unopened; /* timers that will open a connection */
    struct session *sessions;
    struct timers timers;
    char open_slot; /* its address stands for "open a connection" in a timer */
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * second_ns + (uint64_t)time.tv_nsec;
}

static double own_cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void take_sample(struct load *load, struct proc_sample *sample_out)
{
    if (load->options->pid == 0)
        return;
    if (proc_sample(load->options->pid, sample_out))
        proc_keep_peak(&load->report->peak, sample_out);
    else if (load->phase != PHASE_FINISH)
        stats_error(load->world.stats, "the filter process is gone");
}

static void begin_measure(struct load *load)
{
    stats_restart(load->world.stats);
    load->phase = PHASE_MEASURE;
    load->world.recording = true;
    load->begun_ns = load->world.now_ns;
    load->own_cpu_at_begin = own_cpu();
    take_sample(load, &load->report->before);
}

static void settle(struct load *load, struct session *session);

/* Sessions under way end as they would; nothing more is counted but errors. */
static void begin_finish(struct load *load)
{
    if (load->phase == PHASE_FINISH)
        return;
    if (load->phase == PHASE_WARMUP)
        begin_measure(load);
    load->report->seconds = (double)(now() - load->begun_ns) / (double)second_ns;
    load->report->own_cpu_seconds = own_cpu() - load->own_cpu_at_begin;
    take_sample(load, &load->report->after);
    load->phase = PHASE_FINISH;
    load->world.recording = false;
    load->world.finishing = true;
    struct session *next;
    for (struct session *session = load->sessions; session != NULL; session = next) {
        next = session->next;
        if (session->state == SESSION_BETWEEN)
            settle(load, session);
    }
}

static void watch(struct load *load, struct session *session, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (session->awaits_write ? EPOLLOUT : 0),
                                .data.ptr = session};
    if (epoll_ctl(load->epoll, operation, session->fd, &event) != 0) {
        perror("milterload: epoll_ctl");
        exit(75);
    }
}

static void open_session(struct load *load)
{
    struct session *session = session_open(&load->world, load->next_session++);
    if (session == NULL) {
        load->failed = true;
        return;
    }
    session->next = load->sessions;
    if (load->sessions != NULL)
        load->sessions->prev = session;
    load->sessions = session;
    watch(load, session, EPOLL_CTL_ADD);
    if (load->world.recording)
        load->world.stats->sessions++;
}

static void drop_session(struct load *load, struct session *session)
{
    if (session->scheduled)
        timers_remove(&load->timers, session);
    if (session->prev != NULL)
        session->prev->next = session->next;
    else
        load->sessions = session->next;
    if (session->next != NULL)
        session->next->prev = session->prev;
    session_free(session);
}

static void schedule(struct load *load, struct session *session, uint64_t due_ns)
{
    timers_add(&load->timers, due_ns, session);
    session->scheduled = true;
}

/* Starts the next message now, or when its turn comes. */
static void between_messages(struct load *load, struct session *session)
{
    struct session_world *world = &load->world;
    if (world->finishing) {
        if (session->scheduled)
            timers_remove(&load->timers, session);
        session->scheduled = false;
        session_leave(world, session);
        return;
    }
    if (load->options->rate > 0) {
        load->next_message_ns += (uint64_t)((double)second_ns / load->options->rate);
        if (load->next_message_ns > world->now_ns) {
            schedule(load, session, load->next_message_ns);
            return;
        }
    }
    session_begin_message(world, session);
}

/* Brings loop and session together again after anything has happened to the session. It may be freed. */
static void settle(struct load *load, struct session *session)
{
    struct session_world *world = &load->world;
    while (session->state == SESSION_BETWEEN && (!session->scheduled || world->finishing))
        between_messages(load, session);
    if (session->state == SESSION_THINKING && !session->scheduled)
        schedule(load, session, world->now_ns + world->options->think_ns);
    bool leaves = session->state == SESSION_CLOSING || session->state == SESSION_OVER;
    bool replace = leaves && !session->replaced;
    session->replaced |= leaves;
    if (session->state == SESSION_OVER) {
        drop_session(load, session);
    } else if (session->awaits_write != session_has_output(session)) {
        session->awaits_write = !session->awaits_write;
        watch(load, session, EPOLL_CTL_MOD);
    }
    if (replace && !world->finishing)
        open_session(load);
}

static void run_timers(struct load *load)
{
    void *what;
    while (timers_take(&load->timers, load->world.now_ns, &what)) {
        if (what == &load->open_slot) {
            load->unopened--;
            if (!load->world.finishing)
                open_session(load);
            continue;
        }
        struct session *session = what;
        session->scheduled = false;
        if (session->state == SESSION_BETWEEN)
            session_begin_message(&load->world, session);
        else
            session_resume(&load->world, session);
        settle(load, session);
    }
}

static void check_timeouts(struct load *load)
{
    uint64_t limit = (uint64_t)(load->options->timeout_s * (double)second_ns);
    struct session *next;
    for (struct session *session = load->sessions; session != NULL; session = next) {
        next = session->next;
        bool waits = session->state == SESSION_BUSY || session->state == SESSION_CLOSING;
        uint64_t since = session->sent_ns > session->progress_ns ? session->sent_ns
                                                                 : session->progress_ns;
        if (waits && load->world.now_ns > since + limit) {
            session_timeout(&load->world, session);
            settle(load, session);
        }
    }
}

/* Not between the events of one batch: it can free sessions that one of them is for. */
static void check_phase(struct load *load)
{
    const struct load_options *options = load->options;
    struct session_world *world = &load->world;
    if (load->phase == PHASE_WARMUP && world->completed >= options->warmup)
        begin_measure(load);
    if (load->phase == PHASE_MEASURE) {
        double seconds = (double)(world->now_ns - load->begun_ns) / (double)second_ns;
        if ((options->messages > 0 && world->stats->messages >= options->messages) ||
            (options->seconds > 0 && seconds >= options->seconds))
            begin_finish(load);
    }
    if (load->failed || world->stats->errors >= LOAD_MAX_ERRORS)
        begin_finish(load);
    if (world->now_ns >= load->next_sample_ns) {
        struct proc_sample sample;
        load->next_sample_ns = world->now_ns + sample_ns;
        take_sample(load, &sample);
        check_timeouts(load);
    }
}

static int wait_ms(const struct load *load)
{
    uint64_t next = timers_next(&load->timers);
    if (next > load->next_sample_ns)
        next = load->next_sample_ns;
    return next <= load->world.now_ns ? 0 : (int)((next - load->world.now_ns + 999999) / 1000000);
}

static void handle(struct load *load, const struct epoll_event *event)
{
    struct session *session = event->data.ptr;
    if ((event->events & EPOLLOUT) != 0)
        session_flush(&load->world, session);
    if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && session->state != SESSION_OVER)
        session_readable(&load->world, session);
    settle(load, session);
}

static void load_loop(struct load *load)
{
    struct epoll_event events[LOAD_EVENTS];
    while (load->sessions != NULL || (load->unopened > 0 && !load->world.finishing)) {
        int count = epoll_wait(load->epoll, events, LOAD_EVENTS, wait_ms(load));
        for (int i = 0; i < count; i++) {
            load->world.now_ns = now();
            handle(load, &events[i]);
        }
        load->world.now_ns = now();
        run_timers(load);
        check_phase(load);
    }
}

void load_run(const struct load_options *options, struct stats *stats, struct report *report_out)
{
    struct load load = {
        .options = options,
        .world = {.options = &options->session, .stats = stats, .now_ns = now()},
        .report = report_out,
        .unopened = options->connections,
    };
    *report_out = (struct report){
        .options = &options->session,
        .stats = stats,
        .connections = options->connections,
        .has_process = options->pid != 0,
    };
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0) {
        perror("milterload: epoll_create1");
        exit(75);
    }
    load.next_message_ns = load.world.now_ns;
    for (unsigned i = 0; i < options->connections; i++)
        timers_add(&load.timers, load.world.now_ns + (uint64_t)(options->ramp_ms * 1e6 * i),
                   &load.open_slot);
    if (options->warmup == 0)
        begin_measure(&load);
    run_timers(&load);
    load_loop(&load);
    timers_free(&load.timers);
    close(load.epoll);
}
