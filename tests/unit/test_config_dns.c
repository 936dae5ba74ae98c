/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sections dns, dnsbl, enhdnsbl and helo of postern.conf; and the replies of lists.
 */
#include "lib/policy/config.h"
#include "lib/policy/dns_text.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void test_load_without_sections_has_the_defaults(void **state)
{
    struct config *config = site_load_conf(*state, "");
    struct netaddr addr;

    assert_non_null(config);
    assert_int_equal(config->dns.server_count, 0);
    assert_int_equal(config->dns.timeout_ms, 3000);
    assert_int_equal(config->dns.tries, 2);
    assert_int_equal(config->dns.cache_entries, 20000);
    assert_int_equal(config->dns.probe_seconds, 3600);
    assert_false(config->dns.answer_at_mail);
    assert_int_equal(config->dns.relay_mx, DNS_RELAY_MX_BEST);
    assert_int_equal(config->dns.bad_mx_count, 5);
    assert_true(netaddr_parse("127.1.2.3", &addr));
    assert_true(netaddr_contains(&config->dns.bad_mx[0], &addr));
    assert_int_equal(config->dns.list_count, 0);
    assert_int_equal(config->dns.score_threshold, 0);
    assert_false(config->dns.helo_must_resolve);
    assert_false(config->dns.helo_refuse_own);
    config_free(&config);
}

static void test_load_of_lists_in_the_order_of_the_file(void **state)
{
    struct site *site = *state;
    struct config *config = site_load_conf(
        site,
        "dns { servers = { \"192.0.2.53\", \"[::1]:5353\" } timeout_ms = 500 answer_at = mail }\n"
        "enhdnsbl \"First.Test\" { match = { \"127.0.0.2-127.0.0.11\", \"127.0.1.0/24\" } }\n"
        "dnsbl \"second\" { zone = \"BL.test.\" lookup = { name, sender } exempt = {}\n"
        "  on_tempfail = 451 weight = -2 probe = false }\n"
        "daemon \"A\" { dnsbl = {} }\ndaemon \"B\" { dnsbl = { \"SECOND\" } }\n"
        "daemon \"C\" { }\n");

    assert_non_null(config);
    assert_string_equal(site->log.text.data, "");
    assert_int_equal(config->dns.server_count, 2);
    assert_int_equal(config->dns.servers[1].port, 5353);
    assert_int_equal(config->dns.timeout_ms, 500);
    assert_true(config->dns.answer_at_mail);
    assert_int_equal(config->dns.list_count, 2);
    const struct config_dnsbl *first = &config->dns.lists[0];
    const struct config_dnsbl *second = &config->dns.lists[1];

    assert_string_equal(first->zone, "first.test");
    assert_int_equal(first->match.count, 2);
    assert_int_equal(first->match.ranges[0].last, 0x7f00000b);
    assert_int_equal(first->match.ranges[1].last, 0x7f0001ff);
    assert_int_equal(first->lookups, DNS_LOOKUP_ADDRESS);
    assert_int_equal(first->exempt, DNS_EXEMPT_AUTHENTICATED | DNS_EXEMPT_RELAY);
    assert_string_equal(first->tempfail_reply, "");
    assert_true(first->probe);
    assert_string_equal(second->title, "second");
    assert_string_equal(second->zone, "bl.test");
    assert_int_equal(second->lookups, DNS_LOOKUP_NAME | DNS_LOOKUP_SENDER);
    assert_int_equal(second->exempt, 0);
    assert_int_equal(second->weight, -2);
    assert_false(second->probe);
    assert_string_equal(second->tempfail_reply,
                        "451 4.4.3 Temporary lookup failure of %{query} at %{list}");
    assert_true(config_find_daemon(config, "a")->has_dnsbl);
    assert_int_equal(config_find_daemon(config, "a")->dnsbl, 0);
    assert_int_equal(config_find_daemon(config, "b")->dnsbl, 2);
    assert_false(config_find_daemon(config, "c")->has_dnsbl);
    config_free(&config);
}

static void test_load_of_too_many_lists(void **state)
{
    struct site *site = *state;
    struct strbuf text;

    strbuf_init(&text);
    for (unsigned i = 0; i < CONFIG_DNSBL_MAX; i++) {
        strbuf_appendf(&text, "dnsbl \"n%u.test\" { }\n", i);
    }
    struct config *config = site_load_conf(site, text.data);

    assert_non_null(config);
    assert_string_equal(config->dns.lists[63].zone, "n63.test");
    config_free(&config);
    strbuf_append(&text, "dnsbl \"one.more.test\" { }\n");
    assert_null(site_load_conf(site, text.data));
    assert_string_equal(
        site->log.text.data,
        "postern.conf:65: error: dnsbl \"one.more.test\": there are more than 64 lists\n");
    strbuf_fini(&text);
}

/* ---- what is refused ---- */

static const struct {
    const char *name;
    const char *text;
    const char *expected;
} bad_cases[] = {
    {"list with a match that is no listing",
     "\ndnsbl \"zen.example\" {\n match = { \"127.0.0.1\" }\n}\n",
     "postern.conf:3: error: match: \"127.0.0.1\" is no listing: 127.0.0.1, 127.255.255.0/24 and what "
     "is outside of 127.0.0.0/8 are errors of a list\n"},
    {"list with a match that is no address",
     "dnsbl \"zen.example\" { match = { \"127.0.0.x\" } }\n",
     "postern.conf:1: error: match: \"127.0.0.x\": write an address, \"127.0.0.2-127.0.0.11\" or "
     "\"127.0.1.0/24\"\n"},
    {"list with an action that is none", "dnsbl \"zen.example\" { action = \"bounce\" }\n",
     "postern.conf:1: error: action: \"bounce\" is none of \"reject\", \"tempfail\", \"discard\", "
     "\"quarantine\", \"allow\"\n"},
    {"list with a reply without code", "enhdnsbl \"zen.example\" { reply = \"go away\" }\n",
     "postern.conf:1: error: reply: \"go away\": write a reply with its code, such as \"550 5.7.1 "
     "Rejected: %{client} listed at %{list}\"\n"},
    {"list with a word in its reply that is none",
     "dnsbl \"zen.example\" { reply = \"550 %{who} listed\" }\n",
     "postern.conf:1: error: reply: \"550 %{who} listed\": it knows %{client}, %{list}, %{query}, "
     "%{answer} and %{text}\n"},
    {"list with a reply of the other class",
     "dnsbl \"zen.example\" { action = tempfail reply = \"550 x\" }\n",
     "postern.conf:1: error: dnsbl \"zen.example\": reply: with action tempfail its code must be "
     "4xx\n"},
    {"list with on_tempfail that refuses", "dnsbl \"zen.example\" { on_tempfail = \"550 no\" }\n",
     "postern.conf:1: error: on_tempfail: \"550 no\": its code must be 4xx\n"},
    {"list without a zone", "dnsbl \"not a name\" { }\n",
     "postern.conf:1: error: dnsbl \"not a name\": is no name that DNS can have; write zone = "
     "\"...\"\n"},
    {"list that is there in both sections", "dnsbl \"a.test\" { }\nenhdnsbl \"A.test\" { }\n",
     "postern.conf:2: error: enhdnsbl \"A.test\": is a dnsbl section already\n"},
    {"list that is there twice", "dnsbl \"a.test\" { }\ndnsbl \"a.test\" { }\n",
     "postern.conf:2: error: found duplicate title 'a.test'; each section has a title of its own; a "
     "second dnsbl section about the same zone names it by zone = \"...\"\n"},
    {"list as a feature", "features = { \"dnsbl\" }\n",
     "postern.conf:1: error: features: \"dnsbl\" is a section: write dnsbl \"bl.example.org\" { }\n"},
    {"listener with a list that is none",
     "dnsbl \"a.test\" { }\ndaemon \"MSA\" { dnsbl = { \"b.test\" } }\n",
     "postern.conf:2: error: daemon \"MSA\": dnsbl: there is no list b.test\n"},
    {"server that is none", "dns { servers = { \"ns.example\" } }\n",
     "postern.conf:1: error: servers: \"ns.example\": write an address, with a port as "
     "\"127.0.0.1:5353\" or \"[::1]:5353\"\n"},
    {"server that may be two", "dns { servers = { \"::1:53\" } }\n",
     "postern.conf:1: error: servers: \"::1:53\" may be an address, or another one with a port: "
     "write \"[::1]:53\" or \"[::1:53]\"\n"},
    {"time that is too short", "dns { timeout_ms = 1 }\n",
     "postern.conf:1: error: timeout_ms: 1 is not between 100 and 60000\n"},
    {"stage that is none", "dns { answer_at = \"data\" }\n",
     "postern.conf:1: error: answer_at: \"data\" is none of \"rcpt\", \"mail\"\n"},
    {"network that is none", "dns { bad_mx = { \"10.1/8\" } }\n",
     "postern.conf:1: error: bad_mx: \"10.1/8\" is no network such as \"10\" or \"10.0.0.0/8\"\n"},
    {"score with a word for lists", "dns { score_action = \"allow\" }\n",
     "postern.conf:1: error: score_action: \"allow\" is for lists\n"},
    {"weight of a list with an action", "dnsbl \"a.test\" { weight = 1 action = allow }\n",
     "postern.conf:1: error: dnsbl \"a.test\": weight: a list that counts in a score has no action of "
     "its own\n"},
    {"list that looks nothing up", "dnsbl \"a.test\" { lookup = {} }\n",
     "postern.conf:1: error: dnsbl \"a.test\": lookup: name what is looked up, such as "
     "\"address\"\n"},
    {"key that is none", "dnsbl \"a.test\" { zones = \"b.test\" }\n",
     "postern.conf:1: error: no such option 'zones'\n"},
};

static void test_load_refuses_with_file_and_line(void **state)
{
    struct site *site = *state;

    for (size_t i = 0; i < COUNT(bad_cases); i++) {
        struct config *config = site_load_conf(site, bad_cases[i].text);

        if (config != NULL) {
            fail_msg("%s: taken", bad_cases[i].name);
        }
        if (strcmp(site->log.text.data, bad_cases[i].expected) != 0) {
            fail_msg("%s: %s", bad_cases[i].name, site->log.text.data);
        }
        site->log.diag.errors = 0;
        strbuf_reset(&site->log.text);
    }
}

/* The file that was read, not the one that is usual. */
static void test_load_names_the_file_in_sections_too(void **state)
{
    struct site *site = *state;
    char path[SITE_PATH_SIZE];

    site_write(site, "other.conf", "log { level = x }\n");
    assert_null(config_load(site_path(site, "other.conf", path), &site->log.diag));
    assert_string_equal(
        site->log.text.data,
        "other.conf:1: error: level: \"x\" is none of error, warning, info, debug\n");
    site_write(site, "other.conf", "dns { tries = 0 }\n");
    strbuf_reset(&site->log.text);
    assert_null(config_load(site_path(site, "other.conf", path), &site->log.diag));
    assert_string_equal(site->log.text.data,
                        "other.conf:1: error: tries: 0 is not between 1 and 10\n");
    site_write(site, "other.conf", "helo { refuse_own = x }\n");
    strbuf_reset(&site->log.text);
    assert_null(config_load(site_path(site, "other.conf", path), &site->log.diag));
    assert_string_equal(site->log.text.data,
                        "other.conf:1: error: invalid boolean value for option 'refuse_own'\n");
}

/* ---- replies ---- */

/* What a list, a client or a TXT record says is data: no word, code or line of its own. */
static void test_reply_keeps_what_others_say_apart(void **state)
{
    const struct dns_text text = {
        .client = "192.0.2.1",
        .list = "bl.test",
        .query = "%{list}",
        .answer = "127.0.0.2",
        .text = "250 2.0.0 fine\r\n250 %{client} \x7f\xe9",
    };
    struct arena *arena = arena_new();

    (void)state;
    struct reply reply = dns_text_reply("554 5.7.9 %{client} %{query} %{answer}%{text}!", &text,
                                        arena);

    assert_int_equal(reply.code, 554);
    assert_string_equal(reply.dsn, "5.7.9");
    assert_string_equal(reply.text, "192.0.2.1 %{list} 127.0.0.2250 2.0.0 fine  250 %{client}  ?!");
    reply = dns_text_reply("550 %{text}", &text, arena);
    assert_int_equal(reply.code, 550);
    assert_string_equal(reply.dsn, "5.7.1");
    reply = dns_text_reply("450 %{list}", &text, arena);
    assert_string_equal(reply.dsn, "4.7.1");
    arena_free(&arena);
}

static void test_reply_has_one_line_however_long_the_record_is(void **state)
{
    char record[4000];
    const struct dns_text text = {"", "", "", "", record};
    struct arena *arena = arena_new();

    (void)state;
    memset(record, 'x', sizeof(record) - 1);
    record[sizeof(record) - 1] = '\0';
    assert_int_equal(strlen(dns_text_reply("550 %{text}%{text}", &text, arena).text),
                     REPLY_MAX_TEXT);
    arena_free(&arena);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(test_load_without_sections_has_the_defaults),
        WITH_SITE(test_load_of_lists_in_the_order_of_the_file),
        WITH_SITE(test_load_of_too_many_lists),
        WITH_SITE(test_load_refuses_with_file_and_line),
        WITH_SITE(test_load_names_the_file_in_sections_too),
        cmocka_unit_test(test_reply_keeps_what_others_say_apart),
        cmocka_unit_test(test_reply_has_one_line_however_long_the_record_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
