/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"

#include "lib/base/strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool ctl_option(struct ctl *ctl, int option, const char *argument)
{
    switch (option) {
    case 'c':
        ctl->config_path = argument;
        return true;
    case 'J':
        ctl->json = true;
        return true;
    default:
        return false;
    }
}

/* Behind the program's name: the verb, unless the name stands for it. */
static const char *verb_of(const struct ctl *ctl)
{
    return ctl->alias != NULL ? "" : ctl->verb;
}

static void print_usage(const struct ctl *ctl, FILE *stream)
{
    fprintf(stream, "usage: %s [-c FILE] [--json]%s%s%s%s\n", ctl->program,
            ctl->alias != NULL ? "" : " ", verb_of(ctl), *ctl->usage != '\0' ? " " : "",
            ctl->usage);
}

int ctl_help(const struct ctl *ctl, const char *text)
{
    print_usage(ctl, stdout);
    printf("%s", text);
    return CTL_DONE;
}

int ctl_usage(const struct ctl *ctl, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s%s%s: ", ctl->program, ctl->alias != NULL ? "" : " ", verb_of(ctl));
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    print_usage(ctl, stderr);
    return CTL_USAGE;
}

void ctl_complain(const struct ctl *ctl, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", ctl->program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

json_t *ctl_json_text(const char *text)
{
    json_t *value = json_string(text);

    if (value != NULL) {
        return value;
    }
    struct strbuf clean;

    strbuf_init(&clean);
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x80) {
            strbuf_append_char(&clean, *text);
        } else {
            strbuf_appendf(&clean, "\\x%02x", (unsigned char)*text);
        }
    }
    value = json_string(clean.data);
    strbuf_fini(&clean);
    return value;
}

static void collect(void *ctx, const struct diag_item *item)
{
    json_t *list = ctx;
    json_t *problem = json_object();

    json_object_set_new(problem, "level",
                        json_string(item->level == DIAG_ERROR ? "error" : "warning"));
    json_object_set_new(problem, "file", ctl_json_text(item->file));
    if (item->line > 0) {
        json_object_set_new(problem, "line", json_integer(item->line));
    }
    json_object_set_new(problem, "text", ctl_json_text(item->text));
    if (item->hint != NULL) {
        json_object_set_new(problem, "hint", ctl_json_text(item->hint));
    }
    json_array_append_new(list, problem);
}

void ctl_problems_init(struct ctl_problems *problems, const struct ctl *ctl)
{
    problems->list = ctl->json ? json_array() : NULL;
    if (ctl->json) {
        diag_init(&problems->diag, collect, problems->list);
    } else {
        diag_init(&problems->diag, diag_to_stream, stderr);
    }
}

void ctl_problems_fini(struct ctl_problems *problems)
{
    json_decref(problems->list);
    problems->list = NULL;
}

int ctl_print_json(const struct ctl *ctl, json_t *object, const struct ctl_problems *problems,
                   int code)
{
    json_t *whole = json_object();

    json_object_set_new(whole, "version", json_integer(1));
    json_object_update(whole, object);
    json_decref(object);
    if (problems != NULL && problems->list != NULL) {
        json_object_set(whole, "items", problems->list);
        json_object_set_new(whole, "errors", json_integer((json_int_t)problems->diag.errors));
        json_object_set_new(whole, "warnings", json_integer((json_int_t)problems->diag.warnings));
    }
    if (json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) != 0 ||
        putchar('\n') == EOF || fflush(stdout) != 0) {
        ctl_complain(ctl, "standard output: %s", strerror(errno));
        code = CTL_TEMPFAIL;
    }
    json_decref(whole);
    return code;
}
