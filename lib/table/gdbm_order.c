/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/gdbm_order.h"

uint32_t gdbm_order(const char *key, size_t len)
{
    uint32_t hash = 0x238f13afu * (uint32_t)len;

    for (size_t i = 0; i < len; i++) {
        hash = (hash + ((uint32_t)(signed char)key[i] << (i * 5 % 24))) & 0x7fffffffu;
    }
    return (1103515243u * hash + 12345u) & 0x7fffffffu;
}
