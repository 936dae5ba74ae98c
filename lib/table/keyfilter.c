/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/keyfilter.h"

#include <endian.h>
#include <string.h>

#define WORDS 8u

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
    size_t blocks = keys * KEYFILTER_BITS / (8 * KEYFILTER_BLOCK_SIZE) + 1;

    return blocks * KEYFILTER_BLOCK_SIZE;
}

/* The upper half of the hash picks the block. */
static size_t block_offset(size_t size, uint64_t hash)
{
    uint64_t blocks = size / KEYFILTER_BLOCK_SIZE;

    return (size_t)((hash >> 32) * blocks >> 32) * KEYFILTER_BLOCK_SIZE;
}

static void make_mask(uint64_t hash, uint32_t mask[WORDS])
{
    for (unsigned i = 0; i < WORDS; i++) {
        mask[i] = htole32(1u << ((uint32_t)hash * salts[i] >> 27));
    }
}

void keyfilter_add(void *data, size_t size, uint64_t hash)
{
    unsigned char *block = (unsigned char *)data + block_offset(size, hash);
    uint32_t words[WORDS];
    uint32_t mask[WORDS];

    make_mask(hash, mask);
    memcpy(words, block, sizeof(words));
    for (unsigned i = 0; i < WORDS; i++) {
        words[i] |= mask[i];
    }
    memcpy(block, words, sizeof(words));
}

bool keyfilter_may_have(const void *data, size_t size, uint64_t hash)
{
    const unsigned char *block = (const unsigned char *)data + block_offset(size, hash);
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
