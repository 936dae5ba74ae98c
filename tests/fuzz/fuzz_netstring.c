/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Netstrings as they come over map_socket, and what is answered to the questions in them. */
#include "lib/mail/netaddr.h"
#include "milter/map_answers.h"
#include "milter/netstring.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_site.h"

#include <string.h>

/* None of these may be in a recipient that the relay takes: each makes another host of it for some program. */
static bool is_clean(const char *key, size_t len)
{
    size_t ats = 0;

    for (size_t i = 0; i < len; i++) {
        if (strchr("%!\"\\<>(),;: \t", key[i]) != NULL) {
            return false;
        }
        ats += key[i] == '@';
    }
    return ats <= 1;
}

/* Who and what may be relayed by the rules of the site; everything else must not be OK. */
static void require_deserved(const struct map_question *question)
{
    const char *key = question->key;
    size_t len = question->key_len;
    char text[NETADDR_TEXT_SIZE];

    FUZZ_REQUIRE(question->map == MAP_ACCESS || is_clean(key, len) || memchr(key, ':', len));
    if (question->map == MAP_RELAY_TO) {
        const char *at = memchr(key, '@', len);
        const char *domain = at == NULL ? key : at + 1;
        size_t domain_len = len - (size_t)(domain - key);

        FUZZ_REQUIRE(is_clean(key, len) && at != key);
        FUZZ_REQUIRE((fuzz_site_ends_in(domain, domain_len, "relay.test") &&
                      !fuzz_site_ends_in(domain, domain_len, "not.relay.test")) ||
                     fuzz_site_ends_in(domain, domain_len, "partner.test"));
    } else if (question->map != MAP_ACCESS) {
        bool named = question->map == MAP_RELAY_CLIENT &&
                     (fuzz_site_ends_in(key, len, "clients.test") ||
                      fuzz_site_ends_in(key, len, "partner.test"));

        if (!named) {
            FUZZ_REQUIRE(len < sizeof(text));
            memcpy(text, key, len);
            text[len] = '\0';
            FUZZ_REQUIRE(fuzz_site_is_friend(text));
        }
    }
}

static void ask(unsigned which, const char *text, size_t len)
{
    const struct map_facts facts = {fuzz_site_ruleset(which), fuzz_site_relayers(), "mx.here.test"};
    struct map_question question;
    struct strbuf answer;

    if (!map_answers_parse(text, len, &question)) {
        FUZZ_REQUIRE(len == 0 || memchr(text, ' ', len) == NULL);
        return;
    }
    strbuf_init(&answer);
    enum status status = map_answers_find(&facts, &question, &answer);

    FUZZ_REQUIRE((status == STATUS_OK) == (strncmp(answer.data, "OK ", 3) == 0));
    FUZZ_REQUIRE((status == STATUS_INVALID) == (strncmp(answer.data, "PERM ", 5) == 0));
    FUZZ_REQUIRE(status == STATUS_OK || status == STATUS_INVALID ||
                 strcmp(answer.data, "NOTFOUND ") == 0);
    FUZZ_REQUIRE(strpbrk(answer.data, "\r\n") == NULL);
    if (status == STATUS_OK) {
        require_deserved(&question);
    }
    strbuf_fini(&answer);
}

/* It is what netstring_append() would have written, and no shorter text is taken for a whole one. */
static void require_whole(const char *data, size_t max, const char *content, size_t len,
                          size_t used)
{
    struct strbuf again;
    const char *ignored;
    size_t ignored_len;
    size_t ignored_used;

    FUZZ_REQUIRE(len <= max && used <= len + NETSTRING_OVERHEAD);
    strbuf_init(&again);
    netstring_append(&again, content, len);
    FUZZ_REQUIRE(again.len == used && memcmp(again.data, data, used) == 0);
    FUZZ_REQUIRE(netstring_read(data, used - 1, max, &ignored, &ignored_len, &ignored_used) ==
                 NETSTRING_PART);
    strbuf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *at = (const char *)data + 1;
    size_t left = size - 1;
    size_t max = (data[0] & 1u) != 0 ? MAP_QUESTION_MAX : 64;

    for (;;) {
        const char *content = NULL;
        size_t len = 0;
        size_t used = 0;
        enum netstring_result result = netstring_read(at, left, max, &content, &len, &used);

        if (result != NETSTRING_WHOLE) {
            FUZZ_REQUIRE(result == NETSTRING_BAD || left <= max + NETSTRING_OVERHEAD);
            break;
        }
        FUZZ_REQUIRE(used > 0 && used <= left);
        require_whole(at, max, content, len, used);
        ask(data[0] >> 1, content, len);
        at += used;
        left -= used;
    }
    ask(data[0] >> 1, (const char *)data + 1, size - 1); /* a question without its frame */
    return 0;
}
