# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server with postern before it, as the tests use it."""

import itertools
import time

import pytest

from . import names, smtp, tools
from .postern import Postern

_numbers = itertools.count(1)

# How long to look before "it has not been delivered" is believed, behind a message that has been.
SETTLE_SECONDS = 0.3


def unique(word):
    """A word that no other test uses: a subject, a folder."""
    return f"{word}-{next(_numbers)}"


def shared_daemon(*arguments, **keywords):
    """A fixture: one daemon, started as Site.daemon() does, for all tests of a module that ask for it."""
    key = unique("shared")

    @pytest.fixture
    def fixture(site):
        return site.shared(key, arguments, keywords)

    return fixture


class Pool:
    """The daemons of one module for one mail server, of which one at a time has the milter socket."""

    def __init__(self, mta, folder):
        self.mta = mta
        self.folder = folder
        self.shared = {}
        self.active = None

    def make(self, *arguments, **keywords):
        return Postern(self.folder / unique("daemon"), self.mta.milter_socket, *arguments, **keywords)

    def activate(self, daemon):
        if self.active is daemon and daemon.alive():
            return
        self.close()
        self.active = daemon
        daemon.start()

    def close(self):
        """Ends the active daemon. If it has died, the test that used it has said so."""
        if self.active is not None and self.active.alive():
            self.active.stop()
        self.active = None


class Site:
    """What one test sees of a mail server."""

    def __init__(self, pool):
        self.mta = pool.mta
        self.folder = pool.folder
        self.used = []
        self._pool = pool

    # ---- daemons

    def daemon(self, *arguments, makemap=True, start=True, **keywords):
        """A daemon for this test alone, on the mail server's milter socket; for arguments see Postern."""
        daemon = self._pool.make(*arguments, **keywords)
        self.used.append(daemon)
        if makemap:
            daemon.makemap()
        if start:
            self._pool.activate(daemon)
        return daemon

    def start(self, daemon):
        """Starts a daemon that was made with start=False."""
        self._pool.activate(daemon)

    def shared(self, key, arguments, keywords):
        if key not in self._pool.shared:
            daemon = self._pool.make(*arguments, **keywords)
            daemon.makemap()
            self._pool.shared[key] = daemon
        daemon = self._pool.shared[key]
        self._pool.activate(daemon)
        self.used.append(daemon)
        return daemon

    def check(self):
        """No daemon of this test has died by itself; those that are not shared end now, and end well."""
        for daemon in self.used:
            daemon.check_not_dead()
            if daemon not in self._pool.shared.values():
                daemon.stop()

    def discard(self):
        """Whatever a failed test has left is ended the hard way."""
        for daemon in self.used:
            if daemon not in self._pool.shared.values():
                daemon.discard()

    # ---- sessions

    def connect(self, source=names.NAMELESS, **keywords):
        return smtp.Client(self.mta.port, source, names_address=self.mta.name == "sendmail", **keywords)

    def client(self, source=names.NAMELESS, helo="client.neutral.test", **keywords):
        """A session behind its EHLO."""
        client = self.connect(source, **keywords)
        client.hello(helo)
        return client

    def send(self, subject, sender="s@neutral.test", rcpts=("joe@local.example",), source=names.NAMELESS):
        """A whole session with one message; the last reply: the first refusal, or what DATA was answered."""
        with self.client(source) as client:
            reply = client.mail(sender)
            for rcpt in rcpts:
                reply = client.rcpt(rcpt) if reply.ok else reply
            if reply.ok:
                reply = client.data(smtp.message(subject, sender))
            return reply

    def connect_and_send(self, subject, source=names.NAMELESS):
        """As send(), where the greeting may be a refusal or the server may hang up."""
        try:
            with self.connect(source) as client:
                reply = client.reply()
                for line in ("EHLO client.neutral.test", "MAIL FROM:<s@neutral.test>", "RCPT TO:<joe@local.example>"):
                    if not reply.ok:
                        return reply
                    reply = client.command(line)
                return client.data(smtp.message(subject)) if reply.ok else reply
        except smtp.Closed:
            return smtp.Reply(421, "closed", "")

    # ---- what became of a message

    def wait_delivered(self, subject, rcpts=("joe",), timeout=20):
        """The message has been delivered to these recipients (local parts), and to no other."""
        wanted = sorted(rcpts)
        sink = self.mta.sink
        tools.wait_for(lambda: len(sink.recipients(subject)) >= len(wanted), f"delivery of {subject}", timeout)
        assert sink.recipients(subject) == wanted

    def assert_delivered_no_further(self, subject, rcpts):
        """A while later it has been delivered to nobody else, and does not wait either."""
        time.sleep(SETTLE_SECONDS)
        assert self.mta.sink.recipients(subject) == sorted(rcpts)
        assert self.in_queue(subject) == []

    def in_queue(self, subject):
        return [one for one in self.mta.queued() if f"Subject: {subject}\n" in self.mta.queue_file(one)]

    def assert_gone(self, subject):
        """The message is neither delivered nor kept, while one sent after it has been delivered."""
        marker = unique("marker")
        assert self.send(marker, source="127.0.0.9").ok
        self.wait_delivered(marker)
        time.sleep(SETTLE_SECONDS)
        assert self.mta.sink.with_subject(subject) == []
        assert self.in_queue(subject) == []

    def assert_held(self, subject):
        """The message is held, not delivered; returns it."""
        held = tools.wait_for(lambda: self.mta.held_with_subject(subject), f"{subject} to be held")
        time.sleep(SETTLE_SECONDS)
        assert self.mta.sink.with_subject(subject) == []
        assert len(held) == 1
        return held[0]
