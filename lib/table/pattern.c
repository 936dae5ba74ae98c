/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/pattern.h"

#include "lib/base/xalloc.h"
#include "lib/table/pattern_pcre2.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A frame of the interpreter has some 100 bytes; a subject of 64 KiB can need several for each byte. */
#define HEAP_LIMIT_KIB (64u * 1024u)
#define JIT_STACK_FIRST ((size_t)32 << 10)
#define JIT_STACK_MAX ((size_t)1 << 20)
#define POOL_MAX 64u
#define ERROR_TEXT_SIZE 256u

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

/* Options of the pattern, with those that PCRE2 found out by itself. */
static bool has_option(const pcre2_code *code, uint32_t option)
{
    uint32_t all = 0;

    (void)pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &all);
    return (all & option) != 0;
}

/* Verbs like (*COMMIT) and \G know where the match began; what only says how to read the pattern does not count. */
static bool knows_its_start(const char *text, size_t len)
{
    static const char utf[] = "(*UTF)";

    if (len >= sizeof(utf) - 1 && memcmp(text, utf, sizeof(utf) - 1) == 0) {
        text += sizeof(utf) - 1;
        len -= sizeof(utf) - 1;
    }
    return memmem(text, len, "(*", 2) != NULL || memmem(text, len, "\\G", 2) != NULL;
}

struct pattern *pattern_compile(struct pattern_engine *engine, const char *text, size_t len,
                                unsigned flags, struct strbuf *why)
{
    uint32_t option_bits = PCRE2_USE_OFFSET_LIMIT;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        option_bits |= (flags & options[i].flag) != 0 ? options[i].option : 0;
    }
    pcre2_code *code = compile(text, len, option_bits, why);
    bool is_utf = code != NULL && has_option(code, PCRE2_UTF);

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
    pattern->is_anchored = has_option(code, PCRE2_ANCHORED);
    pattern->is_divisible = !knows_its_start(text, len);
    (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &pattern->groups);
    /*
     * A pattern that JIT does not support goes to the interpreter, and one of UTF-8: for subjects that may be invalid the
     * machine code of PCRE2 10.42 finds no \W in "\xc3\xa9".
     */
    pattern->is_machine_code = engine->notice == NULL && !is_utf &&
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

unsigned pattern_named_group(const struct pattern *pattern, const char *name)
{
    int number = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)name);

    return number > 0 ? (unsigned)number : 0;
}

const char *pattern_group_name(const struct pattern *pattern, unsigned index)
{
    PCRE2_SPTR table = NULL; /* of entries of one size: two bytes of a number, and a name */
    uint32_t count = 0;
    uint32_t size = 0;

    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMECOUNT, &count);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMETABLE, &table);
    return index < count ? (const char *)table + (size_t)index * size + 2 : NULL;
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
    scratch->own_spent = 0;
    scratch->spent = &scratch->own_spent;
    return scratch;
}

void pattern_scratch_share_time(struct pattern_scratch *scratch, uint64_t *spent_ns)
{
    scratch->spent = spent_ns;
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
