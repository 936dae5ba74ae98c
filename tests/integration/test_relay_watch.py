# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch beside a real daemon: lines of all servers, the logs of the real Dovecot 2.3 and 2.4, a log that rotates under load."""

import contextlib
import json
import os
import re
import threading
import time

import pytest

from harness import tools
from harness.dovecot import USER, Dovecot
from harness.dovecot24 import Dovecot24
from harness.postern import Postern
from harness.site import unique
from harness.watcher import Watcher, address, login

SAMPLES = tools.SOURCE / "tests/unit/login_lines.txt"


@pytest.fixture(name="postern")
def daemon(workspace):
    folder = workspace / unique("watch")
    sockets = folder / "sock"
    sockets.mkdir(parents=True)
    one = Postern(folder / "daemon", sockets / "milter.sock", access="", sockets=("popauth",), relay_store={"window_minutes": 60})
    one.makemap()
    one.start()
    try:
        yield one
        one.stop()
    finally:
        one.discard()


@pytest.fixture(name="watcher")
def a_watcher(postern):
    folder = postern.folder / "watch"
    folder.mkdir()
    os.chmod(folder, 0o755)
    os.mkdir(folder / "state")
    os.chmod(folder / "state", 0o777)
    log = folder / "mail.log"
    log.touch()
    one = Watcher(postern, log, folder)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()


def entries(postern):
    """Addresses that may relay, with the user of each."""
    lines = postern.control("relay", "dump").stdout.splitlines()
    fields = [line.split() for line in lines if line and not line.startswith("#")]
    return {words[0]: next((word[5:] for word in words if word.startswith("user=")), "") for words in fields}


def sessions(postern):
    return json.loads(postern.control("--json", "status").stdout)["relay_store"]["sessions"]["open"]


def samples():
    """Pairs of a line and what it says; None: nothing."""
    said = None
    for line in SAMPLES.read_text().splitlines():
        if line.startswith("@ "):
            words = line[2:].split(" ")
            said = dict(zip(("event", "address", "user", "service", "session"), words)) if len(words) == 5 else None
        elif line and not line.startswith("#"):
            yield line, said


def escaped(user):
    return "".join(char if " " < char <= "~" and char not in "%" else "".join(f"%{byte:02X}" for byte in char.encode()) for char in user)


def test_lines_of_all_servers(postern, watcher):
    watcher.start()
    expected = {}
    with open(watcher.log, "a", encoding="utf-8") as log:
        for line, said in samples():
            log.write(line + "\n")
            if said is not None and said["event"] == "login":
                expected[said["address"]] = escaped(said["user"])
    assert len(expected) >= 20
    tools.wait_for(lambda: entries(postern) == expected, "the logins to be recorded", timeout=30)
    watcher.end()
    assert re.search(r"state=stopped .* refused=0 expired=0", watcher.text()), watcher.text()


@pytest.mark.parametrize("kind", [Dovecot, Dovecot24])
def test_log_of_the_real_dovecot(postern, watcher, workspace, kind):
    """Good and failed logins by POP3 and IMAP, and a session that is open until it ends."""
    with contextlib.closing(kind(workspace / unique("watched"), popauth=None, users=(USER,))) as dovecot:
        watcher.log = dovecot.folder / "log"
        watcher.log.chmod(0o644)
        watcher.start()
        forged = "x>, method=PLAIN, rip=192.0.2.99, lip=127.0.0.1, mpid=1, session=<a>"
        for login in (dovecot.pop3, dovecot.imap):
            for user in (USER, forged):
                with pytest.raises(Exception, match="(?i)auth"):
                    login("127.84.0.1", user if user == USER else f'"{user}"' if login == dovecot.imap else user, "wrong")
        dovecot.pop3("127.84.0.2").quit()
        client = dovecot.imap("127.84.0.3")
        tools.wait_for(lambda: set(entries(postern)) == {"127.84.0.2", "127.84.0.3"}, f"the logins\n{dovecot.log()}", timeout=20)
        assert set(entries(postern).values()) == {USER}
        tools.wait_for(lambda: sessions(postern) == 1, f"the end of the first session\n{dovecot.log()}", timeout=20)
        client.logout()
        tools.wait_for(lambda: sessions(postern) == 0, f"the end of the second session\n{dovecot.log()}", timeout=20)
        watcher.end()
        assert re.search(r"logins=2 logouts=2 refused=0", watcher.text()), f"{watcher.text()}{dovecot.log()}"


def test_hibernated_client_that_goes_away(postern, watcher, workspace):
    """Another program logs the end of its session."""
    with contextlib.closing(Dovecot24(workspace / unique("watched"), None, (USER,), hibernates=True)) as dovecot:
        watcher.log = dovecot.folder / "log"
        watcher.log.chmod(0o644)
        watcher.start()
        client = dovecot.imap("127.84.0.4")
        tools.wait_for(lambda: sessions(postern) == 1, f"the login\n{dovecot.log()}", timeout=20)
        client.select()
        client.send(b"x IDLE\r\n")
        assert client.readline().startswith(b"+ ")
        # Nothing tells from outside when it has been put aside, a second later.
        time.sleep(3)
        client.shutdown()
        tools.wait_for(lambda: sessions(postern) == 0, f"the end of the session\n{dovecot.log()}", timeout=20)
        assert "imap-hibernate(" in dovecot.log()
        watcher.end()


class Server(threading.Thread):
    """Logs logins, as fast as it can but for a pause now and then, and rotates its log by renaming it."""

    def __init__(self, log, numbers, rotations, keep):
        super().__init__(daemon=True)
        self.log, self.numbers, self.every, self.keep = log, numbers, len(numbers) // rotations, keep

    def rotate(self):
        for number in range(self.keep, 0, -1):
            old = self.log.with_name(f"{self.log.name}.{number}")
            if old.exists():
                old.rename(self.log.with_name(f"{self.log.name}.{number + 1}"))
        self.log.with_name(f"{self.log.name}.{self.keep + 1}").unlink(missing_ok=True)
        self.log.rename(self.log.with_name(f"{self.log.name}.1"))

    def run(self):
        for first in range(0, len(self.numbers), self.every):
            with open(self.log, "ab", buffering=0) as log:
                for number in self.numbers[first : first + self.every]:
                    log.write(login(number))
                    if number % 10 == 0:
                        time.sleep(0.003)
            self.rotate()


def test_log_that_rotates_a_hundred_times(postern, watcher):
    """Meanwhile the daemon is killed and started again, and the watcher is restarted: each login is recorded."""
    numbers = range(1, 10001)
    keeps = ("--state", watcher.folder / "state" / "place")
    watcher.start(*keeps)
    server = Server(watcher.log, numbers, 100, keep=99)
    server.start()
    for _ in range(2):
        time.sleep(0.5)
        postern.kill()
        time.sleep(0.2)
        postern.start()
        watcher.end()
        watcher.start(*keeps)
    server.join(60)
    assert not server.is_alive()
    expected = {address(number): f"u{number}" for number in numbers}
    tools.wait_for(lambda: len(entries(postern)) == len(expected), f"all logins\n{watcher.text()}", timeout=60)
    assert entries(postern) == expected
    watcher.end()
    assert "state=skipped" not in watcher.text() and "state=expired" not in watcher.text()


def test_refused_and_told_once(postern, watcher):
    """A daemon that has no room says so; the watcher goes on."""
    postern.write_config(relay_store={"file": str(postern.store), "max_entries": 10})
    postern.hup()
    watcher.start()
    tools.wait_for(lambda: "result=reloaded" in postern.log() or "event=reload" in postern.log(), "the reload", timeout=20)
    with open(watcher.log, "ab") as log:
        for number in range(1, 31):
            log.write(login(number))
    tools.wait_for(lambda: "result=refused" in watcher.text(), "the refusal", timeout=20)
    tools.wait_for(lambda: len(entries(postern)) == 10, "ten entries", timeout=20)
    watcher.end()
    assert "refused=20" in watcher.text() and watcher.text().count("result=refused") == 1, watcher.text()
