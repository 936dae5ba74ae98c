/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Snapshots: a map that is renamed into place makes a new one, and whoever holds the old one goes on with it. */
#include "lib/policy/classes.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/stages.h"
#include "lib/table/table.h"
#include "tests/unit/support.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DENIED "reject 550 5.7.1 Access denied"

static struct site site;

static int make_site(void **state)
{
    (void)state;
    site_init(&site);
    return 0;
}

static int drop_site(void **state)
{
    (void)state;
    site_fini(&site);
    return 0;
}

/* The verdict of MAIL from <s@SENDER's domain>, by a session of its own. In a buffer of the caller. */
static const char *mail_verdict(struct ruleset *ruleset, const char *sender,
                                char buf[VERDICT_TEXT_SIZE])
{
    const struct session_client client = {.name = "a.test", .address = "198.18.0.1"};
    struct session session;

    session_init(&session, ruleset, NULL);
    session_connect(&session, &client);
    (void)stage_connect(&session);
    struct verdict verdict = stage_mail(&session, NULL, sender);

    (void)verdict_text(&verdict, buf);
    session_fini(&session);
    return buf;
}

static void expect(struct ruleset *ruleset, const char *sender, const char *expected)
{
    char got[VERDICT_TEXT_SIZE];

    assert_string_equal(mail_verdict(ruleset, sender, got), expected);
}

/* ---- loading ---- */

static void test_load_reads_all_that_is_named(void **state)
{
    struct ruleset *ruleset = site_ruleset(&site, "", "From:b.test REJECT\n");

    (void)state;
    assert_non_null(ruleset_config(ruleset));
    assert_non_null(ruleset_classes(ruleset));
    assert_int_equal(table_count(ruleset_access(ruleset)), 1);
    assert_null(table_failure(ruleset_access(ruleset)));
    assert_int_equal(table_count(ruleset_spammers(ruleset)), 0);
    assert_string_equal(table_name(ruleset_access(ruleset)), "access");
    expect(ruleset, "<s@b.test>", DENIED);
    ruleset_unref(&ruleset);
    assert_null(ruleset);
}

static void test_load_without_maps(void **state)
{
    struct ruleset *ruleset = site_ruleset(&site, "access = \"\"\nspammers = \"\"\n", "");

    (void)state;
    assert_null(ruleset_access(ruleset));
    assert_null(ruleset_spammers(ruleset));
    expect(ruleset, "<s@b.test>", "continue");
    assert_null(ruleset_refresh(ruleset, &site.log.diag));
    ruleset_unref(&ruleset);
}

static void test_load_of_a_wrong_configuration_gives_none(void **state)
{
    (void)state;
    site_conf_exactly(&site, "user = \"nobody\"\nusr = 1\n");
    assert_null(site_load(&site));
    assert_string_equal(site.log.text.data, "postern.conf:2: error: no such option 'usr'\n");
}

static void test_load_of_a_missing_map_warns_and_fails_closed(void **state)
{
    struct ruleset *ruleset;

    (void)state;
    site_conf(&site, "spammers = \"\"\nfeatures = { accept_unresolvable_domains }\n");
    ruleset = site_load(&site);
    assert_non_null(ruleset);
    assert_string_equal(site.log.text.data,
                        "access.gdbm: warning: the map access cannot be used: access.gdbm: No such "
                        "file or directory; run posternctl makemap access; until then mail is "
                        "answered 451 4.3.0\n");
    assert_int_equal(site.log.diag.errors, 0);
    assert_non_null(table_failure(ruleset_access(ruleset)));
    expect(ruleset, "<s@b.test>",
           "tempfail 451 4.3.0 Temporary system failure. Please try again later.");
    ruleset_unref(&ruleset);
}

/* ---- noticing a map ---- */

static void test_refresh_of_the_same_maps_gives_none(void **state)
{
    struct ruleset *ruleset = site_ruleset(&site, "", "From:b.test REJECT\n");

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_null(ruleset_refresh(ruleset, &site.log.diag));
    }
    /* the text does not matter, nor does postern.conf */
    site_write(&site, "access", "From:c.test REJECT\n");
    site_conf(&site, "features = { delay_checks }\n");
    assert_null(ruleset_refresh(ruleset, &site.log.diag));
    ruleset_unref(&ruleset);
}

static void test_refresh_notices_a_new_map_and_leaves_the_old_ruleset(void **state)
{
    struct ruleset *old = site_ruleset(&site, "", "From:b.test REJECT\n");
    struct ruleset *new;

    (void)state;
    assert_int_equal(site_map(&site, "access", "From:c.test REJECT\n"), STATUS_OK);
    new = ruleset_refresh(old, &site.log.diag);
    assert_non_null(new);
    expect(old, "<s@b.test>", DENIED);
    expect(old, "<s@c.test>", "continue");
    expect(new, "<s@b.test>", "continue");
    expect(new, "<s@c.test>", DENIED);
    assert_null(ruleset_refresh(new, &site.log.diag));
    ruleset_unref(&old);
    expect(new, "<s@c.test>", DENIED);
    ruleset_unref(&new);
}

/* A copy with its time kept (cp -p, rsync -t) is another file all the same. */
static void test_refresh_notices_a_map_of_the_same_time(void **state)
{
    struct ruleset *old = site_ruleset(&site, "", "From:b.test REJECT\n");
    char path[SITE_PATH_SIZE];
    struct stat before;
    struct ruleset *new;

    (void)state;
    assert_int_equal(stat(site_path(&site, "access.gdbm", path), &before), 0);
    assert_int_equal(site_map(&site, "access", "From:c.test REJECT\n"), STATUS_OK);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    new = ruleset_refresh(old, &site.log.diag);
    assert_non_null(new);
    expect(new, "<s@c.test>", DENIED);
    ruleset_unref(&old);
    ruleset_unref(&new);
}

static void test_refresh_shares_what_is_the_same(void **state)
{
    struct ruleset *old = site_ruleset(&site, "", "From:b.test REJECT\n");
    struct ruleset *new;

    (void)state;
    assert_int_equal(site_map(&site, "spammers", "c.test\n"), STATUS_OK);
    new = ruleset_refresh(old, &site.log.diag);
    assert_non_null(new);
    assert_ptr_equal(ruleset_access(new), ruleset_access(old));
    assert_ptr_equal(ruleset_config(new), ruleset_config(old));
    assert_ptr_equal(ruleset_classes(new), ruleset_classes(old));
    assert_ptr_not_equal(ruleset_spammers(new), ruleset_spammers(old));
    ruleset_unref(&old);
    expect(new, "<s@b.test>", DENIED);
    expect(new, "<s@c.test>", DENIED);
    ruleset_unref(&new);
}

static void test_refresh_notices_a_map_that_goes_and_comes(void **state)
{
    struct ruleset *whole = site_ruleset(&site, "", "From:b.test REJECT\n");
    struct ruleset *gone;
    struct ruleset *back;
    char path[SITE_PATH_SIZE];

    (void)state;
    strbuf_reset(&site.log.text);
    assert_int_equal(unlink(site_path(&site, "access.gdbm", path)), 0);
    gone = ruleset_refresh(whole, &site.log.diag);
    assert_non_null(gone);
    assert_non_null(
        strstr(site.log.text.data, "access.gdbm: warning: the map access cannot be used"));
    expect(gone, "<s@c.test>",
           "tempfail 451 4.3.0 Temporary system failure. Please try again later.");
    expect(whole, "<s@c.test>", "continue"); /* who has the old map keeps it */
    strbuf_reset(&site.log.text);
    assert_null(ruleset_refresh(gone, &site.log.diag)); /* told once */
    assert_string_equal(site.log.text.data, "");
    assert_int_equal(site_build(&site, "access", NULL), STATUS_OK);
    back = ruleset_refresh(gone, &site.log.diag);
    assert_non_null(back);
    expect(back, "<s@b.test>", DENIED);
    ruleset_unref(&whole);
    ruleset_unref(&gone);
    ruleset_unref(&back);
}

static void test_refresh_to_a_map_that_is_none(void **state)
{
    struct ruleset *old = site_ruleset(&site, "", "From:b.test REJECT\n");
    char from[SITE_PATH_SIZE];
    char to[SITE_PATH_SIZE];
    struct ruleset *new;

    (void)state;
    site_write(&site, "junk", "no map at all\n");
    assert_int_equal(rename(site_path(&site, "junk", from), site_path(&site, "access.gdbm", to)),
                     0);
    new = ruleset_refresh(old, &site.log.diag);
    assert_non_null(new);
    expect(new, "<s@c.test>",
           "tempfail 451 4.3.0 Temporary system failure. Please try again later.");
    expect(old, "<s@b.test>", DENIED);
    ruleset_unref(&old);
    ruleset_unref(&new);
}

/* A session keeps the ruleset that it began with. */
static void test_session_goes_on_with_its_ruleset(void **state)
{
    struct ruleset *ruleset = site_ruleset(&site, "", "From:b.test REJECT\n");
    const struct session_client client = {.name = "a.test", .address = "198.18.0.1"};
    char got[VERDICT_TEXT_SIZE];
    struct session session;
    struct ruleset *new;

    (void)state;
    session_init(&session, ruleset, NULL);
    session_connect(&session, &client);
    (void)stage_connect(&session);
    assert_int_equal(site_map(&site, "access", ""), STATUS_OK);
    new = ruleset_refresh(ruleset, &site.log.diag);
    assert_non_null(new);
    ruleset_unref(&ruleset);
    struct verdict verdict = stage_mail(&session, NULL, "<s@b.test>");

    assert_string_equal(verdict_text(&verdict, got), DENIED);
    expect(new, "<s@b.test>", "continue");
    session_fini(&session);
    ruleset_unref(&new);
}

/* ---- references ---- */

static void test_unref_of_null_is_legal(void **state)
{
    struct ruleset *none = NULL;

    (void)state;
    ruleset_unref(&none);
    assert_null(none);
}

static void test_ref_keeps_it_until_the_last_one_goes(void **state)
{
    struct ruleset *ruleset = site_ruleset(&site, "", "From:b.test REJECT\n");
    struct ruleset *second = ruleset_ref(ruleset);

    (void)state;
    ruleset_unref(&ruleset);
    assert_null(ruleset);
    expect(second, "<s@b.test>", DENIED);
    ruleset_unref(&second);
}

/* ---- what is asked of the MTA ---- */

static void test_needs_follow_the_features(void **state)
{
    static const struct {
        const char *conf;
        bool ptr;
        bool login;
        bool quarantine;
        bool drop;
    } cases[] = {
        {"", false, false, true, false},
        {"access = \"\"\nspammers = \"\"\n", false, false, false, false},
        {"features = { \"use_client_ptr\" }\n", true, false, true, false},
        {"features = { \"block_bad_helo\" }\n", false, true, true, false},
        {"features = { \"delay_checks\" }\n", false, false, true, false},
        {"features = { \"delay_checks\" }\ntrust_auth_mech = { any }\n", false, true, true, false},
        {"trust_auth_mech = { any }\n", false, false, true, false},
        {"features = { \"compat_check\" }\n", false, false, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ruleset *ruleset = site_ruleset(&site, cases[i].conf, "");
        struct ruleset_needs needs = ruleset_needs(ruleset);

        assert_true(needs.client_resolve);
        assert_int_equal(needs.client_ptr, cases[i].ptr);
        assert_int_equal(needs.login, cases[i].login);
        assert_int_equal(needs.quarantine, cases[i].quarantine);
        assert_int_equal(needs.drop_recipients, cases[i].drop);
        ruleset_unref(&ruleset);
    }
}

/* A client that may relay by its certificate is spared the lists, if they spare such clients. */
static void test_lists_need_the_certificate(void **state)
{
    static const struct {
        const char *conf;
        bool certificate;
    } cases[] = {
        {"", false},
        {"dnsbl \"a\" { zone = \"a.test\" }\n", true},
        {"dnsbl \"a\" { zone = \"a.test\" exempt = { authenticated } }\n", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ruleset *ruleset = site_ruleset(&site, cases[i].conf, "");

        assert_int_equal(ruleset_needs(ruleset).certificate, cases[i].certificate);
        ruleset_unref(&ruleset);
    }
}

/* ---- many threads ---- */

#define THREADS 4

/* The one ruleset in force, as the daemon has it: taken and changed under a lock. */
static struct {
    pthread_mutex_t lock;
    struct ruleset *current;
    atomic_bool stop;
    atomic_uint wrong;
    atomic_uint asked;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct ruleset *take(void)
{
    pthread_mutex_lock(&shared.lock);
    struct ruleset *ruleset = ruleset_ref(shared.current);

    pthread_mutex_unlock(&shared.lock);
    return ruleset;
}

/* Each map refuses one of the two senders; a session sees one map, whichever. */
static void *ask(void *arg)
{
    char first[VERDICT_TEXT_SIZE];
    char second[VERDICT_TEXT_SIZE];

    (void)arg;
    while (!atomic_load(&shared.stop)) {
        struct ruleset *mine = take();

        (void)mail_verdict(mine, "<s@even.test>", first);
        (void)mail_verdict(mine, "<s@odd.test>", second);
        if ((strcmp(first, DENIED) == 0) == (strcmp(second, DENIED) == 0)) {
            atomic_fetch_add(&shared.wrong, 1);
        }
        atomic_fetch_add(&shared.asked, 1);
        ruleset_unref(&mine);
    }
    return NULL;
}

static void change_map(int number)
{
    assert_int_equal(
        site_map(&site, "access",
                 number % 2 == 0 ? "From:even.test REJECT\n" : "From:odd.test REJECT\n"),
        STATUS_OK);
    struct ruleset *new = ruleset_refresh(shared.current, &site.log.diag);

    assert_non_null(new);
    pthread_mutex_lock(&shared.lock);
    struct ruleset *old = shared.current;

    shared.current = new;
    pthread_mutex_unlock(&shared.lock);
    ruleset_unref(&old);
}

/* Runs under ThreadSanitizer in CI. */
static void test_refresh_while_threads_ask(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    shared.current = site_ruleset(&site, "", "From:even.test REJECT\n");
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, NULL), 0);
    }
    for (int i = 1; i <= 40; i++) {
        unsigned before = atomic_load(&shared.asked);

        change_map(i);
        while (atomic_load(&shared.asked) == before) {
            (void)usleep(100);
        }
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_in_range(atomic_load(&shared.asked), 40, UINT32_MAX);
    ruleset_unref(&shared.current);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_site, drop_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_load_reads_all_that_is_named),
        CASE(test_load_without_maps),
        CASE(test_load_of_a_wrong_configuration_gives_none),
        CASE(test_load_of_a_missing_map_warns_and_fails_closed),
        CASE(test_refresh_of_the_same_maps_gives_none),
        CASE(test_refresh_notices_a_new_map_and_leaves_the_old_ruleset),
        CASE(test_refresh_notices_a_map_of_the_same_time),
        CASE(test_refresh_shares_what_is_the_same),
        CASE(test_refresh_notices_a_map_that_goes_and_comes),
        CASE(test_refresh_to_a_map_that_is_none),
        CASE(test_session_goes_on_with_its_ruleset),
        cmocka_unit_test(test_unref_of_null_is_legal),
        CASE(test_ref_keeps_it_until_the_last_one_goes),
        CASE(test_needs_follow_the_features),
        CASE(test_lists_need_the_certificate),
        CASE(test_refresh_while_threads_ask),
    };

    return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}
