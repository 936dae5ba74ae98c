/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/xalloc.h"
#include "lib/table/pattern.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define THREADS 8u
#define ROUNDS 500u
#define LONG_SUBJECT ((size_t)64 << 10)
#define TOO_LONG_S 20.0

struct bench {
    struct pattern_engine *engine;
    struct pattern *pattern;
    struct pattern_scratch *scratch;
    const char *why;
};

static void bench_init(struct bench *bench, const char *pattern, unsigned flags)
{
    struct strbuf why;

    strbuf_init(&why);
    bench->engine = pattern_engine_new();
    bench->pattern = pattern_compile(bench->engine, pattern, strlen(pattern), flags, &why);
    if (bench->pattern == NULL) {
        fail_msg("%s: %s", pattern, why.data);
    }
    bench->scratch = pattern_scratch_get(bench->engine);
    bench->why = NULL;
    strbuf_fini(&why);
}

static void bench_fini(struct bench *bench)
{
    pattern_scratch_put(bench->engine, &bench->scratch);
    assert_null(bench->scratch);
    pattern_free(&bench->pattern);
    pattern_engine_free(&bench->engine);
    assert_null(bench->engine);
}

static enum pattern_result ask(struct bench *bench, const char *subject, size_t len)
{
    return pattern_match(bench->pattern, bench->scratch, subject, len, &bench->why);
}

static void test_wrong_patterns(void **state)
{
    static const struct {
        const char *pattern;
        const char *why;
    } cases[] = {
        {"(", "missing closing parenthesis at offset 1"},
        {"a)", "unmatched closing parenthesis at offset 1"},
        {"[b-a]", "range out of order in character class at offset 3"},
        {"*", "quantifier does not follow a repeatable item at offset 0"},
    };
    struct pattern_engine *engine = pattern_engine_new();

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strbuf why;

        strbuf_init(&why);
        assert_null(pattern_compile(engine, cases[i].pattern, strlen(cases[i].pattern), 0, &why));
        assert_string_equal(why.data, cases[i].why);
        strbuf_fini(&why);
    }
    pattern_engine_free(&engine);
}

static void test_groups(void **state)
{
    struct bench bench;
    size_t begin;
    size_t end;

    (void)state;
    bench_init(&bench, "(b)(x)?(c*)", 0);
    assert_int_equal(pattern_groups(bench.pattern), 3);
    assert_int_equal(ask(&bench, "abcc", 4), PATTERN_MATCH);
    assert_true(pattern_group(bench.scratch, 0, &begin, &end));
    assert_int_equal(begin, 1);
    assert_int_equal(end, 4);
    assert_false(pattern_group(bench.scratch, 2, &begin, &end));
    assert_int_equal(end, 0);
    assert_true(pattern_group(bench.scratch, 3, &begin, &end));
    assert_int_equal(begin, 2);
    assert_int_equal(end, 4);
    assert_false(pattern_group(bench.scratch, 4, &begin, &end));
    assert_int_equal(ask(&bench, "x", 1), PATTERN_NO_MATCH);
    bench_fini(&bench);
}

/* The scratch has room for the pattern with most groups, whichever was compiled last. */
static void test_groups_of_several_patterns(void **state)
{
    struct bench bench;
    struct strbuf why;
    size_t begin;
    size_t end;

    (void)state;
    strbuf_init(&why);
    bench_init(&bench, "(a)", 0);
    struct pattern *many = pattern_compile(bench.engine, "(((((((((b)))))))))", 19, 0, &why);

    pattern_scratch_put(bench.engine, &bench.scratch);
    bench.scratch = pattern_scratch_get(bench.engine);
    assert_int_equal(pattern_match(many, bench.scratch, "xb", 2, &bench.why), PATTERN_MATCH);
    assert_true(pattern_group(bench.scratch, 9, &begin, &end));
    assert_int_equal(begin, 1);
    assert_int_equal(ask(&bench, "a", 1), PATTERN_MATCH);
    assert_false(pattern_group(bench.scratch, 9, &begin, &end));
    pattern_free(&many);
    bench_fini(&bench);
    strbuf_fini(&why);
}

static void test_bytes(void **state)
{
    static const struct {
        const char *pattern;
        const char *subject;
        size_t len;
        enum pattern_result result;
    } cases[] = {
        {"a.b", "a\0b", 3, PATTERN_MATCH},
        {"^a$", "a\0", 2, PATTERN_NO_MATCH},
        {"\\x00", "\0", 1, PATTERN_MATCH},
        {"^.$", "\xff", 1, PATTERN_MATCH},
        {"^.$", "\xc3\xa4", 2, PATTERN_NO_MATCH},
        {"(*UTF)^.$", "\xc3\xa4", 2, PATTERN_MATCH},
        {"(*UTF)\\W", "bad\xc3\xa9", 5, PATTERN_MATCH},
        {"(*UTF)b", "\xff\xc3(b\xe2\x82", 6, PATTERN_MATCH},
        {"(*UTF)^.....$", "\xff\xc3(b\xe2\x82", 6, PATTERN_NO_MATCH},
        {"(*UTF)\xc3\xa4", "\xa4\xc3", 2, PATTERN_NO_MATCH},
        {"", "", 0, PATTERN_MATCH},
        {".", "", 0, PATTERN_NO_MATCH},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench bench;

        bench_init(&bench, cases[i].pattern, 0);
        if (ask(&bench, cases[i].subject, cases[i].len) != cases[i].result) {
            fail_msg("case %zu: %s", i, cases[i].pattern);
        }
        bench_fini(&bench);
    }
}

/* ---- limits ---- */

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Needs 2^32 steps, or a frame for each byte, or the text many times over. */
static void test_subjects_without_end(void **state)
{
    static const struct {
        const char *pattern;
        size_t len;
        enum pattern_result result;
    } cases[] = {
        {"^(a+)+$", 33, PATTERN_FAILED},
        {"^(a+)+$", LONG_SUBJECT, PATTERN_FAILED},
        {"^(?:a|a)*$", 65, PATTERN_FAILED},
        {"(.*)*[cd]", LONG_SUBJECT, PATTERN_FAILED},
        /* The stack of machine code is too small for these; the memory of the interpreter is not. */
        {"^(?:.|\\n)*b$", LONG_SUBJECT, PATTERN_MATCH},
        {"^((a)|(b))*$", LONG_SUBJECT, PATTERN_MATCH},
        {"^(?:(a)|b)*c", LONG_SUBJECT, PATTERN_NO_MATCH},
        {"a.*b", LONG_SUBJECT, PATTERN_MATCH},
        /* It calls itself as often as there are bytes. */
        {"^(a(?1)?b?)$", LONG_SUBJECT, PATTERN_MATCH},
    };
    char *subject = xmalloc(LONG_SUBJECT);

    (void)state;
    memset(subject, 'a', LONG_SUBJECT);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench bench;
        double begin = now_s();

        subject[cases[i].len - 1] = 'b';
        bench_init(&bench, cases[i].pattern, PATTERN_DOTALL);
        enum pattern_result result = ask(&bench, subject, cases[i].len);

        if (result != cases[i].result || (result == PATTERN_FAILED) != (bench.why != NULL)) {
            fail_msg("%s with %zu bytes: %d, %s", cases[i].pattern, cases[i].len, (int)result,
                     bench.why == NULL ? "" : bench.why);
        }
        /* The scratch is as good as before. */
        assert_int_not_equal(ask(&bench, "x", 1), PATTERN_FAILED);
        bench_fini(&bench);
        subject[cases[i].len - 1] = 'a';
        if (now_s() - begin > TOO_LONG_S) {
            fail_msg("%s with %zu bytes took %.1f s", cases[i].pattern, cases[i].len,
                     now_s() - begin);
        }
    }
    free(subject);
}

/* PCRE2 begins anew from each byte: its own limits let this run for minutes. */
static void test_time(void **state)
{
    char *subject = xmalloc(LONG_SUBJECT);
    struct bench bench;
    uint64_t spent = 0;

    (void)state;
    memset(subject, ' ', LONG_SUBJECT);
    subject[LONG_SUBJECT - 1] = '!';
    bench_init(&bench, "(?:\\s|\\n)+$", 0);
    pattern_scratch_share_time(bench.scratch, &spent);
    double begin = now_s();

    assert_int_equal(ask(&bench, subject, LONG_SUBJECT), PATTERN_FAILED);
    assert_non_null(strstr(bench.why, "time limit"));
    assert_true(spent > 1000000000);
    /* What is left for others that share the time: nothing for slow ones. */
    assert_int_equal(ask(&bench, subject, LONG_SUBJECT), PATTERN_FAILED);
    assert_int_equal(ask(&bench, " ", 1), PATTERN_MATCH);
    assert_int_equal(ask(&bench, "x", 1), PATTERN_NO_MATCH);
    if (now_s() - begin > TOO_LONG_S) {
        fail_msg("it took %.1f s", now_s() - begin);
    }
    bench_fini(&bench);
    /* Another scratch has its own time. */
    bench_init(&bench, "\\s!$", 0);
    assert_int_equal(ask(&bench, subject, LONG_SUBJECT), PATTERN_MATCH);
    bench_fini(&bench);
    free(subject);
}

/* Long subjects are asked piece by piece, and nobody notices. */
static void test_every_place_of_a_long_subject(void **state)
{
    static const struct {
        const char *pattern;
        const char *text; /* found behind its first byte */
    } cases[] = {
        {"(?<=x)needle", "xneedle"},
        {"\\bneedle(?=[. ])", " needle"},
        {"(*UTF)(?<=\xc3\xa4)needle", "\xa4needle"},
        {"(?<![b ])needle|never", "xneedle"},
    };
    const size_t len = 20000;
    char *subject = xmalloc(len);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench bench;

        bench_init(&bench, cases[i].pattern, 0);
        for (size_t at = 2; at + 16 < len; at += at < 1000 || at > len - 1000 ? 1 : 37) {
            size_t begin;
            size_t end;

            memset(subject, '.', len);
            memcpy(subject + at, cases[i].text, strlen(cases[i].text));
            subject[at - 1] = (char)(cases[i].text[0] == '\xa4' ? '\xc3' : '.');
            assert_int_equal(ask(&bench, subject, len), PATTERN_MATCH);
            assert_true(pattern_group(bench.scratch, 0, &begin, &end));
            assert_int_equal(begin, at + 1);
            assert_int_equal(end, at + 7);
        }
        memset(subject, '.', len);
        assert_int_equal(ask(&bench, subject, len), PATTERN_NO_MATCH);
        bench_fini(&bench);
    }
    free(subject);
}

/* ---- a system without memory that is written and executed ---- */

/* From here on this process gets no such memory. False: the kernel does not take the filter. */
static bool forbid_machine_code(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT(filter), .filter = filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum outcome { GOOD = 0, NO_FILTER, NO_NOTICE, WRONG_MATCH, NO_LIMIT };

static enum outcome match_without_machine_code(void)
{
    struct bench bench;
    char subject[64];

    if (!forbid_machine_code()) {
        return NO_FILTER;
    }
    memset(subject, 'a', sizeof(subject));
    subject[sizeof(subject) - 1] = 'b';
    bench_init(&bench, "^(a+)b$", 0);
    const char *notice = pattern_engine_notice(bench.engine);

    if (notice == NULL || strstr(notice, "written and executed") == NULL) {
        return NO_NOTICE;
    }
    if (ask(&bench, subject, sizeof(subject)) != PATTERN_MATCH ||
        ask(&bench, "b", 1) != PATTERN_NO_MATCH) {
        return WRONG_MATCH;
    }
    bench_fini(&bench);
    bench_init(&bench, "^(a+)+$", 0);
    if (ask(&bench, subject, sizeof(subject)) != PATTERN_FAILED) {
        return NO_LIMIT;
    }
    bench_fini(&bench);
    return GOOD;
}

static void test_a_system_that_forbids_machine_code(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        _exit((int)match_without_machine_code());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), GOOD);
    /* Here it is allowed, or this PCRE2 has none. */
    struct pattern_engine *engine = pattern_engine_new();

    assert_true(pattern_engine_notice(engine) == NULL ||
                strstr(pattern_engine_notice(engine), "without JIT") != NULL);
    pattern_engine_free(&engine);
}

/* ---- threads ---- */

static void *run(void *ctx)
{
    const struct bench *shared = ctx;
    uintptr_t wrong = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct pattern_scratch *scratch = pattern_scratch_get(shared->engine);
        char subject[32];
        const char *why;
        size_t begin;
        size_t end;
        int len = snprintf(subject, sizeof(subject), "<%u>", i);

        if (pattern_match(shared->pattern, scratch, subject, (size_t)len, &why) != PATTERN_MATCH ||
            !pattern_group(scratch, 1, &begin, &end) || end != (size_t)len - 1) {
            wrong++;
        }
        pattern_scratch_put(shared->engine, &scratch);
    }
    return (void *)wrong; /* NOLINT(performance-no-int-to-ptr) */
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    struct bench bench;

    (void)state;
    bench_init(&bench, "<(\\d+)>", 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run, &bench), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    bench_fini(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: what was allowed once may be used again. */
        cmocka_unit_test(test_a_system_that_forbids_machine_code),
        cmocka_unit_test(test_wrong_patterns),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_groups_of_several_patterns),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_subjects_without_end),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_every_place_of_a_long_subject),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
