/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole milter sessions without an MTA, in any order of commands and with any macros. Each line of the input is a
 * command: a letter, then its argument. Rules for every stage are in force, so that every kind of verdict comes up.
 */
#include "lib/base/log.h"
#include "lib/mail/reply.h"
#include "lib/policy/access_map.h"
#include "lib/policy/ruleset.h"
#include "milter/callbacks.h"
#include "milter/snapshot.h"
#include "milter/stats.h"
#include "tests/fuzz/fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MACROS 8

static const char rules[] = "Connect:192.0.2\tREJECT\n"
                            "Connect:198.51.100.0/25\tERROR:4.7.1:\"450 later\"\n"
                            "Connect:IPv6:2001:db8\tDISCARD\n"
                            "Connect:held.test\tQUARANTINE:from held\n"
                            "Connect:bad.test\tREJECT\n"
                            "From:bad.test\tERROR:5.7.1:\"550 100% no\"\n"
                            "From:drop.test\tDISCARD\n"
                            "From:held.test\tQUARANTINE:look\n"
                            "From:user@\tREJECT\n"
                            "To:bad.test\tREJECT\n"
                            "To:closed@here.test\tERROR:5.1.1:\"550 closed\"\n"
                            "Spam:friend@here.test\tFRIEND\n"
                            "Connect:10\tRELAY\n"
                            "To:relay.test\tRELAY\n"
                            "Compat:a@b.test<@>c@here.test\tERROR:5.7.1:\"550 not you two\"\n"
                            "Compat:a@b.test<@>d@here.test\tDISCARD\n";

/* Answering at once, everything at RCPT, and deciding who may relay. */
static const char *const settings[] = {
    "features = { \"blocklist_recipients\", \"require_rdns\", \"block_bad_helo\" }\n",
    "features = { \"blocklist_recipients\", \"delay_checks_friend\", \"lookupdotdomain\", "
    "\"use_client_ptr\" }\n",
    "relay_control = \"milter\"\n"
    "features = { \"blocklist_recipients\", \"compat_check\", \"relay_mail_from_domain\", "
    "\"loose_relay_check\", \"relaytofulladdress\" }\n"
    "daemon \"MSA\" { require_auth = true  require_fqdn = true }\n",
};

#define RULESETS (sizeof(settings) / sizeof(settings[0]))

static struct snapshot *snapshots[RULESETS];

/* A connection, and what the filter asked for during one command. */
struct fake {
    struct mfi mfi; /* first */
    const char *names[MACROS];
    const char *values[MACROS];
    unsigned count;
    unsigned headers; /* of this message */
    unsigned silent;  /* what was negotiated */
    int reply_code;   /* 0: none set */
    bool quarantined;
};

static struct fake *fake_of(struct mfi *mfi)
{
    return (struct fake *)(void *)mfi;
}

static const char *fake_macro(struct mfi *mfi, const char *name)
{
    const struct fake *fake = fake_of(mfi);

    for (unsigned i = 0; i < fake->count; i++) {
        if (strcmp(fake->names[i], name) == 0) {
            return fake->values[i];
        }
    }
    return NULL;
}

static bool fake_set_reply(struct mfi *mfi, const struct reply *reply)
{
    fuzz_require_reply(reply);
    fake_of(mfi)->reply_code = reply->code;
    return true;
}

static bool fake_quarantine(struct mfi *mfi, const char *reason)
{
    FUZZ_REQUIRE(reason[0] != '\0' && strpbrk(reason, "\r\n") == NULL);
    fake_of(mfi)->quarantined = true;
    return true;
}

static bool fake_drop(struct mfi *mfi, const char *recipient)
{
    (void)mfi;
    return recipient != NULL;
}

static bool fake_add_recipient(struct mfi *mfi, const char *recipient)
{
    (void)mfi;
    FUZZ_REQUIRE(strpbrk(recipient, "\r\n<>") == NULL);
    return true;
}

/* What is written behind a colon cannot end the field. */
static void require_value(const char *value)
{
    FUZZ_REQUIRE(value[0] != '\0' && strchr(value, '\r') == NULL);
    for (const char *end = strchr(value, '\n'); end != NULL; end = strchr(end + 1, '\n')) {
        FUZZ_REQUIRE(end[1] == ' ' || end[1] == '\t');
    }
}

static bool fake_change_header(struct mfi *mfi, const char *name, unsigned occurrence,
                               const char *value)
{
    FUZZ_REQUIRE(occurrence > 0 && occurrence <= fake_of(mfi)->headers && name[0] != '\0');
    if (value != NULL) {
        require_value(value);
    }
    return true;
}

static bool fake_insert_header(struct mfi *mfi, unsigned index, const char *name, const char *value)
{
    FUZZ_REQUIRE(index > 0 && index <= fake_of(mfi)->headers + 8);
    FUZZ_REQUIRE(name[0] != '\0' && strpbrk(name, ": \r\n\t") == NULL);
    require_value(value);
    return true;
}

static const struct mfi_ops fake_ops = {
    .macro = fake_macro,
    .set_reply = fake_set_reply,
    .quarantine = fake_quarantine,
    .drop = fake_drop,
    .add_recipient = fake_add_recipient,
    .change_header = fake_change_header,
    .insert_header = fake_insert_header,
};

/* ---- set-up ---- */

static char folder[] = "/tmp/postern-fuzz-XXXXXX";

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");

    FUZZ_REQUIRE(file != NULL);
    FUZZ_REQUIRE(fputs(text, file) >= 0 && fclose(file) == 0);
}

static void load(size_t i)
{
    char conf[1024];
    char path[64];
    struct diag diag;

    (void)snprintf(conf, sizeof(conf),
                   "access = \"%s/access\"\nspammers = \"\"\nhostname = \"mx.here.test\"\n"
                   "local_host_names = \"%s/names\"\nrelay_domains = \"\"\n%s",
                   folder, folder, settings[i]);
    write_file("postern.conf", conf);
    (void)snprintf(path, sizeof(path), "%s/postern.conf", folder);
    diag_init(&diag, diag_to_stream, stderr);
    struct ruleset *ruleset = ruleset_load(path, &diag);

    FUZZ_REQUIRE(ruleset != NULL);
    snapshots[i] = snapshot_new(ruleset);
}

static void set_up(void)
{
    char text[64];
    char map[64];
    struct diag diag;
    struct mapfile_result result;
    struct mapfile_job job = {.format = &access_map_format, .map_path = map, .source_path = text};

    FUZZ_REQUIRE(mkdtemp(folder) != NULL);
    FUZZ_REQUIRE(atexit(clean_up) == 0);
    write_file("access", rules);
    write_file("names", "here.test\n");
    (void)snprintf(text, sizeof(text), "%s/access", folder);
    (void)snprintf(map, sizeof(map), "%s/access.gdbm", folder);
    diag_init(&diag, diag_to_stream, stderr);
    FUZZ_REQUIRE(mapfile_build(&job, &diag, &result) == STATUS_OK);
    for (size_t i = 0; i < RULESETS; i++) {
        load(i);
    }
}

/* ---- one session ---- */

/* A refusal came with its reply, and nothing else did. */
static void require_answer(const struct fake *fake, enum mfi_answer answer, bool with_reply)
{
    switch (answer) {
    case MFI_REJECT:
        FUZZ_REQUIRE(with_reply && fake->reply_code >= 500);
        break;
    case MFI_TEMPFAIL:
        FUZZ_REQUIRE(fake->reply_code < 500); /* without one: the MTA's own words */
        break;
    case MFI_CONTINUE:
        FUZZ_REQUIRE(fake->reply_code == 0);
        break;
    default:
        FUZZ_REQUIRE(!with_reply);
    }
}

static void add_macro(struct fake *fake, struct arena *arena, const char *text)
{
    const char *value = strchr(text, '=');

    if (value != NULL && fake->count < MACROS) {
        fake->names[fake->count] = arena_strndup(arena, text, (size_t)(value - text));
        fake->values[fake->count++] = value + 1;
    }
}

static void step(struct fake *fake, struct callbacks *callbacks, struct arena *arena,
                 const char *line)
{
    const struct mfi_filter *filter = callbacks_filter();
    struct mfi *mfi = &fake->mfi;
    char *args[] = {arena_strdup(arena, *line == '\0' ? "" : line + 1), NULL};
    char *blank = strchr(args[0], ' ');

    fake->reply_code = 0;
    switch (*line) {
    case 'K':
        add_macro(fake, arena, args[0]);
        break;
    case 'C': /* "Cname address" */
        if (blank != NULL) {
            *blank++ = '\0';
        }
        require_answer(fake, filter->connect(callbacks, mfi, args[0], blank), false);
        break;
    case 'H':
        require_answer(fake, filter->helo(callbacks, mfi, args[0]), false);
        break;
    case 'M':
        require_answer(fake, filter->mail(callbacks, mfi, args), true);
        break;
    case 'R':
        require_answer(fake, filter->rcpt(callbacks, mfi, args), true);
        break;
    case 'E': {
        enum mfi_answer answer = filter->eom(callbacks, mfi);

        FUZZ_REQUIRE(answer == MFI_CONTINUE || answer == MFI_DISCARD || answer == MFI_TEMPFAIL);
        break;
    }
    case 'A':
        filter->abort(callbacks, mfi);
        break;
    case 'Q':
        filter->close(callbacks, mfi);
        FUZZ_REQUIRE(mfi->state == NULL);
        break;
    default:
        break;
    }
}

static void negotiate(struct fake *fake, struct callbacks *callbacks, unsigned options)
{
    struct mfi_offer offer = {.quarantine = options & 1u,
                              .choose_macros = options & 2u,
                              .silent = options & 4u ? ~0u : 0};
    struct mfi_request request = {0};

    FUZZ_REQUIRE(callbacks_filter()->negotiate(callbacks, &fake->mfi, &offer, &request));
    FUZZ_REQUIRE((request.silent & ~offer.silent) == 0);
    FUZZ_REQUIRE(offer.quarantine || !request.quarantine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (snapshots[0] == NULL) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_new();
    struct fuzz_input input = {data + 1, size - 1, arena};
    struct stats stats = {0};
    struct logger *logger = log_new(LOG_TARGET_STDERR, "fuzz", "mail", LOG_LEVEL_DEBUG);
    struct callbacks callbacks = {
        .snapshot = snapshots[data[0] % RULESETS], .logger = logger, .stats = &stats};
    struct fake fake = {.mfi = {.ops = &fake_ops}};

    fuzz_log_begin();
    negotiate(&fake, &callbacks, data[0] >> 4);
    for (unsigned steps = 0; input.left > 0 && steps < 200; steps++) {
        step(&fake, &callbacks, arena, fuzz_line(&input));
    }
    callbacks_filter()->close(&callbacks, &fake.mfi);
    FUZZ_REQUIRE(fake.mfi.state == NULL);
    FUZZ_REQUIRE(stats_level(&stats.sessions_open) == 0 && stats_level(&stats.messages_open) == 0);
    fuzz_log_end();
    log_free(&logger);
    arena_free(&arena);
    return 0;
}
