/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whom lists spare, and when that matters: a map that says so and cannot be read is no reason to let a listed client in, and none to turn
 * away one that is not listed.
 */
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/dnsbl_rules.h"
#include "lib/policy/ruleset.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PROBED "2.0.0.127.bl.test A 127.0.0.2\n"
#define LISTED "3.2.1.10.bl.test A 127.0.0.2\n"
#define TEMPFAIL "tempfail 451 4.3.0 Temporary system failure. Please try again later."
#define REFUSED "reject 550 5.7.1 Rejected: 10.1.2.3 listed at bl.test"

/* What becomes of a client by its address. Returns `text`. */
static const char *check(struct scene *scene, char text[VERDICT_TEXT_SIZE])
{
    struct verdict verdict = dnsbl_rules_check(&scene->session, DNS_LOOKUP_ADDRESS, 0).verdict;

    while (verdict.kind == VERDICT_WAIT) {
        dns_questions_wait(&scene->session);
        verdict = dnsbl_rules_check(&scene->session, DNS_LOOKUP_ADDRESS, 0).verdict;
    }
    return verdict_text(&verdict, text);
}

/* What lists say of 10.1.2.3 while the access map is no map. */
static void expect(const char *conf, const char *zone, bool traced, const char *wanted)
{
    char text[VERDICT_TEXT_SIZE];
    struct scene scene;

    scene_init(&scene, conf, "");
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    site_write(&scene.site, "access.gdbm", "neutral.test OK\n");
    scene.ruleset = site_load(&scene.site);
    assert_non_null(scene.ruleset);
    session_init(&scene.session, scene.ruleset, NULL);
    scene_dns(&scene, zone, NULL);
    scene_connect(&scene, "a.b.test [10.1.2.3] OK");
    scene.session.trace = traced ? &scene.log.trace : NULL;

    if (strcmp(check(&scene, text), wanted) != 0) {
        fail_msg("{%s} {%s}: %s", conf, zone, text);
    }
    scene_fini(&scene);
}

static void test_map_that_cannot_be_read_matters_only_for_who_is_listed(void **state)
{
    (void)state;
    for (int traced = 0; traced < 2; traced++) {
        expect("dnsbl \"bl.test\" { }\n", PROBED LISTED, traced != 0, TEMPFAIL);
        expect("dnsbl \"bl.test\" { exempt = { \"relay\" } }\n", PROBED LISTED, traced != 0,
               TEMPFAIL);
        expect("dnsbl \"bl.test\" { }\n", PROBED, traced != 0, "continue");
    }
}

/* No login spares this client; whether it may relay is not asked. */
static void test_map_that_cannot_be_read_does_not_matter_where_nobody_asks_it(void **state)
{
    (void)state;
    expect("dnsbl \"bl.test\" { exempt = { \"authenticated\" } }\n", PROBED LISTED, false, REFUSED);
    expect("dnsbl \"bl.test\" { exempt = { } }\n", PROBED LISTED, false, REFUSED);
}

/* Who may be spared by a list that allows, is not allowed by it. */
static void test_map_that_cannot_be_read_and_a_list_that_allows(void **state)
{
    (void)state;
    expect("dnsbl \"bl.test\" { action = allow }\n", PROBED LISTED, false, TEMPFAIL);
}

/* A login to POP or IMAP counts from the moment that it is known, and no longer than that, whatever the session saw before. */
static void test_login_in_the_middle_of_a_session_spares_the_client(void **state)
{
    char text[VERDICT_TEXT_SIZE];
    struct scene scene;

    (void)state;
    scene_init(&scene, "dnsbl \"bl.test\" { }\n", "");
    scene_relayers(&scene, "10.1.2.3 1695420927\n", true); /* nobody can be asked */
    scene_dns(&scene, PROBED LISTED, NULL);
    scene_connect(&scene, "a.b.test [10.1.2.3] OK");
    dnsbl_rules_expect(&scene.session, DNS_LOOKUP_ADDRESS);
    assert_string_equal(check(&scene, text), REFUSED);
    scene.relayers_fail = false;
    assert_string_equal(check(&scene, text), "continue");
    scene.relayers_fail = true;
    assert_string_equal(check(&scene, text), REFUSED);
    scene_fini(&scene);
}

/* Two sections may be about one zone, as with enhdnsbl: one question, and each of them counts what it made of the answer. */
static void test_lists_of_one_zone_count_for_themselves(void **state)
{
    char text[VERDICT_TEXT_SIZE];
    struct scene scene;

    (void)state;
    scene_init(&scene,
               "dnsbl \"four\" { zone = \"bl.test\" match = \"127.0.0.4\" }\n"
               "dnsbl \"two\" { zone = \"bl.test\" match = \"127.0.0.2\" }\n",
               "");
    scene_dns(&scene, PROBED LISTED, NULL);
    scene_connect(&scene, "a.b.test [10.1.2.3] OK");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(check(&scene, text),
                            "reject 550 5.7.1 Rejected: 10.1.2.3 listed at two");
    }
    struct dns_list *four = dns_lists_get(ruleset_dns_lists(scene.ruleset), 0);
    struct dns_list *two = dns_lists_get(ruleset_dns_lists(scene.ruleset), 1);

    assert_int_equal(four->asked, 1);
    assert_int_equal(four->senses[DNSBL_CLEAN], 1);
    assert_int_equal(two->asked, 1);
    assert_int_equal(two->senses[DNSBL_LISTED], 1);
    assert_string_equal(scene.session.client_lists, "four=127.0.0.2,two=127.0.0.2");
    scene_fini(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_that_cannot_be_read_matters_only_for_who_is_listed),
        cmocka_unit_test(test_map_that_cannot_be_read_does_not_matter_where_nobody_asks_it),
        cmocka_unit_test(test_map_that_cannot_be_read_and_a_list_that_allows),
        cmocka_unit_test(test_login_in_the_middle_of_a_session_spares_the_client),
        cmocka_unit_test(test_lists_of_one_zone_count_for_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
