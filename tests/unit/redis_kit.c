/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/redis_kit.h"

#include "lib/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CACHE "/var/cache/postern-test/redis"
#define LIBRARY_PATH CACHE "/.library-path"
#define WORDS_MAX 32
#define TRIES 1000
#define TRY_MS 10

int redis_kit_setup(void **state)
{
    void *inner;
    struct redis_kit *kit = xcalloc(1, sizeof(*kit));

    (void)kit_setup(&inner);
    kit->kit = *(struct kit *)inner;
    free(inner);
    kit->kit.options.file = kit->kit.file;
    (void)snprintf(kit->socket, sizeof(kit->socket), "%.200s/redis.sock", kit->kit.folder);
    (void)snprintf(kit->url, sizeof(kit->url), "unix:%s", kit->socket);
    kit->kit.options.backend = RELAY_BACKEND_REDIS;
    kit->kit.options.redis = (struct relay_redis_options){.url = kit->url,
                                                          .password_file = "",
                                                          .ca_file = "",
                                                          .key_prefix = "t:",
                                                          .timeout_ms = 5000};
    *state = kit;
    return 0;
}

int redis_kit_teardown(void **state)
{
    struct redis_kit *kit = *state;
    struct kit *inner = xcalloc(1, sizeof(*inner));
    void *inner_state = inner;

    redis_kit_kill(kit);
    *inner = kit->kit;
    (void)kit_teardown(&inner_state);
    free(kit);
    return 0;
}

/* ---- a real server ---- */

static bool find_in_path(const char *name, char *out, size_t size)
{
    const char *path = getenv("PATH");

    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");

        (void)snprintf(out, size, "%.*s/%s", (int)len, path, name);
        if (access(out, X_OK) == 0) {
            return true;
        }
        path += len + (path[len] == ':' ? 1 : 0);
    }
    return false;
}

/* The program, and the libraries that came with it ("": the system's). */
static bool find_server(char *program, size_t size, char *libraries, size_t libraries_size)
{
    const char *named = getenv("POSTERN_TEST_REDIS");
    size_t len = 0;

    *libraries = '\0';
    if (named != NULL && *named != '\0') {
        (void)snprintf(program, size, "%s", named);
        return true;
    }
    if (find_in_path("redis-server", program, size) ||
        find_in_path("valkey-server", program, size)) {
        return true;
    }
    (void)snprintf(program, size, "%s", CACHE "/usr/bin/redis-server");
    if (access(program, X_OK) != 0 || !kit_exists(LIBRARY_PATH)) {
        return false;
    }
    char *text = kit_read(LIBRARY_PATH, &len);

    (void)snprintf(libraries, libraries_size, "%.*s", (int)len, text);
    free(text);
    libraries[strcspn(libraries, "\n")] = '\0';
    return true;
}

static void run_server(const struct redis_kit *kit, const char *program, const char *libraries,
                       const char *const words[])
{
    const char *arguments[WORDS_MAX] = {
        program,         "--port", "0", "--unixsocket", kit->socket, "--dir",
        kit->kit.folder, "--save", "",  "--appendonly", "no"};
    size_t count = 11;
    int null = open("/dev/null", O_RDWR);

    for (; words != NULL && *words != NULL && count < WORDS_MAX - 1; words++) {
        arguments[count++] = *words;
    }
    if (chdir(kit->kit.folder) != 0) { /* where names of the command line are looked for */
        _exit(127);
    }
    (void)dup2(null, STDOUT_FILENO);
    if (*libraries != '\0') {
        (void)setenv("LD_LIBRARY_PATH", libraries, 1);
    }
    /* The sanitizers' settings are for this program. */
    (void)execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void redis_kit_start(struct redis_kit *kit, const char *const words[])
{
    char program[KIT_PATH_SIZE];
    char libraries[KIT_PATH_SIZE];
    int fd = -1;

    if (!find_server(program, sizeof(program), libraries, sizeof(libraries))) {
        skip();
    }
    (void)unlink(kit->socket);
    kit->server = fork();
    assert_true(kit->server >= 0);
    if (kit->server == 0) {
        run_server(kit, program, libraries, words);
    }
    for (int try = 0; try < TRIES && fd < 0; try++) {
        assert_int_equal(waitpid(kit->server, NULL, WNOHANG), 0);
        (void)poll(NULL, 0, TRY_MS);
        fd = connect_to(kit->socket);
    }
    assert_true(fd >= 0);
    (void)close(fd);
}

void redis_kit_kill(struct redis_kit *kit)
{
    if (kit->server > 0) {
        (void)kill(kit->server, SIGKILL);
        (void)waitpid(kit->server, NULL, 0);
        kit->server = 0;
    }
}

const char *redis_kit_ask(struct redis_kit *kit, const char *command)
{
    struct strbuf *text = &kit->kit.text;
    int fd = connect_to(kit->socket);
    char buf[4096];
    ssize_t len;

    assert_true(fd >= 0);
    redis_actor_say(fd, command);
    redis_actor_say(fd, "\r\nQUIT\r\n");
    strbuf_reset(text);
    while ((len = read(fd, buf, sizeof(buf))) > 0) {
        strbuf_append_len(text, buf, (size_t)len);
    }
    (void)close(fd);
    char *goodbye = strstr(text->data, "+OK\r\n");

    for (char *next = goodbye; next != NULL; next = strstr(next + 1, "+OK\r\n")) {
        goodbye = next; /* the last one is that of QUIT */
    }
    assert_non_null(goodbye);
    *goodbye = '\0';
    text->len = (size_t)(goodbye - text->data);
    return text->data;
}

void redis_kit_await(const struct relay_store *store, bool usable)
{
    struct relay_store_stats stats;

    for (int try = 0; try < TRIES; try++) {
        relay_store_stats(store, &stats);
        if (stats.usable == usable) {
            return;
        }
        (void)poll(NULL, 0, TRY_MS);
    }
    fail_msg("the store is still %s", usable ? "away" : "there");
}

/* ---- stores ---- */

struct relay_store *redis_kit_open(struct redis_kit *kit)
{
    kit->kit.options.wait = true;
    return kit_open(&kit->kit);
}

enum status redis_kit_find(const struct relay_store *store, const char *client, int64_t now)
{
    struct netaddr addr = kit_address(client);

    return relay_store_find(store, &addr, now, NULL);
}

enum status redis_kit_apply(struct redis_kit *kit, struct relay_store *store,
                            enum relay_change_kind kind, const char *text, size_t *count_out)
{
    struct strbuf texts;

    strbuf_init(&texts);
    struct relay_change change = {.kind = kind, .entry = kit_entry(text, &texts)};

    strbuf_reset(&kit->kit.why);
    enum status status = relay_store_apply(store, &change, &kit->kit.why, count_out);

    strbuf_fini(&texts);
    return status;
}

void redis_kit_fill(struct relay_entry *entries, size_t count, unsigned first, int64_t date)
{
    for (size_t i = 0; i < count; i++) {
        unsigned number = first + (unsigned)i;

        entries[i] = (struct relay_entry){.addr = {.family = NETADDR_IPV4, .bits = 32},
                                          .login_at = date,
                                          .user = "ann",
                                          .service = "imap"};
        entries[i].addr.bytes[0] = 10;
        entries[i].addr.bytes[1] = (uint8_t)(number >> 16);
        entries[i].addr.bytes[2] = (uint8_t)(number >> 8);
        entries[i].addr.bytes[3] = (uint8_t)number;
    }
}

size_t redis_kit_entries(const struct relay_store *store)
{
    struct relay_store_stats stats;

    relay_store_stats(store, &stats);
    return stats.entries;
}

enum status redis_kit_replace(struct redis_kit *kit, struct relay_store *store,
                              const struct relay_entry *entries, size_t count)
{
    struct relay_change change = {.kind = RELAY_REPLACE,
                                  .entry = {.user = "", .service = ""},
                                  .entries = entries,
                                  .entry_count = count};
    size_t loaded = 0;

    strbuf_reset(&kit->kit.why);
    enum status status = relay_store_apply(store, &change, &kit->kit.why, &loaded);

    assert_int_equal(loaded, status == STATUS_OK ? count : 0);
    return status;
}

bool redis_kit_login(struct redis_kit *kit, struct relay_store *store, unsigned host,
                     const char *user, struct relay_change *change_out)
{
    char text[128];
    struct strbuf texts;

    strbuf_init(&texts);
    (void)snprintf(text, sizeof(text), "192.0.2.%u %lld user=%s", host, (long long)time(NULL),
                   user);
    *change_out = (struct relay_change){.kind = RELAY_LOGIN, .entry = kit_entry(text, &texts)};
    strbuf_reset(&kit->kit.why);
    enum status status = relay_store_apply(store, change_out, &kit->kit.why, NULL);

    strbuf_fini(&texts);
    return status == STATUS_OK;
}

void redis_kit_password(struct redis_kit *kit, const char *text, char path[KIT_PATH_SIZE])
{
    (void)snprintf(path, KIT_PATH_SIZE, "%.200s/password", kit->kit.folder);
    kit_write(path, text, strlen(text));
    assert_int_equal(chmod(path, 0600), 0);
    kit->kit.options.redis.password_file = path;
}

/* ---- a server that plays a part ---- */

struct redis_actor {
    redis_kit_part *part;
    void *ctx;
    int listener;
    int stop[2]; /* a pipe: closed to end all threads */
    pthread_t acceptor;
    pthread_t connections[1024];
    int fds[1024];
    unsigned count;
};

struct scene {
    struct redis_actor *actor;
    int fd;
    unsigned connection;
};

void redis_actor_say(int fd, const char *bytes)
{
    size_t len = strlen(bytes);

    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            return;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* A line, without its end; false: the connection has ended. */
static bool read_line(FILE *in, char *line, size_t size)
{
    if (fgets(line, (int)size, in) == NULL) {
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

static bool read_word(FILE *in, char **word_out)
{
    char line[64];

    if (!read_line(in, line, sizeof(line)) || line[0] != '$') {
        return false;
    }
    size_t len = (size_t)strtoul(line + 1, NULL, 10);
    char *word = xcalloc(1, len + 3);

    *word_out = word;
    if (fread(word, 1, len + 2, in) != len + 2) {
        return false;
    }
    word[len] = '\0';
    return true;
}

static bool play(const struct scene *scene, FILE *in)
{
    char line[64];
    char *words[WORDS_MAX] = {NULL};
    bool goes_on = read_line(in, line, sizeof(line)) && line[0] == '*';
    size_t count = goes_on ? (size_t)strtoul(line + 1, NULL, 10) : 0;

    goes_on = goes_on && count <= WORDS_MAX;
    for (size_t i = 0; goes_on && i < count; i++) {
        goes_on = read_word(in, &words[i]);
    }
    if (goes_on) {
        goes_on = scene->actor->part(scene->actor->ctx, scene->fd, scene->connection,
                                     (const char *const *)words, count);
    }
    for (size_t i = 0; i < WORDS_MAX; i++) {
        free(words[i]);
    }
    return goes_on;
}

static void *run_scene(void *arg)
{
    struct scene *scene = arg;
    FILE *in = fdopen(dup(scene->fd), "r");

    while (play(scene, in)) {
    }
    (void)shutdown(scene->fd, SHUT_RDWR);
    (void)fclose(in);
    free(scene);
    return NULL;
}

static void *run_acceptor(void *arg)
{
    struct redis_actor *actor = arg;

    for (;;) {
        struct pollfd fds[2] = {{.fd = actor->listener, .events = POLLIN},
                                {.fd = actor->stop[0], .events = POLLIN}};

        (void)poll(fds, 2, -1);
        if (fds[1].revents != 0 || actor->count == COUNT(actor->connections)) {
            return NULL;
        }
        struct scene *scene = xcalloc(1, sizeof(*scene));

        *scene = (struct scene){
            .actor = actor, .fd = accept(actor->listener, NULL, NULL), .connection = actor->count};
        actor->fds[actor->count] = scene->fd;
        (void)pthread_create(&actor->connections[actor->count], NULL, run_scene, scene);
        actor->count++;
    }
}

struct redis_actor *redis_actor_start(struct redis_kit *kit, redis_kit_part *part, void *ctx)
{
    struct redis_actor *actor = xcalloc(1, sizeof(*actor));
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    actor->part = part;
    actor->ctx = ctx;
    memcpy(address.sun_path, kit->socket, strlen(kit->socket) + 1);
    (void)unlink(kit->socket);
    actor->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(actor->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(actor->listener, 64), 0);
    assert_int_equal(pipe(actor->stop), 0);
    assert_int_equal(pthread_create(&actor->acceptor, NULL, run_acceptor, actor), 0);
    return actor;
}

void redis_actor_stop(struct redis_actor **actor)
{
    struct redis_actor *old = *actor;

    (void)close(old->stop[1]);
    (void)pthread_join(old->acceptor, NULL);
    (void)close(old->listener);
    for (unsigned i = 0; i < old->count; i++) {
        (void)shutdown(old->fds[i], SHUT_RDWR);
    }
    for (unsigned i = 0; i < old->count; i++) {
        (void)pthread_join(old->connections[i], NULL);
        (void)close(old->fds[i]);
    }
    (void)close(old->stop[0]);
    free(old);
    *actor = NULL;
}
