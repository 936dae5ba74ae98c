/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The body of a message, in whatever pieces it comes. The first line says their size, the second one is the value of
 * the message's Content-Type, the rest is the body.
 */
#include "lib/base/strbuf.h"
#include "lib/mail/mime_scanner.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void on_found(void *ctx, enum mime_place place, const char *header, size_t len)
{
    struct strbuf *found = ctx;
    size_t name = mime_scanner_header_name(header, len);

    FUZZ_REQUIRE(strlen(header) == len);
    FUZZ_REQUIRE(len <= MIME_SCANNER_HEADER_MAX + MIME_SCANNER_LINE_MAX + 1);
    FUZZ_REQUIRE(name > 0 && header[name] == ':');
    for (const char *at = header; (at = strchr(at, '\n')) != NULL; at++) {
        FUZZ_REQUIRE(at[1] == ' ' || at[1] == '\t');
    }
    strbuf_appendf(found, "%d %s\n", (int)place, header);
}

static void scan(const char *type, const uint8_t *body, size_t len, size_t piece,
                 struct strbuf *found)
{
    struct mime_scanner scanner;

    mime_scanner_init(&scanner, on_found, found);
    mime_scanner_own_header(&scanner, "Content-Type", type);
    for (size_t at = 0; at < len; at += piece) {
        mime_scanner_body(&scanner, (const char *)body + at, len - at < piece ? len - at : piece);
        FUZZ_REQUIRE(scanner.depth <= MIME_SCANNER_DEPTH_MAX);
        FUZZ_REQUIRE(scanner.line.len < MIME_SCANNER_LINE_MAX);
    }
    mime_scanner_end(&scanner);
    mime_scanner_end(&scanner); /* once more changes nothing */
    mime_scanner_fini(&scanner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct fuzz_input input = {data, size, arena};
    size_t piece = strlen(fuzz_line(&input)) + 1;
    const char *type = fuzz_line(&input);
    struct strbuf whole;
    struct strbuf pieces;

    strbuf_init(&whole);
    strbuf_init(&pieces);
    scan(type, input.data, input.left, input.left + 1, &whole);
    scan(type, input.data, input.left, piece, &pieces);
    FUZZ_REQUIRE(strcmp(whole.data, pieces.data) == 0);
    strbuf_fini(&whole);
    strbuf_fini(&pieces);
    arena_free(&arena);
    return 0;
}
