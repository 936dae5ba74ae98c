/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS to a real Redis or Valkey; skipped where there is none, or no openssl(1) to make certificates. */
#include "lib/relay/relay_redis_tls.h"
#include "tests/unit/redis_kit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMAND_SIZE 1024

static void run(const struct redis_kit *kit, const char *command)
{
    char line[2 * COMMAND_SIZE];

    (void)snprintf(line, sizeof(line), "cd '%.200s' && (%.1000s) >/dev/null 2>&1", kit->kit.folder,
                   command);
    if (system(line) != 0) {
        fail_msg("%s", command);
    }
}

/* NAME.crt and NAME.key, signed by CA, for what `subject` says (DNS:... or IP:...). */
static void make_certificate(const struct redis_kit *kit, const char *name, const char *ca,
                             const char *subject, const char *days)
{
    char command[COMMAND_SIZE];

    (void)snprintf(
        command, sizeof(command),
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key -out %s.csr -subj /CN=%s && "
        "printf 'subjectAltName=%s\\n' > %s.ext && "
        "openssl x509 -req -in %s.csr -CA %s.crt -CAkey %s.key -CAcreateserial "
        "-days %s -extfile %s.ext -out %s.crt",
        name, name, name, subject, name, name, ca, ca, days, name, name);
    run(kit, command);
}

static void make_authority(const struct redis_kit *kit, const char *name)
{
    char command[COMMAND_SIZE];

    (void)snprintf(
        command, sizeof(command),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key -out %s.crt -days 2 "
        "-subj /CN=%s",
        name, name, name);
    run(kit, command);
}

/* The same authority, whose time was over yesterday. */
static void make_old_authority(const struct redis_kit *kit, const char *name, const char *of)
{
    char command[COMMAND_SIZE];

    (void)snprintf(command, sizeof(command),
                   "openssl x509 -in %s.crt -signkey %s.key -days -1 -out %s.crt", of, of, name);
    run(kit, command);
}

/* A port that is free now. */
static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* A server with the certificate of that name. */
static unsigned start_tls(struct redis_kit *kit, const char *name)
{
    unsigned port = free_port();
    char port_text[16];
    char certificate[64];
    char key[64];

    (void)snprintf(port_text, sizeof(port_text), "%u", port);
    (void)snprintf(certificate, sizeof(certificate), "%s.crt", name);
    (void)snprintf(key, sizeof(key), "%s.key", name);
    const char *const words[] = {"--bind",
                                 "127.0.0.1",
                                 "--tls-port",
                                 port_text,
                                 "--tls-cert-file",
                                 certificate,
                                 "--tls-key-file",
                                 key,
                                 "--tls-auth-clients",
                                 "no",
                                 "--tls-ca-cert-file",
                                 "ca.crt",
                                 NULL};

    redis_kit_start(kit, words);
    return port;
}

static void set_url(struct redis_kit *kit, const char *host, unsigned port)
{
    (void)snprintf(kit->url, sizeof(kit->url), "rediss://%s:%u", host, port);
}

static void test_certificate_must_be_valid_and_of_the_host(void **state)
{
    struct redis_kit *kit = *state;
    char ca[KIT_PATH_SIZE + 8];
    char other[KIT_PATH_SIZE + 8];
    char old[KIT_PATH_SIZE + 8];

    if (!relay_redis_tls_is_built() || system("openssl version >/dev/null 2>&1") != 0) {
        skip();
    }
    (void)snprintf(ca, sizeof(ca), "%.200s/ca.crt", kit->kit.folder);
    (void)snprintf(other, sizeof(other), "%.200s/other.crt", kit->kit.folder);
    (void)snprintf(old, sizeof(old), "%.200s/old.crt", kit->kit.folder);
    make_authority(kit, "ca");
    make_authority(kit, "other");
    make_old_authority(kit, "old", "ca");
    make_certificate(kit, "name", "ca", "DNS:localhost", "2");
    make_certificate(kit, "address", "ca", "IP:127.0.0.1", "2");
    make_certificate(kit, "stale", "ca", "IP:127.0.0.1", "-1");
    kit->kit.options.wait = false;
    kit->kit.options.redis.ca_file = ca;

    unsigned port = start_tls(kit, "name");

    set_url(kit, "localhost", port);
    struct relay_store *store = kit_open(&kit->kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_OK);
    relay_store_close(&store);
    /* The same server by a name that its certificate does not have, and by an authority that did not sign it. */
    set_url(kit, "127.0.0.1", port);
    kit_assert_cannot_open(&kit->kit, "redis_url must have the host as the certificate names it");
    set_url(kit, "localhost", port);
    kit->kit.options.redis.ca_file = other;
    kit_assert_cannot_open(&kit->kit, "redis_ca_file does not have");
    kit->kit.options.redis.ca_file = "";
    kit_assert_cannot_open(&kit->kit, "certificate");
    kit->kit.options.redis.ca_file = old;
    kit_assert_cannot_open(&kit->kit, "of an authority, /CN=ca: certificate has expired");
    kit->kit.options.redis.ca_file = "/no/such/file";
    kit_assert_cannot_open(&kit->kit, "/no/such/file cannot be read: No such file or directory");
    redis_kit_kill(kit);

    port = start_tls(kit, "address");
    kit->kit.options.redis.ca_file = ca;
    set_url(kit, "127.0.0.1", port);
    store = kit_open(&kit->kit);
    relay_store_close(&store);
    set_url(kit, "localhost", port);
    kit_assert_cannot_open(&kit->kit, "certificate");
    redis_kit_kill(kit);

    port = start_tls(kit, "stale");
    set_url(kit, "127.0.0.1", port);
    kit_assert_cannot_open(&kit->kit, "of the server, /CN=stale: certificate has expired");
    /* Without TLS there is no answer that makes sense. */
    (void)snprintf(kit->url, sizeof(kit->url), "redis://127.0.0.1:%u", port);
    kit_assert_cannot_open(&kit->kit, kit->url);
}

/* A server that dies while TLS is spoken ends no program: neither by a signal nor by waiting. */
static void test_loss_of_a_server_with_tls(void **state)
{
    struct redis_kit *kit = *state;
    char ca[KIT_PATH_SIZE + 8];

    if (!relay_redis_tls_is_built() || system("openssl version >/dev/null 2>&1") != 0) {
        skip();
    }
    (void)snprintf(ca, sizeof(ca), "%.200s/ca.crt", kit->kit.folder);
    make_authority(kit, "ca");
    make_certificate(kit, "name", "ca", "DNS:localhost", "2");
    kit->kit.options.redis.ca_file = ca;
    set_url(kit, "localhost", start_tls(kit, "name"));
    struct relay_store *store = redis_kit_open(kit);

    redis_kit_await(store, true);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    redis_kit_kill(kit);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_TEMPFAIL);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL),
                     STATUS_TEMPFAIL);
    redis_kit_await(store, false);
    relay_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_certificate_must_be_valid_and_of_the_host,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_loss_of_a_server_with_tls, redis_kit_setup,
                                        redis_kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis_tls", tests, NULL, NULL);
}
