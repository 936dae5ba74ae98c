/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/relay_kit.h"

#include "lib/base/xalloc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* GDBM itself loses some memory when it cannot open or make a file; asked by LeakSanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:gdbm_fd_open";
}

int kit_setup(void **state)
{
    struct kit *kit = xcalloc(1, sizeof(*kit));
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(kit->folder, sizeof(kit->folder), "%s/postern-relay.XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(kit->folder));
    (void)snprintf(kit->file, sizeof(kit->file), "%.200s/relayers.gdbm", kit->folder);
    (void)snprintf(kit->journal, sizeof(kit->journal), "%.220s.journal", kit->file);
    strbuf_init(&kit->why);
    strbuf_init(&kit->text);
    kit->options = (struct relay_store_options){
        .file = kit->file, .terms = {.max_entries = 1000, .ipv6_prefix_bits = 64}};
    *state = kit;
    return 0;
}

static void remove_tree(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *item;

    while (dir != NULL && (item = readdir(dir)) != NULL) {
        char path[KIT_PATH_SIZE + 300];

        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0) {
            (void)snprintf(path, sizeof(path), "%s/%s", folder, item->d_name);
            if (unlink(path) != 0) {
                remove_tree(path);
            }
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(folder);
}

int kit_teardown(void **state)
{
    struct kit *kit = *state;

    (void)chmod(kit->folder, 0700);
    remove_tree(kit->folder);
    strbuf_fini(&kit->why);
    strbuf_fini(&kit->text);
    free(kit);
    return 0;
}

/* ---- entries as text ---- */

struct netaddr kit_address(const char *text)
{
    struct netaddr addr;
    const char *why;

    if (!relay_entry_parse_address(text, &addr, &why)) {
        fail_msg("%s: %s", text, why);
    }
    return addr;
}

struct relay_entry kit_entry(const char *text, struct strbuf *texts)
{
    const char *blank = strchr(text, ' ');
    char key[RELAY_KEY_SIZE];
    struct relay_entry entry;
    const char *why;

    assert_non_null(blank);
    assert_true((size_t)(blank - text) < sizeof(key));
    memcpy(key, text, (size_t)(blank - text));
    key[blank - text] = '\0';
    if (!relay_entry_parse_value(blank + 1, strlen(blank + 1), texts, &entry, &why)) {
        fail_msg("%s: %s", text, why);
    }
    entry.addr = kit_address(key);
    return entry;
}

struct lines {
    char *line[4096];
    size_t count;
};

static void collect(void *ctx, const struct relay_entry *entry)
{
    struct lines *lines = ctx;
    char key[RELAY_KEY_SIZE];
    struct strbuf line;

    strbuf_init(&line);
    strbuf_append(&line, relay_entry_key(&entry->addr, key));
    strbuf_append_char(&line, ' ');
    relay_entry_format_value(entry, &line);
    strbuf_append_char(&line, '\n');
    assert_true(lines->count < COUNT(lines->line));
    lines->line[lines->count++] = line.data;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *join_lines(struct kit *kit, struct lines *lines)
{
    strbuf_reset(&kit->text);
    qsort(lines->line, lines->count, sizeof(lines->line[0]), compare_lines);
    for (size_t i = 0; i < lines->count; i++) {
        strbuf_append(&kit->text, lines->line[i]);
        free(lines->line[i]);
    }
    free(lines);
    return kit->text.data;
}

const char *kit_index_text(struct kit *kit, const struct relay_index *index)
{
    struct lines *lines = xcalloc(1, sizeof(*lines));
    size_t cursor = 0;

    while (relay_index_walk(index, &cursor, collect, lines)) {
    }
    assert_int_equal(lines->count, relay_index_count(index));
    return join_lines(kit, lines);
}

const char *kit_store_text(struct kit *kit, const struct relay_store *store)
{
    struct lines *lines = xcalloc(1, sizeof(*lines));
    size_t cursor = 0;

    while (relay_store_walk(store, &cursor, collect, lines)) {
    }
    return join_lines(kit, lines);
}

/* ---- stores ---- */

struct relay_store *kit_open(struct kit *kit)
{
    strbuf_reset(&kit->why);

    struct relay_store *store = relay_store_open(&kit->options, &kit->why);

    if (store == NULL) {
        fail_msg("%s", kit->why.data);
    }
    return store;
}

void kit_assert_cannot_open(struct kit *kit, const char *why)
{
    strbuf_reset(&kit->why);

    struct relay_store *store = relay_store_open(&kit->options, &kit->why);

    if (store != NULL) {
        relay_store_close(&store);
        fail_msg("the store should not open: %s", why);
    }
    if (strstr(kit->why.data, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", kit->why.data, why);
    }
}

static enum status change_entry(struct kit *kit, struct relay_store *store,
                                enum relay_change_kind kind, const char *text)
{
    struct strbuf texts;

    strbuf_init(&texts);
    strbuf_reset(&kit->why);
    struct relay_change change = {.kind = kind, .entry = kit_entry(text, &texts)};
    enum status status = relay_store_apply(store, &change, &kit->why, NULL);

    strbuf_fini(&texts);
    return status;
}

enum status kit_login(struct kit *kit, struct relay_store *store, const char *entry)
{
    return change_entry(kit, store, RELAY_LOGIN, entry);
}

enum status kit_add(struct kit *kit, struct relay_store *store, const char *entry)
{
    return change_entry(kit, store, RELAY_ADD, entry);
}

enum status kit_remove(struct kit *kit, struct relay_store *store, const char *address)
{
    struct relay_change change = {.kind = RELAY_REMOVE, .entry = {.addr = kit_address(address)}};

    strbuf_reset(&kit->why);
    return relay_store_apply(store, &change, &kit->why, NULL);
}

void kit_crash(struct kit *kit, void (*work)(struct kit *kit, struct relay_store *store))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct relay_store *store = relay_store_open(&kit->options, &kit->why);

        if (store == NULL) {
            fprintf(stderr, "kit_crash: %s\n", kit->why.data);
            _exit(1);
        }
        work(kit, store);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- files ---- */

size_t kit_files(const struct kit *kit, const char *part)
{
    DIR *dir = opendir(kit->folder);
    const struct dirent *item;
    size_t count = 0;

    assert_non_null(dir);
    while ((item = readdir(dir)) != NULL) {
        count += strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 &&
                 strstr(item->d_name, part) != NULL;
    }
    (void)closedir(dir);
    return count;
}

void kit_write(const char *path, const char *data, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

char *kit_read(const char *path, size_t *len_out)
{
    FILE *file = fopen(path, "rb");
    struct stat stat;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &stat), 0);
    *len_out = (size_t)stat.st_size;

    char *data = xcalloc(1, *len_out + 1);

    assert_int_equal(fread(data, 1, *len_out, file), *len_out);
    (void)fclose(file);
    return data;
}

bool kit_exists(const char *path)
{
    struct stat ignored;

    return lstat(path, &ignored) == 0;
}
