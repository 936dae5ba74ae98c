# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon asks a mail server for: no more than its rules need, and what becomes of mail if it does not get that."""

import struct

import pytest

from harness.milter import CONNECT, NEGOTIATE, Filter, packet
from harness.postern import sanitized

ADD_HEADERS, ADD_RCPT, DROP_RCPT, CHANGE_HEADERS, QUARANTINE, CHOOSE = 0x1, 0x4, 0x8, 0x10, 0x20, 0x100
EDIT = ADD_HEADERS | CHANGE_HEADERS
NO_BODY, NO_HEADERS, NO_EOH = 0x10, 0x20, 0x40
NR_HEADER, NR_BODY, BLANK = 0x80, 0x80000, 0x100000
CONTENT = NO_BODY | NO_HEADERS | NO_EOH


def negotiate(daemon, offer=NEGOTIATE):
    """Actions, steps, and the macros of connect that the daemon asks for."""
    with Filter(daemon.listen) as one:
        one.send(offer)
        command, data = one.answer()
    assert command == b"O"
    _, actions, steps = struct.unpack("!III", data[:12])
    lists = {}
    rest = data[12:]
    while len(rest) > 4:
        names, _, after = rest[4:].partition(b"\0")
        lists[struct.unpack("!I", rest[:4])[0]] = names.decode().split()
        rest = after
    return actions & ~CHOOSE, steps, lists


# The right to quarantine is always asked for: an access file may hold QUARANTINE.
CONFIGURATIONS = {
    "nothing": ({}, QUARANTINE, CONTENT, 0),
    "refusals": ({"header_checks": "/^X: a/ REJECT\n/^X: b/ 553 no\n/^X: c/ DISCARD\n/^X: d/ WARN x\n"}, QUARANTINE,
                 NO_BODY | NO_EOH, NR_HEADER | BLANK),
    "hold": ({"header_checks": "/^X: a/ HOLD\n"}, QUARANTINE, NO_BODY | NO_EOH, NR_HEADER | BLANK),
    "ignore": ({"header_checks": "/^X: a/ IGNORE\n"}, QUARANTINE | EDIT, NO_BODY | NO_EOH, NR_HEADER | BLANK),
    "prepend": ({"header_checks": "/^X: a/ PREPEND X-Y: z\n"}, QUARANTINE | EDIT, NO_BODY | NO_EOH, NR_HEADER | BLANK),
    "copy": ({"header_checks": "/^X: a/ BCC a@b.test\n"}, QUARANTINE | ADD_RCPT, NO_BODY | NO_EOH, NR_HEADER | BLANK),
    "redirect": ({"header_checks": "/^X: a/ REDIRECT a@b.test\n"}, QUARANTINE | ADD_RCPT | DROP_RCPT, NO_BODY | NO_EOH,
                 NR_HEADER | BLANK),
    "a verb of the client's": ({"header_checks": "/^X: (.*)/ $1\n"}, QUARANTINE | EDIT | ADD_RCPT | DROP_RCPT,
                               NO_BODY | NO_EOH, NR_HEADER | BLANK),
    "missing": ({"header_checks": "missing X PREPEND X: y\n"}, QUARANTINE | EDIT, NO_BODY | NO_EOH, NR_HEADER | BLANK),
    "parts": ({"mime_header_checks": "/exe/ REJECT\n"}, QUARANTINE, 0, NR_HEADER | NR_BODY | BLANK),
    "parts that cannot be changed": ({"header_checks": "/a/ REJECT\n", "mime_header_checks": "/exe/ BCC a@b.test\n"},
                                     QUARANTINE | ADD_RCPT, 0, NR_HEADER | NR_BODY | BLANK),
    "empty files": ({"header_checks": "# nothing\n", "mime_header_checks": "\n"}, QUARANTINE, CONTENT, 0),
    "envelope": ({"regex": "From:/a/ REJECT\n"}, QUARANTINE, CONTENT, 0),
    "envelope that adds a header": ({"regex": "From:/a/ PREPEND X-Y: z\n"}, QUARANTINE | EDIT, CONTENT, 0),
    "envelope that redirects": ({"regex": "To:/a/ REDIRECT a@b.test\n"}, QUARANTINE | ADD_RCPT | DROP_RCPT, CONTENT, 0),
    "envelope that drops": ({"regex": "Compat:/a/ DISCARD\n"}, QUARANTINE | DROP_RCPT, CONTENT, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_asks_for_what_is_needed(site, name):
    files, actions, off, on = CONFIGURATIONS[name]
    daemon = site.daemon(**files)
    asked, steps, macros = negotiate(daemon)
    assert asked == actions
    assert steps & CONTENT == off
    assert steps & (NR_HEADER | NR_BODY | BLANK) == on
    assert ("v" in macros[0]) == bool(actions & EDIT)


OFFERED_ALL = 0x1FF
CHECKS = """\
/^X-Test: edit/      IGNORE
/^X-Test: copy/      BCC archive@local.example
/^X-Test: redirect/  REDIRECT archive@local.example
/^X-Test: hold/      HOLD
"""


def header(name, value):
    return packet(b"L", f"{name}\0{value}\0".encode())


def message(filter_, *headers):
    """One message on a negotiated connection; the packets that the filter answers at its end."""
    for command in (packet(b"M", b"<s@neutral.test>\0"), packet(b"R", b"<joe@local.example>\0")):
        filter_.send(command)
        assert filter_.answer()[0] == b"c"
    filter_.send(b"".join(headers) + packet(b"E"))
    answers = []
    while not answers or answers[-1][0] not in b"crtydE":
        answers.append(filter_.answer())
        assert answers[-1] is not None
    return answers


LACKING = {"edit": EDIT, "copy": ADD_RCPT, "redirect": DROP_RCPT, "redirect as well": ADD_RCPT, "hold": QUARANTINE}


@pytest.mark.parametrize("name", LACKING)
def test_server_that_lacks_something(site, name):
    """The message that needs it gets 4xx, others pass; the log says it once, not for each connection."""
    daemon = site.daemon(header_checks=CHECKS)
    offer = packet(b"O", struct.pack("!III", 6, OFFERED_ALL & ~LACKING[name], 0x1FFFFF))
    for _ in range(3):
        with Filter(daemon.listen) as one:
            one.send(offer)
            assert one.answer()[0] == b"O"
            one.send(CONNECT + packet(b"H", b"client.test\0"))
            assert message(one, header("X-Test", " " + name)) == [(b"t", b"")]
            assert message(one, header("X-Test", " other")) == [(b"c", b"")]
            one.send(packet(b"Q"))
    assert len([one for one in daemon.entries(event="negotiate") if "does not let filters" in one["warning"]]) == 1
    assert len(daemon.entries(stage="eom", action="tempfail")) == 3


def test_server_that_takes_the_blank_off(site):
    """As Sendmail did before 8.14: it gives values without the blank behind the colon, and puts one there itself."""
    daemon = site.daemon(header_checks="/^X-Test: edit$/ REPLACE X-Test: new\n")
    with Filter(daemon.listen) as one:
        one.send(packet(b"O", struct.pack("!III", 6, OFFERED_ALL, 0xFFFFF)))
        assert one.answer()[0] == b"O"
        one.send(CONNECT + packet(b"H", b"client.test\0"))
        assert message(one, header("X-Test", "edit")) == [(b"m", struct.pack("!I", 1) + b"X-Test\0new\0"), (b"c", b"")]
        one.send(packet(b"Q"))


def test_flood_of_headers_costs_no_memory(site):
    """What no mail server passes: a hundred thousand fields of many names, and fields of 60 kB."""
    daemon = site.daemon(header_checks="/^X-Test: edit/ IGNORE\nrepeated X-Often 5 WARN often\n/evil/ REJECT\n")

    def memory():
        with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

    with Filter(daemon.listen, timeout=60) as one:
        one.send(NEGOTIATE)
        assert one.answer()[0] == b"O"
        one.send(CONNECT + packet(b"H", b"client.test\0"))
        small = [header("Subject", " small")]
        message(one, *small)
        before = memory()
        names = [header(f"X-{number}", " value") for number in range(100000)]
        assert message(one, *names)[-1][0] in b"cy"
        assert message(one, *[header("X-Big", " " + "big " * 15000)] * 200)[-1][0] in b"cy"
        assert message(one, *[header("X-Often", " again")] * 20000)[-1][0] == b"c"
        after = memory()
        assert message(one, *small) == [(b"c", b"")]
        one.send(packet(b"Q"))
    if not sanitized():  # they keep what was freed
        assert after - before < 16 * 1024  # KiB
