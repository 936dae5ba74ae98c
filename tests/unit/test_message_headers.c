/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Header rules beyond what the golden sessions show: limits, what the MTA is asked for, warnings. */
#include "lib/mail/mime_scanner.h"
#include "lib/policy/header_edit.h"
#include "lib/policy/header_names.h"
#include "lib/policy/header_rules.h"
#include "lib/policy/message_headers.h"
#include "lib/policy/stages.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- a session with header rules ---- */

struct play {
    struct site site;
    struct ruleset *ruleset;
    struct session session;
};

/* A session of a site with these files (NULL: none), up to DATA. */
static void play_init(struct play *play, const char *own, const char *mime)
{
    site_init(&play->site);
    if (own != NULL) {
        site_write(&play->site, "header_checks", own);
    }
    if (mime != NULL) {
        site_write(&play->site, "mime_header_checks", mime);
    }
    play->ruleset = site_ruleset(&play->site, "", "");
    session_init(&play->session, play->ruleset, NULL);
    session_connect(&play->session,
                    &(struct session_client){.name = "a.b.test", .address = "10.1.2.3"});
    (void)stage_connect(&play->session);
    assert_int_equal(stage_mail(&play->session, NULL, "<>").kind, VERDICT_CONTINUE);
    assert_int_equal(stage_rcpt(&play->session, "<x@local.example>", NULL).kind, VERDICT_CONTINUE);
}

static void play_fini(struct play *play)
{
    session_fini(&play->session);
    ruleset_unref(&play->ruleset);
    site_fini(&play->site);
}

static size_t count_edits(const struct session *session)
{
    size_t count = 0;

    for (const struct header_edit *at = session_header_edits(session); at != NULL; at = at->next) {
        count++;
    }
    return count;
}

/* ---- limits ---- */

static void test_field_changes_are_limited(void **state)
{
    struct play play;
    struct verdict verdict;

    (void)state;
    play_init(&play, "/^X-Del:/ IGNORE\n", NULL);
    for (unsigned i = 0; i < HEADER_EDIT_MAX; i++) {
        assert_int_equal(stage_header(&play.session, "X-Del", " 1").kind, VERDICT_CONTINUE);
    }
    assert_int_equal(stage_header(&play.session, "X-Del", " 1").kind, VERDICT_REJECT);
    verdict = stage_eom(&play.session);
    assert_int_equal(verdict.reply.code, 552);
    assert_string_equal(verdict.reply.dsn, "5.3.4");
    assert_int_equal(verdict.rule.line, 1);
    assert_int_equal(count_edits(&play.session), HEADER_EDIT_MAX);
    play_fini(&play);
}

static void test_field_changes_are_limited_in_bytes(void **state)
{
    struct play play;
    struct strbuf value;

    (void)state;
    strbuf_init(&value);
    for (unsigned i = 0; i < 60000; i++) {
        strbuf_append_char(&value, 'x');
    }
    play_init(&play, "/^X-A:(.*)/ PREPEND X-B:$1$1\n", NULL);
    for (unsigned i = 0; i < HEADER_EDIT_MAX_BYTES / 120010; i++) {
        assert_int_equal(stage_header(&play.session, "X-A", value.data).kind, VERDICT_CONTINUE);
    }
    assert_int_equal(stage_header(&play.session, "X-A", value.data).kind, VERDICT_REJECT);
    play_fini(&play);
    strbuf_fini(&value);
}

static void test_field_log_lines_are_limited(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, "/^X-Info:/ INFO hello\n/^X-Del:/ IGNORE\n", NULL);
    for (unsigned i = 0; i < HEADER_EDIT_MAX_LOGS + 7; i++) {
        assert_int_equal(stage_header(&play.session, "X-Info", " 1").kind, VERDICT_CONTINUE);
    }
    assert_int_equal(stage_header(&play.session, "X-Del", " 1").kind, VERDICT_CONTINUE);
    assert_int_equal(stage_eom(&play.session).kind, VERDICT_CONTINUE);
    assert_int_equal(count_edits(&play.session), HEADER_EDIT_MAX_LOGS + 1);
    assert_int_equal(play.session.edits.unlogged, 7);
    play_fini(&play);
}

/* Which of them it is cannot be told to the MTA, so the message does not go on as if nothing had been said. */
static void test_field_that_cannot_be_counted_is_not_changed(void **state)
{
    struct play play;
    char name[32];

    (void)state;
    play_init(
        &play,
        "/^X-[0-9]+:/ DUNNO\n/^X-Del:/ IGNORE\n/^X-Pre:/ PREPEND X-B: 1\nmissing Date REJECT\n",
        NULL);
    for (unsigned i = 0; i < HEADER_NAMES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "X-%u", i);
        assert_int_equal(stage_header(&play.session, name, " 1").kind, VERDICT_CONTINUE);
    }
    assert_int_equal(stage_header(&play.session, "X-Pre", " 1").kind, VERDICT_CONTINUE);
    assert_int_equal(session_header_edits(&play.session)->position, HEADER_NAMES_MAX);
    /* A name that a rule asks for has its place, however late it comes. */
    assert_int_equal(stage_header(&play.session, "Date", " 1").kind, VERDICT_CONTINUE);
    assert_int_equal(stage_eoh(&play.session).kind, VERDICT_CONTINUE);
    assert_int_equal(stage_header(&play.session, "X-Del", " 1").kind, VERDICT_REJECT);
    assert_int_equal(stage_eom(&play.session).reply.code, 552);
    play_fini(&play);
}

static void test_subject_is_cut_in_edits(void **state)
{
    struct play play;
    char value[HEADER_EDIT_MAX_SUBJECT * 2];

    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    play_init(&play, "/^X-Del:/ IGNORE\n", NULL);
    (void)stage_header(&play.session, "X-Del", value);
    assert_int_equal(strlen(session_header_edits(&play.session)->subject), HEADER_EDIT_MAX_SUBJECT);
    play_fini(&play);
}

static void test_body_nested_too_deep_is_refused(void **state)
{
    struct play play;
    struct strbuf body;
    struct verdict verdict;

    (void)state;
    strbuf_init(&body);
    for (unsigned i = 1; i <= MIME_SCANNER_DEPTH_MAX; i++) {
        strbuf_appendf(&body, "--b%u.\r\nContent-Type: multipart/mixed; boundary=b%u.\r\n\r\n",
                       i - 1, i);
    }
    play_init(&play, NULL, "/^X-Never:/ REJECT\n");
    (void)stage_header(&play.session, "Content-Type", " multipart/mixed; boundary=b0.");
    (void)stage_eoh(&play.session);
    (void)stage_body(&play.session, body.data, body.len);
    verdict = stage_eom(&play.session);
    assert_int_equal(verdict.reply.code, 550);
    assert_string_equal(verdict.reply.dsn, "5.6.0");
    play_fini(&play);
    strbuf_fini(&body);
}

static void test_limit_of_a_pattern_is_a_temporary_failure(void **state)
{
    struct play play;
    struct verdict verdict;
    char value[64];

    (void)state;
    memset(value, 'a', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    play_init(&play, "/^X-A:(a+)+(a+)+(a+)+(a+)+[^a]$/ REJECT\n/^X-A:/ OK\n", NULL);
    verdict = stage_header(&play.session, "X-A", value);
    assert_int_equal(verdict.kind, VERDICT_TEMPFAIL);
    assert_int_equal(verdict.reply.code, 451);
    assert_int_equal(verdict.rule.line, 1);
    assert_int_equal(stage_eom(&play.session).kind, VERDICT_TEMPFAIL);
    play_fini(&play);
}

/* Each is within the limits of a single match; a thousand of them must not add up to minutes. */
static void test_time_of_patterns_is_one_for_all_headers(void **state)
{
    static char value[8001];
    struct play play;
    enum verdict_kind kind = VERDICT_CONTINUE;
    unsigned asked = 0;

    (void)state;
    memset(value, ' ', sizeof(value) - 1);
    play_init(&play, "/(?:\\s|\\n)+[^\\s]$/ REJECT\n", NULL);
    for (; asked < 1000 && kind == VERDICT_CONTINUE; asked++) {
        kind = stage_header(&play.session, "X-A", value).kind;
    }
    assert_int_equal(kind, VERDICT_TEMPFAIL);
    assert_in_range(asked, 2, 999); /* a single one is not over it */
    assert_non_null(play.session.refusal.why);
    play_fini(&play);
}

/* If nobody can tell whether the client may relay, it is neither taken for a stranger nor for one of our own. */
static void test_client_that_cannot_be_known_is_a_temporary_failure(void **state)
{
    struct play play;

    (void)state;
    site_init(&play.site);
    site_write(&play.site, "header_checks", "if client !relay\n/^X-A:/ REJECT\nendif\n");
    site_write(&play.site, "access.gdbm", "this is no map");
    site_conf(&play.site, "");
    play.ruleset = site_load(&play.site);
    assert_non_null(play.ruleset);
    session_init(&play.session, play.ruleset, NULL);
    session_connect(&play.session, &(struct session_client){.address = "10.1.2.3"});
    assert_int_equal(stage_header(&play.session, "X-B", " 1").kind, VERDICT_TEMPFAIL);
    assert_int_equal(stage_eom(&play.session).reply.code, 451);
    play_fini(&play);
}

/* ---- nothing to do ---- */

static void test_no_rules_cost_nothing(void **state)
{
    struct play play;
    struct ruleset_needs needs;

    (void)state;
    play_init(&play, "# nothing yet\n", "\n");
    needs = ruleset_needs(play.ruleset);
    assert_false(needs.headers || needs.body || needs.edit_headers || needs.add_recipients);
    assert_int_equal(stage_header(&play.session, "Subject", " x").kind, VERDICT_CONTINUE);
    assert_int_equal(stage_eoh(&play.session).kind, VERDICT_CONTINUE);
    assert_int_equal(stage_body(&play.session, "x", 1).kind, VERDICT_CONTINUE);
    assert_int_equal(stage_eom(&play.session).kind, VERDICT_CONTINUE);
    assert_null(play.session.headers);
    play_fini(&play);
}

/* As in Postfix: a mime_header_checks of its own is asked for them even if it says nothing. */
static void test_mime_headers_are_not_asked_for_twice(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, "/^Content-Type: text/ REJECT\n/^Content-Foo:/ REJECT\n", "# nothing yet\n");
    assert_int_equal(stage_header(&play.session, "Content-Type", " text/plain").kind,
                     VERDICT_CONTINUE);
    assert_int_equal(stage_header(&play.session, "Content-Foo", " text").kind, VERDICT_REJECT);
    play_fini(&play);
    play_init(&play, "/^Content-Type: text/ REJECT\n", NULL);
    assert_int_equal(stage_header(&play.session, "Content-Type", " text/plain").kind,
                     VERDICT_REJECT);
    play_fini(&play);
}

/* ---- what the MTA is asked for ---- */

struct needs_case {
    const char *own;
    const char *mime;
    const char *needs; /* "h"eaders, "b"ody, "e"dit, "a"dd, "d"rop, "l"ogin, "c"ertificate */
};

static const char *needs_text(const struct ruleset_needs *needs, char buf[8])
{
    char *to = buf;

    *to = 'h';
    to += needs->headers;
    *to = 'b';
    to += needs->body;
    *to = 'e';
    to += needs->edit_headers;
    *to = 'a';
    to += needs->add_recipients;
    *to = 'd';
    to += needs->drop_recipients;
    *to = 'l';
    to += needs->login;
    *to = 'c';
    to += needs->certificate;
    *to = '\0';
    return buf;
}

static void test_needs_are_what_the_rules_use(void **state)
{
    static const struct needs_case cases[] = {
        {"/a/ REJECT\n", NULL, "h"},
        {"/a/ REJECT\n", "/a/ REJECT\n", "hb"},
        {NULL, "/a/ REJECT\n", "hb"},
        {"/a/ REJECT\n/b/ IGNORE\n", NULL, "he"},
        {"/a/ PREPEND X-A: $1\n", NULL, "h"},
        {"/(a)/ PREPEND X-A: $1\n", NULL, "he"},
        {"/a/ REPLACE X-A: 1\n", NULL, "he"},
        {"missing Date PREPEND Date: 1\n", NULL, "he"},
        {"/a/ BCC a@b.test\n", NULL, "ha"},
        {"/a/ REDIRECT a@b.test\n", NULL, "had"},
        {"/(a)/ $1\n", NULL, "head"},
        {"if client !local\n/a/ REJECT\nendif\n", NULL, "h"},
        {"if client !authenticated\n/a/ REJECT\nendif\n", NULL, "hl"},
        {"if client !relay\n/a/ REJECT\nendif\n", NULL, "hlc"},
    };
    struct site site;
    char buf[8];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        site_init(&site);
        if (cases[i].own != NULL) {
            site_write(&site, "header_checks", cases[i].own);
        }
        if (cases[i].mime != NULL) {
            site_write(&site, "mime_header_checks", cases[i].mime);
        }
        site_conf(&site,
                  "relay_control = \"mta\"\nfeatures = { \"accept_unresolvable_domains\" }\n");
        struct ruleset *ruleset = site_load(&site);

        if (ruleset == NULL) {
            assert_non_null(strstr(site.log.text.data, "error")); /* $1 without a group */
            assert_string_equal(cases[i].needs, "h");
        } else {
            struct ruleset_needs needs = ruleset_needs(ruleset);

            assert_string_equal(needs_text(&needs, buf), cases[i].needs);
        }
        ruleset_unref(&ruleset);
        site_fini(&site);
    }
}

/* ---- warnings ---- */

struct lint_case {
    const char *own;
    const char *mime;
    const char *warning; /* NULL: none */
};

static void test_lint_warns_of_rules_that_cannot_do_what_was_meant(void **state)
{
    static const struct lint_case cases[] = {
        {"/^Subject: x/ REJECT\n", NULL, NULL},
        {"/name=.*\\.exe/ REJECT\n", NULL, "attachments are not looked at"},
        {"/^Content-Disposition:/ REJECT\n", NULL, "attachments are not looked at"},
        {"/filename\\s*=\\s*x/ REJECT\n", NULL, "attachments are not looked at"},
        {"/^Content-Type: text/ REJECT\n", NULL, NULL},
        {"/name=.*\\.exe/ REJECT\n", "/name=.*\\.exe/ REJECT\n", NULL},
        {"/name=.*\\.exe/ REJECT\n", "/name=.*\\.com/ REJECT\n", "attachments are not looked at"},
        {"/^Content-Type: text/ REJECT\n", "/^X:/ REJECT\n", "never asked"},
        {"/^(Content-Type|X-Type): text/ REJECT\n", "/^X:/ REJECT\n", NULL},
        {NULL, "/^X:/ IGNORE\n", "in a part or an attached message it does nothing"},
        {NULL, "/^X:/ REPLACE X: 1\n", "in a part or an attached message it does nothing"},
        {NULL, "/^X:/ WARN\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct play play;

        play_init(&play, cases[i].own, cases[i].mime);
        strbuf_reset(&play.site.log.text);
        header_rules_lint(ruleset_headers(play.ruleset), &play.site.log.diag);
        if (cases[i].warning == NULL) {
            assert_string_equal(play.site.log.text.data, "");
        } else if (strstr(play.site.log.text.data, cases[i].warning) == NULL ||
                   strstr(play.site.log.text.data, "header_checks:1: warning") == NULL) {
            fail_msg("%s%s: \"%s\"", cases[i].own == NULL ? "" : cases[i].own,
                     cases[i].mime == NULL ? "" : cases[i].mime, play.site.log.text.data);
        }
        play_fini(&play);
    }
}

/* One file under both keys: all headers are asked in it, and nobody is warned of anything. */
static void test_both_keys_may_name_one_file(void **state)
{
    struct site site;
    char path[SITE_PATH_SIZE];
    struct strbuf conf;
    struct table_regex *tables[2];

    (void)state;
    site_init(&site);
    site_write(&site, "header_checks", "/name=.*\\.exe/ REJECT\n/^X:/ IGNORE\nmissing Date WARN\n");
    strbuf_init(&conf);
    strbuf_appendf(&conf, "mime_header_checks = \"%s\"\n", site_path(&site, "header_checks", path));
    site_conf(&site, conf.data);

    struct ruleset *ruleset = site_load(&site);
    const struct header_rules *rules = ruleset_headers(ruleset);

    assert_ptr_equal(header_rules_own(rules), header_rules_mime(rules));
    assert_int_equal(header_rules_tables(rules, tables), 1);
    strbuf_reset(&site.log.text);
    header_rules_lint(rules, &site.log.diag);
    assert_string_equal(site.log.text.data, "");
    ruleset_unref(&ruleset);
    strbuf_fini(&conf);
    site_fini(&site);
}

/* ---- names ---- */

static void test_names_are_counted_without_case(void **state)
{
    struct arena *arena = arena_new();
    struct header_names names = {0};
    char name[HEADER_NAMES_MAX_LEN + 2];

    (void)state;
    assert_int_equal(header_names_count(&names, "Subject"), 0);
    assert_int_equal(header_names_add(&names, arena, "Subject"), 1);
    assert_int_equal(header_names_add(&names, arena, "SUBJECT"), 2);
    header_names_expect(&names, arena, "subject");
    header_names_expect(&names, arena, "Date");
    assert_int_equal(header_names_count(&names, "Date"), 0);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "X-%u", i);
        assert_int_equal(header_names_add(&names, arena, name), 1);
    }
    assert_int_equal(header_names_count(&names, "subjecT"), 2);
    assert_int_equal(header_names_count(&names, "x-999"), 1);
    memset(name, 'x', HEADER_NAMES_MAX_LEN + 1);
    name[HEADER_NAMES_MAX_LEN + 1] = '\0';
    assert_int_equal(header_names_add(&names, arena, name), 0);
    assert_int_equal(header_names_count(&names, name), 0);
    name[HEADER_NAMES_MAX_LEN] = '\0';
    assert_int_equal(header_names_add(&names, arena, name), 1);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_changes_are_limited),
        cmocka_unit_test(test_field_changes_are_limited_in_bytes),
        cmocka_unit_test(test_field_log_lines_are_limited),
        cmocka_unit_test(test_field_that_cannot_be_counted_is_not_changed),
        cmocka_unit_test(test_subject_is_cut_in_edits),
        cmocka_unit_test(test_body_nested_too_deep_is_refused),
        cmocka_unit_test(test_limit_of_a_pattern_is_a_temporary_failure),
        cmocka_unit_test(test_time_of_patterns_is_one_for_all_headers),
        cmocka_unit_test(test_client_that_cannot_be_known_is_a_temporary_failure),
        cmocka_unit_test(test_no_rules_cost_nothing),
        cmocka_unit_test(test_mime_headers_are_not_asked_for_twice),
        cmocka_unit_test(test_needs_are_what_the_rules_use),
        cmocka_unit_test(test_lint_warns_of_rules_that_cannot_do_what_was_meant),
        cmocka_unit_test(test_both_keys_may_name_one_file),
        cmocka_unit_test(test_names_are_counted_without_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
