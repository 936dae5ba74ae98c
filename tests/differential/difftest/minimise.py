# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a difference small: fewest access lines, one transaction, fewest recipients, fewest features."""

from dataclasses import replace

from . import runner


def _differs(batch, oracle, work):
    try:
        found = runner.compare_batch(batch, oracle, work)
    except runner.Surprise:
        return None
    return found[0] if found else None


def _candidates(batch):
    """Smaller batches, the most promising first."""
    lines = batch.access
    size = len(lines) // 2
    while size >= 1:
        for start in range(0, len(lines), size):
            yield replace(batch, access=lines[:start] + lines[start + size :])
        size //= 2
    transaction = batch.transactions[0]
    if len(transaction.recipients) > 1:
        for rcpt in transaction.recipients:
            yield replace(batch, transactions=[replace(transaction, recipients=(rcpt,))])
    if transaction.auth_type:
        yield replace(batch, transactions=[replace(transaction, auth_type="", auth_user="")])
    if transaction.verify:
        yield replace(batch, transactions=[replace(transaction, verify="", cert_subject="", cert_issuer="")])
    features = batch.features
    for name in sorted(features.features):
        yield replace(batch, features=replace(features, features=features.features - {name}))
    for one in features.lists:
        yield replace(batch, features=replace(features, lists=tuple(other for other in features.lists if other != one)))
    if features.trust_auth:
        yield replace(batch, features=replace(features, trust_auth=()))
    if features.messages:
        yield replace(batch, features=replace(features, messages=()))


def minimise(difference, oracle, work, budget=150):
    """The smallest difference found within `budget` runs; the one given if it does not differ alone."""
    batch = replace(difference.batch, access=list(difference.access), transactions=[difference.transaction],
                    number=f"{difference.batch.number}-small")
    best = _differs(batch, oracle, work)
    if best is None:
        return difference
    smaller = True
    while smaller and budget > 0:
        smaller = False
        for candidate in _candidates(best.batch):
            budget -= 1
            found = _differs(candidate, oracle, work)
            if found:
                best, smaller = found, True
                break
            if budget <= 0:
                break
    _differs(best.batch, oracle, work)  # so that the folder holds the files that the command names
    return best
