# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of transactions, each one reproducible from the seed and its own number."""

from . import access_file, addresses, features
from .world import WORLDS, Batch

BATCH_SIZE = 20
MISSING_MAP_CHANCE = 0.02


def batch(seed, number, size=BATCH_SIZE, feature_set=None):
    rng = addresses.batch_rng(seed, number)
    sets = features.all_sets()
    chosen = feature_set or sets[number % len(sets)]
    parts = [addresses.transaction(rng) for _ in range(size)]
    access = access_file.access_file(rng, parts)
    missing = rng.random() < MISSING_MAP_CHANCE
    return Batch(number, chosen, access, [p[0] for p in parts], missing, rng.choice(WORLDS))


def batches(seed, count, feature_set=None, first=0):
    number = first
    while count > 0:
        size = min(BATCH_SIZE, count)
        made = batch(seed, number, BATCH_SIZE, feature_set)
        made.transactions = made.transactions[:size]
        yield made
        count -= size
        number += 1
