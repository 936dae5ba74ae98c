/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_password.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define OTHERS (S_IROTH | S_IWOTH | S_IXOTH)

const char *relay_redis_password_fault(const struct stat *stat)
{
    if (!S_ISREG(stat->st_mode)) {
        return "is no regular file";
    }
    if ((stat->st_mode & OTHERS) != 0) {
        return "is open to everybody; take that away: chmod o= FILE";
    }
    if ((stat->st_mode & S_IWGRP) != 0) {
        return "can be written by its group; take that away: chmod g-w FILE";
    }
    return NULL;
}

void relay_redis_password_erase(struct strbuf *text)
{
    if (text->len > 0) {
        explicit_bzero(text->data, text->len);
    }
    strbuf_reset(text);
}

/* The first line of what the file holds. */
static bool take_line(const char *bytes, size_t len, const char *path, struct strbuf *password_out,
                      struct strbuf *why)
{
    const char *newline = memchr(bytes, '\n', len);
    size_t line = newline == NULL ? len : (size_t)(newline - bytes);

    if (line > 0 && bytes[line - 1] == '\r') {
        line--;
    }
    if (line == 0 || line > RELAY_REDIS_PASSWORD_MAX) {
        strbuf_appendf(why, "%s: its first line is %s", path,
                       line == 0 ? "empty" : "too long for a password");
        return false;
    }
    strbuf_append_len(password_out, bytes, line);
    return true;
}

bool relay_redis_password_read(const char *path, struct strbuf *password_out, struct strbuf *why)
{
    char bytes[RELAY_REDIS_PASSWORD_MAX + 2];
    struct stat stat;
    bool done = false;
    /* A pipe in its place must not hold up whoever opens it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &stat) != 0) {
        strbuf_appendf(why, "%s: %s", path, strerror(errno));
    } else if (relay_redis_password_fault(&stat) != NULL) {
        strbuf_appendf(why, "%s: %s", path, relay_redis_password_fault(&stat));
    } else {
        ssize_t len = read(fd, bytes, sizeof(bytes));

        if (len < 0) {
            strbuf_appendf(why, "%s: %s", path, strerror(errno));
        } else {
            done = take_line(bytes, (size_t)len, path, password_out, why);
        }
        explicit_bzero(bytes, sizeof(bytes));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}
