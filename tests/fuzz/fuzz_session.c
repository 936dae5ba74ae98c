/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole milter sessions without an MTA, in any order of commands and with any macros. Each line of the input is a
 * command: a letter, then its argument. Rules for every stage are in force, so that every kind of verdict and of change
 * comes up.
 */
#include "lib/base/log.h"
#include "lib/mail/reply.h"
#include "lib/policy/access_map.h"
#include "lib/policy/ruleset.h"
#include "milter/callbacks.h"
#include "milter/snapshot.h"
#include "milter/stats.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_resolver.h"

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

static const char regex[] = "Connect:/^\\[203\\.0\\.113\\.(\\d+)\\]$/ 451 4.7.1 Number $1\n"
                            "Helo:/^dyn-/ REJECT\n"
                            "if From:/@bigisp\\.test$/\n"
                            "From:/^\\d+@/ 553 Address Error\n"
                            "endif\n"
                            "From:/@copied\\.test$/ BCC a@here.test\n"
                            "From:/@seen\\.test$/ PREPEND X-Seen: $$1\n"
                            "To:/^moved@/ REDIRECT b@here.test\n"
                            "Compat:/^(.*)@pair\\.test<@>\\1@/ DISCARD\n"
                            "/^((a+)+)+$/ REJECT\n";

/* What a match puts into names, values and texts comes from the client. */
static const char header_checks[] = "/^X-R: (.*)$/ REJECT $1\n"
                                    "/^X-P: (.*)$/ PREPEND X-New: $1\n"
                                    "/^X-N: (.*)$/ PREPEND $1: x\n"
                                    "/^X-C: (.*)$/ REPLACE X-C:$1\n"
                                    "/^X-O: (.*)$/ REPLACE $1\n"
                                    "/^X-I:/ IGNORE\n"
                                    "/^X-B: (.*)$/ BCC $1@here.test\n"
                                    "/^X-D: (.*)$/ REDIRECT $1\n"
                                    "/^X-H: (.*)$/ HOLD $1\n"
                                    "/^X-W: (.*)$/ WARN $1\n"
                                    "/^X-V: (.*)$/ $1\n"
                                    "/^X-S: (\\w+\\s?)+:$/ REJECT\n"
                                    "/^Subject:.*caf\xc3\xa9/D STRIP seen\n"
                                    "if client !local\n"
                                    "missing Message-Id 553 Header Error\n"
                                    "endif\n"
                                    "repeated Subject 1 REJECT two\n"
                                    "headers 100 REJECT many\n"
                                    "bytes 8000 REJECT long\n";

static const char mime_header_checks[] = "/name=.*\\.exe/ REJECT\n"
                                         "/^X-Part: (.*)$/ $1\n";

/* Lists of all kinds, and what else asks DNS. */
#define DNS                                                                                     \
    "dnsbl \"a.list\" { probe = false reply = \"550 %{client} %{query} %{answer} %{text}\" }\n" \
    "dnsbl \"b.list\" { probe = false lookup = { name, helo, sender } on_tempfail = 451 }\n"    \
    "dnsbl \"c.list\" { probe = false lookup = { address, sender } weight = 2 }\n"              \
    "dnsbl \"d.list\" { probe = false action = allow lookup = helo }\n"                         \
    "dnsbl \"e.list\" { probe = false action = quarantine match = { \"127.0.0.3\" } }\n"        \
    "helo { must_resolve = true refuse_own = true }\n"

/* Answering at once, everything at RCPT, and deciding who may relay; with patterns and without. */
static const struct {
    const char *keys;
    const char *regex; /* keys of files that are in use */
    const char *header_checks;
    const char *mime_header_checks;
} settings[] = {
    {"features = { \"blocklist_recipients\", \"require_rdns\", \"block_bad_helo\" }\n", NULL, NULL,
     NULL},
    {"features = { \"blocklist_recipients\", \"delay_checks_friend\", \"lookupdotdomain\", "
     "\"use_client_ptr\" }\n",
     NULL, NULL, NULL},
    {"relay_control = \"milter\"\n"
     "features = { \"blocklist_recipients\", \"compat_check\", \"relay_mail_from_domain\", "
     "\"loose_relay_check\", \"relaytofulladdress\" }\n"
     "daemon \"MSA\" { require_auth = true  require_fqdn = true }\n",
     NULL, NULL, NULL},
    {"features = { \"compat_check\" }\n", regex, header_checks, NULL},
    {"relay_control = \"milter\"\nfeatures = { \"delay_checks\" }\n", regex, header_checks,
     mime_header_checks},
    {"relay_control = \"milter\"\n"
     "features = { \"badmx\", \"relay_based_on_MX\", \"require_rdns\" }\n" DNS
     "dns { score_threshold = 2 }\n",
     NULL, NULL, NULL},
    {"features = { \"delay_checks\", \"require_rdns\" }\n" DNS
     "dns { score_threshold = 2  answer_at = mail }\n",
     NULL, NULL, NULL},
};

#define RULESETS (sizeof(settings) / sizeof(settings[0]))

static struct snapshot *snapshots[RULESETS];
static struct resolver *resolver;

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

/* Writes the file, if there is one, and its key. */
static void write_patterns(FILE *conf, const char *key, const char *text)
{
    if (text != NULL) {
        write_file(key, text);
    }
    (void)fprintf(conf, "%s = \"%s%s%s\"\n", key, text != NULL ? folder : "",
                  text != NULL ? "/" : "", text != NULL ? key : "");
}

static void load(size_t i)
{
    char path[64];
    struct diag diag;

    (void)snprintf(path, sizeof(path), "%s/postern.conf", folder);
    FILE *conf = fopen(path, "we");

    FUZZ_REQUIRE(conf != NULL);
    (void)fprintf(conf,
                  "access = \"%s/access\"\nspammers = \"\"\nhostname = \"mx.here.test\"\n"
                  "local_host_names = \"%s/names\"\nrelay_domains = \"\"\n%s",
                  folder, folder, settings[i].keys);
    write_patterns(conf, "regex", settings[i].regex);
    write_patterns(conf, "header_checks", settings[i].header_checks);
    write_patterns(conf, "mime_header_checks", settings[i].mime_header_checks);
    FUZZ_REQUIRE(fclose(conf) == 0);
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
    resolver = fuzz_resolver_new();
}

/* ---- one session ---- */

/* A refusal came with its reply, and nothing else did. */
static void require_answer(const struct fake *fake, enum mfi_answer answer, bool with_reply)
{
    switch (answer) {
    case MFI_DISCARD:
        FUZZ_REQUIRE(with_reply && fake->reply_code == 0);
        break;
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

/* A separator of units of the input stands for the end of a line. */
static size_t put_line_ends(char *text, const char *end)
{
    size_t len = strlen(text);

    for (char *at = text; (at = strchr(at, 0x1f)) != NULL; at++) {
        *at = *end;
    }
    return len;
}

/* A part of a message: "LName:value", "N", "Btext". */
static void step_of_content(struct fake *fake, struct callbacks *callbacks, char kind, char *text)
{
    const struct mfi_filter *filter = callbacks_filter();
    char *colon = strchr(text, ':');
    enum mfi_answer answer;
    size_t len = put_line_ends(text, "\n");
    enum mfi_step part = kind == 'L' ? MFI_STEP_HEADER : kind == 'B' ? MFI_STEP_BODY : MFI_STEP_EOH;

    if (kind == 'L') {
        if (colon != NULL) {
            *colon++ = '\0';
        }
        fake->headers++;
        answer = filter->header(callbacks, &fake->mfi, text, colon != NULL ? colon : "");
    } else if (kind == 'B') {
        answer = filter->body(callbacks, &fake->mfi, text, len);
    } else {
        answer = filter->eoh(callbacks, &fake->mfi);
    }
    if ((fake->silent & part) != 0) {
        FUZZ_REQUIRE(answer == MFI_NOREPLY);
    } else {
        FUZZ_REQUIRE(answer != MFI_NOREPLY);
        require_answer(fake, answer, kind == 'N');
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
        fake->headers = 0;
        require_answer(fake, filter->mail(callbacks, mfi, args), true);
        break;
    case 'R':
        require_answer(fake, filter->rcpt(callbacks, mfi, args), true);
        break;
    case 'L':
    case 'N':
    case 'B':
        step_of_content(fake, callbacks, *line, args[0]);
        break;
    case 'E':
        require_answer(fake, filter->eom(callbacks, mfi), true);
        fake->headers = 0;
        break;
    case 'A':
        filter->abort(callbacks, mfi);
        break;
    case 'Q':
        filter->close(callbacks, mfi);
        FUZZ_REQUIRE(mfi->state == NULL);
        fake->silent = 0; /* nothing was negotiated for the next one */
        break;
    default:
        break;
    }
}

static void negotiate(struct fake *fake, struct callbacks *callbacks, unsigned options)
{
    struct mfi_offer offer = {.quarantine = options & 1u,
                              .drop = options & 8u,
                              .add_recipients = options & 8u,
                              .edit_headers = options & 8u,
                              .leading_blank = options & 8u,
                              .choose_macros = options & 2u,
                              .silent = options & 4u ? ~0u : 0};
    struct mfi_request request = {0};

    FUZZ_REQUIRE(callbacks_filter()->negotiate(callbacks, &fake->mfi, &offer, &request));
    FUZZ_REQUIRE((request.silent & ~offer.silent) == 0);
    FUZZ_REQUIRE(offer.quarantine || !request.quarantine);
    FUZZ_REQUIRE(offer.edit_headers || !(request.edit_headers || request.add_recipients ||
                                         request.drop || request.leading_blank));
    fake->silent = request.silent;
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
    struct callbacks callbacks = {.snapshot = snapshots[data[0] % RULESETS],
                                  .logger = logger,
                                  .stats = &stats,
                                  .resolver = resolver};
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
