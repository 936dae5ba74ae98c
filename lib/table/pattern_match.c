/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/pattern_pcre2.h"

#include <time.h>

/*
 * PCRE2 counts the steps of a match from each byte of the subject anew, so that its limit does not bound the whole. STEP_LIMIT
 * is its own default, with which Postfix runs: what that finds is found here. A match has fewer steps at first; one that needs more is
 * asked again from each byte with all of them, as long as there is time. In long subjects it begins at some bytes at once, so
 * that somebody looks at the clock.
 */
#define STEP_LIMIT 10000000u
/* From all bytes together; but from each byte at least as many for each byte of the subject, which a loop over all of it needs. */
#define QUICK_STEPS 20000000u
#define QUICK_STEPS_EACH 4u
#define SHORT_SUBJECT 4096u
#define FIRST_WINDOW ((size_t)64)
#define FAST_WINDOW_NS UINT64_C(1000000)
#define TIME_LIMIT_NS UINT64_C(2000000000)
/* The interpreter keeps the frames of a match for the next one; those of longer subjects are given back. */
#define LIGHT_SUBJECT 1024u

/* None of PCRE2's numbers. */
#define OUT_OF_TIME (-100000)

struct text {
    const char *data;
    size_t len;
};

static const char *failure(int error)
{
    switch (error) {
    case OUT_OF_TIME:
        return "the time limit is reached: the pattern takes too long for this text";
    case PCRE2_ERROR_MATCHLIMIT:
        return "the match limit is reached: the pattern takes too many steps for this text";
    case PCRE2_ERROR_DEPTHLIMIT:
        return "the depth limit is reached: the pattern backtracks too deeply for this text";
    case PCRE2_ERROR_HEAPLIMIT:
    case PCRE2_ERROR_NOMEMORY:
        return "the memory limit of a match is reached";
    case PCRE2_ERROR_RECURSELOOP:
        return "the pattern calls itself without end for this text";
    default:
        return "PCRE2 cannot match the pattern with this text";
    }
}

/* What is asked on the way to an answer. */
struct question {
    const struct pattern *pattern;
    struct pattern_scratch *scratch;
    struct text subject;
    uint64_t begin; /* of the CPU time that counts */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static bool is_late(const struct question *question)
{
    return *question->scratch->spent + (now_ns() - question->begin) > TIME_LIMIT_NS;
}

/* In the interpreter, from `start` on. */
static int interpret(const struct question *question, size_t start, uint32_t option_bits)
{
    struct pattern_scratch *scratch = question->scratch;

    if (question->subject.len > LIGHT_SUBJECT) {
        scratch->heavy = true;
    }
    return pcre2_match(question->pattern->code, (PCRE2_SPTR)question->subject.data,
                       question->subject.len, start, PCRE2_NO_JIT | option_bits, scratch->data,
                       scratch->context);
}

/* As fast as can be, from `start` on. */
static int match_from(const struct question *question, size_t start)
{
    const struct pattern *pattern = question->pattern;
    struct pattern_scratch *scratch = question->scratch;

    if (!pattern->is_machine_code) {
        return interpret(question, start, 0);
    }
    /* It checks nothing. */
    return pcre2_jit_match(pattern->code, (PCRE2_SPTR)question->subject.data, question->subject.len,
                           start, 0, scratch->data, scratch->context);
}

static uint32_t quick_steps(const struct pattern *pattern, size_t len)
{
    size_t together = QUICK_STEPS / (len + 1);
    size_t each = len * QUICK_STEPS_EACH;
    size_t steps = together > each ? together : each;

    return steps > STEP_LIMIT || pattern->is_anchored ? STEP_LIMIT : (uint32_t)steps;
}

/* In UTF-8 no match begins within a character. */
static size_t next_start(const struct question *question, size_t start)
{
    do {
        start++;
    } while (question->pattern->is_utf && start < question->subject.len &&
             ((unsigned char)question->subject.data[start] & 0xc0u) == 0x80u);
    return start;
}

/*
 * Asks from each byte on, with all steps that PCRE2 would take. The interpreter has more memory for backtracking than the stack
 * of machine code.
 */
static int match_carefully(const struct question *question, size_t start)
{
    int result = PCRE2_ERROR_NOMATCH;

    (void)pcre2_set_match_limit(question->scratch->context, STEP_LIMIT);
    if (question->pattern->is_anchored || !question->pattern->is_divisible) {
        return interpret(question, start, 0);
    }
    while (start <= question->subject.len) {
        result = interpret(question, start, PCRE2_ANCHORED);
        if (result != PCRE2_ERROR_NOMATCH) {
            break;
        }
        if (is_late(question)) {
            return OUT_OF_TIME;
        }
        start = next_start(question, start);
    }
    return result;
}

/* Would more steps, or more room for them, help? */
static bool is_worth_care(const struct pattern *pattern, int result)
{
    return (result == PCRE2_ERROR_MATCHLIMIT && !pattern->is_anchored && pattern->is_divisible) ||
           result == PCRE2_ERROR_JIT_STACKLIMIT;
}

/* Asks from some bytes on at once; the more of them, the faster it goes. */
static int match_long(const struct question *question)
{
    size_t window = FIRST_WINDOW;
    int result = PCRE2_ERROR_NOMATCH;

    for (size_t start = 0; start <= question->subject.len && result == PCRE2_ERROR_NOMATCH;) {
        uint64_t begin = now_ns();

        (void)pcre2_set_offset_limit(question->scratch->context, start + window - 1);
        result = match_from(question, start);
        (void)pcre2_set_offset_limit(question->scratch->context, PCRE2_UNSET);
        if (is_worth_care(question->pattern, result)) {
            return match_carefully(question, start);
        }
        if (result == PCRE2_ERROR_NOMATCH && is_late(question)) {
            return OUT_OF_TIME;
        }
        start = next_start(question, start + window - 1);
        if (now_ns() - begin < FAST_WINDOW_NS) {
            window *= 2;
        } else if (window > 1) {
            window /= 2;
        }
    }
    return result;
}

static int match(struct question *question)
{
    const struct pattern *pattern = question->pattern;
    struct pattern_scratch *scratch = question->scratch;
    size_t len = question->subject.len;
    bool is_short = len <= SHORT_SUBJECT || pattern->is_anchored || !pattern->is_divisible;
    int result;

    (void)pcre2_set_match_limit(scratch->context, quick_steps(pattern, len));
    if (is_short) {
        result = match_from(question, 0);
        if (!is_worth_care(pattern, result)) {
            return result;
        }
    }
    if (*scratch->spent > TIME_LIMIT_NS) {
        return OUT_OF_TIME;
    }
    question->begin = now_ns();
    result = is_short ? match_carefully(question, 0) : match_long(question);
    *scratch->spent += now_ns() - question->begin;
    return result;
}

enum pattern_result pattern_match(const struct pattern *pattern, struct pattern_scratch *scratch,
                                  const char *data, size_t len, const char **why_out)
{
    struct question question = {
        .pattern = pattern, .scratch = scratch, .subject = {.data = data, .len = len}};
    int result = match(&question);

    if (result == PCRE2_ERROR_NOMATCH) {
        return PATTERN_NO_MATCH;
    }
    if (result >= 0) {
        scratch->groups = pattern->groups;
        return PATTERN_MATCH;
    }
    *why_out = failure(result);
    return PATTERN_FAILED;
}
