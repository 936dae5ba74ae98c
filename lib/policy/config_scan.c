/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config_scan.h"

#include "lib/base/diag.h"
#include "lib/policy/config_keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Nobody knows it, outside of sections or inside; a name with a blank cannot be written without quotes. */
#define END_MARK "\" end\"\n"
#define END_NAME "' end'"

/* Comments for a scanner that stands between words, and the end of whatever else it may be in. */
#define END_OF_ALL "#\"\n#'\n#*/\n"

static int parse(cfg_t *cfg, const char *data, size_t len)
{
    FILE *file = fmemopen((char *)data, len, "r");

    if (file == NULL) {
        return CFG_FILE_ERROR;
    }
    int result = cfg_parse_fp(cfg, file);

    (void)fclose(file);
    return result;
}

__attribute__((format(printf, 2, 0))) static void say_nothing(cfg_t *cfg, const char *format,
                                                              va_list args)
{
    (void)cfg;
    (void)format;
    (void)args;
}

/*
 * libConfuse's scanner stays in a text without an end, and ends the process at the next configuration, when it reads its own
 * defaults. So it is led out.
 */
static void leave_text(void)
{
    cfg_opt_t none[] = {CFG_END()};
    cfg_t *cfg = cfg_init(none, CFGF_NONE);

    if (cfg != NULL) {
        cfg_set_error_function(cfg, say_nothing);
        (void)parse(cfg, END_OF_ALL, strlen(END_OF_ALL));
        cfg_free(cfg);
    }
}

/* Behind what may a comment begin? */
static bool ends_word(char c)
{
    return strchr(" \t\r\n{}(),=\"'", c) != NULL;
}

/* The length of what begins at `text`: a word's byte, or all of a # comment, of another comment or of quoted text. */
static size_t item_length(const char *text, size_t len, char before)
{
    size_t i = 1;

    if (*text == '#' && ends_word(before)) {
        const char *end = memchr(text, '\n', len);

        return end == NULL ? len : (size_t)(end - text);
    }
    if (*text == '"' || *text == '\'') {
        while (i < len && text[i] != *text) {
            i += text[i] == '\\' ? 2 : 1;
        }
        return i + 1 < len ? i + 1 : len;
    }
    if (*text == '/' && len > 1 && text[1] == '*') {
        const char *end = memmem(text + 2, len - 2, "*/", 2);

        return end == NULL ? len : (size_t)(end - text) + 2;
    }
    return 1;
}

/* Copies the text without its # comments: libConfuse counts three lines for each, and then names wrong ones. */
static void copy_without_comments(struct strbuf *out, const struct strbuf *text)
{
    char before = '\n';

    for (size_t i = 0; i < text->len;) {
        size_t len = item_length(text->data + i, text->len - i, before);

        if (text->data[i] != '#' || !ends_word(before)) {
            strbuf_append_len(out, text->data + i, len);
        }
        i += len;
        before = text->data[i - 1];
    }
}

bool config_scan_parse(cfg_t *cfg, const struct strbuf *text)
{
    struct strbuf copy;

    strbuf_init(&copy);
    copy_without_comments(&copy, text);
    bool good = parse(cfg, copy.data, copy.len) == CFG_SUCCESS;

    strbuf_fini(&copy);
    leave_text();
    return good;
}

static void report(cfg_t *cfg, unsigned line, const char *hint, const char *text)
{
    diag_report(config_keys_diag(cfg), DIAG_ERROR, cfg->filename, line, hint, "%s", text);
}

static void report_text(cfg_t *cfg)
{
    report(cfg, 0, "look for a quote too many, or for one that is missing",
           "a text or comment at the end is not closed");
}

/* The mark ends the parsing: where it does, nothing may be open. */
__attribute__((format(printf, 2, 0))) static void on_mark(cfg_t *cfg, const char *format,
                                                          va_list args)
{
    const char *title = cfg_title(cfg);
    char text[512];

    (void)vsnprintf(text, sizeof(text), format, args);
    if (strstr(text, END_NAME) == NULL) {
        report_text(cfg);
    } else if (strcmp(cfg_name(cfg), "root") != 0) {
        (void)snprintf(text, sizeof(text),
                       "the section %s%s%.256s%s is not closed: its } is missing", cfg_name(cfg),
                       title == NULL ? "" : " \"", title == NULL ? "" : title,
                       title == NULL ? "" : "\"");
        report(cfg, (unsigned)cfg->line - 1, "close each section with a }", text);
    }
}

/* Called behind the end of each section. */
static int refuse_second(cfg_t *cfg, cfg_opt_t *opt)
{
    char text[128];

    if (cfg_opt_size(opt) < 2) {
        return 0;
    }
    (void)snprintf(text, sizeof(text), "the section %s that ends here is the second one",
                   cfg_opt_name(opt));
    report(cfg, (unsigned)cfg->line, "write all its keys into one", text);
    return -1;
}

bool config_scan_is_whole(cfg_t *cfg, const struct strbuf *text)
{
    const struct diag *diag = config_keys_diag(cfg);
    size_t before = diag->errors;
    struct strbuf marked;

    cfg_set_error_function(cfg, on_mark);
    for (cfg_opt_t *opt = cfg->opts; opt->name != NULL; opt++) {
        if (opt->type == CFGT_SEC && (opt->flags & CFGF_TITLE) == 0) {
            cfg_set_validate_func(cfg, opt->name, refuse_second);
        }
    }
    strbuf_init(&marked);
    strbuf_append_len(&marked, text->data, text->len);
    strbuf_append(&marked, END_MARK);
    if (config_scan_parse(cfg, &marked)) {
        report_text(cfg); /* the mark was in it */
    }
    strbuf_fini(&marked);
    return diag->errors == before;
}
