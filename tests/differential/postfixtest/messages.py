# SPDX-License-Identifier: GPL-3.0-or-later
"""Random messages: headers that rules can hit, folds, MIME structures and what breaks them."""

NAMES = (
    b"From", b"To", b"Subject", b"Subject", b"Message-ID", b"Date", b"Received", b"X-Spam", b"X-A", b"X-A", b"X-B",
    b"x-b", b"List-Id", b"Reply-To", b"X_C", b"X.1", b"Resent-From", b"DKIM-Signature",
)
MIME_NAMES = (
    b"Content-Disposition", b"Content-Transfer-Encoding", b"Content-ID", b"Content-Description", b"MIME-Version",
    b"content-type", b"Content-Location", b"Content-Language", b"X-Part", b"X-A", b"Subject",
)
VALUES = (
    b"one", b"two words", b"spam", b"Re: bad thing", b"<a@b.example>", b"Joe <joe@local.example>, ann@b.example",
    b"a", b"aab", b"x=y; z", b"REJECT", b"4.7.9 later", b"5.1.1 no", b"100%", b"$1", b"caf\xc3\xa9", b"\xe9\xff",
    b"=?utf-8?B?c3BhbQ==?=", b"", b"-", b"name=evil.exe", b'attachment; filename="a b.exe"', b"1.0", b"7bit",
    b"base64", b"8bit", b"quoted-printable", b"from x by y; Mon", b"\x01\x7f", b"*", b"tab\tbed", b"bcc@new.example",
)
BOUNDARIES = (b"bb", b"b", b"bbb", b"cc", b"--", b"b b", b"=_x", b"n1.", b"b-", b"BB", b"")
TYPES = (
    b"text/plain", b"text/html; charset=x", b'application/octet-stream; name="evil.exe"', b"text/plain; name=a.exe",
    b"message/partial; id=1", b"message/external-body", b"message/delivery-status", b"message/rfc822-headers",
    b"message", b"image/png", b"text", b"", b";", b"/", b"multipart/mixed", b'"multipart"/mixed; boundary=bb',
    b"x-multipart/y; boundary=bb",
)
MESSAGE_TYPES = (
    b"message/rfc822", b"Message/RFC822", b"message/rfc822; x=y", b"message / rfc822", b"message/global",
    b"message/(c)rfc822", b"message/rfc822 junk",
)
MULTIPARTS = (
    b"multipart/mixed", b"Multipart/Alternative", b"multipart/digest", b"multipart", b"multipart / related",
    b"(c) multipart/(d(e))mixed", b"multipart/mixed junk",
)
STRAY = (
    b"text", b"", b"--", b"---", b"-bb", b" --bb", b"--bb", b"--b", b"--bb--", b"--cc", b"X-A: in the body", b"From x",
    b">From y", b"--BB", b"--bb junk", b"\tfold", b"a" * 2500, b"q" * 2048 + b"--bb", b".", b"..", b"\xe9\xe9",
    b"--" + b"z" * 100,
)
BOUNDARY_FORMS = (
    b"; boundary=%s", b"; boundary=%s", b"; boundary=%s", b";boundary=%s", b'; charset="x;y"; boundary=%s',
    b";\n\tboundary=%s", b"; BOUNDARY = %s", b"; boundary=%s; x=y", b"; boundary=%s; boundary=other",
    b"; boundary=other; boundary=%s", b"; (c) boundary (d) = (e(f)) %s (g)", b";; boundary=%s", b"; boundary=%s(c)",
    b"; \"boundary\"=%s", b"; boundary*=%s", b", boundary=%s", b" boundary=%s", b"; boundary=\"%s", b"; boundary==%s",
    b"; boundary %s", b"; boundary=\n %s", b"; boundary=%s@x", b"; x=\"a\\\"b\"; boundary=%s",
)
BLANK_FOLDS = (b" ", b"\t", b"  ")
NO_HEADERS = (b"no header", b": x", b"X Y: z", b"X\xe9: z", b"From x", b"X", b"--bb")


def _value(rng):
    value = rng.choice(VALUES)
    if rng.random() < 0.2:
        value += b" " + rng.choice(VALUES)
    if rng.random() < 0.03:
        value += b"v" * rng.choice((200, 1500, 5000) if rng.random() < 0.97 else (30000, 59000))
    return value


def _folded(rng, value):
    """The same value over several lines, now and then."""
    if rng.random() > 0.2:
        return value
    pieces = [value]
    for _ in range(rng.choice((1, 1, 2, 4))):
        pieces.append(rng.choice(BLANK_FOLDS) + (_value(rng) if rng.random() < 0.85 else b""))
    return b"\n".join(pieces)


def field(rng, name, value=None):
    """One header, as lines."""
    colon = rng.choice((b": ",) * 12 + (b":", b":\t", b":  ", b" : ", b"\t: ", b":\n "))
    value = _folded(rng, _value(rng)) if value is None else value
    if colon.endswith(b"\n ") and not value:
        value = b"x"
    return name + colon + value + rng.choice((b"",) * 12 + (b" ", b"\t", b"  "))


def _parameter(rng, boundary):
    quoted = b'"' + boundary.replace(b"b b", b"b\\ b" if rng.random() < 0.3 else b"b b") + b'"'
    plain = boundary if boundary and b" " not in boundary and b"=" not in boundary else quoted
    value = rng.choice((quoted, plain, plain))
    return rng.choice(BOUNDARY_FORMS[:4] if rng.random() < 0.6 else BOUNDARY_FORMS).replace(b"%s", value)


def _stray(rng, lines, often=0.12):
    if rng.random() < often:
        lines.append(rng.choice(STRAY))


def _multipart(rng, depth):
    """(value of Content-Type, body lines)"""
    boundary = rng.choice(BOUNDARIES[:4] if rng.random() < 0.7 else BOUNDARIES)
    value = rng.choice(MULTIPARTS[:3] if rng.random() < 0.75 else MULTIPARTS) + _parameter(rng, boundary)
    lines = [b"preamble"] if rng.random() < 0.4 else []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        _stray(rng, lines)
        lines.append(b"--" + boundary + rng.choice((b"",) * 12 + (b" ", b"x", b"-", b"\t--")))
        lines += entity(rng, depth - 1)
    if rng.random() < 0.8:
        lines.append(b"--" + boundary + b"--" + rng.choice((b"",) * 6 + (b" ", b"x")))
        _stray(rng, lines, 0.3)
    return value, lines


def entity(rng, depth, names=MIME_NAMES):
    """Header, empty line and body of a part: its lines."""
    fields = [field(rng, rng.choice(names)) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))]
    body = []
    for _ in range(1 if rng.random() < 0.95 else 2):
        kind = rng.random() if depth > 0 else 1.0
        value = None
        if kind < 0.4:
            value, body = _multipart(rng, depth)
        elif kind < 0.6:
            value = rng.choice(MESSAGE_TYPES[:2] if rng.random() < 0.6 else MESSAGE_TYPES)
            body = entity(rng, depth - 1, NAMES + MIME_NAMES)
        elif rng.random() < 0.7:
            value, body = rng.choice(TYPES), [b"text"] * rng.choice((0, 1, 2))
        if value is not None:
            content = field(rng, rng.choice((b"Content-Type",) * 6 + (b"content-type", b"CONTENT-TYPE")), value)
            fields.insert(rng.randrange(len(fields) + 1), content)
    lines = b"\n".join(fields).split(b"\n") if fields else []
    if rng.random() < 0.04:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(NO_HEADERS))
    if rng.random() < 0.97:
        lines.append(b"")
    lines += body
    _stray(rng, lines, 0.05)
    return lines


def message(rng, mime=True):
    """A whole message, its lines ended by LF, the last one without."""
    own = [field(rng, rng.choice(NAMES)) for _ in range(rng.choice((1, 2, 3, 4, 6, 9)))]
    lines = b"\n".join(own).split(b"\n") + entity(rng, rng.choice((1, 2, 2, 3)) if mime else 0, NAMES + MIME_NAMES)
    if rng.random() < 0.02:
        lines.insert(0, rng.choice((b"From x@y Mon", b">From z", b" fold", b"", b"no header")))
    return b"\n".join(lines)
