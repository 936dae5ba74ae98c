/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edits of headers: the order in which they are asked for, what is written, and that the two ways of counting which real
 * MTAs have lead to one message, whatever the edits are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "milter/message_edits.h"
#include "tests/unit/fake_mfi.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct message_edits_mta postfix = {.first_index = 1, .leading_blank = true};
static const struct message_edits_mta sendmail = {.first_index = 8, .leading_blank = true};

/* Chains an array. */
static const struct header_edit *list(struct header_edit *edits, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        edits[i].next = &edits[i + 1];
    }
    return count > 0 ? edits : NULL;
}

static struct header_edit field(enum header_edit_kind kind, const char *name, unsigned occurrence,
                                unsigned position, const char *new_name, const char *value)
{
    return (struct header_edit){.kind = kind,
                                .name = name,
                                .occurrence = occurrence,
                                .position = position,
                                .new_name = new_name,
                                .value = value};
}

static struct header_edit recipient(enum header_edit_kind kind, const char *address)
{
    return (struct header_edit){.kind = kind, .value = address};
}

/* ---- what is asked for ---- */

static void test_version_says_how_an_mta_counts(void **state)
{
    (void)state;
    assert_int_equal(message_edits_first_index("8.17.1.9"), 8);
    assert_int_equal(message_edits_first_index("8.18.1/8.18.1/Debian-6"), 8);
    assert_int_equal(message_edits_first_index("Postfix 3.7.11"), 1);
    assert_int_equal(message_edits_first_index("Our own 8.1"), 1);
    assert_int_equal(message_edits_first_index(""), 1);
    assert_int_equal(message_edits_first_index(NULL), 1);
}

static void test_last_field_is_changed_first(void **state)
{
    struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
    struct header_edit edits[] = {
        field(HEADER_EDIT_PREPEND, "A", 1, 0, "P1", " 1"),
        field(HEADER_EDIT_PREPEND, "A", 1, 0, "P2", " 2"),
        field(HEADER_EDIT_DELETE, "A", 1, 0, NULL, NULL),
        field(HEADER_EDIT_INFO, "B", 1, 1, NULL, "look"),
        field(HEADER_EDIT_REPLACE, "A", 2, 2, "A", " new"),
        field(HEADER_EDIT_REPLACE, "A", 3, 3, "a", " other name"),
        field(HEADER_EDIT_PREPEND, NULL, 0, 4, "End", " e"),
    };

    (void)state;
    assert_null(message_edits_apply(list(edits, 7), &fake.mfi, &postfix));
    assert_int_equal(fake.calls, 7);
    assert_string_equal(fake.call[0], "insert 5 End: e");
    assert_string_equal(fake.call[1], "delete A 3");
    assert_string_equal(fake.call[2], "insert 4 a: other name");
    assert_string_equal(fake.call[3], "change A 2: new");
    assert_string_equal(fake.call[4], "delete A 1");
    assert_string_equal(fake.call[5], "insert 1 P2: 2");
    assert_string_equal(fake.call[6], "insert 1 P1: 1");
    fake.calls = 0;
    assert_null(message_edits_apply(edits, &fake.mfi, &sendmail));
    assert_string_equal(fake.call[0], "insert 12 End: e");
    assert_string_equal(fake.call[6], "insert 8 P1: 1");
}

static void test_field_is_changed_once_by_the_last_that_says_so(void **state)
{
    struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
    struct header_edit edits[] = {
        field(HEADER_EDIT_DELETE, "A", 1, 0, NULL, NULL),
        field(HEADER_EDIT_REPLACE, "A", 1, 0, "A", " kept"),
    };

    (void)state;
    assert_null(message_edits_apply(list(edits, 2), &fake.mfi, &postfix));
    assert_int_equal(fake.calls, 1);
    assert_string_equal(fake.call[0], "change A 1: kept");
}

static void test_value_cannot_end_its_field(void **state)
{
    static const struct {
        const char *value, *written, *without_blank;
    } cases[] = {
        {" plain", " plain", "plain"},
        {"none", "none", "none"},
        {"  two", "  two", " two"},
        {" a\n\tb\n  c", " a\n\tb\n  c", "a\n\tb\n  c"},
        {" a\nX-Evil: b", " a\n\tX-Evil: b", "a\n\tX-Evil: b"},
        {" a\r\n\r\nbody", " a\n\t\n\tbody", "a\n\t\n\tbody"},
        {" a\rb\001c\177d\te", " a b\001c\177d\te", "a b\001c\177d\te"},
        {" end\n", " end", "end"},
        {" end\r\n\n", " end", "end"},
        {"", " ", " "}, /* nothing would mean: take it out */
        {" ", " ", " "},
        {" caf\xc3\xa9 \xff", " caf\xc3\xa9 \xff", "caf\xc3\xa9 \xff"},
    };
    struct message_edits_mta old = postfix;

    (void)state;
    old.leading_blank = false;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
        struct header_edit edit = field(HEADER_EDIT_REPLACE, "A", 1, 0, "A", cases[i].value);

        assert_null(message_edits_apply(&edit, &fake.mfi, &postfix));
        assert_string_equal(fake.call[0] + strlen("change A 1:"), cases[i].written);
        assert_null(message_edits_apply(&edit, &fake.mfi, &old));
        assert_string_equal(fake.call[1] + strlen("change A 1:"), cases[i].without_blank);
    }
}

static void test_name_that_is_none_is_not_written(void **state)
{
    static const char *const names[] = {"",         "two words",   "with:colon", "line\nend",
                                        "tab\tbed", "caf\xc3\xa9", "del\177"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
        struct header_edit edit = field(HEADER_EDIT_PREPEND, "A", 1, 0, names[i], " x");

        assert_non_null(message_edits_apply(&edit, &fake.mfi, &postfix));
        assert_int_equal(fake.calls, 0);
    }
}

static void test_what_the_mta_does_not_do_is_told(void **state)
{
    struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
    struct header_edit edits[] = {
        field(HEADER_EDIT_DELETE, "A", 1, 0, NULL, NULL),
        field(HEADER_EDIT_PREPEND, "B", 1, 1, "P", " p"),
    };
    struct header_edit absent = field(HEADER_EDIT_DELETE, NULL, 0, 0, NULL, NULL);

    (void)state;
    fake.refuse_insert = true;
    assert_string_equal(message_edits_apply(list(edits, 2), &fake.mfi, &postfix),
                        "a header cannot be inserted");
    assert_int_equal(fake.calls, 1); /* and no more is tried */
    fake.refuse_insert = false;
    fake.refuse_change = true;
    assert_string_equal(message_edits_apply(edits, &fake.mfi, &postfix),
                        "a header cannot be changed");
    assert_non_null(message_edits_apply(&absent, &fake.mfi, &postfix));
    assert_null(message_edits_apply(NULL, &fake.mfi, &postfix));
}

/* ---- recipients ---- */

static void test_copies_are_added_once(void **state)
{
    struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
    struct recipients accepted = {0};
    struct recipients none = {0};
    struct header_edit edits[] = {
        recipient(HEADER_EDIT_ADD_RECIPIENT, "copy@example.org"),
        recipient(HEADER_EDIT_ADD_RECIPIENT, "joe@example.org"), /* has it already */
        recipient(HEADER_EDIT_ADD_RECIPIENT, "copy@EXAMPLE.org"),
        recipient(HEADER_EDIT_ADD_RECIPIENT, "Copy@example.org"), /* may be somebody else */
        recipient(HEADER_EDIT_ADD_RECIPIENT, "jo@example.org"),
    };

    (void)state;
    assert_true(recipients_add(&accepted, "<joe@Example.org>"));
    assert_true(recipients_add(&accepted, "jo@example.org.test"));
    assert_null(message_edits_apply_recipients(list(edits, 5), &fake.mfi, &accepted, &none));
    assert_int_equal(fake.calls, 3);
    assert_string_equal(fake.call[0], "add copy@example.org");
    assert_string_equal(fake.call[1], "add Copy@example.org");
    assert_string_equal(fake.call[2], "add jo@example.org");
    assert_int_equal(fake.drops, 0);
    fake.refuse_add = true;
    assert_non_null(message_edits_apply_recipients(edits, &fake.mfi, &accepted, &none));
    recipients_clear(&accepted);
}

static void test_last_redirect_takes_the_place_of_all(void **state)
{
    struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
    struct recipients accepted = {0};
    struct recipients dropped = {0};
    struct header_edit edits[] = {
        recipient(HEADER_EDIT_REDIRECT, "first@example.org"),
        recipient(HEADER_EDIT_ADD_RECIPIENT, "copy@example.org"),
        recipient(HEADER_EDIT_REDIRECT, "joe@example.org"),
    };

    (void)state;
    assert_true(recipients_add(&accepted, "<joe@example.org>"));
    assert_true(recipients_add(&accepted, "<jane@example.org>"));
    assert_true(recipients_add(&dropped, "<jim@example.org>"));
    assert_null(message_edits_apply_recipients(list(edits, 3), &fake.mfi, &accepted, &dropped));
    assert_int_equal(fake.drops, 3);
    assert_int_equal(fake.calls, 1);
    assert_string_equal(fake.call[0], "add joe@example.org");
    fake.refuse_drop = true;
    assert_non_null(message_edits_apply_recipients(edits, &fake.mfi, &accepted, &dropped));
    assert_int_equal(fake.calls, 1); /* a copy beside the others was not asked for */
    recipients_clear(&accepted);
    recipients_clear(&dropped);
}

static void test_dropped_recipients_go_without_any_edit(void **state)
{
    struct fake_mfi fake = {.mfi = {.ops = &fake_ops}};
    struct recipients none = {0};
    struct recipients dropped = {0};

    (void)state;
    assert_true(recipients_add(&dropped, "<jim@example.org>"));
    assert_null(message_edits_apply_recipients(NULL, &fake.mfi, &none, &dropped));
    assert_int_equal(fake.drops, 1);
    fake.refuse_drop = true;
    assert_non_null(message_edits_apply_recipients(NULL, &fake.mfi, &none, &dropped));
    recipients_clear(&dropped);
}

/* ---- two ways of counting, one message ---- */

#define MODEL_FIELDS 256

/* A message in an MTA: as a list of fields, some of which were taken out. */
struct model {
    struct mfi mfi; /* first */
    bool counts_deleted;
    unsigned own; /* fields of its own at the start */
    struct {
        char name[8];
        char value[16];
        bool deleted;
    } fields[MODEL_FIELDS];
    size_t count;
};

static bool model_change(struct mfi *mfi, const char *name, unsigned occurrence, const char *value)
{
    struct model *model = (struct model *)(void *)mfi;

    for (size_t i = model->own; i < model->count; i++) {
        if (strcasecmp(model->fields[i].name, name) != 0 ||
            (model->fields[i].deleted && !model->counts_deleted) || --occurrence > 0) {
            continue;
        }
        model->fields[i].deleted = value == NULL;
        (void)snprintf(model->fields[i].value, sizeof(model->fields[i].value), "%s",
                       value == NULL ? "" : value);
        return true;
    }
    fail_msg("an MTA would add a field %s here", name);
    return false;
}

static bool model_insert(struct mfi *mfi, unsigned index, const char *name, const char *value)
{
    struct model *model = (struct model *)(void *)mfi;
    size_t at;

    assert_true(model->count < MODEL_FIELDS);
    if (model->counts_deleted) { /* behind the entry of that index of the whole list */
        at = index + 1 < model->count ? index + 1 : model->count;
    } else { /* before the field of that number, without those that were taken out */
        unsigned left = index;

        for (at = model->own; at < model->count; at++) {
            if (!model->fields[at].deleted && --left == 0) {
                break;
            }
        }
    }
    (void)memmove(&model->fields[at + 1], &model->fields[at],
                  (model->count - at) * sizeof(model->fields[0]));
    (void)snprintf(model->fields[at].name, sizeof(model->fields[at].name), "%s", name);
    (void)snprintf(model->fields[at].value, sizeof(model->fields[at].value), "%s", value);
    model->fields[at].deleted = false;
    model->count++;
    return true;
}

static const struct mfi_ops model_ops = {.change_header = model_change,
                                         .insert_header = model_insert};

static void model_init(struct model *model, bool is_sendmail, char (*names)[8], size_t count)
{
    (void)memset(model, 0, sizeof(*model));
    model->mfi.ops = &model_ops;
    model->counts_deleted = is_sendmail;
    model->own = is_sendmail ? 9 : 1;
    model->count = model->own + count;
    for (size_t i = 0; i < model->own; i++) {
        (void)snprintf(model->fields[i].name, sizeof(model->fields[i].name), "A"); /* a trap */
    }
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(model->fields[model->own + i].name, 8, "%s", names[i]);
        (void)snprintf(model->fields[model->own + i].value, 16, " old%zu", i);
    }
}

static void model_write(const struct model *model, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = model->own; i < model->count; i++) {
        if (!model->fields[i].deleted) {
            used += (size_t)snprintf(out + used, size - used, "%s:%s\n", model->fields[i].name,
                                     model->fields[i].value);
            assert_true(used < size);
        }
    }
}

/* What the edits say, done by hand. */
static void write_wanted(const struct header_edit *edits, char (*names)[8], size_t count, char *out,
                         size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i <= count; i++) {
        const struct header_edit *change = NULL;

        for (const struct header_edit *edit = edits; edit != NULL; edit = edit->next) {
            if (edit->position != i) {
                continue;
            }
            if (edit->kind == HEADER_EDIT_PREPEND) {
                used += (size_t)snprintf(out + used, size - used, "%s:%s\n", edit->new_name,
                                         edit->value);
            } else {
                change = edit;
            }
        }
        if (i < count && change == NULL) {
            used += (size_t)snprintf(out + used, size - used, "%s: old%zu\n", names[i], i);
        } else if (change != NULL && change->kind == HEADER_EDIT_REPLACE) {
            used += (size_t)snprintf(out + used, size - used, "%s:%s\n", change->new_name,
                                     change->value);
        }
        assert_true(used < size);
    }
}

static unsigned occurrence_of(char (*names)[8], size_t at)
{
    unsigned occurrence = 1;

    for (size_t i = 0; i < at; i++) {
        occurrence += strcasecmp(names[i], names[at]) == 0;
    }
    return occurrence;
}

static void test_random_edits_make_one_message_of_both(void **state)
{
    static const char *const words[] = {"A", "a", "B", "C"};
    static struct model models[2];
    static char wanted[8192];
    static char got[8192];

    (void)state;
    srandom(20240601);
    for (int round = 0; round < 3000; round++) {
        char names[24][8];
        char values[48][16];
        struct header_edit edits[48];
        size_t count = (size_t)random() % 24;
        size_t edit_count = (size_t)random() % 48;

        for (size_t i = 0; i < count; i++) {
            (void)snprintf(names[i], sizeof(names[i]), "%s", words[random() % 4]);
        }
        for (size_t i = 0; i < edit_count; i++) {
            size_t at = (size_t)random() % (count + 1);
            enum header_edit_kind kind = at == count ? HEADER_EDIT_PREPEND
                                                     : (enum header_edit_kind)(random() % 3);

            (void)snprintf(values[i], sizeof(values[i]), " new%zu", i);
            edits[i] = field(kind, at == count ? NULL : names[at],
                             at == count ? 0 : occurrence_of(names, at), (unsigned)at,
                             words[random() % 4], values[i]);
        }
        const struct header_edit *first = list(edits, edit_count);

        write_wanted(first, names, count, wanted, sizeof(wanted));
        for (int i = 0; i < 2; i++) {
            model_init(&models[i], i == 1, names, count);
            assert_null(message_edits_apply(first, &models[i].mfi, i == 1 ? &sendmail : &postfix));
            model_write(&models[i], got, sizeof(got));
            assert_string_equal(got, wanted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_says_how_an_mta_counts),
        cmocka_unit_test(test_last_field_is_changed_first),
        cmocka_unit_test(test_field_is_changed_once_by_the_last_that_says_so),
        cmocka_unit_test(test_value_cannot_end_its_field),
        cmocka_unit_test(test_name_that_is_none_is_not_written),
        cmocka_unit_test(test_what_the_mta_does_not_do_is_told),
        cmocka_unit_test(test_copies_are_added_once),
        cmocka_unit_test(test_last_redirect_takes_the_place_of_all),
        cmocka_unit_test(test_dropped_recipients_go_without_any_edit),
        cmocka_unit_test(test_random_edits_make_one_message_of_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
