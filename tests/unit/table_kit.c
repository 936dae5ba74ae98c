/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/table_kit.h"

#include "lib/base/xalloc.h"
#include "lib/table/table_gdbm.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void collect(void *ctx, const struct diag_item *item)
{
    struct strbuf *messages = ctx;

    strbuf_appendf(messages, "%u %s: %s\n", item->line,
                   item->level == DIAG_ERROR ? "error" : "warning", item->text);
}

int kit_setup(void **state)
{
    struct kit *kit = xcalloc(1, sizeof(*kit));
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(kit->folder, sizeof(kit->folder), "%s/postern-table-XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(kit->folder) == NULL) {
        free(kit);
        return -1;
    }
    (void)snprintf(kit->text, sizeof(kit->text), "%.200s/access", kit->folder);
    (void)snprintf(kit->map, sizeof(kit->map), "%.200s/access.gdbm", kit->folder);
    strbuf_init(&kit->messages);
    strbuf_init(&kit->why);
    diag_init(&kit->diag, collect, &kit->messages);
    kit->arena = arena_new();
    *state = kit;
    return 0;
}

/* Calls `visit` for each file of the folder. */
static size_t for_each_file(const struct kit *kit, int (*visit)(const char *path))
{
    DIR *folder = opendir(kit->folder);
    size_t count = 0;
    struct dirent *entry;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char path[KIT_PATH_SIZE + sizeof(entry->d_name)];

        if (entry->d_name[0] == '.') {
            continue;
        }
        count++;
        (void)snprintf(path, sizeof(path), "%s/%s", kit->folder, entry->d_name);
        if (visit != NULL) {
            assert_int_equal(visit(path), 0);
        }
    }
    closedir(folder);
    return count;
}

int kit_teardown(void **state)
{
    struct kit *kit = *state;

    (void)chmod(kit->folder, 0700);
    for_each_file(kit, unlink);
    (void)rmdir(kit->folder);
    strbuf_fini(&kit->messages);
    strbuf_fini(&kit->why);
    arena_free(&kit->arena);
    free(kit);
    return 0;
}

size_t kit_files(const struct kit *kit)
{
    return for_each_file(kit, NULL);
}

void kit_write(const char *path, const char *data, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

char *kit_read(const char *path, size_t *len_out)
{
    FILE *file = fopen(path, "r");
    struct stat st;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    char *data = xmalloc((size_t)st.st_size);

    *len_out = fread(data, 1, (size_t)st.st_size, file);
    assert_int_equal(*len_out, st.st_size);
    (void)fclose(file);
    return data;
}

static enum status check_line(const struct mapfile_line *line)
{
    char text[NETADDR_TEXT_SIZE];
    struct netaddr network;
    bool host_bits;

    assert_int_equal(strlen(line->key), line->key_len);
    assert_int_equal(strlen(line->value), line->value_len);
    assert_int_equal(line->stored_key->len, 0);
    if (strcmp(line->key, "bad") == 0) {
        diag_report(line->diag, DIAG_ERROR, line->file, line->number, NULL, "bad key");
        return STATUS_INVALID;
    }
    if (strcmp(line->key, "nothing") == 0) {
        return STATUS_NOTFOUND;
    }
    if (netaddr_parse_network(line->key, &network, &host_bits)) {
        mapfile_note_prefix(line, &network);
        strbuf_append(line->stored_key, netaddr_format(&network, text));
    } else {
        strbuf_append(line->stored_key, line->key);
    }
    return STATUS_OK;
}

const struct mapfile_format kit_format = {.name = "test", .check = check_line};
const struct mapfile_format kit_names_format = {
    .name = "names", .default_value = "REJECT", .check = check_line};

enum status kit_build_as(struct kit *kit, const char *text, size_t len,
                         const struct mapfile_format *format)
{
    struct mapfile_job job = {.format = format, .map_path = kit->map, .source_path = kit->text};

    kit_write(kit->text, text, len);
    strbuf_reset(&kit->messages);
    return mapfile_build(&job, &kit->diag, &kit->result);
}

enum status kit_build(struct kit *kit, const char *text)
{
    return kit_build_as(kit, text, strlen(text), &kit_format);
}

struct table *kit_open(struct kit *kit)
{
    strbuf_reset(&kit->why);
    return table_gdbm_open("access", kit->map, kit->text, &kit->why);
}

const char *kit_find(struct kit *kit, const struct table *table, const char *key)
{
    struct table_value value;

    switch (table_find(table, key, strlen(key), kit->arena, &value)) {
    case STATUS_OK:
        assert_int_equal(strlen(value.text), value.len);
        return value.text;
    case STATUS_NOTFOUND:
        return NULL;
    case STATUS_TEMPFAIL:
        assert_true(strlen(value.text) > 0);
        return "!";
    case STATUS_INVALID:
        break;
    }
    fail_msg("a lookup cannot be invalid");
    return NULL;
}
