/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/logqueue.h"
#include "lib/base/strbuf.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINES 20000u

/* What was written; the writing can be made to stand still. */
struct sink {
    pthread_mutex_t gate; /* held: nothing can be written */
    struct strbuf text;
    size_t lost;
    unsigned calls;
};

static void sink_write(void *ctx, const char *bytes, size_t len, size_t lost)
{
    struct sink *sink = ctx;

    (void)pthread_mutex_lock(&sink->gate);
    strbuf_append_len(&sink->text, bytes, len);
    sink->lost += lost;
    sink->calls++;
    (void)pthread_mutex_unlock(&sink->gate);
}

static void sink_init(struct sink *sink)
{
    *sink = (struct sink){.calls = 0};
    (void)pthread_mutex_init(&sink->gate, NULL);
    strbuf_init(&sink->text);
}

static void sink_fini(struct sink *sink)
{
    strbuf_fini(&sink->text);
    (void)pthread_mutex_destroy(&sink->gate);
}

static void put(struct logqueue *queue, const char *text, bool urgent)
{
    const struct iovec part = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};

    logqueue_put(queue, &part, 1, urgent);
}

static double seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_what_is_put_is_written_in_order(void **state)
{
    struct sink sink;

    (void)state;
    sink_init(&sink);
    struct logqueue *queue = logqueue_start(sink_write, &sink);

    assert_non_null(queue);
    put(queue, "one\n", false);
    put(queue, "two\n", true);
    assert_true(logqueue_flush(queue, 5000));
    assert_string_equal(sink.text.data, "one\ntwo\n");
    put(queue, "three\n", false);
    logqueue_stop(&queue, 5000);
    assert_null(queue);
    assert_string_equal(sink.text.data, "one\ntwo\nthree\n");
    assert_int_equal(sink.lost, 0);
    sink_fini(&sink);
}

static void test_parts_of_a_record_stand_together(void **state)
{
    const struct iovec parts[] = {
        {.iov_base = (char *)(uintptr_t) "<6>", .iov_len = 3},
        {.iov_base = (char *)(uintptr_t) "text", .iov_len = 4},
        {.iov_base = (char *)(uintptr_t) "\n", .iov_len = 1},
    };
    struct sink sink;

    (void)state;
    sink_init(&sink);
    struct logqueue *queue = logqueue_start(sink_write, &sink);

    logqueue_put(queue, parts, 3, false);
    logqueue_stop(&queue, 5000);
    assert_string_equal(sink.text.data, "<6>text\n");
    sink_fini(&sink);
}

static void *put_many(void *arg)
{
    struct logqueue *queue = arg;

    for (unsigned i = 0; i < LINES; i++) {
        put(queue, "0123456789\n", false);
        if (i % 1000 == 0) {
            (void)logqueue_flush(queue, 5000);
        }
    }
    return NULL;
}

static void test_threads_lose_and_mix_nothing(void **state)
{
    pthread_t threads[4];
    struct sink sink;

    (void)state;
    sink_init(&sink);
    struct logqueue *queue = logqueue_start(sink_write, &sink);

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, queue), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    logqueue_stop(&queue, 5000);
    assert_int_equal(sink.text.len / 11 + sink.lost, 4 * LINES);
    for (size_t at = 0; at < sink.text.len; at += 11) {
        assert_memory_equal(sink.text.data + at, "0123456789\n", 11);
    }
    assert_true(sink.calls < LINES); /* many at once */
    sink_fini(&sink);
}

/* A disk that stands still holds up nobody who logs, and takes no more memory than the queue has. */
static void test_a_log_that_stands_still_loses_lines_but_no_time(void **state)
{
    struct sink sink;
    char line[1024];

    (void)state;
    sink_init(&sink);
    (void)memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    (void)pthread_mutex_lock(&sink.gate);
    struct logqueue *queue = logqueue_start(sink_write, &sink);
    const double begin = seconds_now();

    for (unsigned i = 0; i < 2000; i++) {
        put(queue, line, true);
    }
    assert_true(seconds_now() - begin < 1.0);
    assert_false(logqueue_flush(queue, 20));
    (void)pthread_mutex_unlock(&sink.gate);
    logqueue_stop(&queue, 5000);
    assert_true(sink.lost > 0);
    assert_true(sink.text.len <= 2 * (size_t)LOGQUEUE_SIZE);
    assert_int_equal(sink.text.len / 1023 + sink.lost, 2000);
    sink_fini(&sink);
}

static void test_a_line_alone_goes_out_by_itself(void **state)
{
    struct sink sink;
    bool written = false;

    (void)state;
    sink_init(&sink);
    struct logqueue *queue = logqueue_start(sink_write, &sink);

    for (int round = 0; round < 3; round++) {
        put(queue, "line\n", false);
        for (int i = 0; i < 500 && !written; i++) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
            (void)pthread_mutex_lock(&sink.gate);
            written = sink.text.len == (size_t)(round + 1) * 5;
            (void)pthread_mutex_unlock(&sink.gate);
        }
        assert_true(written);
        written = false;
    }
    logqueue_stop(&queue, 5000);
    sink_fini(&sink);
}

static void test_what_has_not_gone_out_can_be_saved(void **state)
{
    struct sink sink;
    size_t len = 0;

    (void)state;
    sink_init(&sink);
    (void)pthread_mutex_lock(&sink.gate);
    struct logqueue *queue = logqueue_start(sink_write, &sink);

    /* The thread takes the first one and stands still; the others wait. */
    put(queue, "taken\n", true);
    for (int i = 0; i < 500; i++) {
        (void)logqueue_rest(queue, &len);
        if (len == 0) {
            break;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    put(queue, "left\n", true);
    const char *rest = logqueue_rest(queue, &len);

    assert_int_equal(len, 5);
    assert_memory_equal(rest, "left\n", 5);
    (void)pthread_mutex_unlock(&sink.gate);
    logqueue_stop(&queue, 5000);
    assert_string_equal(sink.text.data, "taken\nleft\n");
    sink_fini(&sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_is_written_in_order),
        cmocka_unit_test(test_parts_of_a_record_stand_together),
        cmocka_unit_test(test_threads_lose_and_mix_nothing),
        cmocka_unit_test(test_a_log_that_stands_still_loses_lines_but_no_time),
        cmocka_unit_test(test_a_line_alone_goes_out_by_itself),
        cmocka_unit_test(test_what_has_not_gone_out_can_be_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
