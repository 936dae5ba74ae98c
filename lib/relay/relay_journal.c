/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_journal.h"

#include "lib/table/hash64.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHECK_DIGITS 8u
#define HEAD_LEN (CHECK_DIGITS + 1)
#define WORD_MAX 16u
#define NUMBER_DIGITS 18u
#define PAD_PIECE 16384u
#define PAD_MIN (64u * 1024u)
#define PAD_MAX (4u * 1024u * 1024u)

static const char *const op_words[] = {
    [RELAY_JOURNAL_LOGIN] = "login",     [RELAY_JOURNAL_ADD] = "add",
    [RELAY_JOURNAL_REMOVE] = "remove",   [RELAY_JOURNAL_EXPIRE] = "expire",
    [RELAY_JOURNAL_REPLACE] = "replace", [RELAY_JOURNAL_ENTRY] = "entry",
    [RELAY_JOURNAL_END] = "end",
};

#define OPS (sizeof(op_words) / sizeof(op_words[0]))

/* ---- lines ---- */

static void put_check(const char *text, size_t len, char digits[CHECK_DIGITS])
{
    uint32_t check = (uint32_t)hash64(text, len, 0);

    for (unsigned i = CHECK_DIGITS; i-- > 0; check >>= 4) {
        digits[i] = "0123456789abcdef"[check & 0xf];
    }
}

static void append_address(const struct netaddr *addr, struct strbuf *out)
{
    char key[RELAY_KEY_SIZE];

    strbuf_append_char(out, ' ');
    strbuf_append(out, relay_entry_key(addr, key));
}

void relay_journal_format(const struct relay_journal_line *line, struct strbuf *out)
{
    size_t start = out->len;

    strbuf_append_len(out, "00000000 ", HEAD_LEN);
    strbuf_append(out, op_words[line->op]);
    switch (line->op) {
    case RELAY_JOURNAL_LOGIN:
    case RELAY_JOURNAL_ADD:
    case RELAY_JOURNAL_ENTRY:
        append_address(&line->entry.addr, out);
        strbuf_append_char(out, ' ');
        relay_entry_format_value(&line->entry, out);
        break;
    case RELAY_JOURNAL_REMOVE:
        append_address(&line->entry.addr, out);
        break;
    case RELAY_JOURNAL_EXPIRE:
        if (line->until == RELAY_JOURNAL_ALL) {
            strbuf_append(out, " all");
        } else {
            strbuf_appendf(out, " %" PRId64, line->until);
        }
        break;
    case RELAY_JOURNAL_REPLACE:
        strbuf_appendf(out, " %" PRIu64, line->count);
        break;
    case RELAY_JOURNAL_END:
        break;
    }
    put_check(out->data + start + HEAD_LEN, out->len - start - HEAD_LEN, out->data + start);
    strbuf_append_char(out, '\n');
}

/* The next word, which ends at a blank or at `end`, as a text; NULL if there is none or it is too long. */
static const char *take_word(const char **at, const char *end, char *buf, size_t size)
{
    const char *blank = memchr(*at, ' ', (size_t)(end - *at));
    size_t len = (size_t)((blank == NULL ? end : blank) - *at);

    if (len == 0 || len >= size || memchr(*at, '\0', len) != NULL) {
        return NULL;
    }
    memcpy(buf, *at, len);
    buf[len] = '\0';
    *at = blank == NULL ? end : blank + 1;
    return buf;
}

static bool parse_number(const char *word, int64_t *number_out)
{
    size_t digits = word == NULL ? 0 : strspn(word, "0123456789");

    if (digits == 0 || digits > NUMBER_DIGITS || word[digits] != '\0') {
        return false;
    }
    *number_out = 0;
    for (; *word != '\0'; word++) {
        *number_out = *number_out * 10 + (*word - '0');
    }
    return true;
}

static bool parse_address(const char **at, const char *end, struct netaddr *addr_out,
                          const char **why_out)
{
    char key[RELAY_KEY_SIZE];

    if (take_word(at, end, key, sizeof(key)) == NULL) {
        *why_out = "no IP address";
        return false;
    }
    return relay_entry_parse_address(key, addr_out, why_out);
}

/* What stands behind the word of the operation. */
static bool parse_rest(const char *at, const char *end, struct strbuf *texts,
                       struct relay_journal_line *line_out, const char **why_out)
{
    char number[NUMBER_DIGITS + 2];
    int64_t count = 0;

    *why_out = "a number is missing";
    switch (line_out->op) {
    case RELAY_JOURNAL_LOGIN:
    case RELAY_JOURNAL_ADD:
    case RELAY_JOURNAL_ENTRY:
        return parse_address(&at, end, &line_out->entry.addr, why_out) &&
               relay_entry_parse_value(at, (size_t)(end - at), texts, &line_out->entry, why_out);
    case RELAY_JOURNAL_REMOVE:
        return parse_address(&at, end, &line_out->entry.addr, why_out);
    case RELAY_JOURNAL_EXPIRE:
        if (end - at == 3 && memcmp(at, "all", 3) == 0) {
            line_out->until = RELAY_JOURNAL_ALL;
            return true;
        }
        return parse_number(take_word(&at, end, number, sizeof(number)), &line_out->until);
    case RELAY_JOURNAL_REPLACE:
        if (!parse_number(take_word(&at, end, number, sizeof(number)), &count)) {
            return false;
        }
        line_out->count = (uint64_t)count;
        return true;
    case RELAY_JOURNAL_END:
        break;
    }
    return true;
}

bool relay_journal_parse(const char *text, size_t len, struct strbuf *texts,
                         struct relay_journal_line *line_out, const char **why_out)
{
    char digits[CHECK_DIGITS];
    char word[WORD_MAX];
    const char *at = text + HEAD_LEN;
    const char *end = text + len;

    if (len <= HEAD_LEN || text[CHECK_DIGITS] != ' ') {
        *why_out = "no checksum";
        return false;
    }
    put_check(at, len - HEAD_LEN, digits);
    if (memcmp(digits, text, CHECK_DIGITS) != 0) {
        *why_out = "its checksum is another one";
        return false;
    }
    *line_out = (struct relay_journal_line){.entry = {.user = "", .service = ""}};
    *why_out = "an unknown change";
    if (take_word(&at, end, word, sizeof(word)) == NULL) {
        return false;
    }
    for (unsigned op = 0; op < OPS; op++) {
        if (strcmp(word, op_words[op]) == 0) {
            line_out->op = (enum relay_journal_op)op;
            return parse_rest(at, end, texts, line_out, why_out);
        }
    }
    return false;
}

size_t relay_journal_apply(const struct relay_journal_line *line, struct relay_index *index)
{
    switch (line->op) {
    case RELAY_JOURNAL_LOGIN:
    case RELAY_JOURNAL_ADD:
        relay_index_put(index, &line->entry, line->op == RELAY_JOURNAL_LOGIN);
        return 0;
    case RELAY_JOURNAL_REMOVE:
        return relay_index_remove(index, &line->entry.addr) ? 1 : 0;
    case RELAY_JOURNAL_EXPIRE:
        return relay_index_expire(index, line->until);
    case RELAY_JOURNAL_REPLACE:
        relay_index_unstage(index);
        return 0;
    case RELAY_JOURNAL_ENTRY:
        relay_index_stage(index, &line->entry);
        return 0;
    case RELAY_JOURNAL_END:
        break;
    }
    return relay_index_swap(index);
}

/* ---- writing ---- */

bool relay_journal_open(struct relay_journal *journal, const struct relay_files *files,
                        uint64_t size, struct strbuf *why)
{
    journal->fd = relay_files_open(files, files->journal, RELAY_FILES_CREATE, NULL, why);
    if (journal->fd < 0) {
        return false;
    }
    if (ftruncate(journal->fd, (off_t)size) != 0 || fdatasync(journal->fd) != 0) {
        strbuf_appendf(why, "%s: cannot be written: %s", files->journal, strerror(errno));
        relay_journal_close(journal);
        return false;
    }
    *journal = (struct relay_journal){.fd = journal->fd, .size = size, .end = size, .padded = size};
    return true;
}

void relay_journal_close(struct relay_journal *journal)
{
    if (journal->fd >= 0) {
        close(journal->fd);
    }
    *journal = (struct relay_journal){.fd = -1};
}

/* Returns 0 or errno. */
static int write_at(int fd, const char *bytes, size_t len, uint64_t at)
{
    size_t done = 0;

    while (done < len) {
        ssize_t now = pwrite(fd, bytes + done, len - done, (off_t)(at + done));

        if (now <= 0 && !(now < 0 && errno == EINTR)) {
            return now == 0 ? ENOSPC : errno;
        }
        done += now > 0 ? (size_t)now : 0;
    }
    return 0;
}

/*
 * Writes zeros ahead of the lines. To sync bytes of a file that has them already is much less work for a file system than to sync
 * a file that grows, and does not wait for what others write. If there is no room for them, the lines may still fit.
 */
static void pad(struct relay_journal *journal, uint64_t need)
{
    static const char zeros[PAD_PIECE];
    uint64_t size = journal->size < PAD_MIN ? PAD_MIN : journal->size;
    uint64_t end = need + (size > PAD_MAX ? PAD_MAX : size);
    uint64_t at = journal->padded;

    while (at < end && write_at(journal->fd, zeros, sizeof(zeros), at) == 0) {
        at += sizeof(zeros);
    }
    if (at < end) {
        /* The lines shall have what room there is. */
        journal->is_unpadded = true;
        (void)!ftruncate(journal->fd, (off_t)journal->padded);
        return;
    }
    journal->padded = at;
}

bool relay_journal_write(struct relay_journal *journal, const struct strbuf *lines,
                         struct strbuf *why)
{
    uint64_t need = journal->end + lines->len;

    if (need > journal->padded && !journal->is_unpadded) {
        pad(journal, need);
    }
    int failed = write_at(journal->fd, lines->data, lines->len, journal->end);

    if (failed != 0) {
        strbuf_appendf(why, "the journal cannot be written: %s", strerror(failed));
        return false;
    }
    journal->end = need;
    journal->padded = need > journal->padded ? need : journal->padded;
    return true;
}

bool relay_journal_commit(struct relay_journal *journal, const struct relay_files *files,
                          struct strbuf *why)
{
    if (!journal->has_name) {
        /* A crash must find the lines under their name. */
        if (!relay_files_sync_folder(files, why)) {
            return false;
        }
        journal->has_name = true;
    }
    if (fdatasync(journal->fd) != 0) {
        strbuf_appendf(why, "the journal cannot be written: %s", strerror(errno));
        return false;
    }
    journal->size = journal->end;
    return true;
}

bool relay_journal_rollback(struct relay_journal *journal)
{
    journal->end = journal->size;
    journal->padded = journal->size;
    journal->is_unpadded = false;
    return ftruncate(journal->fd, (off_t)journal->size) == 0;
}

/* Gives the empty file beside the journal the journal's name. */
static bool swap_names(const struct relay_files *files, struct strbuf *why)
{
    if (rename(files->journal, files->old_journal) != 0) {
        strbuf_appendf(why, "%s: cannot be renamed: %s", files->journal, strerror(errno));
        return false;
    }
    if (rename(files->new_journal, files->journal) != 0) {
        strbuf_appendf(why, "%s: cannot be renamed: %s", files->new_journal, strerror(errno));
        (void)rename(files->old_journal, files->journal);
        return false;
    }
    return true;
}

bool relay_journal_rotate(struct relay_journal *journal, const struct relay_files *files,
                          struct strbuf *why)
{
    (void)unlink(files->new_journal);

    int fd = relay_files_open(files, files->new_journal, RELAY_FILES_CREATE, NULL, why);

    if (fd < 0) {
        return false;
    }
    if (!swap_names(files, why)) {
        (void)unlink(files->new_journal);
        close(fd);
        return false;
    }
    close(journal->fd);
    *journal = (struct relay_journal){.fd = fd};
    return true;
}
