/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table_kit - what the tests of lib/table share: a folder of their own, texts and maps in it, collected messages.
 */
#ifndef POSTERN_TESTS_UNIT_TABLE_KIT_H
#define POSTERN_TESTS_UNIT_TABLE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/diag.h"
#include "lib/base/strbuf.h"
#include "lib/table/mapfile.h"
#include "lib/table/table.h"

#define KIT_PATH_SIZE 256

struct kit {
    char folder[KIT_PATH_SIZE];
    char text[KIT_PATH_SIZE]; /* FOLDER/access */
    char map[KIT_PATH_SIZE];  /* FOLDER/access.gdbm */
    struct diag diag;
    struct strbuf
        messages; /* "LINE error: TEXT\n" or "LINE warning: TEXT\n" each, files left out */
    struct arena *arena;
    struct strbuf why;
    struct mapfile_result result;
};

/* cmocka's setup and teardown; *state is a struct kit. */
int kit_setup(void **state);
int kit_teardown(void **state);

void kit_write(const char *path, const char *data, size_t len);
char *kit_read(const char *path, size_t *len_out); /* free() it */
size_t kit_files(const struct kit *kit);           /* number of files in the folder */

/* A format that takes keys as they are; networks in their one form. A key "bad" is an error, "nothing" is left out. */
extern const struct mapfile_format kit_format;
extern const struct mapfile_format kit_names_format; /* keys alone have the value REJECT */

/* Writes `text` to kit->text and compiles it; messages and result go to the kit, emptied before. */
enum status kit_build(struct kit *kit, const char *text);
enum status kit_build_as(struct kit *kit, const char *text, size_t len,
                         const struct mapfile_format *format);

/* Opens kit->map; NULL on failure, with kit->why. */
struct table *kit_open(struct kit *kit);

/* The value of a key in a table, "!" for STATUS_TEMPFAIL, NULL for STATUS_NOTFOUND. */
const char *kit_find(struct kit *kit, const struct table *table, const char *key);

#endif
