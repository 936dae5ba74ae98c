/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/header_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *items, size_t count, size_t size)
{
    /* Powers of two: when it is one, it is full. */
    if ((count & (count - 1)) == 0)
        items = realloc(items, (count == 0 ? 1 : count * 2) * size);
    if (items == NULL)
        abort();
    return items;
}

static bool add_field(struct header_file *file, const char *line)
{
    const char *colon = strchr(line, ':');
    if (colon == NULL || colon == line)
        return false;
    struct header_file_message *message = &file->message[file->message_count - 1];
    file->field = grow(file->field, file->field_count, sizeof *file->field);
    file->field[file->field_count++] = (struct header_file_field){
        strndup(line, (size_t)(colon - line)), strdup(colon + 1)};
    message->count++;
    return true;
}

static bool add_fold(struct header_file *file, const char *line)
{
    if (file->message[file->message_count - 1].count == 0)
        return false;
    struct header_file_field *last = &file->field[file->field_count - 1];
    size_t len = strlen(last->value);
    last->value = realloc(last->value, len + strlen(line) + 2);
    if (last->value == NULL)
        abort();
    last->value[len] = '\n';
    memcpy(last->value + len + 1, line, strlen(line) + 1);
    return true;
}

static void begin_message(struct header_file *file)
{
    file->message = grow(file->message, file->message_count, sizeof *file->message);
    file->message[file->message_count++] = (struct header_file_message){file->field_count, 0};
}

bool header_file_read(struct header_file *file, const char *path)
{
    FILE *stream = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    bool fine = true;
    bool between = true;
    *file = (struct header_file){0};
    if (stream == NULL)
        return false;
    while (fine && (len = getline(&line, &size, stream)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        if (line[0] == '\0') {
            between = true;
            continue;
        }
        if (between)
            begin_message(file);
        between = false;
        fine = line[0] == ' ' || line[0] == '\t' ? add_fold(file, line) : add_field(file, line);
    }
    free(line);
    fclose(stream);
    errno = fine ? ENODATA : EINVAL;
    return fine && file->message_count > 0;
}

void header_file_free(struct header_file *file)
{
    for (size_t i = 0; i < file->field_count; i++) {
        free(file->field[i].name);
        free(file->field[i].value);
    }
    free(file->field);
    free(file->message);
    *file = (struct header_file){0};
}
