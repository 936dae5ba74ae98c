/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes of the milter protocol: a growing buffer, packets in it, and the socket they travel on.
 *
 * A packet is a 32-bit length in network order, one command letter and length-1 bytes of data.
 */
#ifndef TESTS_BENCH_WIRE_H
#define TESTS_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_buf {
    char *data;
    size_t len;  /* bytes in use */
    size_t done; /* of these, already sent or taken */
    size_t size;
};

void wire_free(struct wire_buf *buf);
void wire_clear(struct wire_buf *buf);
void wire_bytes(struct wire_buf *buf, const void *data, size_t len);
void wire_byte(struct wire_buf *buf, char byte);
void wire_text(struct wire_buf *buf, const char *text); /* with its NUL */
void wire_u32(struct wire_buf *buf, uint32_t value);

/* Starts a packet; the value returned belongs to wire_end(), which fills in its length. */
size_t wire_begin(struct wire_buf *buf, char command);
void wire_end(struct wire_buf *buf, size_t start);

struct wire_packet {
    char command;
    const char *data;
    size_t len;
};

enum wire_status { WIRE_OK, WIRE_MORE, WIRE_BAD };

/* Takes the next whole packet; its data stay valid until the buffer is written to again. */
enum wire_status wire_take(struct wire_buf *buf, struct wire_packet *packet_out);

uint32_t wire_get_u32(const char *data);

/*
 * Connects to "unix:PATH", "local:PATH", "inet:PORT@HOST" or "inet6:PORT@HOST" (a bare PATH is a unix socket).
 * The socket does not block. -1 and a text in why_out on failure.
 */
int wire_connect(const char *spec, const char **why_out);

#endif
