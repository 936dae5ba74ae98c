/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_replay.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (256u * 1024u)

/* One run over a journal. */
struct replay {
    struct relay_index *index;
    struct relay_replay *report;
    struct strbuf texts;
    uint64_t number;      /* of the present line */
    uint64_t at;          /* where it ends */
    bool replacing;       /* between `replace` and its `end` */
    bool has_hole;        /* zeros came; if lines follow, these were lost */
    uint64_t pending_bad; /* bad lines that nothing good has followed yet */
    uint64_t first_pending;
    const char *pending_why;
};

static void begin(struct replay *replay, struct relay_index *index, struct relay_replay *report)
{
    *report = (struct relay_replay){0};
    *replay = (struct replay){.index = index, .report = report};
    strbuf_init(&replay->texts);
}

/* Something good follows: what was bad before it is damage, not the end. */
static void settle(struct replay *replay)
{
    struct relay_replay *report = replay->report;

    if (replay->pending_bad > 0 && report->bad == 0) {
        report->first_bad = replay->first_pending;
        report->bad_why = replay->pending_why;
    }
    report->bad += replay->pending_bad;
    replay->pending_bad = 0;
    report->lines++;
}

static void note_bad(struct replay *replay, const char *why)
{
    if (replay->pending_bad++ == 0) {
        replay->first_pending = replay->number;
        replay->pending_why = why;
    }
}

static bool belongs_to_replacement(enum relay_journal_op op)
{
    return op == RELAY_JOURNAL_ENTRY || op == RELAY_JOURNAL_END;
}

/* How many zeros there are at the beginning. */
static size_t count_zeros(const char *text, size_t len)
{
    size_t count = 0;

    while (count < len && text[count] == '\0') {
        count++;
    }
    return count;
}

/* One line, without its newline. */
static void take_line(struct replay *replay, const char *text, size_t len)
{
    const struct relay_journal_line end = {.op = RELAY_JOURNAL_END};
    struct relay_journal_line line;
    const char *why;
    size_t zeros = count_zeros(text, len);

    replay->number++;
    replay->at += len + 1;
    if (zeros > 0 || replay->has_hole) {
        note_bad(replay, "zeros stand before it");
        replay->has_hole = false;
        text += zeros;
        len -= zeros;
    }
    if (!relay_journal_parse(text, len, &replay->texts, &line, &why)) {
        note_bad(replay, why);
        return;
    }
    if (belongs_to_replacement(line.op) && !replay->replacing) {
        note_bad(replay, "belongs to a replacement that has no beginning");
        return;
    }
    if (replay->replacing && !belongs_to_replacement(line.op)) {
        /* Its end is damaged, but what follows was appended when it was on the disk. */
        note_bad(replay, "the end of a replacement is missing before it");
        (void)relay_journal_apply(&end, replay->index);
    }
    settle(replay);
    (void)relay_journal_apply(&line, replay->index);
    replay->replacing = line.op == RELAY_JOURNAL_REPLACE || line.op == RELAY_JOURNAL_ENTRY;
    if (!replay->replacing) {
        replay->report->good_bytes = replay->at;
    }
}

/* `rest` is what follows the last newline. */
static void finish(struct replay *replay, uint64_t size, const char *rest, size_t rest_len)
{
    bool is_padded = count_zeros(rest, rest_len) == rest_len;

    if (replay->replacing) {
        relay_index_unstage(replay->index);
    }
    replay->report->torn_bytes = size - replay->report->good_bytes;
    replay->report->torn_lines = replay->pending_bad;
    if (is_padded && replay->pending_bad == 0 && !replay->replacing) {
        replay->report->torn_bytes = 0;
    }
    strbuf_fini(&replay->texts);
}

/* All whole lines of a piece; returns the bytes that they take. */
static size_t take_lines(struct replay *replay, const char *text, size_t len)
{
    size_t done = 0;

    for (;;) {
        const char *newline = memchr(text + done, '\n', len - done);

        if (newline == NULL) {
            return done;
        }
        size_t line_len = (size_t)(newline - (text + done));

        take_line(replay, text + done, line_len);
        done += line_len + 1;
    }
}

void relay_replay_text(const char *text, size_t len, struct relay_index *index,
                       struct relay_replay *report_out)
{
    struct replay replay;

    begin(&replay, index, report_out);
    size_t done = take_lines(&replay, text, len);

    finish(&replay, len, text + done, len - done);
}

/* The whole file, piece by piece. Returns 0 or errno. */
static int take_file(struct replay *replay, int fd, char *buf)
{
    size_t len = 0;
    uint64_t size = 0;
    ssize_t now;

    while ((now = read(fd, buf + len, CHUNK - len)) != 0) {
        if (now < 0 && errno == EINTR) {
            continue;
        }
        if (now < 0) {
            return errno;
        }
        size += (uint64_t)now;
        len += (size_t)now;

        size_t done = take_lines(replay, buf, len);

        len -= done;
        memmove(buf, buf + done, len);
        if (len == CHUNK) {
            /* No line is as long; the next newline begins another one. */
            if (count_zeros(buf, len) == len) {
                replay->has_hole = true;
            } else {
                note_bad(replay, "no newline for very long");
            }
            replay->at += len;
            len = 0;
        }
    }
    finish(replay, size, buf, len);
    return 0;
}

bool relay_replay(const struct relay_files *files, const char *path, struct relay_index *index,
                  struct relay_replay *report_out, struct strbuf *why)
{
    struct replay replay;
    bool absent;
    struct strbuf reason;

    begin(&replay, index, report_out);
    strbuf_init(&reason);
    int fd = relay_files_open(files, path, RELAY_FILES_READ, &absent, &reason);

    report_out->absent = absent;
    if (fd < 0) {
        strbuf_append(why, absent ? "" : reason.data);
        strbuf_fini(&reason);
        strbuf_fini(&replay.texts);
        return absent;
    }
    strbuf_fini(&reason);
    char *buf = xmalloc(CHUNK);
    int failed = take_file(&replay, fd, buf);

    if (failed != 0) {
        strbuf_appendf(why, "%s: cannot be read: %s", path, strerror(failed));
        strbuf_fini(&replay.texts);
    }
    free(buf);
    close(fd);
    return failed == 0;
}
