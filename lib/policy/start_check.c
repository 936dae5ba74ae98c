/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/start_check.h"

#include "lib/base/group_id.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_redis_password.h"
#include "lib/relay/relay_redis_tls.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKETS 5
/* The account that an installation makes: it may well come after the configuration, and its name is no slip of the pen. */
#define OWN_ACCOUNT "postern"
#define PATH_BYTES 107 /* what the address of a unix socket has room for: unix(7) */

struct check {
    const struct config *config;
    bool as_root;
    struct diag *diag;
};

/* In the order in which the daemon opens them. */
struct socket {
    const char *key;
    const char *path; /* "": none */
    bool needed;      /* without it there is no start */
};

/* ---- user and groups ---- */

static bool is_own_account(const char *name)
{
    return strcmp(name, OWN_ACCOUNT) == 0;
}

static void check_user(const struct check *check)
{
    const char *user = check->config->user;

    errno = 0;
    if (check->as_root && *user != '\0' && !is_own_account(user) && getpwnam(user) == NULL) {
        diag_report(check->diag, DIAG_ERROR, check->config->path, 0,
                    "create it, or name the user who shall run the daemon", "user = \"%s\": %s",
                    user, errno == 0 ? "there is no such user" : strerror(errno));
    }
}

static void check_group(const struct check *check, const char *key, const char *name, bool needed)
{
    gid_t gid;

    if (*name != '\0' && !is_own_account(name) && !group_id_find(name, &gid)) {
        diag_report(check->diag, check->as_root && needed ? DIAG_ERROR : DIAG_WARNING,
                    check->config->path, 0,
                    "create it, or name another group; \"\" is the daemon's own", "%s = \"%s\": %s",
                    key, name, errno == 0 ? "there is no such group" : strerror(errno));
    }
}

static void check_accounts(const struct check *check)
{
    const struct config *config = check->config;

    check_user(check);
    check_group(check, "listen_group", config->listen_group, true);
    if (*config->popauth_socket.path != '\0') {
        check_group(check, "popauth_group", config->popauth_group, config->popauth_socket.was_set);
    }
}

/* ---- folders ---- */

/* The folder of an absolute path; free() it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/*
 * What is wrong with the folder of a file, or NULL. Nothing is wrong with one that service managers make for the daemon,
 * `made`, nor with one that may not be looked into.
 */
static const char *folder_failure(const char *folder, const char *made)
{
    struct stat st;

    if (stat(folder, &st) == 0) {
        return S_ISDIR(st.st_mode) ? NULL : "is no folder";
    }
    return (errno == ENOENT || errno == ENOTDIR) && strcmp(folder, made) != 0 ? "does not exist"
                                                                              : NULL;
}

/* ---- sockets ---- */

static struct socket optional(const char *key, const struct config_socket *socket)
{
    return (struct socket){key, socket->path, socket->was_set};
}

/* The path of a unix socket in libmilter's notation, or "". */
static const char *unix_path(const char *listen)
{
    return strncasecmp(listen, "unix:", 5) == 0    ? listen + 5
           : strncasecmp(listen, "local:", 6) == 0 ? listen + 6
                                                   : "";
}

static void check_socket(const struct check *check, const struct socket *socket)
{
    const char *conf = check->config->path;
    struct stat st;

    if (*socket->path == '\0' || !socket->needed) {
        return;
    }
    char *folder = folder_of(socket->path);
    const char *failure = folder_failure(folder, POSTERN_RUNSTATEDIR);

    if (strlen(socket->path) > PATH_BYTES) {
        diag_report(check->diag, DIAG_ERROR, conf, 0, NULL,
                    "%s: the path of a socket has at most %d bytes", socket->key, PATH_BYTES);
    } else if (failure != NULL) {
        /* One that is missing may be made before the start, by the service manager for one. */
        diag_report(check->diag, stat(folder, &st) == 0 ? DIAG_ERROR : DIAG_WARNING, conf, 0,
                    "create the folder, or name another path", "%s: the folder %s %s", socket->key,
                    folder, failure);
    } else if (lstat(socket->path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        diag_report(check->diag, DIAG_ERROR, conf, 0, "remove it, or name another path",
                    "%s: %s exists and is not a socket", socket->key, socket->path);
    }
    free(folder);
}

static void check_sockets(const struct check *check)
{
    const struct config *config = check->config;
    const struct socket sockets[SOCKETS] = {
        {"listen", unix_path(config->listen), true},
        {"control_socket", config->control_socket, true},
        optional("popauth_socket", &config->popauth_socket),
        optional("map_socket", &config->map_socket),
        optional("policy_socket", &config->policy_socket),
    };

    for (size_t i = 0; i < SOCKETS; i++) {
        check_socket(check, &sockets[i]);
        for (size_t j = 0; j < i && *sockets[i].path != '\0'; j++) {
            if (strcmp(sockets[i].path, sockets[j].path) == 0) {
                /* The first one has it then; a default without which the daemon can do is left out. */
                diag_report(check->diag, sockets[i].needed ? DIAG_ERROR : DIAG_WARNING,
                            config->path, 0, "give each socket a path of its own",
                            "%s and %s have the same path, %s", sockets[j].key, sockets[i].key,
                            sockets[i].path);
                break;
            }
        }
    }
}

/* ---- what the user of the daemon may do ---- */

#define MOST_GROUPS 256

/* Is the group one of the user's? With more groups than fit it is taken to be. */
static bool has_group(const struct passwd *user, gid_t group)
{
    gid_t groups[MOST_GROUPS];
    int count = MOST_GROUPS;

    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) {
        return true;
    }
    for (int i = 0; i < count; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

/* May the user of the daemon do this (bits of the owner) with a file or folder? An unknown user may: that is reported elsewhere. */
static bool may_daemon(const struct check *check, const struct stat *st, mode_t bits)
{
    const char *name = check->config->user;
    const struct passwd *user = check->as_root && *name != '\0' ? getpwnam(name) : NULL;

    if (user == NULL || user->pw_uid == 0) {
        return true;
    }
    if (user->pw_uid != st->st_uid) {
        bits >>= has_group(user, st->st_gid) ? 3 : 6;
    }
    return (st->st_mode & bits) == bits;
}

/* ---- the file of POP-before-SMTP ---- */

static bool is_same_file(const char *path, const char *other)
{
    struct stat st;
    struct stat other_st;

    return strcmp(path, other) == 0 ||
           (stat(path, &st) == 0 && stat(other, &other_st) == 0 && st.st_dev == other_st.st_dev &&
            st.st_ino == other_st.st_ino);
}

/* The key whose file, or whose compiled map, the store would write over; NULL: none. */
static const char *overwritten_by(const struct config *config, const char *store)
{
    const struct {
        const char *key;
        const char *path;
    } files[] = {
        {"access", config->access},
        {"spammers", config->spammers},
        {"regex", config->regex},
        {"header_checks", config->header_checks},
        {"mime_header_checks", config->mime_header_checks},
        {"local_host_names", config->local_host_names},
        {"relay_domains", config->relay_domains},
        {"postern.conf", config->path},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (*files[i].path == '\0') {
            continue;
        }
        char *map = config_map_path(files[i].path);
        bool same = is_same_file(store, files[i].path) || is_same_file(store, map);

        free(map);
        if (same) {
            return files[i].key;
        }
    }
    return NULL;
}

#define NOBODY "nobody relays because of a login to POP or IMAP"

/* What is there, and is neither missing nor another file of postern. */
static void check_place(const struct check *check, const char *file, const char *folder)
{
    const char *conf = check->config->path;
    const char *user = check->config->user;
    struct stat st;

    if (lstat(file, &st) == 0) {
        if (S_ISLNK(st.st_mode)) {
            diag_report(check->diag, DIAG_WARNING, conf, 0, "name the file itself",
                        "relay_store.file: %s is a symbolic link: " NOBODY, file);
        } else if (!S_ISREG(st.st_mode)) {
            diag_report(check->diag, DIAG_WARNING, conf, 0, "name a file",
                        "relay_store.file: %s is no file: " NOBODY, file);
        } else if (!may_daemon(check, &st, S_IRUSR | S_IWUSR)) {
            diag_report(check->diag, DIAG_WARNING, conf, 0, "give it to that user",
                        "relay_store.file: %s cannot be written by the user of the daemon, "
                        "%s: " NOBODY,
                        file, user);
        }
    }
    if (stat(folder, &st) != 0) {
        return;
    }
    if (!may_daemon(check, &st, S_IWUSR | S_IXUSR)) {
        diag_report(check->diag, DIAG_WARNING, conf, 0, "give the folder to that user",
                    "relay_store.file: the folder %s cannot be written by the user of the "
                    "daemon, %s: " NOBODY,
                    folder, user);
    }
    if ((st.st_mode & S_IWOTH) != 0) {
        diag_report(
            check->diag, DIAG_WARNING, conf, 0, "take that away: chmod o-w FOLDER",
            "relay_store.file: everybody can write into the folder %s: who puts another file "
            "there relays",
            folder);
    }
}

static void check_store(const struct check *check)
{
    const char *conf = check->config->path;
    const char *file = check->config->relay_store.file;
    const char *key = overwritten_by(check->config, file);
    char *folder = folder_of(file);
    const char *failure = folder_failure(folder, POSTERN_STATEDIR);

    if (key != NULL) {
        diag_report(check->diag, DIAG_ERROR, conf, 0, "give it a file of its own",
                    "relay_store.file: %s is the file of %s", file, key);
    } else if (failure != NULL) {
        diag_report(check->diag, DIAG_WARNING, conf, 0,
                    "create the folder, and give it to the user of the daemon",
                    "relay_store.file: the folder %s %s: " NOBODY, folder, failure);
    } else {
        check_place(check, file, folder);
    }
    free(folder);
}

/* ---- the Redis server of POP-before-SMTP ---- */

/* Is there a password in it? Whoever may not read it cannot know. */
static void check_password(const struct check *check, const char *path)
{
    struct strbuf password;
    struct strbuf why;

    strbuf_init(&password);
    strbuf_init(&why);
    if (access(path, R_OK) == 0 && !relay_redis_password_read(path, &password, &why)) {
        diag_report(check->diag, DIAG_ERROR, check->config->path, 0,
                    "write the password into its first line", "relay_store.redis_password_file: %s",
                    why.data);
    }
    relay_redis_password_erase(&password);
    strbuf_fini(&password);
    strbuf_fini(&why);
}

static void check_password_file(const struct check *check, const char *path)
{
    const char *conf = check->config->path;
    struct stat st;

    if (*path == '\0') {
        return;
    }
    if (stat(path, &st) != 0) {
        /* Whoever may not look into its folder cannot know. */
        diag_report(check->diag, errno == EACCES ? DIAG_WARNING : DIAG_ERROR, conf, 0,
                    "create it, with the password in its first line",
                    "relay_store.redis_password_file: %s: %s", path, strerror(errno));
    } else if (relay_redis_password_fault(&st) != NULL) {
        diag_report(check->diag, DIAG_ERROR, conf, 0, NULL,
                    "relay_store.redis_password_file: %s: %s", path,
                    relay_redis_password_fault(&st));
    } else if (!may_daemon(check, &st, S_IRUSR)) {
        diag_report(check->diag, DIAG_ERROR, conf, 0,
                    "give the file to that user, or to a group of his, who may read it",
                    "relay_store.redis_password_file: %s: the user of the daemon, %s, cannot read "
                    "it",
                    path, check->config->user);
    } else {
        check_password(check, path);
    }
}

static void check_ca_file(const struct check *check, const char *path)
{
    struct strbuf why;

    if (*path == '\0') {
        return;
    }
    strbuf_init(&why);
    if (access(path, R_OK) != 0) {
        strbuf_appendf(&why, "%s: %s", path, strerror(errno));
    } else if (strncmp(check->config->relay_store.redis_url, "rediss://", strlen("rediss://")) ==
               0) {
        (void)relay_redis_tls_check(path, &why);
    }
    if (why.len > 0) {
        diag_report(check->diag, DIAG_ERROR, check->config->path, 0,
                    "name the file with the certificate of the authority that the server's is from",
                    "relay_store.redis_ca_file: %s", why.data);
    }
    strbuf_fini(&why);
}

static void check_redis(const struct check *check)
{
    const struct config_relay_store *store = &check->config->relay_store;

    check_password_file(check, store->redis_password_file);
    check_ca_file(check, store->redis_ca_file);
}

void start_check(const struct config *config, bool as_root, struct diag *diag)
{
    const struct check check = {.config = config, .as_root = as_root, .diag = diag};

    check_accounts(&check);
    check_sockets(&check);
    if (config->relay_store.backend == RELAY_BACKEND_REDIS) {
        check_redis(&check);
    } else {
        check_store(&check);
    }
}
