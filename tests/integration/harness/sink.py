# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the mail servers deliver to: speaks SMTP and LMTP, keeps what it gets."""

import re
import socketserver
import threading
from dataclasses import dataclass, field


@dataclass
class Delivery:
    sender: str
    recipients: list
    text: str
    subject: str = field(init=False)

    def __post_init__(self):
        found = re.search(r"^Subject: (.*?)\r?$", self.text, re.M)
        self.subject = found.group(1) if found else ""


def _path(line):
    found = re.search(r"<(.*)>", line)
    return found.group(1) if found else ""


class _Handler(socketserver.StreamRequestHandler):
    def _answer(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def _read_message(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if not line or line == b".\r\n":
                return b"".join(lines).decode("latin-1")
            lines.append(line[1:] if line.startswith(b".") else line)

    def _take(self, sender, recipients, lmtp):
        self._answer("354 go on")
        self.server.sink.keep(Delivery(sender, list(recipients), self._read_message()))
        for _ in recipients if lmtp else [None]:
            self._answer("250 2.0.0 kept")

    def handle(self):
        lmtp = False
        sender, recipients = "", []
        self._answer("220 sink.test ready")
        while True:
            line = self.rfile.readline().decode("latin-1")
            verb = line[:4].upper()
            if not line:
                return
            if verb in ("EHLO", "LHLO"):
                lmtp = verb == "LHLO"
                self._answer("250-sink.test\r\n250-8BITMIME\r\n250 PIPELINING")
            elif verb == "DATA":
                self._take(sender, recipients, lmtp)
                recipients = []
            elif verb == "QUIT":
                self._answer("221 bye")
                return
            else:
                if verb == "MAIL":
                    sender, recipients = _path(line), []
                elif verb == "RCPT":
                    recipients.append(_path(line))
                elif verb == "RSET":
                    recipients = []
                self._answer("250 ok")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class Sink:
    def __init__(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.sink = self
        self._lock = threading.Lock()
        self._kept = []
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def keep(self, delivery):
        with self._lock:
            self._kept.append(delivery)

    def with_subject(self, subject):
        """Every delivery of the message with this subject."""
        with self._lock:
            return [one for one in self._kept if one.subject == subject]

    def everything(self):
        with self._lock:
            return list(self._kept)

    def recipients(self, subject):
        """Local parts of all to whom the message has been delivered (LMTP gets no domain)."""
        return sorted(rcpt.split("@")[0] for one in self.with_subject(subject) for rcpt in one.recipients)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
