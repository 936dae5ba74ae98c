# SPDX-License-Identifier: GPL-3.0-or-later
"""Live Sendmail daemons in folders of their own, postern as their filter, and an SMTP session with them."""

import itertools
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import postern
from .expect import Outcome
from .reply import CONTINUE, Verdict
from .sendmail import ACCESS_PLACE, REPOSITORY, SendmailError, mc_text, q
from .world import Client, FeatureSet, make_client

sys.path.insert(0, str(REPOSITORY / "tests/integration"))
from harness import postern as harness_postern  # noqa: E402
from harness import smtp, tools  # noqa: E402

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Host:
    """An address to connect from, and what Sendmail finds for it."""

    client: Client
    line: str  # for the preloaded hosts file


def _host(addr, name=None, resolve="OK"):
    line = {
        "OK": f"{addr} {name}",
        "FAIL": f"# {addr}",
        "TEMP": f"{addr} TEMP",
        "FORGED": f"{addr} {name} 192.0.2.99",
    }[resolve]
    return Host(make_client(addr, name, resolve), line)


HOSTS = (
    _host("127.0.0.1", "localhost"),
    _host("127.1.2.3", "a.b.test"),
    _host("127.1.2.4", "b.test"),
    _host("127.1.20.3", "x.a.b.test"),
    _host("127.11.2.3", "spam.test"),
    _host("127.2.3.4", "host.neutral.test"),
    _host("127.2.3.5", "mail.partner.test"),
    _host("127.2.3.6", "third.test"),
    _host("127.2.4.7", "a.home.example"),
    _host("127.2.4.8", "ab.test"),
    _host("127.3.1.1", None, "FAIL"),
    _host("127.3.1.2", None, "FAIL"),
    _host("127.3.2.1", None, "TEMP"),
    _host("127.3.3.1", "forged.b.test", "FORGED"),
    _host("127.3.3.2", "spam.test.third.test", "FORGED"),
)

# Sendmail and postern both take the address that the client connected to as their own.
LIVE_LINES = ("LOCAL_DOMAIN(`[127.0.0.1]')",)


def _daemon_lines(folder, port, milter):
    paths = {
        "confPID_FILE": folder / "pid", "QUEUE_DIR": folder / "queue", "STATUS_FILE": folder / "statistics",
    }
    lines = [f"define({q(name)}, {q(path)})" for name, path in paths.items()]
    settings = {
        "confTO_IDENT": "0", "confQUEUE_LA": "1000", "confREFUSE_LA": "1000", "confDELAY_LA": "0",
        "confMIN_FREE_BLOCKS": "0", "confDELIVERY_MODE": "queueonly", "confLOG_LEVEL": "9", "HELP_FILE": "",
        "confALLOW_BOGUS_HELO": "True", "confBAD_RCPT_THROTTLE": "0", "_DEF_LOCAL_MAILER_FLAGS": "lsDFMAq",
        "confMAX_RCPTS_PER_MESSAGE": "0", "LOCAL_SHELL_PATH": "/bin/false",
    }
    lines += [f"define({q(name)}, {q(value)})" for name, value in settings.items()]
    lines += ["undefine(`ALIAS_FILE')", f"FEATURE({q('no_default_msa')})"]
    lines.append(f"DAEMON_OPTIONS({q(f'Family=inet, Name=MTA, Addr=127.0.0.1, Port={port}')})")
    if milter:
        lines.append(f"INPUT_MAIL_FILTER({q('postern')}, {q(f'S=unix:{milter}, F=T, T=C:10s;S:30s;R:30s;E:2m')})")
    return lines


def _address_features(chosen):
    """What a Sendmail behind postern keeps: how it reads addresses; everything else is postern's."""
    keep = {name for name in chosen.features if name.startswith(("nouucp", "nopercenthack"))}
    return FeatureSet(frozenset(keep | {"accept_unqualified_senders"}))


class Daemon:
    """A Sendmail that queues all it accepts. With `milter` it asks a filter and decides nothing itself."""

    def __init__(self, sendmail, work, batch, access, milter=None):
        self.folder = Path(work) / f"daemon-{next(_numbers)}"
        self.sendmail, self.batch, self.access, self.milter = sendmail, batch, access, milter
        self.port = tools.free_port()
        self.process = None

    def __enter__(self):
        self.folder.mkdir()
        (self.folder / "queue").mkdir(mode=0o700)
        lines = list(self.sendmail.extra) + _daemon_lines(self.folder, self.port, self.milter)
        chosen = _address_features(self.batch.features) if self.milter else self.batch.features
        open_relay = bool(self.milter) or not self.batch.relaying
        text = mc_text(chosen, self.batch.names, open_relay, self.sendmail.paths, lines, access=not self.milter)
        cf = self.folder / "sendmail.cf"
        cf.write_text(self.sendmail.m4(text).replace(ACCESS_PLACE, str(self.folder / "access")))
        if not self.milter:
            self.sendmail.makemap(cf, self.access, self.folder / "access")
        env = dict(self.sendmail.env)
        env.update(self.sendmail.preload(host.line for host in HOSTS))
        env["TEST_SYSLOG"] = str(self.folder / "maillog")
        with open(self.folder / "console", "wb") as console:
            self.process = subprocess.Popen([self.sendmail.sendmail, "-C", str(cf), "-bD"], env=env, stdout=console,
                                            stderr=console, stdin=subprocess.DEVNULL, start_new_session=True)
        tools.wait_for(self._listens, f"Sendmail to listen in {self.folder}")
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise SendmailError((self.folder / "console").read_text())
        return tools.accepts(self.port)

    def __exit__(self, *_):
        tools.stop(self.process)

    def disposition(self, queue_id):
        """(accept | quarantine | discard, quarantine text, recipients) of a message that was accepted."""
        for name, kind in (("hf", "quarantine"), ("qf", "accept")):
            queued = self.folder / "queue" / f"{name}{queue_id}"
            if queued.exists():
                text = queued.read_text(encoding="latin-1")
                reason = re.search(r"^q(.*)$", text, re.M)
                return kind, reason.group(1) if reason and kind == "quarantine" else "", re.findall(r"^R[A-Z]*:(.*)$", text, re.M)
        return "discard", "", []


class PosternDaemon:
    """The daemon `postern` with the configuration that `posternctl explain` was given."""

    def __init__(self, batch, subject, work):
        self.socket = Path(work) / f"sock-{next(_numbers)}" / "milter.sock"
        self.subject = subject
        self.process = None
        self.log_file = self.socket.parent / "log"

    def __enter__(self):
        self.socket.parent.mkdir()
        conf = self.subject.folder / "daemon.conf"
        keys = {"listen": f"unix:{self.socket}", "listen_mode": "0660", "user": harness_postern.USER,
                "listen_group": harness_postern.GROUP}
        conf.write_text(self.subject.conf.read_text() + "".join(f'{k} = "{v}"\n' for k, v in keys.items()))
        for path in [self.subject.folder, *self.subject.folder.iterdir()]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.chown(self.socket.parent, harness_postern.pwd.getpwnam(harness_postern.USER).pw_uid, 0)
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen([postern.program("postern"), "-c", str(conf), "-f"], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        tools.wait_for(self._ready, "postern to listen")
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise postern.PosternError(f"postern ended: {self.log()}")
        return self.socket.exists()

    def log(self):
        return self.log_file.read_text(errors="replace")

    def __exit__(self, *_):
        tools.stop(self.process)


def _verdict(answer):
    """A reply on the wire; the address that Sendmail puts before some texts is taken off."""
    if answer.ok:
        return CONTINUE
    text = re.sub(r"\A<[^\n]*?>\.\.\. ", "", answer.text) if answer.code in (250, 252, 450, 550, 553) else answer.text
    return Verdict("tempfail" if 400 <= answer.code < 500 else "reject", answer.code, answer.dsn, text)


class Session:
    """A connection to a daemon from one address, for one transaction after the other."""

    def __init__(self, daemon, transaction):
        self.daemon = daemon
        self.client = smtp.Client(daemon.port, source=transaction.client.addr)
        self.greeting = _verdict(self.client.reply())
        self.closed = self.greeting.refused
        if transaction.helo and not self.closed:
            self.client.command(f"EHLO {transaction.helo}")

    def close(self):
        self.client.close()

    def _command(self, line):
        answer = self.client.command(line)
        if answer.code == 421 and self.daemon.milter:
            self.closed = True  # Sendmail closes when a filter says 421 (difference 0)
        return _verdict(answer)

    def play(self, transaction):
        """What each command is answered, and what becomes of the message."""
        if self.closed:
            return Outcome(self.greeting, self.greeting, [], self.greeting.kind)
        mail = self._command(f"MAIL FROM:{transaction.sender}")
        if mail.refused:
            return Outcome(CONTINUE, mail, [], mail.kind)
        recipients = []
        for rcpt in transaction.recipients:
            if self.closed:
                break
            recipients.append(self._command(f"RCPT TO:{rcpt}"))
        if self.closed or all(verdict.refused for verdict in recipients):
            if not self.closed:
                self._command("RSET")
            return Outcome(CONTINUE, mail, recipients, "refused")
        answer = self.client.data("Subject: live\n\ntest")
        if not answer.ok:
            self.closed = True
            return Outcome(CONTINUE, mail, recipients, _verdict(answer).kind, str(answer))
        kind, hold, queued = self.daemon.disposition(answer.text.split()[0])
        return Outcome(CONTINUE, mail, recipients, kind, hold, queued)


def play_all(daemon, transactions):
    """The outcomes of all; neighbours with the same client and HELO share a connection while it lasts."""
    outcomes, session, before = [], None, None
    for transaction in transactions:
        same = before and (before.client, before.helo) == (transaction.client, transaction.helo)
        if session and (session.closed or not same):
            session.close()
            session = None
        session = session or Session(daemon, transaction)
        outcomes.append(session.play(transaction))
        before = transaction
    if session:
        session.close()
    return outcomes
