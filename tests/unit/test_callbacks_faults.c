/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The callbacks when something is wrong or hostile: nothing that cannot be decided may end as "continue". And what they ask an
 * MTA for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_stages.h"

/* ---- what cannot be ---- */

static void test_calls_out_of_order_are_temporary_failures(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    assert_int_equal(fake_helo(fake, "x"), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, "<a@example>"), MFI_TEMPFAIL);
    assert_int_equal(fake_rcpt(fake, "<a@example>"), MFI_TEMPFAIL);
    assert_int_equal(fake_eom(fake), MFI_TEMPFAIL);
    fake_abort(fake);
    assert_true(fake_negotiate(fake, &full_offer));
    assert_false(fake_negotiate(fake, &full_offer));
    assert_int_equal(fake_helo(fake, "x"), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, "<a@example>"), MFI_TEMPFAIL);
    (void)fake_connect(fake, "host.example", "192.0.2.1");
    assert_int_equal(fake_rcpt(fake, "<a@example>"), MFI_TEMPFAIL);
    assert_int_equal(fake_eom(fake), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, NULL), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, "<a@example>"), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(fake, NULL), MFI_TEMPFAIL);
    assert_int_equal(fake_eom(fake), MFI_TEMPFAIL); /* nobody to deliver to */
    assert_int_equal(failures(fixture), 11);
    assert_int_equal(stage.calls, 2); /* connect, and the one MAIL that was in order */
}

static void test_refused_mail_allows_no_recipient(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture);
    stage.mail = refuse(550, "5.7.1", "no");
    assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), MFI_REJECT);
    assert_int_equal(fake_rcpt(&fixture->fake, "<b@example>"), MFI_TEMPFAIL);
    assert_int_equal(fake_eom(&fixture->fake), MFI_TEMPFAIL);
}

static void test_second_client_is_not_judged_by_the_facts_of_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    begin(fixture);
    (void)fake_connect(fake, "other.example", "192.0.2.2");
    assert_int_equal(fake_mail(fake, "<a@example>"), MFI_TEMPFAIL);
    assert_int_equal(fake_helo(fake, "other"), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, "<a@example>"), MFI_TEMPFAIL);
}

static void test_next_client_after_close_without_negotiation(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    begin(fixture);
    fake_close(fake);
    assert_int_equal(fake_connect(fake, "other.example", "192.0.2.2"), MFI_CONTINUE);
    assert_string_equal(stage.client, "other.example");
    assert_int_equal(fake_mail(fake, "<a@example>"), MFI_CONTINUE);
    fake_close(fake);
    fake_close(fake); /* health checks: nothing but a close */
    assert_int_equal(stats_get(&fixture->stats.sessions), 2);
}

static void test_close_in_a_message(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture);
    (void)fake_mail(&fixture->fake, "<a@example>");
    fake_close(&fixture->fake);
    assert_int_equal(stats_level(&fixture->stats.messages_open), 0);
}

/* ---- what clients send ---- */

static void test_hostile_text_stays_in_its_field(void **state)
{
    static const char nasty[] = "<a\"b\n session=forged action=accept\x01\xff%s%n\\@example>";
    struct fixture *fixture = *state;

    begin(fixture);
    stage.mail = refuse(550, "5.7.1", "100% no: %s%n");
    assert_int_equal(fake_mail(&fixture->fake, nasty), MFI_REJECT);
    assert_string_equal(fixture->fake.text, "100% no: %s%n");
    assert_string_equal(stage.sender, nasty);
    const char *log = logged(fixture);

    assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
    assert_non_null(
        strstr(log, "from=\"<a\\\"b\\x0a session=forged action=accept\\x01\\xff%s%n\\\\@"));
}

static void test_long_input(void **state)
{
    struct fixture *fixture = *state;
    char *address = xmalloc(60001);

    (void)memset(address, 'a', 60000);
    address[60000] = '\0';
    (void)fake_negotiate(&fixture->fake, &full_offer);
    (void)fake_connect(&fixture->fake, address, "2001:db8::1");
    (void)fake_helo(&fixture->fake, address);
    assert_int_equal(fake_mail(&fixture->fake, address), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(&fixture->fake, address), MFI_CONTINUE);
    assert_int_equal(fake_eom(&fixture->fake), MFI_CONTINUE);
    assert_true(strlen(logged(fixture)) < 4096);
    assert_string_equal(stage.address, "IPv6:2001:db8:0:0:0:0:0:1");
    free(address);
}

static void test_client_that_is_no_ip_client(void **state)
{
    struct fixture *fixture = *state;

    (void)fake_negotiate(&fixture->fake, &full_offer);
    (void)fake_connect(&fixture->fake, "localhost", NULL);
    assert_string_equal(stage.address, "");
    assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), MFI_CONTINUE);
}

/* ---- negotiation ---- */

static void test_negotiation_asks_for_what_is_needed(void **state)
{
    struct fixture *fixture = *state;
    struct mfi_request *request = &fixture->fake.request;

    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(request->steps, MFI_STEP_CONNECT | MFI_STEP_HELO | MFI_STEP_MAIL |
                                         MFI_STEP_RCPT | MFI_STEP_EOM);
    assert_int_equal(request->silent, MFI_STEP_CONNECT | MFI_STEP_HELO);
    assert_false(request->quarantine);
    assert_string_equal(request->macros[MFI_MACROS_CONNECT], "j {daemon_name}");
    assert_string_equal(request->macros[MFI_MACROS_MAIL], "i");
    assert_string_equal(request->macros[MFI_MACROS_RCPT], "");
    assert_string_equal(request->macros[MFI_MACROS_EOM], "i");
    fake_close(&fixture->fake);
    needs = (struct ruleset_needs){.client_resolve = true,
                                   .client_ptr = true,
                                   .daemon_addr = true,
                                   .login = true,
                                   .certificate = true,
                                   .mailer = true,
                                   .quarantine = true,
                                   .drop_recipients = true};
    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_true(request->quarantine);
    assert_true(request->drop);
    assert_string_equal(request->macros[MFI_MACROS_RCPT], "{rcpt_mailer}");
    assert_string_equal(request->macros[MFI_MACROS_CONNECT],
                        "j {daemon_name} {if_addr} {daemon_addr} {client_resolve} {client_ptr}");
    assert_string_equal(request->macros[MFI_MACROS_MAIL],
                        "i {auth_type} {auth_authen} {verify} {cert_subject} {cert_issuer}");
}

static void test_mta_that_wants_replies_gets_them(void **state)
{
    struct fixture *fixture = *state;
    struct mfi_offer offer = full_offer;

    offer.silent = MFI_STEP_CONNECT;
    assert_true(fake_negotiate(&fixture->fake, &offer));
    assert_int_equal(fixture->fake.request.silent, 0);
    assert_int_equal(fake_connect(&fixture->fake, "host.example", "192.0.2.1"), MFI_CONTINUE);
    assert_int_equal(fake_helo(&fixture->fake, "x"), MFI_CONTINUE);
}

static void test_steps_that_dns_is_asked_about_are_answered(void **state)
{
    struct fixture *fixture = *state;

    needs.ask_client = true;
    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(fixture->fake.request.silent, MFI_STEP_HELO);
    assert_int_equal(fake_connect(&fixture->fake, "host.example", "192.0.2.1"), MFI_CONTINUE);
    assert_int_equal(fake_helo(&fixture->fake, "x"), MFI_NOREPLY);
    fake_close(&fixture->fake);
    needs.ask_helo = true;
    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(fixture->fake.request.silent, 0);
}

/* Sendmail, which alone has {if_addr}, keeps back no step that gets no reply. */
static void test_steps_that_dns_is_asked_about_need_no_answer_for_sendmail(void **state)
{
    static const char *const macros[][2] = {{"{if_addr}", "192.0.2.25"}, {NULL, NULL}};
    struct fixture *fixture = *state;

    needs = (struct ruleset_needs){.ask_client = true, .ask_helo = true, .daemon_addr = true};
    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(fixture->fake.request.silent, 0);
    (void)memcpy(fixture->fake.macros, macros, sizeof(macros));
    assert_int_equal(fake_connect(&fixture->fake, "host.example", "192.0.2.1"), MFI_CONTINUE);
    fake_close(&fixture->fake);
    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(fixture->fake.request.silent, MFI_STEP_CONNECT | MFI_STEP_HELO);
    fixture->fake.macros[0][0] = NULL;
    assert_int_equal(fake_connect(&fixture->fake, "host.example", "192.0.2.1"), MFI_NOREPLY);
    fake_close(&fixture->fake);
    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(fixture->fake.request.silent, 0); /* another MTA */
}

static void test_macros_become_facts(void **state)
{
    static const char *const macros[][2] = {{"{client_resolve}", "FORGED"},
                                            {"{auth_type}", "PLAIN"},
                                            {"{auth_authen}", "someone"},
                                            {NULL, NULL}};
    struct fixture *fixture = *state;

    (void)memcpy(fixture->fake.macros, macros, sizeof(macros));
    needs = (struct ruleset_needs){.client_resolve = true, .login = true};
    begin(fixture);
    assert_string_equal(stage.resolve, "FORGED");
    (void)fake_mail(&fixture->fake, "<a@example>");
    assert_string_equal(stage.user, "someone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls_out_of_order_are_temporary_failures),
        TEST(test_refused_mail_allows_no_recipient),
        TEST(test_second_client_is_not_judged_by_the_facts_of_the_first),
        TEST(test_next_client_after_close_without_negotiation),
        TEST(test_close_in_a_message),
        TEST(test_hostile_text_stays_in_its_field),
        TEST(test_long_input),
        TEST(test_client_that_is_no_ip_client),
        TEST(test_negotiation_asks_for_what_is_needed),
        TEST(test_mta_that_wants_replies_gets_them),
        TEST(test_steps_that_dns_is_asked_about_are_answered),
        TEST(test_steps_that_dns_is_asked_about_need_no_answer_for_sendmail),
        TEST(test_macros_become_facts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
