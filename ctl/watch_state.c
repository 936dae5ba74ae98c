/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/watch_state.h"

#include "lib/table/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536u

static bool fail(struct strbuf *why, const char *path)
{
    strbuf_appendf(why, "%s: %s", path, strerror(errno));
    return false;
}

static bool read_all(int fd, struct strbuf *out)
{
    char bytes[READ_BYTES];
    ssize_t got;

    while ((got = read(fd, bytes, sizeof(bytes))) != 0) {
        if (got < 0 && errno != EINTR) {
            return false;
        }
        strbuf_append_len(out, bytes, got > 0 ? (size_t)got : 0);
        if (out->len > WATCH_STATE_MAX) {
            errno = EFBIG;
            return false;
        }
    }
    return true;
}

bool watch_state_read(const char *name, const char *suffix, struct strbuf *out, struct strbuf *why)
{
    struct strbuf path;

    strbuf_init(&path);
    strbuf_appendf(&path, "%s%s", name, suffix);
    int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool is_read = fd >= 0 ? read_all(fd, out) || fail(why, path.data)
                           : errno != ENOENT && fail(why, path.data);

    if (fd >= 0) {
        (void)close(fd);
    }
    strbuf_fini(&path);
    return is_read;
}

bool watch_state_write(const char *name, const char *suffix, const struct strbuf *text,
                       struct strbuf *why)
{
    struct newfile file;
    struct strbuf path;
    size_t done = 0;
    ssize_t put = 0;

    strbuf_init(&path);
    strbuf_appendf(&path, "%s%s", name, suffix);
    bool is_written = newfile_create(&file, path.data, NULL, NULL, why);

    if (is_written) {
        while (done < text->len && (put >= 0 || errno == EINTR)) {
            put = write(file.fd, text->data + done, text->len - done);
            done += put > 0 ? (size_t)put : 0;
        }
        if (done == text->len) {
            is_written = newfile_commit(&file, why);
        } else {
            is_written = fail(why, path.data);
            newfile_abandon(&file);
        }
    }
    strbuf_fini(&path);
    return is_written;
}
