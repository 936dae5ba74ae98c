/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `posternctl check` says of rule files: lines that never decide, and maps that are not as their text. */
#include "lib/policy/rule_check.h"
#include "tests/unit/support.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define ALL                                                                                         \
    "features = { \"accept_unresolvable_domains\", \"blocklist_recipients\", \"lookupdotdomain\", " \
    "\"delay_checks_friend\", \"compat_check\" }\n"
#define NONE "features = { \"accept_unresolvable_domains\" }\n"

static struct site site;

static int make_site(void **state)
{
    (void)state;
    site_init(&site);
    return 0;
}

static int drop_site(void **state)
{
    (void)state;
    site_fini(&site);
    return 0;
}

/* What rule_check_all() says of the site as it lies there. */
static const char *check(void)
{
    char path[SITE_PATH_SIZE];
    struct config *config = config_load(site_path(&site, "postern.conf", path), &site.log.diag);

    assert_non_null(config);
    strbuf_reset(&site.log.text);
    rule_check_all(config, &site.log.diag);
    config_free(&config);
    return site.log.text.data;
}

static void build(const char *conf, const char *access, const char *spammers)
{
    site_conf(&site, conf);
    (void)site_map(&site, "access", access);
    (void)site_map(&site, "spammers", spammers);
}

/* ---- lines that never decide ---- */

static const struct finding_case {
    const char *conf;
    const char *access;
    const char *spammers;
    const char *said;
} finding_cases[] = {
    {ALL, "From:b.test REJECT\nb.test OK\n# c\n\nTo:joe@ REJECT\n", "spam.test\n", ""},
    {ALL, "", "", ""},
    /* the same key twice, however it is written */
    {ALL, "From:b.test REJECT\nFROM:B.Test OK\n", "",
     "access:2: warning: \"FROM:B.Test\" can never decide: it is there already, in line 1; the first "
     "one counts; remove one of them\n"},
    {ALL, "Connect:192.0.2.0/24 REJECT\nFrom:a.test OK\nConnect:192.0.2 OK\n", "",
     "access:3: warning: \"Connect:192.0.2\" can never decide: it is there already, in line 1; the "
     "first one counts; remove one of them\n"},
    {ALL, "IPv6:2001:db8::/32 REJECT\nIPv6:2001:DB8 OK\n", "",
     "access:2: warning: \"IPv6:2001:DB8\" can never decide: it is there already, in line 1; the "
     "first one counts; remove one of them\n"},
    /* a bare key behind all the tagged ones that are asked for before it */
    {ALL, "b.test REJECT\nConnect:b.test OK\nFrom:b.test OK\nTo:b.test OK\n", "",
     "access:1: warning: \"b.test\" can never decide: connect:b.test (line 2), from:b.test (line 3), "
     "to:b.test (line 4) is asked first; remove it\n"},
    {ALL, "b.test REJECT\nConnect:b.test OK\nFrom:b.test OK\n", "", ""},
    {ALL, "10.1 REJECT\nConnect:10.1 OK\n", "",
     "access:1: warning: \"10.1\" can never decide: connect:10.1 (line 2) is asked first; remove "
     "it\n"},
    {ALL, "10.1 REJECT\nConnect:10.1.2 OK\nConnect:10 OK\n", "", ""},
    {ALL, "joe@b.test REJECT\nFrom:joe@b.test OK\nTo:joe@b.test OK\n", "",
     "access:1: warning: \"joe@b.test\" can never decide: from:joe@b.test (line 2), to:joe@b.test "
     "(line 3) is asked first; remove it\n"},
    {ALL, "joe@b.test REJECT\nFrom:joe@b.test OK\n", "", ""},
    /* spammers behind the access map */
    {ALL, "From:spam.test OK\n", "spam.test\n",
     "spammers:1: warning: \"spam.test\" can never decide: line 1 of access is asked first; remove "
     "one of them\n"},
    {ALL, "spam.test REJECT\n", "a.spam.test\njoe@spam.test\nother.test\n",
     "spammers:1: warning: \"a.spam.test\" can never decide: line 1 of access is asked first; remove "
     "one of them\n"
     "spammers:2: warning: \"joe@spam.test\" can never decide: line 1 of access is asked first; "
     "remove one of them\n"},
    {ALL, "From:joe@spam.test OK\n", "spam.test\n", ""},
    {ALL, "To:spam.test OK\nConnect:spam.test OK\n", "spam.test\n", ""},
    {ALL, "From:spam.test SKIP\n", "spam.test\njoe@a.spam.test\n", ""},
    {ALL, "From:a.spam.test SKIP\nFrom:spam.test OK\n", "x.a.spam.test\nb.spam.test\n",
     "spammers:2: warning: \"b.spam.test\" can never decide: line 2 of access is asked first; remove "
     "one of them\n"},
    /* keys that no feature asks for: the first, and how many more */
    {NONE, "To:joe@ REJECT\n", "",
     "access:1: warning: To: entries other than RELAY decide nothing; add blocklist_recipients to "
     "features\n"},
    {NONE, "From:a.test OK\nTo:joe@ REJECT\nTo:ann@ OK\nTo:b.test 550 x\n", "",
     "access:2: warning: To: entries other than RELAY decide nothing (this line and 2 more); add "
     "blocklist_recipients to features\n"},
    {NONE, "To:b.test RELAY\n", "", ""},
    {NONE, "Connect:.b.test REJECT\n.c.test OK\n", "",
     "access:1: warning: keys that begin with '.' are never asked for (this line and 1 more); add "
     "lookupdotdomain to features\n"},
    {NONE, "Compat:a@b.test<@>c@d.test DISCARD\n", "", NULL},
    {NONE, "Spam:joe@ FRIEND\n", "",
     "access:1: warning: Spam: entries are never asked for; add delay_checks_friend or "
     "delay_checks_hater to features\n"},
};

static void test_check_finds_lines_that_never_decide(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(finding_cases); i++) {
        const struct finding_case *c = &finding_cases[i];

        build(c->conf, c->access, c->spammers);
        const char *said = check();

        if (c->said == NULL ? strstr(said, "access:1: warning: Compat: ") == NULL
                            : strcmp(said, c->said) != 0) {
            fail_msg("{%s} {%s}: %s", c->access, c->spammers, said);
        }
    }
}

static void test_check_tells_every_error_of_the_text(void **state)
{
    (void)state;
    build(ALL, "From:a.test OK\n", "");
    site_write(&site, "access", "From:a.test REJECTED\nFrom:b.test OK\nForm:c.test OK\n");
    const char *said = check();

    assert_non_null(
        strstr(said, "access:1: error: REJECTED: unknown action; did you mean REJECT?\n"));
    assert_non_null(
        strstr(said, "access:3: error: Form:c.test: unknown tag; did you mean From:?\n"));
}

/* Once, not once for each pass over the file. */
static void test_check_tells_an_error_once(void **state)
{
    (void)state;
    build(ALL, "From:a.test OK\n", "");
    site_write(&site, "access", "From:a.test REJECTED\n");
    size_t before = site.log.diag.errors;

    (void)check();
    assert_int_equal(site.log.diag.errors - before, 1);
}

/* ---- what opens a relay ---- */

#define MILTER NONE "relay_control = \"milter\"\n"
#define EVERY_LISTENER                                                                           \
    "postern.conf: warning: relay_control \"milter\": a listener without the filter is an open " \
    "relay; give every listener of the MTA this filter, with F=T or milter_default_action = "    \
    "tempfail; see postern.conf(5)\n"

static void expect_said(const char *conf, const char *access, const char *part)
{
    build(conf, access, "");
    const char *said = check();

    if (strstr(said, part) == NULL) {
        fail_msg("{%s} {%s}: %s", conf, access, said);
    }
}

static void test_check_warns_of_what_opens_a_relay(void **state)
{
    (void)state;
    expect_said(MILTER, "To:b.test RELAY\nConnect:10.1 RELAY\n", EVERY_LISTENER);
    expect_said(MILTER, "Connect:a.test OK\nTo:com RELAY\n",
                "access:2: warning: RELAY: com is a whole top-level domain; name the hosts and "
                "networks that you relay for\n");
    expect_said(MILTER, "Connect:0.0.0.0/0 RELAY\n",
                "access:1: warning: RELAY: 0.0.0.0/0 is every address there is; ");
    expect_said(MILTER, "Connect:IPv6 RELAY\n", "is every address there is; ");
    expect_said(MILTER, "b.test RELAY\n",
                "access:1: warning: RELAY: \"b.test\" has no tag: it lets these clients relay and "
                "everybody relay to them; ");
    expect_said(
        "relay_control = \"milter\"\nfeatures = { \"promiscuous_relay\" }\n", "",
        "postern.conf: warning: promiscuous_relay: everybody may relay to everywhere: an open "
        "relay; remove it from features\n");
    expect_said(
        "relay_control = \"milter\"\nfeatures = { \"relay_local_from\" }\n", "",
        "postern.conf: warning: relay_local_from: who claims to be a local sender may relay");
    expect_said("relay_control = \"milter\"\nfeatures = { \"relay_mail_from\" }\n", "",
                "postern.conf: warning: relay_mail_from: ");
    expect_said(MILTER "trust_auth_mech = { \"any\" }\n", "",
                "postern.conf: warning: trust_auth_mech: \"any\" trusts every login");
    site_write(&site, "relay-domains", "partner.test\norg # all\n");
    expect_said(MILTER, "", "relay-domains:2: warning: org is a whole top-level domain; ");
}

/* Without relay control postern opens nothing, and what is narrow is not spoken of. */
static void test_check_is_silent_about_relaying_that_is_narrow(void **state)
{
    (void)state;
    build(MILTER,
          "To:b.test RELAY\nConnect:10.1.2.0/24 RELAY\nConnect:[10.1] RELAY\nFrom:com REJECT\n"
          "Connect:localhost RELAY\n",
          "");
    assert_string_equal(check(), EVERY_LISTENER);
    build(NONE "trust_auth_mech = { \"any\" }\n", "To:com RELAY\nb.test RELAY\n", "");
    assert_string_equal(check(), "");
}

/* ---- maps and their texts ---- */

static void test_check_of_a_map_that_was_never_made(void **state)
{
    size_t before;

    (void)state;
    site_conf(&site, ALL);
    site_write(&site, "access", "From:a.test OK\n");
    (void)site_map(&site, "spammers", "");
    before = site.log.diag.errors;
    assert_string_equal(check(), "access.gdbm: error: No such file or directory; run posternctl "
                                 "makemap access\n");
    assert_int_equal(site.log.diag.errors - before, 1);
}

static void test_check_of_a_map_that_is_older_than_its_text(void **state)
{
    char path[SITE_PATH_SIZE];
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 2000000000}};
    const char *said;

    (void)state;
    build(ALL, "From:a.test OK\n", "");
    assert_string_equal(check(), "");
    assert_int_equal(utimensat(AT_FDCWD, site_path(&site, "access", path), times, 0), 0);
    said = check();
    assert_non_null(strstr(said, "access.gdbm: warning: "));
    assert_non_null(strstr(said, "; run posternctl makemap access\n"));
    (void)site_build(&site, "access", NULL);
    assert_string_equal(check(), "");
}

static void test_check_of_a_map_that_is_none(void **state)
{
    const char *said;

    (void)state;
    build(ALL, "From:a.test OK\n", "a.example\n");
    site_write(&site, "spammers.gdbm", "no map");
    said = check();
    assert_non_null(strstr(said, "spammers.gdbm: error: "));
    assert_non_null(strstr(said, "; run posternctl makemap spammers\n"));
}

static void test_check_of_a_text_that_is_not_there(void **state)
{
    char path[SITE_PATH_SIZE];

    (void)state;
    build(ALL, "From:a.test OK\n", "");
    assert_int_equal(remove(site_path(&site, "access", path)), 0);
    assert_non_null(strstr(check(),
                           "access: error: cannot be read: No such file or directory; create "
                           "it, or set the key to \"\" for none\n"));
}

static void test_check_without_maps_says_nothing(void **state)
{
    (void)state;
    site_conf(&site, ALL "access = \"\"\nspammers = \"\"\n");
    assert_string_equal(check(), "");
}

static void test_check_tells_errors_of_lists(void **state)
{
    (void)state;
    build(ALL, "", "");
    site_write(&site, "relay-domains", "a.test b.test\n");
    assert_non_null(strstr(check(), "relay-domains:1: error: "));
}

static void test_check_tells_of_a_weight_without_a_score(void **state)
{
    (void)state;
    build(ALL "dnsbl \"a.test\" { weight = 1 }\n", "", "");
    assert_non_null(strstr(
        check(), "dnsbl \"a.test\": its weight decides nothing without a score_threshold; set "));
    build(ALL "dns { score_threshold = 1 }\ndnsbl \"a.test\" { weight = 1 }\n", "", "");
    assert_null(strstr(check(), "weight"));
}

static void test_check_tells_of_lists_that_do_less_than_they_say(void **state)
{
    (void)state;
    build(ALL "dns { score_threshold = 4 }\ndnsbl \"a.test\" { weight = 3 }\n"
              "dnsbl \"b.test\" { weight = -3 }\n",
          "", "");
    assert_non_null(strstr(check(), "score_threshold 4 is never reached: the weights above 0 "
                                    "add up to 3; lower it"));
    build(ALL "dns { score_threshold = 4 }\ndnsbl \"a.test\" { weight = 4 reply = \"550 x\" }\n",
          "", "");
    assert_null(strstr(check(), "never"));
    assert_non_null(strstr(check(), "dnsbl \"a.test\": its reply is told to nobody; write "));
    build(ALL "dnsbl \"a.test\" { action = discard reply = \"550 x\" }\n", "", "");
    assert_non_null(strstr(check(), "dnsbl \"a.test\": its reply is told to nobody; leave "));
    build(ALL "dnsbl \"a.test\" { reply = \"550 x\" }\n", "", "");
    assert_null(strstr(check(), "nobody"));
    build(ALL "dns { timeout_ms = 30000 }\n", "", "");
    assert_non_null(strstr(check(), "may wait longer than the mail server does"));
    build(ALL "dns { timeout_ms = 29000 }\n", "", "");
    assert_null(strstr(check(), "may wait longer"));
}

/* It reads only. */
static void test_check_changes_nothing(void **state)
{
    char path[SITE_PATH_SIZE];
    struct stat before;
    struct stat after;

    (void)state;
    build(ALL, "From:a.test OK\n", "");
    assert_int_equal(stat(site_path(&site, "access.gdbm", path), &before), 0);
    site_write(&site, "access", "From:b.test OK\n");
    (void)check();
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_site, drop_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_check_finds_lines_that_never_decide),
        CASE(test_check_warns_of_what_opens_a_relay),
        CASE(test_check_is_silent_about_relaying_that_is_narrow),
        CASE(test_check_tells_every_error_of_the_text),
        CASE(test_check_tells_an_error_once),
        CASE(test_check_of_a_map_that_was_never_made),
        CASE(test_check_of_a_map_that_is_older_than_its_text),
        CASE(test_check_of_a_map_that_is_none),
        CASE(test_check_of_a_text_that_is_not_there),
        CASE(test_check_without_maps_says_nothing),
        CASE(test_check_tells_errors_of_lists),
        CASE(test_check_tells_of_a_weight_without_a_score),
        CASE(test_check_tells_of_lists_that_do_less_than_they_say),
        CASE(test_check_changes_nothing),
    };

    return cmocka_run_group_tests_name("rule_check", tests, NULL, NULL);
}
