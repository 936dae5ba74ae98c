# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is away for a moment costs nobody his grant: whoever told of the login, it is recorded when the store is back."""

import contextlib
import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

from harness import tools
from harness.dovecot import USER
from harness.dovecot24 import Dovecot24
from harness.postern import GROUP, program
from harness.postern import USER as DAEMON_USER
from harness.redis_host import SLACK, TIMEOUT_MS
from harness.site import unique
from harness.watcher import Watcher, address, login

HOOK_SECONDS = 1.0  # that postern-login waits for at most
RETURN = 12.0  # seconds, from the start of the server on: postern tries to connect every 5 s at last


@pytest.fixture(name="host")
def a_host(hosts, redis, prefix):
    """A daemon, and the Redis that it uses, which runs again when the test is over."""
    yield hosts(redis, redis_key_prefix=prefix, window_minutes=60)
    redis.go_on()
    if redis.process.poll() is not None:
        redis.start()


@pytest.fixture(name="watcher")
def a_watcher(host):
    folder = host.postern.folder / "watch"
    for one in (folder, folder / "state"):
        one.mkdir()
    folder.chmod(0o755)
    (folder / "state").chmod(0o777)
    log = folder / "mail.log"
    log.touch()
    one = Watcher(host.postern, log, folder)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()


@contextlib.contextmanager
def away(redis, how):
    """Meanwhile it is killed, or takes connections and answers nothing."""
    redis.kill() if how == "killed" else redis.pause()
    try:
        yield
    finally:
        redis.start() if how == "killed" else redis.go_on()


def entries(host):
    """The addresses with their dates."""
    words = [line.split() for line in host.control("dump").stdout.splitlines()]
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()}


def wait_for_grants(host, addresses, seconds=RETURN):
    """Returns how long it took."""
    begun = time.monotonic()
    with host.map() as asked:
        tools.wait_for(lambda: all(asked.relays(one) for one in addresses), f"{addresses} to relay\n{host.store()}", timeout=seconds, pause=0.05)
    return time.monotonic() - begun


class Clients(threading.Thread):
    """They log in, some a second, until it is said otherwise; the server logs it."""

    def __init__(self, log, pause):
        super().__init__(daemon=True)
        self.log, self.pause, self.count, self.is_over = log, pause, 0, False

    def run(self):
        with open(self.log, "ab", buffering=0) as log:
            while not self.is_over:
                self.count += 1
                log.write(login(self.count))
                time.sleep(self.pause)

    def end(self):
        self.is_over = True
        self.join(20)
        return self.count


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_watcher_under_load(host, redis, watcher, how):
    """Redis goes and comes back while hundreds log in each second: each login is told until it is recorded, and then no more."""
    watcher.start("--state", watcher.folder / "state" / "place")
    clients = Clients(watcher.log, 0.003)
    clients.start()
    outages = (0.2, 5.0, 1.0)
    for seconds in outages:
        time.sleep(random.uniform(0.5, 1.5))
        with away(redis, how):
            time.sleep(seconds)
        tools.wait_for(lambda: host.store()["usable"], "the store", timeout=20, pause=0.05)
    time.sleep(2)
    count = clients.end()
    assert count > 1000
    tools.wait_for(lambda: host.store()["granted"] >= count, f"{count} logins\n{host.store()}{watcher.text()}", timeout=30)
    time.sleep(1)
    assert set(entries(host)) == {address(number) for number in range(1, count + 1)}
    assert host.store()["granted"] == count and host.store()["logins_kept"] == 0
    watcher.end()
    said = watcher.text()
    print(said)
    assert f"logins={count} logouts=0 refused=0 expired=0" in said
    states = re.findall("state=(stalled|goes_on)", said)
    assert states == ["stalled", "goes_on"] * (len(states) // 2) and 1 <= len(states) // 2 <= 2 * len(outages), said


def test_watcher_that_is_restarted_meanwhile(host, redis, watcher):
    keeps = ("--state", watcher.folder / "state" / "place")
    watcher.start(*keeps)
    with open(watcher.log, "ab", buffering=0) as log:
        log.write(b"".join(map(login, range(1, 101))))
        tools.wait_for(lambda: len(entries(host)) == 100, "the first logins")
        with away(redis, "killed"):
            log.write(b"".join(map(login, range(101, 301))))
            tools.wait_for(lambda: "state=stalled" in watcher.text(), "the trouble")
            watcher.end()
            watcher.start(*keeps)
            time.sleep(1.5)
    tools.wait_for(lambda: host.store()["usable"], "the store")
    tools.wait_for(lambda: len(entries(host)) == 300, f"all logins\n{watcher.text()}", timeout=30)
    assert host.store()["granted"] == 300
    watcher.end()


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_logins_that_are_told_once(host, redis, how):
    """Of a hook, say: with and without a session, and one that ends meanwhile. Nobody else gets anything."""
    with host.popauth() as told:
        assert told.login("10.1.0.9", "session=9")
        begun = int(time.time())
        with away(redis, how):
            for line in ("login 10.1.0.1 user=ann", "login 10.1.0.2 user=bob session=2", "login 10.1.0.3 user=cat session=3",
                         "logout 10.1.0.3 session=3", "logout 10.1.0.9 session=9", "login 10.1.0.4 keep=no", "add 10.1.0.5"):
                answer = told.tell(line)
                assert answer.startswith("err temporary: "), (line, answer)
            assert told.slowest < TIMEOUT_MS / 1000 + SLACK
            store = host.store()
            assert store["logins_kept"] == 3 and store["sessions"]["open"] == 1 and store["sessions"]["owed"] == 1
            ended = int(time.time())
            time.sleep(2.5)
        took = wait_for_grants(host, [f"10.1.0.{number}" for number in (1, 2, 3, 9)])
        print(f"granted {took:.1f} s after the return")
        if how == "killed":  # else the server does what it was sent before
            assert not any(host.relays(f"10.1.0.{number}") for number in (4, 5))
        tools.wait_for(lambda: host.store()["logins_kept"] == 0 and host.store()["sessions"]["owed"] == 0, "all that was kept")
        dates = entries(host)
        assert all(begun <= dates[f"10.1.0.{number}"] <= ended for number in (1, 3, 9)), dates
        assert dates["10.1.0.2"] > ended
        assert told.tell("logout 10.1.0.2 session=2") == "ok"
    assert [entry["state"] for entry in host.postern.entries(event="kept")] == ["begins", "over"]


def test_refused_when_it_is_back(hosts, redis, prefix):
    """Who logged in meanwhile and may not ends nobody else's session behind the same address."""
    host = hosts(redis, redis_key_prefix=prefix, window_minutes=60, addresses_per_user=1, addresses_exceeded="refuse")
    with host.popauth() as told:
        assert told.tell("login 10.1.0.1 user=ann session=a") == "ok"
        assert told.tell("login 10.1.0.2 user=bob session=b") == "ok"
        with away(redis, "killed"):
            assert told.tell("login 10.1.0.1 user=bob session=c").startswith("err temporary: ")
            assert host.store()["sessions"]["open"] == 3
        tools.wait_for(lambda: host.store()["sessions"]["owed"] == 0, "the answer", timeout=RETURN)
        assert host.store()["sessions"]["open"] == 2
        assert [entry["client"] for entry in host.postern.entries(event="sessions", result="forgotten")] == ["10.1.0.1"]
        assert "10.1.0.1" in entries(host)
        assert told.tell("logout 10.1.0.1 session=a") == "ok"
        assert host.store()["sessions"]["open"] == 1


def test_daemon_that_is_stopped_meanwhile(host, redis):
    """What it has kept until then is lost, with and without a session, and the log says so."""
    with away(redis, "killed"):
        with host.popauth() as told:
            for line in ("login 10.1.0.1 user=ann", "login 10.1.0.2 user=bob session=2", "login 10.1.0.3 user=cat session=3"):
                assert told.tell(line).startswith("err temporary: ")
        host.postern.stop()
        (lost,) = [entry for entry in host.postern.entries(event="sessions") if entry["result"] == "lost"]
        assert lost["count"] == "2" and lost["reason"] == "the daemon ends"
        assert [entry["result"] for entry in host.postern.entries(event="login", client="10.1.0.1")] == ["kept", "failed"]


def test_a_whole_minute_of_logins(host, redis):
    """More than one attempt takes at once."""
    count = 2000
    with away(redis, "killed"):
        with host.popauth() as told:
            for number in range(1, count + 1):
                told.tell(f"login {address(number)} user=u{number}")
        assert host.store()["logins_kept"] == count
    wait_for_grants(host, [address(number) for number in (1, count // 2, count)])
    tools.wait_for(lambda: len(entries(host)) == count, "all of them")
    (over,) = [entry for entry in host.postern.entries(event="kept") if entry["state"] == "over"]
    assert over["recorded"] == str(count) and over["lost"] == "0"


def test_hook(host, redis):
    """It says that the login will be recorded, takes no longer than ever, and it is."""
    hook = [program("postern-login"), "-s", host.sockets / "popauth.sock", "/bin/true"]
    with away(redis, "killed"):
        begun = time.monotonic()
        done = subprocess.run(hook, env={**os.environ, "IP": "10.2.0.1", "USER": "ann"}, capture_output=True, text=True, timeout=20, check=True)
        assert time.monotonic() - begun < HOOK_SECONDS + SLACK
        assert re.fullmatch(r"postern-login: 10\.2\.0\.1 is not recorded yet: [^\n]+\n", done.stderr), done.stderr
    wait_for_grants(host, ["10.2.0.1"])


def test_events_of_dovecot(hosts, redis, prefix, workspace):
    """Dovecot tells of a login once, and nobody can tell it that it was in vain: who stays logged in, who is gone again, and who comes after."""
    folder = workspace / unique("events")
    folder.mkdir()
    shutil.chown(folder, DAEMON_USER, GROUP)
    host = hosts(redis, redis_key_prefix=prefix, running=False)
    host.postern.write_config(popauth_socket=str(folder / "popauth.sock"))
    host.postern.start()
    with contextlib.closing(Dovecot24(workspace / unique("dovecot24"), folder / "popauth.sock", (USER,))) as dovecot:
        with away(redis, "killed"):
            stays = dovecot.imap("127.84.3.1")
            dovecot.pop3("127.84.3.2").quit()
            tools.wait_for(lambda: host.store()["sessions"]["open"] == 1 and host.store()["logins_kept"] == 1, f"the events\n{host.postern.log()[-3000:]}")
            time.sleep(5)
        took = wait_for_grants(host, ["127.84.3.1", "127.84.3.2"])
        print(f"granted {took:.1f} s after the return")
        dovecot.pop3("127.84.3.3").quit()
        wait_for_grants(host, ["127.84.3.3"])
        stays.logout()
        tools.wait_for(lambda: host.store()["sessions"]["open"] == 0, "the end of the session")
        assert host.relays("127.84.3.1")
