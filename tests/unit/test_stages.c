/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each stage decides: all but relaying. The golden sessions show whole
 * traces; here are the many small cases, each by the verdict of its last line.
 */
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

#define DENIED "reject 550 5.7.1 Access denied"
#define DISABLED "reject 550 5.2.1 Mailbox disabled for this recipient"
#define UNQUALIFIED "reject 553 5.5.4 Domain name required for sender address joe"
#define LOCALHOST "reject 553 5.5.4 Real domain name required for sender address"

#define CONNECT "connect a.b.test [10.1.2.3]\n"
#define MAIL CONNECT "mail <s@neutral.test>\n"

struct stage_case {
    const char *features;
    const char *access;
    const char *lines;
    const char *verdict; /* of the last line */
};

static void run(const struct stage_case *cases, size_t count)
{
    char conf[512];

    for (size_t i = 0; i < count; i++) {
        const struct stage_case *c = &cases[i];
        struct scene scene;

        (void)snprintf(conf, sizeof(conf), "features = { %s }", c->features);
        scene_init(&scene, conf, c->access);
        const char *got = scene_verdict(&scene, c->lines);

        if (strcmp(got, c->verdict) != 0) {
            fail_msg("case %zu {%s} {%s} {%s}: %s", i, c->features, c->access, c->lines, got);
        }
        scene_fini(&scene);
    }
}

/* ---- section 7 ---- */

static void test_connect_each_action(void **state)
{
    static const struct stage_case cases[] = {
        {"", "", CONNECT, "continue"},
        {"", "Connect:10 OK\n", CONNECT, "continue"},
        {"", "Connect:10 RELAY\n", CONNECT, "continue"},
        {"", "Connect:10 REJECT\n", CONNECT, DENIED},
        {"", "Connect:10 DISCARD\n", CONNECT, "discard"},
        {"", "Connect:10 QUARANTINE:odd\n", CONNECT, "quarantine:odd"},
        {"", "Connect:10 450 4.7.1 Later\n", CONNECT, "tempfail 450 4.7.1 Later"},
        {"", "Connect:10 ERROR:5.7.1:550 No\n", CONNECT, "reject 550 5.7.1 No"},
        {"", "Connect:10 ERROR:No\n", CONNECT, "reject 553 5.3.0 No"},
        {"", "Connect:b.test REJECT\n", CONNECT, DENIED},
        {"", "b.test REJECT\n", CONNECT, DENIED},
        {"", "From:b.test REJECT\nTo:10 REJECT\nSpam:10 OK\n", CONNECT, "continue"},
        {"", "Connect:a.b.test OK\nConnect:10.1.2.3 REJECT\n", CONNECT, "continue"},
        {"", "Connect:a.b.test SKIP\nConnect:10.1.2.3 REJECT\n", CONNECT, DENIED},
        {"", "Connect:a.b.test SKIP\nConnect:b.test REJECT\n", CONNECT, "continue"},
        {"", "Connect:10.1.2.3 SKIP\nConnect:10.1 REJECT\n", CONNECT, "continue"},
        {"", "Connect:ab.test REJECT\n", CONNECT, "continue"},
        {"", "Connect:10.1.2.30 REJECT\nConnect:1 REJECT\n", CONNECT, "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_connect_is_not_asked_without_an_address(void **state)
{
    static const struct stage_case cases[] = {
        {"", "localhost REJECT\n", "connect localhost\n", "continue"},
        {"\"require_rdns\"", "", "connect localhost\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_connect_require_rdns(void **state)
{
    static const struct stage_case cases[] = {
        {"\"require_rdns\"", "", CONNECT, "continue"},
        {"\"require_rdns\"", "", "connect [10.1.2.3] [10.1.2.3] FAIL\n",
         "reject 550 5.7.1 Fix reverse DNS for 10.1.2.3"},
        {"\"require_rdns\"", "", "connect unknown [10.1.2.3]\n",
         "reject 550 5.7.1 Fix reverse DNS for 10.1.2.3"},
        {"\"require_rdns\"", "", "connect [10.1.2.3] [10.1.2.3] TEMP\n",
         "tempfail 451 4.1.8 Client IP address 10.1.2.3 does not resolve"},
        {"\"require_rdns\"", "", "connect x.test [10.1.2.3] FORGED\n",
         "tempfail 451 4.1.8 Possibly forged hostname for 10.1.2.3"},
        {"\"require_rdns\"", "", "connect [IPv6:2001:db8::1]\n",
         "reject 550 5.7.1 Fix reverse DNS for IPv6:2001:db8:0:0:0:0:0:1"},
        {"\"require_rdns\"", "", "connect [203.0.113.9] [203.0.113.9] FAIL\n", "continue"},
        /* OK and RELAY end the stage; DISCARD and QUARANTINE too */
        {"\"require_rdns\"", "Connect:10 OK\n", "connect [10.1.2.3]\n", "continue"},
        {"\"require_rdns\"", "Connect:10 RELAY\n", "connect [10.1.2.3]\n", "continue"},
        {"\"require_rdns\"", "Connect:[10] OK\n", "connect [10.1.2.3]\n", "continue"},
        {"\"require_rdns\"", "Connect:10 DISCARD\n", "connect [10.1.2.3]\n", "discard"},
        {"\"require_rdns\"", "Connect:10 SKIP\n", "connect [10.1.2.3]\n",
         "reject 550 5.7.1 Fix reverse DNS for 10.1.2.3"},
        {"\"require_rdns\"", "Connect:10 REJECT\n", "connect [10.1.2.3]\n", DENIED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_connect_use_client_ptr(void **state)
{
    static const struct stage_case cases[] = {
        {"\"use_client_ptr\"", "Connect:f.test REJECT\n",
         "connect [10.1.2.3] [10.1.2.3] FORGED ptr=f.test\n", DENIED},
        {"", "Connect:f.test REJECT\n", "connect [10.1.2.3] [10.1.2.3] FORGED ptr=f.test\n",
         "continue"},
        {"\"use_client_ptr\"", "Connect:[10] REJECT\n",
         "connect [10.1.2.3] [10.1.2.3] FORGED ptr=f.test\n", "continue"},
        {"\"use_client_ptr\"", "Connect:10 REJECT\n",
         "connect [10.1.2.3] [10.1.2.3] FORGED ptr=f.test\n", DENIED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* ---- section 8 ---- */

static void test_mail_each_action(void **state)
{
    static const struct stage_case cases[] = {
        {"", "", CONNECT "mail <joe@b.org>\n", "continue"},
        {"", "From:b.org OK\n", CONNECT "mail <joe@b.org>\n", "continue"},
        {"", "From:b.org RELAY\n", CONNECT "mail <joe@b.org>\n", "continue"},
        {"", "From:b.org REJECT\n", CONNECT "mail <joe@b.org>\n", DENIED},
        {"", "From:b.org DISCARD\n", CONNECT "mail <joe@b.org>\n", "discard"},
        {"", "From:b.org QUARANTINE:x\n", CONNECT "mail <joe@b.org>\n", "quarantine:x"},
        {"", "From:b.org 451 Later\n", CONNECT "mail <joe@b.org>\n", "tempfail 451 4.0.0 Later"},
        {"", "From:b.org SKIP\nFrom:org REJECT\n", CONNECT "mail <joe@b.org>\n", "continue"},
        {"", "b.org REJECT\n", CONNECT "mail <joe@b.org>\n", DENIED},
        {"", "To:b.org REJECT\nConnect:b.org REJECT\nSpam:b.org OK\n", CONNECT "mail <joe@b.org>\n",
         "continue"},
        {"", "From:joe@ REJECT\n", CONNECT "mail <joe@b.org>\n", DENIED},
        {"", "From:joe REJECT\njoe REJECT\n", CONNECT "mail <joe@b.org>\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_mail_of_a_bounce_is_never_looked_up(void **state)
{
    static const struct stage_case cases[] = {
        {"", "From:neutral.test REJECT\nmx.home.example REJECT\n", CONNECT "mail <>\n", "continue"},
        {"", "", CONNECT "mail < >\n", "continue"},
        {"\"delay_checks\"", "From:mx.home.example REJECT\n",
         CONNECT "mail <>\nrcpt <joe@local.example>\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_mail_without_a_domain(void **state)
{
    static const struct stage_case cases[] = {
        {"", "", CONNECT "mail <joe>\n", UNQUALIFIED},
        {"", "", CONNECT "mail joe\n", UNQUALIFIED},
        {"", "From:joe@ OK\n", CONNECT "mail <joe>\n", "continue"},
        {"", "joe@ RELAY\n", CONNECT "mail <joe>\n", "continue"},
        {"", "From:joe@ REJECT\n", CONNECT "mail <joe>\n", DENIED},
        {"", "From:joe@ DISCARD\n", CONNECT "mail <joe>\n", "discard"},
        {"", "mx.home.example OK\n", CONNECT "mail <joe>\n", UNQUALIFIED}, /* only U is asked */
        {"\"accept_unqualified_senders\"", "", CONNECT "mail <joe>\n", "continue"},
        {"", "", "connect localhost\nmail <joe>\n", "continue"}, /* no client address */
        {"", "", CONNECT "mail <\"joe x\">\n",
         "reject 553 5.5.4 Domain name required for sender address joe x"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_mail_from_localhost(void **state)
{
    static const struct stage_case cases[] = {
        {"", "", CONNECT "mail <joe@localhost>\n", LOCALHOST},
        {"", "", CONNECT "mail <joe@LOCALHOST>\n", LOCALHOST},
        {"", "From:localhost OK\nFrom:joe@ OK\n", CONNECT "mail <joe@localhost>\n", LOCALHOST},
        {"", "", CONNECT "mail <joe@[127.0.0.1]>\n", LOCALHOST},
        {"", "", CONNECT "mail <joe@[IPv6:0:0:0:0:0:0:0:1]>\n", LOCALHOST},
        {"", "", CONNECT "mail <joe@[IPv6:::1]>\n", LOCALHOST},
        {"", "", CONNECT "mail <joe@localhost.home.example>\n", LOCALHOST},
        {"", "", CONNECT "mail <joe@localhost.UUCP>\n", LOCALHOST},
        {"", "", CONNECT "mail <joe@localhost.other.example>\n", "continue"},
        {"", "", CONNECT "mail <joe@[127.0.0.2]>\n", "continue"},
        {"", "", "connect mx.home.example [10.1.2.3]\nmail <joe@localhost>\n", "continue"},
        {"", "", "connect\nmail <joe@localhost>\n", "continue"}, /* no name and no address */
        {"", "", "connect local.example [10.1.2.3]\nmail <joe@localhost>\n", "continue"},
        {"\"accept_unqualified_senders\"", "", CONNECT "mail <joe@localhost>\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* ---- section 9, what is not relaying ---- */

static void test_rcpt_each_action(void **state)
{
#define BLOCK "\"blocklist_recipients\""
    static const struct stage_case cases[] = {
        {BLOCK, "", MAIL "rcpt <joe@local.example>\n", "continue"},
        {BLOCK, "To:joe@ REJECT\n", MAIL "rcpt <joe@local.example>\n", DISABLED},
        {BLOCK, "To:joe@ OK\nTo:local.example REJECT\n", MAIL "rcpt <joe@local.example>\n",
         "continue"},
        {BLOCK, "To:joe@ RELAY\nTo:local.example REJECT\n", MAIL "rcpt <joe@local.example>\n",
         "continue"},
        {BLOCK, "To:joe@local.example DISCARD\n", MAIL "rcpt <joe@local.example>\n", "discard"},
        {BLOCK, "To:joe@local.example QUARANTINE:x\n", MAIL "rcpt <joe@local.example>\n",
         "quarantine:x"},
        {BLOCK, "To:local.example ERROR:5.1.1:\"550 User unknown\"\n",
         MAIL "rcpt <joe@local.example>\n", "reject 550 5.1.1 User unknown"},
        {BLOCK, "To:local.example 450 4.2.1 full\n", MAIL "rcpt <joe@local.example>\n",
         "tempfail 450 4.2.1 full"},
        {BLOCK, "To:local.example SKIP\nTo:example REJECT\n", MAIL "rcpt <joe@local.example>\n",
         "continue"},
        {BLOCK, "local.example REJECT\n", MAIL "rcpt <joe@local.example>\n", DISABLED},
        {BLOCK, "From:local.example REJECT\nConnect:local.example REJECT\n",
         MAIL "rcpt <joe@local.example>\n", "continue"},
        /* joe@ is for local domains and for none at all */
        {BLOCK, "To:joe@ REJECT\n", MAIL "rcpt <joe@other.test>\n", "continue"},
        {BLOCK, "To:joe@ REJECT\n", MAIL "rcpt <joe>\n", DISABLED},
        {BLOCK, "To:joe@ REJECT\n", MAIL "rcpt <joe@localhost>\n", DISABLED},
        {BLOCK, "To:joe@ REJECT\n", MAIL "rcpt <joe@[192.0.2.1]>\n", DISABLED},
        {BLOCK, "To:mx.home.example REJECT\n", MAIL "rcpt <joe>\n", "continue"},
        {BLOCK, "To:other.test REJECT\n", MAIL "rcpt <joe@a.other.test>\n", DISABLED},
        {BLOCK, "To:[10.1] REJECT\n", MAIL "rcpt <joe@[10.1.2.3]>\n", DISABLED},
        {BLOCK, "To:joe@ REJECT\n", MAIL "rcpt <postmaster>\n", "continue"},
        {BLOCK, "", MAIL "rcpt <>\n", "reject 553 5.0.0 User address required"},
        {BLOCK, "", MAIL "rcpt <joe@>\n", "reject 553 5.1.3 Hostname required"},
        {"", "", MAIL "rcpt <>\n", "reject 553 5.0.0 User address required"},
        {"", "To:joe@ REJECT\n", MAIL "rcpt <joe@local.example>\n", "continue"},
        {"\"blacklist_recipients\"", "joe REJECT\n", MAIL "rcpt <joe@local.example>\n", DISABLED},
        {"\"blacklist_recipients\"", "joe REJECT\n", MAIL "rcpt <joe@other.test>\n", "continue"},
        {"\"blacklist_recipients\"", "joe REJECT\nlocal.example SKIP\n",
         MAIL "rcpt <joe@local.example>\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* ---- section 13 ---- */

static void test_message_keeps_what_was_found(void **state)
{
#define FOUND                                                                               \
    "From:d.org DISCARD\nFrom:q.org QUARANTINE:from\nTo:d@ DISCARD\nTo:q@ QUARANTINE:one\n" \
    "To:r@ QUARANTINE:two\nTo:no@ REJECT\n"
    static const struct stage_case cases[] = {
        {BLOCK, FOUND, CONNECT "mail <s@d.org>\nrcpt <joe>\neom\n", "discard"},
        {BLOCK, FOUND, CONNECT "mail <s@q.org>\nrcpt <joe>\neom\n", "quarantine:from"},
        {BLOCK, FOUND, CONNECT "mail <s@a.org>\nrcpt <joe>\neom\n", "continue"},
        {BLOCK, FOUND, CONNECT "mail <s@a.org>\nrcpt <d>\nrcpt <joe>\neom\n", "discard"},
        {BLOCK, FOUND, CONNECT "mail <s@a.org>\nrcpt <joe>\nrcpt <q>\neom\n", "quarantine:one"},
        /* the last one given wins */
        {BLOCK, FOUND, CONNECT "mail <s@q.org>\nrcpt <q>\neom\n", "quarantine:one"},
        {BLOCK, FOUND, CONNECT "mail <s@a.org>\nrcpt <q>\nrcpt <r>\neom\n", "quarantine:two"},
        {BLOCK, FOUND, CONNECT "mail <s@a.org>\nrcpt <r>\nrcpt <q>\nrcpt <q>\neom\n",
         "quarantine:one"},
        /* DISCARD wins over QUARANTINE */
        {BLOCK, FOUND, CONNECT "mail <s@d.org>\nrcpt <q>\neom\n", "discard"},
        {BLOCK, FOUND, CONNECT "mail <s@q.org>\nrcpt <d>\neom\n", "discard"},
        /* later stages may still reject */
        {BLOCK, FOUND, CONNECT "mail <s@d.org>\nrcpt <no>\n", DISABLED},
        {BLOCK, FOUND, CONNECT "mail <s@d.org>\nrcpt <no>\neom\n", "not reached"},
        /* a new message begins without */
        {BLOCK, FOUND, CONNECT "mail <s@d.org>\nrcpt <joe>\neom\nmail <s@a.org>\nrcpt <joe>\neom\n",
         "continue"},
        {BLOCK, FOUND, CONNECT "mail <s@q.org>\nreset\nmail <s@a.org>\nrcpt <joe>\neom\n",
         "continue"},
        {BLOCK, FOUND, CONNECT "mail <s@q.org>\nmail <s@a.org>\nrcpt <joe>\neom\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_session_keeps_what_was_found_of_its_client(void **state)
{
    static const struct stage_case cases[] = {
        {"", "Connect:10 DISCARD\n", MAIL "rcpt <joe>\neom\n", "discard"},
        {"", "Connect:10 DISCARD\n", MAIL "rcpt <joe>\neom\nmail <>\nrcpt <joe>\neom\n", "discard"},
        {"", "Connect:10 QUARANTINE:odd\n", MAIL "rcpt <joe>\neom\nmail <>\nrcpt <joe>\neom\n",
         "quarantine:odd"},
        {"", "Connect:10 QUARANTINE:odd\nFrom:b.org QUARANTINE:own\n",
         CONNECT "mail <s@b.org>\nrcpt <joe>\neom\n", "quarantine:own"},
        {"", "Connect:10 QUARANTINE:odd\nFrom:b.org DISCARD\n",
         CONNECT "mail <s@b.org>\nrcpt <joe>\neom\n", "discard"},
        {"", "Connect:10 DISCARD\nFrom:b.org REJECT\n", CONNECT "mail <s@b.org>\n", DENIED},
        {"", "Connect:10 REJECT\n", CONNECT "mail <s@b.org>\nmail <>\n", DENIED},
        {"", "Connect:10 REJECT\nFrom:b.org OK\n", CONNECT "mail <s@b.org>\n", DENIED},
        {"", "Connect:10 421 4.3.2 Closed\n", CONNECT "mail <s@b.org>\n",
         "tempfail 421 4.3.2 Closed"},
        {"", "Connect:10 REJECT\n", CONNECT "helo x\n", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_each_action),
        cmocka_unit_test(test_connect_is_not_asked_without_an_address),
        cmocka_unit_test(test_connect_require_rdns),
        cmocka_unit_test(test_connect_use_client_ptr),
        cmocka_unit_test(test_mail_each_action),
        cmocka_unit_test(test_mail_of_a_bounce_is_never_looked_up),
        cmocka_unit_test(test_mail_without_a_domain),
        cmocka_unit_test(test_mail_from_localhost),
        cmocka_unit_test(test_rcpt_each_action),
        cmocka_unit_test(test_message_keeps_what_was_found),
        cmocka_unit_test(test_session_keeps_what_was_found_of_its_client),
    };

    return cmocka_run_group_tests_name("stages", tests, NULL, NULL);
}
