# SPDX-License-Identifier: GPL-3.0-or-later
"""Just enough of the milter protocol to say what no mail server would say."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass


def packet(command, data=b""):
    return struct.pack("!I", len(data) + 1) + command + data


# Version 6, all actions and all steps offered, as today's mail servers do.
NEGOTIATE = packet(b"O", struct.pack("!III", 6, 0x1FF, 0x1FFFFF))
CONNECT = packet(b"C", b"host.neutral.test\x004\x30\x39127.40.0.1\x00")


class Filter:
    """A connection to the daemon's milter socket."""

    def __init__(self, path, timeout=5):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, data):
        """Sends; a filter that has hung up already is no error."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                return None
            data += more
        return data

    def answer(self):
        """The next packet as (command, data); None when the filter has closed the connection."""
        try:
            head = self._exactly(4)
            body = self._exactly(struct.unpack("!I", head)[0]) if head else None
        except ConnectionResetError:
            return None
        return (body[:1], body[1:]) if body else None


# Commands of the envelope: the bits of "do not send" and "no reply" that a filter may have negotiated.
STEPS = {b"C": (0x1, 0x1000), b"H": (0x2, 0x2000), b"M": (0x4, 0x4000), b"R": (0x8, 0x8000)}
PROGRESS = b"p"


@dataclass(frozen=True)
class Answer:
    command: bytes
    code: bytes  # c continue, y a reply, t tempfail, ...
    text: str
    seconds: float


def connect_packet(address, name="host.neutral.test"):
    return packet(b"C", name.encode() + b"\x004\x30\x39" + address.encode() + b"\0")


async def _read_answer(reader):
    while True:
        length = struct.unpack("!I", await reader.readexactly(4))[0]
        data = await reader.readexactly(length)
        if data[:1] != PROGRESS:
            return data


async def play(path, address, sender, rcpts, name="host.neutral.test"):
    """One session up to its recipients, without any macro; its Answers. Replies that refuse do not end it."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(NEGOTIATE)
        steps = struct.unpack("!I", (await _read_answer(reader))[9:13])[0]
        commands = [(b"C", connect_packet(address, name)), (b"H", packet(b"H", b"host.neutral.test\0")),
                    (b"M", packet(b"M", f"<{sender}>".encode() + b"\0"))]
        commands += [(b"R", packet(b"R", f"<{rcpt}>".encode() + b"\0")) for rcpt in rcpts]
        found = []
        for command, data in commands:
            unsent, unanswered = STEPS[command]
            if steps & unsent:
                continue
            began = time.monotonic()
            writer.write(data)
            await writer.drain()
            if steps & unanswered:
                continue
            answer = await _read_answer(reader)
            text = answer[1:].rstrip(b"\0").decode("latin-1")
            found.append(Answer(command, answer[:1], text, time.monotonic() - began))
        writer.write(packet(b"Q"))
        await writer.drain()
        return found
    finally:
        writer.close()
