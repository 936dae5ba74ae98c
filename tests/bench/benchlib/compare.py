# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in turn, and the ratios of their figures."""
import statistics


def alternate(targets, measure, rounds):
    """measure(name, round) for each name, in an order that turns round each time; {name: [result of each round]}."""
    results = {name: [] for name in targets}
    for number in range(rounds):
        order = list(targets) if number % 2 == 0 else list(reversed(targets))
        for name in order:
            results[name].append(measure(name, number))
    return results


def ratio(numerators, denominators, figure):
    """The median of the ratios of the pairs, so that what disturbs both of a pair disturbs neither side."""
    return statistics.median(figure(a) / figure(b) for a, b in zip(numerators, denominators))


def median(results, figure):
    return statistics.median(figure(result) for result in results)


class Verdicts:
    """Figures beside their targets, for people and for programs."""

    def __init__(self):
        self.rows = []

    def add(self, what, value, target, at_least=False, unit=""):
        """A target of None: for information only."""
        met = None if target is None else (value >= target if at_least else value <= target)
        self.rows.append({"what": what, "value": round(value, 4), "target": target, "at_least": at_least, "unit": unit,
                          "met": met})

    def missed(self):
        return [row for row in self.rows if row["met"] is False]

    def print(self):
        width = max(len(row["what"]) for row in self.rows)
        for row in self.rows:
            line = f"  {row['what']:{width}}  {row['value']:8.3f} {row['unit']:4}"
            if row["target"] is not None:
                sign = ">=" if row["at_least"] else "<="
                line += f" (target {sign} {row['target']:g}) {'met' if row['met'] else 'MISSED'}"
            print(line.rstrip())
