/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `posternctl check` says of POP-before-SMTP and of Sendmail's maps. */
#include "lib/policy/pop_check.h"
#include "lib/policy/relay_check.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define STORE "relay_store { window_minutes = 60 }\n"
#define NO_SOCKETS "map_socket = \"\"\npolicy_socket = \"\"\n"
#define LIMITS "relay_store { grant_senders = \"address\" }\n"
#define TABLES                                                                                     \
    "postern.conf: warning: relay_store has limits, which a table cannot keep: the maps relayers " \
    "and relay_client say no to clients that logged in; set relay_control to \"milter\"; or have " \
    "the mail server ask policy_socket, and set map_socket to \"\"\n"
#define SOCKET "map_socket = \"/run/postern/map.sock\"\n"

enum what { CONFIG, RELAYING, SENDMAIL };

/* What is said of a postern.conf with `conf` and a sendmail.cf of `text`. */
static void expect(enum what what, const char *conf, const char *text, const char *said)
{
    char path[SITE_PATH_SIZE];
    struct site site;

    site_init(&site);
    site_conf(&site, conf);
    struct config *config = config_load(site_path(&site, "postern.conf", path), &site.log.diag);

    assert_non_null(config);
    strbuf_reset(&site.log.text);
    if (what == SENDMAIL) {
        site_write(&site, "sendmail.cf", text);
        pop_check_sendmail(config, site_path(&site, "sendmail.cf", path), &site.log.diag);
    } else if (what == CONFIG) {
        pop_check_config(config, &site.log.diag);
    } else {
        relay_check_config(config, &site.log.diag);
    }
    if (strcmp(site.log.text.data, said) != 0) {
        fail_msg("%s%s\n%s", conf, text, site.log.text.data);
    }
    config_free(&config);
    site_fini(&site);
}

static void test_settings(void **state)
{
    static const struct {
        const char *conf;
        const char *said;
    } cases[] = {
        {"", ""},
        {STORE, ""},
        {STORE "relay_control = \"milter\"\n" NO_SOCKETS, ""},
        {STORE "map_socket = \"\"\n", ""},
        {STORE "policy_socket = \"\"\n", ""},
        {NO_SOCKETS, ""}, /* nobody wants it */
        {STORE NO_SOCKETS,
         "postern.conf: warning: relay_control \"mta\" without map_socket and policy_socket: nobody "
         "relays because of a login to POP or IMAP, as the mail server cannot ask; set map_socket "
         "or policy_socket, and have the mail server ask there\n"},
        {"popauth_socket = \"/run/x.sock\"\nrelay_control = \"off\"\n",
         "postern.conf: warning: relay_control \"off\": nobody relays because of a login to POP or "
         "IMAP; set relay_control to \"mta\"\n"},
        {STORE "relay_control = \"off\"\ndaemon \"MSA\" { relay_control = \"milter\" }\n", ""},
        {STORE "popauth_socket = \"\"\n",
         "postern.conf: warning: without popauth_socket no POP or IMAP server can tell who logged "
         "in; set popauth_socket\n"},
        /* limits that cannot hold, or never do */
        {LIMITS "relay_control = \"milter\"\n", ""},
        {LIMITS "map_socket = \"\"\n", ""},
        {LIMITS, TABLES},
        {"relay_store { recipients_per_message = 10 }\n", TABLES},
        {LIMITS "relay_control = \"milter\"\ndaemon \"MTA\" { relay_control = \"mta\" }\n", TABLES},
        {"relay_control = \"milter\"\n"
         "relay_store { recipients_per_message = 11 recipients_per_hour = 10 }\n",
         "postern.conf: warning: recipients_per_message 11 is never reached: recipients_per_hour is "
         "10; make it the smaller one\n"},
        {"relay_control = \"milter\"\n"
         "relay_store { recipients_per_message = 10 recipients_per_hour = 10 }\n",
         ""},
        {"relay_control = \"milter\"\nrelay_store { recipients_per_message = 10 }\n", ""},
        {"relay_store { addresses_exceeded = \"refuse\" }\n",
         "postern.conf: warning: addresses_exceeded without addresses_per_user: no number of "
         "addresses is too many; set addresses_per_user\n"},
        {"relay_store { addresses_per_user = 3 addresses_exceeded = \"withdraw\" }\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(CONFIG, cases[i].conf, "", cases[i].said);
    }
}

/* Features that open the server matter as soon as an MTA is to ask. */
static void test_features_where_the_mta_asks(void **state)
{
    static const char said[] = "postern.conf: warning: promiscuous_relay: everybody may relay to "
                               "everywhere: an open relay; remove it from features\n";
    static const char open[] = "features = { \"promiscuous_relay\" }\n";
    char conf[256];

    (void)state;
    expect(RELAYING, open, "", "");
    (void)snprintf(conf, sizeof(conf), "%s%s", open, SOCKET);
    expect(RELAYING, conf, "", said);
    (void)snprintf(conf, sizeof(conf), "%s%s", open, NO_SOCKETS);
    expect(RELAYING, conf, "", "");
    (void)snprintf(conf, sizeof(conf), "%s%srelay_control = \"off\"\n", open, SOCKET);
    expect(RELAYING, conf, "", "");
}

static void test_sendmail(void **state)
{
#define SAID(line, name)                                                                         \
    "sendmail.cf:" line ": warning: the map " name                                               \
    " has -T: Sendmail relays for everybody when the daemon does not answer; take -T... out of " \
    "the line, or of the FEATURE in the .mc file that made it\n"
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"", ""},
        {"Kdrac socket local:/run/postern/map.sock\n", ""},
        {"Kdrac socket -T<TMPF> local:/run/postern/map.sock\n", SAID("1", "drac")},
        {"# c\n\nKdrac socket -o -T<TMPF> -d5 unix:/run/postern/map.sock\nO x=y\n",
         SAID("3", "drac")},
        {"V10/Berkeley\nKrelay_to Socket\n -T<TMPF>\n\tlocal:/run/postern/map.sock\n"
         "Krelayers socket -TX local:/run/postern/map.sock",
         SAID("2", "relay_to") SAID("5", "relayers")},
        /* a raw map must not look empty */
        {"Kaccess socket -T<TMPF> local:/run/postern/map.sock\n", ""},
        /* of somebody else */
        {"Kdrac socket -T<TMPF> local:/run/other/map.sock\n", ""},
        {"Kdrac socket -T<TMPF> inet:12345@127.0.0.1\n", ""},
        {"Kdrac hash -T<TMPF> /etc/mail/drac\n", ""},
        {"#Kdrac socket -T<TMPF> local:/run/postern/map.sock\n", ""},
        {"DKdrac socket -T<TMPF> local:/run/postern/map.sock\n", ""},
        {"K\nKdrac\nKdrac socket\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(SENDMAIL, SOCKET, cases[i].text, cases[i].said);
    }
    expect(SENDMAIL, "map_socket = \"\"\n", "Kdrac socket -T<TMPF> local:\n", "");
}

static void test_sendmail_without_a_file(void **state)
{
    char path[SITE_PATH_SIZE];
    struct site site;

    (void)state;
    site_init(&site);
    site_conf(&site, "");
    struct config *config = config_load(site_path(&site, "postern.conf", path), &site.log.diag);

    assert_non_null(config);
    pop_check_sendmail(config, site_path(&site, "none", path), &site.log.diag);
    assert_string_equal(site.log.text.data, "");
    pop_check_sendmail(config, site.folder, &site.log.diag);
    assert_string_equal(site.log.text.data, "");
    config_free(&config);
    site_fini(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_features_where_the_mta_asks),
        cmocka_unit_test(test_sendmail),
        cmocka_unit_test(test_sendmail_without_a_file),
    };

    return cmocka_run_group_tests_name("pop_check", tests, NULL, NULL);
}
