# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs batches through oracle and subject, several at once, and gathers what differs."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from . import expect, known
from .oracle import denies_relaying
from .postern import Postern, outcome_of

MAX_REFUSALS = 20


class Surprise(Exception):
    """postern's makemap refused a line that it must take."""


@dataclass
class Difference:
    batch: object
    index: int
    lines: list  # what differs, stage by stage
    want: object
    have: object
    access: list
    command: str

    @property
    def transaction(self):
        return self.batch.transactions[self.index]


@dataclass
class Summary:
    transactions: int = 0
    relaying: int = 0  # with relay_control = "milter"
    denied: int = 0  # recipients, for relaying
    skipped: int = 0  # refused by Sendmail's parser before a filter is asked
    feature_sets: set = field(default_factory=set)
    differences: list = field(default_factory=list)
    surprises: list = field(default_factory=list)
    inconsistent: list = field(default_factory=list)
    decided: dict = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self):
        return not (self.differences or self.surprises or self.inconsistent)


def split_line(line):
    key, _, value = line.strip().replace("\t", " ").partition(" ")
    return key, value.strip()


def accepted_lines(subject, lines, missing=False):
    """Builds postern's map; lines that makemap may refuse are taken out until it is built. Returns what is left."""
    left = list(lines)
    for _ in range(MAX_REFUSALS):
        refused = subject.makemap(left, missing)
        if not refused:
            return left
        for index, said in refused.items():
            key, value = split_line(left[index])
            if known.d2_refused_key(key) is None and known.d2_refused_value(key, value) is None:
                raise Surprise(f"makemap refuses {left[index]!r}: {said}")
            known.note(2)
        left = [line for index, line in enumerate(left) if index not in refused]
    raise Surprise(f"makemap still refuses lines after {MAX_REFUSALS} attempts: {left}")


def for_sendmail(batch, transaction):
    """The transaction that Sendmail is asked about in place of this one: differences 6, 8, 11, 16 and 17."""
    transaction = known.d11_certificate_for_sendmail(batch, known.d6_helo_for_sendmail(batch, transaction))
    transaction = known.d17_recipients_for_sendmail(batch, known.d16_sender_for_sendmail(batch, transaction))
    return known.d8_addresses_for_sendmail(transaction)


def lines_for_sendmail(batch, lines):
    """The access file of Sendmail: differences 7, 8, 16 and 17."""
    return known.d8_keys_for_sendmail(known.d7_lines_for_sendmail(known.dns_lines_for_sendmail(batch, lines)))


def batch_for_sendmail(batch):
    transactions = [for_sendmail(batch, t) for t in batch.transactions]
    features = known.d15_lists_for_sendmail(batch.features)
    return replace(batch, features=features, transactions=transactions, names=known.d8_names_for_sendmail(batch.names))


def compare_batch(batch, oracle, work, summary=None):
    """All differences of one batch."""
    subject = Postern(batch, work)
    lines = accepted_lines(subject, batch.access, batch.map_missing)
    answers = oracle.ask(batch_for_sendmail(batch), lines_for_sendmail(batch, lines))
    found = []
    for index, (transaction, answer) in enumerate(zip(batch.transactions, answers)):
        want = expect.expected(batch, transaction, answer)
        if want is None:
            if summary:
                summary.skipped += 1
            continue
        have = outcome_of(subject.explain(transaction))
        want = known.d10_told_at_mail(batch, want, have)
        if summary:
            count(summary, want, batch.features)
        differing = expect.differences(want, have)
        if differing:
            command = subject.command(transaction)
            found.append(Difference(batch, index, differing, want, have, lines, command))
    return found


def count(summary, want, features):
    summary.denied += sum(denies_relaying(verdict, features) for verdict in want.recipients)
    for stage, verdicts in (("connect", [want.connect]), ("mail", [want.mail]), ("rcpt", want.recipients)):
        for verdict in verdicts:
            key = (stage, verdict.kind)
            summary.decided[key] = summary.decided.get(key, 0) + 1


def run(batches, oracle, work, jobs=2, stop_after=20):
    """Compares all batches; stops early when `stop_after` differences are known."""
    summary, lock, begin = Summary(), threading.Lock(), time.monotonic()

    def one(batch):
        if len(summary.differences) + len(summary.surprises) >= stop_after:
            return
        part = Summary()
        try:
            part.differences = compare_batch(batch, oracle, work, part)
        except Surprise as error:
            part.surprises.append((batch, str(error)))
        with lock:
            summary.transactions += len(batch.transactions)
            summary.feature_sets.add(batch.features)
            summary.relaying += len(batch.transactions) if batch.relaying else 0
            summary.denied += part.denied
            summary.skipped += part.skipped
            summary.differences += part.differences
            summary.surprises += part.surprises
            for key, number in part.decided.items():
                summary.decided[key] = summary.decided.get(key, 0) + number

    with ThreadPoolExecutor(jobs) as pool:
        for result in [pool.submit(one, batch) for batch in batches]:
            result.result()
    summary.inconsistent = oracle.inconsistent
    summary.seconds = time.monotonic() - begin
    return summary
