/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The facts of a session, in the words of both MTAs. */
#include "lib/policy/session.h"
#include "lib/policy/stages.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct site site;
static struct ruleset *ruleset;

static int make_ruleset(void **state)
{
    (void)state;
    site_init(&site);
    ruleset = site_ruleset(&site, "hostname = \"\"\n",
                           "Connect:10 REJECT\nFrom:spam.test DISCARD\n"
                           "From:held.test QUARANTINE:held\n");
    return 0;
}

static int drop_ruleset(void **state)
{
    (void)state;
    ruleset_unref(&ruleset);
    site_fini(&site);
    return 0;
}

/* ---- clients ---- */

static const struct client_case {
    struct session_client client;
    const char *name;
    const char *addr;
    const char *ptr;
    enum session_resolve resolve;
} client_cases[] = {
    /* Sendmail */
    {{.name = "a.test", .address = "10.1.2.3", .resolve = "OK", .ptr = "a.test"},
     "a.test",
     "10.1.2.3",
     "a.test",
     RESOLVE_OK},
    {{.name = "[10.1.2.3]", .address = "10.1.2.3", .resolve = "FAIL"},
     "[10.1.2.3]",
     "10.1.2.3",
     "[10.1.2.3]",
     RESOLVE_FAIL},
    {{.name = "[10.1.2.3]", .address = "10.1.2.3", .resolve = "TEMP"},
     "[10.1.2.3]",
     "10.1.2.3",
     "[10.1.2.3]",
     RESOLVE_TEMP},
    {{.name = "[10.1.2.3]", .address = "10.1.2.3", .resolve = "FORGED", .ptr = "forged.test"},
     "[10.1.2.3]",
     "10.1.2.3",
     "forged.test",
     RESOLVE_FORGED},
    {{.name = "a.test", .address = "IPv6:2001:db8::1", .resolve = "OK"},
     "a.test",
     "IPv6:2001:db8:0:0:0:0:0:1",
     "a.test",
     RESOLVE_OK},
    {{.name = "[IPv6:2001:db8::1]", .address = "IPv6:2001:db8::1", .resolve = "FAIL"},
     "[IPv6:2001:db8:0:0:0:0:0:1]",
     "IPv6:2001:db8:0:0:0:0:0:1",
     "[IPv6:2001:db8:0:0:0:0:0:1]",
     RESOLVE_FAIL},
    /* Postfix */
    {{.name = "a.test", .address = "10.1.2.3"}, "a.test", "10.1.2.3", "a.test", RESOLVE_OK},
    {{.name = "unknown", .address = "10.1.2.3"},
     "[10.1.2.3]",
     "10.1.2.3",
     "[10.1.2.3]",
     RESOLVE_FAIL},
    {{.name = "Unknown", .address = "2001:db8::1"},
     "[IPv6:2001:db8:0:0:0:0:0:1]",
     "IPv6:2001:db8:0:0:0:0:0:1",
     "[IPv6:2001:db8:0:0:0:0:0:1]",
     RESOLVE_FAIL},
    {{.name = "unknown", .address = "10.1.2.3", .ptr = "unknown"},
     "[10.1.2.3]",
     "10.1.2.3",
     "[10.1.2.3]",
     RESOLVE_FAIL},
    {{.name = "unknown", .address = "10.1.2.3", .ptr = "forged.test"},
     "[10.1.2.3]",
     "10.1.2.3",
     "forged.test",
     RESOLVE_FORGED},
    /* either */
    {{.name = "A.Test.", .address = "10.1.2.3"}, "a.test", "10.1.2.3", "a.test", RESOLVE_OK},
    {{.name = "a.test", .address = "10.1.2.3", .resolve = "forged"},
     "[10.1.2.3]",
     "10.1.2.3",
     "a.test",
     RESOLVE_FORGED},
    {{.name = "a.test", .address = "10.1.2.3", .resolve = ""},
     "a.test",
     "10.1.2.3",
     "a.test",
     RESOLVE_OK},
    {{.name = NULL, .address = "10.1.2.3"}, "[10.1.2.3]", "10.1.2.3", "[10.1.2.3]", RESOLVE_FAIL},
    {{.name = "a.test", .address = "::ffff:10.1.2.3"}, "a.test", "10.1.2.3", "a.test", RESOLVE_OK},
    {{.name = "localhost", .address = NULL}, "localhost", "", "localhost", RESOLVE_OK},
    {{.name = "localhost", .address = "no address"}, "localhost", "", "localhost", RESOLVE_OK},
    {{.name = NULL, .address = NULL}, "", "", "", RESOLVE_FAIL},
    {{.name = "", .address = ""}, "", "", "", RESOLVE_FAIL},
};

static void test_connect_makes_one_of_both_dialects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(client_cases); i++) {
        const struct client_case *c = &client_cases[i];
        struct session session;

        session_init(&session, ruleset, NULL);
        session_connect(&session, &c->client);
        if (strcmp(session.client_name, c->name) != 0 ||
            strcmp(session.client_addr, c->addr) != 0 || strcmp(session.client_ptr, c->ptr) != 0 ||
            session.resolve != c->resolve) {
            fail_msg("case %zu: name %s address %s ptr %s resolve %s", i, session.client_name,
                     session.client_addr, session.client_ptr,
                     session_resolve_name(session.resolve));
        }
        session_fini(&session);
    }
}

static void test_connect_copies_its_arguments(void **state)
{
    char name[] = "a.test";
    char address[] = "10.1.2.3";
    char hostname[] = "mx.home.example";
    char daemon[] = "MTA";
    const struct session_client client = {
        .name = name, .address = address, .hostname = hostname, .daemon_name = daemon};
    struct session session;

    (void)state;
    session_init(&session, ruleset, NULL);
    session_connect(&session, &client);
    memset(name, 'x', sizeof(name) - 1);
    memset(address, 'x', sizeof(address) - 1);
    memset(hostname, 'x', sizeof(hostname) - 1);
    memset(daemon, 'x', sizeof(daemon) - 1);
    assert_string_equal(session.client_name, "a.test");
    assert_string_equal(session.client_addr, "10.1.2.3");
    assert_string_equal(session.hostname, "mx.home.example");
    assert_string_equal(session.daemon_name, "MTA");
    session_fini(&session);
}

static void test_connect_with_a_name_that_is_too_long(void **state)
{
    char name[3000];
    struct session_client client = {.name = name, .address = "10.1.2.3"};
    struct session session;

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    session_init(&session, ruleset, NULL);
    session_connect(&session, &client);
    assert_string_equal(session.client_name, "[10.1.2.3]");
    session_fini(&session);
}

/* ---- own name ---- */

static void test_own_name_comes_from_the_mta(void **state)
{
    static const struct {
        const char *hostname;
        const char *name;
        const char *domain;
    } cases[] = {
        {"MX.Home.Example", "mx.home.example", "home.example"},
        {"mx", "mx", ""},
        {"", "localhost", ""},
        {NULL, "localhost", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct session_client client = {.hostname = cases[i].hostname};
        struct session session;

        session_init(&session, ruleset, NULL);
        session_connect(&session, &client);
        assert_string_equal(session.hostname, cases[i].name);
        assert_string_equal(session.domain, cases[i].domain);
        session_fini(&session);
    }
}

static void test_own_name_of_the_configuration_wins(void **state)
{
    struct session_client client = {.hostname = "mta.other.example"};
    struct scene scene;

    (void)state;
    scene_init(&scene, "", "");
    session_connect(&scene.session, &client);
    assert_string_equal(scene.session.hostname, "mx.home.example");
    assert_string_equal(scene.session.domain, "home.example");
    scene_fini(&scene);
}

static void test_own_literal_is_the_address_connected_to(void **state)
{
    static const struct {
        const char *address;
        const char *literal;
    } cases[] = {
        {"192.0.2.1", "[192.0.2.1]"},
        {"IPv6:2001:db8::1", "[IPv6:2001:db8:0:0:0:0:0:1]"},
        {"2001:db8::1", "[IPv6:2001:db8:0:0:0:0:0:1]"},
        {"nonsense", ""},
        {"", ""},
        {NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct session_client client = {.daemon_addr = cases[i].address};
        struct session session;

        session_init(&session, ruleset, NULL);
        session_connect(&session, &client);
        assert_string_equal(session.own_literal, cases[i].literal);
        session_fini(&session);
    }
}

/* ---- life ---- */

static void test_fini_of_a_zeroed_session_is_legal(void **state)
{
    struct session session;

    (void)state;
    memset(&session, 0, sizeof(session));
    session_fini(&session);
}

static void test_init_has_no_facts(void **state)
{
    struct session session;

    (void)state;
    session_init(&session, ruleset, NULL);
    assert_string_equal(session.client_name, "");
    assert_string_equal(session.client_addr, "");
    assert_string_equal(session.helo, "");
    assert_string_equal(session.login.type, "");
    assert_string_equal(session.login.authen, "");
    assert_null(session.sender);
    assert_int_equal(session.recipients, 0);
    session_fini(&session);
}

static void test_reset_forgets_the_message_only(void **state)
{
    const struct session_client client = {.name = "a.test", .address = "192.0.2.9"};
    const struct session_login login = {.type = "PLAIN", .authen = "joe"};
    struct session session;

    (void)state;
    session_init(&session, ruleset, NULL);
    session_connect(&session, &client);
    (void)stage_connect(&session);
    (void)stage_helo(&session, "helo.test");
    (void)stage_mail(&session, &login, "<x@spam.test>");
    (void)stage_rcpt(&session, "<joe@local.example>", NULL);
    assert_string_equal(session.login.authen, "joe");
    assert_string_equal(session.sender, "<x@spam.test>");
    assert_int_equal(session.recipients, 1);
    assert_int_equal(session.discard.kind, VERDICT_DISCARD);
    session_reset_message(&session);
    assert_string_equal(session.login.type, "");
    assert_string_equal(session.login.authen, "");
    assert_null(session.sender);
    assert_int_equal(session.recipients, 0);
    assert_int_equal(session.discard.kind, VERDICT_CONTINUE);
    assert_string_equal(session.client_name, "a.test");
    assert_string_equal(session.helo, "helo.test");
    (void)stage_mail(&session, NULL, "<x@held.test>");
    assert_int_equal(session.quarantine.kind, VERDICT_QUARANTINE);
    session_reset_message(&session);
    assert_int_equal(session.quarantine.kind, VERDICT_CONTINUE);
    session_fini(&session);
}

static void test_session_keeps_its_ruleset(void **state)
{
    struct session session;
    struct ruleset *mine = ruleset_ref(ruleset);

    (void)state;
    session_init(&session, mine, NULL);
    ruleset_unref(&mine);
    assert_null(mine);
    assert_ptr_equal(session.ruleset, ruleset);
    assert_non_null(ruleset_config(session.ruleset));
    session_fini(&session);
    assert_null(session.ruleset);
}

static void test_resolve_name_of_each(void **state)
{
    (void)state;
    assert_string_equal(session_resolve_name(RESOLVE_OK), "OK");
    assert_string_equal(session_resolve_name(RESOLVE_FAIL), "FAIL");
    assert_string_equal(session_resolve_name(RESOLVE_TEMP), "TEMP");
    assert_string_equal(session_resolve_name(RESOLVE_FORGED), "FORGED");
}

static void test_helo_is_cut(void **state)
{
    char name[5000];
    struct session session;

    (void)state;
    memset(name, 'h', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    session_init(&session, ruleset, NULL);
    (void)stage_helo(&session, name);
    assert_in_range(strlen(session.helo), 1, 1024);
    (void)stage_helo(&session, "short.test");
    assert_string_equal(session.helo, "short.test");
    (void)stage_helo(&session, NULL);
    assert_string_equal(session.helo, "");
    session_fini(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_makes_one_of_both_dialects),
        cmocka_unit_test(test_connect_copies_its_arguments),
        cmocka_unit_test(test_connect_with_a_name_that_is_too_long),
        cmocka_unit_test(test_own_name_comes_from_the_mta),
        cmocka_unit_test(test_own_name_of_the_configuration_wins),
        cmocka_unit_test(test_own_literal_is_the_address_connected_to),
        cmocka_unit_test(test_fini_of_a_zeroed_session_is_legal),
        cmocka_unit_test(test_init_has_no_facts),
        cmocka_unit_test(test_reset_forgets_the_message_only),
        cmocka_unit_test(test_session_keeps_its_ruleset),
        cmocka_unit_test(test_resolve_name_of_each),
        cmocka_unit_test(test_helo_is_cut),
    };

    return cmocka_run_group_tests_name("session", tests, make_ruleset, drop_ruleset);
}
