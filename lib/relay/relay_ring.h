/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_ring - a list that goes round: its links are members of what it holds, its head is no element.
 *
 * Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_RING_H
#define POSTERN_LIB_RELAY_RELAY_RING_H

#include <stdbool.h>

struct relay_ring {
    struct relay_ring *before;
    struct relay_ring *after;
};

/* A head, whose list is empty. */
static inline void relay_ring_init(struct relay_ring *head)
{
    head->before = head;
    head->after = head;
}

static inline bool relay_ring_is_empty(const struct relay_ring *head)
{
    return head->after == head;
}

/* Puts what is in no list at the end. */
static inline void relay_ring_append(struct relay_ring *head, struct relay_ring *ring)
{
    ring->before = head->before;
    ring->after = head;
    head->before->after = ring;
    head->before = ring;
}

static inline void relay_ring_remove(struct relay_ring *ring)
{
    ring->before->after = ring->after;
    ring->after->before = ring->before;
}

#endif
