/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/background.h"
#include "lib/base/xalloc.h"
#include "milter/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the parent: waits for the child's word, or for its end. */
static _Noreturn void wait_for_child(pid_t child, int ready)
{
    char byte;
    ssize_t got;
    int state = 0;

    do {
        got = read(ready, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1) {
        _exit(0);
    }
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(state) && WEXITSTATUS(state) != 0 ? WEXITSTATUS(state) : 1);
}

enum status background_start(int *ready_out, struct strbuf *why)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        strbuf_appendf(why, "pipe: %s", strerror(errno));
        return STATUS_INVALID;
    }
    (void)fflush(NULL);
    pid_t child = fork();

    if (child < 0) {
        strbuf_appendf(why, "fork: %s", strerror(errno));
        (void)close(ends[0]);
        (void)close(ends[1]);
        return STATUS_INVALID;
    }
    if (child > 0) {
        (void)close(ends[1]);
        wait_for_child(child, ends[0]);
    }
    (void)close(ends[0]);
    (void)setsid();
    if (chdir("/") != 0) {
        strbuf_appendf(why, "chdir /: %s", strerror(errno));
        return STATUS_INVALID;
    }
    *ready_out = ends[1];
    return STATUS_OK;
}

void background_ready(int ready)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        if (null > STDERR_FILENO) {
            (void)close(null);
        }
    }
    ssize_t written = write(ready, "", 1);
    (void)written; /* a parent that was killed needs no word */
    (void)close(ready);
}

/* "another postern runs with pid 123". */
static void say_who(int fd, const char *path, struct strbuf *why)
{
    char pid[24] = "";
    ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[got > 0 ? got : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    strbuf_appendf(why, "%s: another postern runs already%s%s", path,
                   pid[0] != '\0' ? ", pid " : "", pid);
}

enum status pid_file_create(struct pid_file *file, const char *path, struct strbuf *why)
{
    char line[24];
    int busy = -1;
    int fd = lockfile_acquire(path, 0644, &busy);

    if (busy >= 0) {
        say_who(busy, path, why);
        (void)close(busy);
        return STATUS_INVALID;
    }
    if (fd < 0) {
        strbuf_appendf(why, "%s: %s", path, strerror(errno));
        return STATUS_INVALID;
    }
    int len = snprintf(line, sizeof(line), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) != 0 || fchmod(fd, 0644) != 0 || pwrite(fd, line, (size_t)len, 0) != len) {
        strbuf_appendf(why, "%s: cannot write: %s", path, strerror(errno));
        lockfile_release(path, fd);
        return STATUS_INVALID;
    }
    file->path = xstrdup(path);
    file->fd = fd;
    return STATUS_OK;
}

void pid_file_remove(struct pid_file *file)
{
    if (file->fd < 0) {
        return;
    }
    lockfile_release(file->path, file->fd);
    free(file->path);
    *file = (struct pid_file){.fd = -1};
}
