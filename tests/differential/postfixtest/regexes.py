# SPDX-License-Identifier: GPL-3.0-or-later
"""Random regular expressions, most of them right, over few characters so that they match now and then."""

WORDS = (b"a", b"b", b"c", b"ab", b"x", b"1", b"22", b"spam", b"bad", b"example", b"Subject")
SINGLE = (
    b".", b"[a-c]", b"[^a]", b"[^\\s@]", b"[A-C1]", b"[[:alpha:]]", b"[\\w.-]", b"[]a]", b"[^]a]", b"[a\\]b]",
    b"[/#!]", b"\\d", b"\\w", b"\\W", b"\\s", b"\\S", b"\\D", b"\\.", b"\\-", b"\\/", b"\\\\", b"\\x41", b"\\x{e9}",
    b"\\t", b"\\h", b"\\R", b"\\N", b"\\X", b"@", b":", b"-", b"#", b" ", b"%", b",", b"\xc3\xa9", b"\xe9",
    b"\\p{L}", b"\\pN",
)
ANCHORS = (b"^", b"$", b"\\b", b"\\B", b"\\A", b"\\z", b"\\Z", b"\\G")
QUANTIFIERS = (b"?", b"*", b"+", b"{2}", b"{1,3}", b"{0,2}", b"{2,}", b"*?", b"+?", b"??", b"++", b"{1,2}?")
# Not `*+` behind a group: PCRE2's machine code keeps what such a group had caught when it fails, its interpreter does not.
BROKEN = (b"(", b")", b"[", b"*", b"a{2,1}", b"(?z)", b"\\9", b"(?<n", b"[b-a]", b"\\", b"(?<=a+)", b"\\p{Foo}", b"(*FOO)")
VERBS = (b"(*COMMIT)", b"(*PRUNE)", b"(*SKIP)", b"(*THEN)", b"(*ACCEPT)", b"(*F)", b"(*MARK:m)", b"(*SKIP:m)")
STARTS = (b"(*UTF)", b"(*UCP)", b"(*CRLF)", b"(*ANYCRLF)", b"(*NO_START_OPT)", b"(*LIMIT_MATCH=100000)")
INLINE = (b"(?i)", b"(?-i)", b"(?s)", b"(?-s)", b"(?m)", b"(?x)", b"(?U)", b"(?^)")


class Regex:
    """One expression under construction; counts its groups."""

    def __init__(self, rng):
        self.rng = rng
        self.groups = 0

    def _group(self, depth):
        rng = self.rng
        kind = rng.random()
        if kind < 0.55:
            self.groups += 1
            return b"(" + self.alternatives(depth - 1) + b")"
        if kind < 0.7:
            return b"(?:" + self.alternatives(depth - 1) + b")"
        if kind < 0.76:
            self.groups += 1
            return b"(?<n%d>" % self.groups + self.sequence(depth - 1) + b")"
        if kind < 0.81:
            return rng.choice((b"(?=", b"(?!")) + self.sequence(depth - 1) + b")"
        if kind < 0.85:
            return rng.choice((b"(?<=", b"(?<!")) + rng.choice(WORDS) + b")"
        if kind < 0.89:
            return b"(?>" + self.sequence(depth - 1) + b")"
        if kind < 0.93:
            return rng.choice((b"(?i:", b"(?-i:", b"(?s-i:", b"(?x:")) + self.sequence(depth - 1) + b")"
        if kind < 0.96:
            before, sides, most = self.groups, [], self.groups
            for _ in range(2):
                self.groups = before + 1
                sides.append(b"(" + self.sequence(depth - 1) + b")")
                most = max(most, self.groups)
            self.groups = most
            return b"(?|" + b"|".join(sides) + b")"
        return b"(?#comment)" if kind < 0.98 else b"\\Q" + rng.choice((b"a.b", b"(", b"*", b"@")) + b"\\E"

    def _atom(self, depth):
        rng = self.rng
        kind = rng.random()
        if kind < 0.5 or depth <= 0:
            return rng.choice(WORDS)
        if kind < 0.72:
            return rng.choice(SINGLE)
        if kind < 0.77 and self.groups:
            return b"\\%d" % rng.randint(1, min(self.groups, 9))
        return self._group(depth)

    def sequence(self, depth):
        rng = self.rng
        parts = []
        for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
            if rng.random() < 0.08:
                parts.append(rng.choice(ANCHORS))
            atom = self._atom(depth)
            if rng.random() < 0.25:
                atom += rng.choice(QUANTIFIERS)
            elif rng.random() < 0.01:
                atom += rng.choice(VERBS)
            parts.append(atom)
        return b"".join(parts)

    def alternatives(self, depth):
        sides = [self.sequence(depth) for _ in range(self.rng.choice((1, 1, 1, 2, 3)))]
        if self.rng.random() < 0.03:
            sides.append(b"")
        return b"|".join(sides)

    def text(self):
        """The whole expression."""
        rng = self.rng
        body = self.alternatives(rng.choice((0, 1, 2, 2, 3)))
        if rng.random() < 0.2:
            body = b"^" + body
        if rng.random() < 0.15:
            body += b"$"
        if rng.random() < 0.05:
            body = rng.choice(INLINE) + body
        if rng.random() < 0.03:
            body = rng.choice(STARTS) + body
        if rng.random() < 0.04:
            at = rng.randrange(len(body) + 1)
            body = body[:at] + rng.choice(BROKEN) + body[at:]
        return body
