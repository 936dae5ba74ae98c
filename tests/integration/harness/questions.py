# SPDX-License-Identifier: GPL-3.0-or-later
"""What mail servers ask of map.sock, and what login servers tell popauth.sock, each on a connection that stays open."""

import socket
import time


def _connect(path, timeout):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(timeout)
    client.connect(str(path))
    return client


class Map:
    """A mail server's connection to map.sock. The slowest answer is remembered."""

    def __init__(self, path, timeout=30):
        self._socket = _connect(path, timeout)
        self._stream = self._socket.makefile("rb")
        self.slowest = 0.0

    def ask(self, question):
        """The answer to "relayers 192.0.2.1"."""
        begun = time.monotonic()
        self._socket.sendall(b"%d:%s," % (len(question), question.encode()))
        digits = self._stream.read(1)
        while not digits.endswith(b":"):
            more = self._stream.read(1)
            if not more:
                raise ConnectionError("the daemon has closed the connection")
            digits += more
        answer = self._stream.read(int(digits[:-1]) + 1)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return answer[:-1].decode()

    def relays(self, address):
        return self.ask(f"relayers {address}") == "OK OK"

    def close(self):
        self._stream.close()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Login:
    """A login server's connection to popauth.sock."""

    def __init__(self, path, timeout=30):
        self._socket = _connect(path, timeout)
        self._stream = self._socket.makefile("rb")
        self.slowest = 0.0

    def tell(self, line):
        """The answer: "ok", or "err" and why."""
        begun = time.monotonic()
        self._socket.sendall(line.encode() + b"\n")
        answer = self._stream.readline()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        if not answer.endswith(b"\n"):
            raise ConnectionError("the daemon has closed the connection")
        return answer[:-1].decode()

    def login(self, address, more=""):
        """True: it is acknowledged."""
        return self.tell(f"login {address} {more}".strip()) == "ok"

    def close(self):
        self._stream.close()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
