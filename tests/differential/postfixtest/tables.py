# SPDX-License-Identifier: GPL-3.0-or-later
"""Random pcre tables and keys for them."""

import random
from dataclasses import dataclass

from .regexes import Regex

DELIMITERS = b"////////////|%@_\",;=~#({<&+-\\\xe9:'."
FLAGS = (
    b"",) * 12 + ( b"i", b"i", b"m", b"s", b"x", b"A", b"E", b"U", b"ii", b"im", b"smx", b"X", b"iX", b"q", b"D",
    b"I", b"ig", b"AEU", b"xx",
)
BLANKS = (b" ",) * 10 + (b"\t", b"  ", b" \t ", b"\x0b", b"\x0c", b"")
TEXTS = (
    b"REJECT", b"OK", b"550 5.7.1 no", b"text with  blanks", b"a#b", b"# x", b"\\1", b"\\$1", b"x\\\\", b"/x/ y",
    b"\xc3\xa9", b"\xff", b"if", b"-", b"{}", b"()", b"100%", b"%s%n", b"x" * 300,
)
DOLLARS = (
    b"$", b"$ x", b"${}", b"$()", b"${1", b"$(1", b"${1)", b"$(1}", b"${ 1}", b"${1 }", b"${{1}}", b"$((1))",
    b"${-1}", b"$0", b"$00", b"${0}", b"$x", b"$1x", b"$1_", b"${x}", b"${1?x}", b"$-1", b"$99", b"$999999",
    b"${n1}", b"$1.2", b"$1$2", b"$$", b"$$$$", b"$$1", b"$$$1", b"$01", b"${001}", b"$(1)2", b"${1}x",
)
IFS = (b"if ", b"if ", b"if ", b"IF ", b"If\t", b"if", b"if  ", b"if !", b"if ! ", b"if!", b"if !!", b"IF ! ! !")
ENDIFS = (
    b"endif",) * 8 + ( b"ENDIF", b"EndIf", b"endif ", b"endif junk", b"endif#x", b"endif/a/", b"endifx", b"end if",
    b"endif\t",
)
JUNK = (
    b"hello", b"# /a/ b", b"", b"", b"   ", b"\t", b"#", b" # x", b"iffy /a/ b", b"if", b"if /", b"if x", b"!",
    b"! !", b"/", b"//", b"/a", b"/a\\/", b"/a/", b"/a/  ", b"1a1 b", b"aaa b", b"/(/ x", b"a: b", b"\r", b"endif",
    b"//\t", b"/a/i", b"  /b/ lost", b"\t/c/ lost",
)


@dataclass
class PcreCase:
    """A table, its lines without their ends, and what it is asked."""

    number: str
    lines: list
    keys: list
    ending: bytes = b"\n"
    last: bool = True  # the last line has its end too

    def text(self):
        whole = b"".join(line + self.ending for line in self.lines)
        return whole if self.last else whole[: len(whole) - len(self.ending)]


def _escaped(body, delimiter):
    """The expression with `\\` before each delimiter that has none."""
    out, at = b"", 0
    while at < len(body):
        if body[at : at + 1] == b"\\":
            out, at = out + body[at : at + 2], at + 2
            continue
        if body[at : at + 1] == delimiter:
            out += b"\\"
        out, at = out + body[at : at + 1], at + 1
    return out


def pattern(rng, delimiters=DELIMITERS):
    """(`/pattern/flags`, number of its groups)"""
    regex = Regex(rng)
    body = regex.text()
    at = rng.randrange(len(delimiters))
    delimiter = delimiters[at : at + 1]
    if rng.random() < 0.93:
        body = _escaped(body, delimiter)
    return delimiter + body + delimiter + rng.choice(FLAGS), regex.groups


def _result(rng, groups, negated):
    parts = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.random()
        if kind < 0.5:
            parts.append(rng.choice(TEXTS))
        elif kind < 0.93 and groups and not negated:
            number = rng.randint(1, groups)
            parts.append(rng.choice((b"<$%d>", b"<${%d}>", b"$(%d)", b"$%d", b"$%d-")) % number)
        elif kind < 0.97:
            parts.append(b"t%d" % rng.randrange(100))
        else:
            parts.append(rng.choice(DOLLARS))
    return rng.choice((b" ", b"", b"  ")).join(parts)


def _rule(rng):
    text, groups = pattern(rng)
    negation = rng.choice((b"",) * 9 + (b"!", b"! ", b"!!", b"! !\t!"))
    # A `#` at the beginning of a line is a comment, a blank a continuation.
    result = _result(rng, groups, negation.count(b"!") % 2)
    return negation + text + rng.choice(BLANKS) + result + rng.choice((b"",) * 6 + (b" ", b"\t "))


def _broken_up(rng, line):
    """The same line in several: a line that begins with a blank goes on with the one before."""
    pieces = [line]
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(pieces[-1]) + 1)
        rest = pieces.pop()
        pieces += [rest[:at], rng.choice((b" ", b" ", b"  ", b"\t", b"\x0b")) + rest[at:]]
        if rng.random() < 0.3:
            pieces.insert(len(pieces) - 1, rng.choice((b"# between", b"", b"  ", b"\t# between")))
    return pieces


def table_lines(rng, size):
    lines, depth = [], 0
    for _ in range(size):
        kind = rng.random()
        if kind < 0.68:
            line = _rule(rng)
        elif kind < 0.78:
            line = rng.choice(IFS) + pattern(rng)[0] + rng.choice((b"",) * 8 + (b" ", b" junk", b" /x/ y"))
            depth += 1
        elif kind < 0.9 and depth or kind < 0.79:
            line = rng.choice(ENDIFS)
            depth = max(depth - 1, 0)
        elif kind < 0.95:
            line = rng.choice(JUNK)
        else:
            line = _rule(rng)
        lines += _broken_up(rng, line) if rng.random() < 0.1 else [line]
    while depth and rng.random() < 0.85:
        lines.append(b"endif")
        depth -= 1
    if rng.random() < 0.4:
        lines.append(b"/^/ rest")
    return lines


FRAGMENTS = (
    b"a", b"b", b"c", b"ab", b"aa", b"abc", b"x", b"1", b"22", b"spam", b"bad", b"example", b"Subject: ", b"A",
    b"AB", b"SPAM", b"@", b".", b".com", b" ", b"-", b"/", b"#", b"!", b"%", b":", b"\\", b"$1", b"\xc3\xa9",
    b"\xe9", b"\xff", b"\xe2\x82\xac", b"\r", b"a\x0bb", b"\x01", b"192.0.2.1", b"<>", b"(", b"*", b"a.b",
)


def _long_key(rng):
    """Much that few patterns match, and something else in it."""
    filler = rng.choice((b"z", b"zq", b"z_", b"~", b"z ", b"=;", b"\x02"))
    parts = []
    for _ in range(rng.choice((1, 2, 3))):
        parts.append(filler * (rng.choice((100, 3000, 4096, 5000, 9000)) // len(filler)))
        parts.append(b"".join(rng.choice(FRAGMENTS) for _ in range(rng.choice((0, 1, 2, 3)))))
    return b"".join(parts)


def key(rng):
    if rng.random() < 0.06:
        return _long_key(rng)
    size = rng.choice((0, 1, 1, 2, 2, 3, 4, 6, 10))
    if rng.random() < 0.01:
        size = rng.choice((40, 200))
    return b"".join(rng.choice(FRAGMENTS) for _ in range(size))


def _distinct(keys):
    """Without those that postmap's output could not tell from others."""
    kept = []
    for one in keys:
        if one not in kept and b"\t" not in one and b"\n" not in one and b"\0" not in one:
            kept.append(one)
    return kept


def pcre_case(seed, number, keys=25):
    """Case `number` of a run: depends on these two alone."""
    rng = random.Random(f"{seed}/pcre/{number}")
    lines = table_lines(rng, rng.choice((1, 2, 3, 5, 8, 12, 20)))
    ending = b"\r\n" if rng.random() < 0.06 else b"\n"
    return PcreCase(str(number), lines, _distinct([key(rng) for _ in range(keys)]), ending, rng.random() > 0.1)
