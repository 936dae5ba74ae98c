/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The headers of messages as they stand in a file: as in mail, an empty line behind each. */
#ifndef TESTS_BENCH_HEADER_FILE_H
#define TESTS_BENCH_HEADER_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct header_file_field {
    char *name;
    char *value; /* all behind the colon, its blank included; folds as in the file */
};

struct header_file_message {
    size_t first; /* in header_file.field */
    size_t count;
};

/* Zeroed: none. */
struct header_file {
    struct header_file_field *field;
    size_t field_count;
    struct header_file_message *message;
    size_t message_count;
};

/* False when the file cannot be read, holds no message, or a line is no part of a header; errno says which (ENODATA, EINVAL). */
bool header_file_read(struct header_file *file, const char *path);
void header_file_free(struct header_file *file);

#endif
