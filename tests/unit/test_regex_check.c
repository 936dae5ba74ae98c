/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `posternctl check` says of the file of patterns of the envelope. */
#include "lib/policy/regex_check.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define RELAYING "relay_control = \"milter\"\n"
#define FOLLOWS "regex:1: warning: RELAY for more than it seems: whatever follows"
#define BEFORE "regex:1: warning: RELAY for more than it seems: whatever stands before"
#define CLIENTS "regex:1: warning: RELAY for more than it seems: clients whose name goes on"

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

static const char *check(const char *conf, const char *regex)
{
    char path[SITE_PATH_SIZE];

    site_write(&site, "regex", regex);
    site_conf(&site, conf);
    struct config *config = config_load(site_path(&site, "postern.conf", path), &site.log.diag);

    assert_non_null(config);
    strbuf_reset(&site.log.text);
    regex_check(config, &site.log.diag);
    config_free(&config);
    return site.log.text.data;
}

static const struct check_case {
    const char *conf;
    const char *regex;
    const char *said; /* its beginning; "": nothing is said at all */
} cases[] = {
    {"", "", ""},
    {RELAYING, "# nothing\n", ""},
    {"", "From:/x@/ REJECT\nTo:/y@/ OK\nConnect:/./ RELAY\n", ""},
    /* errors, each with its line */
    {"", "From:/(/ REJECT\n", "regex:1: error: missing closing parenthesis"},
    {"", "\nFrom:/a/ FILTER x:y\n", "regex:2: error: FILTER cannot be done here; no milter"},
    {"", "if From:/a/\nFrom:/b/ OK\n", "regex:1: error: there is no `endif`"},
    {"", "endif\n", "regex:1: error: there is no `if`"},
    /* what a client sends must never say RELAY */
    {"", "To:/(.*)@a\\.test$/ $1\n", "regex:1: error: the action hangs on what a group matched"},
    {"", "Connect:/^([a-z]*)/ $1\n", "regex:1: error: the action hangs on what a group matched"},
    {"", "/(.*)/ $1\n", "regex:1: error: the action hangs on what a group matched"},
    {"", "From:/(.*)/ $1\n", ""},
    /* warnings */
    {"", "From:/(a+)+$/ REJECT\n", "regex:1: warning: the pattern may take exponential time"},
    {"", "From:/a/ RELAY\n", "regex:1: warning: RELAY permits nothing here"},
    {"", "From:/a/ 550 4.7.1 x\n", "regex:1: warning: reply code 550 contradicts"},
    /* an OK that people may think relays: told once */
    {RELAYING, "To:/@partner\\.test$/ OK\n", "regex:1: warning: OK does not permit relaying; "},
    {RELAYING, "From:/a/ OK\nTo:/b/ REJECT\n/c/ OK\nConnect:/d/ OK\n",
     "regex:3: warning: OK does not permit relaying (this line and 1 more)"},
    {RELAYING, "From:/a/ OK\nHelo:/a/ OK\nCompat:/a/ OK\n", ""},
    /* a RELAY for more than was meant */
    {RELAYING, "To:/@partner\\.test$/ RELAY\n", ""},
    {RELAYING, "To:/@partner\\.test\\z/ RELAY\n", ""},
    {RELAYING, "Connect:/^\\[10\\.1\\./ RELAY\n", ""},
    {RELAYING, "Connect:/\\.partner\\.test$/ RELAY\n", ""},
    {RELAYING, "To:/@partner\\.test/ RELAY\n", FOLLOWS},
    {RELAYING, "To:/@partner\\.test\\$/ RELAY\n", FOLLOWS},
    {RELAYING, "To:/@partner\\.test\\\\$/ RELAY\n", ""},
    {RELAYING, "To:/partner\\.test$/ RELAY\n", BEFORE},
    {RELAYING, "Connect:/^10\\.1\\./ RELAY\n", CLIENTS},
    {RELAYING, "Connect:/^\\[?10\\.1\\./ RELAY\n", CLIENTS},
    {RELAYING, "To:/@.*$/ RELAY\n",
     "regex:1: warning: \"user@host.stranger.invalid\" is an open relay"},
    {RELAYING, "To:!/@bad\\.test$/ RELAY\n",
     "regex:1: warning: \"user@host.stranger.invalid\" is an open"},
    {RELAYING, "Connect:/^.*$/ RELAY\n",
     "regex:1: warning: \"host.stranger.invalid\" is an open relay"},
    {RELAYING, "Connect:/^\\[/ RELAY\n", "regex:1: warning: \"[192.0.2.111]\" is an open relay"},
    /* who may not relay by others is none of a pattern's that comes first */
    {RELAYING, "To:/stranger/ REJECT\nTo:/^\\w+$/ REJECT\nTo:/@.*$/ RELAY\n", ""},
};

static void test_check_says_what_is_wrong_or_doubtful(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *said = check(cases[i].conf, cases[i].regex);

        if (strncmp(said, cases[i].said, strlen(cases[i].said)) != 0 ||
            (*cases[i].said == '\0' && *said != '\0')) {
            fail_msg("%s: %s", cases[i].regex, said);
        }
    }
}

static void test_check_says_everything(void **state)
{
    (void)state;
    check("", "From:/(/ REJECT\nFrom:/)/ REJECT\nFrom:/x/ WHAT\nno line\n");
    assert_int_equal(site.log.diag.errors, 4);
}

static void test_check_of_a_file_that_is_not_there(void **state)
{
    char path[SITE_PATH_SIZE];
    char conf[SITE_PATH_SIZE + 64];

    (void)state;
    (void)snprintf(conf, sizeof(conf), "regex = \"%s\"\n", site_path(&site, "nowhere", path));
    assert_non_null(strstr(check(conf, ""), "nowhere: error: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check_says_what_is_wrong_or_doubtful, make_site,
                                        drop_site),
        cmocka_unit_test_setup_teardown(test_check_says_everything, make_site, drop_site),
        cmocka_unit_test_setup_teardown(test_check_of_a_file_that_is_not_there, make_site,
                                        drop_site),
    };

    return cmocka_run_group_tests_name("regex_check", tests, NULL, NULL);
}
