/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relaybench - the store of POP-before-SMTP by itself, without daemon and sockets; README.md tells how it is used.
 *
 *   relaybench gdbm FILE GRANTS          what GDBM alone stores, with one gdbm_sync() for 200
 *   relaybench store FILE GRANTS         what the store acknowledges to 200 at once
 *   relaybench fill FILE ENTRIES         makes a store
 *   relaybench dump FILE                 what is in it, `ADDRESS VALUE` lines; nothing is changed
 *   relaybench pause FILE ENTRIES        the longest that a question waits while the store works on itself
 *   relaybench adders FILE               200 at once, until it is killed; each acknowledged address is told on standard output
 */
#include "lib/base/xalloc.h"
#include "lib/relay/relay_store.h"
#include "tests/bench/relayaddr.h"

#include <err.h>
#include <fcntl.h>
#include <gdbm.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ADDERS 200u
#define MAX_ENTRIES 16000000u
#define WINDOW_MINUTES 60u
#define SNAPSHOT_BYTES_MIN 50
#define ASK_MS 1.0
#define SLEEP_US 500
#define LATE_MS 1.0

static double now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct relay_entry entry_of(uint32_t number, int64_t login_at)
{
    struct netaddr addr = relayaddr(number);

    return (struct relay_entry){
        .addr = netaddr_masked(&addr, addr.family == NETADDR_IPV6 ? 64 : 32),
        .login_at = login_at,
        .user = "someone@customer.example",
        .service = "imap",
    };
}

static struct relay_store *open_store(const char *file)
{
    struct relay_store_options options = {
        .file = file,
        .terms = {.window_minutes = WINDOW_MINUTES,
                  .max_entries = MAX_ENTRIES,
                  .ipv6_prefix_bits = 64},
        .logger = log_new(LOG_TARGET_STDERR, "relaybench", "mail", LOG_LEVEL_WARNING),
    };
    struct strbuf why;

    strbuf_init(&why);
    struct relay_store *store = relay_store_open(&options, &why);

    if (store == NULL) {
        errx(1, "%s", why.data);
    }
    strbuf_fini(&why);
    return store;
}

static void print_rate(const char *what, unsigned count, double ms)
{
    printf("{\"what\": \"%s\", \"grants\": %u, \"seconds\": %.3f, \"per_second\": %.0f}\n", what,
           count, ms / 1e3, (double)count * 1e3 / ms);
}

/* ---- GDBM alone ---- */

static void run_gdbm(const char *file, unsigned count)
{
    GDBM_FILE db = gdbm_open(file, 4096, GDBM_NEWDB, 0600, NULL);
    struct strbuf value;

    if (db == NULL) {
        errx(1, "%s: %s", file, gdbm_strerror(gdbm_errno));
    }
    strbuf_init(&value);
    double start = now_ms();

    for (unsigned i = 0; i < count; i++) {
        struct relay_entry entry = entry_of(i, time(NULL));
        char key[RELAY_KEY_SIZE];

        strbuf_reset(&value);
        relay_entry_format_value(&entry, &value);
        (void)relay_entry_key(&entry.addr, key);
        if (gdbm_store(db, (datum){key, (int)strlen(key)}, (datum){value.data, (int)value.len},
                       GDBM_REPLACE) != 0 ||
            ((i + 1) % ADDERS == 0 && gdbm_sync(db) != 0)) {
            errx(1, "%s: %s", file, gdbm_db_strerror(db));
        }
    }
    print_rate("gdbm", count, now_ms() - start);
    gdbm_close(db);
    strbuf_fini(&value);
}

/* ---- many at once ---- */

struct adders {
    struct relay_store *store;
    unsigned next;
    unsigned count;
    unsigned done;
    bool tell;
    int64_t login_at;
    double ended_at;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

/* Said by the store's thread: the next one of this adder, if there is one. */
static void go_on(struct relay_change *change, enum status status, const char *why, size_t count)
{
    struct adders *adders = change->ctx;

    (void)count;
    if (status != STATUS_OK) {
        errx(1, "a grant failed: %s", why);
    }
    if (adders->tell) {
        char key[RELAY_KEY_SIZE + 1];
        size_t len = strlen(relay_entry_key(&change->entry.addr, key));

        key[len++] = '\n';
        if (write(STDOUT_FILENO, key, len) != (ssize_t)len) {
            err(1, "standard output");
        }
    }
    (void)pthread_mutex_lock(&adders->mutex);
    if (++adders->done == adders->count) {
        adders->ended_at = now_ms();
        (void)pthread_cond_signal(&adders->wake);
    }
    bool more = adders->next < adders->count;
    unsigned number = more ? adders->next++ : 0;

    (void)pthread_mutex_unlock(&adders->mutex);
    if (more) {
        change->entry = entry_of(number, adders->login_at);
        change->next = NULL;
        relay_store_submit(adders->store, change);
    } else {
        free(change);
    }
}

/* Adds entries `first` to `first` + `count`, 200 at once; how long it took, in ms. */
static double add(struct relay_store *store, unsigned first, unsigned count, bool tell)
{
    struct adders adders = {.store = store,
                            .next = first,
                            .count = first + count,
                            .done = first,
                            .tell = tell,
                            .login_at = time(NULL)};
    struct relay_change *list = NULL;
    double start = now_ms();

    (void)pthread_mutex_init(&adders.mutex, NULL);
    (void)pthread_cond_init(&adders.wake, NULL);
    for (unsigned i = 0; i < ADDERS && i < count; i++) {
        struct relay_change *change = xcalloc(1, sizeof(*change));

        *change = (struct relay_change){.kind = RELAY_LOGIN, .done = go_on, .ctx = &adders};
        change->entry = entry_of(adders.next++, adders.login_at);
        change->next = list;
        list = change;
    }
    relay_store_submit(store, list);
    (void)pthread_mutex_lock(&adders.mutex);
    while (adders.done < adders.count) {
        (void)pthread_cond_wait(&adders.wake, &adders.mutex);
    }
    (void)pthread_mutex_unlock(&adders.mutex);
    return adders.ended_at - start;
}

static void run_store(const char *file, unsigned count)
{
    struct relay_store *store = open_store(file);
    struct relay_store_stats stats;
    double ms = add(store, 0, count, false);

    relay_store_stats(store, &stats);
    fprintf(stderr, "syncs: %llu\n", (unsigned long long)stats.syncs);
    print_rate("store", count, ms);
    relay_store_close(&store);
}

static void run_fill(const char *file, unsigned count)
{
    struct relay_store *store = open_store(file);

    (void)add(store, 0, count, false);
    relay_store_close(&store);
}

static void run_adders(const char *file)
{
    /* Each run has addresses of its own: the last ones may come again. */
    unsigned first = (unsigned)(now_ms() * 100) % (1u << 23);

    (void)add(open_store(file), first, 1u << 22, true);
}

/* ---- what is there ---- */

static void print_entry(void *ctx, const struct relay_entry *entry)
{
    struct strbuf *line = ctx;
    char key[RELAY_KEY_SIZE];

    strbuf_reset(line);
    relay_entry_format_value(entry, line);
    printf("%s %s\n", relay_entry_key(&entry->addr, key), line->data);
}

static void run_dump(const char *file)
{
    struct relay_store_options options = {.file = file, .terms = {.max_entries = MAX_ENTRIES}};
    struct strbuf text;
    size_t cursor = 0;

    strbuf_init(&text);
    struct relay_store *store = relay_store_read(&options, &text);

    if (store == NULL) {
        errx(1, "%s", text.data);
    }
    while (relay_store_walk(store, &cursor, print_entry, &text)) {
    }
    relay_store_close(&store);
    strbuf_fini(&text);
}

/* ---- how long a question waits ---- */

struct asker {
    struct relay_store *store; /* NULL: only the clock is asked */
    unsigned entries;
    atomic_bool stop;
    double slowest_ms;
    unsigned long asked;
    unsigned long late; /* took longer than LATE_MS */
};

/*
 * Asks for a while and sleeps for a while, as the threads of a busy filter do. The sleep is not counted: what is measured is how long a
 * question takes.
 */
static void *ask(void *arg)
{
    struct asker *asker = arg;
    uint32_t seed = 1;

    while (!atomic_load_explicit(&asker->stop, memory_order_relaxed)) {
        double start = now_ms();
        double before = start;

        while (before - start < ASK_MS) {
            seed = seed * 1664525u + 1013904223u;
            /* One in five is a stranger. */
            struct netaddr client = relayaddr((seed >> 8) % (asker->entries + asker->entries / 4));

            if (asker->store != NULL) {
                (void)relay_store_find(asker->store, &client, time(NULL), NULL);
            }
            double after = now_ms();

            if (after - before > asker->slowest_ms) {
                asker->slowest_ms = after - before;
            }
            asker->asked++;
            asker->late += after - before > LATE_MS;
            before = after;
        }
        (void)usleep(SLEEP_US);
    }
    return NULL;
}

static void apply(struct relay_store *store, struct relay_change *change)
{
    struct strbuf why;

    strbuf_init(&why);
    if (relay_store_apply(store, change, &why, NULL) != STATUS_OK) {
        errx(1, "a change failed: %s", why.data);
    }
    strbuf_fini(&why);
}

struct work {
    const char *name;
    void (*run)(struct relay_store *store, const char *file, unsigned entries);
    bool asks; /* else only the clock is watched */
};

static void do_nothing(struct relay_store *store, const char *file, unsigned entries)
{
    (void)store;
    (void)file;
    (void)entries;
    (void)sleep(3);
}

static void do_grow(struct relay_store *store, const char *file, unsigned entries)
{
    (void)file;
    (void)add(store, 0, entries, false);
}

static void do_snapshot(struct relay_store *store, const char *file, unsigned entries)
{
    struct stat before = {0};
    struct stat after = {0};

    (void)stat(file, &before);
    struct relay_entry *all = xcalloc(entries, sizeof(*all));

    for (unsigned i = 0; i < entries; i++) {
        all[i] = entry_of(i, time(NULL));
    }
    struct relay_change change = {.kind = RELAY_REPLACE, .entries = all, .entry_count = entries};

    apply(store, &change);
    for (unsigned i = 0; i < 1200; i++) {
        /* Not the one that was being written when the load came. */
        if (stat(file, &after) == 0 && after.st_ino != before.st_ino &&
            after.st_size >= (off_t)entries * SNAPSHOT_BYTES_MIN) {
            break;
        }
        (void)usleep(100000);
    }
    if (after.st_ino == before.st_ino) {
        errx(1, "%s: no snapshot was written", file);
    }
    free(all);
}

/* Half are beyond the window, and go. */
static void do_expire(struct relay_store *store, const char *file, unsigned entries)
{
    struct relay_entry *all = xcalloc(entries, sizeof(*all));
    int64_t now = time(NULL);

    (void)file;
    for (unsigned i = 0; i < entries; i++) {
        all[i] = entry_of(i, i % 2 == 0 ? now : now - 7200);
    }
    struct relay_change load = {.kind = RELAY_REPLACE, .entries = all, .entry_count = entries};
    struct relay_change expire = {.kind = RELAY_EXPIRE, .minutes = WINDOW_MINUTES};
    struct relay_change expire_all = {.kind = RELAY_EXPIRE, .all = true};

    apply(store, &load);
    apply(store, &expire);
    apply(store, &expire_all);
    free(all);
}

static void measure(struct relay_store *store, const char *file, unsigned entries,
                    const struct work *work)
{
    struct asker asker = {.store = work->asks ? store : NULL, .entries = entries};
    pthread_t thread;
    double start = now_ms();

    const struct sched_param priority = {.sched_priority = 10};

    if (pthread_create(&thread, NULL, ask, &asker) != 0) {
        errx(1, "no thread");
    }
    /* So that what is seen is a wait for the store, not for a processor. Only root may. */
    bool is_first = pthread_setschedparam(thread, SCHED_FIFO, &priority) == 0;

    work->run(store, file, entries);
    atomic_store(&asker.stop, true);
    (void)pthread_join(thread, NULL);
    printf(
        "{\"what\": \"%s\", \"entries\": %u, \"slowest_ms\": %.3f, \"late\": %lu, \"asked\": %lu, "
        "\"seconds\": %.2f, \"real_time\": %s}\n",
        work->name, entries, asker.slowest_ms, asker.late, asker.asked, (now_ms() - start) / 1e3,
        is_first ? "true" : "false");
    (void)fflush(stdout);
}

static void run_pause(const char *file, unsigned entries)
{
    static const struct work works[] = {
        {"clock alone", do_nothing, false}, {"nothing", do_nothing, true},
        {"growth", do_grow, true},          {"load and snapshot", do_snapshot, true},
        {"expiry", do_expire, true},
    };
    struct relay_store *store = open_store(file);

    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        measure(store, file, entries, &works[i]);
    }
    relay_store_close(&store);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    unsigned number = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1000000;

    if (strcmp(verb, "gdbm") == 0) {
        run_gdbm(argv[2], number);
    } else if (strcmp(verb, "store") == 0) {
        run_store(argv[2], number);
    } else if (strcmp(verb, "fill") == 0) {
        run_fill(argv[2], number);
    } else if (strcmp(verb, "dump") == 0) {
        run_dump(argv[2]);
    } else if (strcmp(verb, "pause") == 0) {
        run_pause(argv[2], number);
    } else if (strcmp(verb, "adders") == 0) {
        run_adders(argv[2]);
    } else {
        errx(64, "usage: relaybench gdbm|store|fill|dump|pause|adders FILE [NUMBER]");
    }
    return 0;
}
