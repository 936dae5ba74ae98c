/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/relay_daemon.h"

#include "ctl/control_client.h"
#include "lib/relay/relay_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WRITE_BYTES (1u << 20)

/* The result of an answer, which may be NULL: that was said. */
static enum status read_result(const json_t *answer, struct strbuf *why)
{
    static const struct {
        const char *word;
        enum status status;
    } results[] = {{"ok", STATUS_OK}, {"notfound", STATUS_NOTFOUND}, {"invalid", STATUS_INVALID}};
    const char *word = answer != NULL ? control_client_text(answer, "result") : "";
    enum status status = STATUS_TEMPFAIL;

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (strcmp(word, results[i].word) == 0) {
            status = results[i].status;
        }
    }
    if (status != STATUS_OK && answer != NULL) {
        strbuf_append(why, control_client_text(answer, "reason"));
    }
    return status;
}

/* Sends a request. NULL or an answer; the caller releases it. */
static json_t *ask(const struct ctl *ctl, const char *socket, const struct strbuf *request,
                   int descriptor)
{
    return control_client_ask_at(ctl, socket, request->data, descriptor);
}

/* The same, and what the daemon has to say about a text. */
static enum status read_results(const json_t *answer, struct strbuf *why)
{
    enum status status = read_result(answer, why);
    size_t index;
    json_t *item;

    json_array_foreach(json_object_get(answer, "items"), index, item)
    {
        strbuf_appendf(why, "%s%s", index == 0 ? ": " : "; ", control_client_text(item, "text"));
    }
    return status;
}

static enum status ask_change(const struct ctl *ctl, const char *socket,
                              const struct strbuf *request, int descriptor, struct strbuf *why,
                              size_t *count_out)
{
    json_t *answer = ask(ctl, socket, request, descriptor);
    enum status status = read_results(answer, why);

    *count_out = answer == NULL ? 0 : (size_t)control_client_number(answer, "count");
    json_decref(answer);
    return status;
}

/* Adds the entries of a page. False: that is no page. */
static bool read_page(struct relay_list *list, const char *page, struct strbuf *texts)
{
    struct strbuf line;
    struct relay_entry entry;
    const char *why;
    bool sound = true;

    strbuf_init(&line);
    for (const char *end; sound && (end = strchr(page, '\n')) != NULL; page = end + 1) {
        strbuf_reset(&line);
        strbuf_append_len(&line, page, (size_t)(end - page));
        sound = relay_text_parse_line(line.data, texts, &entry, &why);
        if (sound) {
            (void)relay_list_add(list, &entry);
        }
    }
    strbuf_fini(&line);
    return sound && *page == '\0';
}

enum status relay_daemon_walk(const struct ctl *ctl, const char *socket, struct relay_list *list,
                              struct strbuf *why)
{
    struct strbuf request;
    struct strbuf texts;
    enum status status = STATUS_OK;
    const json_t *next;
    json_int_t cursor = 0;
    bool more = true;

    strbuf_init(&request);
    strbuf_init(&texts);
    while (more && status == STATUS_OK) {
        strbuf_reset(&request);
        strbuf_appendf(&request, "relay walk %lld", (long long)cursor);
        json_t *answer = ask(ctl, socket, &request, -1);

        status = read_result(answer, why);
        if (status == STATUS_OK &&
            !read_page(list, control_client_text(answer, "entries"), &texts)) {
            strbuf_append(why, "the daemon's answer cannot be read");
            status = STATUS_TEMPFAIL;
        }
        next = json_object_get(answer, "next");
        more = next != NULL;
        cursor = json_integer_value(next);
        json_decref(answer);
    }
    strbuf_fini(&request);
    strbuf_fini(&texts);
    return status;
}

static void copy_found(const struct relay_entry *entry, struct relay_found *found)
{
    *found = (struct relay_found){.addr = entry->addr, .login_at = entry->login_at};
    (void)strncat(found->user, entry->user, sizeof(found->user) - 1);
    (void)strncat(found->service, entry->service, sizeof(found->service) - 1);
}

enum status relay_daemon_check(const struct ctl *ctl, const char *socket,
                               const struct netaddr *client, struct relay_found *found_out,
                               size_t *sessions_out, struct strbuf *why)
{
    struct strbuf request;
    struct strbuf texts;
    struct relay_entry entry;
    char key[RELAY_KEY_SIZE];
    const char *problem;

    strbuf_init(&request);
    strbuf_init(&texts);
    strbuf_appendf(&request, "relay check %s", relay_entry_key(client, key));
    json_t *answer = ask(ctl, socket, &request, -1);
    enum status status = read_result(answer, why);

    if (status == STATUS_OK) {
        strbuf_reset(&request);
        strbuf_append(&request, control_client_text(answer, "entry"));
        if (relay_text_parse_line(request.data, &texts, &entry, &problem)) {
            copy_found(&entry, found_out);
            if (sessions_out != NULL) {
                *sessions_out = (size_t)json_integer_value(json_object_get(answer, "sessions"));
            }
        } else {
            strbuf_append(why, "the daemon's answer cannot be read");
            status = STATUS_TEMPFAIL;
        }
    }
    json_decref(answer);
    strbuf_fini(&texts);
    strbuf_fini(&request);
    return status;
}

/* The request of a change. */
static void write_request(const struct relay_change *change, struct strbuf *out)
{
    char key[RELAY_KEY_SIZE];

    switch (change->kind) {
    case RELAY_ADD:
        strbuf_append(out, "relay add ");
        relay_text_write_line(&change->entry, RELAY_TEXT_ALL, out);
        out->data[--out->len] = '\0';
        break;
    case RELAY_REMOVE:
        strbuf_appendf(out, "relay remove %s", relay_entry_key(&change->entry.addr, key));
        break;
    case RELAY_EXPIRE:
        strbuf_append(out, "relay expire");
        if (!change->all) {
            strbuf_appendf(out, " %u", change->minutes);
        }
        break;
    case RELAY_LOGIN:
    case RELAY_TOUCH:
    case RELAY_MERGE:
    case RELAY_REPLACE:
        break;
    }
}

/* A file in memory with the lines of the list, that nobody can change any more; -1: errno says why there is none. */
static int write_list(const struct relay_list *list)
{
    struct strbuf lines;
    int fd = memfd_create("relayers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool done = fd >= 0;

    strbuf_init(&lines);
    for (size_t i = 0; done && i < list->count; i++) {
        relay_text_write_line(&list->entries[i], RELAY_TEXT_ALL, &lines);
        if (lines.len >= WRITE_BYTES || i + 1 == list->count) {
            done = write(fd, lines.data, lines.len) == (ssize_t)lines.len;
            strbuf_reset(&lines);
        }
    }
    strbuf_fini(&lines);
    if (done && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0) {
        return fd;
    }
    if (fd >= 0) {
        int error = errno;

        (void)close(fd);
        errno = error;
    }
    return -1;
}

enum status relay_daemon_merge(const struct ctl *ctl, const char *socket,
                               const struct relay_list *list, struct relay_merged *merged_out,
                               struct strbuf *why)
{
    int fd = write_list(list);

    *merged_out = (struct relay_merged){0};
    if (fd < 0) {
        strbuf_appendf(why, "no file in memory: %s", strerror(errno));
        return STATUS_TEMPFAIL;
    }
    json_t *answer = control_client_ask_at(ctl, socket, "relay merge", fd);
    enum status status = read_results(answer, why);

    if (answer != NULL) {
        *merged_out = (struct relay_merged){
            .taken = (size_t)control_client_number(answer, "copied"),
            .present = (size_t)control_client_number(answer, "present"),
            .refused = (size_t)control_client_number(answer, "refused"),
        };
    }
    json_decref(answer);
    (void)close(fd);
    return status;
}

enum status relay_daemon_load(const struct ctl *ctl, const char *socket,
                              const struct relay_list *list, struct strbuf *why, size_t *count_out)
{
    struct strbuf request;
    int fd = write_list(list);

    if (fd < 0) {
        strbuf_appendf(why, "no file in memory: %s", strerror(errno));
        return STATUS_TEMPFAIL;
    }
    strbuf_init(&request);
    strbuf_append(&request, "relay load");
    enum status status = ask_change(ctl, socket, &request, fd, why, count_out);

    strbuf_fini(&request);
    (void)close(fd);
    return status;
}

enum status relay_daemon_change(const struct ctl *ctl, const char *socket,
                                const struct relay_change *change, struct strbuf *why,
                                size_t *count_out)
{
    struct strbuf request;

    strbuf_init(&request);
    write_request(change, &request);
    enum status status = ask_change(ctl, socket, &request, -1, why, count_out);

    strbuf_fini(&request);
    return status;
}
