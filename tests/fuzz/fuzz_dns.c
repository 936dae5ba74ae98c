/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a DNS server may answer. The first line is the name that was asked, the first byte of the second one the type; the rest is
 * the message. If three digits follow the type, the message gets a good header and question first, so that records are reached
 * sooner: they are the error code and the numbers of answers and of records of authority.
 */
#include "lib/base/strbuf.h"
#include "lib/dns/dns_message.h"
#include "lib/dns/dns_name.h"
#include "lib/dns/dns_server.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static const enum dns_type types[] = {DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA};

/* The name as it can be asked, and what its functions promise. */
static bool check_name(const char *text, char name[DNS_NAME_SIZE])
{
    char again[DNS_NAME_SIZE];
    char joined[DNS_NAME_SIZE];
    char server_text[DNS_SERVER_TEXT_SIZE];
    struct dns_server server;
    struct dns_server same;

    if (dns_server_parse(text, &server)) {
        FUZZ_REQUIRE(dns_server_parse(dns_server_format(&server, server_text), &same));
        FUZZ_REQUIRE(server.port == same.port && netaddr_equal(&server.addr, &same.addr));
    }
    if (!dns_name_normalize(text, name)) {
        FUZZ_REQUIRE(name[0] == '\0' && !dns_name_is_host(name));
        return false;
    }
    FUZZ_REQUIRE(dns_name_is_valid(name) && strlen(name) < DNS_NAME_SIZE);
    FUZZ_REQUIRE(dns_name_normalize(name, again) && strcmp(name, again) == 0);
    FUZZ_REQUIRE(dns_name_equal(name, again));
    FUZZ_REQUIRE(!dns_name_under(name, "bl.example", joined) || dns_name_is_valid(joined));
    return true;
}

/* A good answer to that question, without its records. */
static void put_header(struct strbuf *message, const char *name, enum dns_type type,
                       const char *digits)
{
    uint8_t question[DNS_MESSAGE_QUESTION_SIZE];
    size_t len = dns_message_question(question, name, (unsigned)type, 1, 0);

    question[2] = 0x84;
    question[3] = (uint8_t)(digits[0] & 15);
    question[7] = (uint8_t)(digits[1] - '0');
    question[9] = (uint8_t)(digits[2] - '0');
    strbuf_append_len(message, (const char *)question, len);
}

static void check_result(const struct dns_result *result, enum dns_type type)
{
    size_t text = 0;

    FUZZ_REQUIRE(strlen(dns_status_name(result->status)) > 0);
    FUZZ_REQUIRE((result->status == DNS_TEMPFAIL) == (result->failure != DNS_FAILURE_NONE));
    FUZZ_REQUIRE((result->status == DNS_FOUND) == (result->count > 0));
    FUZZ_REQUIRE(result->count <= DNS_RECORDS_MAX && result->cnames <= DNS_MESSAGE_CNAMES_MAX);
    FUZZ_REQUIRE(strlen(result->name) < DNS_NAME_TEXT_SIZE);
    FUZZ_REQUIRE(result->ttl <= INT32_MAX);
    for (size_t i = 0; i < result->count; i++) {
        const struct dns_record *record = &result->records[i];
        bool is_addr = type == DNS_A || type == DNS_AAAA;

        text += strlen(record->text) + 1;
        FUZZ_REQUIRE(is_addr == (record->addr.family != NETADDR_NONE));
        FUZZ_REQUIRE(i == 0 || type != DNS_MX || record[-1].preference <= record->preference);
        for (const char *at = record->text; type != DNS_TXT && *at != '\0'; at++) {
            FUZZ_REQUIRE(*at > ' ' && *at < 0x7f && !(*at >= 'A' && *at <= 'Z'));
        }
    }
    FUZZ_REQUIRE(text <= DNS_TEXT_MAX && result->bytes < 32768);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct fuzz_input input = {data, size, arena};
    const char *text = fuzz_line(&input);
    const char *how = fuzz_line(&input);
    enum dns_type type = types[(unsigned char)how[0] % (sizeof(types) / sizeof(types[0]))];
    char name[DNS_NAME_SIZE];
    struct strbuf message;

    strbuf_init(&message);
    if (check_name(text, name)) {
        if (strlen(how) == 4) {
            put_header(&message, name, type, how + 1);
        }
        strbuf_append_len(&message, (const char *)input.data, input.left);
        struct dns_result *result = dns_message_read((const uint8_t *)message.data, message.len,
                                                     name, type);

        check_result(result, type);
        (void)dns_message_is_format_error((const uint8_t *)message.data, message.len);
        (void)dns_message_is_truncated((const uint8_t *)message.data, message.len);
        free(result);
    }
    strbuf_fini(&message);
    arena_free(&arena);
    return 0;
}
