/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sendmail's searches, by the keys that they ask for and their order: postern-access(5) */
#include "lib/policy/access_rules.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A map in which only keys of the top domain "hit" and their kin are found. */
#define HITS                                                                                   \
    "Connect:b.hit OK\nfrom:skip.hit SKIP\nskipped.hit SKIP\nto:u@d.hit REJECT\nhit DISCARD\n" \
    "u+*@d.hit RELAY\n[10.1] REJECT\nConnect:10.2 SKIP\n10 REJECT\n"

static struct scene scene;

static int make_plain(void **state)
{
    *state = &scene;
    scene_init(&scene, "", HITS);
    return 0;
}

static int make_dotted(void **state)
{
    *state = &scene;
    scene_init(&scene, "features = { \"lookupdotdomain\" }", ".b.hit REJECT\ntest OK\n");
    return 0;
}

static int drop(void **state)
{
    scene_fini(*state);
    return 0;
}

/* "found OK access:3 b.hit", "nothing", "skipped", "failed". */
static const char *describe(const struct access_match *match, char buf[128])
{
    if (match->status == STATUS_OK) {
        (void)snprintf(buf, 128, "found %s line %u %s", action_kind_name(match->action.kind),
                       match->rule.line, match->rule.key);
    } else if (match->status == STATUS_NOTFOUND) {
        (void)snprintf(buf, 128, "%s", match->skip ? "skipped" : "nothing");
    } else {
        (void)snprintf(buf, 128, "failed");
    }
    return buf;
}

static struct access_match search_for(const char *kind, const char *tag, bool tag_only,
                                      const char *local, const char *domain)
{
    struct access_search search = access_search_init(&scene.session, tag, tag_only);

    switch (*kind) {
    case 'E':
        return access_find_exact(&search, domain);
    case 'A':
        scene_connect(&scene, domain);
        return access_find_client(&search);
    case 'u':
        return access_find_user(&search, local);
    case 'f':
        return access_find_full(&search, local, domain);
    case 'd':
        return access_find_domain(&search, domain);
    default:
        return access_find(&search, kind, local, domain);
    }
}

struct search_case {
    const char *kind; /* d, f, u: one search; E, A; else the letters of access_find() */
    const char *tag;
    bool tag_only;
    const char *local;
    const char *domain;
    const char *keys;
    const char *result;
};

static void run(const struct search_case *c)
{
    char buf[128];
    struct access_match match = search_for(c->kind, c->tag, c->tag_only, c->local, c->domain);
    const char *keys = scene_keys(&scene);

    if (strcmp(keys, c->keys) != 0) {
        fail_msg("%s %s %s %s: asked for%s", c->kind, c->tag, c->local, c->domain, keys);
    }
    if (strcmp(describe(&match, buf), c->result) != 0) {
        fail_msg("%s %s %s %s: %s", c->kind, c->tag, c->local, c->domain, buf);
    }
}

static const struct search_case domain_cases[] = {
    {"d", "from:", false, "", "a.b.test",
     " from:a.b.test a.b.test from:b.test b.test from:test test", "nothing"},
    {"d", "from:", true, "", "a.b.test", " from:a.b.test from:b.test from:test", "nothing"},
    {"d", "", false, "", "a.b.test", " a.b.test b.test test", "nothing"},
    {"d", "from:", false, "", "A.B.Test",
     " from:a.b.test a.b.test from:b.test b.test from:test test", "nothing"},
    {"d", "from:", false, "", "test", " from:test test", "nothing"},
    {"d", "from:", false, "", "", "", "nothing"},
    /* the first key that exists decides, whatever its value */
    {"d", "connect:", false, "", "a.b.hit",
     " connect:a.b.hit a.b.hit connect:b.hit=", "found OK line 1 connect:b.hit"},
    {"d", "from:", false, "", "a.b.hit",
     " from:a.b.hit a.b.hit from:b.hit b.hit from:hit hit=", "found DISCARD line 5 hit"},
    {"d", "from:", true, "", "a.b.hit", " from:a.b.hit from:b.hit from:hit", "nothing"},
    /* SKIP: nothing, and no further key */
    {"d", "from:", false, "", "a.skip.hit",
     " from:a.skip.hit a.skip.hit from:skip.hit=", "skipped"},
    {"d", "to:", false, "", "skipped.hit", " to:skipped.hit skipped.hit=", "skipped"},
    {"d", "to:", false, "", "skip.hit",
     " to:skip.hit skip.hit to:hit hit=", "found DISCARD line 5 hit"},
    /* literals lose octets and groups from the end */
    {"d", "from:", false, "", "[192.0.2.1]",
     " from:[192.0.2.1] [192.0.2.1] from:[192.0.2] [192.0.2] from:[192.0] [192.0] from:[192] [192]",
     "nothing"},
    {"d", "from:", false, "", "[10.1.2.3]",
     " from:[10.1.2.3] [10.1.2.3] from:[10.1.2] [10.1.2] from:[10.1] [10.1]=",
     "found REJECT line 7 [10.1]"},
    {"d", "from:", true, "", "[ipv6:2001:db8:0:0:0:0:0:1]",
     " from:[ipv6:2001:db8:0:0:0:0:0:1] from:[ipv6:2001:db8:0:0:0:0:0] from:[ipv6:2001:db8:0:0:0:0]"
     " from:[ipv6:2001:db8:0:0:0] from:[ipv6:2001:db8:0:0] from:[ipv6:2001:db8:0]"
     " from:[ipv6:2001:db8] from:[ipv6:2001] from:[ipv6]",
     "nothing"},
    {"d", "from:", true, "", "[ipv6:2001:db8::1]",
     " from:[ipv6:2001:db8::1] from:[ipv6:2001:db8] from:[ipv6:2001] from:[ipv6]", "nothing"},
    {"d", "from:", true, "", "[]", " from:[]", "nothing"},
    {"d", "from:", true, "", "[.]", " from:[.]", "nothing"},
    {"d", "from:", true, "", "[:::]", NULL, "nothing"},
};

static void test_find_domain_asks_from_the_name_to_its_last_label(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(domain_cases); i++) {
        if (domain_cases[i].keys != NULL) {
            run(&domain_cases[i]);
        } else {
            (void)search_for("d", "from:", true, "", domain_cases[i].domain);
            (void)scene_keys(&scene);
        }
    }
}

/* "a.b.test, .b.test, b.test, .test, test is the order" */
static void test_find_domain_with_lookupdotdomain(void **state)
{
    static const struct search_case cases[] = {
        {"d", "from:", false, "", "a.b.org",
         " from:a.b.org a.b.org from:.b.org .b.org from:b.org b.org from:.org .org from:org org",
         "nothing"},
        {"d", "from:", true, "", "b.org", " from:b.org from:.org from:org", "nothing"},
        {"d", "from:", true, "", "org", " from:org", "nothing"},
        {"d", "from:", false, "", "x.a.b.hit",
         " from:x.a.b.hit x.a.b.hit from:.a.b.hit .a.b.hit from:a.b.hit a.b.hit from:.b.hit .b.hit=",
         "found REJECT line 1 .b.hit"},
        {"d", "from:", true, "", "b.hit", " from:b.hit from:.hit from:hit", "nothing"},
        {"d", "from:", true, "", "[10.1]", " from:[10.1] from:[10]", "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        run(&cases[i]);
    }
}

static void test_find_client_asks_for_longest_prefix_first(void **state)
{
    static const struct search_case cases[] = {
        {"A", "connect:", false, "", "[192.0.2.1]",
         " connect:192.0.2.1 192.0.2.1 connect:192.0.2 192.0.2 connect:192.0 192.0 connect:192 192",
         "nothing"},
        {"A", "connect:", true, "", "[192.0.2.1]",
         " connect:192.0.2.1 connect:192.0.2 connect:192.0 connect:192", "nothing"},
        {"A", "connect:", false, "", "[10.1.2.3]",
         " connect:10.1.2.3 10.1.2.3 connect:10.1.2 10.1.2 connect:10.1 10.1 connect:10 10=",
         "found REJECT line 9 10"},
        {"A", "connect:", false, "", "[10.2.2.3]",
         " connect:10.2.2.3 10.2.2.3 connect:10.2.2 10.2.2 connect:10.2=", "skipped"},
        {"A", "connect:", true, "", "[IPv6:2001:db8:0:0:0:0:0:1]",
         " connect:ipv6:2001:db8:0:0:0:0:0:1 connect:ipv6:2001:db8:0:0:0:0:0"
         " connect:ipv6:2001:db8:0:0:0:0 connect:ipv6:2001:db8:0:0:0 connect:ipv6:2001:db8:0:0"
         " connect:ipv6:2001:db8:0 connect:ipv6:2001:db8 connect:ipv6:2001 connect:ipv6",
         "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        run(&cases[i]);
    }
}

static void test_find_client_without_address_asks_nothing(void **state)
{
    struct access_search search = access_search_init(&scene.session, "connect:", false);

    (void)state;
    assert_int_equal(access_find_client(&search).status, STATUS_NOTFOUND);
    assert_string_equal(scene_keys(&scene), "");
}

static const struct search_case user_cases[] = {
    {"f", "to:", false, "joe", "b.test", " to:joe@b.test joe@b.test", "nothing"},
    {"f", "to:", true, "joe", "b.test", " to:joe@b.test", "nothing"},
    {"f", "to:", true, "Joe", "B.Test", " to:joe@b.test", "nothing"},
    {"f", "to:", false, "joe+x", "b.test",
     " to:joe+x@b.test joe+x@b.test to:joe+*@b.test joe+*@b.test to:joe@b.test joe@b.test",
     "nothing"},
    /* the cut is at the first '+' */
    {"f", "to:", true, "joe+x+y", "b.test", " to:joe+x+y@b.test to:joe+*@b.test to:joe@b.test",
     "nothing"},
    {"f", "to:", true, "joe+", "b.test", " to:joe+@b.test to:joe+*@b.test to:joe@b.test",
     "nothing"},
    /* a local part that begins with '+' has no user before it */
    {"f", "to:", true, "+x", "b.test", " to:+x@b.test", "nothing"},
    /* no detail variants in quotes, which go for the lookup */
    {"f", "to:", true, "\"joe+x y\"", "b.test", " to:joe+x y@b.test", "nothing"},
    {"f", "to:", false, "u", "d.hit", " to:u@d.hit=", "found REJECT line 4 to:u@d.hit"},
    {"f", "from:", false, "u+x", "d.hit",
     " from:u+x@d.hit u+x@d.hit from:u+*@d.hit u+*@d.hit=", "found RELAY line 6 u+*@d.hit"},
    {"u", "to:", false, "joe", "", " to:joe@ joe@", "nothing"},
    {"u", "to:", false, "joe+x", "", " to:joe+x@ joe+x@ to:joe+*@ joe+*@ to:joe@ joe@", "nothing"},
    {"u", "to:", true, "joe+x", "", " to:joe+x@ to:joe+*@ to:joe@", "nothing"},
    {"u", "to:", true, "a.b%c!d", "", " to:a.b%c!d@", "nothing"},
};

static void test_find_full_and_user_try_the_detail_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(user_cases); i++) {
        run(&user_cases[i]);
    }
}

static void test_find_exact_asks_for_one_key(void **state)
{
    static const struct search_case cases[] = {
        {"E", "to:", false, "", "a.b.test", " to:a.b.test a.b.test", "nothing"},
        {"E", "to:", true, "", "a.b.test", " to:a.b.test", "nothing"},
        {"E", "", false, "", "hit", " hit=", "found DISCARD line 5 hit"},
        {"E", "", false, "", "x.hit", " x.hit", "nothing"},
        {"E", "to:", false, "", "", "", "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        run(&cases[i]);
    }
}

/* The orders that the rules use: MAIL "FUD", RCPT "FUD", "FD", "U", Spam: "FDU", "FD". */
static void test_find_follows_the_order_given(void **state)
{
    static const struct search_case cases[] = {
        {"FUD", "from:", true, "joe", "b.test", " from:joe@b.test from:joe@ from:b.test from:test",
         "nothing"},
        {"FDU", "spam:", true, "joe", "b.test", " spam:joe@b.test spam:b.test spam:test spam:joe@",
         "nothing"},
        {"FD", "to:", true, "joe", "b.test", " to:joe@b.test to:b.test to:test", "nothing"},
        {"U", "to:", true, "joe", "b.test", " to:joe@", "nothing"},
        {"FUD", "to:", true, "u", "d.hit", " to:u@d.hit=", "found REJECT line 4 to:u@d.hit"},
        {"FUD", "from:", false, "x", "b.hit",
         " from:x@b.hit x@b.hit from:x@ x@ from:b.hit b.hit from:hit hit=",
         "found DISCARD line 5 hit"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        run(&cases[i]);
    }
}

/* ---- keys that are in no map ---- */

static void test_names_that_are_too_long_are_not_asked_for(void **state)
{
    char name[4096];
    struct access_search search = access_search_init(&scene.session, "from:", false);

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 1; i < sizeof(name) - 1; i += 2) {
        name[i] = '.';
    }
    assert_int_equal(access_find_domain(&search, name).status, STATUS_NOTFOUND);
    assert_int_equal(access_find_full(&search, name, "b.test").status, STATUS_NOTFOUND);
    assert_int_equal(access_find_user(&search, name).status, STATUS_NOTFOUND);
    assert_int_equal(access_find_exact(&search, name).status, STATUS_NOTFOUND);
    assert_string_equal(scene_keys(&scene), "");
}

static void test_search_without_a_map_finds_nothing(void **state)
{
    struct scene *none = &scene;

    (void)state;
    scene_init(none, "access = \"\"\n", "");
    assert_null(ruleset_access(none->ruleset));
    scene_connect(none, "[10.1.2.3]");
    struct access_search search = access_search_init(&none->session, "from:", false);

    assert_int_equal(access_find(&search, "FUD", "joe", "b.test").status, STATUS_NOTFOUND);
    assert_int_equal(access_find_client(&search).status, STATUS_NOTFOUND);
    assert_int_equal(access_find_exact(&search, "x").status, STATUS_NOTFOUND);
    assert_string_equal(scene_keys(none), "");
    scene_fini(none);
}

static void test_search_in_a_map_that_cannot_be_read_fails_at_once(void **state)
{
    struct scene *broken = &scene;
    char path[SITE_PATH_SIZE];

    (void)state;
    scene_init(broken, "", "b.test OK\n");
    session_fini(&broken->session);
    ruleset_unref(&broken->ruleset);
    assert_int_equal(remove(site_path(&broken->site, "access.gdbm", path)), 0);
    broken->ruleset = site_load(&broken->site);
    session_init(&broken->session, broken->ruleset, &broken->log.trace);
    scene_connect(broken, "[10.1.2.3]");
    struct access_search search = access_search_init(&broken->session, "from:", false);

    assert_int_equal(access_find(&search, "FUD", "joe", "b.test").status, STATUS_TEMPFAIL);
    assert_string_equal(scene_keys(broken), " from:joe@b.test!");
    assert_int_equal(access_find_client(&search).status, STATUS_TEMPFAIL);
    assert_int_equal(access_find_domain(&search, "[10.1]").status, STATUS_TEMPFAIL);
    assert_int_equal(access_find_user(&search, "joe+x").status, STATUS_TEMPFAIL);
    assert_int_equal(access_find_exact(&search, "x").status, STATUS_TEMPFAIL);
    scene_fini(broken);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, make_plain, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(test_find_domain_asks_from_the_name_to_its_last_label),
        cmocka_unit_test_setup_teardown(test_find_domain_with_lookupdotdomain, make_dotted, drop),
        PLAIN(test_find_client_asks_for_longest_prefix_first),
        PLAIN(test_find_client_without_address_asks_nothing),
        PLAIN(test_find_full_and_user_try_the_detail_first),
        PLAIN(test_find_exact_asks_for_one_key),
        PLAIN(test_find_follows_the_order_given),
        PLAIN(test_names_that_are_too_long_are_not_asked_for),
        cmocka_unit_test(test_search_without_a_map_finds_nothing),
        cmocka_unit_test(test_search_in_a_map_that_cannot_be_read_fails_at_once),
    };

    return cmocka_run_group_tests_name("access_rules", tests, NULL, NULL);
}
