# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch beside a daemon, and lines of a log that it understands."""

import shutil
import signal
import subprocess

from . import tools
from .postern import POPAUTH_GROUP, program

PATTERNS = tools.SOURCE / "conf/login-patterns"


class Watcher:
    """It runs as a user who may do nothing but read the log and use popauth.sock."""

    def __init__(self, postern, log, folder):
        self.postern, self.log, self.folder = postern, log, folder
        self.said = folder / "said"
        self.process = None
        # That user may not be able to enter the folder of the build.
        self.ctl, self.patterns = (shutil.copy2(path, folder) for path in (program("posternctl"), PATTERNS))

    def start(self, *arguments):
        before = self._started()
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(
                [self.ctl, "-c", self.postern.config, "relay", "watch", "--patterns", self.patterns, *arguments, self.log],
                stderr=said, stdin=subprocess.DEVNULL, user="nobody", group=POPAUTH_GROUP, extra_groups=[], umask=0o027)
        tools.wait_for(lambda: self._started() > before, f"the watcher to start\n{self.text()}", timeout=20)
        return self

    def _started(self):
        return self.text().count("state=started")

    def text(self):
        return self.said.read_text() if self.said.exists() else ""

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        assert self.process.wait(timeout=20) == (0 if number == signal.SIGTERM else -number), self.text()


def address(number):
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def login(number):
    return (f"Nov 22 10:00:00 mx1 dovecot: imap-login: Login: user=<u{number}>, method=PLAIN, rip={address(number)}, "
            f"lip=198.51.100.5, mpid=7, TLS\n").encode()
