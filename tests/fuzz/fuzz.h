/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz - what the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput(); an input that breaks a
 * promise of a header stops the program, as a memory error does.
 */
#ifndef POSTERN_TESTS_FUZZ_FUZZ_H
#define POSTERN_TESTS_FUZZ_FUZZ_H

#include "lib/base/arena.h"

#include <stddef.h>
#include <stdint.h>

struct reply;

/* Not assert(): it must hold in every build. */
#define FUZZ_REQUIRE(condition)                        \
    do {                                               \
        if (!(condition)) {                            \
            fuzz_fail(__FILE__, __LINE__, #condition); \
        }                                              \
    } while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as lines of text, one after another; they live in the arena. */
struct fuzz_input {
    const uint8_t *data;
    size_t left;
    struct arena *arena;
};

/* The next line, up to a newline, a NUL byte or the end; "" when there is no more. */
const char *fuzz_line(struct fuzz_input *input);

/*
 * From fuzz_log_begin() to fuzz_log_end() what is written to stderr is kept; then every line of it must be clean
 * logfmt.
 */
void fuzz_log_begin(void);
void fuzz_log_end(void);

/* Can this reply be sent to a client as it is? */
void fuzz_require_reply(const struct reply *reply);

#endif
