# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis that answers late, but does answer: questions wait side by side, none for much longer than timeout_ms. And a window that begins to count, or ceases to."""

import contextlib
import socket
import threading
import time

import pytest

from harness import tools
from harness.redis_host import SLACK, left

HOME = "127.86.0.1"
LIMIT_MS = 1000  # timeout_ms; a decision that also counts recipients asks twice


class Slow:
    """Between a daemon and its Redis: what the server says arrives so many seconds later."""

    def __init__(self, port):
        self.delay = 0
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source, target, late):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if late:
                    time.sleep(self.delay)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()


@pytest.fixture(name="slow")
def slow_redis(redis):
    one = Slow(redis.port)
    yield one
    one.close()


def ask_map(host, _number):
    with host.map() as asked:
        return asked.relays(HOME)


def ask_policy(host, number):
    question = {
        "request": "smtpd_access_policy", "protocol_state": "RCPT", "client_address": HOME, "client_name": "unknown",
        "sender": "a@neutral.test", "recipient": f"r{number}@outside.test", "instance": f"i{number}",
    }
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(60)
        asked.connect(str(host.sockets / "policy.sock"))
        asked.sendall("".join(f"{name}={value}\n" for name, value in question.items()).encode() + b"\n")
        return asked.recv(1000).startswith(b"action=OK")


def ask_at_once(ask, host, count):
    """The answers, and how long the slowest took."""
    answers, seconds = [], []

    def one(number):
        begun = time.monotonic()
        answers.append(ask(host, number))
        seconds.append(time.monotonic() - begun)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == count
    return answers, max(seconds)


@pytest.mark.parametrize("ask,more", [(ask_map, {}), (ask_policy, {"recipients_per_hour": 1000})])
def test_many_questions(hosts, redis, slow, prefix, ask, more):
    host = hosts(redis, redis_key_prefix=prefix, redis_url=f"redis://127.0.0.1:{slow.port}", timeout_ms=LIMIT_MS, **more)
    assert host.login(HOME)
    slow.delay = 0.3
    answers, slowest = ask_at_once(ask, host, 40)
    assert all(answers)
    assert slowest < 2 * LIMIT_MS / 1000 + SLACK


def test_more_questions_than_can_wait(hosts, redis, slow, prefix):
    """Those whose turn comes too late are answered no, without another wait."""
    host = hosts(redis, redis_key_prefix=prefix, redis_url=f"redis://127.0.0.1:{slow.port}", timeout_ms=LIMIT_MS)
    assert host.login(HOME)
    slow.delay = 0.8
    answers, slowest = ask_at_once(ask_map, host, 400)
    assert any(answers) and not all(answers)
    assert slowest < 2 * LIMIT_MS / 1000 + SLACK
    assert any("waited for its turn" in entry["error"] for entry in host.postern.entries(event="map") if "error" in entry)
    slow.delay = 0
    assert host.relays(HOME)


@pytest.mark.parametrize("reload", [True, False])
def test_window_of_entries_that_had_none(hosts, redis, prefix, reload):
    """What is over by the new window goes, with all that is kept of it; it does not come back when nothing ends by itself again."""
    host = hosts(redis, redis_key_prefix=prefix, window_minutes=0)
    old = int(time.time()) - 7200
    host.control("load", input="".join(f"10.7.{number // 250}.{number % 250} {old} user=u\n" for number in range(2000)))
    assert host.relays("10.7.0.1") and left(redis, prefix, "10.7.0.1") == -1
    host.postern.write_config(relay_store={"window_minutes": 60})
    if reload:
        host.postern.control("reload")
        assert host.login("192.0.2.1")
    else:
        host.postern.stop()
        host.postern.start()
    assert not host.relays("10.7.0.1")
    tools.wait_for(lambda: len(redis.keys(f"{prefix}*:10.7.*")) == 0, "the server to forget them", timeout=20)
    host.postern.write_config(relay_store={"window_minutes": 0})
    host.postern.control("reload")
    assert not host.relays("10.7.0.1")
    assert "10.7." not in host.control("dump").stdout
