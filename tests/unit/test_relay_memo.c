/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/relay_memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct server {
    struct relay_lookup lookup;
    enum status status;
    int asked;
    int charged;
};

static enum status server_find(void *ctx, const struct netaddr *client,
                               struct relay_found *found_out)
{
    struct server *server = ctx;

    server->asked++;
    if (server->status == STATUS_OK && found_out != NULL) {
        *found_out = (struct relay_found){
            .addr = *client, .login_at = server->asked, .user = "ann"};
    }
    return server->status;
}

static enum status server_charge(void *ctx, const struct netaddr *addr, unsigned limit)
{
    struct server *server = ctx;

    assert_int_equal(addr->family, NETADDR_IPV4);
    assert_int_equal(limit, 7);
    server->charged++;
    return STATUS_NOTFOUND;
}

static void init(struct server *server, bool waits)
{
    *server = (struct server){
        .lookup = {.find = server_find, .charge = server_charge, .ctx = server, .waits = waits},
        .status = STATUS_OK,
    };
}

static struct netaddr address(const char *text)
{
    struct netaddr addr;

    assert_true(netaddr_parse(text, &addr));
    return addr;
}

static void test_recipients_of_a_message_are_one_question(void **state)
{
    struct netaddr client = address("192.0.2.1");
    struct server server;
    struct relay_memo memo;
    struct relay_found found;

    (void)state;
    init(&server, true);
    const struct relay_lookup *lookup = relay_memo_init(&memo, &server.lookup);

    for (int i = 0; i < 3; i++) {
        memset(&found, 0, sizeof(found));
        assert_int_equal(lookup->find(lookup->ctx, &client, i == 1 ? NULL : &found), STATUS_OK);
        assert_int_equal(server.asked, 1);
        assert_string_equal(found.user, i == 1 ? "" : "ann");
        assert_int_equal(found.login_at, i == 1 ? 0 : 1);
    }
}

static void test_a_yes_outlives_the_message_and_a_no_does_not(void **state)
{
    struct netaddr client = address("192.0.2.1");
    struct server server;
    struct relay_memo memo;
    struct relay_found found;

    (void)state;
    init(&server, true);
    server.status = STATUS_NOTFOUND;
    const struct relay_lookup *lookup = relay_memo_init(&memo, &server.lookup);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(lookup->find(lookup->ctx, &client, &found), STATUS_NOTFOUND);
        assert_int_equal(server.asked, 1);
    }
    server.status = STATUS_OK;
    for (int i = 0; i < 3; i++) {
        relay_memo_forget(&memo);
        assert_int_equal(lookup->find(lookup->ctx, &client, &found), STATUS_OK);
        assert_int_equal(server.asked, 2);
        assert_int_equal(found.login_at, 2);
    }
    memo.asked_at -= RELAY_MEMO_MS;
    server.status = STATUS_NOTFOUND;
    assert_int_equal(lookup->find(lookup->ctx, &client, &found), STATUS_NOTFOUND);
}

static void test_another_client_is_another_question(void **state)
{
    struct netaddr one = address("192.0.2.1");
    struct netaddr other = address("192.0.2.2");
    struct server server;
    struct relay_memo memo;
    struct relay_found found;

    (void)state;
    init(&server, true);
    const struct relay_lookup *lookup = relay_memo_init(&memo, &server.lookup);

    assert_int_equal(lookup->find(lookup->ctx, &one, NULL), STATUS_OK);
    assert_int_equal(lookup->find(lookup->ctx, &other, &found), STATUS_OK);
    assert_int_equal(server.asked, 2);
    assert_true(netaddr_equal(&found.addr, &other));
}

static void test_an_old_answer_is_none(void **state)
{
    struct netaddr client = address("192.0.2.1");
    struct server server;
    struct relay_memo memo;

    (void)state;
    init(&server, true);
    const struct relay_lookup *lookup = relay_memo_init(&memo, &server.lookup);

    assert_int_equal(lookup->find(lookup->ctx, &client, NULL), STATUS_OK);
    memo.asked_at -= RELAY_MEMO_MS;
    assert_int_equal(lookup->find(lookup->ctx, &client, NULL), STATUS_OK);
    assert_int_equal(server.asked, 2);
}

static void test_a_failure_is_asked_again(void **state)
{
    struct netaddr client = address("192.0.2.1");
    struct server server;
    struct relay_memo memo;

    (void)state;
    init(&server, true);
    const struct relay_lookup *lookup = relay_memo_init(&memo, &server.lookup);

    server.status = STATUS_TEMPFAIL;
    assert_int_equal(lookup->find(lookup->ctx, &client, NULL), STATUS_TEMPFAIL);
    server.status = STATUS_OK;
    assert_int_equal(lookup->find(lookup->ctx, &client, NULL), STATUS_OK);
    assert_int_equal(server.asked, 2);
}

static void test_charges_are_passed_on(void **state)
{
    struct netaddr client = address("192.0.2.1");
    struct server server;
    struct relay_memo memo;

    (void)state;
    init(&server, true);
    const struct relay_lookup *lookup = relay_memo_init(&memo, &server.lookup);

    assert_int_equal(lookup->charge(lookup->ctx, &client, 7), STATUS_NOTFOUND);
    assert_int_equal(lookup->charge(lookup->ctx, &client, 7), STATUS_NOTFOUND);
    assert_int_equal(server.charged, 2);
    server.lookup.charge = NULL;
    assert_null(relay_memo_init(&memo, &server.lookup)->charge);
}

static void test_who_never_waits_is_asked_directly(void **state)
{
    struct server server;
    struct relay_memo memo;

    (void)state;
    init(&server, false);
    assert_ptr_equal(relay_memo_init(&memo, &server.lookup), &server.lookup);
    assert_null(relay_memo_init(&memo, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipients_of_a_message_are_one_question),
        cmocka_unit_test(test_a_yes_outlives_the_message_and_a_no_does_not),
        cmocka_unit_test(test_another_client_is_another_question),
        cmocka_unit_test(test_an_old_answer_is_none),
        cmocka_unit_test(test_a_failure_is_asked_again),
        cmocka_unit_test(test_charges_are_passed_on),
        cmocka_unit_test(test_who_never_waits_is_asked_directly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
