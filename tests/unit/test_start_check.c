/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `postern -t` and `posternctl check` say of settings that a start fails on. */
#include "lib/policy/start_check.h"
#include "lib/relay/relay_redis_tls.h"
#include "lib/relay/relay_store_redis.h"
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
#define NO_ACCOUNTS "user = \"\"\nlisten_group = \"\"\npopauth_group = \"\"\n"

/*
 * What is said of a postern.conf with `conf`, where each @ stands for the folder of the site: there are a file "file", a folder
 * "sub", a folder "open" for everybody with a file "mine", "link", another name of the access file, "pointer", a symbolic link, "blank", whose
 * first line is empty, and "secret" with its mode.
 */
static void expect_with(const char *conf, mode_t secret_mode, bool as_root, const char *said)
{
    char path[SITE_PATH_SIZE];
    char other[SITE_PATH_SIZE];
    struct strbuf text;
    struct site site;

    site_init(&site);
    site_write(&site, "file", "");
    site_write(&site, "access", "");
    site_write(&site, "secret", "hush");
    assert_int_equal(chmod(site_path(&site, "secret", path), secret_mode), 0);
    site_write(&site, "blank", "\nhush\n");
    assert_int_equal(chmod(site_path(&site, "blank", path), 0600), 0);
    assert_int_equal(mkdir(site_path(&site, "sub", path), 0755), 0);
    assert_int_equal(symlink("file", site_path(&site, "pointer", path)), 0);
    assert_int_equal(mkdir(site_path(&site, "open", path), 0755), 0);
    assert_int_equal(chmod(path, 0777), 0); /* whatever the umask is */
    site_write(&site, "open/mine", "");
    assert_int_equal(chmod(site_path(&site, "open/mine", path), 0600), 0);
    assert_int_equal(link(site_path(&site, "access", path), site_path(&site, "link", other)), 0);
    strbuf_init(&text);
    strbuf_append(&text, NO_ACCOUNTS);
    for (const char *c = conf; *c != '\0'; c++) {
        strbuf_appendf(&text, *c == '@' ? "%s" : "%.1s", *c == '@' ? site.folder : c);
    }
    site_conf(&site, text.data);
    strbuf_fini(&text);
    struct config *config = config_load(site_path(&site, "postern.conf", path), &site.log.diag);

    if (config == NULL) {
        fail_msg("%s\n%s", conf, site.log.text.data);
    }
    strbuf_reset(&site.log.text);
    start_check(config, as_root, &site.log.diag);
    if (strcmp(site.log.text.data, said) != 0) {
        fail_msg("%s\n%s", conf, site.log.text.data);
    }
    config_free(&config);
    site_fini(&site);
}

static void expect(const char *conf, bool as_root, const char *said)
{
    expect_with(conf, 0600, as_root, said);
}

static void test_defaults(void **state)
{
    (void)state;
    expect("", true, "");
    expect("", false, "");
}

static void test_accounts(void **state)
{
#define NO_GROUP(level, key)                                                                \
    "postern.conf: " level ": " key " = \"no-such-group\": there is no such group; create " \
    "it, or name another group; \"\" is the daemon's own\n"

    (void)state;
    expect("user = \"root\"\nlisten_group = \"root\"\npopauth_group = \"0\"\n", true, "");
    expect(
        "user = \"no-such-user\"\n", true,
        "postern.conf: error: user = \"no-such-user\": there is no such user; create it, or name "
        "the user who shall run the daemon\n");
    expect("user = \"no-such-user\"\n", false, ""); /* who is not root stays who he is */
    expect("listen_group = \"no-such-group\"\n", true, NO_GROUP("error", "listen_group"));
    expect("listen_group = \"no-such-group\"\n", false, NO_GROUP("warning", "listen_group"));
    expect("popauth_socket = \"@/p\"\npopauth_group = \"no-such-group\"\n", true,
           NO_GROUP("error", "popauth_group"));
    expect("popauth_group = \"no-such-group\"\n", true, NO_GROUP("warning", "popauth_group"));
    expect("popauth_socket = \"\"\npopauth_group = \"no-such-group\"\n", true, "");
    /* ours is made by the installation, perhaps later */
    expect("user = \"postern\"\nlisten_group = \"postern\"\n", true, "");
}

static void test_sockets_that_meet(void **state)
{
#define SAME(level, one, two, path)                                                         \
    "postern.conf: " level ": " one " and " two " have the same path, " path "; give each " \
    "socket a path of its own\n"

    (void)state;
    expect("listen = \"unix:@/a\"\ncontrol_socket = \"@/b\"\nmap_socket = \"@/c\"\n"
           "popauth_socket = \"@/d\"\npolicy_socket = \"@/e\"\n",
           true, "");
    expect("listen = \"local:@/a\"\ncontrol_socket = \"@/a\"\n", false,
           SAME("error", "listen", "control_socket", "a"));
    expect("map_socket = \"@/a\"\npolicy_socket = \"@/a\"\n", false,
           SAME("error", "map_socket", "policy_socket", "a"));
    expect("listen = \"unix:@/a\"\npopauth_socket = \"@/a\"\npolicy_socket = \"@/a\"\n", false,
           SAME("error", "listen", "popauth_socket", "a")
               SAME("error", "listen", "policy_socket", "a"));
    /* the daemon does without a default that comes later, but one that comes earlier is in the way */
    expect("map_socket = \"" POSTERN_RUNSTATEDIR "/policy.sock\"\n", false,
           SAME("warning", "map_socket", "policy_socket", POSTERN_RUNSTATEDIR "/policy.sock"));
    expect("map_socket = \"" POSTERN_RUNSTATEDIR "/popauth.sock\"\n", false,
           SAME("error", "popauth_socket", "map_socket", POSTERN_RUNSTATEDIR "/popauth.sock"));
    expect("control_socket = \"\"\nmap_socket = \"\"\npolicy_socket = \"\"\n", false, "");
}

static void test_places_of_sockets(void **state)
{
#define NO_FOLDER(level, key, folder, why)                                                         \
    "postern.conf: " level ": " key ": the folder " folder " " why "; create the folder, or name " \
    "another path\n"

    (void)state;
    expect("listen = \"unix:@/none/a\"\n", false,
           NO_FOLDER("warning", "listen", "none", "does not exist"));
    expect("listen = \"inet:8899\"\n", false, "");
    expect("control_socket = \"@/file/a\"\n", false,
           NO_FOLDER("error", "control_socket", "file", "is no folder"));
    expect("popauth_socket = \"@/none/a\"\n", false,
           NO_FOLDER("warning", "popauth_socket", "none", "does not exist"));
    expect("map_socket = \"@/none/a\"\n", false,
           NO_FOLDER("warning", "map_socket", "none", "does not exist"));
    expect("policy_socket = \"@/sub/a\"\n", false, "");
    /* service managers make that one */
    expect("map_socket = \"" POSTERN_RUNSTATEDIR "/a\"\n", false, "");
    expect("map_socket = \"@/file\"\n", false,
           "postern.conf: error: map_socket: file exists and is not a socket; remove it, or name "
           "another path\n");
    expect(
        "listen = \"unix:/tmp/"
        "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
        "9012345678901234567890\"\n",
        false, "postern.conf: error: listen: the path of a socket has at most 107 bytes\n");
}

static void test_the_file_of_the_store(void **state)
{
#define STORE(file) "relay_store { file = \"" file "\" }\n"
#define OF(file, key)                                                                            \
    "postern.conf: error: relay_store.file: " file " is the file of " key "; give it a file of " \
    "its own\n"
#define USER_NOBODY "user = \"nobody\"\n"
#define NOBODY ": nobody relays because of a login to POP or IMAP; "

    (void)state;
    expect(STORE("@/relayers.gdbm"), false, "");
    expect(STORE("@/file"), false, "");
    expect(STORE("@/none/relayers.gdbm"), false,
           "postern.conf: warning: relay_store.file: the folder none does not exist" NOBODY
           "create the folder, and give it to the user of the daemon\n");
    expect(STORE("@/sub"), false,
           "postern.conf: warning: relay_store.file: sub is no file" NOBODY "name a file\n");
    expect(STORE("@/pointer"), false,
           "postern.conf: warning: relay_store.file: pointer is a symbolic link" NOBODY
           "name the file itself\n");
    expect(STORE("@/open/file"), false,
           "postern.conf: warning: relay_store.file: everybody can write into the folder open: who "
           "puts another file there relays; take that away: chmod o-w FOLDER\n");
    if (geteuid() == 0) {
        expect(USER_NOBODY STORE("@/sub/file"), true,
               "postern.conf: warning: relay_store.file: the folder sub cannot be written by the "
               "user of the daemon, nobody" NOBODY "give the folder to that user\n");
        expect(
            USER_NOBODY STORE("@/open/mine"), true,
            "postern.conf: warning: relay_store.file: open/mine cannot be written by the user of "
            "the daemon, nobody" NOBODY "give it to that user\n"
            "postern.conf: warning: relay_store.file: everybody can write into the folder open: "
            "who puts another file there relays; take that away: chmod o-w FOLDER\n");
        expect(USER_NOBODY STORE("@/sub/file"), false, "");
    }
    expect(STORE("@/access"), false, OF("access", "access"));
    expect(STORE("@/link"), false, OF("link", "access"));
    expect(STORE("@/access.gdbm"), false, OF("access.gdbm", "access"));
    expect(STORE("@/spammers.gdbm"), false, OF("spammers.gdbm", "spammers"));
    expect(STORE("@/relay-domains"), false, OF("relay-domains", "relay_domains"));
    expect(STORE("@/postern.conf"), false, OF("postern.conf", "postern.conf"));
}

static void test_the_password_of_a_redis_server(void **state)
{
#define REDIS(keys) "relay_store {\n  backend = \"redis\"\n  " keys "\n}\n"
#define PASSWORD_OF(conf, mode, said)                                                            \
    expect_with(conf "relay_store { backend = \"redis\" redis_password_file = \"@/secret\" }\n", \
                mode, true, said)
#define FAULT(text) "postern.conf: error: relay_store.redis_password_file: secret: " text "\n"

    (void)state;
    if (relay_store_redis_lacks(NULL) != NULL) {
        skip();
    }
    expect(REDIS(""), true, "");
    expect(REDIS("file = \"@/none/relayers.gdbm\""), true, ""); /* of the other back end */
    expect(REDIS("redis_password_file = \"@/none\""), true,
           "postern.conf: error: relay_store.redis_password_file: none: No such file or directory; "
           "create it, with the password in its first line\n");
    expect(REDIS("redis_ca_file = \"@/none\""), true,
           "postern.conf: error: relay_store.redis_ca_file: none: No such file or directory; name "
           "the file with the certificate of the authority that the server's is from\n");
    expect(REDIS("redis_password_file = \"@/sub\""), true,
           "postern.conf: error: relay_store.redis_password_file: sub: is no regular file\n");
    expect(
        REDIS("redis_password_file = \"@/blank\""), true,
        "postern.conf: error: relay_store.redis_password_file: blank: its first line is empty; write "
        "the password into its first line\n");
    if (relay_redis_tls_is_built()) {
        expect(
            REDIS("redis_url = \"rediss://localhost\"  redis_ca_file = \"@/secret\""), true,
            "postern.conf: error: relay_store.redis_ca_file: TLS: the certificates of secret cannot be read: no "
            "certificate or crl found; name the file with the certificate of the authority that the server's is "
            "from\n");
    }
    PASSWORD_OF("", 0600, "");
    PASSWORD_OF("", 0640, "");
    PASSWORD_OF("", 0644, FAULT("is open to everybody; take that away: chmod o= FILE"));
    PASSWORD_OF("", 0601, FAULT("is open to everybody; take that away: chmod o= FILE"));
    PASSWORD_OF("", 0660, FAULT("can be written by its group; take that away: chmod g-w FILE"));
    if (geteuid() == 0) {
        PASSWORD_OF("user = \"nobody\"\n", 0640,
                    "postern.conf: error: relay_store.redis_password_file: secret: the user of the "
                    "daemon, nobody, cannot read it; give the file to that user, or to a group of "
                    "his, who may read it\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_sockets_that_meet),
        cmocka_unit_test(test_places_of_sockets),
        cmocka_unit_test(test_the_file_of_the_store),
        cmocka_unit_test(test_the_password_of_a_redis_server),
    };

    return cmocka_run_group_tests_name("start_check", tests, NULL, NULL);
}
