/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A header with words of RFC 2047, or what somebody would like to be taken for them. */
#include "lib/mail/encoded_word.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* The C library's tables make at most this many bytes of one. */
#define MOST 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct strbuf out;

    strbuf_init(&out);
    strbuf_append(&out, "kept");
    if (encoded_word_decode(text, size, &out)) {
        FUZZ_REQUIRE(memmem(text, size, "=?", 2) != NULL);
        FUZZ_REQUIRE(out.len <= 4 + size * MOST);
    } else {
        FUZZ_REQUIRE(out.len == 4);
    }
    FUZZ_REQUIRE(memcmp(out.data, "kept", 4) == 0 && out.data[out.len] == '\0');
    strbuf_fini(&out);
    return 0;
}
