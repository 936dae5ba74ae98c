/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/keyfilter.h"

#include "lib/base/xalloc.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS 8u
#define HUGE_PAGE ((size_t)2 * 1024 * 1024)

/* Bits for each key. */
#define REST_BITS 8u
#define WHOLE_BITS 12u

/* The salts of Parquet's BloomFilter.md. */
static const uint32_t salts[WORDS] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                      0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};

size_t keyfilter_tag_len(const char *key, size_t len)
{
    size_t letters = 0;

    while (letters < len && key[letters] >= 'a' && key[letters] <= 'z') {
        letters++;
    }
    return letters > 0 && letters < len && key[letters] == ':' ? letters + 1 : 0;
}

size_t keyfilter_size(size_t keys)
{
    size_t blocks = keys * (REST_BITS + WHOLE_BITS) / (8 * KEYFILTER_BLOCK_SIZE) + 2;

    return blocks * KEYFILTER_BLOCK_SIZE;
}

void *keyfilter_alloc(size_t size)
{
    size_t rounded = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *memory = size < HUGE_PAGE / 2 ? NULL : aligned_alloc(HUGE_PAGE, rounded);

    if (memory == NULL) {
        return xmalloc(size);
    }
    (void)madvise(memory, rounded, MADV_HUGEPAGE);
    return memory;
}

bool keyfilter_is_size(size_t size)
{
    return size >= 2 * (size_t)KEYFILTER_BLOCK_SIZE && size % KEYFILTER_BLOCK_SIZE == 0;
}

/* Where the block is that the upper half of the hash picks. The part of the rests comes first. */
static size_t block_offset(size_t size, enum keyfilter_part part, uint64_t hash)
{
    uint64_t all = size / KEYFILTER_BLOCK_SIZE;
    uint64_t rests = (all - 2) * REST_BITS / (REST_BITS + WHOLE_BITS) + 1;
    uint64_t first = part == KEYFILTER_REST ? 0 : rests;
    uint64_t blocks = part == KEYFILTER_REST ? rests : all - rests;

    return (size_t)(first + ((hash >> 32) * blocks >> 32)) * KEYFILTER_BLOCK_SIZE;
}

static void make_mask(uint64_t hash, uint32_t mask[WORDS])
{
    for (unsigned i = 0; i < WORDS; i++) {
        mask[i] = htole32(1u << ((uint32_t)hash * salts[i] >> 27));
    }
}

void keyfilter_add(void *data, size_t size, enum keyfilter_part part, uint64_t hash)
{
    unsigned char *block = (unsigned char *)data + block_offset(size, part, hash);
    uint32_t words[WORDS];
    uint32_t mask[WORDS];

    make_mask(hash, mask);
    memcpy(words, block, sizeof(words));
    for (unsigned i = 0; i < WORDS; i++) {
        words[i] |= mask[i];
    }
    memcpy(block, words, sizeof(words));
}

bool keyfilter_may_have(const void *data, size_t size, enum keyfilter_part part, uint64_t hash)
{
    const unsigned char *block = (const unsigned char *)data + block_offset(size, part, hash);
    uint32_t words[WORDS];

    /* Most keys are absent, and half of these are known for it by the first word already. */
    memcpy(words, block, sizeof(words));
    for (unsigned i = 0; i < WORDS; i++) {
        if ((le32toh(words[i]) >> ((uint32_t)hash * salts[i] >> 27) & 1) == 0) {
            return false;
        }
    }
    return true;
}

void keyfilter_prefetch(const void *data, size_t size, enum keyfilter_part part, uint64_t hash)
{
    __builtin_prefetch((const unsigned char *)data + block_offset(size, part, hash));
}
