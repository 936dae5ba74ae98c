/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session's memory is bounded: what a client may do ten thousand times in one session must not add up.
 *
 * The program is linked with --wrap for the allocator, so every byte that libpostern holds is counted, under any
 * sanitizer.
 */
#include "lib/policy/stages.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define TIMES 10000

/* ---- counting ---- */

#define SLOTS 65536u /* many times the pieces that live at once */

static size_t live; /* bytes allocated and not freed */
static size_t peak;

/* The pieces that were counted: what libraries allocate for themselves and give away (gdbm_fetch()) was not. */
static void *pieces[SLOTS];
static size_t sizes[SLOTS];

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *piece);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *piece);

/* The slot of the piece, or the empty one where it would be. */
static size_t find_slot(const void *piece)
{
    size_t at = (size_t)((uintptr_t)piece / 16 % SLOTS);

    while (pieces[at] != NULL && pieces[at] != piece) {
        at = (at + 1) % SLOTS;
    }
    return at;
}

static void *count(void *piece, size_t size)
{
    size_t at = find_slot(piece);

    pieces[at] = piece;
    sizes[at] = size;
    live += size;
    peak = live > peak ? live : peak;
    return piece;
}

/* Takes a piece out, and moves up those behind it that looked for its slot first. */
static void uncount(const void *piece)
{
    size_t at = find_slot(piece);

    if (piece == NULL || pieces[at] == NULL) {
        return;
    }
    live -= sizes[at];
    pieces[at] = NULL;
    for (size_t next = (at + 1) % SLOTS; pieces[next] != NULL; next = (next + 1) % SLOTS) {
        void *moved = pieces[next];

        pieces[next] = NULL;
        size_t to = find_slot(moved);

        pieces[to] = moved;
        sizes[to] = sizes[next];
    }
}

void *__wrap_malloc(size_t size)
{
    return count(__real_malloc(size), size);
}

void *__wrap_calloc(size_t number, size_t size)
{
    return count(__real_calloc(number, size), number * size);
}

void *__wrap_realloc(void *old, size_t size)
{
    uncount(old);
    return count(__real_realloc(old, size), size);
}

void __wrap_free(void *piece)
{
    uncount(piece);
    __real_free(piece);
}

/* ---- what is done again and again ---- */

static struct site site;
static struct ruleset *ruleset;
static struct session session;
static const struct session_login login = {.type = "PLAIN", .authen = "joe"};
static char text[2048];

#define ACCESS                                                                        \
    "Connect:[10] QUARANTINE:a text of some length that is copied for each message\n" \
    "From:held.test QUARANTINE:another text of some length that is copied\n"          \
    "From:no.test 550 5.7.1 A text that is copied for each refusal\n"                 \
    "To:no@ 550 5.1.1 A text that is copied for each recipient\n"                     \
    "To:held@ QUARANTINE:a text for a recipient\nTo:kept@ QUARANTINE:another one\n"   \
    "To:gone@ DISCARD\nTo:relayed.test RELAY\nSpam:joe@ FRIEND\n"

#define PATTERNS                                                                 \
    "Connect:/^(.*)$/ PREPEND X-Client: $1\n"                                    \
    "From:/@(held)\\.test$/ HOLD a text that is copied for each message of $1\n" \
    "From:/@(no)\\.test$/ DUNNO\n"                                               \
    "/@(.*)\\.test$/ WARN a text that is copied for each message of $1\n"        \
    "To:/^(held|kept)/ HOLD a text of some length for $1\n"                      \
    "To:/^(user)/ BCC archive-of-$1@local.example\n"                             \
    "To:/^(gone)/ DEFER_IF_REJECT a text of some length for $1\n"                \
    "Compat:/^(.{1,40}).*<@>/ INFO a text of some length\n"

static int make_site(void **state)
{
    (void)state;
    site_init(&site);
    site_write(&site, "regex", PATTERNS);
    ruleset = site_ruleset(&site, "features = { \"blocklist_recipients\", \"block_bad_helo\" }\n",
                           ACCESS);
    return 0;
}

static int drop_site(void **state)
{
    (void)state;
    ruleset_unref(&ruleset);
    site_fini(&site);
    return 0;
}

static void begin(void)
{
    const struct session_client client = {.address = "10.1.2.3", .hostname = "mx.home.example"};

    session_init(&session, ruleset, NULL);
    session_connect(&session, &client);
    (void)stage_connect(&session);
    (void)stage_helo(&session, "helo.test");
    (void)stage_mail(&session, &login, "<s@neutral.test>");
}

/* `number` makes each address another one. */
typedef void deed_fn(unsigned number);

/* HEAD, the number, TAIL. */
static void rcpt_of(const char *head, unsigned number, const char *tail)
{
    (void)snprintf(text, sizeof(text), "%s%u%s", head, number, tail);
    (void)stage_rcpt(&session, text, NULL);
}

static void rcpt_accepted(unsigned number)
{
    rcpt_of("<user", number, "@sub.domain.local.example>");
}

static void rcpt_refused(unsigned number)
{
    rcpt_of("<no+", number, "@local.example>");
}

static void rcpt_invalid(unsigned number)
{
    rcpt_of("<", number, "@a@b@c>");
}

/* Two holds by turns: the last one wins, but not as a new copy each time. */
static void rcpt_held(unsigned number)
{
    rcpt_of(number % 2 == 0 ? "<held+" : "<kept+", number, "@local.example>");
}

static void rcpt_discarded(unsigned number)
{
    rcpt_of("<gone+", number, "@local.example>");
}

static void rcpt_rewritten(unsigned number)
{
    rcpt_of("<x", number, "%o.test%relayed.test%partner.test@local.example>");
}

static void rcpt_long(unsigned number)
{
    memset(text, 'x', 990);
    (void)snprintf(text + 990, sizeof(text) - 990, "%u", number);
    (void)stage_rcpt(&session, text, NULL);
}

static void helo(unsigned number)
{
    memset(text, 'h', sizeof(text) - 1);
    (void)snprintf(text, sizeof(text), "helo%u", number);
    text[strlen(text)] = 'h';
    text[sizeof(text) - 1] = '\0';
    (void)stage_helo(&session, text);
}

static void mail_refused(unsigned number)
{
    (void)snprintf(text, sizeof(text), "<s%u@no.test>", number);
    (void)stage_mail(&session, &login, text);
}

static void mail_invalid(unsigned number)
{
    (void)snprintf(text, sizeof(text), "<%u@>", number);
    (void)stage_mail(&session, &login, text);
}

static void mail_unqualified(unsigned number)
{
    (void)snprintf(text, sizeof(text), "<%u>", number);
    (void)stage_mail(&session, &login, text);
}

static void whole_message(unsigned number)
{
    (void)snprintf(text, sizeof(text), "<s%u@held.test>", number);
    (void)stage_mail(&session, &login, text);
    rcpt_accepted(number);
    rcpt_held(number);
    (void)stage_eom(&session);
}

static void reset(unsigned number)
{
    (void)snprintf(text, sizeof(text), "<s%u@held.test>", number);
    (void)stage_mail(&session, &login, text);
    session_reset_message(&session);
}

/* ---- measuring ---- */

static const struct deed {
    const char *name;
    deed_fn *deed;
} deeds[] = {
    {"accepted recipients", rcpt_accepted},
    {"refused recipients", rcpt_refused},
    {"invalid recipients", rcpt_invalid},
    {"held recipients", rcpt_held},
    {"discarded recipients", rcpt_discarded},
    {"rewritten recipients", rcpt_rewritten},
    {"long recipients", rcpt_long},
    {"long HELOs", helo},
    {"refused senders", mail_refused},
    {"invalid senders", mail_invalid},
    {"unqualified senders", mail_unqualified},
    {"messages", whole_message},
    {"resets", reset},
};

/* What a session may hold, and reach for a moment. */
#define MAX_LIVE (32u * 1024u)
#define MAX_PEAK (64u * 1024u)

static void test_nothing_adds_up_in_a_session(void **state)
{
    (void)state;
    /* Patterns keep the scratch of one match for the next one, whosesoever it is. */
    begin();
    session_fini(&session);
    for (size_t i = 0; i < COUNT(deeds); i++) {
        size_t before = live;

        begin();
        peak = live;
        for (unsigned n = 0; n < TIMES; n++) {
            deeds[i].deed(n);
        }
        size_t held = live - before;
        size_t reached = peak - before;

        if (held > MAX_LIVE || reached > MAX_PEAK) {
            fail_msg("%d %s: %zu bytes held, %zu at most", TIMES, deeds[i].name, held, reached);
        }
        session_fini(&session);
        if (live != before) {
            fail_msg("%d %s: %zu bytes lost", TIMES, deeds[i].name, live - before);
        }
    }
}

/* The counting itself: a session costs something, and the test would see it grow. */
static void test_memory_is_counted(void **state)
{
    size_t before = live;

    (void)state;
    begin();
    assert_in_range(live - before, 1024, MAX_LIVE);
    size_t held = live;

    (void)arena_strdup(session.arena, "a text");
    for (int i = 0; i < TIMES; i++) {
        (void)arena_strdup(session.arena, "ten thousand texts that nobody resets");
    }
    assert_true(live - held > MAX_LIVE);
    session_fini(&session);
    assert_int_equal(live, before);
}

static void test_reloads_do_not_add_up(void **state)
{
    size_t before = live;

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct ruleset *next = site_load(&site);

        assert_non_null(next);
        ruleset_unref(&next);
        strbuf_reset(&site.log.text);
    }
    /* What the collected warnings hold, and the file's name, which libConfuse frees four times a reload without being counted. */
    assert_in_range(live - before, 0, 4096 + 50 * 4 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_adds_up_in_a_session),
        cmocka_unit_test(test_memory_is_counted),
        cmocka_unit_test(test_reloads_do_not_add_up),
    };

    return cmocka_run_group_tests_name("memory", tests, make_site, drop_site);
}
