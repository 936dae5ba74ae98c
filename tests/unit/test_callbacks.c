/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The callbacks in order: whole sessions, and what each verdict becomes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_stages.h"

/* ---- whole sessions ---- */

static void test_session_of_two_messages(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    fake->macros[0][0] = "i";
    fake->macros[0][1] = "QUEUE1";
    begin(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fake_mail(fake, "<a@example.com>"), MFI_CONTINUE);
        assert_int_equal(fake_rcpt(fake, "<b@example.org>"), MFI_CONTINUE);
        assert_int_equal(fake_rcpt(fake, "<c@example.org>"), MFI_CONTINUE);
        assert_int_equal(stats_level(&fixture->stats.messages_open), 1);
        assert_int_equal(fake_eom(fake), MFI_CONTINUE);
        assert_int_equal(stats_level(&fixture->stats.messages_open), 0);
    }
    assert_int_equal(stats_get(&fixture->stats.messages), 2);
    assert_int_equal(fake->replies, 0);
    assert_string_equal(stage.client, "host.example");
    assert_string_equal(stage.address, "192.0.2.1");
    assert_string_equal(stage.helo_name, "helo.example");
    const char *log = logged(fixture);

    assert_non_null(
        strstr(log, " client=host.example addr=192.0.2.1 helo=helo.example queue=QUEUE1 "));
    assert_non_null(strstr(log, " from=<a@example.com> to=<b@example.org>,<c@example.org> nrcpt=2 "
                                "stage=eom action=accept\n"));
}

static void test_all_lines_of_a_session_have_its_id_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    char first[64];
    char second[64];

    stage.mail = refuse(550, "5.7.1", "no");
    begin(fixture);
    (void)fake_mail(&fixture->fake, "<a@example>");
    assert_int_equal(sscanf(logged(fixture), "session=%60s", first), 1);
    (void)fake_mail(&fixture->fake, "<a@example>");
    assert_int_equal(sscanf(logged(fixture), "session=%60s", second), 1);
    assert_string_equal(first, second);
    fake_close(&fixture->fake);
    begin(fixture);
    (void)fake_mail(&fixture->fake, "<a@example>");
    assert_int_equal(sscanf(logged(fixture), "session=%60s", second), 1);
    assert_string_not_equal(first, second);
}

static void test_log_names_only_the_first_recipients(void **state)
{
    struct fixture *fixture = *state;
    char recipient[32];

    begin(fixture);
    (void)fake_mail(&fixture->fake, "<>");
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(recipient, sizeof(recipient), "<u%d@example.org>", i);
        assert_int_equal(fake_rcpt(&fixture->fake, recipient), MFI_CONTINUE);
    }
    assert_int_equal(fake_eom(&fixture->fake), MFI_CONTINUE);
    const char *log = logged(fixture);

    assert_non_null(strstr(log, "<u4@example.org> nrcpt=1000"));
    assert_null(strstr(log, "<u5@example.org>"));
}

static void test_refused_recipient_leaves_the_others(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    begin(fixture);
    (void)fake_mail(fake, "<a@example>");
    stage.rcpt = refuse(550, "5.2.1", "Mailbox disabled");
    assert_int_equal(fake_rcpt(fake, "<b@example>"), MFI_REJECT);
    assert_int_equal(fake->code, 550);
    assert_string_equal(fake->dsn, "5.2.1");
    assert_non_null(strstr(logged(fixture),
                           "from=<a@example> to=<b@example> stage=rcpt action=reject "
                           "rule=/etc/postern/access:7 key=from:bad@example reason=access "
                           "reply=\"550 5.2.1 Mailbox disabled\"\n"));
    stage.rcpt = verdict_continue();
    assert_int_equal(fake_rcpt(fake, "<c@example>"), MFI_CONTINUE);
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
    assert_non_null(strstr(logged(fixture), "to=<c@example> nrcpt=1 stage=eom action=accept"));
}

static void test_abort_ends_the_message_not_the_session(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    begin(fixture);
    fake_abort(fake); /* RSET before MAIL */
    assert_int_equal(stats_get(&fixture->stats.aborted), 0);
    (void)fake_mail(fake, "<a@example>");
    (void)fake_rcpt(fake, "<b@example>");
    fake_abort(fake);
    assert_int_equal(stats_get(&fixture->stats.aborted), 1);
    assert_int_equal(fake_rcpt(fake, "<b@example>"), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, "<a@example>"), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(fake, "<b@example>"), MFI_CONTINUE);
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
}

static void test_mail_without_abort_begins_anew(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    begin(fixture);
    (void)fake_mail(fake, "<a@example>");
    (void)fake_rcpt(fake, "<b@example>");
    assert_int_equal(fake_mail(fake, "<c@example>"), MFI_CONTINUE);
    assert_int_equal(stats_level(&fixture->stats.messages_open), 1);
    assert_int_equal(fake_eom(fake), MFI_TEMPFAIL); /* its recipient was the other message's */
}

static void test_ruleset_is_kept_from_negotiation_on(void **state)
{
    struct fixture *fixture = *state;
    struct ruleset other = {.references = 1, .config = rules.config};

    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(rules.references, 2);
    rules.references++; /* snapshot_swap() gives one back, and teardown wants this one */
    snapshot_swap(fixture->callbacks.snapshot, &other);
    (void)fake_connect(&fixture->fake, "host.example", "192.0.2.1");
    (void)fake_mail(&fixture->fake, "<a@example>");
    assert_int_equal(other.references, 1);
    fake_close(&fixture->fake);
    rules.references++;
    snapshot_swap(fixture->callbacks.snapshot, &rules);
    assert_int_equal(other.references, 0);
    rules.references--;
}

/* ---- verdicts ---- */

static void test_answer_follows_the_class_of_the_reply(void **state)
{
    static const struct {
        int code;
        enum verdict_kind kind;
        enum mfi_answer answer;
    } cases[] = {
        {550, VERDICT_REJECT, MFI_REJECT},     {451, VERDICT_TEMPFAIL, MFI_TEMPFAIL},
        {599, VERDICT_REJECT, MFI_REJECT},     {400, VERDICT_TEMPFAIL, MFI_TEMPFAIL},
        {421, VERDICT_TEMPFAIL, MFI_TEMPFAIL}, {450, VERDICT_REJECT, MFI_TEMPFAIL},
        {554, VERDICT_TEMPFAIL, MFI_REJECT},
    };
    struct fixture *fixture = *state;

    begin(fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stage.mail = refuse(cases[i].code, "5.7.1", "text");
        stage.mail.kind = cases[i].kind;
        assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), cases[i].answer);
        assert_int_equal(fixture->fake.code, cases[i].code);
    }
    assert_int_equal(failures(fixture), 0);
}

static void test_refused_connect_is_answered_at_each_mail(void **state)
{
    struct fixture *fixture = *state;

    stage.connect = stage.helo = stage.mail = refuse(550, "5.7.1", "Access denied");
    begin(fixture); /* no reply at connect and helo */
    assert_int_equal(fixture->fake.replies, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), MFI_REJECT);
        const char *log = logged(fixture);

        assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1); /* one line each */
    }
    assert_int_equal(stats_get(&fixture->stats.verdicts[STATS_CONNECT][VERDICT_REJECT]), 1);
    assert_int_equal(stats_get(&fixture->stats.verdicts[STATS_MAIL][VERDICT_REJECT]), 3);
}

static void test_discard_waits_for_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct verdict discard = {.kind = VERDICT_DISCARD, .reason = "access"};

    stage.connect = stage.helo = stage.mail = stage.rcpt = stage.eom = discard;
    begin(fixture);
    assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(&fixture->fake, "<b@example>"), MFI_CONTINUE);
    assert_int_equal(fake_eom(&fixture->fake), MFI_DISCARD);
    assert_non_null(strstr(logged(fixture), "stage=eom action=discard"));
}

static void run_quarantine(struct fixture *fixture, const char *text, enum mfi_answer expected)
{
    stage.eom = (struct verdict){.kind = VERDICT_QUARANTINE, .quarantine = text};
    (void)fake_mail(&fixture->fake, "<a@example>");
    (void)fake_rcpt(&fixture->fake, "<b@example>");
    assert_int_equal(fake_eom(&fixture->fake), expected);
}

static void test_quarantine(void **state)
{
    struct fixture *fixture = *state;

    needs.quarantine = true;
    begin(fixture);
    assert_true(fixture->fake.request.quarantine);
    run_quarantine(fixture, "look at this", MFI_CONTINUE);
    assert_string_equal(fixture->fake.reason, "look at this");
    assert_non_null(strstr(logged(fixture), "action=quarantine hold=\"look at this\""));
    run_quarantine(fixture, "", MFI_CONTINUE); /* the protocol wants a text */
    assert_int_equal(fixture->fake.quarantines, 2);
    assert_true(fixture->fake.reason[0] != '\0');
    run_quarantine(fixture, NULL, MFI_CONTINUE);
    fixture->fake.refuse_quarantine = true;
    run_quarantine(fixture, "x", MFI_TEMPFAIL);
    assert_int_equal(failures(fixture), 1);
}

static void test_quarantine_without_the_right_is_a_temporary_failure(void **state)
{
    struct fixture *fixture = *state;
    struct mfi_offer offer = full_offer;

    needs.quarantine = true;
    offer.quarantine = false;
    assert_true(fake_negotiate(&fixture->fake, &offer));
    assert_false(fixture->fake.request.quarantine);
    assert_non_null(strstr(logged(fixture), "does not let filters quarantine"));
    (void)fake_connect(&fixture->fake, "host.example", "192.0.2.1");
    run_quarantine(fixture, "x", MFI_TEMPFAIL);
    assert_int_equal(fixture->fake.quarantines, 0);
}

static void test_reply_that_cannot_be_sent_is_a_temporary_failure(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture);
    stage.mail = refuse(550, "5.7.1", "no");
    fixture->fake.refuse_reply = true;
    assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), MFI_TEMPFAIL);
    fixture->fake.refuse_reply = false;
    stage.mail = refuse(250, "2.0.0", "a refusal that says yes");
    stage.mail.kind = VERDICT_REJECT;
    assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), MFI_TEMPFAIL);
    stage.mail.kind = (enum verdict_kind)99;
    assert_int_equal(fake_mail(&fixture->fake, "<a@example>"), MFI_TEMPFAIL);
    assert_int_equal(failures(fixture), 3);
    stage.mail = verdict_continue();
    (void)fake_mail(&fixture->fake, "<a@example>");
    (void)fake_rcpt(&fixture->fake, "<b@example>");
    stage.eom.kind = (enum verdict_kind)99;
    assert_int_equal(fake_eom(&fixture->fake), MFI_TEMPFAIL);
}

static void test_refusal_at_the_end_is_answered(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture);
    (void)fake_mail(&fixture->fake, "<a@example>");
    (void)fake_rcpt(&fixture->fake, "<b@example>");
    stage.eom = refuse(554, "5.7.1", "not this message");
    assert_int_equal(fake_eom(&fixture->fake), MFI_REJECT);
    assert_string_equal(fixture->fake.text, "not this message");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_session_of_two_messages),
        TEST(test_all_lines_of_a_session_have_its_id_and_no_other),
        TEST(test_log_names_only_the_first_recipients),
        TEST(test_refused_recipient_leaves_the_others),
        TEST(test_abort_ends_the_message_not_the_session),
        TEST(test_mail_without_abort_begins_anew),
        TEST(test_ruleset_is_kept_from_negotiation_on),
        TEST(test_answer_follows_the_class_of_the_reply),
        TEST(test_refused_connect_is_answered_at_each_mail),
        TEST(test_discard_waits_for_the_end),
        TEST(test_quarantine),
        TEST(test_quarantine_without_the_right_is_a_temporary_failure),
        TEST(test_reply_that_cannot_be_sent_is_a_temporary_failure),
        TEST(test_refusal_at_the_end_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
