/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_chains.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>

#define FIRST_SIZE 64u

static struct relay_chain **head_of(const struct relay_chains *chains, uint64_t hash)
{
    return &chains->heads[hash & (chains->size - 1)];
}

static void link_in(struct relay_chains *chains, struct relay_chain *chain)
{
    struct relay_chain **head = head_of(chains, chain->hash);

    chain->next = *head;
    *head = chain;
}

/* Twice as many heads as before. */
static void grow(struct relay_chains *chains)
{
    struct relay_chains old = *chains;

    chains->size = old.size == 0 ? FIRST_SIZE : old.size * 2;
    chains->heads = (struct relay_chain **)xcalloc(chains->size, sizeof(struct relay_chain *));
    for (size_t i = 0; i < old.size; i++) {
        struct relay_chain *chain = old.heads[i];

        while (chain != NULL) {
            struct relay_chain *next = chain->next;

            link_in(chains, chain);
            chain = next;
        }
    }
    free((void *)old.heads);
}

void relay_chains_fini(struct relay_chains *chains)
{
    free((void *)chains->heads);
    *chains = (struct relay_chains){.heads = NULL};
}

void relay_chains_add(struct relay_chains *chains, struct relay_chain *chain, uint64_t hash)
{
    if (chains->count == chains->size) {
        grow(chains);
    }
    chain->hash = hash;
    link_in(chains, chain);
    chains->count++;
}

void relay_chains_remove(struct relay_chains *chains, struct relay_chain *chain)
{
    struct relay_chain **at = head_of(chains, chain->hash);

    while (*at != chain) {
        at = &(*at)->next;
    }
    *at = chain->next;
    chains->count--;
}

struct relay_chain *relay_chains_next(const struct relay_chains *chains, uint64_t hash,
                                      const struct relay_chain *after)
{
    if (chains->size == 0) {
        return NULL;
    }
    struct relay_chain *chain = after != NULL ? after->next : *head_of(chains, hash);

    while (chain != NULL && chain->hash != hash) {
        chain = chain->next;
    }
    return chain;
}
