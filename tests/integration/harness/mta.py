# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests ask of a mail server, whichever it is."""

import abc
import subprocess
from dataclasses import dataclass

from . import tools

LOCAL_DOMAIN = "local.example"
OWN_NAME = "mx.home.example"


@dataclass(frozen=True)
class Held:
    queue_id: str
    reason: str  # "" where the server does not keep it


class Mta(abc.ABC):
    """A server of its own: own configuration, queue and port; run by root, stopped by close()."""

    name = ""

    def __init__(self, folder, sink):
        self.folder = folder
        self.sink = sink
        self.port = tools.free_port()
        self.socket_folder = folder / "sock"
        self.milter_socket = self.socket_folder / "milter.sock"
        self._process = None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.socket_folder.mkdir()

    def _launch(self, command, env):
        with open(self.folder / "console", "ab") as console:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        tools.wait_for(self._listening, f"{self.name} to listen\n{self.log()}", timeout=30)

    def _listening(self):
        if self._process.poll() is not None:
            raise AssertionError(f"{self.name} exited {self._process.returncode}\n{self.log()}")
        return tools.accepts(self.port)

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        """All that the server has logged."""
        parts = [self.folder / "console", self.folder / "maillog"]
        return "\n".join(part.read_text(errors="replace") for part in parts if part.exists())

    def close(self):
        if self._process is not None:
            tools.stop(self._process)

    @abc.abstractmethod
    def queued(self):
        """Queue ids of all messages that wait, the held ones among them."""

    @abc.abstractmethod
    def held(self):
        """The messages that are held (quarantined), as Held."""

    @abc.abstractmethod
    def queue_file(self, queue_id):
        """The raw text of a queued message."""

    @abc.abstractmethod
    def release(self, queue_id):
        """Lets a held message go, as an administrator does, and delivers it."""

    @abc.abstractmethod
    def empty_queue(self):
        """Forgets every queued message."""

    def held_with_subject(self, subject):
        return [one for one in self.held() if f"Subject: {subject}\n" in self.queue_file(one.queue_id)]
