/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Right-hand sides of patterns: Postfix's dialect with Sendmail's beside it, postern-regex(5), postern-header_checks(5). */
#include "lib/policy/action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define REGEX ACTION_OF_REGEX
#define HEADERS ACTION_OF_HEADERS

static int make_arena(void **state)
{
    *state = arena_new();
    return 0;
}

static int drop_arena(void **state)
{
    struct arena *arena = *state;

    arena_free(&arena);
    return 0;
}

/* "REJECT", "ERROR 550 5.7.1 text", "QUARANTINE text", "BCC a@b" */
static const char *describe(struct arena *arena, const struct action *action)
{
    const char *name = action_kind_name(action->kind);

    if (action->reply.code != 0) {
        return arena_printf(arena, "%s %d %s %s", name, action->reply.code, action->reply.dsn,
                            action->reply.text);
    }
    if (action->kind == ACTION_QUARANTINE) {
        return arena_printf(arena, "%s %s", name, action->quarantine);
    }
    return *action->text == '\0' ? name : arena_printf(arena, "%s %s", name, action->text);
}

static const struct good_case {
    enum action_table table;
    const char *value;
    const char *expected;
    const char *warning; /* NULL: none */
} good_cases[] = {
    {REGEX, "OK", "OK", NULL},
    {REGEX, "ok and why", "OK and why", NULL},
    {REGEX, "DUNNO", "DUNNO", NULL},
    {REGEX, "dunno why", "DUNNO why", NULL},
    {REGEX, "RELAY", "RELAY", NULL},
    {REGEX, "1234567890", "OK", NULL},
    {REGEX, "REJECT", "REJECT", NULL},
    {REGEX, "reject", "REJECT", NULL},
    {REGEX, "  REJECT\t", "REJECT", NULL},
    {REGEX, "REJECT Go (away) \"now\"", "ERROR 550 5.7.1 Go (away) \"now\"", NULL},
    {REGEX, "REJECT\tgo", "ERROR 550 5.7.1 go", NULL},
    {REGEX, "REJECT 5.1.8 go", "ERROR 550 5.1.8 go", NULL},
    {HEADERS, "REJECT \n\t go", "ERROR 550 5.7.1 go", NULL},
    {HEADERS, "REJECT 5.1.8\n go", "ERROR 550 5.1.8 go", NULL},
    {REGEX, "REJECT 4.7.1 later", "ERROR 451 4.7.1 later", NULL},
    {REGEX, "REJECT 5.1.8", "ERROR 550 5.1.8 Access denied", NULL},
    {REGEX, "REJECT 2.1.0 x", "ERROR 550 5.7.1 2.1.0 x", NULL},
    {REGEX, "REJECT 550 x", "ERROR 550 5.7.1 550 x",
     "the reply code is sent as text, as Postfix does"},
    {REGEX, "DEFER", "ERROR 450 4.7.1 Access denied", NULL},
    {REGEX, "DEFER later", "ERROR 450 4.7.1 later", NULL},
    {REGEX, "DEFER 4.2.0 later", "ERROR 450 4.2.0 later", NULL},
    {REGEX, "DEFER 5.2.0 later", "ERROR 450 4.2.0 later", NULL},
    {REGEX, "DEFER_IF_PERMIT", "DEFER_IF_PERMIT 450 4.7.1 Access denied", NULL},
    {REGEX, "defer_if_reject later", "DEFER_IF_REJECT 450 4.7.1 later", NULL},
    {REGEX, "DISCARD", "DISCARD", NULL},
    {REGEX, "DISCARD why", "DISCARD why", NULL},
    {REGEX, "HOLD", "QUARANTINE held by a pattern", NULL},
    {REGEX, "HOLD on", "QUARANTINE on", NULL},
    {REGEX, "QUARANTINE:why (not", "QUARANTINE why (not", NULL},
    {REGEX, "INFO", "INFO", NULL},
    {REGEX, "WARN seen it", "WARN seen it", NULL},
    {REGEX, "PREPEND X-A: b", "PREPEND X-A: b", NULL},
    {REGEX, "PREPEND X-A : b", "PREPEND X-A : b", NULL},
    {REGEX, "PREPEND X-A:", "PREPEND X-A:", NULL},
    {REGEX, "BCC a@b", "BCC a@b", NULL},
    {REGEX, "REDIRECT <a@b>", "REDIRECT a@b", NULL},
    {REGEX, "550 5.7.1 no (way", "ERROR 550 5.7.1 no (way", NULL},
    {REGEX, "451 x", "ERROR 451 4.0.0 x", NULL},
    {REGEX, "\"553 5.1.7 Address \\\"Error\\\"\"", "ERROR 553 5.1.7 Address \"Error\"", NULL},
    {REGEX, "550 it's 5\" wide", "ERROR 550 5.0.0 it's 5\" wide", NULL},
    {REGEX, "550 4.7.1 x", "ERROR 550 4.7.1 x", "reply code 550 contradicts enhanced code 4.7.1"},
    {REGEX, "550", "ERROR 550 5.0.0 Access denied",
     "a reply without a text: \"Access denied\" is sent"},
    {REGEX, "550 5.7.1", "ERROR 550 5.7.1 Access denied",
     "a reply without a text: \"Access denied\" is sent"},
    {REGEX, "ERROR:5.7.1:550 no", "ERROR 550 5.7.1 no", NULL},
    {REGEX, "ERROR:5.7.1:\"550 no (way\"", "ERROR 550 5.7.1 no (way", NULL},
    {REGEX, "ERROR:no", "ERROR 553 5.3.0 no", NULL},
    {REGEX, "TEMP:busy", "TEMP 450 4.7.1 busy", NULL},
    {HEADERS, "OK", "OK", NULL},
    {HEADERS, "IGNORE", "IGNORE", NULL},
    {HEADERS, "ignore it", "IGNORE it", NULL},
    {HEADERS, "STRIP why", "STRIP why", NULL},
    {HEADERS, "REPLACE Subject: x\n y", "REPLACE Subject: x\n y", NULL},
    {HEADERS, "PASS", "PASS", NULL},
    {HEADERS, "PASS why", "PASS why", NULL},
    {HEADERS, "REJECT", "REJECT", NULL},
    {HEADERS, "DEFER", "ERROR 450 4.7.1 Access denied", NULL},
    {HEADERS, "553 Header Error", "ERROR 553 5.0.0 Header Error", NULL},
    {HEADERS, "QUARANTINE:x", "QUARANTINE x", NULL},
};

static void test_parse_takes_each_good_form(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(good_cases); i++) {
        const struct good_case *c = &good_cases[i];
        struct action_problem problem;
        struct action action;

        if (!action_parse_pattern(c->table, c->value, arena, &action, &problem)) {
            fail_msg("%s: refused: %s", c->value, problem.text);
        }
        if ((problem.text == NULL) != (c->warning == NULL) ||
            (c->warning != NULL && strcmp(problem.text, c->warning) != 0)) {
            fail_msg("%s: warned of: %s", c->value, problem.text);
        }
        if (strcmp(describe(arena, &action), c->expected) != 0) {
            fail_msg("%s: got %s", c->value, describe(arena, &action));
        }
    }
}

static const struct bad_case {
    enum action_table table;
    const char *value;
    const char *problem;
    const char *hint;
} bad_cases[] = {
    {REGEX, "", "an empty right-hand side", "write an action"},
    {REGEX, " \t", "an empty right-hand side", "write an action"},
    {REGEX, "REJCT", "REJCT: unknown action", "did you mean REJECT?"},
    {REGEX, "REJECT,x", "REJECT,x: unknown action", "a blank stands between"},
    {REGEX, "REJECT:x", "REJECT:x: unknown action", "a blank stands between"},
    {REGEX, "RELAY now", "RELAY stands alone: \"now\" follows it", "ERROR:5.7.1:550 text"},
    {REGEX, "QUARANTINE x", "QUARANTINE needs a text", "write QUARANTINE:text"},
    {REGEX, "ERROR:", "ERROR without a text", "write ERROR:text"},
    {REGEX, "TEMP:550 x", "550 is no code of a temporary failure", "TEMP:450"},
    {REGEX, "BCC", "BCC needs a text", "write BCC text"},
    {REGEX, "BCC nobody", "BCC needs an address, not \"nobody\"", "write BCC user@domain"},
    {REGEX, "BCC a@b c", "BCC needs an address, not \"a@b c\"", "write BCC user@domain"},
    {REGEX, "REDIRECT a@", "REDIRECT needs an address, not \"a@\"", "user@domain"},
    {REGEX, "REDIRECT @b", "REDIRECT needs an address, not \"@b\"", "user@domain"},
    {REGEX, "REDIRECT a@b,c@d", "REDIRECT needs an address, not \"a@b,c@d\"", "user@domain"},
    {REGEX, "PREPEND X", "PREPEND needs a header, not \"X\"", "write PREPEND Name: value"},
    {REGEX, "PREPEND X Y: z", "PREPEND needs a header, not \"X Y: z\"", "Name: value"},
    {REGEX, "PREPEND : z", "PREPEND needs a header, not \": z\"", "Name: value"},
    {REGEX, "FILTER smtp:x", "FILTER cannot be done here", "no milter can choose a transport"},
    {REGEX, "permit", "permit cannot be done here", "a list of Postfix's restrictions"},
    {REGEX, "reject_unauth_destination", "reject_unauth_destination cannot be done here",
     "restrictions"},
    {REGEX, "check_client_access pcre:/x", "check_client_access cannot be done here",
     "restrictions"},
    {REGEX, "SKIP", "SKIP cannot be done here", "write DUNNO"},
    {REGEX, "FRIEND", "FRIEND cannot be done here", "access file"},
    {REGEX, "IGNORE", "IGNORE cannot be done here", "it stands in header_checks"},
    {REGEX, "250 fine", "250 is no code for a refusal", "begins with 4"},
    {REGEX, "No thanks", "No thanks: neither an action nor a reply code", "550 5.7.1 text"},
    {REGEX, "\"No thanks\"", "\"No thanks\": a text without a reply code", "begins with its code"},
    {HEADERS, "RELAY", "RELAY cannot be done here", "a header cannot permit relaying"},
    {HEADERS, "TEMP:x", "TEMP cannot be done here", "write DEFER text"},
    {HEADERS, "DEFER_IF_PERMIT", "DEFER_IF_PERMIT cannot be done here", "it stands in regex"},
    {HEADERS, "REPLACE x", "REPLACE needs a header, not \"x\"", "write REPLACE Name: value"},
    {HEADERS, "REPLACE", "REPLACE needs a text", "write REPLACE text"},
    {HEADERS, "12345", "12345: neither an action nor a reply code", "550 5.7.1 text"},
};

static void test_parse_refuses_with_a_hint(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct action_problem problem = {NULL, NULL};
        struct action action;

        if (action_parse_pattern(c->table, c->value, arena, &action, &problem)) {
            fail_msg("%s: taken as %s", c->value, describe(arena, &action));
        }
        if (problem.text == NULL || strcmp(problem.text, c->problem) != 0) {
            fail_msg("%s: problem: %s", c->value, problem.text);
        }
        if (problem.hint == NULL || strstr(problem.hint, c->hint) == NULL) {
            fail_msg("%s: hint: %s", c->value, problem.hint);
        }
    }
}

/* What is put in for $1 is a client's: no byte of it may make a refusal anything else. */
static void test_no_byte_of_a_match_spoils_a_refusal(void **state)
{
    static const char *const forms[] = {"REJECT x?y", "550 5.7.1 x?y", "ERROR:5.7.1:\"550 x?y\"",
                                        "\"550 5.7.1 x?y\"", "DEFER x?y"};
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(forms); i++) {
        for (int byte = 1; byte < 256; byte++) {
            char value[64];
            struct action action;

            (void)snprintf(value, sizeof(value), "%s", forms[i]);
            *strchr(value, '?') = (char)byte;
            assert_true(action_parse_pattern(REGEX, value, arena, &action, NULL));
            assert_int_equal(action.kind, ACTION_ERROR);
            assert_in_range(action.reply.code, 450, 550);
            for (const char *at = action.reply.text; *at != '\0'; at++) {
                assert_in_range(*at, ' ', '~');
            }
        }
    }
}

static void test_may_be_pattern_knows_what_a_match_can_make_right(void **state)
{
    static const struct {
        const char *text; /* "x" stands for each $n */
        bool varies;
        bool may;
    } texts[] = {
        {"BCC x", true, true},     {"BCC x", false, false},     {"REDIRECT x", true, true},
        {"PREPEND x", true, true}, {"PREPEND x", false, false}, {"REJECT x", false, true},
        {"REJECTx", true, false},  {"FILTER x", true, false},   {"BCC", true, false},
    };
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct action_problem problem;
        struct action action;

        if (action_may_be_pattern(REGEX, texts[i].text, texts[i].varies, arena, &action,
                                  &problem) != texts[i].may) {
            fail_msg("%s", texts[i].text);
        }
        assert_true(texts[i].may == (problem.text == NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parse_takes_each_good_form, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_refuses_with_a_hint, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_no_byte_of_a_match_spoils_a_refusal, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_may_be_pattern_knows_what_a_match_can_make_right,
                                        make_arena, drop_arena),
    };

    return cmocka_run_group_tests_name("action_pattern", tests, NULL, NULL);
}
