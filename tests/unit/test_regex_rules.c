/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Patterns of the envelope: what each right-hand side does at each stage, what is asked of the MTA for them, and
 * what fails closed. The golden sessions show whole traces.
 */
#include "lib/policy/regex_patterns.h"
#include "lib/policy/regex_rules.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/stages.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define CONNECT "connect a.b.test [10.1.2.3]\n"
#define MAIL CONNECT "mail <s@neutral.test>\n"
#define RCPT MAIL "rcpt <joe@local.example>\n"
#define DENIED "reject 550 5.7.1 Access denied"
#define RELAYING "relay_control = \"milter\"\n"
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FAILURE "tempfail 451 4.3.0 Temporary system failure. Please try again later."
#define DELAYED "features = { \"accept_unresolvable_domains\", \"delay_checks\" }\n"

/* A scene with a file of patterns beside the access map. */
static void begin(struct scene *scene, const char *conf, const char *access, const char *regex)
{
    memset(scene, 0, sizeof(*scene));
    site_init(&scene->site);
    site_write(&scene->site, "regex", regex);
    trace_log_init(&scene->log);
    strbuf_init(&scene->verdict);
    scene->ruleset = site_ruleset(&scene->site, conf, access);
    session_init(&scene->session, scene->ruleset, &scene->log.trace);
}

static const struct stage_case {
    const char *conf;
    const char *access;
    const char *regex;
    const char *lines;
    const char *verdict; /* of the last line */
} cases[] = {
    /* each verb, at each stage that knows it */
    {"", "", "Connect:/b\\.test$/ REJECT\n", CONNECT, DENIED},
    {"", "", "Connect:/b\\.test$/ REJECT no\n", CONNECT, "reject 550 5.7.1 no"},
    {"", "", "Connect:/b\\.test$/ REJECT 4.7.0 no\n", CONNECT, "tempfail 451 4.7.0 no"},
    {"", "", "Connect:/b\\.test$/ DEFER\n", CONNECT, "tempfail 450 4.7.1 Access denied"},
    {"", "", "Connect:/b\\.test$/ 554 5.7.3 no\n", CONNECT, "reject 554 5.7.3 no"},
    {"", "", "Connect:/b\\.test$/ ERROR:5.7.1:\"550 no\"\n", CONNECT, "reject 550 5.7.1 no"},
    {"", "", "Connect:/b\\.test$/ DISCARD\n", CONNECT, "discard"},
    {"", "", "Connect:/b\\.test$/ HOLD why\n", CONNECT, "quarantine:why"},
    {"", "", "Connect:/b\\.test$/ HOLD\n", CONNECT, "quarantine:held by a pattern"},
    {"", "", "Connect:/b\\.test$/ QUARANTINE:why\n", CONNECT, "quarantine:why"},
    {"", "Connect:b.test REJECT\n", "Connect:/b\\.test$/ OK\n", CONNECT, "continue"},
    {"", "Connect:b.test REJECT\n", "Connect:/b\\.test$/ RELAY\n", CONNECT, "continue"},
    {"", "Connect:b.test REJECT\n", "Connect:/b\\.test$/ 1234567\n", CONNECT, "continue"},
    {"", "Connect:b.test REJECT\n", "Connect:/b\\.test$/ DUNNO\n", CONNECT, DENIED},
    {"", "Connect:b.test REJECT\n", "Connect:/b\\.test$/ HOLD why\n", CONNECT, DENIED},
    {"", "Connect:b.test REJECT\n", "Connect:/b\\.test$/ WARN why\n", CONNECT, DENIED},
    {"", "Connect:b.test DISCARD\n", "Connect:/b\\.test$/ HOLD why\n", CONNECT, "discard"},
    {"", "Connect:b.test REJECT\n", "Connect:/b\\.test$/ DEFER_IF_REJECT\n", CONNECT,
     "tempfail 450 4.7.1 Access denied"},
    {"", "", "From:/(neutral)/ REJECT $1?\n", MAIL, "reject 550 5.7.1 neutral?"},
    {"", "From:neutral.test REJECT\n", "From:/neutral/ OK\n", MAIL, "continue"},
    {"", "From:neutral.test REJECT\n", "From:/neutral/ INFO x\n", MAIL, DENIED},
    {"", "", "To:/^joe@/ REJECT\n", RCPT, "reject 550 5.2.1 Mailbox disabled for this recipient"},
    {"", "", "To:/^joe@/ DISCARD\n", RCPT, "discard"},
    {"", "", "Compat:/./ REJECT\n", RCPT, DENIED},
    {"", "", "Compat:/./ TEMP:busy\n", RCPT, "tempfail 450 4.7.1 busy"},
    {"", "", "Compat:/./ DISCARD\n", RCPT, "drop"},
    {"", "", "Compat:/./ DISCARD:why\n", RCPT, "drop"},
    {"", "", "Compat:/./ DEFER_IF_PERMIT\n", RCPT, "tempfail 450 4.7.1 Access denied"},
    {"", "", "Helo:/^bad/ REJECT\n", CONNECT "helo bad\nmail <s@neutral.test>\n", DENIED},
    {"", "", "Helo:/^bad/ DISCARD\n", CONNECT "helo bad\nmail <s@neutral.test>\n", "discard"},
    /* pairs: patterns before the exact ones, which need the feature */
    {"features = { \"accept_unresolvable_domains\", \"compat_check\" }\n",
     "Compat:s@neutral.test<@>joe@local.example REJECT\n", "Compat:/joe/ OK\n", RCPT, "continue"},
    {"features = { \"accept_unresolvable_domains\", \"compat_check\" }\n",
     "Compat:s@neutral.test<@>joe@local.example REJECT\n", "Compat:/joe/ DUNNO\n", RCPT, DENIED},
    {"", "Compat:s@neutral.test<@>joe@local.example REJECT\n", "Compat:/ann/ REJECT\n", RCPT,
     "continue"},
    /* a recipient without a domain, a sender without one */
    {"", "", "To:/^joe$/ REJECT bare\n", MAIL "rcpt <joe>\n", "reject 550 5.7.1 bare"},
    {"", "", "From:/^joe$/ OK\n", CONNECT "mail <joe>\n", "continue"},
    {"", "", "From:/@localhost$/ OK\n", CONNECT "mail <joe@localhost>\n",
     "reject 553 5.5.4 Real domain name required for sender address"},
    {"", "", "From:/^joe@mx\\.home\\.example$/ OK\n", CONNECT "mail <joe@localhost>\n", "continue"},
    /* what is no address is refused as ever */
    {"", "", "From:/./ OK\n", CONNECT "mail <a@b@c>\n", "reject 553 5.1.3 Invalid route address"},
    {"", "", "To:/./ OK\n", MAIL "rcpt <>\n", "reject 553 5.0.0 User address required"},
    /* what is not an IP client is not asked at Connect: and Helo: */
    {"", "", "Connect:/./ REJECT\nHelo:/./ REJECT\n",
     "connect localhost\nhelo x\nmail <s@neutral.test>\n", "continue"},
    /* use_client_ptr counts for refusals, never for relaying */
    {"features = { \"accept_unresolvable_domains\", \"use_client_ptr\" }\n" RELAYING, "",
     "Connect:/^friend\\.test$/ RELAY\n",
     "connect [10.1.2.3] FORGED ptr=friend.test\nmail <s@neutral.test>\nrcpt <x@far.test>\n",
     "reject 550 5.7.1 Relaying denied. IP name possibly forged [10.1.2.3]"},
    {"features = { \"accept_unresolvable_domains\", \"use_client_ptr\" }\n", "",
     "Connect:/^friend\\.test$/ REJECT\n", "connect [10.1.2.3] FORGED ptr=friend.test\n", DENIED},
    /* relaying: OK grants nothing, and takes nothing that the access map grants */
    {RELAYING, "Connect:10.1 RELAY\n", "Connect:/b\\.test$/ OK\n", MAIL "rcpt <x@far.test>\n",
     "continue"},
    {RELAYING, "", "/./ OK\n", MAIL "rcpt <x@far.test>\n", "reject 550 5.7.1 Relaying denied"},
    {RELAYING, "", "/far\\.test$/ RELAY\n", MAIL "rcpt <x@far.test>\n", "continue"},
    {RELAYING, "", "/b\\.test$/ RELAY\n", MAIL "rcpt <x@far.test>\n", "continue"},
    {RELAYING, "", "Helo:/./ RELAY\nFrom:/./ RELAY\nCompat:/./ RELAY\n",
     CONNECT "helo x\nmail <s@neutral.test>\nrcpt <x@far.test>\n",
     "reject 550 5.7.1 Relaying denied"},
    {RELAYING, "To:far.test REJECT\n", "To:/far\\.test$/ RELAY\n", MAIL "rcpt <x@far.test>\n",
     "continue"},
    {DELAYED RELAYING, "", "Connect:/b\\.test$/ RELAY\n", MAIL "rcpt <x@far.test>\n", "continue"},
    {DELAYED, "Connect:b.test REJECT\n", "From:/neutral/ HOLD odd\n", RCPT, DENIED},
    {DELAYED, "", "From:/neutral/ HOLD odd\n", RCPT, "quarantine:odd"},
    /* a limit: 451 for that command, whatever other rules would say */
    {"", "Connect:b.test OK\n", "Connect:/^(a+)+$/ OK\nConnect:/./ OK\n",
     "connect " LONG ".b.test [10.1.2.3]\nmail <s@neutral.test>\n", FAILURE},
    {"", "", "Helo:/^(a+)+$/ OK\n", CONNECT "helo " LONG ".b\nmail <s@neutral.test>\n", FAILURE},
    {"", "", "From:/^(a+)+$/ OK\n", CONNECT "mail <" LONG "@neutral.test>\n", FAILURE},
    {"", "", "To:/^(a+)+$/ OK\n", MAIL "rcpt <" LONG "@local.example>\n", FAILURE},
    {"", "", "Compat:!/^(a+)+$/ OK\n", CONNECT "mail <" LONG "@a.test>\nrcpt <joe>\n", FAILURE},
    {RELAYING, "", "if client !local\nConnect:/^(a+)+$/ RELAY\nendif\nTo:/x/ OK\n",
     "connect " LONG ".b.test [10.1.2.3]\nmail <s@neutral.test>\n", FAILURE},
    /* what hangs on a group can turn out to be nothing */
    {"", "", "From:/^(x?)/ $1\n", MAIL, FAILURE},
    {"", "", "From:/^(\\w)/ ${1}ubbish\n", MAIL, FAILURE},
    {"", "", "From:/^(reject|discard)@/ $1 as you like\n", CONNECT "mail <reject@neutral.test>\n",
     "reject 550 5.7.1 as you like"},
};

static void test_each_right_hand_side(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct stage_case *c = &cases[i];
        struct scene scene;

        begin(&scene, c->conf, c->access, c->regex);
        const char *got = scene_verdict(&scene, c->lines);

        if (strcmp(got, c->verdict) != 0) {
            fail_msg("case %zu {%s} {%s} {%s}: %s", i, c->access, c->regex, c->lines, got);
        }
        scene_fini(&scene);
    }
}

static void test_a_limit_says_what_failed_and_where(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, "", "", "# one\nFrom:/^(a+)+$/ REJECT\n");
    scene_connect(&scene, "a.b.test [10.1.2.3]");
    struct verdict verdict = stage_mail(&scene.session, NULL, "<" LONG "@neutral.test>");

    assert_int_equal(verdict.kind, VERDICT_TEMPFAIL);
    assert_int_equal(verdict.rule.line, 2);
    assert_string_equal(verdict.rule.key, "From:/^(a+)+$/");
    assert_string_equal(verdict.reason, "regex_failed");
    assert_non_null(strstr(verdict.why, "the match limit is reached"));
    verdict = stage_mail(&scene.session, NULL, "<s@neutral.test>");
    assert_null(verdict.why);
    scene_fini(&scene);
}

/* ---- what is kept for the end of the message ---- */

/* "prepend X-A= b|add recipient a@b" */
static void expect_edits(struct scene *scene, const char *expected)
{
    struct strbuf got;

    strbuf_init(&got);
    for (const struct header_edit *edit = session_header_edits(&scene->session); edit != NULL;
         edit = edit->next) {
        strbuf_appendf(&got, "%s%s %s%s%s", got.len > 0 ? "|" : "",
                       header_edit_kind_name(edit->kind),
                       edit->new_name == NULL ? "" : edit->new_name,
                       edit->new_name == NULL ? "" : "=", edit->value);
    }
    if (strcmp(got.data, expected) != 0) {
        fail_msg("%s, not %s", got.data, expected);
    }
    strbuf_fini(&got);
}

static void test_changes_are_those_of_the_accepted_stages(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, "", "To:shut@local.example REJECT\n",
          "Connect:/^(a\\.)/ PREPEND X-Client : $1\n"
          "From:/^s@/ WARN sender\n"
          "To:/^shut@/ BCC nobody@local.example\n"
          "To:/^(joe|ann)@/ BCC archive@local.example\n"
          "Compat:/ann@/ REDIRECT <jane@local.example>\n"
          "Compat:/shut@/ REJECT\n");
    (void)scene_verdict(&scene, MAIL "rcpt <shut@local.example>\n");
    expect_edits(&scene, "prepend X-Client= a.|warn sender");
    (void)scene_verdict(&scene, "rcpt <joe@local.example>\nrcpt <ann@local.example>\n");
    expect_edits(&scene, "prepend X-Client= a.|warn sender|add recipient archive@local.example|"
                         "redirect jane@local.example");
    (void)scene_verdict(&scene, "eom\nmail <t@neutral.test>\n");
    expect_edits(&scene, "prepend X-Client= a.");
    (void)scene_verdict(&scene, "reset\n");
    expect_edits(&scene, "");
    scene_fini(&scene);
}

static void test_too_many_changes_are_a_temporary_failure(void **state)
{
    struct scene scene;
    char line[64];

    (void)state;
    begin(&scene, "", "", "To:/^n(\\d+)@/ BCC copy$1@local.example\n");
    (void)scene_verdict(&scene, MAIL);
    for (unsigned i = 0; i < HEADER_EDIT_MAX; i++) {
        (void)snprintf(line, sizeof(line), "rcpt <n%u@local.example>\n", i);
        assert_string_equal(scene_verdict(&scene, line), "continue");
    }
    assert_string_equal(scene_verdict(&scene, "rcpt <n5@local.example>\n"), "continue");
    assert_string_equal(scene_verdict(&scene, "rcpt <n99999@local.example>\n"), FAILURE);
    scene_fini(&scene);
}

/* ---- what is asked of the MTA ---- */

static void test_needs_are_those_of_the_rules(void **state)
{
    static const struct {
        const char *regex;
        const char *
            needs; /* q: quarantine, d: drop, e: edit headers, a: add recipients, l: login, c: certificate */
    } all[] = {
        {"/x/ REJECT\n", ""},
        {"From:/x/ HOLD\n", "q"},
        {"From:/x/ QUARANTINE:x\n", "q"},
        {"From:/(x)/ PREPEND X: $1\n", "e"},
        {"From:/(x)/ PREPEND $1: y\n", "e"},
        {"From:/x/ BCC a@b\n", "a"},
        {"From:/(x)/ BCC a@$1\n", "a"},
        {"From:/x/ REDIRECT a@b\n", "da"},
        {"From:/(x)/ REDIRECT $1\n", "da"},
        {"From:/x/ DISCARD\n", ""},
        {"Compat:/x/ DISCARD\n", "d"},
        {"Compat:/x/ DISCARD:y\n", "d"},
        {"From:/(x)/ $1 y\n", "qdea"},
        {"if client authenticated\nFrom:/x/ OK\nendif\n", "l"},
        {"if client !relay\nFrom:/x/ OK\nendif\n", "lc"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct scene scene;
        char got[8] = "";

        begin(&scene, "access = \"\"\nspammers = \"\"\n", "", all[i].regex);
        struct ruleset_needs needs = ruleset_needs(scene.ruleset);

        (void)snprintf(got, sizeof(got), "%s%s%s%s%s%s", needs.quarantine ? "q" : "",
                       needs.drop_recipients ? "d" : "", needs.edit_headers ? "e" : "",
                       needs.add_recipients ? "a" : "", needs.login ? "l" : "",
                       needs.certificate ? "c" : "");
        if (strcmp(got, all[i].needs) != 0) {
            fail_msg("%s: %s, not %s", all[i].regex, got, all[i].needs);
        }
        scene_fini(&scene);
    }
}

/* ---- the file ---- */

static void test_a_file_with_errors_keeps_the_old_rules(void **state)
{
    struct scene scene;
    char path[SITE_PATH_SIZE];

    (void)state;
    begin(&scene, "", "", "From:/^s@/ REJECT first\n");
    strbuf_reset(&scene.site.log.text);
    site_write(&scene.site, "regex", "From:/^s@/ REJECT second\nFrom:/(/ REJECT\n");
    assert_null(site_load(&scene.site));
    assert_string_equal(scene.site.log.text.data,
                        "regex:2: error: missing closing parenthesis at offset 1\n");
    assert_string_equal(scene_verdict(&scene, MAIL), "reject 550 5.7.1 first");
    /* as a map is renamed into place the patterns stay as they were read */
    assert_int_equal(site_map(&scene.site, "access", "From:neutral.test REJECT\n"), STATUS_OK);
    struct ruleset *next = ruleset_refresh(scene.ruleset, &scene.site.log.diag);

    assert_non_null(next);
    assert_ptr_equal(ruleset_regex(next), ruleset_regex(scene.ruleset));
    ruleset_unref(&next);
    assert_int_equal(unlink(site_path(&scene.site, "regex", path)), 0);
    strbuf_reset(&scene.site.log.text);
    assert_null(site_load(&scene.site));
    assert_non_null(strstr(scene.site.log.text.data, "regex: error: "));
    scene_fini(&scene);
}

static void test_tags_by_name(void **state)
{
    enum regex_tag tag;
    const char *rest;

    (void)state;
    assert_true(regex_patterns_find_tag("compat:a<@>b", &tag, &rest));
    assert_int_equal(tag, REGEX_COMPAT);
    assert_string_equal(rest, "a<@>b");
    assert_string_equal(regex_patterns_tag_name(tag), "Compat");
    assert_true(regex_patterns_find_tag("To:", &tag, &rest));
    assert_int_equal(tag, REGEX_TO);
    assert_false(regex_patterns_find_tag("Spam:a", &tag, &rest));
    assert_false(regex_patterns_find_tag("To", &tag, &rest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_right_hand_side),
        cmocka_unit_test(test_a_limit_says_what_failed_and_where),
        cmocka_unit_test(test_changes_are_those_of_the_accepted_stages),
        cmocka_unit_test(test_too_many_changes_are_a_temporary_failure),
        cmocka_unit_test(test_needs_are_those_of_the_rules),
        cmocka_unit_test(test_a_file_with_errors_keeps_the_old_rules),
        cmocka_unit_test(test_tags_by_name),
    };

    return cmocka_run_group_tests_name("regex_rules", tests, NULL, NULL);
}
