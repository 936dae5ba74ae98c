/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"

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

int ctl_help(const struct ctl *ctl, const char *text)
{
    printf("usage: %s [-c FILE] [--json] %s %s\n%s", ctl->program, ctl->verb, ctl->usage, text);
    return CTL_DONE;
}

int ctl_usage(const struct ctl *ctl, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s %s: ", ctl->program, ctl->verb);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nusage: %s [-c FILE] [--json] %s %s\n", ctl->program, ctl->verb, ctl->usage);
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

/* A rule file is data: what is not UTF-8 in it must not lose the whole message. */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);

    if (value != NULL) {
        return value;
    }
    char clean[2048];
    size_t len = 0;

    for (; text[len] != '\0' && len + 1 < sizeof(clean); len++) {
        clean[len] = (unsigned char)text[len] < 0x80 ? text[len] : '?';
    }
    clean[len] = '\0';
    return json_string(clean);
}

static void collect(void *ctx, const struct diag_item *item)
{
    json_t *list = ctx;
    json_t *problem = json_object();

    json_object_set_new(problem, "level",
                        json_string(item->level == DIAG_ERROR ? "error" : "warning"));
    json_object_set_new(problem, "file", text_of(item->file));
    if (item->line > 0) {
        json_object_set_new(problem, "line", json_integer(item->line));
    }
    json_object_set_new(problem, "text", text_of(item->text));
    if (item->hint != NULL) {
        json_object_set_new(problem, "hint", text_of(item->hint));
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
