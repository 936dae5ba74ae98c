/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Senders and recipients as rules compare them: postern-access(5) */
#include "lib/policy/canonical.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct scene scene;

static void begin(const char *conf, const char *access)
{
    scene_init(&scene, conf, access);
    scene_connect(&scene, "client.test [198.18.0.1]");
}

static int drop(void **state)
{
    (void)state;
    scene_fini(&scene);
    return 0;
}

typedef bool canonical_fn(struct session *session, const char *typed, struct canonical *out,
                          struct reply *error_out);

struct address_case {
    const char *typed;
    const char
        *expected; /* "LOCAL DOMAIN", "LOCAL -", with " (local)" for class w; or "553 D.S.N text" */
};

static const char *canonical_text(canonical_fn *canonical, const char *typed, char *buf,
                                  size_t size)
{
    struct canonical out = {0};
    struct reply error = {0};
    if (!canonical(&scene.session, typed, &out, &error)) {
        (void)snprintf(buf, size, "%d %s %s", error.code, error.dsn, error.text);
    } else {
        (void)snprintf(buf, size, "%s %s%s", out.local, out.domain == NULL ? "-" : out.domain,
                       out.is_local ? " (local)" : "");
    }
    return buf;
}

static void run(canonical_fn *canonical, const struct address_case *cases, size_t count)
{
    char got[2048];

    for (size_t i = 0; i < count; i++) {
        if (strcmp(canonical_text(canonical, cases[i].typed, got, sizeof(got)),
                   cases[i].expected) != 0) {
            fail_msg("%s: %s", cases[i].typed, got);
        }
    }
}

/* ---- what senders and recipients have in common ---- */

static const struct address_case common_cases[] = {
    {"<joe@b.test>", "joe b.test"},
    {"joe@b.test", "joe b.test"},
    {"<Joe@B.Test>", "Joe b.test"},
    {"<joe@b.test.>", "joe b.test"},
    {"<joe+x@b.test>", "joe+x b.test"},
    {"<joe>", "joe -"},
    {"<postmaster>", "postmaster -"},
    {"<joe@local.example>", "joe local.example (local)"},
    {"<joe@Local.Example.>", "joe local.example (local)"},
    {"<joe@sub.local.example>", "joe sub.local.example"}, /* class w is exact */
    {"<joe@mx.home.example>", "joe mx.home.example (local)"},
    {"<joe@mx>", "joe mx (local)"},
    /* 3. localhost and own literals become $j */
    {"<joe@localhost>", "joe mx.home.example (local)"},
    {"<joe@LocalHost>", "joe mx.home.example (local)"},
    {"<joe@localhost.home.example>", "joe mx.home.example (local)"},
    {"<joe@localhost.UUCP>", "joe mx.home.example (local)"},
    {"<joe@localhost.other.example>", "joe localhost.other.example"},
    {"<joe@localhostess>", "joe localhostess"},
    {"<joe@[192.0.2.1]>", "joe mx.home.example (local)"},
    {"<joe@[10.1.2.3]>", "joe [10.1.2.3]"},
    {"<joe@[IPv6:2001:DB8::1]>", "joe [ipv6:2001:db8:0:0:0:0:0:1]"},
    {"<joe@[IPv6:2001:db8:0:0:0:0:0:1]>", "joe [ipv6:2001:db8:0:0:0:0:0:1]"},
    /* 1. comments, brackets, routes */
    {"joe (a comment) @ b.test", "joe b.test"},
    {"<@a.test,@c.test:joe@b.test>", "joe b.test"},
    {"<@local.example:joe@b.test>", "joe b.test"},
    {"Joe <joe@b.test>", "joe b.test"},
    /* 2. without '@' */
    {"<joe%b.test>", "joe b.test"},
    {"<b.test!joe>", "joe b.test"},
    {"<b!joe>", "joe b.uucp"},
    {"<a%b%c.test>", "a%b c.test"},
    /* 4. own names go, as long as the local part names another host */
    {"<x%o.test@local.example>", "x o.test"},
    {"<o.test!x@local.example>", "x o.test"},
    {"<\"x@o.test\"@local.example>", "x o.test"},
    {"<x%o.test@mx.home.example>", "x o.test"},
    {"<x%o.test@[192.0.2.1]>", "x o.test"},
    {"<x%o.test@localhost>", "x o.test"},
    {"<x%o.test%local.example@localhost>", "x o.test"},
    {"<local.example!o.test!x@localhost>", "x o.test"},
    {"<local.example!x%o.test>", "x o.test"},
    {"<x%local.example@local.example>", "x local.example (local)"},
    {"<x%o.test@other.example>", "x%o.test other.example"},
    /* quotes */
    {"<\"joe\"@local.example>", "joe local.example (local)"},
    {"<\"joe\">", "joe -"},
    {"<\"joe x\"@b.test>", "\"joe x\" b.test"},
    {"<\"x%o.test y\"@local.example>", "\"x%o.test y\" local.example (local)"},
    /* the replies of Sendmail's parser */
    {"<@d>", "553 5.1.3 User address required"},
    {"<%d>", "553 5.1.3 User address required"},
    {"<u@>", "553 5.1.3 Hostname required"},
    {"<u@.d>", "553 5.1.2 Invalid host name"},
    {"<u@d..e>", "553 5.1.2 Invalid host name"},
    {"<u@d@e>", "553 5.1.3 Invalid route address"},
    {"<u@[1.2.3.4]x>", "553 5.1.2 Invalid address"},
    {"<\"\"@local.example>", "553 5.1.3 User address required"},
    {"(nothing)", "553 5.1.3 User address required"},
};

static void test_sender_each_case(void **state)
{
    (void)state;
    begin("", "");
    run(canonical_sender, common_cases, COUNT(common_cases));
    assert_string_equal(scene_keys(&scene), ""); /* no map is needed for it */
}

static void test_recipient_each_case(void **state)
{
    (void)state;
    begin("", "");
    run(canonical_recipient, common_cases, COUNT(common_cases));
}

/* ---- operators switched off ---- */

static void test_nopercenthack_and_nouucp_switch_operators_off(void **state)
{
    static const char *const percent[] = {"nopercenthack_nospecial", "nopercenthack_reject"};
    static const char *const bang[] = {"nouucp_nospecial", "nouucp_reject"};
    static const struct address_case no_percent[] = {
        {"<x%o.test@local.example>", "x%o.test local.example (local)"},
        {"<x%o.test>", "x%o.test -"},
        {"<o.test!x@local.example>", "x o.test"},
        {"<\"x@o.test\"@local.example>", "x o.test"},
    };
    static const struct address_case no_bang[] = {
        {"<o.test!x@local.example>", "o.test!x local.example (local)"},
        {"<o.test!x>", "o.test!x -"},
        {"<x%o.test@local.example>", "x o.test"},
        {"<joe@localhost.UUCP>", "joe localhost.uucp"},
    };
    char conf[128];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(conf, sizeof(conf), "features = { \"%s\" }", percent[i]);
        begin(conf, "");
        run(canonical_sender, no_percent, COUNT(no_percent));
        run(canonical_recipient, no_percent, COUNT(no_percent));
        scene_fini(&scene);
        (void)snprintf(conf, sizeof(conf), "features = { \"%s\" }", bang[i]);
        begin(conf, "");
        run(canonical_sender, no_bang, COUNT(no_bang));
        run(canonical_recipient, no_bang, COUNT(no_bang));
        scene_fini(&scene);
    }
    begin("", "");
}

/* ---- recipients through hosts that we relay for ---- */

#define RELAYS "To:mapped.test RELAY\nTo:ok.test OK\nuntagged.test RELAY\nFrom:from.test RELAY\n"

static void test_recipient_loses_hosts_that_we_relay_for(void **state)
{
    static const struct address_case cases[] = {
        {"<x%o.test@partner.test>", "x o.test"}, /* class R */
        {"<x%o.test@sub.partner.test>", "x o.test"},
        {"<x%o.test@mapped.test>", "x o.test"}, /* the map */
        {"<x%o.test@sub.mapped.test>", "x o.test"},
        {"<x%o.test@untagged.test>", "x o.test"},
        {"<x%o.test@ok.test>", "x%o.test ok.test"},
        {"<x%o.test@from.test>", "x%o.test from.test"},
        {"<x%o.test@home.example>",
         "x%o.test home.example"}, /* class m needs relay_entire_domain */
        {"<x%o.test@other.test>", "x%o.test other.test"},
        {"<o.test!x@partner.test>", "x o.test"},
        {"<\"x@o.test\"@partner.test>", "x o.test"},
        {"<x%o.test%mapped.test@partner.test>", "x o.test"},
        {"<x%o.test%local.example@partner.test>", "x o.test"},
        {"<x%partner.test@local.example>", "x partner.test"},
        {"<joe@partner.test>", "joe partner.test"},
    };

    (void)state;
    begin("", RELAYS);
    run(canonical_recipient, cases, COUNT(cases));
}

static void test_sender_keeps_hosts_that_we_relay_for(void **state)
{
    static const struct address_case cases[] = {
        {"<x%o.test@partner.test>", "x%o.test partner.test"},
        {"<x%o.test@mapped.test>", "x%o.test mapped.test"},
        {"<\"x@o.test\"@partner.test>", "\"x@o.test\" partner.test"},
    };

    (void)state;
    begin("", RELAYS);
    run(canonical_sender, cases, COUNT(cases));
}

static void test_recipient_with_relay_hosts_only(void **state)
{
    static const struct address_case cases[] = {
        {"<x%o.test@partner.test>", "x o.test"},
        {"<x%o.test@sub.partner.test>", "x%o.test sub.partner.test"},
        {"<x%o.test@mapped.test>", "x o.test"},
        {"<x%o.test@sub.mapped.test>", "x%o.test sub.mapped.test"},
    };

    (void)state;
    begin("features = { \"relay_hosts_only\" }", RELAYS);
    run(canonical_recipient, cases, COUNT(cases));
}

static void test_recipient_with_relay_entire_domain(void **state)
{
    static const struct address_case cases[] = {
        {"<x%o.test@home.example>", "x o.test"},
        {"<x%o.test@sub.home.example>", "x o.test"},
        {"<x%o.test@nothome.example>", "x%o.test nothome.example"},
    };

    (void)state;
    begin("features = { \"relay_entire_domain\" }", RELAYS);
    run(canonical_recipient, cases, COUNT(cases));
}

static void test_recipient_with_loose_relay_check(void **state)
{
    static const struct address_case cases[] = {
        {"<x%o.test@partner.test>", "x%o.test partner.test"},
        {"<x%o.test@mapped.test>", "x%o.test mapped.test"},
        {"<x%o.test@local.example>", "x o.test"}, /* but not for local hosts */
    };

    (void)state;
    begin("features = { \"loose_relay_check\" }", RELAYS);
    run(canonical_recipient, cases, COUNT(cases));
    assert_string_equal(scene_keys(&scene), "");
}

/* A map that cannot be read makes nobody one whom we relay for; whoever asks it next fails. */
static void test_recipient_needs_the_map_only_for_operators(void **state)
{
    char path[SITE_PATH_SIZE];
    char got[256];

    (void)state;
    begin("", "");
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    assert_int_equal(remove(site_path(&scene.site, "access.gdbm", path)), 0);
    scene.ruleset = site_load(&scene.site);
    session_init(&scene.session, scene.ruleset, &scene.log.trace);
    scene_connect(&scene, "client.test [198.18.0.1]");
    assert_string_equal(canonical_text(canonical_recipient, "<x%o.test@other.test>", got, 256),
                        "x%o.test other.test");
    assert_string_equal(canonical_text(canonical_recipient, "<x%o.test@partner.test>", got, 256),
                        "x o.test");
    assert_string_equal(canonical_text(canonical_recipient, "<joe@other.test>", got, 256),
                        "joe other.test");
}

/* ---- what a client may send ---- */

static void test_address_that_is_too_long_is_refused(void **state)
{
    char typed[4096];
    char got[8192];

    (void)state;
    begin("", "");
    memset(typed, 'x', sizeof(typed));
    memcpy(typed + 1010, "@b.test", 8);
    assert_string_equal(canonical_text(canonical_sender, typed, got, sizeof(got)),
                        "553 5.1.0 Address too long");
    assert_string_equal(canonical_text(canonical_recipient, typed, got, sizeof(got)),
                        "553 5.1.0 Address too long");
    memcpy(typed + 990, "@b.test", 8);
    assert_string_equal(canonical_text(canonical_sender, typed, got, sizeof(got)) + 990, " b.test");
}

/* Own names before own names: the rewriting ends, whatever comes. */
static void test_rewriting_ends(void **state)
{
    char typed[1000] = "x";
    char got[2048];

    (void)state;
    begin("", "");
    for (int i = 0; i < 60; i++) {
        strcat(typed, "%local.example");
    }
    strcat(typed, "@mx");
    (void)canonical_text(canonical_recipient, typed, got, sizeof(got));
    assert_string_equal(got, "553 5.1.3 User address required");
    typed[0] = '\0';
    for (int i = 0; i < 300; i++) {
        strcat(typed, "\"\\");
    }
    (void)canonical_text(canonical_sender, typed, got, sizeof(got));
    assert_true(strlen(got) > 0);
}

static void test_is_empty_knows_the_sender_of_a_bounce(void **state)
{
    (void)state;
    assert_true(canonical_is_empty("<>"));
    assert_true(canonical_is_empty(" < > "));
    assert_true(canonical_is_empty(""));
    assert_true(canonical_is_empty("  "));
    assert_false(canonical_is_empty("<a>"));
    assert_false(canonical_is_empty("a"));
    assert_false(canonical_is_empty("<"));
    assert_false(canonical_is_empty("<\"\">"));
}

/* ---- $f ---- */

static void test_typed_is_what_sendmail_calls_f(void **state)
{
    static const struct address_case cases[] = {
        {"<Joe@B.Test>", "Joe@B.Test"},
        {"<@a.test:Joe@B.Test>", "Joe@B.Test"},
        {"<joe>", "joe"},
        {"<Joe@B.Test.>", "Joe@B.Test"},
        {"<\"joe\"@b.test>", "\"joe\"@b.test"},
        /* localhost and own literals become $j */
        {"<joe@localhost>", "joe@mx.home.example"},
        {"<joe@[192.0.2.1]>", "joe@mx.home.example"},
        {"<joe@[10.1.2.3]>", "joe@[10.1.2.3]"},
        /* other hosts in the local part stay, own ones before own ones go */
        {"<x%o.test@local.example>", "x%o.test@local.example"},
        {"<x%mx@local.example>", "x@mx"},
        {"<x%o.test%mx@local.example>", "x%o.test@mx"},
        {"<b.test!x>", "x@b.test"},
        {"<host!x>", "host!x"},
    };
    struct canonical out;
    struct reply error;

    (void)state;
    begin("", "");
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(canonical_sender(&scene.session, cases[i].typed, &out, &error));
        assert_string_equal(canonical_typed(&scene.session, &out), cases[i].expected);
    }
}

#define CASE(test) cmocka_unit_test_teardown(test, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_sender_each_case),
        CASE(test_recipient_each_case),
        CASE(test_nopercenthack_and_nouucp_switch_operators_off),
        CASE(test_recipient_loses_hosts_that_we_relay_for),
        CASE(test_sender_keeps_hosts_that_we_relay_for),
        CASE(test_recipient_with_relay_hosts_only),
        CASE(test_recipient_with_relay_entire_domain),
        CASE(test_recipient_with_loose_relay_check),
        CASE(test_recipient_needs_the_map_only_for_operators),
        CASE(test_address_that_is_too_long_is_refused),
        CASE(test_rewriting_ends),
        cmocka_unit_test(test_is_empty_knows_the_sender_of_a_bounce),
        CASE(test_typed_is_what_sendmail_calls_f),
    };

    return cmocka_run_group_tests_name("canonical", tests, NULL, NULL);
}
