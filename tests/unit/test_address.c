/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Sendmail's ruleset 3 does with an envelope address: postern-access(5), as far as it is syntax. */
#include "lib/mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define BOTH       \
    {              \
        true, true \
    }
#define NEITHER      \
    {                \
        false, false \
    }
static const struct address_operators both = BOTH;

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

/* ---- what surrounds the address ---- */

static const struct strip_case {
    const char *typed;
    const char *expected;
} strip_cases[] = {
    {"<joe@b.test>", "joe@b.test"},
    {"joe@b.test", "joe@b.test"},
    {"<Joe@B.Test>", "Joe@B.Test"},
    {"", ""},
    {"<>", ""},
    {" < > ", ""},
    {" <joe@b.test> ", "joe@b.test"},
    {"< joe @ b.test >", "joe@b.test"},
    {"<joe\t@\r\nb.test>", "joe@b.test"},
    /* comments go, also nested ones and ones with quoted pairs; not inside of quotes */
    {"<joe(a comment)@b.test>", "joe@b.test"},
    {"<joe@b.test>(who)", "joe@b.test"},
    {"(who) joe@b.test (where)", "joe@b.test"},
    {"<joe(a(b)c)@b.test>", "joe@b.test"},
    {"<joe(\\))@b.test>", "joe@b.test"},
    {"<\"(no)comment\"@b.test>", "\"(no)comment\"@b.test"},
    {"<joe(never closed@b.test>", "joe"},
    /* the innermost brackets count; a phrase before them does not */
    {"Joe <joe@b.test>", "joe@b.test"},
    {"<<joe@b.test>>", "joe@b.test"},
    {"<a@x.test <joe@b.test> >", "joe@b.test"},
    {"\"<\" <joe@b.test>", "joe@b.test"},
    {"<joe@b.test", "joe@b.test"},
    /* blanks inside of quotes stay */
    {"<\"joe x\"@b.test>", "\"joe x\"@b.test"},
    {"<joe\\ x@b.test>", "joe\\ x@b.test"},
    /* source routes */
    {"<@a.test:joe@b.test>", "joe@b.test"},
    {"<@a.test,@c.test:joe@b.test>", "joe@b.test"},
    {"<@a.test,@c.test,@d.test:joe@b.test>", "joe@b.test"},
    {"<@[192.0.2.1]:joe@b.test>", "joe@b.test"},
    {"<@[IPv6:2001:db8::1]:joe@b.test>", "joe@b.test"},
    {"<@a.test:>", "@a.test:"},
    {"<@a.test>", "@a.test"},
    /* group syntax, only outside of brackets */
    {"friends: joe@b.test;", "joe@b.test"},
    {"<h:joe@b.test>", "h:joe@b.test"},
    {"joe@[IPv6:2001:db8:0:0:0:0:0:1]", "joe@[IPv6:2001:db8:0:0:0:0:0:1]"},
};

static void test_strip_each_case(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(strip_cases); i++) {
        const char *got = address_strip(arena, strip_cases[i].typed);

        if (strcmp(got, strip_cases[i].expected) != 0) {
            fail_msg("%s: got \"%s\"", strip_cases[i].typed, got);
        }
    }
}

static void test_strip_copies(void **state)
{
    struct arena *arena = *state;
    char typed[] = "<joe@b.test>";
    const char *got = address_strip(arena, typed);

    memset(typed, 'x', sizeof(typed) - 1);
    assert_string_equal(got, "joe@b.test");
}

/* ---- local part and domain ---- */

static const struct split_case {
    const char *text;
    struct address_operators operators;
    const char *local;
    const char *domain; /* NULL: none */
} split_cases[] = {
    {"joe@b.test", BOTH, "joe", "b.test"},
    {"Joe@B.Test", BOTH, "Joe", "B.Test"},
    {"joe+x@b.test", BOTH, "joe+x", "b.test"},
    {"joe@[10.1.2.3]", BOTH, "joe", "[10.1.2.3]"},
    {"joe@[IPv6:2001:db8:0:0:0:0:0:1]", BOTH, "joe", "[IPv6:2001:db8:0:0:0:0:0:1]"},
    {"joe@b.test.", BOTH, "joe", "b.test."},
    {"joe", BOTH, "joe", NULL},
    {"\"a@b\"", BOTH, "\"a@b\"", NULL},
    {"\"x@o.test\"@local.example", BOTH, "\"x@o.test\"", "local.example"},
    {"a\\@b", BOTH, "a\\@b", NULL},
    {"a\\@b@c.test", BOTH, "a\\@b", "c.test"},
    /* '@' comes before the other operators */
    {"joe%o.test@b.test", BOTH, "joe%o.test", "b.test"},
    {"o.test!joe@b.test", BOTH, "o.test!joe", "b.test"},
    /* the last '%' */
    {"joe%b.test", BOTH, "joe", "b.test"},
    {"joe%a.test%b.test", BOTH, "joe%a.test", "b.test"},
    {"\"joe%a.test\"", BOTH, "\"joe%a.test\"", NULL},
    {"joe%b.test", NEITHER, "joe%b.test", NULL},
    {"joe%b.test", {.percent = false, .bang = true}, "joe%b.test", NULL},
    /* host!user */
    {"b.test!joe", BOTH, "joe", "b.test"},
    {"b!joe", BOTH, "joe", "b.UUCP"},
    {"a.test!b.test!joe", BOTH, "b.test!joe", "a.test"},
    {"a!b.test!joe", BOTH, "b.test!joe", "a.UUCP"}, /* a first host of one token wins */
    {"a.x!b!joe", BOTH, "b!joe", "a.x"},
    {"b.test!joe", NEITHER, "b.test!joe", NULL},
    {"b.test!joe", {.percent = true, .bang = false}, "b.test!joe", NULL},
    {"b.test!joe%c.test", BOTH, "joe%c.test", "b.test"},
    {"b.test!joe%c.test", {.percent = true, .bang = false}, "b.test!joe", "c.test"},
    {"\"b.test!joe\"", BOTH, "\"b.test!joe\"", NULL},
};

static void test_split_each_case(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(split_cases); i++) {
        const struct split_case *c = &split_cases[i];
        struct address address;
        struct reply error;

        if (!address_split(arena, c->text, c->operators, &address, &error)) {
            fail_msg("%s: refused: %s", c->text, error.text);
        }
        if (strcmp(address.local, c->local) != 0) {
            fail_msg("%s: local part \"%s\"", c->text, address.local);
        }
        if (c->domain == NULL ? address.domain != NULL
                              : address.domain == NULL || strcmp(address.domain, c->domain) != 0) {
            fail_msg("%s: domain \"%s\"", c->text, address.domain == NULL ? "-" : address.domain);
        }
    }
}

/* The replies of Sendmail's parser, as they are. */
static const struct error_case {
    const char *text;
    const char *dsn;
    const char *reply;
} error_cases[] = {
    {"@d", "5.1.3", "User address required"},
    {"@d.test", "5.1.3", "User address required"},
    {"%d", "5.1.3", "User address required"},
    {"@", "5.1.3", "User address required"},
    {"u@", "5.1.3", "Hostname required"},
    {"u@.d", "5.1.2", "Invalid host name"},
    {"u@d..e", "5.1.2", "Invalid host name"},
    {"u@.", "5.1.2", "Invalid host name"},
    {"u@d@e", "5.1.3", "Invalid route address"},
    {"a@b@local.example", "5.1.3", "Invalid route address"},
    {"u@[1.2.3.4]x", "5.1.2", "Invalid address"},
    {"u@d:e", "5.1.3", "Colon illegal in host name part"},
};

static void test_split_refuses_what_the_parser_refuses(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(error_cases); i++) {
        const struct error_case *c = &error_cases[i];
        struct address address;
        struct reply error = {0};

        if (address_split(arena, c->text, both, &address, &error)) {
            fail_msg("%s: taken as an address", c->text);
        }
        if (error.code != 553 || strcmp(error.dsn, c->dsn) != 0 ||
            strcmp(error.text, c->reply) != 0) {
            fail_msg("%s: refused with %d %s %s", c->text, error.code, error.dsn, error.text);
        }
    }
}

/* ---- quotes ---- */

static void test_dequote_each_case(void **state)
{
    struct arena *arena = *state;
    static const struct {
        const char *local;
        const char *expected;
    } cases[] = {
        {"joe", "joe"},
        {"\"joe\"", "joe"},
        {"\"joe+x\"", "joe+x"},
        {"\"x@o.test\"", "x@o.test"},
        {"\"\"", ""},
        {"", ""},
        {"\"", "\""},
        {"\"joe", "\"joe"},
        {"joe\"", "joe\""},
        {"\"joe x\"", "\"joe x\""}, /* needs its quotes */
        {"\"joe\tx\"", "\"joe\tx\""},
        {"\"a\\\"b\"", "a\\\"b"},
        {"\"a\\@b\"", "a\\@b"},
        {"\"\\\"a@b\\\"@c\"", "\\\"a@b\\\"@c"},
        {"\"a\\\\\"", "a\\\\"},
        {"\"a\\ b\\<c\"", "a\\ b\\<c"},
        {"\"a\"b\"c\"", "\"a\"b\"c\""}, /* two quoted strings */
        {"\"a\"b", "\"a\"b"},
        {"\"a<b>c\"", "a<b>c"},
        {"\"a<b\"", "\"a<b\""},
        {"\"a)b\"", "\"a)b\""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *got = address_dequote(arena, cases[i].local);

        if (strcmp(got, cases[i].expected) != 0) {
            fail_msg("%s: got %s", cases[i].local, got);
        }
    }
}

static void test_has_operator_each_case(void **state)
{
    static const struct {
        const char *local;
        struct address_operators operators;
        bool expected;
    } cases[] = {
        {"joe", BOTH, false},       {"", BOTH, false},
        {"joe@b", BOTH, true},      {"joe@b", NEITHER, true},
        {"joe%b", BOTH, true},      {"joe%b", {false, true}, false},
        {"b!joe", BOTH, true},      {"b!joe", {true, false}, false},
        {"joe%b", NEITHER, false},  {"b!joe", NEITHER, false},
        {"\"joe@b\"", BOTH, false}, {"joe\\@b", BOTH, false},
        {"joe+x", BOTH, false},     {"\"a\"@b", BOTH, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (address_has_operator(cases[i].local, cases[i].operators) != cases[i].expected) {
            fail_msg("%s (case %zu)", cases[i].local, i);
        }
    }
}

static void test_format_joins_what_split_cut(void **state)
{
    struct arena *arena = *state;

    assert_string_equal(address_format(arena, &(struct address){"joe", "b.test"}), "joe@b.test");
    assert_string_equal(address_format(arena, &(struct address){"joe", NULL}), "joe");
}

/* ---- whatever a client sends ---- */

/* All texts of five bytes out of those that mean something: no crash, no read behind the end (see the sanitizers). */
static void test_any_text_is_split_or_refused(void **state)
{
    struct arena *arena = *state;
    static const char alphabet[] = "a@%!\"\\<>(:.,[ ";
    const size_t n = sizeof(alphabet) - 1;
    size_t total = n * n * n * n * n;
    size_t refused = 0;

    for (size_t number = 0; number < total; number++) {
        char text[6];
        struct address address;
        struct reply error = {0};
        size_t rest = number;

        for (size_t i = 0; i < 5; i++, rest /= n) {
            text[i] = alphabet[rest % n];
        }
        text[5] = '\0';
        arena_reset(arena);
        const char *stripped = address_strip(arena, text);

        assert_in_range(strlen(stripped), 0, 5);
        if (address_split(arena, stripped, both, &address, &error)) {
            assert_true(address.domain == NULL ||
                        (*address.local != '\0' && *address.domain != '\0'));
            assert_in_range(strlen(address_dequote(arena, address.local)), 0, 5);
        } else {
            assert_int_equal(error.code, 553);
            refused++;
        }
    }
    assert_in_range(refused, 1, total - 1);
}

static void test_is_plain(void **state)
{
    static const char *const plain[] = {
        "a@b.test",        "a.b+c@d.test", "a=b/c@d.test",  "a#b$c&d'e*f?g^h_i`j{k|l}m~n@o.test",
        "\xc3\xbc@b.test", ".a.@b.test",   "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]",
        "-@b.test",
    };
    static const char *const others[] = {
        "",
        "@",
        "a",
        "a@",
        "@b.test",
        "a@b@c.test",
        "a%b@c.test",
        "a!b@c.test",
        "\"a\"@b.test",
        "a\\@b@c.test",
        "a b@c.test",
        "a@c.test ",
        " a@c.test",
        "<a@b.test>",
        "a:b@c.test",
        "a;b@c.test",
        "a,b@c.test",
        "(a)b@c.test",
        "[a]@c.test",
        "a@b.test.",
        "a@.b.test",
        "a@b%c",
        "a@192.0.2.1",
        "a@[192.0.2]",
        "a@[]",
        "a@[b.test]",
        "a@[192.0.2.1",
        "a@[192.0.2.1]b",
        "a@[IPv6:2001:db8::1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16]",
        "a\x01@b.test",
        "a@b.test\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (!address_is_plain(plain[i])) {
            fail_msg("\"%s\" is not plain", plain[i]);
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (address_is_plain(others[i])) {
            fail_msg("\"%s\" is plain", others[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_plain),
        cmocka_unit_test_setup_teardown(test_strip_each_case, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_strip_copies, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_split_each_case, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_split_refuses_what_the_parser_refuses, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_dequote_each_case, make_arena, drop_arena),
        cmocka_unit_test(test_has_operator_each_case),
        cmocka_unit_test_setup_teardown(test_format_joins_what_split_cut, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_any_text_is_split_or_refused, make_arena, drop_arena),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
