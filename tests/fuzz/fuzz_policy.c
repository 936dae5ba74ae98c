/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions of Postfix's policy delegation, and that only who deserves it is answered OK. */
#include "milter/policy_decision.h"
#include "milter/policy_request.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_site.h"

#include <string.h>
#include <strings.h>

/* A class holds what ends in its entry at the edge of one of Sendmail's tokens: ".", but also "," and its like. */
static bool is_in_class(const char *name, size_t len, const char *entry)
{
    size_t entry_len = strlen(entry);

    return len >= entry_len && strncasecmp(name + len - entry_len, entry, entry_len) == 0 &&
           (len == entry_len || strchr(".:%@!^/[]+()<>,;", name[len - entry_len - 1]) != NULL);
}

static bool is_name(const char *name, size_t len, const char *expected)
{
    return len == strlen(expected) && strncasecmp(name, expected, len) == 0;
}

/* One '@', and nothing by which a program may find another host. */
static bool is_ours(const char *recipient)
{
    const char *at = strchr(recipient, '@');

    if (at == NULL || at == recipient || strpbrk(recipient, "%!\"\\<>(),; \t") != NULL ||
        strchr(at + 1, '@') != NULL) {
        return false;
    }
    const char *domain = at + 1;
    size_t len = strlen(domain);

    return *domain == '[' || strcasecmp(domain, "here.test") == 0 ||
           strcasecmp(domain, "mx.here.test") == 0 || strcasecmp(domain, "mx") == 0 ||
           strncasecmp(domain, "localhost", 9) == 0 ||
           fuzz_site_ends_in(domain, len, "relay.test") || is_in_class(domain, len, "partner.test");
}

static bool deserves(const struct policy_request *request)
{
    const char *name = request->client_name;
    size_t len = strlen(name);

    while (len > 0 && name[len - 1] == '.') {
        len--;
    }
    return fuzz_site_is_friend(request->client_address) || is_ours(request->recipient) ||
           fuzz_site_ends_in(name, len, "clients.test") || is_in_class(name, len, "partner.test") ||
           is_name(name, len, "localhost") || is_name(name, len, "here.test") ||
           is_name(name, len, "mx.here.test") || is_name(name, len, "mx");
}

static void decide(unsigned which, char *text, size_t len)
{
    const struct policy_facts facts = {
        .ruleset = fuzz_site_ruleset(which),
        .relayers = fuzz_site_relayers(),
        .hostname = "mx.here.test",
    };
    struct policy_request request;
    const char *why = NULL;

    if (!policy_request_parse(text, len, &request, &why)) {
        FUZZ_REQUIRE(why != NULL);
        return;
    }
    FUZZ_REQUIRE(why == NULL);
    enum status status = policy_decision_make(&facts, &request, &why, NULL);

    FUZZ_REQUIRE((why != NULL) == (status == STATUS_INVALID || status == STATUS_TEMPFAIL));
    if (status == STATUS_OK) {
        FUZZ_REQUIRE(strcmp(request.request, "smtpd_access_policy") == 0);
        FUZZ_REQUIRE(strcmp(request.protocol_state, "RCPT") == 0);
        FUZZ_REQUIRE(deserves(&request));
    }
}

/* In front of the input stands what most questions begin with, so that more of them are understood. */
static void decide_with_head(struct arena *arena, unsigned which, const char *text, size_t len)
{
    static const char head[] = "request=smtpd_access_policy\nprotocol_state=RCPT\n";
    char *copy = arena_alloc(arena, sizeof(head) + len);

    memcpy(copy, head, sizeof(head) - 1);
    memcpy(copy + sizeof(head) - 1, text, len);
    copy[sizeof(head) - 1 + len] = '\0';
    decide(which, copy, sizeof(head) - 1 + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_new();
    const char *at = (const char *)data + 1;
    size_t left = size - 1;
    size_t used;

    while ((used = policy_request_length(at, left)) > 0) {
        FUZZ_REQUIRE(used <= left && at[used - 1] == '\n' && (used == 1 || at[used - 2] == '\n'));
        FUZZ_REQUIRE(policy_request_length(at, used - 1) == 0);
        decide(data[0], arena_strndup(arena, at, used), used);
        decide_with_head(arena, data[0], at, used);
        at += used;
        left -= used;
    }
    FUZZ_REQUIRE(left == 0 || memchr(at, '\n', left) != at);
    arena_free(&arena);
    return 0;
}
