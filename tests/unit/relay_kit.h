/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_kit - what the tests of lib/relay share: a folder of their own, stores in it, entries written as text.
 */
#ifndef POSTERN_TESTS_UNIT_RELAY_KIT_H
#define POSTERN_TESTS_UNIT_RELAY_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/strbuf.h"
#include "lib/relay/relay_index.h"
#include "lib/relay/relay_store.h"

#define KIT_PATH_SIZE 256
#define KIT_NOW INT64_C(1700000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct kit {
    char folder[KIT_PATH_SIZE];
    char file[KIT_PATH_SIZE];    /* FOLDER/relayers.gdbm */
    char journal[KIT_PATH_SIZE]; /* FILE.journal */
    struct relay_store_options options;
    struct strbuf why;
    struct strbuf text;
};

/* cmocka's setup and teardown; *state is a struct kit. */
int kit_setup(void **state);
int kit_teardown(void **state);

/* `ADDRESS VALUE`, as an entry; its texts live in `texts`. Stops the test if it is none. */
struct relay_entry kit_entry(const char *text, struct strbuf *texts);
struct netaddr kit_address(const char *text);

/* All entries, sorted, `ADDRESS VALUE` and a newline each. In kit->text. */
const char *kit_index_text(struct kit *kit, const struct relay_index *index);
const char *kit_store_text(struct kit *kit, const struct relay_store *store);

/* The store of kit->options; stops the test if it cannot be opened. */
struct relay_store *kit_open(struct kit *kit);
void kit_assert_cannot_open(struct kit *kit, const char *why);

/* One change, waited for; the reason is in kit->why. */
enum status kit_login(struct kit *kit, struct relay_store *store, const char *entry);
enum status kit_add(struct kit *kit, struct relay_store *store, const char *entry);
enum status kit_remove(struct kit *kit, struct relay_store *store, const char *address);

/*
 * Runs `work` in another process, which ends without closing anything, as if it had been killed. Stops the test if the process does not come to
 * the end of `work`.
 */
void kit_crash(struct kit *kit, void (*work)(struct kit *kit, struct relay_store *store));

/* Files of the folder whose name has `part` in it. */
size_t kit_files(const struct kit *kit, const char *part);

void kit_write(const char *path, const char *data, size_t len);
char *kit_read(const char *path, size_t *len_out); /* free() it */
bool kit_exists(const char *path);

#endif
