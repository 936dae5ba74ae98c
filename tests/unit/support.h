/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * support - what the tests of lib/policy share: a site (a folder with postern.conf, rule files and compiled maps), collected
 * diagnostics, and sessions whose lookups are written down.
 *
 * A site lies in a folder of its own that mkdtemp() made; nothing outside of it is read or written.
 */
#ifndef POSTERN_TESTS_UNIT_SUPPORT_H
#define POSTERN_TESTS_UNIT_SUPPORT_H

#include "lib/base/diag.h"
#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/policy/config.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/session.h"
#include "lib/policy/trace.h"
#include "lib/policy/verdict.h"
#include "lib/relay/relay_list.h"
#include "lib/relay/relay_lookup.h"

#include <stdbool.h>
#include <stddef.h>

struct mapfile_format;
struct relay_usage;
struct dns_script;

/* ---- diagnostics ---- */

/*
 * A struct diag (first member) that writes each item as a line "file:line: error: text; hint" into `text`. Files are
 * named without their folder, also inside texts.
 */
struct diag_log {
    struct diag diag;
    struct strbuf text;
    const char *folder; /* cut out of every line; NULL: nothing is */
};

void diag_log_init(struct diag_log *log, const char *folder);
void diag_log_fini(struct diag_log *log);

/* ---- a site ---- */

struct site {
    char folder[256];
    struct diag_log log; /* of all that was loaded and built */
};

/* An empty folder. Stops the test if there is none to be had. */
void site_init(struct site *site);
void site_fini(struct site *site);

/* cmocka's setup and teardown of a test whose *state is a site. */
int site_setup(void **state);
int site_teardown(void **state);

/* FOLDER/NAME, in a buffer of the caller. Returns `buf`. */
#define SITE_PATH_SIZE 320
const char *site_path(const struct site *site, const char *name, char buf[SITE_PATH_SIZE]);

void site_write(const struct site *site, const char *name, const char *text);
bool site_has(const struct site *site, const char *name);

/* Writes a postern.conf that is exactly `text`. */
void site_conf_exactly(const struct site *site, const char *text);

/* The same, and loads it: config_load(). */
struct config *site_load_conf(struct site *site, const char *text);

/*
 * Writes a postern.conf of the world of the golden sessions: own name mx.home.example, class w
 * local.example and [192.0.2.1], class R partner.test and 203.0.113, class m home.example; access and spammers
 * are files of the site, and so are regex, header_checks and mime_header_checks if they were written before. `more` comes behind, so it overrides.
 */
void site_conf(const struct site *site, const char *more);

/* Compiles FOLDER/NAME with `format` (NULL: the one of that name); messages go to site->log. */
enum status site_build(struct site *site, const char *name, const struct mapfile_format *format);

/* Writes the text and compiles it. */
enum status site_map(struct site *site, const char *name, const char *text);

/* The same, with whatever right-hand sides: what makemap lets through no more may still lie on a disk. */
void site_map_unchecked(struct site *site, const char *name, const char *text);

/* ruleset_load() of the site's postern.conf. */
struct ruleset *site_load(struct site *site);

/* All of it: the world's configuration with `more`, an access map, and an empty spammers map; never NULL. */
struct ruleset *site_ruleset(struct site *site, const char *more, const char *access);

/* ---- sessions ---- */

/* A struct trace (first member) that writes each lookup and note as a line. */
struct trace_log {
    struct trace trace;
    struct strbuf text;
};

/*
 * Lines "  TABLE KEY", "  TABLE KEY = VALUE (FILE:LINE)", "  TABLE KEY cannot be read", "  note: TEXT"; of patterns "  TABLE KEY = VALUE (FILE:LINE)
 * PATTERN 0=CAPTURE 1=CAPTURE" and "  TABLE KEY cannot be known: WHY (FILE:LINE) PATTERN".
 */
void trace_log_init(struct trace_log *log);
void trace_log_fini(struct trace_log *log);

/* "reject 550 5.7.1 Access denied", "discard", "quarantine:text", "continue". In a buffer of the caller; returns `buf`. */
#define VERDICT_TEXT_SIZE 1024
const char *verdict_text(const struct verdict *verdict, char buf[VERDICT_TEXT_SIZE]);

/* A site with a ruleset and one session of it, with a trace. */
struct scene {
    struct site site;
    struct ruleset *ruleset;
    struct trace_log log;
    struct dns_script *dns; /* NULL: nobody is there to be asked */
    struct session session;
    char mechanism[64]; /* of the login at the next mail */
    char user[64];
    bool connected;
    bool in_mail;          /* MAIL was accepted */
    struct strbuf verdict; /* of the last line played */
    struct relay_lookup
        relayers; /* whom sessions ask who logged in, as scene_relayers() said; .find NULL: nobody */
    struct relay_list logged_in;
    bool relayers_fail;
    struct relay_usage *usage; /* recipients that were charged; the hour never ends */
    char client[1024];         /* what was said at connect */
    /* Told of each recipient that the filter saw; NULL: nobody wants to know. */
    void (*on_recipient)(struct scene *scene, const char *recipient, const struct verdict *verdict);
};

/*
 * From now on sessions ask DNS, which knows the zone (dns_kit.h). Lists of the ruleset are probed; log lines of that go to `log_out` if it is
 * not NULL, as "TITLE: STATE".
 */
void scene_dns(struct scene *scene, const char *zone, struct strbuf *log_out);

/* site_ruleset() and a session that is not connected yet. */
void scene_init(struct scene *scene, const char *conf, const char *access);
void scene_fini(struct scene *scene);

/*
 * Sets the facts of a connection from "NAME [ADDRESS] RESOLVE ptr=PTR", where all but the address may be missing, as
 * the golden sessions write them; the daemon's own address is 192.0.2.1.
 */
void scene_connect(struct scene *scene, const char *client);

/* What a client told of itself, taken apart in `buf`: see scene_connect(). */
struct session_client scene_client(const char *client, char buf[1024]);

/*
 * Who logged in to POP or IMAP, as lines of `posternctl relay dump`; `fail`: the store cannot be asked. To be said before the first
 * connect.
 */
void scene_relayers(struct scene *scene, const char *lines, bool fail);

/* The keys asked for since the last call: " connect:a.test a.test=" ('=': found, '!': cannot be read). */
const char *scene_keys(struct scene *scene);

/*
 * Plays lines of a session and writes what came of each: first the line, then (`with_lookups`) its lookups and notes, then
 * "-> VERDICT", with the rule that decided. The lines:
 *
 *   connect NAME [ADDRESS] RESOLVE ptr=PTR      (all but the address may be missing; a second one is another session)
 *   helo NAME            auth MECHANISM USER    (who is logged in at the next mail)
 *   mail <a@b>           rcpt <c@d>             eom            reset
 *   header Name: value   eoh                    body TEXT      ("\n", "\t", "\\" as in C)
 *
 * Behind eom stand the edits of header rules. As in real life no rcpt reaches the filter without an accepted mail, and no header and no eom without an accepted rcpt: "-> not reached".
 */
void scene_play(struct scene *scene, const char *lines, bool with_lookups, struct strbuf *out);

/* Plays the lines and returns the verdict of the last one. The text lives until the next call. */
const char *scene_verdict(struct scene *scene, const char *lines);

#endif
