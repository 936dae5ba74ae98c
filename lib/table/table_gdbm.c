/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/table_gdbm.h"

#include "lib/base/thread.h"
#include "lib/base/xalloc.h"
#include "lib/table/filecheck.h"
#include "lib/table/hash64.h"
#include "lib/table/keyfilter.h"

#include <errno.h>
#include <fcntl.h>
#include <gdbm.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * A GDBM handle serves one thread at a time, so a table has a few, each with a descriptor of its own: they share
 * no file offset. All descriptors are opened with the table, so that they lead to one and the same file, and need no
 * right that the process gives up later. The handles behind them are made when they are needed.
 *
 * No mmap: a file that somebody cuts off beneath us is then a read error, not a SIGBUS.
 */
#define MAX_HANDLES 4u
/*
 * Of 4 KiB each. A large map has ten thousand: more of them answer few questions more, and push out what all questions need.
 */
#define CACHE_BUCKETS 8u
#define WAIT_SECONDS 5
#define OPEN_TRIES 10u
#define OPEN_FLAGS (GDBM_READER | GDBM_NOLOCK | GDBM_NOMMAP | GDBM_CLOEXEC)

struct handle {
    int fd;
    GDBM_FILE db; /* NULL: not made yet; owns fd then */
};

/* The handles that no thread uses now; one used last is given first, its cache is warm. */
struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t given_back;
    struct handle idle[MAX_HANDLES];
    size_t idle_count;
};

struct gdbm_table {
    struct table base;
    char *path;
    char *filter;
    size_t filter_size;
    uint64_t filter_seed;
    struct pool *pool; /* behind a pointer: the table itself never changes */
};

/* ---- handles ---- */

static void pool_init(struct pool *pool)
{
    *pool = (struct pool){.idle_count = 0};
    pthread_mutex_init(&pool->mutex, NULL);
    thread_cond_init(&pool->given_back);
}

static void pool_free(struct pool *pool)
{
    for (size_t i = 0; i < pool->idle_count; i++) {
        if (pool->idle[i].db != NULL) {
            gdbm_close(pool->idle[i].db);
        } else {
            close(pool->idle[i].fd);
        }
    }
    pthread_cond_destroy(&pool->given_back);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* False: all were in use for too long. */
static bool pool_take(struct pool *pool, struct handle *handle_out)
{
    struct timespec deadline;
    int waited = 0;

    pthread_mutex_lock(&pool->mutex);
    if (pool->idle_count == 0) {
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += WAIT_SECONDS;
        while (pool->idle_count == 0 && waited == 0) {
            waited = pthread_cond_timedwait(&pool->given_back, &pool->mutex, &deadline);
        }
    }
    bool taken = pool->idle_count > 0;

    if (taken) {
        *handle_out = pool->idle[--pool->idle_count];
    }
    pthread_mutex_unlock(&pool->mutex);
    return taken;
}

static void pool_give(struct pool *pool, struct handle handle)
{
    pthread_mutex_lock(&pool->mutex);
    pool->idle[pool->idle_count++] = handle;
    pthread_cond_signal(&pool->given_back);
    pthread_mutex_unlock(&pool->mutex);
}

/* Opens the database behind a descriptor, which stays open on failure. */
static GDBM_FILE open_database(int fd, const char *path)
{
    size_t cache = CACHE_BUCKETS;
    GDBM_FILE db = gdbm_fd_open(fd, path, 0, OPEN_FLAGS, NULL);

    if (db != NULL) {
        /* If it cannot be set, the handle works with the library's own size. */
        (void)gdbm_setopt(db, GDBM_SETCACHESIZE, &cache, sizeof(cache));
    }
    return db;
}

/* ---- lookups ---- */

static enum status fail(const struct gdbm_table *table, struct arena *arena, const char *reason,
                        struct table_value *value_out)
{
    *value_out = (struct table_value){.text = arena_printf(arena, "%s: %s", table->path, reason)};
    value_out->len = strlen(value_out->text);
    return STATUS_TEMPFAIL;
}

/* Takes a stored value, `LINE<tab>right-hand side`, apart. False: it is damaged. */
static bool parse_value(const char *data, size_t len, struct arena *arena,
                        struct table_value *value_out)
{
    const char *tab = memchr(data, '\t', len);
    unsigned line = 0;

    if (tab == NULL || tab == data || memchr(data, '\0', len) != NULL) {
        return false;
    }
    for (const char *at = data; at < tab; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';

        if (digit > 9 || line > (UINT_MAX - digit) / 10) {
            return false;
        }
        line = line * 10 + digit;
    }
    value_out->len = len - (size_t)(tab + 1 - data);
    value_out->text = arena_strndup(arena, tab + 1, value_out->len);
    value_out->line = line;
    return value_out->len > 0 && line > 0;
}

/* Asks the file itself, through a handle that is ours meanwhile. */
static enum status fetch(const struct gdbm_table *table, struct handle *handle, const char *key,
                         size_t key_len, struct arena *arena, struct table_value *value_out)
{
    if (handle->db == NULL) {
        handle->db = open_database(handle->fd, table->path);
        if (handle->db == NULL) {
            return fail(table, arena, gdbm_strerror(gdbm_errno), value_out);
        }
    }
    /* GDBM does not write to the key. */
    datum wanted = {.dptr = (char *)(uintptr_t)key, .dsize = (int)key_len};
    datum found = gdbm_fetch(handle->db, wanted);

    if (found.dptr == NULL) {
        if (gdbm_last_errno(handle->db) == GDBM_ITEM_NOT_FOUND) {
            return STATUS_NOTFOUND;
        }
        enum status status = fail(table, arena, gdbm_db_strerror(handle->db), value_out);

        gdbm_clear_error(handle->db); /* it may be over the next time */
        return status;
    }
    bool sound = found.dsize > 0 && parse_value(found.dptr, (size_t)found.dsize, arena, value_out);

    free(found.dptr);
    return sound ? STATUS_OK : fail(table, arena, "damaged record", value_out);
}

static enum status find_in_file(const struct gdbm_table *table, const char *key, size_t key_len,
                                struct arena *arena, struct table_value *value_out)
{
    struct handle handle;

    if (!pool_take(table->pool, &handle)) {
        return fail(table, arena, "all handles were busy for too long", value_out);
    }
    enum status status = fetch(table, &handle, key, key_len, arena, value_out);

    pool_give(table->pool, handle);
    return status;
}

static enum status gdbm_table_find(const struct table *base, const char *key, size_t key_len,
                                   struct arena *arena, struct table_value *value_out)
{
    const struct gdbm_table *table = (const struct gdbm_table *)base;

    /* A key that begins with a NUL byte could be one of our own records. */
    if (key_len == 0 || key_len > INT_MAX || key[0] == '\0' ||
        !keyfilter_may_have(table->filter, table->filter_size, KEYFILTER_WHOLE,
                            hash64(key, key_len, table->filter_seed))) {
        return STATUS_NOTFOUND;
    }
    return find_in_file(table, key, key_len, arena, value_out);
}

static bool gdbm_table_may_have(const struct table *base, const char *key, size_t key_len)
{
    const struct gdbm_table *table = (const struct gdbm_table *)base;

    return keyfilter_may_have(table->filter, table->filter_size, KEYFILTER_REST,
                              hash64(key, key_len, KEYFILTER_REST_SEED(table->filter_seed)));
}

static void gdbm_table_expect(const struct table *base, const char *key, size_t key_len)
{
    const struct gdbm_table *table = (const struct gdbm_table *)base;

    keyfilter_prefetch(table->filter, table->filter_size, KEYFILTER_REST,
                       hash64(key, key_len, KEYFILTER_REST_SEED(table->filter_seed)));
}

static void gdbm_table_free(struct table *base)
{
    struct gdbm_table *table = (struct gdbm_table *)base;

    pool_free(table->pool);
    free(table->path);
    free(table->filter);
    table_fini(base);
    free(table);
}

static const struct table_ops gdbm_ops = {
    .find = gdbm_table_find,
    .free = gdbm_table_free,
    .may_have = gdbm_table_may_have,
    .expect = gdbm_table_expect,
};

/* ---- opening ---- */

#define NOT_A_MAP "is not a map made by posternctl makemap"

static void tell(struct strbuf *why, const char *path, const char *what)
{
    strbuf_appendf(why, "%s: %s", path, what);
}

/* Opens the file, which must be an ordinary one; -1 on failure. */
static int open_file(const char *path, struct stat *stat_out, struct strbuf *why)
{
    /* NONBLOCK: a pipe under that name must not stop us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, stat_out) != 0) {
        tell(why, path, strerror(errno));
    } else if (!S_ISREG(stat_out->st_mode)) {
        tell(why, path, "is not an ordinary file");
    } else {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* A handle that takes the descriptor over; on failure that is closed. */
static GDBM_FILE open_for_header(int fd, const char *path, struct strbuf *why)
{
    GDBM_FILE db = gdbm_fd_open(fd, path, 0, OPEN_FLAGS | GDBM_CLOERROR, NULL);

    if (db == NULL) {
        bool other = gdbm_errno == GDBM_BAD_MAGIC_NUMBER || gdbm_errno == GDBM_FILE_EOF ||
                     gdbm_errno == GDBM_EMPTY_DATABASE;

        tell(why, path, other ? NOT_A_MAP : gdbm_strerror(gdbm_errno));
    }
    return db;
}

/* The record under one of our own keys; .dptr is NULL on failure, else free() it. */
static datum fetch_record(GDBM_FILE db, const char *key, size_t key_len)
{
    return gdbm_fetch(db, (datum){.dptr = (char *)(uintptr_t)key, .dsize = (int)key_len});
}

static bool read_header(GDBM_FILE db, const char *path, struct mapheader *header_out,
                        struct strbuf *why)
{
    datum record = fetch_record(db, MAPHEADER_KEY, MAPHEADER_KEY_LEN);
    struct strbuf reason;

    if (record.dptr == NULL) {
        bool absent = gdbm_last_errno(db) == GDBM_ITEM_NOT_FOUND;

        tell(why, path, absent ? NOT_A_MAP : gdbm_db_strerror(db));
        return false;
    }
    strbuf_init(&reason);
    bool read = mapheader_decode(record.dptr, (size_t)record.dsize, header_out, &reason);

    if (!read) {
        tell(why, path, reason.data);
    }
    strbuf_fini(&reason);
    free(record.dptr);
    return read;
}

/* The filter, which is as good as the records: a bit lost in it would make a key vanish. */
static bool read_filter(GDBM_FILE db, const struct mapheader *header, struct gdbm_table *table,
                        struct strbuf *why)
{
    datum record = fetch_record(db, MAPHEADER_FILTER_KEY, MAPHEADER_FILTER_KEY_LEN);

    if (record.dptr == NULL) {
        tell(why, table->path, gdbm_db_strerror(db));
        return false;
    }
    table->filter_size = record.dsize > 0 ? (size_t)record.dsize : 0;
    table->filter = keyfilter_alloc(table->filter_size);
    (void)memcpy(table->filter, record.dptr, table->filter_size);
    free(record.dptr);
    table->filter_seed = header->filter_seed;
    if (!keyfilter_is_size(table->filter_size) || table->filter_size != header->filter_size ||
        hash64(table->filter, table->filter_size, header->filter_seed) != header->filter_check) {
        tell(why, table->path, "damaged filter record");
        return false;
    }
    return true;
}

/* What the file has lost shows here, not as a key that is not found. */
static bool file_holds(GDBM_FILE db, const struct mapheader *header, const char *path,
                       struct strbuf *why)
{
    struct strbuf reason;

    strbuf_init(&reason);
    bool sound = filecheck_holds(gdbm_fdesc(db), header->file_check, header->file_check_at,
                                 &reason);

    if (!sound) {
        tell(why, path, reason.data);
    }
    strbuf_fini(&reason);
    return sound;
}

static void set_prefixes(struct table *table, const struct mapheader *header)
{
    for (unsigned bits = 0; bits < MAPHEADER_LENGTHS; bits++) {
        if (header->ipv4.used[bits]) {
            table_add_prefix(table, NETADDR_IPV4, bits);
        }
        if (header->ipv6.used[bits]) {
            table_add_prefix(table, NETADDR_IPV6, bits);
        }
    }
}

/* Reads all that the table keeps in memory, with a handle that is not used again. */
static bool inspect(struct gdbm_table *table, int fd, struct strbuf *why)
{
    struct mapheader header;
    GDBM_FILE db = open_for_header(fd, table->path, why);

    if (db == NULL) {
        return false;
    }
    bool sound = read_header(db, table->path, &header, why);

    if (sound) {
        sound = file_holds(db, &header, table->path, why) && read_filter(db, &header, table, why);
        set_prefixes(&table->base, &header);
        table->base.count = (size_t)header.entries;
        mapheader_fini(&header);
    }
    gdbm_close(db);
    return sound;
}

/* Descriptors for all handles. False: the file under the name is not always the one of `first`, or open failed. */
static bool open_handles(struct gdbm_table *table, const struct stat *first, struct strbuf *why)
{
    struct pool *pool = table->pool;

    while (pool->idle_count < MAX_HANDLES) {
        struct stat now;
        int fd = open_file(table->path, &now, why);

        if (fd < 0) {
            return false;
        }
        if (now.st_dev != first->st_dev || now.st_ino != first->st_ino) {
            close(fd);
            tell(why, table->path, "is replaced again and again");
            return false;
        }
        pool->idle[pool->idle_count++] = (struct handle){.fd = fd};
    }
    return true;
}

/* One attempt; it fails if the map is replaced at this very moment. */
static struct table *try_open(const char *name, const char *map_path, const char *source_path,
                              struct stat *stat_out, struct strbuf *why)
{
    int fd = open_file(map_path, stat_out, why);

    if (fd < 0) {
        return NULL;
    }
    struct gdbm_table *table = xcalloc(1, sizeof(*table));
    struct table *base = &table->base;

    table_init(base, &gdbm_ops, name, source_path);
    table->path = xstrdup(map_path);
    table->pool = xcalloc(1, sizeof(*table->pool));
    pool_init(table->pool);
    if (!open_handles(table, stat_out, why)) {
        close(fd);
        table_unref(&base);
    } else if (!inspect(table, fd, why)) {
        table_unref(&base);
    }
    return base;
}

static bool was_replaced(const char *path, const struct stat *before)
{
    struct stat now;

    return stat(path, &now) == 0 && (now.st_ino != before->st_ino || now.st_dev != before->st_dev);
}

struct table *table_gdbm_open_stat(const char *name, const char *map_path, const char *source_path,
                                   struct stat *stat_out, struct strbuf *why)
{
    size_t why_len = why->len;

    for (unsigned tries = 1;; tries++) {
        *stat_out = (struct stat){0};

        struct table *table = try_open(name, map_path, source_path, stat_out, why);

        if (table != NULL || stat_out->st_ino == 0 || tries == OPEN_TRIES ||
            !was_replaced(map_path, stat_out)) {
            return table;
        }
        why->data[why_len] = '\0';
        why->len = why_len;
    }
}

struct table *table_gdbm_open(const char *name, const char *map_path, const char *source_path,
                              struct strbuf *why)
{
    struct stat ignored;

    return table_gdbm_open_stat(name, map_path, source_path, &ignored, why);
}

enum status table_gdbm_read_header(const char *map_path, struct mapheader *header_out,
                                   struct strbuf *why)
{
    struct stat ignored;
    int fd = open_file(map_path, &ignored, why);

    if (fd < 0) {
        return errno == ENOENT ? STATUS_NOTFOUND : STATUS_TEMPFAIL;
    }
    GDBM_FILE db = open_for_header(fd, map_path, why);

    if (db == NULL) {
        return STATUS_TEMPFAIL;
    }
    bool read = read_header(db, map_path, header_out, why);

    gdbm_close(db);
    return read ? STATUS_OK : STATUS_TEMPFAIL;
}
