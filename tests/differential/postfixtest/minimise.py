# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a difference small: fewest lines of the tables, one key, fewest lines of the message."""

import re
from dataclasses import dataclass, replace

from . import compare


def fewest(items, differs):
    """As few of the items as still differ, but one."""
    size = max(len(items) // 2, 1)
    while True:
        start, cut = 0, False
        while start < len(items):
            attempt = items[:start] + items[start + size :]
            if attempt and differs(attempt):
                items, cut = attempt, True
            else:
                start += size
        if size == 1 and not cut:
            return items
        size = max(size // 2, 1)


@dataclass
class Minimiser:
    """`ask(case)`: a Difference or None."""

    ask: object
    kind: str = ""

    @staticmethod
    def _kind(difference):
        """What must stay the same while the case gets smaller."""
        words = re.sub(r"\d+|b'.*", "", difference.lines[0]).split()
        return " ".join(words if "refuses" in difference.lines[0] else words[:1])

    def _differs(self, case):
        found = self.ask(case)
        return found is not None and self._kind(found) == self.kind

    def minimise(self, difference, fields):
        """`fields`: names of the case's lists."""
        case, self.kind = difference.case, self._kind(difference)
        for name in fields:
            items = getattr(case, name)
            smaller = fewest(items, lambda attempt, name=name, case=case: self._differs(replace(case, **{name: attempt})))
            case = replace(case, **{name: smaller})
        return self.ask(case) or difference


def pcre(difference, *parts):
    return Minimiser(lambda case: compare.pcre(case, *parts)).minimise(difference, ("lines", "keys"))


@dataclass
class _Lines:
    """A case whose message is a list of lines."""

    case: object
    header: list
    mime: list
    message: list

    def joined(self):
        return replace(self.case, header=self.header, mime=self.mime, messages=[b"\n".join(self.message)])


def headers(difference, *parts):
    """The first message that differs, with fewest rules."""
    def ask(lines):
        found = compare.headers(lines.joined(), *parts)
        return replace(found[0], case=lines) if found else None

    case = difference.case
    start = _Lines(case, case.header, case.mime, case.messages[0].split(b"\n"))
    small = Minimiser(ask).minimise(replace(difference, case=start), ("header", "mime", "message"))
    return replace(small, case=small.case.joined())
