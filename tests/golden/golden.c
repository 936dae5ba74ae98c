/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * golden - plays every tests/golden/NAME.session and compares what came of it with NAME.expected.
 *
 *   golden [--update] [NAME...]
 *
 * --update writes NAME.expected instead; whoever does that reads the difference and says for each line why it is right
 * (tests/golden/README.md).
 */
#include "tests/golden/agreement.h"
#include "tests/unit/support.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_SESSION 65536u
#define SHOWN_LINES 6 /* of a difference */

/* The texts between the headings of a session file; "" where there is none. */
struct parts {
    struct strbuf conf;
    struct strbuf access;
    struct strbuf spammers;
    struct strbuf local_host_names;
    struct strbuf relay_domains;
    struct strbuf regex;
    struct strbuf header_checks;
    struct strbuf mime_header_checks;
    struct strbuf dns;
    struct strbuf relayers;
    struct strbuf session;
    bool has_dns; /* without the heading there is no DNS */
    bool has_relayers;
    bool relayers_fail;  /* [relayers failing]: the store cannot be asked */
    bool access_missing; /* [access missing]: was never compiled */
    bool access_broken;  /* [access broken]: the map is no map */
    bool has_spammers;   /* without the heading there is no spammers map */
    bool has_names;
    bool has_relays;
};

static void parts_init(struct parts *parts)
{
    memset(parts, 0, sizeof(*parts));
    strbuf_init(&parts->conf);
    strbuf_init(&parts->access);
    strbuf_init(&parts->spammers);
    strbuf_init(&parts->local_host_names);
    strbuf_init(&parts->relay_domains);
    strbuf_init(&parts->regex);
    strbuf_init(&parts->header_checks);
    strbuf_init(&parts->mime_header_checks);
    strbuf_init(&parts->dns);
    strbuf_init(&parts->relayers);
    strbuf_init(&parts->session);
}

static void parts_fini(struct parts *parts)
{
    strbuf_fini(&parts->conf);
    strbuf_fini(&parts->access);
    strbuf_fini(&parts->spammers);
    strbuf_fini(&parts->local_host_names);
    strbuf_fini(&parts->relay_domains);
    strbuf_fini(&parts->regex);
    strbuf_fini(&parts->header_checks);
    strbuf_fini(&parts->mime_header_checks);
    strbuf_fini(&parts->dns);
    strbuf_fini(&parts->relayers);
    strbuf_fini(&parts->session);
}

/* The part that a heading begins; NULL if the line is none. An access line may begin with a bracket too. */
static struct strbuf *find_heading(struct parts *parts, const char *line)
{
    const struct {
        const char *heading;
        struct strbuf *text;
        bool *flag;
    } headings[] = {
        {"[conf]", &parts->conf, NULL},
        {"[access]", &parts->access, NULL},
        {"[access missing]", &parts->access, &parts->access_missing},
        {"[access broken]", &parts->access, &parts->access_broken},
        {"[spammers]", &parts->spammers, &parts->has_spammers},
        {"[local_host_names]", &parts->local_host_names, &parts->has_names},
        {"[relay_domains]", &parts->relay_domains, &parts->has_relays},
        {"[regex]", &parts->regex, NULL},
        {"[header_checks]", &parts->header_checks, NULL},
        {"[mime_header_checks]", &parts->mime_header_checks, NULL},
        {"[dns]", &parts->dns, &parts->has_dns},
        {"[relayers]", &parts->relayers, &parts->has_relayers},
        {"[relayers failing]", &parts->relayers, &parts->relayers_fail},
        {"[session]", &parts->session, NULL},
    };

    for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++) {
        if (strcmp(line, headings[i].heading) == 0) {
            if (headings[i].flag != NULL) {
                *headings[i].flag = true;
            }
            return headings[i].text;
        }
    }
    return NULL;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, MAX_SESSION);

    assert_non_null(text);
    if (file == NULL) {
        return text;
    }
    size_t len = fread(text, 1, MAX_SESSION, file);

    assert_in_range(len, 0, MAX_SESSION - 1);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void read_parts(const char *path, struct parts *parts)
{
    struct strbuf *part = NULL;
    char *text = read_text(path);
    char *rest = text;
    char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        struct strbuf *begun = find_heading(parts, line);

        if (begun != NULL) {
            part = begun;
        } else if (part != NULL && *line != '\0') {
            strbuf_appendf(part, "%s\n", line);
        } else if (*line != '#' && *line != '\0') {
            fail_msg("%s: \"%s\" stands under no heading", path, line);
        }
    }
    free(text);
    if (parts->session.len == 0) {
        fail_msg("%s: no [session]", path);
    }
}

/* Appends what was reported, each line behind `who`, and forgets it. */
static void take_reports(struct site *site, const char *who, struct strbuf *out)
{
    char *rest = site->log.text.data;
    char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line != '\0') {
            strbuf_appendf(out, "%s: %s\n", who, line);
        }
    }
    strbuf_reset(&site->log.text);
}

static bool make_maps(struct site *site, const struct parts *parts, struct strbuf *out)
{
    bool good = true;

    if (parts->has_spammers) {
        good = site_map(site, "spammers", parts->spammers.data) == STATUS_OK;
    }
    if (!parts->access_missing) {
        good = site_map(site, "access", parts->access.data) == STATUS_OK && good;
    }
    take_reports(site, "makemap", out);
    if (parts->access_broken) {
        site_write(site, "access.gdbm", "This is no map.\n");
    }
    return good;
}

static void write_patterns(struct site *site, const struct parts *parts)
{
    const struct {
        const char *name;
        const struct strbuf *text;
    } files[] = {
        {"regex", &parts->regex},
        {"header_checks", &parts->header_checks},
        {"mime_header_checks", &parts->mime_header_checks},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (files[i].text->len > 0) {
            site_write(site, files[i].name, files[i].text->data);
        }
    }
}

static struct ruleset *make_ruleset(struct site *site, const struct parts *parts,
                                    struct strbuf *out)
{
    struct strbuf conf;

    if (parts->has_names) {
        site_write(site, "local-host-names", parts->local_host_names.data);
    }
    if (parts->has_relays) {
        site_write(site, "relay-domains", parts->relay_domains.data);
    }
    write_patterns(site, parts);
    strbuf_init(&conf);
    strbuf_appendf(&conf, "%sfeatures = { %s }\n%s", parts->has_spammers ? "" : "spammers = \"\"\n",
                   parts->has_dns ? "" : "\"accept_unresolvable_domains\"", parts->conf.data);
    site_conf(site, conf.data);
    strbuf_fini(&conf);

    struct ruleset *ruleset = site_load(site);

    take_reports(site, "load", out);
    return ruleset;
}

/* Plays the session of `parts`; all that can be seen of it goes to `out`. */
static void play(const struct parts *parts, struct strbuf *out)
{
    struct scene scene = {0};

    site_init(&scene.site);
    trace_log_init(&scene.log);
    strbuf_init(&scene.verdict);
    if (make_maps(&scene.site, parts, out)) {
        scene.ruleset = make_ruleset(&scene.site, parts, out);
    } else {
        strbuf_append(out, "the map is not made\n");
    }
    if (scene.ruleset != NULL) {
        session_init(&scene.session, scene.ruleset, &scene.log.trace);
        if (parts->has_dns) {
            scene_dns(&scene, parts->dns.data, out);
        }
        if (parts->has_relayers || parts->relayers_fail) {
            scene_relayers(&scene, parts->relayers.data, parts->relayers_fail);
        }
        scene.on_recipient = agreement_check;
        scene_play(&scene, parts->session.data, true, out);
    }
    scene_fini(&scene);
}

/* ---- comparing ---- */

static void expected_path(const char *path, char *buf, size_t size)
{
    int stem = (int)(strlen(path) - strlen(".session"));

    assert_in_range(snprintf(buf, size, "%.*s.expected", stem, path), 1, size - 1);
}

/* Bytes of the first few lines. */
static int few_lines(const char *text)
{
    const char *at = text;

    for (int i = 0; i < SHOWN_LINES && *at != '\0'; i++) {
        at += strcspn(at, "\n");
        at += *at == '\n' ? 1 : 0;
    }
    return (int)(at - text);
}

/* Shows both texts from the first line that differs. */
static void show_difference(const char *path, const char *expected, const char *got)
{
    size_t line_begin = 0;
    unsigned line = 1;

    for (size_t i = 0; expected[i] == got[i] && expected[i] != '\0'; i++) {
        if (expected[i] == '\n') {
            line_begin = i + 1;
            line++;
        }
    }
    expected += line_begin;
    got += line_begin;
    fprintf(stderr, "%s: differs in line %u\n--- expected:\n%.*s--- got:\n%.*s---\n", path, line,
            few_lines(expected), expected, few_lines(got), got);
}

static void test_session(void **state)
{
    const char *path = *state;
    char expected_file[4096];
    struct strbuf out;
    struct parts parts;

    parts_init(&parts);
    strbuf_init(&out);
    read_parts(path, &parts);
    play(&parts, &out);
    expected_path(path, expected_file, sizeof(expected_file));
    char *expected = read_text(expected_file);
    bool same = strcmp(expected, out.data) == 0;

    if (!same) {
        show_difference(expected_file, expected, out.data);
    }
    free(expected);
    strbuf_fini(&out);
    parts_fini(&parts);
    if (!same) {
        fail();
    }
}

static void update_session(void **state)
{
    const char *path = *state;
    char expected_file[4096];
    struct strbuf out;
    struct parts parts;

    parts_init(&parts);
    strbuf_init(&out);
    read_parts(path, &parts);
    play(&parts, &out);
    expected_path(path, expected_file, sizeof(expected_file));
    FILE *file = fopen(expected_file, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(out.data, 1, out.len, file), out.len);
    assert_int_equal(fclose(file), 0);
    strbuf_fini(&out);
    parts_fini(&parts);
}

/* ---- which sessions ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Is NAME.session asked for? Without names all are. */
static bool is_wanted(const char *path, char *const *names)
{
    const char *base = base_name(path);

    if (*names == NULL) {
        return true;
    }
    for (; *names != NULL; names++) {
        size_t len = strlen(*names);

        if (strncmp(base, *names, len) == 0 && strcmp(base + len, ".session") == 0) {
            return true;
        }
    }
    return false;
}

static size_t collect(const glob_t *found, char *const *names, bool update,
                      struct CMUnitTest *tests)
{
    size_t count = 0;

    for (size_t i = 0; i < found->gl_pathc; i++) {
        if (is_wanted(found->gl_pathv[i], names)) {
            tests[count++] = (struct CMUnitTest){
                .name = base_name(found->gl_pathv[i]),
                .test_func = update ? update_session : test_session,
                .initial_state = found->gl_pathv[i],
            };
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    const char *source = getenv("POSTERN_SOURCE");
    char pattern[4096];
    glob_t found;

    (void)snprintf(pattern, sizeof(pattern), "%s/tests/golden/*.session",
                   source == NULL ? "." : source);
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "golden: no %s; set POSTERN_SOURCE to the source tree\n", pattern);
        return 1;
    }
    struct CMUnitTest *tests = calloc(found.gl_pathc, sizeof(*tests));

    if (tests == NULL) {
        return 1;
    }
    size_t count = collect(&found, argv + (update ? 2 : 1), update, tests);
    int failed = count == 0 ? 1 : _cmocka_run_group_tests("golden", tests, count, NULL, NULL);

    if (failed == 0 && !update && argc == 1 && !agreement_was_seen()) {
        fprintf(stderr, "golden: the policy server was hardly compared with the filter\n");
        failed = 1;
    }

    free(tests);
    globfree(&found);
    return failed == 0 ? 0 : 1;
}
