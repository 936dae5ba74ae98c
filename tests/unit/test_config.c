/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config.h"
#include "lib/policy/config_keys.h"
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

static struct config *load(struct site *site)
{
    char path[SITE_PATH_SIZE];

    return config_load(site_path(site, "postern.conf", path), &site->log.diag);
}

/* ---- what is taken ---- */

/* The manual's table of keys. */
static void test_load_empty_file_has_all_defaults(void **state)
{
    struct config *config = site_load_conf(*state, "");

    assert_non_null(config);
    assert_string_equal(config->listen, "unix:" POSTERN_RUNSTATEDIR "/milter.sock");
    assert_int_equal(config->listen_mode, 0660);
    assert_string_equal(config->listen_group, "postern");
    assert_string_equal(config->user, "postern");
    assert_string_equal(config->hostname, "");
    assert_string_equal(config->control_socket, POSTERN_RUNSTATEDIR "/control.sock");
    assert_string_equal(config->popauth_socket.path, POSTERN_RUNSTATEDIR "/popauth.sock");
    assert_string_equal(config->map_socket.path, POSTERN_RUNSTATEDIR "/map.sock");
    assert_string_equal(config->policy_socket.path, POSTERN_RUNSTATEDIR "/policy.sock");
    assert_false(config->popauth_socket.was_set || config->map_socket.was_set ||
                 config->policy_socket.was_set);
    assert_string_equal(config->popauth_group, "postern");
    assert_string_equal(config->relay_store.file, POSTERN_STATEDIR "/relayers.gdbm");
    assert_int_equal(config->relay_store.terms.window_minutes, 0);
    assert_int_equal(config->relay_store.terms.max_entries, 100000);
    assert_int_equal(config->relay_store.terms.ipv6_prefix_bits, 128);
    assert_false(config->relay_store.was_set);
    assert_string_equal(config->access, POSTERN_SYSCONFDIR "/access");
    assert_int_equal(config->local_domains.count, 0);
    assert_int_equal(config->local_mailers.count, 2);
    assert_string_equal(config->local_mailers.items[0], "local");
    assert_string_equal(config->local_mailers.items[1], "virtual");
    assert_null(config->local_mailers.items[2]);
    assert_int_equal(config->trust_auth_mech.count, 0);
    assert_null(config->trust_auth_mech.items[0]);
    assert_int_equal(config->features, 0);
    assert_int_equal(config->relay_control, RELAY_CONTROL_MTA);
    assert_int_equal(config->reject.code, 550);
    assert_string_equal(config->reject.dsn, "5.7.1");
    assert_string_equal(config->reject.text, "Access denied");
    assert_int_equal(config->recipient_reject.code, 550);
    assert_string_equal(config->recipient_reject.dsn, "5.2.1");
    assert_string_equal(config->recipient_reject.text, "Mailbox disabled for this recipient");
    assert_string_equal(config->log_facility, "mail");
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    config_free(&config);
    assert_null(config);
}

static void test_load_takes_each_key(void **state)
{
    struct site *site = *state;
    struct config *config = site_load_conf(site,
                                           "# a comment\n"
                                           "listen = \"inet:8899@127.0.0.1\"\n"
                                           "listen_mode = \"0600\"\n"
                                           "listen_group = \"mail\"\n"
                                           "user = \"nobody\"\n"
                                           "pid_file = \"/run/x.pid\"\n"
                                           "hostname = \"mx.example.org\"\n"
                                           "control_socket = \"\"\n"
                                           "access = \"/tmp/a\"\n"
                                           "spammers = \"/tmp/s\"\n"
                                           "local_host_names = \"/tmp/w\"\n"
                                           "relay_domains = \"/tmp/r\"\n"
                                           "local_domains = { \"a.test\", \"b.test\" }\n"
                                           "local_mailers = { \"lmtp\" }\n"
                                           "trust_auth_mech = { \"PLAIN\", LOGIN }\n"
                                           "features = { \"delay_checks\" }\n"
                                           "relay_control = \"off\"\n"
                                           "reject_message = \"550 5.7.9 No\"\n"
                                           "recipient_reject_message = \"551 Gone\"\n"
                                           "log { facility = \"local3\"  level = \"debug\" }\n");

    assert_string_equal(site->log.text.data, "");
    assert_non_null(config);
    assert_string_equal(config->listen, "inet:8899@127.0.0.1");
    assert_int_equal(config->listen_mode, 0600);
    assert_string_equal(config->listen_group, "mail");
    assert_string_equal(config->user, "nobody");
    assert_string_equal(config->pid_file, "/run/x.pid");
    assert_string_equal(config->hostname, "mx.example.org");
    assert_string_equal(config->control_socket, "");
    assert_string_equal(config->access, "/tmp/a");
    assert_string_equal(config->spammers, "/tmp/s");
    assert_string_equal(config->local_host_names, "/tmp/w");
    assert_string_equal(config->relay_domains, "/tmp/r");
    assert_int_equal(config->local_domains.count, 2);
    assert_string_equal(config->local_domains.items[1], "b.test");
    assert_int_equal(config->local_mailers.count, 1);
    assert_string_equal(config->local_mailers.items[0], "lmtp");
    assert_int_equal(config->trust_auth_mech.count, 2);
    assert_string_equal(config->trust_auth_mech.items[1], "LOGIN");
    assert_int_equal(config->features, FEATURE_DELAY_CHECKS);
    assert_int_equal(config->relay_control, RELAY_CONTROL_OFF);
    assert_string_equal(config->reject.dsn, "5.7.9");
    assert_int_equal(config->recipient_reject.code, 551);
    assert_string_equal(config->recipient_reject.dsn,
                        "5.2.1"); /* stays unless the text has its own */
    assert_string_equal(config->recipient_reject.text, "Gone");
    assert_string_equal(config->log_facility, "local3");
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    config_free(&config);
}

/* Names as Sendmail's FEATUREs; each has a bit of its own, and some imply others. */
static void test_feature_parse_knows_each_name(void **state)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } cases[] = {
        {"accept_unqualified_senders", FEATURE_ACCEPT_UNQUALIFIED_SENDERS},
        {"accept_unresolvable_domains", FEATURE_ACCEPT_UNRESOLVABLE_DOMAINS},
        {"badmx", FEATURE_BADMX},
        {"block_bad_helo", FEATURE_BLOCK_BAD_HELO},
        {"blocklist_recipients", FEATURE_BLOCKLIST_RECIPIENTS},
        {"blacklist_recipients", FEATURE_BLACKLIST_RECIPIENTS | FEATURE_BLOCKLIST_RECIPIENTS},
        {"compat_check", FEATURE_COMPAT_CHECK},
        {"delay_checks", FEATURE_DELAY_CHECKS},
        {"delay_checks_friend", FEATURE_DELAY_CHECKS_FRIEND | FEATURE_DELAY_CHECKS},
        {"delay_checks_hater", FEATURE_DELAY_CHECKS_HATER | FEATURE_DELAY_CHECKS},
        {"lookupdotdomain", FEATURE_LOOKUPDOTDOMAIN},
        {"loose_relay_check", FEATURE_LOOSE_RELAY_CHECK},
        {"nopercenthack_nospecial", FEATURE_NOPERCENTHACK_NOSPECIAL},
        {"nopercenthack_reject", FEATURE_NOPERCENTHACK_REJECT},
        {"nouucp_nospecial", FEATURE_NOUUCP_NOSPECIAL},
        {"nouucp_reject", FEATURE_NOUUCP_REJECT},
        {"promiscuous_relay", FEATURE_PROMISCUOUS_RELAY},
        {"relay_based_on_MX", FEATURE_RELAY_BASED_ON_MX},
        {"relay_entire_domain", FEATURE_RELAY_ENTIRE_DOMAIN},
        {"relay_hosts_only", FEATURE_RELAY_HOSTS_ONLY},
        {"relay_local_from", FEATURE_RELAY_LOCAL_FROM},
        {"relay_mail_from", FEATURE_RELAY_MAIL_FROM},
        {"relay_mail_from_domain", FEATURE_RELAY_MAIL_FROM_DOMAIN | FEATURE_RELAY_MAIL_FROM},
        {"relaytofulladdress", FEATURE_RELAYTOFULLADDRESS},
        {"require_rdns", FEATURE_REQUIRE_RDNS},
        {"skip", FEATURE_SKIP},
        {"use_client_ptr", FEATURE_USE_CLIENT_PTR},
    };
    uint32_t all = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t bits = 0;

        assert_true(config_feature_parse(cases[i].name, &bits));
        assert_int_equal(bits, cases[i].bits);
        assert_true((bits & ~all) != 0); /* something new */
        all |= bits;
    }
    assert_int_equal(__builtin_popcount(all), COUNT(cases));

    uint32_t bits = 0;

    assert_true(config_feature_parse("Delay_Checks", &bits));
    assert_false(config_feature_parse("delay_check", &bits));
    assert_false(config_feature_parse("", &bits));
}

static void test_load_adds_up_features(void **state)
{
    struct config *config = site_load_conf(
        *state,
        "features = { \"require_rdns\", delay_checks_hater, accept_unresolvable_domains }\n");

    assert_non_null(config);
    assert_true(config_has(config, FEATURE_REQUIRE_RDNS));
    assert_true(config_has(config, FEATURE_DELAY_CHECKS));
    assert_true(config_has(config, FEATURE_DELAY_CHECKS_HATER));
    assert_false(config_has(config, FEATURE_DELAY_CHECKS_FRIEND));
    assert_false(config_has(config, FEATURE_BLOCKLIST_RECIPIENTS));
    config_free(&config);
}

/* ---- what is refused, with file and line ---- */

static const struct bad_case {
    const char *name;
    const char *text;
    const char *expected;
} bad_cases[] = {
    {"unknown key", "user = \"nobody\"\n\nusr = \"nobody\"\n",
     "postern.conf:3: error: no such option 'usr'\n"},
    {"unknown key in a section", "log {\n  facility = \"mail\"\n  colour = \"red\"\n}\n",
     "postern.conf:3: error: no such option 'colour'\n"},
    {"unknown section", "\nlogging { level = \"info\" }\n",
     "postern.conf:2: error: no such option 'logging'\n"},
    {"the hidden option", "\" diag\" = 1\n", NULL},
    {"unknown feature", "features = { \"delay_checks\",\n \"delay_check\" }\n",
     "postern.conf:2: error: features: there is no \"delay_check\"; postern.conf(5) lists them\n"},
    {"unknown feature, later in the file", "\n\n\nfeatures = { \"spf\" }\n",
     "postern.conf:4: error: features: there is no \"spf\"; postern.conf(5) lists them\n"},
    {"list where a text is wanted", "\nuser = { \"a\", \"b\" }\n", NULL},
    {"text where a section is wanted", "\nlog = \"mail\"\n", NULL},
    {"missing value", "user =\n", NULL},
    {"missing sign", "user \"nobody\"\n", NULL},
    {"list that does not end", "features = { \"skip\"\n", NULL},
    {"quote that does not end", "user = \"nobody\n", NULL},
    {"relative path", "\naccess = \"access\"\n",
     "postern.conf:2: error: access: \"access\" must be an absolute path, or \"\" for none\n"},
    {"relative path of a list", "relay_domains = \"x\"\n",
     "postern.conf:1: error: relay_domains: \"x\" must be an absolute path, or \"\" for none\n"},
    {"relative control socket", "control_socket = \"control.sock\"\n",
     "postern.conf:1: error: control_socket: \"control.sock\" must be an absolute path, or \"\" for "
     "none\n"},
    {"control socket whose path is too long",
     "control_socket = \"/1234567890/1234567890/1234567890/1234567890/1234567890/1234567890/1234567890"
     "/1234567890/1234567890/12\"\n",
     "postern.conf:1: error: control_socket: the path of a socket has at most 100 bytes\n"},
    {"relative path of another socket", "popauth_socket = \"popauth.sock\"\n",
     "postern.conf:1: error: popauth_socket: \"popauth.sock\" must be an absolute path, or \"\" for "
     "none\n"},
    {"store without a file", "relay_store {\n  file = \"\"\n}\n",
     "postern.conf:2: error: file: write the absolute path of the file that keeps the addresses\n"},
    {"store with a relative path", "relay_store { file = \"relayers.gdbm\" }\n", NULL},
    {"store of no such kind", "relay_store { backend = \"mysql\" }\n",
     "postern.conf:1: error: backend: \"mysql\" is none of \"gdbm\", \"redis\"\n"},
    {"window that is negative", "relay_store {\n  window_minutes = -1\n}\n",
     "postern.conf:2: error: window_minutes: -1 is not between 0 and 52560000\n"},
    {"store for nothing", "relay_store { max_entries = 0 }\n",
     "postern.conf:1: error: max_entries: 0 is not between 1 and 100000000\n"},
    {"networks of more than one site", "relay_store { ipv6_prefix_bits = 47 }\n",
     "postern.conf:1: error: ipv6_prefix_bits: 47 is not between 48 and 128\n"},
    {"more bits than there are", "relay_store { ipv6_prefix_bits = 129 }\n", NULL},
    {"relative path of a rule file", "regex = \"regex\"\n",
     "postern.conf:1: error: regex: \"regex\" must be an absolute path, or \"\" for none\n"},
    {"listen without a kind", "listen = \"/run/milter.sock\"\n",
     "postern.conf:1: error: listen: \"/run/milter.sock\": write unix:/path, inet:port@host or "
     "inet6:port@host\n"},
    {"listen on nothing", "listen = \"\"\n", NULL},
    {"listen on a relative path", "listen = \"unix:milter.sock\"\n", NULL},
    {"listen on port 0", "listen = \"inet:0@127.0.0.1\"\n", NULL},
    {"listen on port 65536", "listen = \"inet:65536@127.0.0.1\"\n", NULL},
    {"listen without a port", "listen = \"inet:@127.0.0.1\"\n", NULL},
    {"listen without a host", "listen = \"inet:8899@\"\n", NULL},
    {"mode that is not octal", "listen_mode = \"0668\"\n",
     "postern.conf:1: error: listen_mode: \"0668\" is no octal mode such as \"0660\"\n"},
    {"mode with special bits", "listen_mode = \"4755\"\n", NULL},
    {"mode that is empty", "listen_mode = \"\"\n", NULL},
    {"relay_control of no such kind", "relay_control = \"on\"\n",
     "postern.conf:1: error: relay_control: \"on\" is none of \"mta\", "
     "\"milter\", \"off\"\n"},
    {"reply without a code", "reject_message = \"Access denied\"\n",
     "postern.conf:1: error: reject_message: \"Access denied\": write a reply with its code, such "
     "as \"550 5.7.1 Access denied\"\n"},
    {"reply with the code of a success", "recipient_reject_message = \"250 OK\"\n", NULL},
    {"reply without a text", "reject_message = \"550 5.7.1\"\n", NULL},
    {"reply that is empty", "reject_message = \"\"\n", NULL},
    {"relay_message without a code", "relay_message = \"No\"\n", NULL},
    {"facility", "log { facility = \"post\" }\n",
     "postern.conf:1: error: facility: \"post\" is unknown; write mail, daemon, auth, user or local0 "
     "to local7\n"},
    {"level", "log {\n level = \"loud\"\n}\n",
     "postern.conf:2: error: level: \"loud\" is none of error, warning, info, debug\n"},
    /* what this version would silently not do */
    {"daemon with an unknown key", "daemon \"MSA\" {\n  require_tls = true\n}\n", NULL},
    {"daemon with a wrong relay_control", "daemon \"MSA\" {\n  relay_control = \"on\"\n}\n",
     "postern.conf:2: error: relay_control: \"on\" is none of \"mta\", \"milter\", \"off\"\n"},
    {"daemon twice", "daemon \"MSA\" { }\ndaemon \"MSA\" { }\n", NULL},
    {"relay_by_certificate of no such kind", "relay_by_certificate = \"any\"\n",
     "postern.conf:1: error: relay_by_certificate: \"any\" is neither \"dn\" nor \"cn\"\n"},
    {"a section that is not closed", "user = \"a\"\nlog {\n  level = \"debug\"\n",
     "postern.conf:3: error: the section log is not closed: its } is missing; close each section "
     "with a }\n"},
    {"the last line without its end", "relay_store { window_minutes = 3 # }",
     "postern.conf:1: error: the section relay_store is not closed: its } is missing; close each "
     "section with a }\n"},
    {"a listener that is not closed", "daemon \"MSA\" {\n  features = { \"skip\" }\n",
     "postern.conf:2: error: the section daemon \"MSA\" is not closed: its } is missing; close each "
     "section with a }\n"},
    {"value that is missing", "user =\n", NULL},
    {"log twice", "log { level = \"debug\" }\nuser = \"a\"\nlog {\n  level = \"info\"\n}\n",
     "postern.conf:5: error: the section log that ends here is the second one; write all its keys "
     "into one\n"},
    {"a quote too many", "user = \"a\"\"\n", NULL},
    {"an apostrophe too many", "user = \"a\"'\n", NULL},
    {"comment without an end", "user = \"a\" /* b\n", NULL},
    {"wrong key behind comments",
     "# a \"\nuser = \"a # b\" # '\n#\n# c\nlog {# d\n} # e\nusr = 1\n",
     "postern.conf:7: error: no such option 'usr'\n"},
    {"relay_store twice", "relay_store { }\nrelay_store { }\n", NULL},
    {"no number", "dns { timeout_ms = \"soon\" }\n",
     "postern.conf:1: error: invalid integer value for option 'timeout_ms'\n"},
};

static void test_load_refuses_with_file_and_line(void **state)
{
    struct site *site = *state;

    for (size_t i = 0; i < COUNT(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct config *config = site_load_conf(site, c->text);

        if (config != NULL) {
            fail_msg("%s: taken", c->name);
        }
        if (site->log.diag.errors == 0) {
            fail_msg("%s: refused without a word", c->name);
        }
        if (strncmp(site->log.text.data, "postern.conf:", strlen("postern.conf:")) != 0) {
            fail_msg("%s: no file and line: %s", c->name, site->log.text.data);
        }
        if (c->expected != NULL && strcmp(site->log.text.data, c->expected) != 0) {
            fail_msg("%s: %s", c->name, site->log.text.data);
        }
        site->log.diag.errors = 0;
        strbuf_reset(&site->log.text);
    }
}

static void test_load_refuses_a_title_that_is_there_twice(void **state)
{
    struct site *site = *state;

    assert_null(site_load_conf(site, "dnsbl \"a.test\" { }\ndnsbl \"a.test\" { }\n"));
    assert_int_not_equal(site->log.diag.errors, 0);
}

static void test_load_keeps_the_paths_of_patterns(void **state)
{
    struct site *site = *state;
    struct config *config = site_load_conf(site,
                                           "regex = \"/x/regex\"\nheader_checks = \"/x/headers\"\n"
                                           "mime_header_checks = \"/x/mime\"\n");

    assert_non_null(config);
    assert_string_equal(config->regex, "/x/regex");
    assert_string_equal(config->header_checks, "/x/headers");
    assert_string_equal(config->mime_header_checks, "/x/mime");
    assert_string_equal(site->log.text.data, "");
    config_free(&config);
}

static void test_load_takes_the_store_and_its_sockets(void **state)
{
    struct config *config = site_load_conf(
        *state, "popauth_socket = \"/run/x/popauth.sock\"\n"
                "popauth_group = \"dovecot\"\n"
                "map_socket = \"\"\n"
                "relay_store { backend = \"gdbm\"  file = \"/srv/r.gdbm\"\n"
                "  window_minutes = 60  max_entries = 7  ipv6_prefix_bits = 64 }\n");

    assert_non_null(config);
    assert_string_equal(config->popauth_socket.path, "/run/x/popauth.sock");
    assert_true(config->popauth_socket.was_set);
    assert_string_equal(config->popauth_group, "dovecot");
    assert_string_equal(config->map_socket.path, "");
    assert_true(config->map_socket.was_set);
    assert_false(config->policy_socket.was_set);
    assert_string_equal(config->relay_store.file, "/srv/r.gdbm");
    assert_int_equal(config->relay_store.terms.window_minutes, 60);
    assert_int_equal(config->relay_store.terms.max_entries, 7);
    assert_int_equal(config->relay_store.terms.ipv6_prefix_bits, 64);
    assert_true(config->relay_store.was_set);
    config_free(&config);
}

static void test_load_takes_rule_keys_that_are_empty(void **state)
{
    struct site *site = *state;
    struct config *config = site_load_conf(site, "regex = \"\"\nheader_checks = \"\"\n"
                                                 "mime_header_checks = \"\"\nmap_socket = \"\"\n");

    assert_non_null(config);
    assert_string_equal(site->log.text.data, "");
    assert_string_equal(config->regex, "");
    assert_string_equal(config->header_checks, "");
    assert_string_equal(config->mime_header_checks, "");
    config_free(&config);
}

static void test_load_of_a_file_that_is_not_there(void **state)
{
    struct site *site = *state;

    assert_null(load(site));
    assert_string_equal(site->log.text.data,
                        "postern.conf: error: cannot be read: No such file or directory; name "
                        "another file with -c FILE or in POSTERN_CONF\n");
}

static void test_load_of_a_folder(void **state)
{
    struct site *site = *state;
    char path[SITE_PATH_SIZE];

    assert_int_equal(mkdir(site_path(site, "postern.conf", path), 0755), 0);
    assert_null(load(site));
    assert_string_equal(site->log.text.data,
                        "postern.conf: error: cannot be read: Is a directory; name another file "
                        "with -c FILE or in POSTERN_CONF\n");
}

/* A default file that does not exist means "none"; one that was named must be there, and its reader says so. */
static void test_load_keeps_optional_paths_that_were_named(void **state)
{
    struct site *site = *state;
    struct config *config = site_load_conf(site, "spammers = \"/nonexistent/spammers\"\n"
                                                 "relay_domains = \"/nonexistent/relay\"\n");

    assert_non_null(config);
    assert_string_equal(config->spammers, "/nonexistent/spammers");
    assert_string_equal(config->relay_domains, "/nonexistent/relay");
    config_free(&config);
}

static void test_default_path_is_the_environment_or_sysconfdir(void **state)
{
    const char *kept = getenv("POSTERN_CONF");
    char *copy = kept == NULL ? NULL : strdup(kept);

    (void)state;
    assert_int_equal(setenv("POSTERN_CONF", "/x/y.conf", 1), 0);
    assert_string_equal(config_default_path(), "/x/y.conf");
    assert_int_equal(setenv("POSTERN_CONF", "", 1), 0);
    assert_string_equal(config_default_path(), POSTERN_SYSCONFDIR "/postern.conf");
    assert_int_equal(unsetenv("POSTERN_CONF"), 0);
    assert_string_equal(config_default_path(), POSTERN_SYSCONFDIR "/postern.conf");
    if (copy != NULL) {
        assert_int_equal(setenv("POSTERN_CONF", copy, 1), 0);
        free(copy);
    }
}

static void test_map_path_lies_beside_the_text(void **state)
{
    char *path = config_map_path("/etc/postern/access");

    (void)state;
    assert_string_equal(path, "/etc/postern/access.gdbm");
    free(path);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(test_load_empty_file_has_all_defaults),
        WITH_SITE(test_load_takes_each_key),
        cmocka_unit_test(test_feature_parse_knows_each_name),
        WITH_SITE(test_load_adds_up_features),
        WITH_SITE(test_load_refuses_with_file_and_line),
        WITH_SITE(test_load_refuses_a_title_that_is_there_twice),
        WITH_SITE(test_load_keeps_the_paths_of_patterns),
        WITH_SITE(test_load_takes_rule_keys_that_are_empty),
        WITH_SITE(test_load_takes_the_store_and_its_sockets),
        WITH_SITE(test_load_of_a_file_that_is_not_there),
        WITH_SITE(test_load_of_a_folder),
        WITH_SITE(test_load_keeps_optional_paths_that_were_named),
        cmocka_unit_test(test_default_path_is_the_environment_or_sysconfdir),
        cmocka_unit_test(test_map_path_lies_beside_the_text),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
