/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "milter/crash.h"
#include "milter/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- threads ---- */

static void *look(void *arg)
{
    int *policy = arg;

    *policy = sched_getscheduler(0);
    return NULL;
}

static void test_threads_have_small_stacks_and_do_not_interrupt(void **state)
{
    pthread_attr_t attributes;
    pthread_t thread;
    size_t stack = 0;
    int policy = -1;

    (void)state;
    threads_prepare();
    assert_int_equal(pthread_getattr_default_np(&attributes), 0);
    assert_int_equal(pthread_attr_getstacksize(&attributes, &stack), 0);
    (void)pthread_attr_destroy(&attributes);
#if !defined(__SANITIZE_THREAD__) /* which needs more for itself */
    assert_int_equal(stack, THREADS_STACK_SIZE);
#endif
    assert_true(stack >= THREADS_STACK_SIZE);
    assert_int_equal(pthread_create(&thread, NULL, look, &policy), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(policy, SCHED_BATCH);
}

static void test_a_policy_that_somebody_chose_stays(void **state)
{
    const struct sched_param no_priority = {.sched_priority = 0};

    (void)state;
    assert_int_equal(sched_setscheduler(0, SCHED_IDLE, &no_priority), 0);
    threads_prepare();
    assert_int_equal(sched_getscheduler(0), SCHED_IDLE);
}

/* ---- crash ---- */

/* What a process writes to standard error that logs a line and then dies by that signal; the status that it ends with. */
static int crash_with(int signal_number, char *text, size_t size)
{
    int ends[2];
    int status = 0;
    size_t len = 0;
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct logger *logger = log_new(LOG_TARGET_STDERR, "test", "mail", LOG_LEVEL_INFO);

        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(signal_number, SIG_DFL);
        if (!log_start_thread(logger)) {
            _exit(3);
        }
        crash_catch(logger);
        log_line(logger, LOG_LEVEL_INFO, "event=first");
        log_flush(logger);
        /* The thread now waits for more to go out together. */
        log_line(logger, LOG_LEVEL_INFO, "event=last");
        (void)raise(signal_number);
        _exit(4);
    }
    (void)close(ends[1]);
    while (len < size - 1 && (got = read(ends[0], text + len, size - 1 - len)) > 0) {
        len += (size_t)got;
    }
    text[len] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_a_crash_still_writes_the_log(void **state)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    char text[16384];

    (void)state;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        int status = crash_with(signals[i], text, sizeof(text));

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i]);
        assert_non_null(strstr(text, "event=first\nevent=last\n"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_crash_still_writes_the_log),
        cmocka_unit_test(test_threads_have_small_stacks_and_do_not_interrupt),
        cmocka_unit_test(test_a_policy_that_somebody_chose_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
