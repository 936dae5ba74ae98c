/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/hash64.h"

#include <endian.h>
#include <string.h>

/* Written from the specification in xxHash's doc/xxhash_spec.md; the names are those of that text. */
#define PRIME_1 0x9E3779B185EBCA87u
#define PRIME_2 0xC2B2AE3D27D4EB4Fu
#define PRIME_3 0x165667B19E3779F9u
#define PRIME_4 0x85EBCA77C2B2AE63u
#define PRIME_5 0x27D4EB2F165667C5u
#define STRIPE 32u

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t read64(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static uint64_t read32(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t lane_round(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * PRIME_2, 31) * PRIME_1;
}

static uint64_t merge(uint64_t sum, uint64_t lane)
{
    return (sum ^ lane_round(0, lane)) * PRIME_1 + PRIME_4;
}

/* All whole stripes; moves *at behind them. */
static uint64_t stripes(const unsigned char **at, size_t len, uint64_t seed)
{
    uint64_t lanes[4] = {seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1};

    for (; len >= STRIPE; len -= STRIPE) {
        for (unsigned i = 0; i < 4; i++) {
            lanes[i] = lane_round(lanes[i], read64(*at));
            *at += 8;
        }
    }
    uint64_t sum = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) +
                   rotate(lanes[3], 18);

    for (unsigned i = 0; i < 4; i++) {
        sum = merge(sum, lanes[i]);
    }
    return sum;
}

uint64_t hash64(const void *data, size_t len, uint64_t seed)
{
    const unsigned char *at = data;
    uint64_t sum = len >= STRIPE ? stripes(&at, len, seed) : seed + PRIME_5;
    size_t left = len % STRIPE;

    sum += len;
    for (; left >= 8; left -= 8, at += 8) {
        sum = rotate(sum ^ lane_round(0, read64(at)), 27) * PRIME_1 + PRIME_4;
    }
    if (left >= 4) {
        sum = rotate(sum ^ read32(at) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        at += 4;
        left -= 4;
    }
    for (; left > 0; left--, at++) {
        sum = rotate(sum ^ *at * PRIME_5, 11) * PRIME_1;
    }
    sum = (sum ^ sum >> 33) * PRIME_2;
    sum = (sum ^ sum >> 29) * PRIME_3;
    return sum ^ sum >> 32;
}
