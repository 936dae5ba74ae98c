# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody should send: on the milter socket, on the control socket, and from SMTP clients."""

import concurrent.futures
import random
import socket
import struct

import pytest

from harness import names, smtp
from harness.milter import CONNECT, NEGOTIATE, Filter, packet
from harness.postern import parse_logfmt, sanitized
from harness.site import shared_daemon, unique

postern = shared_daemon(
    "From:spam.test REJECT\nTo:block@local.example REJECT\n", features=["blocklist_recipients", "block_bad_helo"]
)


@pytest.fixture(autouse=True)
def _still_works(site, postern):
    """After each test of this module the daemon decides as before."""
    yield
    assert postern.alive()
    with site.client() as client:
        assert str(client.mail("x@spam.test")) == "550 5.7.1 Access denied"
        assert client.mail("s@neutral.test").code == 250
        assert client.rcpt("block@local.example").code == 550


# ---- the milter socket


def test_empty_connections(postern):
    for _ in range(100):
        with Filter(postern.listen):
            pass


def test_connections_that_say_nothing(site, postern):
    """Many that stay open do not keep others out."""
    idle = [Filter(postern.listen) for _ in range(100)]
    assert site.send(unique("beside-idle")).code == 250
    for one in idle:
        one.__exit__()


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zeros": b"\0" * 4096,
    "huge_length": b"\xff\xff\xff\xff" + b"O" * 1000,
    "length_beyond_limit": struct.pack("!I", 1 << 20) + b"O" + b"x" * 70000,
    "zero_length": b"\0\0\0\0" * 100,
    "unknown_command": packet(b"\xfe", b"data"),
    "short_negotiation": packet(b"O", b"\0\0"),
    "future_version": packet(b"O", struct.pack("!III", 99, 0xFFFFFFFF, 0xFFFFFFFF)),
    "old_version": packet(b"O", struct.pack("!III", 2, 0x3F, 0x7F)) + CONNECT + packet(b"M", b"<x@spam.test>\0"),
    "negotiation_twice": NEGOTIATE * 2,
    "mail_without_connect": NEGOTIATE + packet(b"M", b"<x@spam.test>\0"),
    "rcpt_without_mail": NEGOTIATE + CONNECT + packet(b"R", b"<x@y.test>\0"),
    "eom_without_mail": NEGOTIATE + CONNECT + packet(b"E"),
    "abort_first": NEGOTIATE + packet(b"A") + packet(b"K") + CONNECT,
    "no_connect_data": NEGOTIATE + packet(b"C"),
    "connect_without_end": NEGOTIATE + packet(b"C", b"host.neutral.test"),
    "connect_unknown_family": NEGOTIATE + packet(b"C", b"host\0U") + packet(b"M", b"<x@spam.test>\0"),
    "connect_bad_family": NEGOTIATE + packet(b"C", b"host\0?\0\0whatever\0"),
    "connect_bad_address": NEGOTIATE + packet(b"C", b"host\x004\0\x19999.1.2.3\0") + packet(b"M", b"<a@b.test>\0"),
    "connect_unix": NEGOTIATE + packet(b"C", b"host\0L\0\0/a/socket\0") + packet(b"M", b"<a@b.test>\0"),
    "connect_empty_name": NEGOTIATE + packet(b"C", b"\x004\0\x19127.9.9.9\0") + packet(b"M", b"<a@b.test>\0"),
    "mail_empty": NEGOTIATE + CONNECT + packet(b"M"),
    "mail_no_brackets": NEGOTIATE + CONNECT + packet(b"M", b"x@spam.test\0"),
    "mail_not_terminated": NEGOTIATE + CONNECT + packet(b"M", b"<x@spam.test>"),
    "mail_long": NEGOTIATE + CONNECT + packet(b"M", b"<" + b"a" * 60000 + b"@spam.test>\0"),
    "mail_many_at": NEGOTIATE + CONNECT + packet(b"M", b"<" + b"a@" * 20000 + b"spam.test>\0"),
    "mail_many_percent": NEGOTIATE + CONNECT + packet(b"M", b"<" + b"a%" * 20000 + b"b@local.example>\0"),
    "mail_many_bang": NEGOTIATE + CONNECT + packet(b"M", b"<" + b"a!" * 20000 + b"b@local.example>\0"),
    "mail_many_labels": NEGOTIATE + CONNECT + packet(b"M", b"<a@" + b"a." * 20000 + b"spam.test>\0"),
    "mail_many_brackets": NEGOTIATE + CONNECT + packet(b"M", b"<" * 30000 + b"\0"),
    "mail_many_comments": NEGOTIATE + CONNECT + packet(b"M", b"<" + b"(" * 30000 + b"@spam.test>\0"),
    "mail_quotes": NEGOTIATE + CONNECT + packet(b"M", b'<"' + b"\\" * 9999 + b'@spam.test>\0'),
    "mail_eight_bit": NEGOTIATE + CONNECT + packet(b"M", bytes(range(1, 256)) + b"\0"),
    "helo_long": NEGOTIATE + CONNECT + packet(b"H", b"[" + b"x." * 30000 + b"]\0") + packet(b"M", b"<a@b.test>\0"),
    "helo_empty": NEGOTIATE + CONNECT + packet(b"H", b"\0") + packet(b"M", b"<a@b.test>\0"),
    # A macro name without a value is missing here: libmilter 8.17 itself reads beyond the end of its list then.
    "macro_empty": NEGOTIATE + packet(b"D") + CONNECT,
    "macro_forged_text": NEGOTIATE + packet(b"D", b"Mi\0id\n\"fake=1\0") + CONNECT + packet(b"M", b"<x@spam.test>\0"),
    "close_at_once": NEGOTIATE + packet(b"Q"),
    "half_a_packet": NEGOTIATE + CONNECT + packet(b"M", b"<x@spam.test>\0")[:9],
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_on_the_milter_socket(postern, name):
    with Filter(postern.listen) as filter_:
        filter_.send(GARBAGE[name])
        filter_.send(packet(b"Q"))
    for line in postern.lines():
        assert parse_logfmt(line) is not None, line


def test_random_bytes_on_the_milter_socket(postern):
    source = random.Random(20240607)
    for _ in range(200):
        with Filter(postern.listen) as filter_:
            if source.random() < 0.5:
                filter_.send(NEGOTIATE)
            for _ in range(source.randint(1, 6)):
                command = bytes([source.choice(b"CDHMRTNLEABKQUO")])
                filter_.send(packet(command, source.randbytes(source.randint(0, 300))))


def test_random_order_of_valid_commands(postern):
    """Sessions of whole commands in any order: an answer or an end, never a hang."""
    pieces = [CONNECT, packet(b"H", b"c.test\0"), packet(b"M", b"<a@b.test>\0"), packet(b"R", b"<a@local.example>\0")]
    pieces += [packet(b"A"), packet(b"E"), packet(b"K"), packet(b"T"), packet(b"N")]
    source = random.Random(7)
    for _ in range(200):
        with Filter(postern.listen) as filter_:
            filter_.send(NEGOTIATE)
            assert filter_.answer()[0] == b"O"
            filter_.send(b"".join(source.choices(pieces, k=12)) + packet(b"Q"))
            while filter_.answer() is not None:
                pass


# ---- the control socket


# Names of their own: pytest puts the name of a test into the environment of all that it starts.
@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\n", b"nonsense\n", b"reload" * 100000, b"\xff" * 5000 + b"\n", b"reload\0\n"],
    ids=["nothing", "NUL", "newline", "nonsense", "long", "8-bit", "NUL_behind"],
)
def test_garbage_on_the_control_socket(postern, data):
    path = postern.listen.parent / "control.sock"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert str(postern.process.pid) in postern.control("status").stdout


def test_silent_control_connections_do_not_keep_others_out(postern):
    path = str(postern.listen.parent / "control.sock")
    idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for one in idle:
        one.connect(path)
    try:
        assert str(postern.process.pid) in postern.control("status", timeout=20).stdout
    finally:
        for one in idle:
            one.close()


# ---- SMTP clients

ODD = {
    "nul": "a\0b",
    "controls": "a\x01\x07\x1b[31mb\x7f",
    "bare_cr": "a\rb",
    "eight_bit": "a\xe9\xff\x80b",
    "quotes": '"a\\"b=c d"',
    "format": "%s%n%d%%",
    "logfmt": 'x" action=accept rule="y',
    "equals": "action=accept",
    "backslash": "a\\nb\\",
    "long": "a" * 900,
    "long_quoted": '"' + "a b " * 150 + '"',
    "tab": "a\tb",
}


def odd_session(site, text):
    """The text wherever a client can say something. Whatever the server refuses by itself is fine."""
    with site.connect() as client:
        client.reply()
        for line in (
            f"EHLO {text}",
            f"MAIL FROM:<{text}@spam.test>",
            f"MAIL FROM:<x@{text}.test>",
            "RSET",
            "MAIL FROM:<s@neutral.test>",
            f"RCPT TO:<{text}@local.example>",
            f"RCPT TO:<block@{text}>",
            "RCPT TO:<block@local.example>",
            "QUIT",
        ):
            client.send_raw(line.encode("latin-1") + b"\r\n")
            client.reply()
        return client.transcript


@pytest.mark.parametrize("name", ODD)
def test_odd_text_from_a_client(site, postern, name):
    before = len(postern.lines())
    try:
        odd_session(site, ODD[name])
    except smtp.Closed:
        pass  # the server's right
    for line in postern.lines()[before:]:
        assert parse_logfmt(line) is not None, line
        assert all(character.isprintable() for character in line), repr(line)
    forged = [one for one in postern.entries(action="accept") if one.get("rule") == "y"]
    assert forged == []


def test_eight_bit_sender_is_refused_by_its_domain(site, postern):
    with site.client() as client:
        reply = client.mail("j\xf6rg@spam.test")
        assert reply.code >= 500
    assert postern.alive()


def test_long_address_is_refused_by_its_domain(site):
    with site.client() as client:
        assert client.mail("a" * 60 + "@" + "b" * 60 + ".spam.test").code == 550


def test_client_that_leaves_at_each_step(site, postern):
    steps = ["EHLO c.neutral.test", "MAIL FROM:<s@neutral.test>", "RCPT TO:<joe@local.example>", "DATA"]
    for count in range(len(steps) + 1):
        with site.connect() as client:
            client.reply()
            for line in steps[:count]:
                assert client.command(line).ok
            if count == len(steps):
                client.send_raw(b"Subject: never finished\r\n\r\nhalf a ")
    assert postern.alive()


def test_many_sessions_at_once(site):
    def one(number):
        with site.client(f"127.41.0.{number + 1}", timeout=60) as client:
            return client.mail("x@spam.test").code, client.mail("s@neutral.test").code

    with concurrent.futures.ThreadPoolExecutor(25) as workers:
        results = set(workers.map(one, range(150)))
    assert results == {(550, 250)}


def test_long_session(site, postern):
    """Memory of one session does not grow with its messages."""
    if sanitized():
        pytest.skip("a sanitizer keeps what has been freed")

    def resident():
        text = open(f"/proc/{postern.process.pid}/status", encoding="ascii").read()
        return int(text.split("VmRSS:")[1].split()[0])

    with site.client(names.NAMELESS) as client:
        for number in range(3000):
            if number == 500:
                early = resident()
            client.send("RSET")
            client.send(f"MAIL FROM:<s{number}@neutral.test>")
            client.send("RCPT TO:<block@local.example>")
            assert [client.reply().code for _ in range(3)] == [250, 250, 550]
    assert resident() - early < 1024, "kB"
