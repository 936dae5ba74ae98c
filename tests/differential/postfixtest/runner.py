# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs random cases through judge and subject, and gathers what differs."""

import time
from collections import Counter
from dataclasses import dataclass, field

from . import checks, compare, minimise, subject, tables
from .cleanup import Cleanup
from .postmap import Postmap

MESSAGES = 8  # of one case


@dataclass
class Summary:
    kind: str
    cases: int = 0
    asked: int = 0  # keys, or messages
    seconds: float = 0.0
    outcomes: Counter = field(default_factory=Counter)
    differences: list = field(default_factory=list)

    def line(self):
        what = ", ".join(f"{name} {number}" for name, number in self.outcomes.most_common())
        return (f"{self.kind}: {self.cases} cases, {self.asked} {'keys' if self.kind == 'pcre' else 'messages'}, "
                f"{self.seconds:.1f} s; {what}; {len(self.differences)} differences")


def run_pcre(seed, numbers, work, stop_after):
    summary, begin = Summary("pcre"), time.monotonic()
    postmap, query, table = Postmap(work), subject.Query(work), work / "table"
    for number in numbers:
        case = tables.pcre_case(seed, number)
        found = compare.pcre(case, table, postmap, query, summary.outcomes)
        summary.cases += 1
        summary.asked += len(case.keys)
        if found:
            summary.differences.append(minimise.pcre(found, table, postmap, query))
            if len(summary.differences) >= stop_after:
                break
    summary.seconds = time.monotonic() - begin
    return summary


def run_headers(seed, numbers, work, stop_after, mode=None):
    """Servers of its own: as root."""
    summary, begin = Summary("headers"), time.monotonic()
    postmap, table = Postmap(work), work / "table"
    judge = subject.Connection(Cleanup(work / "judge"))
    try:
        live = subject.Live(work / "live")
        try:
            for number in numbers:
                case = compare.usable(checks.check_case(seed, number, mode, MESSAGES), table, postmap)
                found = compare.headers(case, judge, live, summary.outcomes)
                summary.cases += 1
                summary.asked += len(case.messages)
                if found:
                    summary.differences.append(minimise.headers(found[0], judge, live))
                    if len(summary.differences) >= stop_after:
                        break
        finally:
            live.close()
    finally:
        judge.close()
    summary.seconds = time.monotonic() - begin
    return summary
