/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/support.h"

#include "lib/policy/access_map.h"
#include "lib/table/mapfile.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- diagnostics ---- */

/* Appends `text` without each occurrence of "FOLDER/". */
static void append_without_folder(struct strbuf *out, const char *text, const char *folder)
{
    size_t len = folder == NULL ? 0 : strlen(folder);
    const char *at;

    while (len > 0 && (at = strstr(text, folder)) != NULL) {
        strbuf_append_len(out, text, (size_t)(at - text));
        text = at + len + (at[len] == '/' ? 1 : 0);
    }
    strbuf_append(out, text);
}

static void collect_item(void *ctx, const struct diag_item *item)
{
    struct diag_log *log = ctx;
    struct strbuf line;

    strbuf_init(&line);
    strbuf_append(&line, item->file);
    if (item->line > 0) {
        strbuf_appendf(&line, ":%u", item->line);
    }
    strbuf_appendf(&line, ": %s: %s%s%s\n", item->level == DIAG_ERROR ? "error" : "warning",
                   item->text, item->hint == NULL ? "" : "; ",
                   item->hint == NULL ? "" : item->hint);
    append_without_folder(&log->text, line.data, log->folder);
    strbuf_fini(&line);
}

void diag_log_init(struct diag_log *log, const char *folder)
{
    diag_init(&log->diag, collect_item, log);
    strbuf_init(&log->text);
    log->folder = folder;
}

void diag_log_fini(struct diag_log *log)
{
    strbuf_fini(&log->text);
}

/* ---- a site ---- */

void site_init(struct site *site)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(site->folder, sizeof(site->folder), "%s/postern-test-XXXXXX",
                   base == NULL || *base != '/' || strlen(base) > 200 ? "/tmp" : base);
    assert_non_null(mkdtemp(site->folder));
    diag_log_init(&site->log, site->folder);
}

int site_setup(void **state)
{
    struct site *site = calloc(1, sizeof(*site));

    site_init(site);
    *state = site;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void site_fini(struct site *site)
{
    diag_log_fini(&site->log);
    assert_int_equal(nftw(site->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int site_teardown(void **state)
{
    site_fini(*state);
    free(*state);
    return 0;
}

const char *site_path(const struct site *site, const char *name, char buf[SITE_PATH_SIZE])
{
    (void)snprintf(buf, SITE_PATH_SIZE, "%s/%s", site->folder, name);
    return buf;
}

void site_write(const struct site *site, const char *name, const char *text)
{
    char path[SITE_PATH_SIZE];
    FILE *file = fopen(site_path(site, name, path), "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

bool site_has(const struct site *site, const char *name)
{
    char path[SITE_PATH_SIZE];

    return access(site_path(site, name, path), F_OK) == 0;
}

void site_conf_exactly(const struct site *site, const char *text)
{
    site_write(site, "postern.conf", text);
}

struct config *site_load_conf(struct site *site, const char *text)
{
    char path[SITE_PATH_SIZE];

    site_conf_exactly(site, text);
    return config_load(site_path(site, "postern.conf", path), &site->log.diag);
}

void site_conf(const struct site *site, const char *more)
{
    static const char *const patterns[] = {"regex", "header_checks", "mime_header_checks"};
    const char *folder = site->folder;
    struct strbuf text;

    strbuf_init(&text);
    strbuf_appendf(&text, "access = \"%s/access\"\nspammers = \"%s/spammers\"\n", folder, folder);
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        bool there = site_has(site, patterns[i]);

        /* Whether the machine that tests has files of its own must not matter. */
        strbuf_appendf(&text, "%s = \"%s%s%s\"\n", patterns[i], there ? folder : "",
                       there ? "/" : "", there ? patterns[i] : "");
    }
    strbuf_appendf(&text, "local_host_names = \"%s/local-host-names\"\n", folder);
    strbuf_appendf(&text, "relay_domains = \"%s/relay-domains\"\n", folder);
    strbuf_append(&text, "hostname = \"mx.home.example\"\nlocal_domains = { \"home.example\" }\n");
    strbuf_append(&text, more);
    strbuf_append(&text, "\n");
    site_conf_exactly(site, text.data);
    strbuf_fini(&text);
    if (!site_has(site, "local-host-names")) {
        site_write(site, "local-host-names", "local.example\n[192.0.2.1]\n");
    }
    if (!site_has(site, "relay-domains")) {
        site_write(site, "relay-domains", "partner.test\n203.0.113\n");
    }
}

enum status site_build(struct site *site, const char *name, const struct mapfile_format *format)
{
    char source[SITE_PATH_SIZE];
    char map[SITE_PATH_SIZE + sizeof(".gdbm")];
    struct mapfile_result result;

    if (format == NULL) {
        format = strcmp(name, "spammers") == 0 ? &spammers_map_format : &access_map_format;
    }
    (void)site_path(site, name, source);
    (void)snprintf(map, sizeof(map), "%s.gdbm", source);

    struct mapfile_job job = {.format = format, .map_path = map, .source_path = source};

    return mapfile_build(&job, &site->log.diag, &result);
}

enum status site_map(struct site *site, const char *name, const char *text)
{
    site_write(site, name, text);
    return site_build(site, name, NULL);
}

static enum status take_any_line(const struct mapfile_line *line)
{
    strbuf_append_len(line->stored_key, line->key, line->key_len);
    return STATUS_OK;
}

void site_map_unchecked(struct site *site, const char *name, const char *text)
{
    const struct mapfile_format format = {.name = name, .check = take_any_line};

    site_write(site, name, text);
    assert_int_equal(site_build(site, name, &format), STATUS_OK);
}

struct ruleset *site_load(struct site *site)
{
    char path[SITE_PATH_SIZE];

    return ruleset_load(site_path(site, "postern.conf", path), &site->log.diag);
}

struct ruleset *site_ruleset(struct site *site, const char *more, const char *access)
{
    site_conf(site, more);
    if (site_map(site, "access", access) != STATUS_OK ||
        site_map(site, "spammers", "") != STATUS_OK) {
        fail_msg("the maps were not made:\n%s", site->log.text.data);
    }
    struct ruleset *ruleset = site_load(site);

    if (ruleset == NULL) {
        fail_msg("the ruleset was not made:\n%s", site->log.text.data);
    }
    return ruleset;
}
