/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sendmail's classes w, m and R: postern-access(5) */
#include "lib/policy/classes.h"
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

static int drop(void **state)
{
    (void)state;
    scene_fini(&scene);
    return 0;
}

static void begin(const char *conf, const char *client)
{
    scene_init(&scene, conf, "");
    scene_connect(&scene, client);
}

/* The same with lists of its own. */
static void begin_with_lists(const char *conf, const char *client, const char *local,
                             const char *relay)
{
    memset(&scene, 0, sizeof(scene));
    site_init(&scene.site);
    site_write(&scene.site, "local-host-names", local);
    site_write(&scene.site, "relay-domains", relay);
    scene.ruleset = site_ruleset(&scene.site, conf, "");
    trace_log_init(&scene.log);
    strbuf_init(&scene.verdict);
    session_init(&scene.session, scene.ruleset, &scene.log.trace);
    scene_connect(&scene, client);
}

typedef bool class_fn(const struct session *session, const char *name);

struct name_case {
    const char *name;
    bool expected;
};

static void run(class_fn *is_in, const struct name_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_in(&scene.session, cases[i].name) != cases[i].expected) {
            fail_msg("\"%s\"", cases[i].name);
        }
    }
}

/* ---- class w ---- */

static void test_is_local_knows_own_names_exactly(void **state)
{
    static const struct name_case cases[] = {
        {"local.example", true},
        {"LOCAL.Example", true},
        {"localhost", true},
        {"mx.home.example", true},
        {"mx", true},
        {"MX", true},
        {"[192.0.2.1]", true},
        {"sub.local.example", false},
        {"example", false},
        {"home.example", false},
        {"mx.other.example", false},
        {"m", false},
        {"mxx", false},
        {"", false},
        {"192.0.2.1", false},
        {"[127.0.0.1]", false},
        {"[IPv6:::1]", false},
        {"[10.1.2.3]", false},
        {"localhost.home.example", false},
    };

    (void)state;
    begin("", "client.test [198.18.0.1]");
    run(classes_is_local, cases, COUNT(cases));
}

static void test_is_local_with_block_bad_helo_has_the_loopback(void **state)
{
    static const struct name_case cases[] = {
        {"[127.0.0.1]", true}, {"[IPv6:0:0:0:0:0:0:0:1]", true},
        {"[ipv6:::1]", true},  {"[127.0.0.2]", false},
        {"127.0.0.1", false},
    };

    (void)state;
    begin("features = { \"block_bad_helo\" }", "client.test [198.18.0.1]");
    run(classes_is_local, cases, COUNT(cases));
}

/* The list may write an address as it likes. */
static void test_is_local_knows_a_literal_however_it_is_listed(void **state)
{
    static const struct name_case cases[] = {
        {"[ipv6:2001:db8:0:0:0:0:0:1]", true},
        {"a.test", true},
        {"b.test", true},
        {"c.test", false},
    };

    (void)state;
    begin_with_lists("", "client.test [198.18.0.1]",
                     "# names\n[IPv6:2001:DB8::1]\n  A.Test.  # ours\n\nb.test\n#c.test\n", "");
    run(classes_is_local, cases, COUNT(cases));
}

static void test_is_local_of_a_name_that_is_too_long(void **state)
{
    char name[4096];

    (void)state;
    begin("", "client.test [198.18.0.1]");
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_false(classes_is_local(&scene.session, name));
    assert_false(classes_is_own_domain(&scene.session, name));
    assert_false(classes_is_relay_domain(&scene.session, name));
}

/* ---- class m ---- */

static void test_is_own_domain_by_suffix(void **state)
{
    static const struct name_case cases[] = {
        {"home.example", true},
        {"mx.home.example", true},
        {"a.b.Home.Example", true},
        {"own.test", true},
        {"a.own.test", true},
        {"nothome.example", false},
        {"notown.test", false},
        {"example", false},
        {"test", false},
        {"", false},
        {"own.test.other", false},
    };

    (void)state;
    begin("local_domains = { \"Own.Test\" }", "client.test [198.18.0.1]");
    run(classes_is_own_domain, cases, COUNT(cases));
}

static void test_is_own_domain_without_a_domain_of_its_own(void **state)
{
    (void)state;
    begin("hostname = \"mx\"\nlocal_domains = { }\n", "client.test [198.18.0.1]");
    assert_false(classes_is_own_domain(&scene.session, "home.example"));
    assert_false(classes_is_own_domain(&scene.session, "mx"));
    assert_false(classes_is_own_domain(&scene.session, ""));
}

/* ---- class R ---- */

static void test_is_relay_domain_by_suffix(void **state)
{
    static const struct name_case cases[] = {
        {"partner.test", true},
        {"a.partner.test", true},
        {"A.B.PARTNER.TEST", true},
        {"notpartner.test", false},
        {"test", false},
        {"partner.test.com", false},
        {"other.test", false},
        {"", false},
    };

    (void)state;
    begin("", "client.test [198.18.0.1]");
    run(classes_is_relay_domain, cases, COUNT(cases));
}

static void test_is_relay_domain_with_relay_hosts_only(void **state)
{
    static const struct name_case cases[] = {
        {"partner.test", true},
        {"Partner.Test", true},
        {"a.partner.test", false},
        {"", false},
    };

    (void)state;
    begin("features = { \"relay_hosts_only\" }", "client.test [198.18.0.1]");
    run(classes_is_relay_domain, cases, COUNT(cases));
}

static void test_is_relay_client_by_prefix(void **state)
{
    static const struct name_case cases[] = {
        {"[203.0.113.5]", true},
        {"a.test [203.0.113.255]", true},
        {"[203.0.11.3]", false},
        {"[203.0.112.5]", false},
        {"[20.30.11.3]", false},
        {"[192.0.2.200]", true},
        {"[192.0.2.100]", false},
        {"[IPv6:2001:db8:7:8::1]", true},
        {"[IPv6:2001:db8:7:9::1]", false},
        {"[IPv6:2001:db8:8000::1]", true},
        {"[IPv6:2001:db8:1::1]", false},
        {"[10.1.2.3]", true},
        {"[10.1.2.4]", false},
        {"[::ffff:203.0.113.5]", true},
        {"[127.0.0.1]", false},
        {"local.test", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin_with_lists("", cases[i].name, "",
                         "203.0.113\n192.0.2.128/25\nIPv6:2001:db8:7:8\n2001:db8:8000::/33\n"
                         "10.1.2.3\n");
        if (classes_is_relay_client(&scene.session) != cases[i].expected) {
            fail_msg("%s", cases[i].name);
        }
        scene_fini(&scene);
    }
    begin("", "a.test");
}

static void test_is_relay_client_with_block_bad_helo_has_the_loopback(void **state)
{
    static const struct name_case cases[] = {
        {"[127.0.0.1]", true},
        {"[::1]", true},
        {"[127.0.0.2]", false},
        {"[198.18.0.1]", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin("features = { \"block_bad_helo\" }", cases[i].name);
        assert_int_equal(classes_is_relay_client(&scene.session), cases[i].expected);
        scene_fini(&scene);
    }
    begin("", "a.test");
}

static void test_empty_lists_hold_nothing(void **state)
{
    (void)state;
    begin_with_lists("local_domains = { }\n", "[203.0.113.5]", "", "# none\n");
    assert_false(classes_is_local(&scene.session, "local.example"));
    assert_true(classes_is_local(&scene.session, "localhost"));
    assert_false(classes_is_relay_domain(&scene.session, "partner.test"));
    assert_false(classes_is_relay_client(&scene.session));
}

/* ---- lists that cannot be read ---- */

static void expect_load_error(const char *local, const char *relay, const char *conf,
                              const char *expected)
{
    struct site site;

    site_init(&site);
    site_conf(&site, conf);
    site_write(&site, "local-host-names", local);
    site_write(&site, "relay-domains", relay);
    struct ruleset *ruleset = site_load(&site);

    assert_null(ruleset);
    assert_string_equal(site.log.text.data, expected);
    site_fini(&site);
}

static void test_load_tells_errors_with_their_lines(void **state)
{
    (void)state;
    expect_load_error("a.test\nb.test c.test\n", "", "",
                      "local-host-names:2: error: \"b.test c.test\" holds a blank; each name has a "
                      "line of its own\n");
    expect_load_error("", "\n\n192.0.2.1/24\n", "",
                      "relay-domains:3: error: \"192.0.2.1/24\" has bits set behind the prefix "
                      "length; the network is 192.0.2\n");
    expect_load_error("", "", "local_domains = { \"a b\" }\n",
                      "postern.conf: error: \"a b\" holds a blank; each name has a line of its "
                      "own\n");
}

static void test_load_needs_the_lists_that_are_named(void **state)
{
    (void)state;
    expect_load_error("", "", "relay_domains = \"/nonexistent/relay\"\n",
                      "/nonexistent/relay: error: No such file or directory\n");
    expect_load_error("", "", "local_host_names = \"/nonexistent/names\"\n",
                      "/nonexistent/names: error: No such file or directory\n");
}

#define CASE(test) cmocka_unit_test_teardown(test, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_is_local_knows_own_names_exactly),
        CASE(test_is_local_with_block_bad_helo_has_the_loopback),
        CASE(test_is_local_knows_a_literal_however_it_is_listed),
        CASE(test_is_local_of_a_name_that_is_too_long),
        CASE(test_is_own_domain_by_suffix),
        CASE(test_is_own_domain_without_a_domain_of_its_own),
        CASE(test_is_relay_domain_by_suffix),
        CASE(test_is_relay_domain_with_relay_hosts_only),
        CASE(test_is_relay_client_by_prefix),
        CASE(test_is_relay_client_with_block_bad_helo_has_the_loopback),
        CASE(test_empty_lists_hold_nothing),
        cmocka_unit_test(test_load_tells_errors_with_their_lines),
        cmocka_unit_test(test_load_needs_the_lists_that_are_named),
    };

    return cmocka_run_group_tests_name("classes", tests, NULL, NULL);
}
