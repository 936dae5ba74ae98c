# SPDX-License-Identifier: GPL-3.0-or-later
"""Just enough of the milter protocol to say what no mail server would say."""

import socket
import struct


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
