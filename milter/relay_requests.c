/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/relay_requests.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_list.h"
#include "lib/relay/relay_merge.h"
#include "lib/relay/relay_text.h"
#include "milter/answer.h"
#include "milter/popauth.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A page ends when it has so many bytes; what the store visits at once comes on top. */
#define PAGE_BYTES (256u << 10)

#define UNREAD "the store cannot be read to its end"

/* A text was checked by who sent it: what is wrong with it all the same is told in part. */
#define ITEMS_MAX 20u

/* The file must be one in memory that nobody changes any more: reading it waits for nothing, and gives the same twice. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct request {
    struct relay_store *store;
    const struct popauth *popauth;
    const struct config_relay_store *config;
    char *argument; /* behind the word; may be changed */
    int descriptor;
};

static json_t *answer(enum status status, const char *reason)
{
    static const char *const words[] = {
        [STATUS_OK] = "ok",
        [STATUS_NOTFOUND] = "notfound",
        [STATUS_TEMPFAIL] = "tempfail",
        [STATUS_INVALID] = "invalid",
    };
    json_t *object = json_pack("{siss}", "version", 1, "result", words[status]);

    if (status != STATUS_OK) {
        (void)json_object_set_new(object, "reason", answer_text(reason));
    }
    return object;
}

static bool read_number(const char *text, uint64_t most, uint64_t *out)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);

    *out = value;
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value <= most;
}

/* ---- questions ---- */

static void add_to_page(void *ctx, const struct relay_entry *entry)
{
    relay_text_write_line(entry, RELAY_TEXT_ALL, ctx);
}

static json_t *answer_walk(struct request *request)
{
    struct strbuf page;
    uint64_t number;

    if (!read_number(request->argument, RELAY_WALK_FAILED - 1, &number)) {
        return answer(STATUS_INVALID, "a walk needs a cursor");
    }
    size_t cursor = (size_t)number;
    bool more = true;

    strbuf_init(&page);
    while (more && page.len < PAGE_BYTES) {
        more = relay_store_walk(request->store, &cursor, add_to_page, &page);
    }
    bool failed = !more && cursor == RELAY_WALK_FAILED;
    json_t *object = failed ? answer(STATUS_TEMPFAIL, UNREAD) : answer(STATUS_OK, "");

    if (!failed) {
        (void)json_object_set_new(object, "entries", answer_text(page.data));
    }
    if (more) {
        (void)json_object_set_new(object, "next", answer_number(cursor));
    }
    strbuf_fini(&page);
    return object;
}

static void describe(json_t *object, const struct relay_found *found)
{
    const struct relay_entry entry = {found->addr, found->login_at, found->user, found->service};
    char key[RELAY_KEY_SIZE];
    struct strbuf line;

    strbuf_init(&line);
    relay_text_write_line(&entry, RELAY_TEXT_ALL, &line);
    (void)json_object_set_new(object, "address", answer_text(relay_entry_key(&found->addr, key)));
    (void)json_object_set_new(object, "timestamp", json_integer((json_int_t)found->login_at));
    (void)json_object_set_new(object, "user", answer_text(found->user));
    (void)json_object_set_new(object, "service", answer_text(found->service));
    (void)json_object_set_new(object, "entry", json_stringn(line.data, line.len - 1));
    strbuf_fini(&line);
}

static json_t *answer_check(struct request *request)
{
    struct relay_found found;
    struct netaddr client;
    const char *why;

    if (!relay_entry_parse_address(request->argument, &client, &why)) {
        return answer(STATUS_INVALID, why);
    }
    enum status status = relay_store_find(request->store, &client, time(NULL), &found);
    struct strbuf reason;

    strbuf_init(&reason);
    if (status == STATUS_NOTFOUND) {
        relay_store_explain(request->store, &client, &reason);
    }
    json_t *object = answer(status, reason.len > 0 ? reason.data : "the store cannot be asked");

    strbuf_fini(&reason);
    if (status == STATUS_OK || status == STATUS_NOTFOUND) {
        (void)json_object_set_new(object, "found", json_boolean(status == STATUS_OK));
    }
    if (status == STATUS_OK) {
        describe(object, &found);
    }
    if (status == STATUS_OK && request->popauth != NULL) {
        (void)json_object_set_new(object, "sessions",
                                  answer_number(popauth_open_at(request->popauth, &found.addr)));
    }
    return object;
}

/* ---- changes ---- */

static json_t *apply(struct request *request, struct relay_change *change)
{
    struct strbuf why;
    size_t count = 0;

    strbuf_init(&why);
    enum status status = relay_store_apply(request->store, change, &why, &count);
    json_t *object = answer(status, why.len > 0 ? why.data : "there is no such entry");

    (void)json_object_set_new(object, "count", answer_number(count));
    strbuf_fini(&why);
    return object;
}

static json_t *answer_add(struct request *request)
{
    struct relay_change change = {.kind = RELAY_ADD};
    struct strbuf texts;
    const char *why;

    strbuf_init(&texts);
    json_t *object = relay_text_parse_line(request->argument, &texts, &change.entry, &why)
                         ? apply(request, &change)
                         : answer(STATUS_INVALID, why);

    strbuf_fini(&texts);
    return object;
}

static json_t *answer_remove(struct request *request)
{
    struct relay_change change = {.kind = RELAY_REMOVE};
    const char *why;

    change.entry.user = change.entry.service = "";
    if (!relay_entry_parse_address(request->argument, &change.entry.addr, &why)) {
        return answer(STATUS_INVALID, why);
    }
    return apply(request, &change);
}

static json_t *answer_expire(struct request *request)
{
    struct relay_change change = {.kind = RELAY_EXPIRE, .all = *request->argument == '\0'};
    uint64_t minutes = 0;

    if (!change.all && !read_number(request->argument, UINT_MAX, &minutes)) {
        return answer(STATUS_INVALID, "expire needs a number of minutes");
    }
    change.minutes = (unsigned)minutes;
    return apply(request, &change);
}

/* ---- texts ---- */

static void collect_some(void *ctx, const struct diag_item *item)
{
    if (json_array_size(ctx) < ITEMS_MAX) {
        answer_collect(ctx, item);
    }
}

/* Adds the entries of the text that came with the request. NULL, or the answer: it was not taken. */
static json_t *read_text(struct request *request, struct relay_list *list)
{
    json_t *items = json_array();
    struct diag diag;

    diag_init(&diag, collect_some, items);
    enum status status = relay_text_read(request->descriptor, "-",
                                         request->config->terms.max_entries, &diag, list);

    if (status != STATUS_OK) {
        json_t *object = answer(status, "the text was not taken");

        (void)json_object_set_new(object, "items", items);
        return object;
    }
    json_decref(items);
    return NULL;
}

static json_t *load(struct request *request, struct relay_list *list)
{
    if (!relay_list_keep(list, request->store)) {
        return answer(STATUS_TEMPFAIL, UNREAD);
    }
    struct relay_change change = {
        .kind = RELAY_REPLACE,
        .entry = {.user = "", .service = ""},
        .entries = list->entries,
        .entry_count = list->count,
    };

    return apply(request, &change);
}

static json_t *merge(struct request *request, struct relay_list *list)
{
    struct relay_merged merged;
    struct strbuf why;

    strbuf_init(&why);
    json_t *object = answer(relay_merge(request->store, list, &merged, &why), why.data);
    const struct {
        const char *name;
        size_t value;
    } numbers[] = {
        {"count", merged.taken + merged.present},
        {"copied", merged.taken},
        {"present", merged.present},
        {"refused", merged.refused},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)json_object_set_new(object, numbers[i].name, answer_number(numbers[i].value));
    }
    strbuf_fini(&why);
    return object;
}

/* What is to be done with a text that came along. */
static json_t *take_text(struct request *request,
                         json_t *(*take)(struct request *request, struct relay_list *list))
{
    struct relay_list list;

    if (request->descriptor < 0 || (fcntl(request->descriptor, F_GET_SEALS) & SEALS) != SEALS ||
        lseek(request->descriptor, 0, SEEK_SET) != 0) {
        return answer(STATUS_INVALID, "a text is a sealed file in memory");
    }
    relay_list_init(&list);
    json_t *object = read_text(request, &list);

    if (object == NULL) {
        object = take(request, &list);
    }
    relay_list_fini(&list);
    return object;
}

static json_t *answer_load(struct request *request)
{
    return take_text(request, load);
}

static json_t *answer_merge(struct request *request)
{
    return take_text(request, merge);
}

/* ---- requests ---- */

static const struct verb {
    const char *word;
    json_t *(*answer)(struct request *request);
    bool changes;
} verbs[] = {
    {"walk", answer_walk, false},    {"check", answer_check, false},  {"add", answer_add, true},
    {"remove", answer_remove, true}, {"expire", answer_expire, true}, {"load", answer_load, true},
    {"merge", answer_merge, true},
};

/* What an administrator changed can be read in the log, as what logins change can. */
static void log_change(struct logger *logger, const char *word, const char *argument,
                       const json_t *answer)
{
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    const json_t *count = json_object_get(answer, "count");
    struct strbuf line;

    if (!log_enabled(logger, LOG_LEVEL_INFO)) {
        return;
    }
    strbuf_init(&line);
    log_field(&line, "event", "relay_command");
    log_field(&line, "command", word);
    log_field(&line, "argument", *argument != '\0' ? argument : NULL);
    log_field(&line, "result", json_string_value(json_object_get(answer, "result")));
    log_field(&line, "reason", reason);
    if (count != NULL) {
        log_field_uint(&line, "count", (unsigned long)json_integer_value(count));
    }
    log_line(logger, LOG_LEVEL_INFO, line.data);
    strbuf_fini(&line);
}

/* Carries out what stands behind the prefix; NULL: there is no such word. */
static json_t *run(struct request *request, const char *word, struct logger *logger)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].word, word) != 0) {
            continue;
        }
        char *argument = xstrdup(request->argument); /* reading it changes it */
        json_t *object = verbs[i].answer(request);

        if (verbs[i].changes) {
            log_change(logger, word, argument, object);
        }
        free(argument);
        return object;
    }
    return NULL;
}

/* NULL: there is a store, and it works; else why not. */
static json_t *refusal(const struct relay_store *store)
{
    struct relay_store_stats stats;

    if (store == NULL) {
        return answer(STATUS_TEMPFAIL, "the daemon has no store of addresses");
    }
    relay_store_stats(store, &stats);
    return stats.usable ? NULL : answer(STATUS_TEMPFAIL, stats.failure);
}

json_t *relay_requests_answer(struct relay_store *store, const struct popauth *popauth,
                              const struct config_relay_store *config, struct logger *logger,
                              const char *request, int descriptor)
{
    json_t *object = refusal(store);

    if (object != NULL) {
        return object;
    }
    char *copy = xstrdup(request + strlen(RELAY_REQUESTS_PREFIX));
    size_t len = strcspn(copy, " ");
    struct request parts = {store, popauth, config, copy + len + strspn(copy + len, " "),
                            descriptor};

    copy[len] = '\0';
    object = run(&parts, copy, logger);
    free(copy);
    return object != NULL ? object : json_pack("{siss}", "version", 1, "error", "unknown request");
}
