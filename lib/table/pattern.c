/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/pattern.h"

#include "lib/base/xalloc.h"

#include <pcre2.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * The match limit is PCRE2's own default, with which Postfix runs: what it finds is found here. It takes a fraction of a second. A
 * frame of the interpreter is some 100 bytes, so that a subject of 64 KiB can have one for each byte, and more.
 */
#define MATCH_LIMIT 10000000u
#define HEAP_LIMIT_KIB (64u * 1024u)
#define JIT_STACK_FIRST ((size_t)32 << 10)
#define JIT_STACK_MAX ((size_t)1 << 20)
/* The interpreter keeps the frames of a match for the next one; those of longer subjects are given back. */
#define LIGHT_SUBJECT 1024u
#define POOL_MAX 64u
#define ERROR_TEXT_SIZE 256u

struct pattern_engine {
    const char *notice; /* NULL: patterns become machine code */
    uint32_t groups;    /* of the pattern that has most */
    pthread_mutex_t lock;
    struct pattern_scratch *pool; /* and its count: under the lock */
    size_t pooled;
};

struct pattern {
    pcre2_code *code;
    uint32_t groups;
    bool is_machine_code;
    bool is_utf;
};

struct pattern_scratch {
    struct pattern_scratch *next;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    pcre2_match_data *data; /* NULL: to be made */
    uint32_t pairs;         /* that fit into data */
    uint32_t groups;        /* of the pattern that was matched last */
    bool heavy;
};

static const struct {
    enum pattern_flag flag;
    uint32_t option;
} options[] = {
    {PATTERN_CASELESS, PCRE2_CASELESS}, {PATTERN_MULTILINE, PCRE2_MULTILINE},
    {PATTERN_DOTALL, PCRE2_DOTALL},     {PATTERN_EXTENDED, PCRE2_EXTENDED},
    {PATTERN_ANCHORED, PCRE2_ANCHORED}, {PATTERN_DOLLAR_ENDONLY, PCRE2_DOLLAR_ENDONLY},
    {PATTERN_UNGREEDY, PCRE2_UNGREEDY},
};

static _Noreturn void out_of_memory(void)
{
    /* xmalloc() says so and ends the process. */
    (void)xmalloc(SIZE_MAX / 2);
    abort();
}

static void append_error(struct strbuf *why, int error)
{
    char text[ERROR_TEXT_SIZE];

    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof(text)) < 0) {
        strbuf_appendf(why, "PCRE2 error %d", error);
    } else {
        strbuf_append(why, text);
    }
}

/* ---- engine ---- */

/* A pattern that is surely right tells whether the system lets machine code be made. */
static const char *machine_code_notice(void)
{
    uint32_t is_built_in = 0;
    int error;
    PCRE2_SIZE offset;

    if (pcre2_config(PCRE2_CONFIG_JIT, &is_built_in) != 0 || is_built_in == 0) {
        return "this PCRE2 was built without JIT: patterns are matched by its interpreter, slower";
    }
    pcre2_code *code = pcre2_compile((PCRE2_SPTR) "a", 1, 0, &error, &offset, NULL);

    if (code == NULL) {
        out_of_memory();
    }
    error = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    pcre2_code_free(code);
    return error == 0 ? NULL
                      : "the system allows no memory that is both written and executed: patterns "
                        "are matched by PCRE2's interpreter, slower";
}

struct pattern_engine *pattern_engine_new(void)
{
    struct pattern_engine *engine = xcalloc(1, sizeof(*engine));

    (void)pthread_mutex_init(&engine->lock, NULL);
    engine->notice = machine_code_notice();
    return engine;
}

static void scratch_free(struct pattern_scratch *scratch)
{
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
    pcre2_jit_stack_free(scratch->stack);
    free(scratch);
}

void pattern_engine_free(struct pattern_engine **engine)
{
    if (*engine == NULL) {
        return;
    }
    while ((*engine)->pool != NULL) {
        struct pattern_scratch *next = (*engine)->pool->next;

        scratch_free((*engine)->pool);
        (*engine)->pool = next;
    }
    (void)pthread_mutex_destroy(&(*engine)->lock);
    free(*engine);
    *engine = NULL;
}

const char *pattern_engine_notice(const struct pattern_engine *engine)
{
    return engine->notice;
}

/* ---- patterns ---- */

static pcre2_code *compile(const char *text, size_t len, uint32_t option_bits, struct strbuf *why)
{
    int error;
    PCRE2_SIZE offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, len, option_bits, &error, &offset, NULL);

    if (code == NULL) {
        append_error(why, error);
        strbuf_appendf(why, " at offset %zu", (size_t)offset);
    }
    return code;
}

static bool code_is_utf(const pcre2_code *code)
{
    uint32_t all = 0;

    (void)pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &all);
    return (all & PCRE2_UTF) != 0;
}

struct pattern *pattern_compile(struct pattern_engine *engine, const char *text, size_t len,
                                unsigned flags, struct strbuf *why)
{
    uint32_t option_bits = 0;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        option_bits |= (flags & options[i].flag) != 0 ? options[i].option : 0;
    }
    pcre2_code *code = compile(text, len, option_bits, why);
    bool is_utf = code != NULL && code_is_utf(code);

    if (is_utf) {
        /* A subject is no reason to fail: what is no UTF-8 in it matches nothing. */
        pcre2_code_free(code);
        code = compile(text, len, option_bits | PCRE2_MATCH_INVALID_UTF, why);
    }
    if (code == NULL) {
        return NULL;
    }
    struct pattern *pattern = xcalloc(1, sizeof(*pattern));

    pattern->code = code;
    pattern->is_utf = is_utf;
    (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &pattern->groups);
    /* A pattern that JIT does not support goes to the interpreter. */
    pattern->is_machine_code = engine->notice == NULL &&
                               pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
    if (pattern->groups > engine->groups) {
        engine->groups = pattern->groups;
    }
    return pattern;
}

void pattern_free(struct pattern **pattern)
{
    if (*pattern != NULL) {
        pcre2_code_free((*pattern)->code);
        free(*pattern);
        *pattern = NULL;
    }
}

unsigned pattern_groups(const struct pattern *pattern)
{
    return pattern->groups;
}

/* ---- matches ---- */

static struct pattern_scratch *scratch_new(void)
{
    struct pattern_scratch *scratch = xcalloc(1, sizeof(*scratch));

    scratch->context = pcre2_match_context_create(NULL);
    scratch->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    if (scratch->context == NULL) {
        out_of_memory();
    }
    (void)pcre2_set_match_limit(scratch->context, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(scratch->context, HEAP_LIMIT_KIB);
    if (scratch->stack != NULL) {
        pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
    }
    return scratch;
}

struct pattern_scratch *pattern_scratch_get(struct pattern_engine *engine)
{
    uint32_t pairs = engine->groups + 1;

    (void)pthread_mutex_lock(&engine->lock);
    struct pattern_scratch *scratch = engine->pool;

    if (scratch != NULL) {
        engine->pool = scratch->next;
        engine->pooled--;
    }
    (void)pthread_mutex_unlock(&engine->lock);
    if (scratch == NULL) {
        scratch = scratch_new();
    }
    if (scratch->data == NULL || scratch->pairs < pairs) {
        pcre2_match_data_free(scratch->data);
        scratch->data = pcre2_match_data_create(pairs, NULL);
        scratch->pairs = pairs;
        if (scratch->data == NULL) {
            out_of_memory();
        }
    }
    return scratch;
}

void pattern_scratch_put(struct pattern_engine *engine, struct pattern_scratch **scratch)
{
    struct pattern_scratch *back = *scratch;

    *scratch = NULL;
    if (back->heavy) {
        pcre2_match_data_free(back->data);
        back->data = NULL;
        back->heavy = false;
    }
    (void)pthread_mutex_lock(&engine->lock);
    bool is_room = engine->pooled < POOL_MAX;

    if (is_room) {
        back->next = engine->pool;
        engine->pool = back;
        engine->pooled++;
    }
    (void)pthread_mutex_unlock(&engine->lock);
    if (!is_room) {
        scratch_free(back);
    }
}

static const char *failure(int error)
{
    switch (error) {
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

static int interpret(const struct pattern *pattern, struct pattern_scratch *scratch,
                     const char *subject, size_t len)
{
    if (len > LIGHT_SUBJECT) {
        scratch->heavy = true;
    }
    return pcre2_match(pattern->code, (PCRE2_SPTR)subject, len, 0, PCRE2_NO_JIT, scratch->data,
                       scratch->context);
}

enum pattern_result pattern_match(const struct pattern *pattern, struct pattern_scratch *scratch,
                                  const char *subject, size_t len, const char **why_out)
{
    int result = PCRE2_ERROR_JIT_STACKLIMIT;

    if (pattern->is_machine_code) {
        /* pcre2_jit_match() checks no UTF-8, and nothing else either. */
        result = pattern->is_utf ? pcre2_match(pattern->code, (PCRE2_SPTR)subject, len, 0, 0,
                                               scratch->data, scratch->context)
                                 : pcre2_jit_match(pattern->code, (PCRE2_SPTR)subject, len, 0, 0,
                                                   scratch->data, scratch->context);
    }
    /* The interpreter has more memory for backtracking than the stack of machine code. */
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
        result = interpret(pattern, scratch, subject, len);
    }
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

bool pattern_group(const struct pattern_scratch *scratch, unsigned number, size_t *begin_out,
                   size_t *end_out)
{
    const PCRE2_SIZE *pairs = pcre2_get_ovector_pointer(scratch->data);

    *begin_out = *end_out = 0;
    if (number > scratch->groups || pairs[2 * (size_t)number] == PCRE2_UNSET ||
        pairs[2 * (size_t)number] > pairs[2 * (size_t)number + 1]) {
        return false;
    }
    *begin_out = pairs[2 * (size_t)number];
    *end_out = pairs[2 * (size_t)number + 1];
    return true;
}
