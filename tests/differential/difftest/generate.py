# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of transactions, each one reproducible from the seed and its own number."""

import functools

from . import access_file, addresses, features
from .world import WORLDS, Batch

BATCH_SIZE = 20
MISSING_MAP_CHANCE = 0.03
ACCESS_ONLY = 4  # of so many batches one leaves relaying to the MTA


@functools.lru_cache(maxsize=1)
def _sets():
    return features.all_sets()


def relay_control(number):
    """The share of "mta" moves through the feature sets as these are gone through again."""
    return "mta" if (number + number // len(_sets())) % ACCESS_ONLY == 0 else "milter"


def batch(seed, number, size=BATCH_SIZE, feature_set=None, control=None):
    rng = addresses.batch_rng(seed, number)
    sets = _sets()
    chosen = feature_set or sets[number % len(sets)]
    control = control or relay_control(number)
    parts = [addresses.transaction(rng, relaying=control == "milter") for _ in range(size)]
    access = access_file.access_file(rng, parts, chosen, relaying=control == "milter")
    missing = rng.random() < MISSING_MAP_CHANCE
    return Batch(number, chosen, access, [p[0] for p in parts], missing, rng.choice(WORLDS), control)


def batches(seed, count, feature_set=None, first=0, control=None):
    number = first
    while count > 0:
        size = min(BATCH_SIZE, count)
        made = batch(seed, number, BATCH_SIZE, feature_set, control)
        made.transactions = made.transactions[:size]
        yield made
        count -= size
        number += 1
