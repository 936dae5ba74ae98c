/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an MTA is answered over map_socket. Above all: which keys are never OK.
 */
#include "milter/map_answers.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define ACCESS                                                                            \
    "Connect:10.1.2 RELAY\nConnect:10.1.2.9 REJECT\nConnect:10.1.3.3 OK\n"                \
    "Connect:IPv6:2001:db8:5 RELAY\nConnect:clients.test RELAY\n"                         \
    "Connect:not.clients.test OK\nTo:friend.test RELAY\nTo:not.friend.test OK\n"          \
    "To:user@full.test RELAY\nTo:x@friend.test REJECT\nTo:boss@ RELAY\n"                  \
    "192.0.2.200 RELAY\nuntagged.test RELAY\nFrom:ann@b.test REJECT\nb.test \"550 No\"\n" \
    "To:[192.0.2.77] RELAY\nTo:unknown RELAY\nConnect:unknown RELAY\n"

#define LOGINS "198.18.0.7 1695420927 user=ann\n2001:db8:7::/64 1695420928\n"

/* One question as text, and its answer; `status` is what is told to the log. */
struct question {
    const char *text;
    const char *answer;
};

static void ask(struct scene *scene, const char *text, size_t len, enum status *status_out,
                struct strbuf *answer)
{
    const struct map_facts facts = {
        .ruleset = scene->ruleset,
        .relayers = scene->relayers.find == NULL ? NULL : &scene->relayers,
        .hostname = "mx.home.example",
    };
    struct map_question question;

    strbuf_reset(answer);
    assert_true(map_answers_parse(text, len, &question));
    *status_out = map_answers_find(&facts, &question, answer);
}

static void expect(struct scene *scene, const struct question *questions, size_t count,
                   enum status trouble)
{
    struct strbuf answer;

    strbuf_init(&answer);
    for (size_t i = 0; i < count; i++) {
        enum status status;

        ask(scene, questions[i].text, strlen(questions[i].text), &status, &answer);
        if (strcmp(answer.data, questions[i].answer) != 0) {
            fail_msg("%s: \"%s\", not \"%s\"", questions[i].text, answer.data, questions[i].answer);
        }
        bool is_trouble = status == STATUS_TEMPFAIL || status == STATUS_INVALID;

        if (is_trouble ? status != trouble : trouble != STATUS_OK) {
            fail_msg("%s: status %d", questions[i].text, (int)status);
        }
    }
    strbuf_fini(&answer);
}

static void test_relayers(void **state)
{
    static const struct question questions[] = {
        {"relayers 198.18.0.7", "OK OK"},
        {"drac 198.18.0.7", "OK OK"},
        {"drac ipv6:2001:db8:7:0:0:0:0:1", "OK OK"},
        {"relayers 2001:DB8:7::1", "OK OK"},
        {"relayers ::ffff:198.18.0.7", "OK OK"},
        {"relayers IPv6:::ffff:198.18.0.7", "OK OK"},
        {"relayers 198.18.0.8", "NOTFOUND "},
        {"drac ipv6:2001:db8:8:0:0:0:0:1", "NOTFOUND "},
        /* rules say nothing here */
        {"relayers 10.1.2.3", "NOTFOUND "},
        {"drac 127.0.0.1", "NOTFOUND "},
        /* parts of an address, and what is none */
        {"relayers 198.18.0", "NOTFOUND "},
        {"relayers 198.18.0.7.", "NOTFOUND "},
        {"relayers 198.18.0.7 ", "NOTFOUND "},
        {"relayers  198.18.0.7", "NOTFOUND "},
        {"relayers [198.18.0.7]", "NOTFOUND "},
        {"relayers 198.18.0.0/24", "NOTFOUND "},
        {"relayers 2001:db8:7::/64", "NOTFOUND "},
        {"drac ipv6:2001:db8:7", "NOTFOUND "},
        {"relayers 0306.18.0.7", "NOTFOUND "},
        {"relayers 198.18.7", "NOTFOUND "},
        {"relayers client.neutral.test", "NOTFOUND "},
        {"relayers unknown", "NOTFOUND "},
        {"relayers ", "NOTFOUND "},
        {"drac ipv6:", "NOTFOUND "},
    };
    struct scene scene;

    (void)state;
    scene_init(&scene, "", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    expect(&scene, questions, COUNT(questions), STATUS_OK);
    scene_fini(&scene);
}

/* A key has no sender and no number of recipients: what has a limit is not promised to a table. Rules are. */
static void test_limits(void **state)
{
    static const char *const limits[] = {
        "relay_store { grant_senders = \"domain\" }\n",
        "relay_store { recipients_per_message = 100 }\n",
        "relay_store { recipients_per_hour = 100 }\n",
    };
    static const struct question questions[] = {
        {"relayers 198.18.0.7", "NOTFOUND "},     {"drac ipv6:2001:db8:7:0:0:0:0:1", "NOTFOUND "},
        {"relay_client 198.18.0.7", "NOTFOUND "}, {"relay_client 10.1.2.3", "OK OK"},
        {"relay_client 203.0.113.5", "OK OK"},
    };
    struct scene scene;

    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        scene_init(&scene, limits[i], ACCESS);
        scene_relayers(&scene, LOGINS, false);
        expect(&scene, questions, COUNT(questions), STATUS_OK);
        scene_fini(&scene);
    }
    /* that of a user's addresses is kept where they are recorded */
    scene_init(&scene, "relay_store { addresses_per_user = 1 }\n", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    expect(&scene, &(struct question){"relayers 198.18.0.7", "OK OK"}, 1, STATUS_OK);
    scene_fini(&scene);
}

static void test_relay_client(void **state)
{
    static const struct question questions[] = {
        {"relay_client 198.18.0.7", "OK OK"},  /* logged in */
        {"relay_client 10.1.2.3", "OK OK"},    /* Connect: */
        {"relay_client 203.0.113.5", "OK OK"}, /* class R */
        {"relay_client 192.0.2.200", "OK OK"}, /* without a tag */
        {"relay_client 2001:db8:5::1", "OK OK"},
        {"relay_client ipv6:2001:db8:5:0:0:0:0:1", "OK OK"},
        {"relay_client a.clients.test", "OK OK"},
        {"relay_client A.Clients.TEST", "OK OK"},
        {"relay_client host.partner.test", "OK OK"},
        {"relay_client 10.1.2.9", "NOTFOUND "}, /* a nearer value hides RELAY */
        {"relay_client 10.1.3.3", "NOTFOUND "},
        {"relay_client not.clients.test", "NOTFOUND "},
        {"relay_client 198.18.0.8", "NOTFOUND "},
        {"relay_client host.neutral.test", "NOTFOUND "},
        {"relay_client host.home.example", "NOTFOUND "}, /* relay_entire_domain is not set */
        /* what the MTA itself knows of */
        {"relay_client 127.0.0.1", "NOTFOUND "},
        {"relay_client localhost", "NOTFOUND "},
        {"relay_client mx.home.example", "NOTFOUND "},
        {"relay_client local.example", "NOTFOUND "},
        /* no names */
        {"relay_client unknown", "NOTFOUND "},
        {"relay_client UNKNOWN", "NOTFOUND "},
        {"relay_client ", "NOTFOUND "},
        {"relay_client [10.1.2.3]", "NOTFOUND "},
        {"relay_client 10.1.2", "NOTFOUND "},
        {"relay_client 10.1.2.", "NOTFOUND "},
        {"relay_client 10", "NOTFOUND "},
        {"relay_client 203.0.113", "NOTFOUND "},
        {"relay_client ipv6:2001:db8:5", "NOTFOUND "},
        {"relay_client .clients.test", "NOTFOUND "},
        {"relay_client a..clients.test", "NOTFOUND "},
        {"relay_client a.clients.test.", "NOTFOUND "},
        {"relay_client user@clients.test", "NOTFOUND "},
        {"relay_client a.clients.test ", "NOTFOUND "},
        {"relay_client \"a.clients.test\"", "NOTFOUND "},
        {"relay_client evil.test,a.clients.test", "NOTFOUND "},
    };
    struct scene scene;

    (void)state;
    scene_init(&scene, "", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    expect(&scene, questions, COUNT(questions), STATUS_OK);
    scene_fini(&scene);
}

static void test_relay_to(void **state)
{
    static const struct question questions[] = {
        {"relay_to user@friend.test", "OK OK"},
        {"relay_to User@Sub.Friend.Test", "OK OK"},
        {"relay_to friend.test", "OK OK"},
        {"relay_to sub.friend.test", "OK OK"},
        {"relay_to user@partner.test", "OK OK"},
        {"relay_to partner.test", "OK OK"},
        {"relay_to user+detail@friend.test", "OK OK"},
        {"relay_to user@untagged.test", "OK OK"},
        {"relay_to user@[192.0.2.77]", "OK OK"},
        {"relay_to user@not.friend.test", "NOTFOUND "},
        {"relay_to not.friend.test", "NOTFOUND "},
        {"relay_to user@other.test", "NOTFOUND "},
        {"relay_to other.test", "NOTFOUND "},
        {"relay_to user@full.test", "NOTFOUND "}, /* relaytofulladdress is not set */
        {"relay_to user@host.home.example", "NOTFOUND "},
        /* local is the MTA's to know */
        {"relay_to joe@local.example", "NOTFOUND "},
        {"relay_to joe", "NOTFOUND "},
        {"relay_to joe@", "NOTFOUND "},
        {"relay_to boss@", "NOTFOUND "},
        {"relay_to friend.test@", "NOTFOUND "},
        /* parents as some MTAs ask for them */
        {"relay_to .friend.test", "NOTFOUND "},
        {"relay_to @friend.test", "NOTFOUND "},
        {"relay_to test", "NOTFOUND "},
        {"relay_to unknown", "OK OK"}, /* a To: key like any other */
        /* another host in disguise */
        {"relay_to evil%other.test@friend.test", "NOTFOUND "},
        {"relay_to other.test!evil@friend.test", "NOTFOUND "},
        {"relay_to evil@other.test@friend.test", "NOTFOUND "},
        {"relay_to @friend.test:evil@other.test", "NOTFOUND "},
        {"relay_to @other.test:evil@friend.test", "NOTFOUND "},
        {"relay_to <user@friend.test>", "NOTFOUND "},
        {"relay_to <user@friend.test>@other.test", "NOTFOUND "},
        {"relay_to \"<user@friend.test>\"@other.test", "NOTFOUND "},
        {"relay_to \"evil@other.test\"@friend.test", "NOTFOUND "},
        {"relay_to evil\\@other.test@friend.test", "NOTFOUND "},
        {"relay_to evil(x)@friend.test", "NOTFOUND "},
        {"relay_to evil@other.test(@friend.test", "NOTFOUND "},
        {"relay_to group:user@friend.test;", "NOTFOUND "},
        {"relay_to user@friend.test,evil@other.test", "NOTFOUND "},
        {"relay_to evil@other.test user@friend.test", "NOTFOUND "},
        {"relay_to user @friend.test", "NOTFOUND "},
        {"relay_to user@friend.test ", "NOTFOUND "},
        {"relay_to user@friend.test.", "NOTFOUND "},
        {"relay_to user@friend..test", "NOTFOUND "},
        {"relay_to user@.friend.test", "NOTFOUND "},
        {"relay_to user@other.test%friend.test", "NOTFOUND "},
        {"relay_to user@other.test/friend.test", "NOTFOUND "},
        {"relay_to user@[friend.test]", "NOTFOUND "},
        {"relay_to user@[192.0.2.77]friend.test", "NOTFOUND "},
        {"relay_to user@192.0.2.200", "NOTFOUND "},
        {"relay_to 192.0.2.200", "NOTFOUND "},
        {"relay_to ", "NOTFOUND "},
    };
    struct scene scene;

    (void)state;
    scene_init(&scene, "", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    expect(&scene, questions, COUNT(questions), STATUS_OK);
    scene_fini(&scene);
}

/* With operators switched off the filter takes '%' for a letter; another program may not. */
static void test_relay_to_never_trusts_operators(void **state)
{
    static const struct question questions[] = {
        {"relay_to evil%other.test@friend.test", "NOTFOUND "},
        {"relay_to other.test!evil@friend.test", "NOTFOUND "},
        {"relay_to evil%other.test", "NOTFOUND "},
        {"relay_to user@friend.test", "OK OK"},
    };
    static const char *const features[] = {
        "features = { \"nopercenthack_nospecial\", \"nouucp_nospecial\" }\n",
        "features = { \"nopercenthack_reject\", \"nouucp_reject\" }\n",
        "features = { \"loose_relay_check\" }\n",
        "features = { \"promiscuous_relay\" }\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(features); i++) {
        struct scene scene;

        scene_init(&scene, features[i], ACCESS);
        expect(&scene, questions, COUNT(questions), STATUS_OK);
        scene_fini(&scene);
    }
}

static void test_features(void **state)
{
    static const struct question entire[] = {
        {"relay_to user@host.home.example", "OK OK"},
        {"relay_to home.example", "OK OK"},
        {"relay_client host.home.example", "OK OK"},
        {"relay_client host.nothome.example", "NOTFOUND "},
    };
    /* What is said of a user cannot be told of the domain alone. */
    static const struct question full[] = {
        {"relay_to user@full.test", "OK OK"},  {"relay_to other@full.test", "NOTFOUND "},
        {"relay_to full.test", "NOTFOUND "},   {"relay_to x@friend.test", "NOTFOUND "},
        {"relay_to y@friend.test", "OK OK"},   {"relay_to friend.test", "NOTFOUND "},
        {"relay_to boss@other.test", "OK OK"}, {"relay_to boss@", "NOTFOUND "},
        {"relay_to partner.test", "OK OK"},
    };
    static const struct question hosts[] = {
        {"relay_to user@friend.test", "OK OK"},
        {"relay_to user@sub.friend.test", "NOTFOUND "},
        {"relay_client clients.test", "OK OK"},
        {"relay_client a.clients.test", "NOTFOUND "},
        {"relay_client host.partner.test", "NOTFOUND "},
    };
    const struct {
        const char *conf;
        const struct question *questions;
        size_t count;
    } cases[] = {
        {"features = { \"relay_entire_domain\" }\n", entire, COUNT(entire)},
        {"features = { \"relaytofulladdress\" }\n", full, COUNT(full)},
        {"features = { \"relay_hosts_only\" }\n", hosts, COUNT(hosts)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene scene;

        scene_init(&scene, cases[i].conf, ACCESS);
        expect(&scene, cases[i].questions, cases[i].count, STATUS_OK);
        scene_fini(&scene);
    }
}

/* The raw map: everything is told as it stands in the file. */
static void test_access(void **state)
{
    static const struct question questions[] = {
        {"access Connect:10.1.2", "OK RELAY"},    {"access connect:10.1.2.9", "OK REJECT"},
        {"access FROM:Ann@B.test", "OK REJECT"},  {"access b.test", "OK \"550 No\""},
        {"access \"b.test\"", "OK \"550 No\""},   {"access connect:ipv6:2001:db8:5", "OK RELAY"},
        {"access connect:10.1.2.3", "NOTFOUND "}, /* no parents */
        {"access sub.b.test", "NOTFOUND "},       {"access ", "NOTFOUND "},
        {"access connect:", "NOTFOUND "},
    };
    static const struct question none[] = {{"access b.test", "NOTFOUND "}};
    struct scene scene;

    (void)state;
    scene_init(&scene, "", ACCESS);
    expect(&scene, questions, COUNT(questions), STATUS_OK);
    scene_fini(&scene);
    scene_init(&scene, "access = \"\"\n", ACCESS);
    expect(&scene, none, COUNT(none), STATUS_OK);
    scene_fini(&scene);
}

static void test_relay_control_off(void **state)
{
    static const struct question questions[] = {
        {"relayers 198.18.0.7", "NOTFOUND "},   {"drac 198.18.0.7", "NOTFOUND "},
        {"relay_client 10.1.2.3", "NOTFOUND "}, {"relay_to user@friend.test", "NOTFOUND "},
        {"access connect:10.1.2", "OK RELAY"},
    };
    struct scene scene;

    (void)state;
    scene_init(&scene, "relay_control = \"off\"\n", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    expect(&scene, questions, COUNT(questions), STATUS_OK);
    scene_fini(&scene);
}

static void break_map(struct scene *scene)
{
    session_fini(&scene->session);
    ruleset_unref(&scene->ruleset);
    site_write(&scene->site, "access.gdbm", "This is no map.\n");
    scene->ruleset = site_load(&scene->site);
    assert_non_null(scene->ruleset);
    session_init(&scene->session, scene->ruleset, &scene->log.trace);
}

/* What is not known is no; who does not depend on it is not held up. Only the raw map says TEMP. */
static void test_map_that_cannot_be_read(void **state)
{
    static const struct question trouble[] = {
        {"relay_client 10.1.2.3", "NOTFOUND "},
        {"relay_client a.clients.test", "NOTFOUND "},
        {"relay_to user@friend.test", "NOTFOUND "},
        {"access connect:10.1.2", "TEMP the access map cannot be read"},
    };
    static const struct question well[] = {
        {"relayers 198.18.0.7", "OK OK"},        {"relay_client 198.18.0.7", "OK OK"},
        {"relay_client 203.0.113.5", "OK OK"},   {"relay_client host.partner.test", "OK OK"},
        {"relay_to user@partner.test", "OK OK"},
    };
    struct scene scene;

    (void)state;
    scene_init(&scene, "", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    break_map(&scene);
    expect(&scene, trouble, COUNT(trouble), STATUS_TEMPFAIL);
    expect(&scene, well, COUNT(well), STATUS_OK);
    scene_fini(&scene);
}

static void test_store_that_cannot_be_asked(void **state)
{
    static const struct question trouble[] = {
        {"relayers 198.18.0.7", "NOTFOUND "},
        {"drac 198.18.0.7", "NOTFOUND "},
    };
    static const struct question well[] = {
        {"relay_client 198.18.0.7", "NOTFOUND "},
        {"relay_client 10.1.2.3", "OK OK"},
    };
    struct scene scene;

    (void)state;
    scene_init(&scene, "", ACCESS);
    scene_relayers(&scene, LOGINS, true);
    expect(&scene, trouble, COUNT(trouble), STATUS_TEMPFAIL);
    expect(&scene, well, COUNT(well), STATUS_OK);
    scene_fini(&scene);
}

static void test_unknown_map(void **state)
{
    static const struct question questions[] = {
        {"passwd root", "PERM there is no map of this name"},
        {"RELAYERS 198.18.0.7", "PERM there is no map of this name"},
        {"relayer 198.18.0.7", "PERM there is no map of this name"},
        {" 198.18.0.7", "PERM there is no map of this name"},
    };
    struct map_question question;
    struct scene scene;

    (void)state;
    scene_init(&scene, "", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    expect(&scene, questions, COUNT(questions), STATUS_INVALID);
    scene_fini(&scene);
    assert_false(map_answers_parse("relayers", 8, &question));
    assert_false(map_answers_parse("", 0, &question));
}

/* A NUL byte must not end a key early. */
static void test_key_with_a_nul_byte(void **state)
{
    static const char text[] = "relayers 198.18.0.7\0evil";
    enum status status;
    struct strbuf answer;
    struct scene scene;

    (void)state;
    strbuf_init(&answer);
    scene_init(&scene, "", ACCESS);
    scene_relayers(&scene, LOGINS, false);
    ask(&scene, text, sizeof(text) - 1, &status, &answer);
    assert_string_equal(answer.data, "NOTFOUND ");
    scene_fini(&scene);
    strbuf_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relayers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_relay_client),
        cmocka_unit_test(test_relay_to),
        cmocka_unit_test(test_relay_to_never_trusts_operators),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_relay_control_off),
        cmocka_unit_test(test_map_that_cannot_be_read),
        cmocka_unit_test(test_store_that_cannot_be_asked),
        cmocka_unit_test(test_unknown_map),
        cmocka_unit_test(test_key_with_a_nul_byte),
    };

    return cmocka_run_group_tests_name("map_answers", tests, NULL, NULL);
}
