/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/popauth_kit.h"

#include "lib/base/xalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static struct relay_store *open_store(struct popauth_kit *fixture)
{
    const struct relay_store_options options = {
        .file = fixture->file,
        .terms = {.max_entries = 20000, .ipv6_prefix_bits = 64},
        .wait = true};
    struct strbuf why;

    strbuf_init(&why);
    struct relay_store *store = relay_store_open(&options, &why);

    assert_non_null(store);
    strbuf_fini(&why);
    return store;
}

void popauth_kit_start(struct popauth_kit *fixture)
{
    const struct relay_sessions_terms terms = {
        .max_hours = 24, .max_sessions = 100, .ipv6_prefix_bits = 64};

    fixture->store = open_store(fixture);
    fixture->loop = eventloop_new();
    assert_non_null(fixture->loop);
    assert_true(eventloop_start(fixture->loop));
    fixture->popauth = popauth_start(fixture->loop, server_kit_open(&fixture->kit), fixture->store,
                                     &terms, NULL);
}

int popauth_kit_setup(void **state)
{
    struct popauth_kit *fixture = xcalloc(1, sizeof(*fixture));

    site_init(&fixture->site);
    site_path(&fixture->site, "relayers.gdbm", fixture->file);
    popauth_kit_start(fixture);
    *state = fixture;
    return 0;
}

/* As the daemon ends. */
void popauth_kit_stop(struct popauth_kit *fixture)
{
    popauth_close_socket(fixture->popauth);
    popauth_finish(fixture->popauth);
    relay_store_close(&fixture->store);
    popauth_stop(&fixture->popauth);
    assert_null(fixture->popauth);
    eventloop_free(&fixture->loop);
    server_kit_close(&fixture->kit);
}

int popauth_kit_teardown(void **state)
{
    struct popauth_kit *fixture = *state;

    popauth_kit_stop(fixture);
    site_fini(&fixture->site);
    free(fixture);
    return 0;
}

enum status popauth_kit_find(struct popauth_kit *fixture, const char *address,
                             struct relay_found *found)
{
    struct netaddr addr;

    assert_true(netaddr_parse(address, &addr));
    return relay_store_find(fixture->store, &addr, (int64_t)time(NULL), found);
}

struct relay_sessions_stats popauth_kit_sessions(struct popauth_kit *fixture)
{
    struct popauth_stats stats;

    popauth_stats(fixture->popauth, &stats);
    return stats.sessions;
}
