/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Postfix is answered over policy_socket where what a login permits is limited. */
#include "milter/policy_counts.h"
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
#define LOGGED_IN \
    HEAD "client_address=198.18.0.7\nclient_name=unknown\nreverse_client_name=unknown\n"

static enum status decide_later(struct scene *scene, struct policy_counts *counts, const char *text,
                                struct reply *later, const char **why_out)
{
    const struct policy_facts facts = {
        .ruleset = scene->ruleset,
        .relayers = &scene->relayers,
        .hostname = "mx.home.example",
        .counts = counts,
        .trace = &scene->log.trace,
    };
    struct policy_request request;
    char *copy = strdup(text);

    assert_non_null(copy);
    assert_true(policy_request_parse(copy, strlen(copy), &request, why_out));
    enum status status = policy_decision_make(&facts, &request, why_out, later);

    free(copy);
    return status;
}

struct question {
    const char *text;
    int code;          /* 0: OK; 1: DUNNO; else what is refused for now */
    const char *limit; /* that has refused; NULL: none */
};

static void ask(const char *conf, const struct question *questions, size_t count)
{
    struct policy_counts *counts = policy_counts_new();
    struct scene scene;

    scene_init(&scene, conf, "Connect:10.1.2 RELAY\n");
    scene_relayers(&scene, "198.18.0.7 1695420927 user=ann@neutral.test\n", false);
    for (size_t i = 0; i < count; i++) {
        const char *limit = NULL;
        struct reply later;
        enum status status = decide_later(&scene, counts, questions[i].text, &later, &limit);
        int code = status == STATUS_OK ? 0 : later.text == NULL ? 1 : later.code;

        if (code != questions[i].code || (limit == NULL) != (questions[i].limit == NULL) ||
            (limit != NULL && strcmp(limit, questions[i].limit) != 0)) {
            fail_msg("%s%s: %d by %s, not %d\n%s", conf, questions[i].text, code,
                     limit == NULL ? "no limit" : limit, questions[i].code, scene.log.text.data);
        }
    }
    scene_fini(&scene);
    policy_counts_free(&counts);
}

#define ANN LOGGED_IN "sender=ann@neutral.test\n"

static void test_limit_of_senders(void **state)
{
    static const struct question questions[] = {
        {ANN "recipient=x@other.test\n", 0, NULL},
        {LOGGED_IN "sender=bob@neutral.test\nrecipient=x@other.test\n", 1, "grant_senders"},
        {LOGGED_IN "sender=\nrecipient=x@other.test\n", 1, "grant_senders"},
        {LOGGED_IN "sender=bob@neutral.test\nrecipient=x@partner.test\n", 0, NULL},
        {HEAD "client_address=10.1.2.3\nsender=bob@neutral.test\nrecipient=x@other.test\n", 0,
         NULL},
    };

    (void)state;
    ask("relay_store { grant_senders = \"address\" }\n", questions, COUNT(questions));
}

static void test_limit_of_a_message(void **state)
{
    static const struct question questions[] = {
        {ANN "instance=1.2.3\nrecipient=a@other.test\n", 0, NULL},
        {ANN "instance=1.2.3\nrecipient=x@partner.test\n", 0, NULL}, /* not counted */
        {ANN "instance=1.2.3\nrecipient=b@other.test\n", 0, NULL},
        {ANN "instance=1.2.3\nrecipient=c@other.test\n", 452, "recipients_per_message"},
        {ANN "instance=1.2.3\nrecipient=x@partner.test\n", 0, NULL},
        {ANN "instance=1.2.3\nrecipient=a@other.test\n", 0, NULL}, /* asked a second time */
        {ANN "instance=1.2.4\nrecipient=a@other.test\n", 0, NULL}, /* another message */
        {ANN "instance=1.2.4\nrecipient=c@other.test\n", 0, NULL},
        {ANN "instance=1.2.4\nrecipient=b@other.test\n", 452, "recipients_per_message"},
        /* which message is it? */
        {ANN "recipient=a@other.test\n", 1, NULL},
        {ANN "recipient=a@partner.test\n", 0, NULL},
    };

    (void)state;
    ask("relay_store { recipients_per_message = 2 }\n", questions, COUNT(questions));
}

static void test_limit_of_an_hour(void **state)
{
    static const struct question questions[] = {
        {ANN "instance=1.2.3\nrecipient=a@other.test\n", 0, NULL},
        {ANN "instance=1.2.3\nrecipient=a@other.test\n", 0, NULL}, /* asked a second time */
        {ANN "recipient=b@other.test\n", 0, NULL},
        {ANN "instance=1.2.5\nrecipient=a@other.test\n", 450, "recipients_per_hour"},
        {ANN "instance=1.2.5\nrecipient=x@partner.test\n", 0, NULL},
        {ANN "instance=1.2.3\nrecipient=a@other.test\n", 0, NULL},
    };
    static const struct question filter[] = {
        {ANN "instance=1.2.3\nrecipient=a@other.test\n", 0, NULL},
        {ANN "instance=1.2.3\nrecipient=b@other.test\n", 0, NULL},
        {ANN "recipient=c@other.test\n", 0, NULL},
    };

    (void)state;
    ask("relay_store { recipients_per_hour = 2 }\n", questions, COUNT(questions));
    /* where the filter decides, the filter counts */
    ask("relay_control = \"milter\"\n"
        "relay_store { recipients_per_hour = 1 recipients_per_message = 1 }\n",
        filter, COUNT(filter));
}

/* Of very many messages the last ones are known. */
static void test_counts_are_bounded(void **state)
{
    struct policy_counts *counts = policy_counts_new();
    bool counted;
    char instance[32];

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        (void)snprintf(instance, sizeof(instance), "%u.1.0", i);
        policy_counts_add(counts, instance, "a@other.test");
    }
    assert_int_equal(policy_counts_find(counts, instance, "a@other.test", &counted), 1);
    assert_true(counted);
    assert_int_equal(policy_counts_find(counts, instance, "b@other.test", &counted), 1);
    assert_false(counted);
    assert_int_equal(policy_counts_find(counts, "0.1.0", "a@other.test", &counted), 0);
    policy_counts_free(&counts);
    assert_null(counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_of_senders),
        cmocka_unit_test(test_limit_of_a_message),
        cmocka_unit_test(test_limit_of_an_hour),
        cmocka_unit_test(test_counts_are_bounded),
    };

    return cmocka_run_group_tests_name("policy_limits", tests, NULL, NULL);
}
