# SPDX-License-Identifier: GPL-3.0-or-later
"""The real cleanup: a Postfix that never delivers, and what it made of each message."""

import os
import re
from dataclasses import dataclass, field

from .postmap import PostfixError, write_dynamicmaps

# postmap has put the harness on the path.
from harness import postfix as harness_postfix  # noqa: E402  pylint: disable=wrong-import-order
from harness import smtp, tools  # noqa: E402  pylint: disable=wrong-import-order

CLASSES = ("header_checks", "mime_header_checks", "nested_header_checks")
RE_ACTION = re.compile(r"^(?P<id>[0-9A-F]+): (?P<verb>[a-z-]+): header (?P<rest>.*)\Z", re.S)
MARK = "mark@judge.example"
OWN_RECEIVED = r"/^Received: from judge\.client /"


@dataclass
class Fate:
    """What became of one message."""

    reply: object  # of the end of the data
    queue: str = ""  # "incoming", "hold", or "" if there is no queue file
    headers: list = field(default_factory=list)  # of the message as kept, without Postfix's own Received:
    body: list = field(default_factory=list)
    recipients: list = field(default_factory=list)
    redirect: str = ""
    log: list = field(default_factory=list)  # (verb, the rest of the line) of each action on a header
    warnings: list = field(default_factory=list)


def records(data):
    """The records of a queue file, (type, content), in the order in which Postfix reads them."""
    at = 0
    while at < len(data):
        kind, at = chr(data[at]), at + 1
        length = shift = 0
        while True:
            byte, at = data[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        content, at = data[at : at + length], at + length
        if kind == "p":  # what a filter has changed is written elsewhere
            at = int(content) or at
        else:
            yield kind, content


def split_message(lines, fate):
    """Header and body as Postfix sees them; blanks before a colon are none of the header."""
    while lines and lines[0]:
        name = re.match(rb"([!-9;-~]+)[ \t]*:", lines[0])
        if lines[0][:1] in b" \t" and fate.headers:
            fate.headers[-1] += b"\n" + lines.pop(0)
        elif name:
            fate.headers.append(name.group(1) + lines.pop(0)[name.end() - 1 :])
        else:
            break
    fate.body = lines


def read_queue_file(data, fate):
    inside, lines, partial = False, [], b""
    for kind, content in records(data):
        if kind in "MX":
            inside = kind == "M"
        elif kind == "E":
            break
        elif inside and kind in "NL":
            partial += content
            if kind == "N":
                lines.append(partial)
                partial = b""
        elif kind == "R":
            fate.recipients.append(content.decode("latin-1"))
        elif kind == ">":
            fate.redirect = content.decode("latin-1")
    split_message(lines, fate)
    if fate.headers and fate.headers[0].startswith(b"Received: from judge.client "):
        del fate.headers[0]


NO_SINK = type("NoSink", (), {"port": 9})()


class Server(harness_postfix.Postfix):
    """smtpd and cleanup, a process for each message; nothing takes messages out of the queue but send()."""

    services = re.sub(r"(?m)^qmgr .*\n", "", re.sub(r"(?m)^cleanup .*$", r"\g<0> -o max_use=1", harness_postfix.MASTER_CF))

    def __init__(self, folder):
        super().__init__(folder, NO_SINK)
        self._plain_main = (self.folder / "etc/main.cf").read_text()
        tools.wait_for((self.folder / "maillog").exists, "the log")
        self._maillog = (self.folder / "maillog").open("rb")

    def more_settings(self):
        return {
            "local_header_rewrite_clients": "", "message_drop_headers": "", "smtpd_client_restrictions": "",
            "mydestination": "", "relay_domains": "", "smtpd_hard_error_limit": "1000000",
            "smtpd_soft_error_limit": "1000000", "smtpd_junk_command_limit": "1000000", "message_size_limit": "0",
            "header_size_limit": "60000",  # Postfix's own limit as soon as there is a filter
            "smtpd_recipient_restrictions": f"check_recipient_access inline:{{{MARK}=REJECT}}",
        }

    def parse_mime(self, wanted):
        """Whether parts are looked for."""
        new = self.folder / "etc/main.cf.new"
        new.write_text(self._plain_main + f"disable_mime_input_processing = {'no' if wanted else 'yes'}\n")
        os.utime(new, (0, 0))  # Postfix waits 0.3 s before it believes a file that was just written
        new.rename(self.folder / "etc/main.cf")

    def connect(self):
        client = smtp.Client(self.port, "127.0.0.1")
        client.hello("judge.client")
        return client

    def send(self, client, message, sender="s@neutral.test", recipients=("joe@local.example",)):
        """One message (bytes, lines ended by LF) on this connection; its Fate."""
        client.mail(sender)
        for recipient in recipients:
            client.rcpt(recipient)
        fate = Fate(client.data(message.decode("latin-1")))
        log = self._log_so_far(client)
        if fate.reply.ok:
            self._read_kept(fate.reply.text.rsplit(" ", 1)[1], fate)
        elif client.command("RSET").code != 250:
            raise PostfixError("RSET failed")
        self._read_log(log, fate)
        return fate

    def _log_so_far(self, client):
        """What was logged since the last call. The log is written later than the reply is sent, but in its order."""
        client.command(f"VRFY {MARK}")
        text = b""

        def marked():
            nonlocal text
            text += self._maillog.read()
            return b"reject: VRFY from" in text and text.endswith(b"\n")

        tools.wait_for(marked, "the mark in the log", pause=0.0005)
        return text.decode("latin-1")

    def _read_kept(self, queue_id, fate):
        for queue in ("incoming", "hold"):
            path = self.folder / "queue" / queue / queue_id
            if path.exists():
                fate.queue = queue
                read_queue_file(path.read_bytes(), fate)
                path.unlink()

    @staticmethod
    def _read_log(log, fate):
        for line in log.splitlines():
            found = re.match(r"\w+ +\d+ [\d:]+ \S+ postfix/cleanup\[\d+\]: (.*)", line)
            if not found:
                continue
            action = RE_ACTION.match(found.group(1))
            if action:
                fate.log.append((action.group("verb"), action.group("rest")))
            elif "warning:" in line and "public/qmgr" not in line:
                fate.warnings.append(found.group(1))


class Cleanup(Server):
    """The judge: cleanup with header checks."""

    def __init__(self, folder):
        self._tables = {name: folder / f"{name}.pcre" for name in CLASSES}
        super().__init__(folder)

    def more_settings(self):
        return {
            **super().more_settings(), "meta_directory": str(self.folder / "etc"), "smtpd_milters": "",
            **{name: f"pcre:{path}" for name, path in self._tables.items()},
        }

    def _make_folders(self):
        super()._make_folders()
        write_dynamicmaps(self.folder / "etc")
        self.set_tables({})

    def set_tables(self, tables):
        """name -> content; the first rule of header_checks lets Postfix's own Received: pass, which no milter sees."""
        for name, path in self._tables.items():
            text = tables.get(name, b"")
            path.write_bytes(OWN_RECEIVED.encode() + b" DUNNO\n" + text if name == "header_checks" else text)
