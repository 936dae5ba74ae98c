/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sessions that ask DNS: when stages wait, how long, what they have changed until then, and what they forget. With a real resolver and
 * a server that can be slow or silent.
 */
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/stages.h"
#include "tests/unit/dns_kit.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MILLISECOND INT64_C(1000000)

/* Of the sessions; of the resolver it is far more, so that only the first one ends waiting. */
#define TIMEOUT_MS 1000

static const char zone[] =
    "good.test MX 10 mail.good.test\n"
    "slow.test DELAY 100\nslow.test MX 10 mail.slow.test\n"
    "silent.test SILENT\nquiet.test SILENT\n"
    "1.2.1.10.bl.test SILENT\n1.2.1.10.bl2.test SILENT\n1.2.1.10.bl3.test SILENT\n"
    "2.2.1.10.bl.test DELAY 100\n2.2.1.10.bl.test A 127.0.0.2\n"
    "4.2.1.10.bl.test DELAY 1800\n4.2.1.10.bl.test A 127.0.0.2\n";

struct fixture {
    struct site site;
    struct ruleset *ruleset;
    struct dns_kit *kit;
    struct resolver *resolver;
    struct session session;
};

static void connect_from(struct fixture *fixture, const char *address)
{
    const struct session_client client = {
        .name = "a.b.test", .address = address, .resolve = "OK", .hostname = "mx.home.example"};

    session_fini(&fixture->session);
    session_init(&fixture->session, fixture->ruleset, NULL);
    fixture->session.resolver = fixture->resolver;
    session_connect(&fixture->session, &client);
    (void)stage_connect(&fixture->session);
}

static void begin(struct fixture *fixture, const char *conf)
{
    static const struct resolver_options options = {.timeout_ms = 5000, .tries = 2};
    struct strbuf text;

    memset(fixture, 0, sizeof(*fixture));
    site_init(&fixture->site);
    strbuf_init(&text);
    strbuf_appendf(&text, "dns { timeout_ms = %d %s", TIMEOUT_MS, conf);
    fixture->ruleset = site_ruleset(&fixture->site, text.data, "");
    fixture->kit = dns_kit_start(zone);
    fixture->resolver = dns_kit_resolver(fixture->kit, &options);
    strbuf_fini(&text);
    session_init(&fixture->session, fixture->ruleset, NULL);
    connect_from(fixture, "10.1.2.3");
}

static void end(struct fixture *fixture)
{
    session_fini(&fixture->session);
    resolver_free(&fixture->resolver);
    dns_kit_stop(&fixture->kit);
    ruleset_unref(&fixture->ruleset);
    site_fini(&fixture->site);
}

/* As the daemon does. *waits_out: how often it had to wait. */
static struct verdict rcpt(struct fixture *fixture, unsigned *waits_out)
{
    struct verdict verdict = stage_rcpt(&fixture->session, "<joe@local.example>", NULL);

    for (*waits_out = 0; verdict.kind == VERDICT_WAIT; (*waits_out)++) {
        assert_in_range(*waits_out, 0, 100);
        dns_questions_wait(&fixture->session);
        verdict = stage_rcpt(&fixture->session, "<joe@local.example>", NULL);
    }
    return verdict;
}

static void mail(struct fixture *fixture, const char *sender)
{
    assert_int_equal(stage_mail(&fixture->session, NULL, sender).kind, VERDICT_CONTINUE);
}

static void test_mail_does_not_wait_and_rcpt_does(void **state)
{
    struct fixture fixture;
    unsigned waits;

    (void)state;
    begin(&fixture, "}");
    mail(&fixture, "<s@slow.test>");
    assert_int_equal(rcpt(&fixture, &waits).kind, VERDICT_CONTINUE);
    assert_int_equal(waits, 1);
    /* Known by now, to this session and to others. */
    mail(&fixture, "<t@slow.test>");
    assert_int_equal(rcpt(&fixture, &waits).kind, VERDICT_CONTINUE);
    assert_int_equal(waits, 0);
    end(&fixture);
}

static void test_mail_waits_where_it_is_to_answer(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "answer_at = mail }");
    assert_int_equal(stage_mail(&fixture.session, NULL, "<s@slow.test>").kind, VERDICT_WAIT);
    assert_string_equal(fixture.session.sender, "<s@slow.test>");
    dns_questions_wait(&fixture.session);
    assert_int_equal(stage_mail(&fixture.session, NULL, "<s@slow.test>").kind, VERDICT_CONTINUE);
    /* A client that goes away meanwhile leaves nothing that spoils the next message. */
    assert_int_equal(stage_mail(&fixture.session, NULL, "<s@silent.test>").kind, VERDICT_WAIT);
    session_reset_message(&fixture.session);
    struct verdict verdict = stage_mail(&fixture.session, NULL, "<s@good.test>");

    while (verdict.kind == VERDICT_WAIT) {
        dns_questions_wait(&fixture.session);
        verdict = stage_mail(&fixture.session, NULL, "<s@good.test>");
    }
    assert_int_equal(verdict.kind, VERDICT_CONTINUE);
    assert_string_equal(fixture.session.sender, "<s@good.test>");
    end(&fixture);
}

/* Three silent lists and a silent sender's domain: one time-out, not four. */
static void test_all_waits_of_a_session_take_the_time_of_one(void **state)
{
    struct fixture fixture;
    unsigned waits;

    (void)state;
    begin(&fixture, "}\ndnsbl \"bl.test\" { probe = false }\ndnsbl \"bl2.test\" { probe = false }\n"
                    "dnsbl \"bl3.test\" { probe = false }");
    connect_from(&fixture, "10.1.2.1");
    int64_t start = dns_now();

    mail(&fixture, "<s@silent.test>");
    struct verdict verdict = rcpt(&fixture, &waits);
    int64_t taken = dns_now() - start;

    assert_int_equal(verdict.reply.code, 451);
    assert_string_equal(verdict.answer, "timeout");
    assert_true(taken >= (TIMEOUT_MS - 10) * MILLISECOND);
    assert_true(taken < 2 * TIMEOUT_MS * MILLISECOND);
    assert_string_equal(fixture.session.client_lists,
                        "bl.test=timeout,bl2.test=timeout,bl3.test=timeout");
    /* The same session, once more: it has had its time. */
    start = dns_now();
    mail(&fixture, "<s@quiet.test>");
    assert_int_equal(rcpt(&fixture, &waits).reply.code, 451);
    assert_true(dns_now() - start < TIMEOUT_MS / 2 * MILLISECOND);
    end(&fixture);
}

/* Waits that were worth it are not held against the next message. */
static void test_the_time_comes_back_with_the_next_message(void **state)
{
    struct fixture fixture;
    unsigned waits;

    (void)state;
    begin(&fixture, "}");
    for (int i = 0; i < 5; i++) {
        char sender[64];

        (void)snprintf(sender, sizeof(sender), "<s@n%d.slow.test>", i);
        mail(&fixture, i % 2 == 0 ? "<s@slow.test>" : sender);
        assert_int_not_equal(rcpt(&fixture, &waits).kind, VERDICT_TEMPFAIL);
    }
    end(&fixture);
}

/* A question that was put long ago is not awaited as if it had been put now. */
static void test_who_comes_late_waits_less(void **state)
{
    struct fixture fixture;
    unsigned waits;

    (void)state;
    begin(&fixture, "}");
    mail(&fixture, "<s@silent.test>");
    int64_t start = dns_now();

    while (dns_now() - start < TIMEOUT_MS * MILLISECOND) {
        (void)usleep(10000);
    }
    start = dns_now();
    assert_int_equal(rcpt(&fixture, &waits).reply.code, 451);
    assert_true(dns_now() - start < TIMEOUT_MS / 3 * MILLISECOND);
    end(&fixture);
}

/* What a stage returns after WAIT is what it would have returned at once; and what it kept is kept once. */
static void test_a_stage_that_waits_changes_nothing(void **state)
{
    struct fixture fixture;
    unsigned waits;

    (void)state;
    begin(&fixture, "}\ndnsbl \"bl.test\" { probe = false action = quarantine }");
    connect_from(&fixture, "10.1.2.2");
    mail(&fixture, "<s@slow.test>");
    assert_int_equal(stage_rcpt(&fixture.session, "<joe@local.example>", NULL).kind, VERDICT_WAIT);
    assert_int_equal(fixture.session.recipients, 0);
    assert_int_equal(fixture.session.quarantine.kind, VERDICT_CONTINUE);
    assert_int_equal(rcpt(&fixture, &waits).kind, VERDICT_QUARANTINE);
    assert_int_equal(fixture.session.recipients, 1);
    assert_int_equal(rcpt(&fixture, &waits).kind, VERDICT_CONTINUE);
    assert_int_equal(fixture.session.recipients, 2);
    assert_string_equal(stage_eom(&fixture.session).quarantine, "bl.test");
    assert_int_equal(dns_lists_get(ruleset_dns_lists(fixture.ruleset), 0)->asked, 1);
    end(&fixture);
}

/* Each message asks again what failed for the last one: the first that finds the late answer is refused. */
static void late_listing_is_heard(const char *on_tempfail)
{
    struct fixture fixture;
    struct strbuf conf;
    unsigned waits;

    strbuf_init(&conf);
    strbuf_appendf(&conf, "}\ndnsbl \"bl.test\" { probe = false on_tempfail = %s }", on_tempfail);
    begin(&fixture, conf.data);
    connect_from(&fixture, "10.1.2.4");
    mail(&fixture, "<s@good.test>");
    struct verdict verdict = rcpt(&fixture, &waits);
    int first = verdict.reply.code;

    for (int i = 0; i < 200 && verdict.reply.code == first; i++) {
        assert_string_equal(fixture.session.client_lists, "bl.test=timeout");
        (void)usleep(50000);
        session_reset_message(&fixture.session);
        mail(&fixture, "<s@good.test>");
        verdict = rcpt(&fixture, &waits);
    }
    assert_int_equal(verdict.reply.code, 550);
    assert_string_equal(fixture.session.client_lists, "bl.test=timeout,bl.test=127.0.0.2");
    end(&fixture);
    strbuf_fini(&conf);
}

static void test_late_listing_is_heard_by_the_next_message(void **state)
{
    (void)state;
    late_listing_is_heard("ignore");
    late_listing_is_heard("\"451 4.7.1 Try again later\"");
}

static void test_without_a_resolver_nothing_is_asked(void **state)
{
    struct fixture fixture;
    unsigned waits;

    (void)state;
    begin(&fixture, "}\ndnsbl \"bl.test\" { probe = false }");
    fixture.session.resolver = NULL;
    mail(&fixture, "<s@nowhere.test>");
    assert_int_equal(rcpt(&fixture, &waits).kind, VERDICT_CONTINUE);
    end(&fixture);
}

/* Whoever sends to a million domains does not have them all remembered. */
static void test_questions_about_recipients_are_forgotten(void **state)
{
    struct fixture fixture;

    (void)state;
    /* All these waits together must not take the time of the session, however slow the machine. */
    begin(&fixture,
          "timeout_ms = 30000 }\nrelay_control = milter\nfeatures = { \"relay_based_on_MX\", "
          "\"accept_unresolvable_domains\" }");
    mail(&fixture, "<s@good.test>");
    for (int i = 0; i < 2000; i++) {
        char recipient[64];

        (void)snprintf(recipient, sizeof(recipient), "<x@n%d.test>", i);
        struct verdict verdict = stage_rcpt(&fixture.session, recipient, NULL);

        while (verdict.kind == VERDICT_WAIT) {
            dns_questions_wait(&fixture.session);
            verdict = stage_rcpt(&fixture.session, recipient, NULL);
        }
        assert_int_equal(verdict.reply.code, 550);
    }
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail_does_not_wait_and_rcpt_does),
        cmocka_unit_test(test_mail_waits_where_it_is_to_answer),
        cmocka_unit_test(test_all_waits_of_a_session_take_the_time_of_one),
        cmocka_unit_test(test_the_time_comes_back_with_the_next_message),
        cmocka_unit_test(test_who_comes_late_waits_less),
        cmocka_unit_test(test_a_stage_that_waits_changes_nothing),
        cmocka_unit_test(test_late_listing_is_heard_by_the_next_message),
        cmocka_unit_test(test_without_a_resolver_nothing_is_asked),
        cmocka_unit_test(test_questions_about_recipients_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
