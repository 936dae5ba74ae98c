/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fake_stages - stages that say what a test wants, a ruleset that only counts who holds it, and the fixture of the tests of
 * the callbacks. Included once per program: the definitions take the place of those of lib/policy.
 */
#ifndef POSTERN_TESTS_UNIT_FAKE_STAGES_H
#define POSTERN_TESTS_UNIT_FAKE_STAGES_H

#include "lib/base/log.h"
#include "lib/base/xalloc.h"
#include "lib/mail/domain.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/stages.h"
#include "milter/snapshot.h"
#include "milter/stats.h"
#include "tests/unit/fake_mfi.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- a ruleset that only counts who holds it ---- */

struct ruleset {
    int references;
    struct config config;
};

static struct ruleset rules;
static struct ruleset_needs needs;

struct ruleset *ruleset_ref(struct ruleset *ruleset)
{
    ruleset->references++;
    return ruleset;
}

void ruleset_unref(struct ruleset **ruleset)
{
    if (*ruleset != NULL) {
        (*ruleset)->references--;
    }
    *ruleset = NULL;
}

const struct config *ruleset_config(const struct ruleset *ruleset)
{
    return &ruleset->config;
}

struct ruleset_needs ruleset_needs(const struct ruleset *ruleset)
{
    (void)ruleset;
    return needs;
}

/* ---- stages that return what is set ---- */

static struct {
    struct verdict connect, helo, mail, rcpt, eoh, eom;
    const struct header_edit *edits; /* what the header rules say of the message */
    int calls;
    int headers; /* fields seen */
    char header[8192];
    char body[8192];
    char client[256], address[256], resolve[16], helo_name[2048], sender[8192], recipient[8192];
    char user[256];
} stage;

struct verdict stage_connect(struct session *session)
{
    stage.calls++;
    (void)snprintf(stage.client, sizeof(stage.client), "%s", session->client_name);
    (void)snprintf(stage.address, sizeof(stage.address), "%s", session->client_addr);
    (void)snprintf(stage.resolve, sizeof(stage.resolve), "%s",
                   session_resolve_name(session->resolve));
    session->connect = stage.connect;
    return stage.connect;
}

struct verdict stage_helo(struct session *session, const char *name)
{
    (void)snprintf(session->helo, DOMAIN_MAX_LEN + 1, "%s", name);
    stage.calls++;
    (void)snprintf(stage.helo_name, sizeof(stage.helo_name), "%s", name);
    return stage.helo;
}

struct verdict stage_mail(struct session *session, const struct session_login *login,
                          const char *sender)
{
    stage.calls++;
    session_reset_message(session);
    session->sender = arena_strdup(session->message, sender);
    (void)snprintf(stage.sender, sizeof(stage.sender), "%s", sender);
    (void)snprintf(stage.user, sizeof(stage.user), "%s",
                   login->authen != NULL ? login->authen : "");
    return stage.mail;
}

struct verdict stage_rcpt(struct session *session, const char *recipient, const char *mailer)
{
    (void)mailer;
    (void)session;
    stage.calls++;
    (void)snprintf(stage.recipient, sizeof(stage.recipient), "%s", recipient);
    return stage.rcpt;
}

struct verdict stage_header(struct session *session, const char *name, const char *value)
{
    (void)session;
    stage.calls++;
    stage.headers++;
    (void)snprintf(stage.header, sizeof(stage.header), "%s:%s", name, value);
    return verdict_continue();
}

struct verdict stage_eoh(struct session *session)
{
    (void)session;
    stage.calls++;
    return stage.eoh;
}

struct verdict stage_body(struct session *session, const void *chunk, size_t len)
{
    size_t used = strlen(stage.body);

    (void)session;
    stage.calls++;
    (void)snprintf(stage.body + used, sizeof(stage.body) - used, "%.*s", (int)len,
                   (const char *)chunk);
    return verdict_continue();
}

struct verdict stage_eom(struct session *session)
{
    session->edits.first = stage.edits;
    stage.calls++;
    return stage.eom;
}

/* ---- what each test begins with ---- */

struct fixture {
    struct fake_mfi fake;
    struct callbacks callbacks;
    struct stats stats;
    int saved_stderr;
    int pipe_out;
};

static const struct mfi_offer full_offer = {.quarantine = true,
                                            .drop = true,
                                            .add_recipients = true,
                                            .edit_headers = true,
                                            .leading_blank = true,
                                            .choose_macros = true,
                                            .silent = ~0u};

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    int ends[2];

    (void)memset(&stage, 0, sizeof(stage));
    needs = (struct ruleset_needs){0};
    rules = (struct ruleset){.references = 1};
    rules.config.hostname = (char *)(size_t) "mx.example.org";
    assert_int_equal(pipe(ends), 0);
    fixture->saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
    fixture->pipe_out = ends[0];
    fixture->callbacks.snapshot = snapshot_new(&rules);
    fixture->callbacks.logger = log_new(LOG_TARGET_STDERR, "test", "mail", LOG_LEVEL_INFO);
    fixture->callbacks.stats = &fixture->stats;
    fake_init(&fixture->fake, &fixture->callbacks);
    *state = fixture;
    return 0;
}

/* Whatever a test did, a closed connection leaves nothing behind. */
static int teardown(void **state)
{
    struct fixture *fixture = *state;

    fake_close(&fixture->fake);
    assert_null(fixture->fake.mfi.state);
    assert_int_equal(rules.references, 1);
    assert_int_equal(stats_level(&fixture->stats.sessions_open), 0);
    assert_int_equal(stats_level(&fixture->stats.messages_open), 0);
    snapshot_free(&fixture->callbacks.snapshot);
    log_free(&fixture->callbacks.logger);
    (void)dup2(fixture->saved_stderr, STDERR_FILENO);
    (void)close(fixture->saved_stderr);
    (void)close(fixture->pipe_out);
    free(fixture);
    return 0;
}

/* What was logged so far (at least one line), in a buffer that the next call reuses. */
static const char *logged(struct fixture *fixture)
{
    static char text[16384];
    ssize_t got = read(fixture->pipe_out, text, sizeof(text) - 1);

    assert_true(got > 0);
    text[got] = '\0';
    return text;
}

static void begin(struct fixture *fixture)
{
    assert_true(fake_negotiate(&fixture->fake, &full_offer));
    assert_int_equal(fake_connect(&fixture->fake, "host.example", "192.0.2.1"), MFI_NOREPLY);
    assert_int_equal(fake_helo(&fixture->fake, "helo.example"), MFI_NOREPLY);
}

static struct verdict refuse(int code, const char *dsn, const char *text)
{
    struct verdict verdict = verdict_refuse(reply_make(code, dsn, text), "access");

    verdict.rule = (struct verdict_rule){"/etc/postern/access", 7, "from:bad@example"};
    return verdict;
}

static uint64_t failures(const struct fixture *fixture)
{
    return stats_get(&fixture->stats.internal_failures);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
