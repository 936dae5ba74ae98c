/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every form of a right-hand side in Sendmail's dialect: postern-access(5), deliberate difference 1 to 3. */
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

/* "REJECT", "ERROR 550 5.7.1 text", "QUARANTINE text" */
static const char *describe(struct arena *arena, const struct action *action)
{
    const char *name = action_kind_name(action->kind);

    switch (action->kind) {
    case ACTION_ERROR:
    case ACTION_TEMP:
        return arena_printf(arena, "%s %d %s %s", name, action->reply.code, action->reply.dsn,
                            action->reply.text);
    case ACTION_QUARANTINE:
        return arena_printf(arena, "%s %s", name, action->quarantine);
    default:
        return name;
    }
}

/* ---- what is taken without a word ---- */

static const struct good_case {
    const char *value;
    const char *expected;
} good_cases[] = {
    {"OK", "OK"},
    {"RELAY", "RELAY"},
    {"REJECT", "REJECT"},
    {"DISCARD", "DISCARD"},
    {"SKIP", "SKIP"},
    {"FRIEND", "FRIEND"},
    {"HATER", "HATER"},
    {"ok", "OK"},
    {"Relay", "RELAY"},
    {"rEJECT", "REJECT"},
    {"friend", "FRIEND"},
    {"  REJECT  ", "REJECT"},
    {"\tREJECT\t", "REJECT"},
    /* comments vanish */
    {"REJECT (spam)", "REJECT"},
    {"(why) OK", "OK"},
    {"DISCARD (a (nested) one)", "DISCARD"},
    {"RELAY (with \\) inside)", "RELAY"},
    /* QUARANTINE keeps the text, and its quotes */
    {"QUARANTINE:smells", "QUARANTINE smells"},
    {"quarantine:smells", "QUARANTINE smells"},
    {"QUARANTINE: smells", "QUARANTINE smells"},
    {"QUARANTINE:two words", "QUARANTINE two words"},
    {"QUARANTINE:\"two words\"", "QUARANTINE \"two words\""},
    {"QUARANTINE:550 is a text too", "QUARANTINE 550 is a text too"},
    {"QUARANTINE:a:b", "QUARANTINE a:b"},
    {"QUARANTINE:100% \001x\303\274", "QUARANTINE 100%  x??"},
    /* texts with a reply code, as written */
    {"550 Go away, spammer. Bye", "ERROR 550 5.0.0 Go away, spammer. Bye"},
    {"\"550 5.7.3 Go away, spammer. Bye\"", "ERROR 550 5.7.3 Go away, spammer. Bye"},
    {"550 5.7.1 Access denied", "ERROR 550 5.7.1 Access denied"},
    {"\"550 We don't accept mail from spammers\"",
     "ERROR 550 5.0.0 We don't accept mail from spammers"},
    {"450 4.7.1 Later", "ERROR 450 4.7.1 Later"},
    {"450 Later", "ERROR 450 4.0.0 Later"},
    {"421 4.3.2 Closed", "ERROR 421 4.3.2 Closed"},
    {"553 5.3.0 Mail to <abuse@b.test>", "ERROR 553 5.3.0 Mail to <abuse@b.test>"},
    {"550 \"quoted (not a comment)\"", "ERROR 550 5.0.0 quoted (not a comment)"},
    {"550 a \"b\" c", "ERROR 550 5.0.0 a b c"},
    {"550 a \\\"b\\\" c", "ERROR 550 5.0.0 a \"b\" c"},
    {"\"550 a \\\"b\\\" c\"", "ERROR 550 5.0.0 a \"b\" c"},
    {"550 back\\\\slash", "ERROR 550 5.0.0 back\\slash"},
    {"550 5.7 is a text", "ERROR 550 5.0.0 5.7 is a text"},
    {"550   5.7.1   blanks", "ERROR 550 5.7.1 blanks"},
    {"550 100% %s %n %%", "ERROR 550 5.0.0 100% %s %n %%"},
    {"550 a\001b\177c", "ERROR 550 5.0.0 a b c"},
    {"550 Gr\303\274\303\237e", "ERROR 550 5.0.0 Gr????e"},
    /* ERROR:, in all its forms */
    {"ERROR:5.7.1:550 No thanks", "ERROR 550 5.7.1 No thanks"},
    {"error:5.7.1:550 No thanks", "ERROR 550 5.7.1 No thanks"},
    {"ERROR:5.1.1:\"550 User unknown\"", "ERROR 550 5.1.1 User unknown"},
    {"ERROR:4.7.1:451 Later", "ERROR 451 4.7.1 Later"},
    {"ERROR:5.7.1:\"550 5.7.3 nearer code\"", "ERROR 550 5.7.3 nearer code"},
    {"ERROR:550 No thanks", "ERROR 550 5.0.0 No thanks"},
    {"ERROR:550 5.7.1 No thanks", "ERROR 550 5.7.1 No thanks"},
    {"ERROR:\"550 5.7.1 No thanks\"", "ERROR 550 5.7.1 No thanks"},
    {"ERROR: 550 as old guides write it", "ERROR 550 5.0.0 as old guides write it"},
    {"ERROR:\"450 4.4.0 try, try again\"", "ERROR 450 4.4.0 try, try again"},
    {"ERROR:No thanks", "ERROR 553 5.3.0 No thanks"},
    {"ERROR:\"No thanks\"", "ERROR 553 5.3.0 No thanks"},
    /* difference 3: the given code stays */
    {"ERROR:5.7.1:No thanks", "ERROR 550 5.7.1 No thanks"},
    {"ERROR:5.7.1:\"No, thanks\"", "ERROR 550 5.7.1 No, thanks"},
    {"ERROR:4.7.1:Later", "ERROR 450 4.7.1 Later"},
    /* for Compat: */
    {"TEMP:busy", "TEMP 450 4.7.1 busy"},
    {"TEMP:451 busy", "TEMP 451 4.7.1 busy"},
    {"TEMP:\"451 4.2.1 busy, later\"", "TEMP 451 4.2.1 busy, later"},
    {"temp:\"busy, later\"", "TEMP 450 4.7.1 busy, later"},
};

static void test_parse_takes_each_good_form(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(good_cases); i++) {
        const struct good_case *c = &good_cases[i];
        struct action_problem problem;
        struct action action;

        if (!action_parse(c->value, arena, &action, &problem)) {
            fail_msg("%s: refused: %s", c->value, problem.text);
        }
        if (problem.text != NULL) {
            fail_msg("%s: warned of: %s", c->value, problem.text);
        }
        if (strcmp(describe(arena, &action), c->expected) != 0) {
            fail_msg("%s: got %s", c->value, describe(arena, &action));
        }
    }
}

/* ---- what is taken with a warning ---- */

static const struct warn_case {
    const char *value;
    const char *expected;
    const char *warning;
    const char *hint; /* a part of it */
} warn_cases[] = {
    {"450 5.7.1 x", "ERROR 450 5.7.1 x", "reply code 450 contradicts enhanced code 5.7.1",
     "both begin with 4"},
    {"550 4.7.1 x", "ERROR 550 4.7.1 x", "reply code 550 contradicts enhanced code 4.7.1",
     "both begin with 4"},
    {"ERROR:5.7.1:451 x", "ERROR 451 5.7.1 x", "reply code 451 contradicts enhanced code 5.7.1",
     "both begin with 4"},
    {"ERROR:4.7.1:550 x", "ERROR 550 4.7.1 x", "reply code 550 contradicts enhanced code 4.7.1",
     "both begin with 4"},
    {"550 2.1.0 x", "ERROR 550 2.1.0 x", "reply code 550 contradicts enhanced code 2.1.0",
     "both begin with 4"},
    {"550 go (away) now", "ERROR 550 5.0.0 go now",
     "text in parentheses is a comment and is not sent", "put the text in quotes"},
    {"ERROR:5.7.1:550 no (really)", "ERROR 550 5.7.1 no",
     "text in parentheses is a comment and is not sent", "put the text in quotes"},
    {"ERROR:a.b.c:550 x", "ERROR 550 5.0.0 x", "a.b.c is no enhanced status code", "RFC 3463"},
    {"ERROR:5.7.1234:550 x", "ERROR 550 5.0.0 x", "5.7.1234 is no enhanced status code",
     "RFC 3463"},
    {"ERROR:9.9.9:450 x", "ERROR 450 4.0.0 x", "9.9.9 is no enhanced status code", "RFC 3463"},
    {"ERROR:5.7:550 No thanks", "ERROR 553 5.3.0 5.7:550 No thanks",
     "\"5.7:550 No thanks\" is sent as text: 553 5.3.0", "ERROR:5.7.1:550 text"},
    {"ERROR:5.7.1 No thanks", "ERROR 553 5.3.0 5.7.1 No thanks",
     "\"5.7.1 No thanks\" is sent as text: 553 5.3.0", "ERROR:5.7.1:550 text"},
};

static void test_parse_warns_of_doubtful_forms(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(warn_cases); i++) {
        const struct warn_case *c = &warn_cases[i];
        struct action_problem problem;
        struct action action;

        if (!action_parse(c->value, arena, &action, &problem)) {
            fail_msg("%s: refused: %s", c->value, problem.text);
        }
        if (strcmp(describe(arena, &action), c->expected) != 0) {
            fail_msg("%s: got %s", c->value, describe(arena, &action));
        }
        if (problem.text == NULL || strcmp(problem.text, c->warning) != 0) {
            fail_msg("%s: warning: %s", c->value, problem.text == NULL ? "none" : problem.text);
        }
        if (problem.hint == NULL || strstr(problem.hint, c->hint) == NULL) {
            fail_msg("%s: hint: %s", c->value, problem.hint == NULL ? "none" : problem.hint);
        }
    }
}

/* ---- what is refused ---- */

static const struct bad_case {
    const char *value;
    const char *problem;
    const char *hint; /* a part of it */
} bad_cases[] = {
    {"", "an empty right-hand side", "write an action"},
    {"   ", "an empty right-hand side", "write an action"},
    {"(only a comment)", "an empty right-hand side", "write an action"},
    /* nearly a verb */
    {"REJECTED", "REJECTED: unknown action", "did you mean REJECT?"},
    {"REJCT", "REJCT: unknown action", "did you mean REJECT?"},
    {"reject.", NULL, NULL},
    {"discrad", "discrad: unknown action", "did you mean DISCARD?"},
    {"Quarantaine:x", "Quarantaine: unknown action", "did you mean QUARANTINE?"},
    {"EROR:550 x", "EROR: unknown action", "did you mean ERROR?"},
    {"RELAYS", "RELAYS: unknown action", "did you mean RELAY?"},
    /* a verb, and something behind it */
    {"REJECT:now", "REJECT stands alone: \":now\" follows it", "ERROR:5.7.1:550 text"},
    {"REJECT now", "REJECT stands alone: \"now\" follows it", "ERROR:5.7.1:550 text"},
    {"OK then", "OK stands alone: \"then\" follows it", "ERROR:5.7.1:550 text"},
    {"RELAY # x", "RELAY stands alone: \"# x\" follows it", "a comment needs a line of its own"},
    {"OK#x", "OK stands alone: \"#x\" follows it", "a comment needs a line of its own"},
    {"SKIP:x", "SKIP stands alone: \":x\" follows it", NULL},
    {"DISCARD:x", "DISCARD stands alone: \":x\" follows it", NULL},
    /* verbs that need a text */
    {"ERROR", "ERROR needs a text", "write ERROR:text"},
    {"QUARANTINE", "QUARANTINE needs a text", "write QUARANTINE:text"},
    {"QUARANTINE smells", "QUARANTINE needs a text", "write QUARANTINE:text"},
    {"ERROR 550 x", "ERROR needs a text", "write ERROR:text"},
    {"ERROR:", "ERROR without a text", "write ERROR:text"},
    {"ERROR: ", "ERROR without a text", "write ERROR:text"},
    {"ERROR:\"\"", "ERROR without a text", "write ERROR:text"},
    {"ERROR:5.7.1:", "ERROR without a text", "ERROR:5.7.1:550 text"},
    {"ERROR:5.7.1:\"\"", "ERROR without a text", "ERROR:5.7.1:550 text"},
    {"QUARANTINE:", "QUARANTINE without a text", "write QUARANTINE:text"},
    {"QUARANTINE:\" \"", "QUARANTINE without a text", "write QUARANTINE:text"},
    {"TEMP:", "TEMP without a text", "write TEMP:text"},
    {"TEMP:550 no", "550 is no code of a temporary failure",
     "write TEMP:450 text, or ERROR: for a refusal"},
    /* replies that are none */
    {"550", "a reply without a text", "write 550 5.7.1 text"},
    {"550 5.7.1", "a reply without a text", "write 550 5.7.1 text"},
    {"\"550\"", "a reply without a text", "write 550 5.7.1 text"},
    {"ERROR:5.7.1:550", "a reply without a text", "write 550 5.7.1 text"},
    {"250 fine", "250 is no code for a refusal", "begins with 4"},
    {"354 go on", "354 is no code for a refusal", "begins with 4"},
    {"\"250 2.0.0 fine\"", "250 is no code for a refusal", "begins with 4"},
    {"ERROR:5.7.1:250 fine", "250 is no code for a refusal", "begins with 4"},
    {"ERROR:250 fine", "250 is no code for a refusal", "begins with 4"},
    {"ERROR:2.1.0:fine", "2.1.0 is the enhanced code of a success", "begins with 4"},
    {"600 x", "600 is no code for a refusal", "begins with 4"},
    {"123 x", "123 is no code for a refusal", "begins with 4"},
    /* texts without a code */
    {"blah", "blah: neither an action nor a reply code", "550 5.7.1 text"},
    {"Go away", "Go away: neither an action nor a reply code", "550 5.7.1 text"},
    {"5.7.1 No thanks", "5.7.1 No thanks: neither an action nor a reply code", "550 5.7.1 text"},
    {"550-5.7.1 two lines", "550-5.7.1 two lines: neither an action nor a reply code", NULL},
    {"5500 x", "5500 x: neither an action nor a reply code", NULL},
    {"55 x", "55 x: neither an action nor a reply code", NULL},
    {"SPAMFRIEND", NULL, NULL},
    {"PERMIT", NULL, NULL},
    {"DUNNO", NULL, NULL},
    {"\"REJECT\"", "\"REJECT\": a text without a reply code", "an action stands without quotes"},
    {"\"Go away\"", "\"Go away\": a text without a reply code", "a text begins with its code"},
    /* pairs that do not close */
    {"550 \"x", "a quote is not closed", "put the text in quotes"},
    {"\"550 x", "a quote is not closed", "put the text in quotes"},
    {"\"550 x\\\"", "a quote is not closed", "put the text in quotes"},
    {"550 (x", "a parenthesis is not closed", "put the text in quotes"},
    {"550 x)", "a parenthesis closes that none opened", "put the text in quotes"},
    {"550 <x", "a '<' without '>'", "put the text in quotes"},
    {"550 x>", "a '>' without '<'", "put the text in quotes"},
    {"550 >x<", "a '>' without '<'", "put the text in quotes"},
    {"ERROR:5.7.1:550 isn't <good", "a '<' without '>'", "put the text in quotes"},
    {"QUARANTINE:\"x", "a quote is not closed", "put the text in quotes"},
};

static void test_parse_refuses_with_a_hint(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct action_problem problem = {NULL, NULL};
        struct action action;

        if (action_parse(c->value, arena, &action, &problem)) {
            fail_msg("%s: taken as %s", c->value, describe(arena, &action));
        }
        if (problem.text == NULL || problem.hint == NULL) {
            fail_msg("%s: refused without a word", c->value);
        }
        if (c->problem != NULL && strcmp(problem.text, c->problem) != 0) {
            fail_msg("%s: problem: %s", c->value, problem.text);
        }
        if (c->hint != NULL && strstr(problem.hint, c->hint) == NULL) {
            fail_msg("%s: hint: %s", c->value, problem.hint);
        }
    }
}

/* ---- texts of any length and with any byte ---- */

static void test_parse_cuts_a_long_text_to_one_reply_line(void **state)
{
    struct arena *arena = *state;
    char value[2048] = "550 5.7.1 ";
    struct action action;

    memset(value + strlen(value), 'x', sizeof(value) - strlen(value) - 1);
    assert_true(action_parse(value, arena, &action, NULL));
    assert_int_equal(strlen(action.reply.text), REPLY_MAX_TEXT);
}

static void test_parse_cuts_a_long_quarantine(void **state)
{
    struct arena *arena = *state;
    char value[2048] = "QUARANTINE:";
    struct action action;

    memset(value + strlen(value), 'x', sizeof(value) - strlen(value) - 1);
    assert_true(action_parse(value, arena, &action, NULL));
    assert_int_equal(strlen(action.quarantine), REPLY_MAX_TEXT);
}

static void test_parse_sends_printable_ascii_only(void **state)
{
    struct arena *arena = *state;

    for (int byte = 1; byte < 256; byte++) {
        const char value[] = {'5', '5', '0', ' ', '"', 'a', (char)byte, 'b', '"', '\0'};
        struct action action;

        if (!action_parse(value, arena, &action, NULL)) {
            assert_int_equal(byte, '"'); /* the one that does not close */
            continue;
        }
        for (const char *at = action.reply.text; *at != '\0'; at++) {
            assert_in_range(*at, ' ', '~');
        }
    }
}

static void test_parse_does_without_problem_out(void **state)
{
    struct arena *arena = *state;
    struct action action;

    assert_false(action_parse("REJECTED", arena, &action, NULL));
    assert_true(action_parse("450 5.7.1 x", arena, &action, NULL));
}

static void test_parse_keeps_no_pointer_into_its_input(void **state)
{
    struct arena *arena = *state;
    char *value = strdup("QUARANTINE:held");
    char *error = strdup("ERROR:5.7.1:550 gone");
    struct action quarantine;
    struct action refusal;

    assert_true(action_parse(value, arena, &quarantine, NULL));
    assert_true(action_parse(error, arena, &refusal, NULL));
    free(value);
    free(error);
    assert_string_equal(quarantine.quarantine, "held");
    assert_string_equal(refusal.reply.text, "gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parse_takes_each_good_form, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_warns_of_doubtful_forms, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_refuses_with_a_hint, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_cuts_a_long_text_to_one_reply_line, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_cuts_a_long_quarantine, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_sends_printable_ascii_only, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_does_without_problem_out, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_keeps_no_pointer_into_its_input, make_arena,
                                        drop_arena),
    };

    return cmocka_run_group_tests_name("action", tests, NULL, NULL);
}
