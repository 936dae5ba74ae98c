/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/support.h"

#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/stages.h"
#include "lib/relay/relay_text.h"
#include "lib/relay/relay_usage.h"
#include "tests/unit/dns_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- traces ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Headers have more than one line. */
static void append_escaped(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            strbuf_append(out, "\\n");
        } else {
            strbuf_append_char(out, *text);
        }
    }
}

static void trace_lookup_line(struct trace *trace, const struct trace_lookup *lookup)
{
    struct strbuf *text = &((struct trace_log *)trace)->text;

    strbuf_appendf(text, "  %s ", lookup->table);
    append_escaped(text, lookup->key);
    if (lookup->result == STATUS_OK) {
        strbuf_append(text, " = ");
        append_escaped(text, lookup->value);
        if (lookup->file != NULL) {
            strbuf_appendf(text, " (%s:%u)", base_name(lookup->file), lookup->line);
        }
    } else if (lookup->result == STATUS_TEMPFAIL && lookup->pattern != NULL) {
        strbuf_appendf(text, " cannot be known: %s (%s:%u)", lookup->value, base_name(lookup->file),
                       lookup->line);
    } else if (strcmp(lookup->table, "dns") == 0) {
        strbuf_appendf(text, " - %s", lookup->value);
    } else if (lookup->result == STATUS_TEMPFAIL) {
        strbuf_append(text, " cannot be read");
    }
    if (lookup->pattern != NULL) {
        strbuf_appendf(text, " %s", lookup->pattern);
    }
    for (size_t i = 0; i < lookup->capture_count; i++) {
        const struct regex_capture *capture = &lookup->captures[i];

        strbuf_appendf(text, " %zu=", i);
        append_escaped(text, capture->text == NULL ? "" : capture->text);
    }
    strbuf_append(text, "\n");
}

static void trace_note_line(struct trace *trace, const char *note)
{
    strbuf_appendf(&((struct trace_log *)trace)->text, "  note: %s\n", note);
}

void trace_log_init(struct trace_log *log)
{
    log->trace = (struct trace){.lookup = trace_lookup_line, .note = trace_note_line};
    strbuf_init(&log->text);
}

void trace_log_fini(struct trace_log *log)
{
    strbuf_fini(&log->text);
}

const char *verdict_text(const struct verdict *verdict, char buf[VERDICT_TEXT_SIZE])
{
    const char *name = verdict_kind_name(verdict->kind);

    if (verdict_is_refusal(verdict)) {
        (void)snprintf(buf, VERDICT_TEXT_SIZE, "%s %d %s %s", name, verdict->reply.code,
                       verdict->reply.dsn, verdict->reply.text);
    } else if (verdict->kind == VERDICT_QUARANTINE) {
        (void)snprintf(buf, VERDICT_TEXT_SIZE, "%s:%s", name, verdict->quarantine);
    } else {
        (void)snprintf(buf, VERDICT_TEXT_SIZE, "%s", name);
    }
    return buf;
}

/* ---- scenes ---- */

void scene_init(struct scene *scene, const char *conf, const char *access)
{
    memset(scene, 0, sizeof(*scene));
    site_init(&scene->site);
    scene->ruleset = site_ruleset(&scene->site, conf, access);
    trace_log_init(&scene->log);
    strbuf_init(&scene->verdict);
    session_init(&scene->session, scene->ruleset, &scene->log.trace);
}

void scene_dns(struct scene *scene, const char *zone, struct strbuf *log_out)
{
    struct dns_lists *lists = ruleset_dns_lists(scene->ruleset);

    scene->dns = dns_script_new(zone);
    scene->session.resolver = dns_script_resolver(scene->dns);
    dns_lists_probe(lists, scene->session.resolver, NULL, dns_now());
    for (size_t i = 0; i < dns_lists_count(lists) && log_out != NULL; i++) {
        const struct dns_list *list = dns_lists_get(lists, i);

        strbuf_appendf(log_out, "probe: %s ", list->config->title);
        dnsbl_health_describe(list->health, log_out);
        strbuf_append(log_out, "\n");
    }
}

void scene_fini(struct scene *scene)
{
    session_fini(&scene->session);
    dns_script_free(&scene->dns);
    ruleset_unref(&scene->ruleset);
    trace_log_fini(&scene->log);
    strbuf_fini(&scene->verdict);
    if (scene->relayers.find != NULL) {
        relay_list_fini(&scene->logged_in);
        relay_usage_free(&scene->usage);
    }
    site_fini(&scene->site);
}

/* ---- who logged in ---- */

static enum status find_login(void *ctx, const struct netaddr *client,
                              struct relay_found *found_out)
{
    const struct scene *scene = ctx;

    if (scene->relayers_fail) {
        return STATUS_TEMPFAIL;
    }
    for (size_t i = 0; i < scene->logged_in.count; i++) {
        const struct relay_entry *entry = &scene->logged_in.entries[i];

        if (netaddr_contains(&entry->addr, client) && found_out != NULL) {
            *found_out = (struct relay_found){.addr = entry->addr, .login_at = entry->login_at};
            (void)snprintf(found_out->user, sizeof(found_out->user), "%s", entry->user);
            (void)snprintf(found_out->service, sizeof(found_out->service), "%s", entry->service);
        }
        if (netaddr_contains(&entry->addr, client)) {
            return STATUS_OK;
        }
    }
    return STATUS_NOTFOUND;
}

static enum status charge_login(void *ctx, const struct netaddr *addr, unsigned limit)
{
    return relay_usage_charge(((struct scene *)ctx)->usage, addr, limit, 1) ? STATUS_OK
                                                                            : STATUS_NOTFOUND;
}

void scene_relayers(struct scene *scene, const char *lines, bool fail)
{
    char *copy = strdup(lines);
    char *rest = copy;
    struct strbuf texts;
    char *line;

    assert_non_null(copy);
    strbuf_init(&texts);
    relay_list_init(&scene->logged_in);
    scene->relayers = (struct relay_lookup){find_login, charge_login, scene, false};
    scene->usage = relay_usage_new(100);
    scene->relayers_fail = fail;
    while ((line = strsep(&rest, "\n")) != NULL) {
        struct relay_entry entry;
        const char *why = "";

        if (*line != '\0' && relay_text_parse_line(line, &texts, &entry, &why)) {
            (void)relay_list_add(&scene->logged_in, &entry);
        } else if (*line != '\0') {
            fail_msg("no address that logged in: %s: %s", line, why);
        }
    }
    strbuf_fini(&texts);
    free(copy);
}

/* The next word of *text, which it cuts off in place; NULL at the end. */
static char *next_word(char **text)
{
    *text += strspn(*text, " ");
    if (**text == '\0') {
        return NULL;
    }
    char *word = *text;

    *text += strcspn(word, " ");
    if (**text != '\0') {
        *(*text)++ = '\0';
    }
    return word;
}

/* "[10.1.2.3]" without its brackets, in place. */
static char *unbracket(char *word)
{
    word[strlen(word) - 1] = '\0';
    return word + 1;
}

struct session_client scene_client(const char *client, char buf[1024])
{
    char *rest = buf;
    char *words[4] = {NULL};
    size_t count = 0;
    struct session_client facts = {.daemon_addr = "192.0.2.1", .daemon_name = "MTA"};

    assert_true(strlen(client) < 1024);
    (void)snprintf(buf, 1024, "%s", client);
    for (char *word; (word = next_word(&rest)) != NULL;) {
        if (strncmp(word, "ptr=", 4) == 0) {
            facts.ptr = word + 4;
        } else {
            assert_in_range(count, 0, 3);
            words[count++] = word;
        }
    }
    size_t at = 0;

    /* A name that is followed by an address, be it "[10.1.2.3]" itself. */
    if (count > 0 && (words[0][0] != '[' || (count > 1 && words[1][0] == '['))) {
        facts.name = words[at++];
    }
    if (at < count && words[at][0] == '[') {
        facts.address = unbracket(words[at++]);
    }
    if (at < count) {
        facts.resolve = words[at++];
    }
    assert_int_equal(at, count);
    return facts;
}

void scene_connect(struct scene *scene, const char *client)
{
    char copy[1024];
    const struct session_client facts = scene_client(client, copy);

    (void)snprintf(scene->client, sizeof(scene->client), "%s", client);
    scene->session.relayers = scene->relayers.find == NULL ? NULL : &scene->relayers;
    session_connect(&scene->session, &facts);
}

/* ---- playing ---- */

static void write_rule(const struct verdict *verdict, struct strbuf *out)
{
    if (verdict->rule.file != NULL) {
        strbuf_appendf(out, "  [%s:%u %s]", base_name(verdict->rule.file), verdict->rule.line,
                       verdict->rule.key);
    }
    if (verdict->reason != NULL) {
        strbuf_appendf(out, " (%s)", verdict->reason);
    }
    if (verdict->answer != NULL) {
        strbuf_appendf(out, " {%s%s%s}", verdict->list == NULL ? "" : verdict->list,
                       verdict->list == NULL ? "" : ": ", verdict->answer);
    }
}

static void take_login(struct scene *scene, char *argument)
{
    const char *mechanism = next_word(&argument);
    const char *user = next_word(&argument);

    (void)snprintf(scene->mechanism, sizeof(scene->mechanism), "%s",
                   mechanism == NULL ? "" : mechanism);
    (void)snprintf(scene->user, sizeof(scene->user), "%s", user == NULL ? "" : user);
}

static struct verdict play_mail(struct scene *scene, const char *sender)
{
    struct session_login login = {.type = scene->mechanism, .authen = scene->user};
    struct verdict verdict = stage_mail(&scene->session, &login, sender);

    while (verdict.kind == VERDICT_WAIT) {
        dns_questions_wait(&scene->session);
        verdict = stage_mail(&scene->session, &login, sender);
    }
    scene->in_mail = !verdict_is_refusal(&verdict);
    return verdict;
}

/* "\\n", "\\t", "\\\\" as C has them, in place. */
static void unescape(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] != '\0') {
            text++;
            *to++ = *text == 'n' ? '\n' : *text == 't' ? '\t' : *text;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
}

/* "Name: value" */
static struct verdict play_header(struct session *session, char *argument)
{
    char *colon = strchr(argument, ':');

    assert_non_null(colon);
    unescape(colon);
    *colon = '\0';
    return stage_header(session, argument, colon + 1);
}

static struct verdict play_body(struct session *session, char *argument)
{
    unescape(argument);
    return stage_body(session, argument, strlen(argument));
}

/* A stage between RCPT and the end of the message. */
static bool play_content(struct session *session, const char *word, char *argument,
                         struct verdict *out)
{
    if (strcmp(word, "header") == 0) {
        *out = play_header(session, argument);
    } else if (strcmp(word, "eoh") == 0) {
        *out = stage_eoh(session);
    } else if (strcmp(word, "body") == 0) {
        *out = play_body(session, argument);
    } else {
        return false;
    }
    return true;
}

static bool is_content(const char *word)
{
    return strcmp(word, "header") == 0 || strcmp(word, "eoh") == 0 || strcmp(word, "body") == 0;
}

/* What header rules change: "  edit: replace Subject 1 @2 Subject: new [header_checks:3 /^Subject/]". */
static void write_edits(const struct session *session, struct strbuf *out)
{
    const struct header_edit *edit = session_header_edits(session);

    for (; edit != NULL; edit = edit->next) {
        strbuf_appendf(out, "  edit: %s", header_edit_kind_name(edit->kind));
        if (edit->name != NULL) {
            strbuf_appendf(out, " %s %u", edit->name, edit->occurrence);
        }
        strbuf_appendf(out, " @%u", edit->position);
        if (edit->new_name != NULL) {
            strbuf_appendf(out, " %s:", edit->new_name);
            append_escaped(out, edit->value);
        } else if (edit->value != NULL) {
            strbuf_append_char(out, ' ');
            append_escaped(out, edit->value);
        }
        strbuf_appendf(out, "  [%s:%u %s]\n", base_name(edit->rule.file), edit->rule.line,
                       edit->rule.key);
    }
}

static struct verdict play_rcpt(struct session *session, const char *recipient)
{
    struct verdict verdict = stage_rcpt(session, recipient, NULL);

    while (verdict.kind == VERDICT_WAIT) {
        dns_questions_wait(session);
        verdict = stage_rcpt(session, recipient, NULL);
    }
    return verdict;
}

/* One line; false if it does not reach the filter or is no stage. */
static bool play_stage(struct scene *scene, const char *word, char *argument, struct verdict *out)
{
    struct session *session = &scene->session;

    if (strcmp(word, "connect") == 0) {
        if (scene->connected) {
            session_fini(session);
            session_init(session, scene->ruleset, &scene->log.trace);
            session->resolver = scene->dns == NULL ? NULL : dns_script_resolver(scene->dns);
            scene->in_mail = false;
        }
        scene->connected = true;
        scene_connect(scene, argument);
        *out = stage_connect(session);
    } else if (strcmp(word, "helo") == 0) {
        *out = stage_helo(session, argument);
    } else if (strcmp(word, "mail") == 0) {
        *out = play_mail(scene, argument);
    } else if (strcmp(word, "rcpt") == 0 && scene->in_mail) {
        *out = play_rcpt(session, argument);
        if (scene->on_recipient != NULL) {
            scene->on_recipient(scene, argument, out);
        }
    } else if (is_content(word) && scene->in_mail && session->recipients > 0) {
        return play_content(session, word, argument, out);
    } else if (strcmp(word, "eom") == 0 && scene->in_mail && session->recipients > 0) {
        *out = stage_eom(session);
        scene->in_mail = false;
    } else {
        return false;
    }
    return true;
}

static void play_line(struct scene *scene, char *line, bool with_lookups, struct strbuf *out)
{
    char buf[VERDICT_TEXT_SIZE];
    struct verdict verdict;
    char *argument = line;

    strbuf_appendf(out, "%s\n", line);

    const char *word = next_word(&argument);

    if (strcmp(word, "auth") == 0) {
        take_login(scene, argument);
        return;
    }
    if (strcmp(word, "reset") == 0) {
        session_reset_message(&scene->session);
        scene->in_mail = false;
        return;
    }
    strbuf_reset(&scene->log.text);

    bool reached = play_stage(scene, word, argument, &verdict);

    if (!reached && strcmp(word, "rcpt") != 0 && strcmp(word, "eom") != 0 && !is_content(word)) {
        fail_msg("no line of a session: %s", word);
    }
    strbuf_reset(&scene->verdict);
    strbuf_append(&scene->verdict, reached ? verdict_text(&verdict, buf) : "not reached");
    if (with_lookups && scene->log.text.len > 0) {
        strbuf_append(out, scene->log.text.data);
    }
    strbuf_appendf(out, "  -> %s", scene->verdict.data);
    if (reached) {
        write_rule(&verdict, out);
    }
    strbuf_append(out, "\n");
    if (reached && strcmp(word, "eom") == 0) {
        write_edits(&scene->session, out);
    }
}

void scene_play(struct scene *scene, const char *lines, bool with_lookups, struct strbuf *out)
{
    char *copy = strdup(lines);
    char *end;

    assert_non_null(copy);
    for (char *line = copy; *line != '\0'; line = end) {
        size_t len = strcspn(line, "\n");

        end = line + len + (line[len] == '\n' ? 1 : 0);
        line[len] = '\0';
        if (len > 0 && *line != '#') {
            play_line(scene, line, with_lookups, out);
        }
    }
    free(copy);
}

const char *scene_verdict(struct scene *scene, const char *lines)
{
    struct strbuf transcript;

    strbuf_init(&transcript);
    scene_play(scene, lines, false, &transcript);
    strbuf_fini(&transcript);
    return scene->verdict.data;
}
