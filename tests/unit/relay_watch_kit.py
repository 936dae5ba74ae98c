# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of posternctl relay watch have in common: lines of a log, who is told of them, and the watcher."""
import collections
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ".")).resolve()
SOURCE = pathlib.Path(os.environ.get("POSTERN_SOURCE", ".")).resolve()
CTL = BUILD / "posternctl"
PATTERNS = SOURCE / "conf/login-patterns"
DEADLINE = 60


def login(number, session=None):
    """A line of Dovecot's log: the login of the user `number`."""
    ends = f", session=<{session}>" if session else ""
    return (f"Nov 22 10:00:00 mx1 dovecot: imap-login: Login: user=<u{number}>, method=PLAIN, "
            f"rip=10.{number >> 16}.{number >> 8 & 255}.{number & 255}, lip=198.51.100.5, mpid=7, TLS{ends}\n")


def request(number):
    return f"login 10.{number >> 16}.{number >> 8 & 255}.{number & 255} user=u{number} service=imap keep=no"


class Listener:
    """Who is told: it answers each request, and remembers it."""

    def __init__(self, path):
        self.path = str(path)
        self.requests = []
        self.answer = lambda line: "ok"
        self.server = None
        self.clients = []
        self.start()

    def start(self):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(5)
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()

    def accept(self, server):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            for line in client.makefile():
                answer = self.answer(line.rstrip("\n"))
                self.requests.append(line.rstrip("\n"))
                client.sendall(answer.encode() + b"\n")
        except OSError:
            pass

    def stop(self):
        os.unlink(self.path)
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            client.close()
        self.clients = []


class Watch(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-watch-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.log = self.folder / "mail.log"
        self.state = self.folder / "state"
        self.said = self.folder / "said"
        self.listener = Listener(self.folder / "sock")
        self.process = None
        self.ctl, self.patterns = CTL, PATTERNS
        self.addCleanup(self.end)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # ---- the watcher

    def start(self, *args, log=None, ready=True, **options):
        before = self.said.read_text().count("state=started") if self.said.exists() else 0
        with self.said.open("a") as said:
            self.process = subprocess.Popen([self.ctl, "relay", "watch", "--patterns", self.patterns, "--socket",
                                             self.listener.path, *args, log or self.log], stderr=said, **options)
        if ready:
            self.wait_until(lambda: self.said.read_text().count("state=started") > before)  # it has opened the log
        return self.process

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(timeout=DEADLINE)
        self.assertEqual(code, 0 if number == signal.SIGTERM else -number, self.said.read_text())

    def wait_until(self, is_true, seconds=DEADLINE):
        deadline = time.monotonic() + seconds
        while not is_true():
            if time.monotonic() > deadline:
                self.fail(f"waited too long; it said:\n{self.said.read_text()}"
                          f"\nrequests: {len(self.listener.requests)}, the last: {self.listener.requests[-3:]}")
            time.sleep(0.01)

    def wait_for(self, *requests):
        self.wait_until(lambda: set(requests) <= set(self.listener.requests))

    def append(self, *lines, path=None):
        with (path or self.log).open("ab") as log:
            for line in lines:
                log.write(line if isinstance(line, bytes) else line.encode())

    def expect_once(self, numbers):
        """Each of these logins was told, and none of them twice; nobody else's was."""
        expected = {request(number) for number in numbers}
        self.wait_until(lambda: expected <= set(self.listener.requests))
        time.sleep(0.2)
        count = collections.Counter(self.listener.requests)
        self.assertEqual(set(count) - expected, set())
        self.assertEqual([line for line, times in count.items() if times > 1], [])
