/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/log_place.h"

#include "ctl/log_rotated.h"
#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADING "postern-watch 1\n"
/* Fewer bytes at the head of a file do not tell a copy from another file. */
#define HEAD_ENOUGH 64u
#define SECOND_NS INT64_C(1000000000)

struct place {
    uint64_t dev;
    uint64_t ino;
    int64_t offset;
    int64_t seen_at;
    size_t head_len;
    uint64_t hash;
};

struct places {
    struct place list[LOG_FILES_MAX];
    size_t count;
    int64_t at;
};

void log_place_save(const struct log_files *files, const char *log, int64_t at, struct strbuf *out)
{
    strbuf_appendf(out, HEADING "log %s\nat %" PRId64 "\n", log, at);
    for (const struct log_file *file = files->first; file != NULL; file = file->next) {
        if (file->fd >= 0 && !file->is_pipe) {
            strbuf_appendf(out,
                           "file %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %zu %" PRIx64 "\n",
                           (uint64_t)file->dev, (uint64_t)file->ino, log_file_place(file),
                           file->seen_at, file->head_len, hash64(file->head, file->head_len, 0));
        }
    }
}

/* ---- reading the text ---- */

static bool parse_file(const char *line, struct places *places)
{
    struct place *place = &places->list[places->count];
    int end = 0;

    if (places->count == LOG_FILES_MAX ||
        sscanf(line, "file %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %zu %" SCNx64 "%n",
               &place->dev, &place->ino, &place->offset, &place->seen_at, &place->head_len,
               &place->hash, &end) != 6 ||
        line[end] != '\n' || place->offset < 0 || place->head_len > LOG_FILE_HEAD) {
        return false;
    }
    places->count++;
    return true;
}

static bool parse(const char *text, const char *log, struct places *places)
{
    size_t len = strlen(log);
    int end = 0;

    places->count = 0;
    if (strncmp(text, HEADING "log ", strlen(HEADING "log ")) != 0) {
        return false;
    }
    text += strlen(HEADING "log ");
    if (strncmp(text, log, len) != 0 || text[len] != '\n') {
        return false;
    }
    text += len + 1;
    if (sscanf(text, "at %" SCNd64 "%n", &places->at, &end) != 1 || text[end] != '\n') {
        return false;
    }
    for (text += end + 1; *text != '\0'; text = strchr(text, '\n') + 1) {
        if (strchr(text, '\n') == NULL || !parse_file(text, places)) {
            return false;
        }
    }
    return true;
}

/* ---- finding the files ---- */

static bool holds(const struct place *place, const struct log_rotated *found)
{
    uint64_t hash;

    return found->fd >= 0 && found->size >= place->offset &&
           log_file_head_hash(found->fd, place->head_len, &hash) && hash == place->hash;
}

/* The file itself, or else the one that it was copied to. NULL: neither is there. */
static struct log_rotated *find(const struct place *place, struct log_rotated *found, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (found[i].dev == place->dev && found[i].ino == place->ino && holds(place, &found[i])) {
            return &found[i];
        }
    }
    for (size_t i = 0; place->head_len >= HEAD_ENOUGH && i < count; i++) {
        if (holds(place, &found[i])) {
            return &found[i];
        }
    }
    return NULL;
}

/* The log was opened first: if it was rotated since, it is among the others, too. Returns how many these are without it. */
static size_t leave_out(const struct log_rotated *itself, struct log_rotated *found, size_t count)
{
    for (size_t i = 0; itself->fd >= 0 && i < count; i++) {
        if (found[i].dev == itself->dev && found[i].ino == itself->ino) {
            (void)close(found[i].fd);
            memmove(&found[i], &found[i + 1], (count - i - 1) * sizeof(*found));
            return count - 1;
        }
    }
    return count;
}

/* The log itself, and what it was rotated to: all are opened. */
static size_t open_all(const char *log, struct log_rotated **found_out)
{
    const char *slash = strrchr(log, '/');
    char *folder = slash == NULL ? xstrdup(".") : xstrndup(log, (size_t)(slash - log) + 1);
    struct log_rotated itself = {.fd = -1};
    int fd = open(log, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0 && !log_rotated_identify(fd, &itself)) {
        (void)close(fd);
        itself.fd = -1;
    }
    size_t count = log_rotated_find(folder, slash == NULL ? log : slash + 1, INT64_MIN, found_out);

    free(folder);
    count = leave_out(&itself, *found_out, count);
    *found_out = xrealloc(*found_out, (count + 1) * sizeof(itself));
    (*found_out)[count] = itself;
    return count + 1;
}

bool log_place_restore(struct log_files *files, const char *text, const char *log, int64_t *at_out,
                       int64_t *seen_at_out)
{
    struct places *places = xcalloc(1, sizeof(*places));
    struct log_rotated *found;
    size_t copy = 0; /* of the log, before it was cut off */
    bool is_cut_off = false;

    if (!parse(text, log, places)) {
        free(places);
        return false;
    }
    *at_out = *seen_at_out = places->at;
    size_t count = open_all(log, &found);
    struct log_rotated *itself = &found[count - 1];

    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        struct log_rotated *where = find(place, found, count);

        *seen_at_out = place->seen_at;
        if (itself->fd >= 0 && itself->dev == place->dev && itself->ino == place->ino &&
            where != itself) {
            is_cut_off = true;
            copy = where != NULL ? (size_t)(where - found) : count;
        }
        if (where != NULL) {
            struct log_file *file = log_files_add(files, where->fd, place->offset);

            file->seen_at = place->seen_at;
            file->born_ns = where->born_ns;
            if (where == itself && place->offset == 0 && place->head_len == 0) {
                /* Empty when it was seen last; a copy of that second may be one that was read before. */
                log_files_set_fresh(file, (place->seen_at + 1) * SECOND_NS);
            }
            where->fd = -1;
        }
    }
    /* What the log holds now is new, and so is what it was copied to since. */
    if (is_cut_off) {
        size_t copies = copy < count - 1 ? count - 1 - copy : 0;

        log_files_add_cut_off(files, itself->fd, found + copy, copies, log_files_birth())->born_ns =
            itself->born_ns;
        itself->fd = -1;
    }
    log_rotated_free(found, count);
    free(places);
    return true;
}
