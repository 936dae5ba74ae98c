/* SPDX-License-Identifier: GPL-3.0-or-later */
/* delay_checks, with friend and hater, and block_bad_helo: postern-access(5) */
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define DENIED "reject 550 5.7.1 Access denied"
#define DISABLED "reject 550 5.2.1 Mailbox disabled for this recipient"
#define BOGUS(name) "reject 550 5.7.1 bogus HELO name used: " name

#define DELAYED "features = { \"delay_checks\", \"blocklist_recipients\" }\n"
#define FRIEND "features = { \"delay_checks_friend\" }\n"
#define HATER "features = { \"delay_checks_hater\" }\n"
#define BAD_HELO "features = { \"block_bad_helo\" }\n"
#define DELAYED_HELO "features = { \"block_bad_helo\", \"delay_checks\" }\n"

#define CONNECT "connect a.b.test [10.1.2.3]\n"
#define RCPT CONNECT "mail <s@neutral.test>\nrcpt <joe@local.example>\n"

struct delayed_case {
    const char *conf;
    const char *access;
    const char *lines;
    const char *verdict; /* of the last line */
};

static void run(const struct delayed_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct delayed_case *c = &cases[i];
        struct scene scene;

        scene_init(&scene, c->conf, c->access);
        const char *got = scene_verdict(&scene, c->lines);

        if (strcmp(got, c->verdict) != 0) {
            fail_msg("case %zu {%s} {%s} {%s}: %s", i, c->conf, c->access, c->lines, got);
        }
        scene_fini(&scene);
    }
}

static void test_delayed_nothing_is_said_before_rcpt(void **state)
{
    static const struct delayed_case cases[] = {
        {DELAYED, "Connect:10 REJECT\n", CONNECT, "continue"},
        {DELAYED, "Connect:10 REJECT\n", CONNECT "mail <s@neutral.test>\n", "continue"},
        {DELAYED, "From:neutral.test REJECT\n", CONNECT "mail <s@neutral.test>\n", "continue"},
        {DELAYED, "", CONNECT "mail <joe>\n", "continue"},
        {DELAYED, "", CONNECT "mail <joe@>\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* recipient, sender, client, in this order */
static void test_delayed_order_of_checks(void **state)
{
    static const struct delayed_case cases[] = {
        {DELAYED, "", RCPT, "continue"},
        {DELAYED, "Connect:10 REJECT\n", RCPT, DENIED},
        {DELAYED, "From:neutral.test REJECT\n", RCPT, DENIED},
        {DELAYED,
         "To:joe@ REJECT\nFrom:neutral.test 550 5.7.1 from\nConnect:10 550 5.7.1 connect\n", RCPT,
         DISABLED},
        {DELAYED, "From:neutral.test 550 5.7.1 from\nConnect:10 550 5.7.1 connect\n", RCPT,
         "reject 550 5.7.1 from"},
        {DELAYED, "From:neutral.test SKIP\nConnect:10 550 5.7.1 connect\n", RCPT,
         "reject 550 5.7.1 connect"},
        {DELAYED, "", CONNECT "mail <joe>\nrcpt <joe@local.example>\n",
         "reject 553 5.5.4 Domain name required for sender address joe"},
        /* Sendmail's $f is asked, which is joe@mx.home.example here */
        {DELAYED, "", CONNECT "mail <joe@localhost>\nrcpt <joe@local.example>\n", "continue"},
        {DELAYED, "From:mx.home.example REJECT\n",
         CONNECT "mail <joe@localhost>\nrcpt <joe@local.example>\n", DENIED},
        {DELAYED, "", CONNECT "mail <joe@>\nrcpt <joe@local.example>\n",
         "reject 553 5.1.3 Hostname required"},
        {"features = { \"delay_checks\", \"require_rdns\" }\n", "",
         "connect [10.1.2.3]\nmail <s@neutral.test>\nrcpt <joe>\n",
         "reject 550 5.7.1 Fix reverse DNS for 10.1.2.3"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_delayed_what_ends_the_checks(void **state)
{
    static const struct delayed_case cases[] = {
        /* an OK or RELAY for the sender spares the client */
        {DELAYED, "From:neutral.test OK\nConnect:10 REJECT\n", RCPT, "continue"},
        {DELAYED, "From:neutral.test RELAY\nConnect:10 REJECT\n", RCPT, "continue"},
        {DELAYED, "From:neutral.test DISCARD\nConnect:10 REJECT\n", RCPT, "discard"},
        {DELAYED, "From:neutral.test QUARANTINE:x\nConnect:10 REJECT\n", RCPT, "quarantine:x"},
        /* an OK or RELAY for the recipient or client does not */
        {DELAYED, "To:joe@ OK\nConnect:10 REJECT\n", RCPT, DENIED},
        {DELAYED, "To:joe@ RELAY\nFrom:neutral.test REJECT\n", RCPT, DENIED},
        {DELAYED, "Connect:10 OK\nFrom:neutral.test REJECT\n", RCPT, DENIED},
        /* DISCARD and QUARANTINE of the recipient do */
        {DELAYED, "To:joe@ DISCARD\nConnect:10 REJECT\n", RCPT, "discard"},
        {DELAYED, "To:joe@ QUARANTINE:x\nFrom:neutral.test REJECT\n", RCPT, "quarantine:x"},
        {DELAYED, "Connect:10 QUARANTINE:odd\n", RCPT "eom\n", "quarantine:odd"},
        {DELAYED, "Connect:10 DISCARD\n", RCPT "eom\n", "discard"},
        /* <> goes on */
        {DELAYED, "Connect:10 REJECT\n", CONNECT "mail <>\nrcpt <joe>\n", DENIED},
        /* each recipient is asked for */
        {DELAYED, "Connect:10 REJECT\n", RCPT "rcpt <ann@local.example>\n", DENIED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_delayed_trusted_login(void **state)
{
#define TRUST(what) DELAYED "trust_auth_mech = { " what " }\n"
#define LOGIN(type) CONNECT "auth " type " joe\nmail <s@neutral.test>\nrcpt <joe@local.example>\n"
    static const struct delayed_case cases[] = {
        {TRUST("PLAIN"), "Connect:10 REJECT\n", LOGIN("PLAIN"), "continue"},
        {TRUST("PLAIN"), "From:neutral.test REJECT\n", LOGIN("plain"), "continue"},
        {TRUST("plain, LOGIN"), "Connect:10 REJECT\n", LOGIN("LOGIN"), "continue"},
        {TRUST("PLAIN"), "Connect:10 REJECT\n", LOGIN("CRAM-MD5"), DENIED},
        {TRUST("PLAIN"), "Connect:10 REJECT\n", RCPT, DENIED},
        {TRUST("any"), "Connect:10 REJECT\n", LOGIN("CRAM-MD5"), "continue"},
        {TRUST("any"), "Connect:10 REJECT\n", RCPT, DENIED},
        {DELAYED, "Connect:10 REJECT\n", LOGIN("PLAIN"), DENIED},
        {TRUST("PLAIN"), "To:joe@ REJECT\n", LOGIN("PLAIN"), DISABLED}, /* section 9 comes first */
        /* the login ends with its message */
        {TRUST("PLAIN"), "Connect:10 REJECT\n",
         LOGIN("PLAIN") "auth\nmail <s@neutral.test>\nrcpt <joe>\n", DENIED},
        /* without delay_checks it spares nothing */
        {"trust_auth_mech = { any }\n", "From:neutral.test REJECT\n",
         CONNECT "auth PLAIN joe\nmail <s@neutral.test>\n", DENIED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_friend_is_spared_the_rest(void **state)
{
    static const struct delayed_case cases[] = {
        {FRIEND, "Connect:10 REJECT\n", RCPT, DENIED},
        {FRIEND, "Spam:joe@local.example FRIEND\nConnect:10 REJECT\n", RCPT, "continue"},
        {FRIEND, "Spam:local.example FRIEND\nConnect:10 REJECT\n", RCPT, "continue"},
        {FRIEND, "Spam:example FRIEND\nFrom:neutral.test REJECT\n", RCPT, "continue"},
        {FRIEND, "Spam:joe@ FRIEND\nConnect:10 REJECT\n", RCPT, "continue"},
        {FRIEND, "Spam:joe@ friend\nConnect:10 REJECT\n", RCPT, "continue"},
        {FRIEND, "Spam:joe@ HATER\nConnect:10 REJECT\n", RCPT, DENIED},
        {FRIEND, "Spam:joe@ OK\nConnect:10 REJECT\n", RCPT, DENIED},
        {FRIEND, "Spam:ann@ FRIEND\nConnect:10 REJECT\n", RCPT, DENIED},
        /* domain before user@ */
        {FRIEND, "Spam:local.example OK\nSpam:joe@ FRIEND\nConnect:10 REJECT\n", RCPT, DENIED},
        {FRIEND, "Spam:local.example SKIP\nSpam:joe@ FRIEND\nConnect:10 REJECT\n", RCPT,
         "continue"},
        /* user@ is for local domains */
        {FRIEND, "Spam:joe@ FRIEND\nConnect:10 REJECT\n",
         CONNECT "mail <s@neutral.test>\nrcpt <joe@other.test>\n", DENIED},
        /* user@$j if it has no domain */
        {FRIEND, "Spam:joe@mx.home.example FRIEND\nConnect:10 REJECT\n",
         CONNECT "mail <s@neutral.test>\nrcpt <joe>\n", "continue"},
        {FRIEND, "Spam:joe@ FRIEND\nConnect:10 REJECT\n",
         CONNECT "mail <s@neutral.test>\nrcpt <joe>\n", "continue"},
        {FRIEND, "Spam:joe+*@local.example FRIEND\nConnect:10 REJECT\n",
         CONNECT "mail <s@neutral.test>\nrcpt <joe+x@local.example>\n", "continue"},
        /* one friend does not help another recipient */
        {FRIEND, "Spam:joe@ FRIEND\nConnect:10 REJECT\n", RCPT "rcpt <ann@local.example>\n",
         DENIED},
        /* a blocked recipient is blocked */
        {"features = { \"delay_checks_friend\", \"blocklist_recipients\" }\n",
         "Spam:joe@ FRIEND\nTo:joe@ REJECT\n", RCPT, DISABLED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_hater_alone_is_checked(void **state)
{
    static const struct delayed_case cases[] = {
        {HATER, "Connect:10 REJECT\n", RCPT, "continue"},
        {HATER, "Spam:joe@ HATER\nConnect:10 REJECT\n", RCPT, DENIED},
        {HATER, "Spam:joe@local.example HATER\nFrom:neutral.test REJECT\n", RCPT, DENIED},
        {HATER, "Spam:local.example HATER\nConnect:10 REJECT\n", RCPT, DENIED},
        {HATER, "Spam:joe@ FRIEND\nConnect:10 REJECT\n", RCPT, "continue"},
        {HATER, "Spam:joe@ OK\nConnect:10 REJECT\n", RCPT, "continue"},
        {HATER, "Spam:joe@local.example OK\nSpam:local.example HATER\nConnect:10 REJECT\n", RCPT,
         "continue"},
        {HATER, "Spam:joe@ HATER\n", RCPT, "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* ---- block_bad_helo ---- */

static void test_bad_helo_names(void **state)
{
    static const struct {
        const char *name;
        const char *verdict;
    } names[] = {
        {"good.test", "continue"},
        {"GOOD.TEST", "continue"},
        {"good.test.", "continue"},
        {"foo", BOGUS("foo")},
        {".foo", BOGUS(".foo")},
        {"foo.", BOGUS("foo.")},
        {".", BOGUS(".")},
        {"mx.home.example", BOGUS("mx.home.example")},
        {"MX.Home.Example", BOGUS("MX.Home.Example")},
        {"local.example", BOGUS("local.example")},
        {"localhost", BOGUS("localhost")},
        {"192.0.2.1", BOGUS("192.0.2.1")},
        {"[192.0.2.1]", BOGUS("[192.0.2.1]")},
        {"127.0.0.1", BOGUS("127.0.0.1")},
        {"[127.0.0.1]", BOGUS("[127.0.0.1]")},
        {"10.1.2.3", "continue"},
        {"[10.1.2.3]", "continue"},
        {"IPv6:2001:db8:1:2:3:4:5:6", "continue"},
        {"[IPv6:2001:db8:1:2:3:4:5:6]", "continue"},
        {"[IPv6:0:0:0:0:0:0:0:1]", BOGUS("[IPv6:0:0:0:0:0:0:0:1]")},
        {"[IPv6:::1]", BOGUS("[IPv6:::1]")},
        {"100%s", BOGUS("100%s")},
        {"f\303\274\001oo", BOGUS("f?? oo")},
    };
    char lines[256];

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct delayed_case c = {BAD_HELO, "", lines, names[i].verdict};

        (void)snprintf(lines, sizeof(lines), CONNECT "helo %s\nmail <s@neutral.test>\n",
                       names[i].name);
        run(&c, 1);
        c.conf = DELAYED_HELO;
        (void)snprintf(lines, sizeof(lines),
                       CONNECT "helo %s\nmail <s@neutral.test>\nrcpt <joe@local.example>\n",
                       names[i].name);
        run(&c, 1);
    }
}

static void test_bad_helo_is_not_for_everybody(void **state)
{
#define FOO(client) "connect " client "\nhelo foo\nmail <s@neutral.test>\n"
    static const struct delayed_case cases[] = {
        {BAD_HELO, "", FOO("a.test [10.1.2.3]"), BOGUS("foo")},
        {BAD_HELO, "", FOO("a.test [203.0.113.1]"), "continue"}, /* class R */
        {BAD_HELO, "", FOO("localhost [127.0.0.1]"), "continue"},
        {BAD_HELO, "", FOO("localhost [::1]"), "continue"},
        {BAD_HELO, "", FOO("a.test [127.0.0.2]"), BOGUS("foo")},
        {BAD_HELO, "", FOO("localhost"), "continue"}, /* no client address */
        {BAD_HELO, "", CONNECT "helo foo\nauth PLAIN joe\nmail <s@neutral.test>\n", "continue"},
        {BAD_HELO, "", CONNECT "mail <s@neutral.test>\n",
         "continue"}, /* the client's name counts */
        {BAD_HELO, "", CONNECT "helo foo\nmail <>\n", BOGUS("foo")},
        {"", "", CONNECT "helo foo\nmail <s@neutral.test>\n", "continue"},
        /* the last HELO counts */
        {BAD_HELO, "", CONNECT "helo foo\nhelo good.test\nmail <s@neutral.test>\n", "continue"},
        {BAD_HELO, "", CONNECT "helo good.test\nhelo foo\nmail <s@neutral.test>\n", BOGUS("foo")},
        /* it is asked last */
        {BAD_HELO, "From:neutral.test REJECT\n", CONNECT "helo foo\nmail <s@neutral.test>\n",
         DENIED},
        {DELAYED_HELO, "Connect:10 REJECT\n", CONNECT "helo foo\nmail <s@x.test>\nrcpt <joe>\n",
         DENIED},
        {DELAYED_HELO, "From:x.test OK\n", CONNECT "helo foo\nmail <s@x.test>\nrcpt <joe>\n",
         "continue"},
        {DELAYED_HELO, "Connect:10 OK\n", CONNECT "helo foo\nmail <s@x.test>\nrcpt <joe>\n",
         BOGUS("foo")},
    };

    (void)state;
    run(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delayed_nothing_is_said_before_rcpt),
        cmocka_unit_test(test_delayed_order_of_checks),
        cmocka_unit_test(test_delayed_what_ends_the_checks),
        cmocka_unit_test(test_delayed_trusted_login),
        cmocka_unit_test(test_friend_is_spared_the_rest),
        cmocka_unit_test(test_hater_alone_is_checked),
        cmocka_unit_test(test_bad_helo_names),
        cmocka_unit_test(test_bad_helo_is_not_for_everybody),
    };

    return cmocka_run_group_tests_name("stages_delayed", tests, NULL, NULL);
}
