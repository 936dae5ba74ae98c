/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What cannot be read is never taken for empty: whatever is wrong with a map, the session that needs it gets 451 4.3.0 at
 * the stage that needs it (postern-access(5)), and no message is accepted.
 */
#include "lib/policy/access_map.h"
#include "lib/table/mapfile.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define TEMPFAIL "tempfail 451 4.3.0 Temporary system failure. Please try again later."
#define CONNECT "connect a.b.test [10.1.2.3]\n"
#define LOCAL "connect localhost\n"
#define DELAYED "features = { \"delay_checks\" }\n"
#define MILTER "relay_control = \"milter\"\n"

/* ---- what may be wrong with a map ---- */

typedef void break_fn(struct site *site, const char *name);

static const char *map_of(const struct site *site, const char *name, char path[SITE_PATH_SIZE])
{
    char file[64];

    (void)snprintf(file, sizeof(file), "%s.gdbm", name);
    return site_path(site, file, path);
}

static void is_missing(struct site *site, const char *name)
{
    char path[SITE_PATH_SIZE];

    assert_int_equal(unlink(map_of(site, name, path)), 0);
}

static void is_empty_file(struct site *site, const char *name)
{
    char path[SITE_PATH_SIZE];

    assert_int_equal(truncate(map_of(site, name, path), 0), 0);
}

static void is_cut_off(struct site *site, const char *name)
{
    char path[SITE_PATH_SIZE];
    struct stat st;

    assert_int_equal(stat(map_of(site, name, path), &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
}

static void is_text(struct site *site, const char *name)
{
    char file[64];

    (void)snprintf(file, sizeof(file), "%s.gdbm", name);
    site_write(site, file, "neutral.test OK\n");
}

static void is_folder(struct site *site, const char *name)
{
    char path[SITE_PATH_SIZE];

    is_missing(site, name);
    assert_int_equal(mkdir(map_of(site, name, path), 0755), 0);
}

static void is_dangling_link(struct site *site, const char *name)
{
    char path[SITE_PATH_SIZE];

    is_missing(site, name);
    assert_int_equal(symlink("/nonexistent/map", map_of(site, name, path)), 0);
}

static const struct breakage {
    const char *name;
    break_fn *do_it;
} breakages[] = {
    {"missing", is_missing}, {"empty file", is_empty_file}, {"cut off", is_cut_off},
    {"text", is_text},       {"folder", is_folder},         {"dangling link", is_dangling_link},
};

/* ---- at each stage ---- */

static const struct stage_case {
    const char *map;
    const char *conf;
    const char *lines; /* of which the last one is answered 451 */
} stage_cases[] = {
    {"access", "", CONNECT},
    {"access", "", CONNECT "mail <s@neutral.test>\n"},
    {"access", "", CONNECT "mail <>\n"},
    {"access", "", LOCAL "mail <s@neutral.test>\n"},
    {"access", "", LOCAL "mail <joe>\n"},
    {"access", "features = { \"blocklist_recipients\" }\n", LOCAL "mail <>\nrcpt <joe>\n"},
    {"access", "features = { \"blocklist_recipients\" }\n", LOCAL "mail <>\nrcpt <a@b.test>\n"},
    {"access", "features = { \"blocklist_recipients\" }\n", LOCAL "mail <>\nrcpt <a%c@b.test>\n"},
    {"access", "features = { \"blacklist_recipients\" }\n", LOCAL "mail <>\nrcpt <joe>\n"},
    {"access", DELAYED, CONNECT "mail <s@neutral.test>\nrcpt <joe>\n"},
    {"access", DELAYED, CONNECT "mail <>\nrcpt <joe>\n"},
    {"access", DELAYED, LOCAL "mail <s@neutral.test>\nrcpt <joe>\n"},
    {"access", "features = { \"delay_checks_friend\" }\n", LOCAL "mail <>\nrcpt <joe>\n"},
    {"access", "features = { \"delay_checks_hater\" }\n", CONNECT "mail <s@x.test>\nrcpt <joe>\n"},
    {"access", DELAYED "trust_auth_mech = { any }\n",
     CONNECT "mail <s@neutral.test>\nrcpt <joe>\n"},
    {"access", "features = { \"require_rdns\" }\n", "connect [203.0.113.1]\n"},
    /* who may relay: neither an accept nor a final refusal */
    {"access", DELAYED MILTER, CONNECT "mail <>\nrcpt <x@other.test>\n"},
    {"access", DELAYED MILTER,
     "connect [10.1.2.3] [10.1.2.3] FAIL\nmail <>\nrcpt <x@other.test>\n"},
    {"access", "features = { \"delay_checks\", \"relay_hosts_only\" }\n" MILTER,
     CONNECT "mail <>\nrcpt <x@other.test>\n"},
    {"access", "features = { \"delay_checks\", \"relaytofulladdress\" }\n" MILTER,
     CONNECT "mail <>\nrcpt <x@other.test>\n"},
    {"access", "features = { \"compat_check\" }\n", LOCAL "mail <s@neutral.test>\n"},
    {"access", "features = { \"compat_check\", \"delay_checks\" }\n",
     CONNECT "mail <s@neutral.test>\nrcpt <joe>\n"},
    {"spammers", "", CONNECT "mail <s@neutral.test>\n"},
    {"spammers", "", CONNECT "mail <joe>\n"},
    {"spammers", DELAYED, CONNECT "mail <s@neutral.test>\nrcpt <joe>\n"},
};

static void expect_tempfail(const struct breakage *breakage, const struct stage_case *c)
{
    struct scene scene;

    scene_init(&scene, c->conf, "");
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    breakage->do_it(&scene.site, c->map);
    scene.ruleset = site_load(&scene.site);
    if (scene.ruleset == NULL) {
        fail_msg("%s: the daemon should run and answer 451: %s", breakage->name,
                 scene.site.log.text.data);
    }
    if (strstr(scene.site.log.text.data, "cannot be used") == NULL) {
        fail_msg("%s: nothing was said of it: %s", breakage->name, scene.site.log.text.data);
    }
    session_init(&scene.session, scene.ruleset, &scene.log.trace);
    const char *got = scene_verdict(&scene, c->lines);

    if (strcmp(got, TEMPFAIL) != 0) {
        fail_msg("map %s: %s {%s} {%s}: %s", c->map, breakage->name, c->conf, c->lines, got);
    }
    if (strcmp(scene_verdict(&scene, "eom\n"), "not reached") != 0) {
        fail_msg("map %s: %s {%s} {%s}: a message got through", c->map, breakage->name, c->conf,
                 c->lines);
    }
    scene_fini(&scene);
}

static void test_map_that_cannot_be_used_at_each_stage(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(breakages); i++) {
        for (size_t j = 0; j < COUNT(stage_cases); j++) {
            expect_tempfail(&breakages[i], &stage_cases[j]);
        }
    }
}

/* A file of mode 0 is one only for users that modes hold for. */
static void test_map_that_may_not_be_read(void **state)
{
    struct scene scene;
    char path[SITE_PATH_SIZE];

    (void)state;
    scene_init(&scene, "", "neutral.test OK\n");
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    assert_int_equal(chmod(map_of(&scene.site, "access", path), 0), 0);
    scene.ruleset = site_load(&scene.site);
    assert_non_null(scene.ruleset);
    session_init(&scene.session, scene.ruleset, &scene.log.trace);
    assert_string_equal(scene_verdict(&scene, LOCAL "mail <s@neutral.test>\n"),
                        access(path, R_OK) == 0 ? "continue" : TEMPFAIL);
    scene_fini(&scene);
}

/* A map of spammers where the access map should be has other rules: it is not asked. */
static void test_map_of_another_kind(void **state)
{
    struct scene scene;
    char from[SITE_PATH_SIZE];
    char to[SITE_PATH_SIZE];

    (void)state;
    scene_init(&scene, "", "From:b.test REJECT\n");
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    assert_int_equal(
        rename(map_of(&scene.site, "spammers", from), map_of(&scene.site, "access", to)), 0);
    scene.ruleset = site_load(&scene.site);
    assert_non_null(scene.ruleset);
    session_init(&scene.session, scene.ruleset, &scene.log.trace);
    assert_string_equal(scene_verdict(&scene, LOCAL "mail <s@b.test>\n"), TEMPFAIL);
    scene_fini(&scene);
}

/* ---- right-hand sides that no makemap of this version lets through ---- */

static const struct value_case {
    const char *conf;
    const char *line; /* of the access file */
    const char *lines;
} value_cases[] = {
    {"", "connect:a.b.test REJECTED\n", CONNECT},
    {"", "b.test \"unclosed\n", CONNECT},
    {"", "connect:10.1.2.3 250 fine\n", CONNECT},
    {"", "connect:10.1.2.3 FRIEND\n", CONNECT},
    {"", "connect:10.1.2.3 TEMP:busy\n", CONNECT},
    {"", "10 ERROR:\n", CONNECT},
    {"", "from:s@neutral.test OKAY\n", LOCAL "mail <s@neutral.test>\n"},
    {"", "s@ QUARANTINE:\n", LOCAL "mail <s@neutral.test>\n"},
    {"", "neutral.test OK # yes\n", LOCAL "mail <s@neutral.test>\n"},
    {"", "from:neutral.test HATER\n", LOCAL "mail <s@neutral.test>\n"},
    {"", "from:joe@ ACCEPT\n", LOCAL "mail <joe>\n"},
    {"features = { \"blocklist_recipients\" }\n", "to:joe@ RELAYED\n",
     LOCAL "mail <>\nrcpt <joe>\n"},
    {"features = { \"blocklist_recipients\" }\n", "to:b.test TEMP:x\n",
     LOCAL "mail <>\nrcpt <joe@b.test>\n"},
    {"features = { \"blacklist_recipients\" }\n", "joe 550\n", LOCAL "mail <>\nrcpt <joe>\n"},
    {"features = { \"blocklist_recipients\" }\n", "to:r.test RELAYED\n",
     LOCAL "mail <>\nrcpt <a%b@r.test>\n"},
    {DELAYED, "connect:10 REJEKT\n", CONNECT "mail <>\nrcpt <joe>\n"},
    {DELAYED, "from:neutral.test 2.0.0\n", LOCAL "mail <s@neutral.test>\nrcpt <joe>\n"},
    {"features = { \"delay_checks_friend\" }\n", "spam:joe@ FIEND\n",
     LOCAL "mail <>\nrcpt <joe>\n"},
    {"features = { \"delay_checks_hater\" }\n", "spam:mx.home.example HATE\n",
     LOCAL "mail <>\nrcpt <joe>\n"},
    {MILTER, "to:other.test RELAYED\n", CONNECT "mail <>\nrcpt <x@other.test>\n"},
    {MILTER DELAYED, "connect:10 RELAYED\n", CONNECT "mail <>\nrcpt <x@other.test>\n"},
    {MILTER DELAYED, "connect:b.test RELAYED\n", CONNECT "mail <>\nrcpt <x@other.test>\n"},
    {"features = { \"compat_check\" }\n", "compat:s@neutral.test<@>joe@b.test TEMPO:x\n",
     LOCAL "mail <s@neutral.test>\nrcpt <joe@b.test>\n"},
};

static void test_right_hand_side_that_cannot_be_read_at_each_stage(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(value_cases); i++) {
        const struct value_case *c = &value_cases[i];
        struct scene scene;

        scene_init(&scene, c->conf, "");
        session_fini(&scene.session);
        ruleset_unref(&scene.ruleset);
        site_map_unchecked(&scene.site, "access", c->line);
        scene.ruleset = site_load(&scene.site);
        assert_non_null(scene.ruleset);
        session_init(&scene.session, scene.ruleset, &scene.log.trace);
        const char *got = scene_verdict(&scene, c->lines);

        if (strcmp(got, TEMPFAIL) != 0) {
            fail_msg("{%s} {%s} {%s}: %s", c->conf, c->line, c->lines, got);
        }
        scene_fini(&scene);
    }
}

static void test_spammers_right_hand_side_that_cannot_be_read(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene, "", "");
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    site_map_unchecked(&scene.site, "spammers", "neutral.test REJECTED\n");
    scene.ruleset = site_load(&scene.site);
    session_init(&scene.session, scene.ruleset, &scene.log.trace);
    assert_string_equal(scene_verdict(&scene, LOCAL "mail <s@neutral.test>\n"), TEMPFAIL);
    assert_string_equal(scene_verdict(&scene, "mail <s@third.test>\n"), "continue");
    scene_fini(&scene);
}

/* ---- damage ---- */

/* Some rules of each stage; enough of them for several blocks of the file. */
static void write_rules(struct site *site)
{
    struct strbuf text;

    strbuf_init(&text);
    for (int i = 0; i < 300; i++) {
        strbuf_appendf(&text, "From:filler%d.test OK\n", i);
    }
    strbuf_append(&text, "From:neutral.test REJECT\n");
    assert_int_equal(site_map(site, "access", text.data), STATUS_OK);
    strbuf_fini(&text);
}

static char *read_map(const char *path, size_t *len_out)
{
    FILE *file = fopen(path, "re");
    struct stat st;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    char *data = malloc((size_t)st.st_size);

    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)st.st_size, file), st.st_size);
    assert_int_equal(fclose(file), 0);
    *len_out = (size_t)st.st_size;
    return data;
}

static void write_map(const char *path, const char *data, size_t len)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* A sender that the whole map refuses, asked of the damaged one: refused, or 451; the bytes that mattered are counted. */
static bool damage_was_noticed(struct scene *scene, size_t at)
{
    scene->ruleset = site_load(&scene->site);
    assert_non_null(scene->ruleset);
    session_init(&scene->session, scene->ruleset, &scene->log.trace);
    const char *got = scene_verdict(scene, LOCAL "mail <s@neutral.test>\n");
    bool noticed = strcmp(got, TEMPFAIL) == 0;

    if (!noticed && strcmp(got, "reject 550 5.7.1 Access denied") != 0) {
        fail_msg("a damaged byte %zu made the verdict %s", at, got);
    }
    session_fini(&scene->session);
    ruleset_unref(&scene->ruleset);
    return noticed;
}

static void test_damaged_byte_never_makes_an_accept(void **state)
{
    char path[SITE_PATH_SIZE];
    struct scene scene;
    size_t noticed = 0;
    size_t len;

    (void)state;
    scene_init(&scene, "", "");
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    write_rules(&scene.site);
    char *data = read_map(map_of(&scene.site, "access", path), &len);

    for (size_t at = 0; at < len; at += 61) {
        data[at] = (char)(data[at] ^ 0x55);
        write_map(path, data, len);
        data[at] = (char)(data[at] ^ 0x55);
        noticed += damage_was_noticed(&scene, at);
    }
    assert_in_range(noticed, 1, len);
    free(data);
    scene_fini(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_that_cannot_be_used_at_each_stage),
        cmocka_unit_test(test_map_that_may_not_be_read),
        cmocka_unit_test(test_map_of_another_kind),
        cmocka_unit_test(test_right_hand_side_that_cannot_be_read_at_each_stage),
        cmocka_unit_test(test_spammers_right_hand_side_that_cannot_be_read),
        cmocka_unit_test(test_damaged_byte_never_makes_an_accept),
    };

    return cmocka_run_group_tests_name("fail_closed", tests, NULL, NULL);
}
