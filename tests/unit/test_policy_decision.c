/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What Postfix is answered over policy_socket. That it agrees with the filter is in the golden sessions (agreement.c); here is what
 * only the protocol can say, and what must never be OK.
 */
#include "milter/policy_decision.h"
#include "milter/policy_request.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define HEAD "request=smtpd_access_policy\nprotocol_state=RCPT\n"
#define STRANGER HEAD "client_address=198.18.0.1\nclient_name=host.neutral.test\n"
#define LOGGED_IN \
    HEAD "client_address=198.18.0.7\nclient_name=unknown\nreverse_client_name=unknown\n"

/* ---- requests ---- */

static void test_length(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a=b\n\n", 5},
        {"a=b\n\nc=d\n\n", 5},
        {"\n", 1},
        {"a=b\nc=d\n\n", 9},
        {"a=b\n", 0},
        {"a=b", 0},
        {"", 0},
        {"a=b\nc", 0},
        {"a=b\r\n\r\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].text);
        char *copy = malloc(len + 1);

        assert_non_null(copy);
        memcpy(copy, cases[i].text, len);
        assert_int_equal(policy_request_length(copy, len), cases[i].length);
        free(copy);
    }
}

static bool parse(const char *text, size_t len, struct policy_request *out, char **copy_out)
{
    const char *why = NULL;

    *copy_out = calloc(1, len + 1);
    assert_non_null(*copy_out);
    memcpy(*copy_out, text, len);
    bool good = policy_request_parse(*copy_out, len, out, &why);

    assert_true(good == (why == NULL));
    return good;
}

static void test_parse(void **state)
{
    static const char text[] =
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
        "client_address=2001:db8::1\nclient_name=host.test\nreverse_client_name=rev.test\n"
        "server_address=192.0.2.1\nsender=a=b@c.test\nrecipient=x@y.test\nsasl_method=plain\n"
        "sasl_username=ann\nccert_subject=A+2BB+20C\nccert_issuer=\npolicy_context=MSA\n"
        "future_attribute=whatever\n\n";
    struct policy_request request;
    char *copy;

    (void)state;
    assert_true(parse(text, sizeof(text) - 1, &request, &copy));
    assert_string_equal(request.request, "smtpd_access_policy");
    assert_string_equal(request.protocol_state, "RCPT");
    assert_string_equal(request.client_address, "2001:db8::1");
    assert_string_equal(request.client_name, "host.test");
    assert_string_equal(request.reverse_client_name, "rev.test");
    assert_string_equal(request.server_address, "192.0.2.1");
    assert_string_equal(request.sender, "a=b@c.test");
    assert_string_equal(request.recipient, "x@y.test");
    assert_string_equal(request.sasl_method, "plain");
    assert_string_equal(request.sasl_username, "ann");
    assert_string_equal(request.ccert_subject, "A+B C");
    assert_string_equal(request.ccert_issuer, "");
    assert_string_equal(request.policy_context, "MSA");
    free(copy);
    assert_true(parse("\n", 1, &request, &copy));
    assert_string_equal(request.recipient, "");
    free(copy);
}

static void test_parse_what_is_not_understood(void **state)
{
    static const char nul[] = "request=smtpd_access_policy\nrecipient=a@b\0c\n\n";
    static const char *const cases[] = {
        "request\n\n",
        "request=smtpd_access_policy\nHELO there\n\n",
        "recipient=a@partner.test\nrecipient=b@other.test\n\n",
        "client_address=127.0.0.1\nclient_address=198.18.0.1\n\n",
        "ccert_subject=a+\n\n",
        "ccert_subject=a+0\n\n",
        "ccert_subject=a+00\n\n",
        "ccert_issuer=a+zz\n\n",
    };
    struct policy_request request;
    char *copy;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (parse(cases[i], strlen(cases[i]), &request, &copy)) {
            fail_msg("understood: %s", cases[i]);
        }
        free(copy);
    }
    assert_false(parse(nul, sizeof(nul) - 1, &request, &copy));
    free(copy);
}

/* ---- decisions ---- */

struct decision {
    const char *text; /* without the empty line */
    enum status status;
};

static enum status decide(struct scene *scene, const char *text)
{
    const struct policy_facts facts = {
        .ruleset = scene->ruleset,
        .relayers = scene->relayers.find == NULL ? NULL : &scene->relayers,
        .hostname = "mx.home.example",
        .trace = &scene->log.trace,
    };
    struct policy_request request;
    const char *why = NULL;
    char *copy;

    assert_true(parse(text, strlen(text), &request, &copy));
    enum status status = policy_decision_make(&facts, &request, &why, NULL);

    assert_true((why != NULL) == (status == STATUS_INVALID || status == STATUS_TEMPFAIL));
    free(copy);
    return status;
}

static void expect(const char *conf, const char *access, const struct decision *decisions,
                   size_t count)
{
    struct scene scene;

    scene_init(&scene, conf, access);
    scene_relayers(&scene, "198.18.0.7 1695420927 user=ann\n", false);
    for (size_t i = 0; i < count; i++) {
        enum status status = decide(&scene, decisions[i].text);

        if (status != decisions[i].status) {
            fail_msg("%s\nstatus %d, not %d\n%s", decisions[i].text, (int)status,
                     (int)decisions[i].status, scene.log.text.data);
        }
    }
    scene_fini(&scene);
}

static void test_who_may_relay(void **state)
{
    static const struct decision decisions[] = {
        {LOGGED_IN "recipient=x@other.test\n", STATUS_OK},
        {LOGGED_IN "recipient=x\n", STATUS_OK}, /* wherever it goes */
        {LOGGED_IN "recipient=a%b@c@d e\"@other.test\n", STATUS_OK},
        {STRANGER "recipient=x@other.test\n", STATUS_NOTFOUND},
        {STRANGER "recipient=x@partner.test\n", STATUS_OK},
        {STRANGER "recipient=x@sub.friend.test\n", STATUS_OK},
        {STRANGER "recipient=joe@local.example\n", STATUS_OK},
        {STRANGER "recipient=joe@[192.0.2.9]\nserver_address=192.0.2.9\n", STATUS_OK},
        {STRANGER "recipient=joe@[192.0.2.9]\n", STATUS_NOTFOUND},
        {HEAD "client_address=10.1.2.3\nclient_name=unknown\nrecipient=x@other.test\n", STATUS_OK},
        {HEAD "client_address=127.0.0.1\nclient_name=localhost\nrecipient=x@other.test\n",
         STATUS_OK},
        {HEAD "client_address=198.18.0.1\nclient_name=a.clients.test\nrecipient=x@other.test\n",
         STATUS_OK},
        /* a name that does not lead back is none */
        {HEAD "client_address=198.18.0.1\nclient_name=unknown\nreverse_client_name=a.clients.test\n"
              "recipient=x@other.test\n",
         STATUS_NOTFOUND},
        /* logins by SMTP, of a mechanism that is trusted */
        {STRANGER "recipient=x@other.test\nsasl_method=plain\nsasl_username=ann\n", STATUS_OK},
        {STRANGER "recipient=x@other.test\nsasl_method=login\nsasl_username=ann\n",
         STATUS_NOTFOUND},
        {STRANGER "recipient=x@other.test\nsasl_method=\nsasl_username=ann\n", STATUS_NOTFOUND},
        /* certificates */
        {STRANGER "recipient=x@other.test\nccert_subject=client\nccert_issuer=Good+20CA\n",
         STATUS_OK},
        {STRANGER "recipient=x@other.test\nccert_subject=client\nccert_issuer=Bad+20CA\n",
         STATUS_NOTFOUND},
        {STRANGER "recipient=x@other.test\nccert_subject=\nccert_issuer=Good+20CA\n",
         STATUS_NOTFOUND},
    };

    (void)state;
    expect("relay_control = \"mta\"\ntrust_auth_mech = { \"PLAIN\" }\n"
           "relay_by_certificate = \"cn\"\n",
           "Connect:10.1.2 RELAY\nConnect:clients.test RELAY\nTo:friend.test RELAY\n"
           "CertIssuer:Good+20CA RELAY\n",
           decisions, COUNT(decisions));
}

/*
 * Postfix has taken quotes and routes off: what it shows can look like an address of ours and be one of somebody else, and an OK
 * would let it go there.
 */
static void test_recipients_in_disguise(void **state)
{
    static const char *const recipients[] = {
        "<x@partner.test>@other.test",
        "<x@partner.test> @other.test",
        "evil%other.test@partner.test",
        "other.test!evil@partner.test",
        "evil@other.test@partner.test",
        "evil%other.test@local.example",
        "evil@other.test@local.example",
        "other.test!evil",
        "evil%other.test",
        "evil",
        "@partner.test",
        "partner.test",
        "x@partner.test@",
        "@partner.test:evil@other.test",
        "@other.test:evil@partner.test",
        "x@partner.test,evil@other.test",
        "x@partner.test evil@other.test",
        "(x@partner.test)evil@other.test",
        "x@other.test(@partner.test",
        "x\\@other.test@partner.test",
        "\"x@partner.test\"@other.test",
        "g:x@partner.test;@other.test",
        "x@partner.test>",
        "x@[partner.test]",
        "x@partner.test.",
        "x@other.test%partner.test",
        "x@other.test#partner.test",
        "x@.partner.test",
        "x@",
        "@",
        "<>",
    };
    static const char *const confs[] = {
        "",
        "features = { \"loose_relay_check\" }\n",
        "features = { \"nopercenthack_nospecial\", \"nouucp_nospecial\" }\n",
        "features = { \"nopercenthack_reject\", \"nouucp_reject\" }\n",
        "features = { \"relaytofulladdress\" }\n",
        "features = { \"relay_entire_domain\", \"relay_hosts_only\" }\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(confs); i++) {
        struct scene scene;

        scene_init(&scene, confs[i], "To:partner.test RELAY\nTo:x@partner.test RELAY\n");
        for (size_t k = 0; k < COUNT(recipients); k++) {
            char text[512];

            (void)snprintf(text, sizeof(text), STRANGER "recipient=%s\n", recipients[k]);
            if (decide(&scene, text) == STATUS_OK) {
                fail_msg("%s OK: %s", confs[i], recipients[k]);
            }
        }
        scene_fini(&scene);
    }
}

/* The sender that relay_mail_from trusts cannot be made by quotes. */
static void test_senders(void **state)
{
    static const struct decision decisions[] = {
        {STRANGER "recipient=x@other.test\nsender=ann@good.test\n", STATUS_OK},
        {STRANGER "recipient=x@other.test\nsender=bob@good.test\n", STATUS_NOTFOUND},
        {STRANGER "recipient=x@other.test\nsender=\n", STATUS_NOTFOUND},
        {STRANGER "recipient=x@other.test\nsender=<ann@good.test>@bad.test\n", STATUS_NOTFOUND},
        {STRANGER "recipient=x@other.test\nsender=@x:ann@good.test\n", STATUS_NOTFOUND},
    };

    (void)state;
    expect("features = { \"relay_mail_from\" }\n", "From:ann@good.test RELAY\n", decisions,
           COUNT(decisions));
}

/* To the stages, mail without a client's address comes from a program of this host, and may go anywhere. */
static void test_questions_that_cannot_be_answered(void **state)
{
    static const struct decision decisions[] = {
        {"\n", STATUS_INVALID},
        {HEAD "recipient=joe@local.example\n", STATUS_INVALID},
        {HEAD "client_address=\nrecipient=x@other.test\n", STATUS_INVALID},
        {HEAD "client_address=unknown\nrecipient=x@other.test\n", STATUS_INVALID},
        {HEAD "client_address=10.1.2\nrecipient=x@other.test\n", STATUS_INVALID},
        {LOGGED_IN, STATUS_INVALID},
        {LOGGED_IN "recipient=\n", STATUS_INVALID},
        {"protocol_state=RCPT\nclient_address=198.18.0.7\nrecipient=x@other.test\n",
         STATUS_INVALID},
        {"request=junk\nprotocol_state=RCPT\nclient_address=198.18.0.7\nrecipient=x@other.test\n",
         STATUS_INVALID},
        {"request=smtpd_access_policy\nprotocol_state=DATA\nclient_address=198.18.0.7\n"
         "recipient=x@other.test\n",
         STATUS_INVALID},
    };

    (void)state;
    expect("", "", decisions, COUNT(decisions));
}

static void test_relay_control(void **state)
{
    static const struct decision off[] = {
        {LOGGED_IN "recipient=x@other.test\n", STATUS_NOTFOUND},
        {STRANGER "recipient=x@partner.test\n", STATUS_NOTFOUND},
        {LOGGED_IN "recipient=x@other.test\npolicy_context=MSA\n", STATUS_OK},
    };
    static const struct decision milter[] = {
        {LOGGED_IN "recipient=x@other.test\n", STATUS_OK},
        {STRANGER "recipient=x@other.test\n", STATUS_NOTFOUND},
    };

    (void)state;
    expect("relay_control = \"off\"\ndaemon \"MSA\" { relay_control = \"mta\" }\n", "", off,
           COUNT(off));
    expect("relay_control = \"milter\"\n", "", milter, COUNT(milter));
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

/* Who logged in need not wait for a map that cannot be read. A store that cannot be asked is a no. */
static void test_failures(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene, "features = { \"blocklist_recipients\" }\n", "");
    scene_relayers(&scene, "198.18.0.7 1695420927\n", false);
    break_map(&scene);
    assert_int_equal(decide(&scene, LOGGED_IN "recipient=x@other.test\n"), STATUS_OK);
    assert_int_equal(decide(&scene, STRANGER "recipient=x@partner.test\n"), STATUS_OK);
    assert_int_equal(decide(&scene, STRANGER "recipient=x@other.test\n"), STATUS_TEMPFAIL);
    scene.relayers_fail = true;
    assert_int_equal(decide(&scene, LOGGED_IN "recipient=x@other.test\n"), STATUS_TEMPFAIL);
    scene_fini(&scene);
    scene_init(&scene, "", "");
    scene_relayers(&scene, "", true);
    assert_int_equal(decide(&scene, LOGGED_IN "recipient=x@other.test\n"), STATUS_NOTFOUND);
    scene_fini(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_what_is_not_understood),
        cmocka_unit_test(test_who_may_relay),
        cmocka_unit_test(test_recipients_in_disguise),
        cmocka_unit_test(test_senders),
        cmocka_unit_test(test_questions_that_cannot_be_answered),
        cmocka_unit_test(test_relay_control),
        cmocka_unit_test(test_failures),
    };

    return cmocka_run_group_tests_name("policy_decision", tests, NULL, NULL);
}
