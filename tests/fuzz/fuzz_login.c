/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of a log, asked of the installed patterns: what is learned can be told to the daemon, and stands in the line. */
#include "lib/relay/login_patterns.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

static struct login_patterns *load(void)
{
    struct diag diag;

    diag_init(&diag, diag_to_stream, stderr);
    return login_patterns_load(LOGIN_PATTERNS, &diag);
}

static void require_within(const char *text, const uint8_t *data, size_t size)
{
    FUZZ_REQUIRE(*text == '\0' || memmem(data, size, text, strlen(text)) != NULL);
}

static void require_sound(const struct login_found *found, const uint8_t *data, size_t size)
{
    FUZZ_REQUIRE(found->line > 0 && size <= LOGIN_PATTERNS_MAX_LINE);
    for (size_t i = 0; i < size; i++) {
        FUZZ_REQUIRE(data[i] >= ' ' || data[i] == '\t');
    }
    if (found->addr.family == NETADDR_NONE) {
        FUZZ_REQUIRE(found->is_logout && *found->session != '\0');
    } else {
        FUZZ_REQUIRE(found->addr.bits == netaddr_width(found->addr.family));
    }
    for (const char *c = found->session; *c != '\0'; c++) {
        FUZZ_REQUIRE(*c > ' ' && *c <= '~');
    }
    require_within(found->user, data, size);
    require_within(found->service, data, size);
    require_within(found->session, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct login_patterns *patterns;
    struct login_found found;
    const char *why = NULL;

    if (patterns == NULL) {
        patterns = load();
        FUZZ_REQUIRE(patterns != NULL);
    }
    switch (login_patterns_find(patterns, (const char *)data, size, &found, &why)) {
    case STATUS_OK:
        require_sound(&found, data, size);
        break;
    case STATUS_INVALID:
        FUZZ_REQUIRE(why != NULL && *why != '\0' && found.addr.family == NETADDR_NONE);
        break;
    case STATUS_TEMPFAIL: /* no line makes one of these patterns take long */
        FUZZ_REQUIRE(false);
        break;
    default:
        break;
    }
    return 0;
}
