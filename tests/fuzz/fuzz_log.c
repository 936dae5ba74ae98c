/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log fields: no value breaks its line or forges a field. */
#include "lib/base/log.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct logger *logger = log_new(LOG_TARGET_STDERR, "fuzz", "mail", LOG_LEVEL_INFO);
    struct fuzz_input input = {data, size, arena};
    struct strbuf line;

    strbuf_init(&line);
    fuzz_log_begin();
    for (unsigned i = 0; i < 4; i++) {
        /* The whole rest, newlines too; only a NUL byte ends it. */
        log_field(&line, "whole", arena_strndup(arena, (const char *)input.data, input.left));
        log_field(&line, "line", fuzz_line(&input));
    }
    log_line(logger, LOG_LEVEL_INFO, line.data);
    fuzz_log_end();
    strbuf_fini(&line);
    log_free(&logger);
    arena_free(&arena);
    return 0;
}
