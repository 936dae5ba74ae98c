/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The callbacks of a message: what is negotiated for its header and body, what becomes of a verdict on it, and what of
 * the changes that rules make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_stages.h"

static const struct ruleset_needs header_needs = {.quarantine = true,
                                                  .drop_recipients = true,
                                                  .headers = true,
                                                  .edit_headers = true,
                                                  .add_recipients = true};

static void begin_message(struct fixture *fixture)
{
    begin(fixture);
    assert_int_equal(fake_mail(&fixture->fake, "<a@example.com>"), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(&fixture->fake, "<joe@example.org>"), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(&fixture->fake, "<jane@example.org>"), MFI_CONTINUE);
}

/* ---- negotiation ---- */

static void test_nothing_is_asked_for_without_header_rules(void **state)
{
    struct fixture *fixture = *state;
    const struct mfi_request *request = &fixture->fake.request;

    begin(fixture);
    assert_int_equal(request->steps, MFI_STEP_CONNECT | MFI_STEP_HELO | MFI_STEP_MAIL |
                                         MFI_STEP_RCPT | MFI_STEP_EOM);
    assert_int_equal(request->silent, MFI_STEP_CONNECT | MFI_STEP_HELO);
    assert_false(request->edit_headers || request->add_recipients || request->leading_blank);
    assert_null(strstr(request->macros[MFI_MACROS_CONNECT], " v"));
}

static void test_header_rules_ask_for_fields_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct mfi_request *request = &fixture->fake.request;

    needs.headers = true;
    begin(fixture);
    assert_true((request->steps & MFI_STEP_HEADER) != 0);
    assert_int_equal(request->steps & (MFI_STEP_EOH | MFI_STEP_BODY), 0);
    assert_true((request->silent & MFI_STEP_HEADER) != 0);
    assert_true(request->leading_blank);
    assert_false(request->edit_headers || request->add_recipients);
}

static void test_rules_for_parts_ask_for_the_body(void **state)
{
    struct fixture *fixture = *state;
    const struct mfi_request *request = &fixture->fake.request;

    needs.headers = needs.body = true;
    begin(fixture);
    assert_int_equal(request->steps & (MFI_STEP_HEADER | MFI_STEP_EOH | MFI_STEP_BODY),
                     MFI_STEP_HEADER | MFI_STEP_EOH | MFI_STEP_BODY);
    assert_int_equal(request->silent & (MFI_STEP_HEADER | MFI_STEP_EOH | MFI_STEP_BODY),
                     MFI_STEP_HEADER | MFI_STEP_BODY);
}

static void test_rules_that_change_ask_for_the_rights(void **state)
{
    struct fixture *fixture = *state;
    const struct mfi_request *request = &fixture->fake.request;

    needs = header_needs;
    begin(fixture);
    assert_true(request->edit_headers && request->add_recipients && request->drop);
    assert_string_equal(request->macros[MFI_MACROS_CONNECT], "j {daemon_name} v");
}

static void test_mta_that_wants_replies_to_fields_gets_them(void **state)
{
    struct fixture *fixture = *state;
    struct mfi_offer offer = full_offer;
    struct fake_mfi *fake = &fixture->fake;

    offer.silent = 0;
    needs.headers = needs.body = true;
    assert_true(fake_negotiate(fake, &offer));
    assert_int_equal(fake_connect(fake, "host.example", "192.0.2.1"), MFI_CONTINUE);
    (void)fake_mail(fake, "<a@example.com>");
    (void)fake_rcpt(fake, "<joe@example.org>");
    assert_int_equal(fake_header(fake, "Subject", " x"), MFI_CONTINUE);
    assert_int_equal(fake_eoh(fake), MFI_CONTINUE);
    assert_int_equal(fake_body(fake, "text"), MFI_CONTINUE);
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
    assert_int_equal(fake->replies, 0);
}

/* ---- what the stages are told ---- */

static void test_fields_come_as_they_were_sent(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    needs.headers = needs.body = true;
    begin_message(fixture);
    assert_int_equal(fake_header(fake, "X-Folded", "\ta\n  b "), MFI_NOREPLY);
    assert_string_equal(stage.header, "X-Folded:\ta\n  b ");
    assert_int_equal(fake_header(fake, "Subject", "x"), MFI_NOREPLY);
    assert_string_equal(stage.header, "Subject:x");
    assert_int_equal(stage.headers, 2);
    assert_int_equal(fake_eoh(fake), MFI_CONTINUE);
    assert_int_equal(fake_body(fake, "one "), MFI_NOREPLY);
    assert_int_equal(fake_body(fake, "two"), MFI_NOREPLY);
    assert_string_equal(stage.body, "one two");
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
}

static void test_blank_that_the_mta_took_off_is_put_back(void **state)
{
    struct fixture *fixture = *state;
    struct mfi_offer offer = full_offer;
    struct fake_mfi *fake = &fixture->fake;
    struct header_edit edit = {.kind = HEADER_EDIT_PREPEND,
                               .name = "Subject",
                               .occurrence = 1,
                               .new_name = "X-New",
                               .value = " v"};

    offer.leading_blank = false;
    needs = header_needs;
    assert_true(fake_negotiate(fake, &offer));
    assert_false(fake->request.leading_blank);
    (void)fake_connect(fake, "host.example", "192.0.2.1");
    (void)fake_mail(fake, "<a@example.com>");
    (void)fake_rcpt(fake, "<joe@example.org>");
    assert_int_equal(fake_header(fake, "Subject", "x"), MFI_NOREPLY);
    assert_string_equal(stage.header, "Subject: x");
    stage.edits = &edit;
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
    assert_string_equal(fake->call[0], "insert 1 X-New:v");
}

/* ---- verdicts ---- */

static void test_refusal_at_the_end_of_the_header(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    needs.headers = needs.body = true;
    stage.eoh = refuse(553, "5.6.0", "Header Error");
    begin_message(fixture);
    assert_int_equal(fake_eoh(fake), MFI_REJECT);
    assert_int_equal(fake->code, 553);
    assert_string_equal(fake->text, "Header Error");
    assert_non_null(strstr(logged(fixture), "nrcpt=2 stage=eoh action=reject rule="));
    assert_int_equal(stats_get(&fixture->stats.verdicts[STATS_EOH][VERDICT_REJECT]), 1);
    assert_int_equal(stats_get(&fixture->stats.messages), 1);
    fake_abort(fake); /* as the MTA says then */
    assert_int_equal(stats_get(&fixture->stats.aborted), 0);
    stage.eoh = verdict_continue();
    assert_int_equal(fake_mail(fake, "<a@example.com>"), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(fake, "<joe@example.org>"), MFI_CONTINUE);
    assert_int_equal(fake_eoh(fake), MFI_CONTINUE);
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
}

static void test_refusal_at_the_end_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;
    struct header_edit info = {.kind = HEADER_EDIT_INFO, .value = "seen"};
    struct header_edit edit = {
        .kind = HEADER_EDIT_DELETE, .name = "A", .occurrence = 1, .next = &info};

    needs = header_needs;
    stage.edits = &edit;
    stage.eom = refuse(451, "4.7.1", "later");
    begin_message(fixture);
    assert_int_equal(fake_eom(fake), MFI_TEMPFAIL);
    assert_int_equal(fake->code, 451);
    assert_int_equal(fake->calls, 0);
    const char *log = logged(fixture);

    assert_non_null(strstr(log, "stage=eom action=info text=seen\n"));
    assert_non_null(strstr(log, "stage=eom action=tempfail rule="));
    assert_null(strstr(log, "action=delete"));
    assert_int_equal(failures(fixture), 0);
}

static void test_discarded_message_is_not_changed(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;
    struct header_edit edit = {.kind = HEADER_EDIT_REDIRECT, .value = "new@example.org"};

    needs = header_needs;
    stage.edits = &edit;
    stage.eom = (struct verdict){.kind = VERDICT_DISCARD, .reason = "header_checks"};
    begin_message(fixture);
    assert_int_equal(fake_eom(fake), MFI_DISCARD);
    assert_int_equal(fake->calls, 0);
    assert_int_equal(fake->drops, 0);
    assert_int_equal(stats_get(&fixture->stats.edits[HEADER_EDIT_REDIRECT]), 0);
}

/* ---- changes ---- */

static void test_changes_are_made_logged_and_counted(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;
    struct header_edit edits[] = {
        {.kind = HEADER_EDIT_PREPEND,
         .name = "Subject",
         .occurrence = 1,
         .position = 3,
         .new_name = "X-Seen",
         .value = " yes",
         .subject = "Subject: a b",
         .rule = {"/etc/postern/header_checks", 3, "/^Subject: a/"}},
        {.kind = HEADER_EDIT_ADD_RECIPIENT, .value = "copy@example.org"},
        {.kind = HEADER_EDIT_WARN, .value = "look here"},
    };

    edits[0].next = &edits[1];
    edits[1].next = &edits[2];
    needs = header_needs;
    fake->macros[0][0] = "v";
    fake->macros[0][1] = "8.17.1";
    fake->macros[1][0] = "i";
    fake->macros[1][1] = "QUEUE1";
    stage.edits = edits;
    stage.eom = (struct verdict){.kind = VERDICT_QUARANTINE, .quarantine = "held"};
    begin_message(fixture);
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
    assert_int_equal(fake->calls, 2);
    assert_string_equal(fake->call[0], "add copy@example.org");
    assert_string_equal(fake->call[1], "insert 11 X-Seen: yes");
    assert_int_equal(fake->quarantines, 1);
    const char *log = logged(fixture);

    assert_non_null(strstr(log, "queue=QUEUE1 from=<a@example.com> stage=eom action=prepend "
                                "rule=/etc/postern/header_checks:3 key=\"/^Subject: a/\" "
                                "header=\"Subject: a b\" new_name=X-Seen new_value=\" yes\"\n"));
    assert_non_null(strstr(log, "text=copy@example.org\n"));
    assert_non_null(strstr(log, "action=warn text=\"look here\"\n"));
    assert_non_null(strstr(log, "action=quarantine hold=held\n"));
    assert_int_equal(stats_get(&fixture->stats.edits[HEADER_EDIT_PREPEND]), 1);
    assert_int_equal(stats_get(&fixture->stats.edits[HEADER_EDIT_WARN]), 1);
}

static void test_redirect_leaves_none_of_the_recipients(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;
    struct header_edit edit = {.kind = HEADER_EDIT_REDIRECT, .value = "new@example.org"};

    needs = header_needs;
    stage.edits = &edit;
    begin_message(fixture);
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
    assert_int_equal(fake->drops, 2);
    assert_string_equal(fake->dropped, "<jane@example.org>");
    assert_string_equal(fake->call[0], "add new@example.org");
    stage.edits = NULL; /* the next message of the session */
    (void)fake_mail(fake, "<a@example.com>");
    (void)fake_rcpt(fake, "<joe@example.org>");
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
    assert_int_equal(fake->drops, 2);
}

/* ---- an MTA that does not do what a rule wants ---- */

static void check_lacking(struct fixture *fixture, const struct mfi_offer *offer,
                          struct header_edit *edit, const char *warning)
{
    struct fake_mfi *fake = &fixture->fake;

    needs = header_needs;
    for (int i = 0; i < 2; i++) {
        assert_true(fake_negotiate(fake, offer));
        if (i == 0) {
            assert_non_null(strstr(logged(fixture), warning));
        }
        (void)fake_connect(fake, "host.example", "192.0.2.1");
        (void)fake_mail(fake, "<a@example.com>");
        (void)fake_rcpt(fake, "<joe@example.org>");
        stage.edits = edit;
        assert_int_equal(fake_eom(fake), MFI_TEMPFAIL);
        const char *log = logged(fixture);

        assert_non_null(strstr(log, "stage=eom action=tempfail error="));
        assert_null(strstr(log, "event=negotiate")); /* it is said once */
        stage.edits = NULL;                          /* what needs no right is accepted */
        (void)fake_mail(fake, "<a@example.com>");
        (void)fake_rcpt(fake, "<joe@example.org>");
        assert_int_equal(fake_eom(fake), MFI_CONTINUE);
        assert_non_null(strstr(logged(fixture), "action=accept"));
        fake_close(fake);
    }
    assert_int_equal(fake->calls, 0);
}

static void test_mta_that_lets_nobody_change_headers(void **state)
{
    struct mfi_offer offer = full_offer;
    struct header_edit edit = {.kind = HEADER_EDIT_DELETE, .name = "A", .occurrence = 1};

    offer.edit_headers = false;
    check_lacking(*state, &offer, &edit, "does not let filters change headers");
}

static void test_mta_that_lets_nobody_add_recipients(void **state)
{
    struct mfi_offer offer = full_offer;
    struct header_edit edit = {.kind = HEADER_EDIT_ADD_RECIPIENT, .value = "copy@example.org"};

    offer.add_recipients = false;
    check_lacking(*state, &offer, &edit, "does not let filters add recipients");
}

static void test_change_that_fails_is_a_temporary_failure(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;
    struct header_edit edit = {.kind = HEADER_EDIT_DELETE, .name = "A", .occurrence = 1};

    needs = header_needs;
    stage.edits = &edit;
    fake->refuse_change = true;
    begin_message(fixture);
    assert_int_equal(fake_eom(fake), MFI_TEMPFAIL);
    assert_non_null(strstr(logged(fixture), "error=\"a header cannot be changed\""));
    assert_int_equal(failures(fixture), 1);
    assert_int_equal(stats_get(&fixture->stats.edits[HEADER_EDIT_DELETE]), 0);
}

/* ---- out of order ---- */

static void test_end_without_recipients_ends_the_message(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    needs.headers = true;
    begin(fixture);
    assert_int_equal(fake_mail(fake, "<a@example.com>"), MFI_CONTINUE);
    assert_int_equal(fake_header(fake, "A", " b"), MFI_NOREPLY);
    assert_int_equal(fake_eom(fake), MFI_TEMPFAIL);
    assert_int_equal(fake_rcpt(fake, "<joe@example.org>"), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, "<a@example.com>"), MFI_CONTINUE);
    assert_int_equal(fake_rcpt(fake, "<joe@example.org>"), MFI_CONTINUE);
    assert_int_equal(fake_eom(fake), MFI_CONTINUE);
}

static void test_parts_without_a_message(void **state)
{
    struct fixture *fixture = *state;
    struct fake_mfi *fake = &fixture->fake;

    assert_int_equal(fake_header(fake, "A", " b"), MFI_TEMPFAIL);
    assert_int_equal(fake_eoh(fake), MFI_TEMPFAIL);
    assert_int_equal(fake_body(fake, "x"), MFI_TEMPFAIL);
    needs.headers = needs.body = true;
    begin(fixture);
    assert_int_equal(fake_eoh(fake), MFI_TEMPFAIL);
    assert_int_equal(fake_mail(fake, "<a@example.com>"), MFI_CONTINUE);
    fake_abort(fake);
    /* No reply is possible here, so the session cannot be trusted from now on. */
    assert_int_equal(fake_header(fake, "A", " b"), MFI_NOREPLY);
    assert_int_equal(fake_body(fake, "x"), MFI_NOREPLY);
    assert_int_equal(fake_mail(fake, "<a@example.com>"), MFI_TEMPFAIL);
    assert_int_equal(stage.headers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_asked_for_without_header_rules),
        TEST(test_header_rules_ask_for_fields_alone),
        TEST(test_rules_for_parts_ask_for_the_body),
        TEST(test_rules_that_change_ask_for_the_rights),
        TEST(test_mta_that_wants_replies_to_fields_gets_them),
        TEST(test_fields_come_as_they_were_sent),
        TEST(test_blank_that_the_mta_took_off_is_put_back),
        TEST(test_refusal_at_the_end_of_the_header),
        TEST(test_refusal_at_the_end_changes_nothing),
        TEST(test_discarded_message_is_not_changed),
        TEST(test_changes_are_made_logged_and_counted),
        TEST(test_redirect_leaves_none_of_the_recipients),
        TEST(test_mta_that_lets_nobody_change_headers),
        TEST(test_mta_that_lets_nobody_add_recipients),
        TEST(test_change_that_fails_is_a_temporary_failure),
        TEST(test_end_without_recipients_ends_the_message),
        TEST(test_parts_without_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
