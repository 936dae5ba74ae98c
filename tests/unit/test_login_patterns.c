/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What logs tell about logins: the installed patterns on lines of each server, good and forged, and what a file of patterns may hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/xalloc.h"
#include "lib/relay/login_patterns.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG_TEXT 4096

static const char *source(const char *name, char *out, size_t size)
{
    const char *folder = getenv("POSTERN_SOURCE");

    (void)snprintf(out, size, "%s/%s", folder != NULL ? folder : ".", name);
    return out;
}

static struct login_patterns *installed(void)
{
    char path[LONG_TEXT];
    struct diag diag;

    diag_init(&diag, diag_to_stream, stderr);
    struct login_patterns *patterns = login_patterns_load(
        source("conf/login-patterns", path, sizeof(path)), &diag);

    assert_non_null(patterns);
    assert_int_equal(diag.warnings, 0);
    return patterns;
}

static const char *or_dash(const char *text)
{
    return *text == '\0' ? "-" : text;
}

/* What a line tells, as the @ lines of login_lines.txt have it. */
static void describe(struct login_patterns *patterns, const char *line, size_t len, char *out,
                     size_t size)
{
    char key[RELAY_KEY_SIZE];
    struct login_found found;
    const char *why = NULL;

    switch (login_patterns_find(patterns, line, len, &found, &why)) {
    case STATUS_OK:
        assert_true(found.line > 0);
        (void)snprintf(out, size, "%s %s %s %s %s", found.is_logout ? "logout" : "login",
                       found.addr.family == NETADDR_NONE ? "-" : relay_entry_key(&found.addr, key),
                       or_dash(found.user), or_dash(found.service), or_dash(found.session));
        break;
    case STATUS_NOTFOUND:
        (void)snprintf(out, size, "nothing");
        break;
    case STATUS_INVALID:
        assert_non_null(why);
        assert_true(found.line > 0);
        (void)snprintf(out, size, "invalid");
        break;
    default:
        (void)snprintf(out, size, "failed: %s", why);
    }
}

static void test_installed_lines_of_all_servers(void **state)
{
    struct login_patterns *patterns = installed();
    char path[LONG_TEXT];
    char expected[LONG_TEXT] = "";
    char said[LONG_TEXT];
    char *line = NULL;
    size_t size = 0;
    size_t lines = 0;
    size_t wrong = 0;
    ssize_t len;
    FILE *file = fopen(source("tests/unit/login_lines.txt", path, sizeof(path)), "r");

    (void)state;
    assert_non_null(file);
    while ((len = getline(&line, &size, file)) > 0) {
        line[--len] = '\0';
        if (len == 0 || *line == '#') {
            continue;
        }
        if (*line == '@') {
            (void)snprintf(expected, sizeof(expected), "%s", line + 2);
            continue;
        }
        lines++;
        describe(patterns, line, (size_t)len, said, sizeof(said));
        if (strcmp(said, expected) != 0) {
            print_error("%s\n    is:        %s\n    should be: %s\n", line, said, expected);
            wrong++;
        }
    }
    free(line);
    (void)fclose(file);
    assert_true(lines > 100);
    assert_int_equal(wrong, 0);
    login_patterns_free(&patterns);
}

/*
 * Whatever a user name holds, the address that is learned is the one that the server wrote behind it. The names are made of the pieces
 * of real lines.
 */
static void test_installed_user_names_forge_no_address(void **state)
{
    static const char *const pieces[] = {
        ">",
        "<",
        ", ",
        "rip=192.0.2.99",
        "method=PLAIN",
        "session=<x>",
        "lip=192.0.2.99",
        "user=<y>",
        "user=y",
        " ",
        "ip=[192.0.2.99]",
        "port=[1]",
        "protocol=IMAP",
        "\"",
        "[192.0.2.99]",
        "host=h [192.0.2.99]",
        "at (h) 192.0.2.99",
        ":192.0.2.99",
        "plaintext",
        "User logged in",
        "status=\"ok\"",
        "server=\"s:1\"",
        "u.username=y",
        "login.mech=PLAIN",
        "r.clienthost=192.0.2.99",
        "nmsgs=1/1",
        "x",
        "mpid=1",
        "]",
        ")",
        "\\",
        "SESSIONID=<z>",
    };
    static const char *const forms[][2] = {
        {"Nov 22 10:00:00 h dovecot: imap-login: Login: user=<",
         ">, method=PLAIN, rip=203.0.113.66, lip=198.51.100.5, mpid=9, TLS, session=<aaaa>"},
        {"Nov 22 10:00:00 h imapd: LOGIN, user=",
         ", ip=[::ffff:203.0.113.66], port=[51363], protocol=IMAP"},
        {"Nov 22 10:00:00 h cyrus/imap[4]: login: h.example [203.0.113.66] ",
         " plaintext User logged in"},
        {"Nov 22 10:00:00 h cyrus/imap[4]: login: ",
         " [203.0.113.66] heidi plaintext User logged in"},
        {"Nov 22 10:00:00 h imapd[1]: Login user=", " host=h.example.net [203.0.113.66]"},
        {"Nov 22 10:00:00 h imapd[1]: Login user=judy host=", " [203.0.113.66]"},
        {"Nov 22 10:00:00 h popper[1]: (v4.0.5) POP login by user \"", "\" at (h) 203.0.113.66"},
        {"Nov 22 10:00:00 h popper[1]: (v4.0.5) POP login by user \"leo\" at (", ") 203.0.113.66"},
        {"Nov 22 10:00:00 h vpopmail[2]: vchkpw-pop3: (PLAIN) login success ",
         "@example.org:203.0.113.66"},
        {"Nov 22 10:00:00 h perdition[5]: Auth: 203.0.113.66:1->198.51.100.9:143 client-secure=ssl "
         "authorisation_id=NONE authentication_id=\"",
         "\" server=\"s:1\" protocol=POP3 server-secure=ssl status=\"ok\""},
    };
    struct login_patterns *patterns = installed();
    char line[LONG_TEXT];
    char said[LONG_TEXT];
    size_t learned = 0;

    (void)state;
    srandom(1);
    for (size_t round = 0; round < 200000; round++) {
        const char *const *form = forms[round % (sizeof(forms) / sizeof(forms[0]))];
        int len = snprintf(line, sizeof(line), "%s", form[0]);

        for (long count = random() % 10; count >= 0; count--) {
            len += snprintf(line + len, sizeof(line) - (size_t)len, "%s",
                            pieces[(size_t)random() % (sizeof(pieces) / sizeof(pieces[0]))]);
        }
        len += snprintf(line + len, sizeof(line) - (size_t)len, "%s", form[1]);
        describe(patterns, line, (size_t)len, said, sizeof(said));
        if (strcmp(said, "nothing") != 0 && strcmp(said, "invalid") != 0) {
            learned++;
            if (strncmp(said, "login 203.0.113.66 ", 19) != 0) {
                fail_msg("%s\n    is learned as %s", line, said);
            }
        }
    }
    assert_true(learned > 100); /* some of the names are harmless */
    login_patterns_free(&patterns);
}

/* The same names in logins that failed. */
static void test_installed_failed_logins_teach_nothing(void **state)
{
    static const char *const pieces[] = {
        ">",
        ", ",
        "method=PLAIN",
        "rip=203.0.113.66",
        "session=<x>",
        "lip=1.1.1.1",
        "user=<y>",
        " ",
        "\"",
        "[192.0.2.99]",
        "Login: ",
        "Logged in: ",
        "LOGIN, ",
        "login: ",
        "\" ",
        "status=\"ok\"",
        "server=\"s:1\" ",
        "protocol=POP3 ",
        "server-secure=ssl ",
        "x",
        "POP login by user \"x\" at (h) 192.0.2.99",
        "(v4) ",
        "login success x:192.0.2.99",
        "h [192.0.2.99] x plaintext User logged in",
        "user=y, ip=[192.0.2.99]",
        "port=\"1\" ",
    };
    static const char *const forms[][2] = {
        {"Nov 22 10:00:00 h dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
         "user=<",
         ">, method=PLAIN, rip=203.0.113.66, lip=198.51.100.5, TLS, session=<aaaa>"},
        {"Nov 22 10:00:00 h imapd: LOGIN FAILED, user=", ", ip=[::ffff:203.0.113.66]"},
        {"Nov 22 10:00:00 h cyrus/imap[4]: badlogin: h.example [203.0.113.66] plaintext ",
         " invalid user"},
        {"Nov 22 10:00:00 h cyrus/imap[4]: badlogin: h.example [203.0.113.66] plaintext ", ""},
        {"Nov 22 10:00:00 h imapd[1]: Login failed user=", " auth=x host=h [203.0.113.66]"},
        {"Nov 22 10:00:00 h popper[1]: ", " at h (203.0.113.66): -ERR [AUTH] Password is wrong"},
        {"Nov 22 10:00:00 h vpopmail[2]: vchkpw-pop3: vpopmail user not found ", "@:203.0.113.66"},
        {"Nov 22 10:00:00 h perdition[5]: Auth: 203.0.113.66:1->198.51.100.9:143 client-secure=ssl "
         "authorisation_id=NONE authentication_id=\"",
         "\" server=\"s:1\" protocol=POP3 server-secure=ssl status=\"failed: no\""},
        {"Nov 22 10:00:00 h perdition[5]: Auth: 203.0.113.66->198.51.100.9 user=\"",
         "\" server=\"s\" port=\"1\" status=\"failed\""},
        {"Nov 22 10:00:00 h sshd[5]: Invalid user ", ""},
    };
    struct login_patterns *patterns = installed();
    char line[LONG_TEXT];
    char said[LONG_TEXT];

    (void)state;
    srandom(2);
    for (size_t round = 0; round < 200000; round++) {
        const char *const *form = forms[round % (sizeof(forms) / sizeof(forms[0]))];
        int len = snprintf(line, sizeof(line), "%s", form[0]);

        for (long count = random() % 10; count >= 0; count--) {
            len += snprintf(line + len, sizeof(line) - (size_t)len, "%s",
                            pieces[(size_t)random() % (sizeof(pieces) / sizeof(pieces[0]))]);
        }
        len += snprintf(line + len, sizeof(line) - (size_t)len, "%s", form[1]);
        describe(patterns, line, (size_t)len, said, sizeof(said));
        if (strcmp(said, "nothing") != 0) {
            fail_msg("%s\n    is learned as %s", line, said);
        }
    }
    login_patterns_free(&patterns);
}

static void test_find_bytes_that_no_line_has(void **state)
{
    static const char good[] = "imap-login: Login: user=<ann>, method=PLAIN, rip=192.0.2.1, "
                               "lip=1.1.1.1";
    struct login_patterns *patterns = installed();
    char line[LONG_TEXT];
    char said[LONG_TEXT];

    (void)state;
    describe(patterns, good, strlen(good), said, sizeof(said));
    assert_string_equal(said, "login 192.0.2.1 ann imap -");
    for (const char *bad = "\n\r\1\177"; *bad != '\0'; bad++) {
        int len = snprintf(line, sizeof(line), "%s%c", good, *bad);

        describe(patterns, line, (size_t)len, said, sizeof(said));
        assert_string_equal(said, "nothing");
    }
    describe(patterns, good, sizeof(good), said, sizeof(said)); /* with its NUL byte */
    assert_string_equal(said, "nothing");
    describe(patterns, "", 0, said, sizeof(said));
    assert_string_equal(said, "nothing");
    login_patterns_free(&patterns);
}

/* ---- files of one's own ---- */

struct problems {
    char text[LONG_TEXT];
};

static void collect(void *ctx, const struct diag_item *item)
{
    struct problems *problems = ctx;
    size_t len = strlen(problems->text);

    (void)snprintf(problems->text + len, sizeof(problems->text) - len, "%u:%s: %s\n", item->line,
                   item->level == DIAG_ERROR ? "E" : "W", item->text);
}

static struct login_patterns *load(const char *text, struct problems *problems)
{
    char path[] = "/tmp/test_login_patterns.XXXXXX";
    struct diag diag;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    problems->text[0] = '\0';
    diag_init(&diag, collect, problems);
    struct login_patterns *patterns = login_patterns_load(path, &diag);

    assert_int_equal(patterns == NULL, diag.errors > 0);
    (void)unlink(path);
    return patterns;
}

static void check_problems(const char *text, const char *expected)
{
    struct problems problems;
    struct login_patterns *patterns = load(text, &problems);

    if (strstr(problems.text, expected) == NULL) {
        fail_msg("%s\n    gives %s", text, problems.text);
    }
    login_patterns_free(&patterns);
}

static void test_load_tells_what_is_wrong(void **state)
{
    (void)state;
    check_problems("", "0:E: there is no pattern in it");
    check_problems("# nothing\n\n", "0:E: there is no pattern in it");
    check_problems("\n(?<ip>\n", "2:E: wrong pattern: ");
    check_problems("^user=(?<user>x)$\n", "1:E: the pattern does not tell an address");
    check_problems("^(?<logout>bye) (?<user>x)$\n", "1:E: the pattern does not tell an address");
    check_problems("^%{head}(?<ip>x)$\n", "1:E: there is no %{head}");
    check_problems("define\nx\n", "1:E: the pattern does not tell");
    check_problems("define X y\n", "1:E: this defines nothing");
    check_problems("define x \n^(?<ip>y)$\n", "1:E: this defines nothing");
    check_problems("define\tx\n^(?<ip>y)$\n", "1:E: this defines nothing");
    check_problems("define x y\ndefine x z\n", "2:E: x is defined already");
}

static void test_load_warns_of_patterns_that_can_be_forged(void **state)
{
    (void)state;
    check_problems(".*rip=(?<ip>[0-9.]+)$\n", "1:W: the pattern begins with .*");
    check_problems("x rip=(?<ip>[0-9.]+)\n", "1:W: the pattern does not say how the line ends");
    check_problems("x rip=(?<ip>[0-9.]+)\\$\n", "1:W: the pattern does not say how the line ends");
}

static void test_load_warns_of_groups_that_tell_nothing(void **state)
{
    (void)state;
    check_problems("x (?<sesion>a) (?<ip>[0-9.]+)$\n", "1:W: the group \"sesion\" tells nothing");
    check_problems("x (?<ip>[0-9.]+) (?<user>a) (?<User>b)$\n",
                   "1:W: the group \"User\" tells nothing");
}

static void check_line(struct login_patterns *patterns, const char *line, const char *expected)
{
    char said[LONG_TEXT];

    describe(patterns, line, strlen(line), said, sizeof(said));
    assert_string_equal(said, expected);
}

static void test_find_first_pattern_decides_and_begins_at_the_first_byte(void **state)
{
    struct problems problems;
    struct login_patterns *patterns = load(
        "\xef\xbb\xbf# mine\r\n"
        "define ip (?<ip>[^ ]+)\n"
        "define both %{ip} (?<user>.*)\n"
        "  in %{both}$  \n"
        "a{2}%{1} %{both}$\n"
        "in %{ip} (?<session>.*)$\n"
        "out(?<logout>!)?(?: at %{ip})?(?: id=(?<session>.*))?$\n",
        &problems);

    (void)state;
    assert_non_null(patterns);
    assert_int_equal(login_patterns_count(patterns), 4);
    check_line(patterns, "in 192.0.2.1 ann b", "login 192.0.2.1 ann b - -");
    check_line(patterns, "x in 192.0.2.1 ann", "nothing");
    check_line(patterns, "in 192.0.2.1 ann\nin", "nothing");
    check_line(patterns, "aa% 192.0.2.1 ann", "login 192.0.2.1 ann - -");
    check_line(patterns, "in 2001:db8::/64 ann", "invalid");
    check_line(patterns, "in pc1.example.net ann", "invalid");
    check_line(patterns, "out! at 192.0.2.1 id=7", "logout 192.0.2.1 - - 7");
    check_line(patterns, "out! id=7", "logout - - - 7");
    check_line(patterns, "out id=7", "invalid");
    check_line(patterns, "out!", "invalid");
    check_line(patterns, "out at 192.0.2.1 id=a b", "login 192.0.2.1 - - -");
    login_patterns_free(&patterns);
    login_patterns_free(&patterns);
}

static void test_find_texts_that_the_daemon_would_not_take(void **state)
{
    struct problems problems;
    struct login_patterns *patterns = load(
        "u=(?<user>\\S*) s=(?<service>\\S*) i=(?<session>\\S*) (?<ip>.*)$\n", &problems);
    char text[300];
    char line[LONG_TEXT];

    (void)state;
    assert_non_null(patterns);
    (void)memset(text, 'x', sizeof(text));
    text[RELAY_USER_MAX + 1] = '\0';
    (void)snprintf(line, sizeof(line), "u=%s s=%.32s i=%.129s 192.0.2.1", text, text, text);
    check_line(patterns, line, "login 192.0.2.1 - - -");
    (void)snprintf(line, sizeof(line), "u=a s=%.31s i=%.128s 192.0.2.1", text, text);
    check_line(patterns, line,
               "login 192.0.2.1 a xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "
               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    check_line(patterns, "u=a s=b i=\xc3\xa9 192.0.2.1", "login 192.0.2.1 a b -");
    (void)snprintf(line, sizeof(line), "u=a s=b i=c %*s", (int)LOGIN_PATTERNS_MAX_LINE, "1.1.1.1");
    check_line(patterns, line, "nothing");
    login_patterns_free(&patterns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_installed_lines_of_all_servers),
        cmocka_unit_test(test_installed_user_names_forge_no_address),
        cmocka_unit_test(test_installed_failed_logins_teach_nothing),
        cmocka_unit_test(test_find_bytes_that_no_line_has),
        cmocka_unit_test(test_load_tells_what_is_wrong),
        cmocka_unit_test(test_load_warns_of_patterns_that_can_be_forged),
        cmocka_unit_test(test_load_warns_of_groups_that_tell_nothing),
        cmocka_unit_test(test_find_first_pattern_decides_and_begins_at_the_first_byte),
        cmocka_unit_test(test_find_texts_that_the_daemon_would_not_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
