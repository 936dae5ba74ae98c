/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fuzz/fuzz.h"

#include "lib/mail/reply.h"

#include <sanitizer/common_interface_defs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_MAX (1u << 20)

/* The real stderr while it is caught, and where it is kept meanwhile. */
static int real_stderr = -1;
static int kept = -1;

void fuzz_fail(const char *file, int line, const char *condition)
{
    if (real_stderr >= 0) {
        (void)dup2(real_stderr, STDERR_FILENO);
    }
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

const char *fuzz_line(struct fuzz_input *input)
{
    size_t len = 0;

    while (len < input->left && input->data[len] != '\n' && input->data[len] != '\0') {
        len++;
    }
    const char *line = arena_strndup(input->arena, (const char *)input->data, len);

    if (len < input->left) {
        len++;
    }
    input->data += len;
    input->left -= len;
    return line;
}

void fuzz_require_reply(const struct reply *reply)
{
    FUZZ_REQUIRE(reply->code >= 400 && reply->code <= 599);
    FUZZ_REQUIRE(memchr(reply->dsn, '\0', sizeof(reply->dsn)) != NULL);
    FUZZ_REQUIRE(reply->dsn[0] == '\0' || reply_is_dsn(reply->dsn, strlen(reply->dsn)));
    FUZZ_REQUIRE(reply->text != NULL);
    FUZZ_REQUIRE(strlen(reply->text) <= REPLY_MAX_TEXT);
    for (const char *at = reply->text; *at != '\0'; at++) {
        FUZZ_REQUIRE((unsigned char)*at >= ' ' && (unsigned char)*at < 127);
    }
}

/* ---- the log ---- */

void fuzz_log_begin(void)
{
    if (real_stderr < 0) {
        real_stderr = dup(STDERR_FILENO);
        kept = memfd_create("log", MFD_CLOEXEC);
        FUZZ_REQUIRE(real_stderr >= 0 && kept >= 0);
        __sanitizer_set_report_fd((void *)(intptr_t)real_stderr);
    }
    (void)dup2(kept, STDERR_FILENO);
}

/* Behind "key=": a quoted text with its quotes closed, or a word. Returns what follows it. */
static const char *skip_value(const char *at)
{
    if (*at != '"') {
        at += strcspn(at, " \"");
        return at;
    }
    for (at++; *at != '"'; at++) {
        FUZZ_REQUIRE(*at != '\0');
        if (*at == '\\') {
            at++;
            FUZZ_REQUIRE(*at != '\0');
        }
    }
    return at + 1;
}

static void require_logfmt(const char *line)
{
    for (const char *at = line; *at != '\0'; at++) {
        FUZZ_REQUIRE((unsigned char)*at >= ' ' && *at != 127);
    }
    while (*line != '\0') {
        size_t key = strspn(line, "abcdefghijklmnopqrstuvwxyz_");

        FUZZ_REQUIRE(key > 0 && line[key] == '=');
        line = skip_value(line + key + 1);
        FUZZ_REQUIRE(*line == '\0' || (*line == ' ' && line[1] != '\0'));
        line += *line == ' ';
    }
}

void fuzz_log_end(void)
{
    static char text[LOG_MAX + 1];
    off_t size = lseek(kept, 0, SEEK_CUR);

    (void)dup2(real_stderr, STDERR_FILENO);
    FUZZ_REQUIRE(size >= 0 && size <= (off_t)LOG_MAX);
    FUZZ_REQUIRE(pread(kept, text, (size_t)size, 0) == size);
    FUZZ_REQUIRE(ftruncate(kept, 0) == 0 && lseek(kept, 0, SEEK_SET) == 0);
    text[size] = '\0';
    FUZZ_REQUIRE(strlen(text) == (size_t)size);
    for (char *line = text; *line != '\0';) {
        char *end = strchr(line, '\n');

        FUZZ_REQUIRE(end != NULL);
        *end = '\0';
        require_logfmt(line);
        line = end + 1;
    }
}
