/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What makemap takes, warns of and refuses, line by line: postern-access(5), deliberate difference 2. */
#include "lib/policy/access_map.h"
#include "lib/table/mapline.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* One line through a format; what was said goes to `log`, the stored key to `key`. */
static enum status check_line(const struct mapfile_format *format, const char *text,
                              struct diag_log *log, struct strbuf *key)
{
    char copy[MAPFILE_MAX_LINE + 1];
    struct mapfile_prefixes prefixes = {0};
    struct mapfile_line line = {.file = "access",
                                .number = 7,
                                .stored_key = key,
                                .prefixes = &prefixes,
                                .diag = &log->diag};

    strbuf_reset(&log->text);
    strbuf_reset(key);
    (void)snprintf(copy, sizeof(copy), "%s", text);
    return mapline_split(copy, strlen(copy), format->default_value, &line) ? format->check(&line)
                                                                           : STATUS_INVALID;
}

struct line_case {
    const char *line;
    const char *key;  /* stored; NULL: refused */
    const char *said; /* behind "access:7: "; "": nothing */
};

static void run(const struct mapfile_format *format, const struct line_case *cases, size_t count)
{
    char said[1024];
    struct diag_log log;
    struct strbuf key;

    diag_log_init(&log, NULL);
    strbuf_init(&key);
    for (size_t i = 0; i < count; i++) {
        const struct line_case *c = &cases[i];
        enum status status = check_line(format, c->line, &log, &key);

        (void)snprintf(said, sizeof(said), *c->said == '\0' ? "%s" : "access:7: %s\n", c->said);
        if (strcmp(log.text.data, said) != 0) {
            fail_msg("%s: said: %s", c->line, log.text.data);
        }
        if (status != (c->key == NULL ? STATUS_INVALID : STATUS_OK)) {
            fail_msg("%s: status %d", c->line, (int)status);
        }
        if (c->key != NULL && strcmp(key.data, c->key) != 0) {
            fail_msg("%s: stored as %s", c->line, key.data);
        }
    }
    strbuf_fini(&key);
    diag_log_fini(&log);
}

/* ---- keys that are taken without a word ---- */

static void test_access_key_is_stored_as_lookups_ask_for_it(void **state)
{
    static const struct line_case cases[] = {
        {"Connect:b.test REJECT", "Connect:b.test", ""},
        {"FROM:B.test REJECT", "FROM:B.test", ""}, /* folding is the compiler's */
        {"To:joe@b.test REJECT", "To:joe@b.test", ""},
        {"Spam:joe@ FRIEND", "Spam:joe@", ""},
        {"b.test REJECT", "b.test", ""},
        {"joe@ REJECT", "joe@", ""},
        {"joe+*@b.test OK", "joe+*@b.test", ""},
        {"joe REJECT", "joe", ""}, /* of blacklist_recipients */
        {"Connect:.b.test REJECT", "Connect:.b.test", ""},
        {"com REJECT", "com", ""},
        {"spam.test REJECT", "spam.test", ""}, /* a domain, whatever its first label */
        {"from.b.test REJECT", "from.b.test", ""},
        /* networks have one form */
        {"Connect:10 REJECT", "Connect:10", ""},
        {"10.1.2.3 REJECT", "10.1.2.3", ""},
        {"Connect:10.1.0.0/16 REJECT", "Connect:10.1", ""},
        {"Connect:10.1.2.3/32 REJECT", "Connect:10.1.2.3", ""},
        {"Connect:192.0.2.128/25 REJECT", "Connect:192.0.2.128/25", ""},
        {"0.0.0.0/0 REJECT", "0.0.0.0/0", ""},
        {"Connect:IPv6:2001:db8 REJECT", "Connect:IPv6:2001:db8", ""},
        {"Connect:IPv6:2001:db8:: REJECT", "Connect:IPv6:2001:db8:0:0:0:0:0:0", ""},
        {"Connect:IPv6:2001:db8::/32 REJECT", "Connect:IPv6:2001:db8", ""},
        {"Connect:IPv6:2001:DB8::1 REJECT", "Connect:IPv6:2001:db8:0:0:0:0:0:1", ""},
        {"IPv6:2001:0db8::/33 REJECT", "IPv6:2001:db8:0:0:0:0:0:0/33", ""},
        {"Connect:2001:db8::1 REJECT", "Connect:IPv6:2001:db8:0:0:0:0:0:1", ""},
        {"2001:db8::/32 REJECT", "IPv6:2001:db8", ""},
        {"ipv6 REJECT", "IPv6", ""},
        /* literals */
        {"Connect:[10.1.2.3] OK", "Connect:[10.1.2.3]", ""},
        {"From:[10.1] REJECT", "From:[10.1]", ""},
        {"[IPv6:1:2:3:4:5:6:7:8] OK", "[ipv6:1:2:3:4:5:6:7:8]", ""},
        {"Connect:[IPv6:2001:db8::1] OK", "Connect:[ipv6:2001:db8:0:0:0:0:0:1]", ""},
        {"From:joe@[IPv6:2001:db8::1] OK", "From:joe@[ipv6:2001:db8:0:0:0:0:0:1]", ""},
        /* pairs of addresses */
        {"Compat:a@b.test<@>c@d.test DISCARD", "Compat:a@b.test<@>c@d.test", ""},
        {"Compat:a@b.test<@>c@d.test DISCARD:why", "Compat:a@b.test<@>c@d.test", ""},
        {"Compat:a@b.test<@>c@d.test TEMP:busy", "Compat:a@b.test<@>c@d.test", ""},
        {"Compat:a@b.test<@>c@d.test ERROR:no", "Compat:a@b.test<@>c@d.test", ""},
        {"Compat:a@b.test<@>c@d.test REJECT", "Compat:a@b.test<@>c@d.test", ""},
        /* limits */
        {"ClientConn:10.1 20", "ClientConn:10.1", ""},
        {"ClientRate: 5", "ClientRate:", ""},
        /* values */
        {"From:b.test \"550 5.7.1 No, thanks\"", "From:b.test", ""},
        {"Connect:b.test SKIP", "Connect:b.test", ""},
        {"Spam:b.test OK", "Spam:b.test", ""},
        {"Spam:b.test HATER", "Spam:b.test", ""},
        {"CertIssuer:/C=XY/O=A RELAY", "CertIssuer:/C=XY/O=A", ""},
        {"CertIssuer:/C=XY/O=A SUBJECT", "CertIssuer:/C=XY/O=A", ""},
        {"CertSubject:/C=XY/CN=b RELAY", "CertSubject:/C=XY/CN=b", ""},
    };

    (void)state;
    run(&access_map_format, cases, COUNT(cases));
}

/* ---- keys that can never match ---- */

static void test_access_key_that_can_never_match_is_warned_of(void **state)
{
    static const struct line_case cases[] = {
        {"From: REJECT", "From:",
         "warning: From:: can never match: a tag without a key; no blank may stand between tag and "
         "key"},
        {"From:<> REJECT", "From:<>",
         "warning: From:<>: can never match; write addresses without <>; the sender of a bounce, <>, "
         "is never looked up"},
        {"From:@b.test REJECT", "From:@b.test",
         "warning: From:@b.test: can never match: no key begins with '@'; write the domain without "
         "'@'"},
        {"From:b.test. REJECT", "From:b.test.",
         "warning: From:b.test.: can never match: names lose trailing dots; leave the last dot out"},
        {"joe@b.test. REJECT", "joe@b.test.",
         "warning: joe@b.test.: can never match: addresses lose trailing dots; leave the last dot "
         "out"},
        {"Connect:joe@b.test REJECT", "Connect:joe@b.test",
         "warning: Connect:joe@b.test: can never match; clients are hosts and addresses"},
        {"Connect:[10.1.2.3 REJECT", "Connect:[10.1.2.3",
         "warning: Connect:[10.1.2.3: can never match: the bracket is not closed; write [192.0.2.1]"},
        {"Connect:300.1.2.3 REJECT", "Connect:300.1.2.3",
         "warning: Connect:300.1.2.3: is no address: it can never match one; octets are 0 to 255 "
         "without leading zeros"},
        {"Connect:10.01 REJECT", "Connect:10.01",
         "warning: Connect:10.01: is no address: it can never match one; octets are 0 to 255 without "
         "leading zeros"},
        {"From:a,b REJECT", "From:a,b",
         "warning: From:a,b: can never match: no host has such a name; a user's key ends in '@'"},
        {"From.b.test REJECT", "From.b.test",
         "warning: From.b.test: is taken as a domain; a tag ends in ':', not in '.'"},
        {"Spam:b.test REJECT", "Spam:b.test",
         "warning: Spam:b.test: this right-hand side has no effect; Spam: keys are asked for FRIEND "
         "and HATER"},
        {"From:b.test 450 5.7.1 x", "From:b.test",
         "warning: reply code 450 contradicts enhanced code 5.7.1; both begin with 4 (try again) or "
         "both with 5 (refused)"},
    };

    (void)state;
    run(&access_map_format, cases, COUNT(cases));
}

/* ---- lines that are refused ---- */

static void test_access_line_that_is_wrong_is_refused(void **state)
{
    static const struct line_case cases[] = {
        {" From:b.test REJECT", NULL,
         "error: the line begins with a blank; keys and the # of comments stand in the first column; "
         "no line continues another"},
        {"From:b.test", NULL,
         "error: \"From:b.test\" has no right-hand side; a line is: key, blanks, right-hand side"},
        {"From:b.test   ", NULL,
         "error: \"From:b.test\" has no right-hand side; a line is: key, blanks, right-hand side"},
        {"Form:b.test REJECT", NULL, "error: Form:b.test: unknown tag; did you mean From:?"},
        {"Fron:b.test REJECT", NULL, "error: Fron:b.test: unknown tag; did you mean From:?"},
        {"Conect:b.test REJECT", NULL, "error: Conect:b.test: unknown tag; did you mean Connect:?"},
        {"Helo:b.test REJECT", NULL,
         "error: Helo:b.test: unknown tag; tags are Connect: From: To: Spam: Compat:"},
        {"Connect:192.0.2.1/24 REJECT", NULL,
         "error: Connect:192.0.2.1/24: has bits set behind its prefix length; the network is 192.0.2"},
        {"Connect:IPv6:2001:db8::1/64 REJECT", NULL,
         "error: Connect:IPv6:2001:db8::1/64: has bits set behind its prefix length; the network is "
         "IPv6:2001:db8:0:0"},
        {"Connect:10.1.2.0/33 REJECT", NULL,
         "error: Connect:10.1.2.0/33: is no address or network; write 192.0.2.0/25 or "
         "IPv6:2001:db8::/33"},
        {"Connect:IPv6:2001:xyz REJECT", NULL,
         "error: Connect:IPv6:2001:xyz: is no address or network; write 192.0.2.0/25 or "
         "IPv6:2001:db8::/33"},
        {"Compat:a@b.test REJECT", NULL,
         "error: Compat:a@b.test: is no pair of addresses; write "
         "Compat:sender@domain<@>recipient@domain"},
        {"Compat:<@>c@d.test REJECT", NULL,
         "error: Compat:<@>c@d.test: is no pair of addresses; write "
         "Compat:sender@domain<@>recipient@domain"},
        {"Compat:a@b.test<@>c@d.test QUARANTINE:x", NULL,
         "error: Compat:a@b.test<@>c@d.test: QUARANTINE cannot hold one recipient; Compat: knows "
         "DISCARD, TEMP:text, ERROR:text, REJECT"},
        {"ClientConn:10.1 many", NULL,
         "error: ClientConn:10.1: the right-hand side is no number; write the number of connections, "
         "0: no limit"},
        {"From:joe@b.test SKIP", NULL,
         "error: From:joe@b.test: SKIP means nothing for a user; SKIP is for domains and addresses "
         "of clients"},
        {"joe@ SKIP", NULL,
         "error: joe@: SKIP means nothing for a user; SKIP is for domains and addresses of clients"},
        {"From:b.test FRIEND", NULL,
         "error: From:b.test: would be sent as a text; FRIEND and HATER stand behind Spam: keys"},
        {"b.test HATER", NULL,
         "error: b.test: would be sent as a text; FRIEND and HATER stand behind Spam: keys"},
        {"From:b.test SUBJECT", NULL,
         "error: From:b.test: would be sent as a text; SUBJECT stands behind CertIssuer: keys only"},
        {"From:b.test TEMP:busy", NULL,
         "error: From:b.test: TEMP: stands behind Compat: keys only; write ERROR:4.7.1:450 text"},
        {"From:b.test REJECTED", NULL, "error: REJECTED: unknown action; did you mean REJECT?"},
        {"From:b.test RELAY # ours", NULL,
         "error: RELAY stands alone: \"# ours\" follows it; a comment needs a line of its own"},
        {"From:b.test \"550 x", NULL,
         "error: a quote is not closed; put the text in quotes: \"550 5.7.1 text\""},
    };

    (void)state;
    run(&access_map_format, cases, COUNT(cases));
}

/* "Connect: 1.2.3.4 REJECT" is the key "connect:" with a value nobody looks up: both mistakes are told. */
static void test_access_blank_behind_a_tag_is_told(void **state)
{
    struct diag_log log;
    struct strbuf key;

    (void)state;
    diag_log_init(&log, NULL);
    strbuf_init(&key);
    assert_int_equal(check_line(&access_map_format, "Connect: 1.2.3.4 REJECT", &log, &key),
                     STATUS_INVALID);
    assert_non_null(strstr(log.text.data, "no blank may stand between tag and key"));
    assert_int_equal(log.diag.errors, 1);
    strbuf_fini(&key);
    diag_log_fini(&log);
}

static void test_access_lines_of_the_mta_are_left_to_it(void **state)
{
    static const char *const lines[] = {
        "GreetPause:10.1 5000", "Srv_Features:10.1 V",     "TLS_Clt:b.test ENCR:112",
        "Try_TLS:b.test NO",    "AuthInfo:b.test \"U:x\"",
    };
    struct diag_log log;
    struct strbuf key;

    (void)state;
    diag_log_init(&log, NULL);
    strbuf_init(&key);
    for (size_t i = 0; i < COUNT(lines); i++) {
        if (check_line(&access_map_format, lines[i], &log, &key) != STATUS_NOTFOUND) {
            fail_msg("%s: %s", lines[i], log.text.data);
        }
        assert_non_null(strstr(log.text.data, "is not asked for by postern"));
    }
    strbuf_fini(&key);
    diag_log_fini(&log);
}

/* ---- spammers ---- */

static void test_spammers_lines(void **state)
{
    static const struct line_case cases[] = {
        {"spam.test", "spam.test", ""},
        {"joe@spam.test", "joe@spam.test", ""},
        {"Joe@Spam.Test REJECT", "Joe@Spam.Test", ""},
        {"spam.test DISCARD", "spam.test", ""},
        {"spam.test 550 5.7.1 Not you", "spam.test", ""},
        {"[10.1.2.3]", "[10.1.2.3]", ""},
        {"From:spam.test", NULL,
         "error: From:spam.test: the spammers file knows no tags; write user@host or host"},
        {"spam.test REJECTED", NULL, "error: REJECTED: unknown action; did you mean REJECT?"},
        {"joe@spam.test SKIP", NULL,
         "error: joe@spam.test: SKIP means nothing for a user; SKIP is for domains and addresses of "
         "clients"},
        {"@spam.test", NULL, "error: @spam.test: can never match; write user@host or host"},
        {"<joe@spam.test>", NULL,
         "error: <joe@spam.test>: can never match; write user@host or host"},
        {"spam.test.", NULL,
         "error: spam.test.: can never match: trailing dots are taken off names; leave the last dot "
         "out"},
        {"spam.test FRIEND", NULL,
         "error: spam.test: would be sent as a text; FRIEND and HATER stand behind Spam: keys"},
    };

    (void)state;
    run(&spammers_map_format, cases, COUNT(cases));
}

/* ---- files ---- */

static void test_build_tells_every_error_and_leaves_the_old_map(void **state)
{
    struct site site;
    struct ruleset *ruleset;

    (void)state;
    site_init(&site);
    ruleset = site_ruleset(&site, "", "From:old.test REJECT\n");
    strbuf_reset(&site.log.text);
    assert_int_equal(site_map(&site, "access",
                              "From:a.test REJECTED\nFrom:b.test OK\n\n# c\nTo:c@ SKIP\nd.test\n"),
                     STATUS_INVALID);
    assert_string_equal(
        site.log.text.data,
        "access:1: error: REJECTED: unknown action; did you mean REJECT?\n"
        "access:5: error: To:c@: SKIP means nothing for a user; SKIP is for domains and addresses of "
        "clients\n"
        "access:6: error: \"d.test\" has no right-hand side; a line is: key, blanks, right-hand "
        "side\n");
    assert_null(ruleset_refresh(ruleset, &site.log.diag)); /* the same file still */
    ruleset_unref(&ruleset);
    site_fini(&site);
}

static void test_build_makes_no_map_of_a_first_text_that_is_wrong(void **state)
{
    struct site site;

    (void)state;
    site_init(&site);
    assert_int_equal(site_map(&site, "access", "From:a.test REJECTED\n"), STATUS_INVALID);
    assert_false(site_has(&site, "access.gdbm"));
    site_fini(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_key_is_stored_as_lookups_ask_for_it),
        cmocka_unit_test(test_access_key_that_can_never_match_is_warned_of),
        cmocka_unit_test(test_access_line_that_is_wrong_is_refused),
        cmocka_unit_test(test_access_blank_behind_a_tag_is_told),
        cmocka_unit_test(test_access_lines_of_the_mta_are_left_to_it),
        cmocka_unit_test(test_spammers_lines),
        cmocka_unit_test(test_build_tells_every_error_and_leaves_the_old_map),
        cmocka_unit_test(test_build_makes_no_map_of_a_first_text_that_is_wrong),
    };

    return cmocka_run_group_tests_name("access_map", tests, NULL, NULL);
}
