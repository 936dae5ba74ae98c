/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/explain_print.h"

#include <stdio.h>
#include <string.h>

static const char *get(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

/* What clients send must not steer the reader's terminal. A folded header is shown in one line. */
static void put(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            printf("\\n");
        } else {
            putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
        }
    }
}

static void print_place(const json_t *lookup)
{
    printf("   (%s:%lld)", get(lookup, "file"),
           (long long)json_integer_value(json_object_get(lookup, "line")));
}

/* The left-hand side, and what its groups matched: "$1=2312343". */
static void print_pattern(const json_t *lookup)
{
    const json_t *capture;
    size_t i;

    printf("\n              ");
    put(get(lookup, "pattern"));
    json_array_foreach(json_object_get(lookup, "captures"), i, capture)
    {
        if (i > 0) {
            printf("  $%zu=", i);
            put(json_is_string(capture) ? json_string_value(capture) : "");
        }
    }
}

static void print_lookup(const json_t *lookup)
{
    printf("    %-9s ", get(lookup, "table"));
    put(get(lookup, "key"));
    if (json_object_get(lookup, "failure") != NULL) {
        printf("  FAILED: ");
        put(get(lookup, "failure"));
    } else if (json_is_true(json_object_get(lookup, "found"))) {
        printf("  ->  ");
        put(get(lookup, "value"));
    } else {
        printf("  -");
        if (*get(lookup, "value") != '\0') {
            printf(" ");
            put(get(lookup, "value"));
        }
    }
    if (json_object_get(lookup, "file") != NULL) {
        print_place(lookup);
    }
    if (json_object_get(lookup, "pattern") != NULL) {
        print_pattern(lookup);
    }
    putchar('\n');
}

static void print_verdict(const json_t *stage)
{
    const json_t *reply = json_object_get(stage, "reply");
    const json_t *rule = json_object_get(stage, "rule");

    printf("  => %s", get(stage, "verdict"));
    if (reply != NULL) {
        printf(": %lld %s ", (long long)json_integer_value(json_object_get(reply, "code")),
               get(reply, "dsn"));
        put(get(reply, "text"));
    }
    if (json_object_get(stage, "quarantine") != NULL) {
        printf(": ");
        put(get(stage, "quarantine"));
    }
    if (json_object_get(stage, "answered_at") != NULL) {
        printf("  (the client is told at %s)", get(stage, "answered_at"));
    }
    putchar('\n');
    if (rule != NULL) {
        printf("     by %s:%lld  ", get(rule, "file"),
               (long long)json_integer_value(json_object_get(rule, "line")));
        put(get(rule, "key"));
        putchar('\n');
    } else if (*get(stage, "reason") != '\0') {
        printf("     by %s", get(stage, "reason"));
        if (*get(stage, "list") != '\0') {
            printf(" ");
            put(get(stage, "list"));
        }
        if (*get(stage, "answer") != '\0') {
            printf(": ");
            put(get(stage, "answer"));
        }
        printf("\n");
    }
}

/* "replace  Subject (1)  Subject: new   (FILE:LINE)" */
static void print_edit(const json_t *edit)
{
    const char *value = get(edit, "value");

    printf("    %s", get(edit, "kind"));
    if (json_object_get(edit, "name") != NULL) {
        printf("  ");
        put(get(edit, "name"));
        printf(" (%lld)", (long long)json_integer_value(json_object_get(edit, "occurrence")));
    }
    if (json_object_get(edit, "new_name") != NULL) {
        printf("  ");
        put(get(edit, "new_name"));
        putchar(':');
        put(value);
    } else if (*value != '\0') {
        printf("  ");
        put(value);
    }
    print_place(edit);
    putchar('\n');
}

/* The name, the argument, and what was looked up and noted. */
static void print_steps(const json_t *stage)
{
    const json_t *item;
    size_t i;

    printf("%-8s ", get(stage, "stage"));
    put(get(stage, "argument"));
    putchar('\n');
    json_array_foreach(json_object_get(stage, "steps"), i, item)
    {
        if (strcmp(get(item, "kind"), "lookup") == 0) {
            print_lookup(item);
        } else {
            printf("    ");
            put(get(item, "text"));
            putchar('\n');
        }
    }
}

void explain_print(const json_t *object)
{
    const json_t *stage;
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(object, "stages"), i, stage)
    {
        print_steps(stage);
        print_verdict(stage);
    }
    json_array_foreach(json_object_get(object, "edits"), i, item)
    {
        if (i == 0) {
            printf("changes and log lines\n");
        }
        print_edit(item);
    }
    printf("the message: %s\n", get(object, "disposition"));
    json_array_foreach(json_object_get(object, "relaying"), i, stage)
    {
        if (i == 0) {
            printf("relaying is the mail server's to decide; if it asks on policy_socket:\n");
        }
        print_steps(stage);
        printf("  => %s\n", get(stage, "answer"));
    }
}
