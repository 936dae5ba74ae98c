/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/recipients.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>

bool recipients_add(struct recipients *list, const char *address)
{
    if (list->count == RECIPIENTS_MAX) {
        return false;
    }
    if (list->count == list->size) {
        list->size = list->size == 0 ? 8 : list->size * 2;
        list->items = xrealloc(list->items, list->size * sizeof(*list->items));
    }
    list->items[list->count++] = xstrdup(address);
    return true;
}

void recipients_clear(struct recipients *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct recipients){0};
}
