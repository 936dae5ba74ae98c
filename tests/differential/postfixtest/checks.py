# SPDX-License-Identifier: GPL-3.0-or-later
"""Random files of header checks, and cases of them with messages."""

import random
from dataclasses import dataclass

from . import messages
from .tables import pattern

MODES = ("own", "same", "two")

HITS = (
    b"/^Subject: (.*)/", b"/^X-A:(.*)/", b"/^(X-[AB]): *(.*)$/", b"/^From: .*<([^>]*)>/", b"/spam/",
    b"/^Content-Type:.*name=(.*)/", b"/name=\"?[^\"]*\\.exe/", b"/^Content-([A-Z]+-?[A-Z]*):/", b"/^Received:/",
    b"/^X-B: (\\S+)/m", b"/one/", b"/^[a-z_.-]+: (.*)$/i", b"/\\n\\s(.*)/", b"/^X-Part: (.+)/", b"/^MIME-Version:/",
    b"/\xc3\xa9/", b"/[\\x80-\\xff]/", b"/^to: .*@/", b"/^(\\w+-?\\w*):\\s*(\\S*)/", b"!/^[A-Z]/i", b"!/:/",
    b"!/^(From|To|Subject|Received|X-A):/", b"/^.{200}/s", b"/^\\S+:\\s*$/", b"/^(Message-ID|Date): (.*)/", b"/^/",
)
GROUPS = {hit: hit.count(b"(") - hit.count(b"(?") for hit in HITS}
ACTIONS = (
    b"REJECT", b"REJECT no %s", b"reject 5.7.9 no %s", b"REJECT 4.2.1 later", b"REJECT %s", b"Reject 5.1.1",
    b"REJECT 554 x", b"REJECT \xc3\xa9t\xc3\xa9", b"DISCARD", b"DISCARD gone %s", b"HOLD", b"HOLD look at %s",
    b"DUNNO", b"OK", b"dunno junk", b"IGNORE", b"IGNORE", b"IGNORE junk", b"STRIP", b"STRIP since %s",
    b"PREPEND X-New: 1", b"PREPEND X-New: <%s>", b"PREPEND X-New:%s.", b"PREPEND X-A: new", b"PREPEND Subject: [%s]",
    b"Prepend X-New : 2", b"REPLACE X-Rep: 1", b"REPLACE Subject: [SPAM] %s", b"REPLACE X-A: <%s>",
    b"REPLACE X-A:%s.", b"REPLACE X-Empty:", b"replace x-b: low", b"REDIRECT other@b.example", b"BCC copy@b.example",
    b"BCC copy@b.example", b"BCC second@b.example", b"bcc joe@local.example", b"INFO", b"INFO seen %s", b"WARN",
    b"WARN why %s", b"PASS", b"PASS as %s",
)
# What ends the checks of a message is rare, or nothing else would ever be seen.
ENDING = (b"REJECT", b"DISCARD", b"PASS", b"REDIRECT")


@dataclass
class CheckCase:
    number: str
    mode: str  # "own": own headers alone; "same": parts in the same file; "two": parts in a file of their own
    header: list  # lines
    mime: list
    messages: list


def action(rng, groups, mime):
    while True:
        text = rng.choice(ACTIONS)
        verb = text.split()[0].upper()
        if verb in ENDING and rng.random() < 0.75:
            continue
        if mime and verb in (b"IGNORE", b"STRIP", b"PREPEND", b"REPLACE") and rng.random() < 0.6:
            continue
        break
    if b"%s" in text:
        number = rng.randint(1, groups) if groups else 0
        text = text.replace(b"%s", rng.choice((b"$%d", b"${%d}", b"$(%d)")) % number if number else b"it")
    return text


def rule_lines(rng, size, mime=False):
    lines, depth = [], 0
    for _ in range(size):
        kind = rng.random()
        if kind < 0.14:
            tested = rng.choice(HITS) if rng.random() < 0.7 else rng.choice((b"", b"!")) + pattern(rng, b"///|%")[0]
            lines.append(b"if " + tested)
            depth += 1
        elif kind < 0.24 and depth:
            lines.append(b"endif")
            depth -= 1
        else:
            if rng.random() < 0.8:
                hit = rng.choice(HITS)
                groups = 0 if hit.startswith(b"!") else GROUPS[hit]
            else:
                hit, groups = pattern(rng, b"///|%")
            if hit.startswith(b"/^/") and rng.random() < 0.7:
                continue
            lines.append(hit + b" " + action(rng, groups, mime))
    return lines + [b"endif"] * depth


def check_case(seed, number, mode=None, count=8):
    """Case `number` of a run: depends on these alone."""
    rng = random.Random(f"{seed}/checks/{number}")
    mode = mode or MODES[number % len(MODES)]
    header = rule_lines(rng, rng.choice((1, 2, 3, 5, 8, 14)))
    mime = rule_lines(rng, rng.choice((1, 2, 4, 8)), True) if mode == "two" else []
    return CheckCase(str(number), mode, header, mime, [messages.message(rng, rng.random() < 0.8) for _ in range(count)])
