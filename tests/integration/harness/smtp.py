# SPDX-License-Identifier: GPL-3.0-or-later
"""An SMTP client that shows every reply as it came, and that can misbehave."""

import base64
import socket
from dataclasses import dataclass, replace

# Sendmail puts the address, as typed, before the text of a reply to MAIL or RCPT if the reply has one of these codes,
# whether the text is its own or a filter's.
CODES_WITH_ADDRESS = (250, 252, 450, 550, 553)


class Closed(Exception):
    """The server closed the connection where a reply was expected."""


@dataclass(frozen=True)
class Reply:
    code: int
    text: str  # behind the code and the enhanced code; lines of a long reply joined with "\n"
    dsn: str  # "" when the reply has none

    def __str__(self):
        return " ".join(part for part in (str(self.code), self.dsn, self.text) if part)

    @property
    def ok(self):
        return 200 <= self.code < 400


def _split_dsn(line):
    word, _, rest = line.partition(" ")
    parts = word.split(".")
    if len(parts) == 3 and parts[0] in ("2", "4", "5") and all(p.isdigit() for p in parts):
        return word, rest
    return "", line


def parse_reply(lines):
    code = int(lines[0][:3])
    dsn = ""
    texts = []
    for line in lines:
        own_dsn, text = _split_dsn(line[4:])
        dsn = dsn or own_dsn
        texts.append(text)
    return Reply(code, "\n".join(texts), dsn)


class Client:
    """One SMTP session. Text is Latin-1 both ways, so any byte can be sent and seen."""

    def __init__(self, port, source="127.0.0.2", names_address=False, timeout=30):
        self.transcript = []
        self._names_address = names_address
        self._pending = b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    @property
    def socket(self):
        return self._socket

    def send_raw(self, data):
        self._socket.sendall(data)

    def send(self, line):
        self.transcript.append(f"C: {line}")
        self.send_raw(line.encode("latin-1") + b"\r\n")

    def _line(self):
        while b"\n" not in self._pending:
            try:
                more = self._socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed("\n".join(self.transcript))
            self._pending += more
        line, self._pending = self._pending.split(b"\n", 1)
        text = line.rstrip(b"\r").decode("latin-1")
        self.transcript.append(f"S: {text}")
        return text

    def reply(self):
        lines = [self._line()]
        while lines[-1][3:4] == "-":
            lines.append(self._line())
        return parse_reply(lines)

    def reply_about(self, address):
        """The reply to a MAIL or RCPT with this address, without what Sendmail puts before the text."""
        answer = self.reply()
        prefix = f"<{address}>... "
        if self._names_address and answer.code in CODES_WITH_ADDRESS and answer.text.startswith(prefix):
            return replace(answer, text=answer.text[len(prefix) :])
        return answer

    def command(self, line):
        self.send(line)
        return self.reply()

    def hello(self, name="client.neutral.test"):
        """Greeting and EHLO; the reply to EHLO."""
        self.reply()
        return self.command(f"EHLO {name}")

    def starttls(self, context):
        """STARTTLS and the EHLO behind it; the reply to that."""
        assert self.command("STARTTLS").code == 220
        self._socket = context.wrap_socket(self._socket)
        return self.command("EHLO client.neutral.test")

    def login(self, user, password):
        """AUTH PLAIN; the reply."""
        token = base64.b64encode(f"\0{user}\0{password}".encode("latin-1")).decode()
        return self.command(f"AUTH PLAIN {token}")

    def mail(self, sender, arguments=""):
        self.send(f"MAIL FROM:<{sender}>{arguments}")
        return self.reply_about(sender)

    def rcpt(self, recipient):
        self.send(f"RCPT TO:<{recipient}>")
        return self.reply_about(recipient)

    def data(self, body):
        """DATA and a message (its lines without CR); the last reply."""
        answer = self.command("DATA")
        if answer.code != 354:
            return answer
        lines = body.split("\n")
        stuffed = "\r\n".join("." + line if line.startswith(".") else line for line in lines)
        self.send_raw(stuffed.encode("latin-1") + b"\r\n.\r\n")
        return self.reply()

    def quit(self):
        answer = self.command("QUIT")
        self.close()
        return answer

    def ended(self):
        """True when the server has closed the connection."""
        try:
            self._line()
        except Closed:
            return True
        return False


def message(subject, sender="s@neutral.test", recipient="joe@local.example"):
    return f"From: <{sender}>\nTo: <{recipient}>\nSubject: {subject}\n\nThe body of {subject}."
