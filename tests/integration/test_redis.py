# SPDX-License-Identifier: GPL-3.0-or-later
"""Two daemons with one real Redis: who logs in at one relays at the other, also while Redis is killed and comes back."""

import itertools
import random
import threading
import time

import pytest

from harness import tools
from harness.redis import Redis
from harness.redis_host import OUTSIDE, SLACK, TIMEOUT_MS, left, wait_until, wait_until_stored
from harness.site import unique

STRANGERS = [f"127.99.0.{i}" for i in range(1, 250)]  # nobody ever logs in from there

_addresses = itertools.count(1)


@pytest.fixture(name="home")
def an_address():
    """A client's address that no other test has."""
    number = next(_addresses)
    return f"127.84.{number // 250}.{number % 250 + 1}"


@pytest.fixture(name="pair")
def two_hosts(hosts, redis, prefix):
    return hosts(redis, redis_key_prefix=prefix), hosts(redis, redis_key_prefix=prefix)


# ---- sharing


def test_login_at_one_relays_at_the_other(hosts, servers, redis, prefix, home):
    """Through Postfix, which asks one daemon, and Sendmail, which asks the other."""
    first = hosts(redis, mta=servers("asking-postfix"), redis_key_prefix=prefix)
    second = hosts(redis, mta=servers("drac-sendmail"), redis_key_prefix=prefix)
    for here, there, source in ((first, second, home), (second, first, "127.84.200.1")):
        assert here.rcpt(source)[0].code in (550, 554)
        assert there.rcpt(source)[0].code in (550, 554)
        assert here.login(source, "user=ann service=imap session=1")
        assert there.rcpt(source)[0].ok
        assert here.rcpt(source)[0].ok
        assert there.rcpt("127.84.250.1")[0].code in (550, 554)
        there.control("remove", source)
        assert here.rcpt(source)[0].code in (550, 554)
        assert there.rcpt(source)[0].code in (550, 554)


def test_what_the_other_sees(pair, home):
    first, second = pair
    assert first.login(home, "user=ann%20b service=pop3")
    line = second.control("dump").stdout.splitlines()[-1]
    assert line.startswith(f"{home} ") and line.endswith(" user=ann%20b service=pop3")
    assert first.control("dump").stdout == second.control("dump").stdout
    second.control("add", "10.9.8.7", "--user", "root")
    assert first.relays("10.9.8.7")
    later = int(time.time()) + 5
    first.control("load", input=f"{home} {later}\n")
    assert second.relays(home)
    assert not second.relays("10.9.8.7")
    assert second.control("dump").stdout.splitlines()[-1] == f"{home} {later}"
    second.control("expire")
    assert not first.relays(home)


def test_the_youngest_login_counts(pair, home):
    first, second = pair
    future = int(time.time()) + 5000
    first.control("load", input=f"{home} {future} user=ann\n")
    assert second.login(home, "user=bob")
    assert second.control("dump").stdout.splitlines()[-1] == f"{home} {future} user=ann"


def test_prefixes_of_ipv6(hosts, redis, prefix):
    first = hosts(redis, redis_key_prefix=prefix, ipv6_prefix_bits=64)
    second = hosts(redis, redis_key_prefix=prefix)
    assert not second.relays("2001:db8:1:2::9")
    assert first.login("2001:db8:1:2:3:4:5:6")
    for host in (first, second):
        assert host.relays("2001:db8:1:2::9")
        assert host.relays("IPv6:2001:db8:1:2:ffff::1")
        assert not host.relays("2001:db8:1:3::9")
    first.control("add", "2001:db8:aaaa::/52")
    for host in (first, second):
        tools.wait_for(lambda asked=host: asked.relays("2001:db8:aaaa:fff::1"), "a network of another length", timeout=5)
        assert not host.relays("2001:db8:aaaa:1000::1")
    first.control("remove", "2001:db8:1:2::/64")
    assert not second.relays("2001:db8:1:2::9")


def test_neighbours_in_one_server(hosts, redis, prefix, home):
    """Prefixes and databases keep sites apart, and keys of others are not looked at."""
    redis.ask("SET", f"{prefix}x", "somebody's")
    redis.ask("SET", f"relay:{home}", "1 user=nobody")
    first = hosts(redis, redis_key_prefix=f"{prefix}a:")
    second = hosts(redis, redis_key_prefix=f"{prefix}b:")
    third = hosts(redis, redis_key_prefix=f"{prefix}a:", redis_url=redis.url(database=3))
    assert first.login(home)
    assert first.relays(home)
    assert not second.relays(home) and not third.relays(home)
    assert third.login("10.1.1.1")
    assert not first.relays("10.1.1.1")
    for host in (second, third):
        host.control("expire")
    assert first.relays(home)
    assert redis.ask("GET", f"{prefix}x") == "somebody's"
    assert redis.ask("GET", f"relay:{home}") == "1 user=nobody"
    assert all(key.startswith(f"{prefix}a:") for key in redis.keys(database=3))
    redis.ask("DEL", f"relay:{home}", f"{prefix}x")


def test_unix_socket(hosts, redis, prefix, home):
    first = hosts(redis, redis_key_prefix=prefix, redis_url=redis.url("unix", database=5))
    second = hosts(redis, redis_key_prefix=prefix, redis_url=redis.url(database=5))
    assert first.login(home)
    assert second.relays(home)


def test_expiry_by_the_server(hosts, redis, prefix, home):
    first = hosts(redis, redis_key_prefix=prefix, window_minutes=1)
    second = hosts(redis, redis_key_prefix=prefix, window_minutes=1)
    now = int(time.time())
    first.control("load", input=f"{home} {now - 56}\n10.2.2.2 {now + 60}\n")
    assert second.relays(home)
    assert 0 < left(redis, prefix, home) <= 5000
    assert 110000 < left(redis, prefix, "10.2.2.2") <= 121000
    tools.wait_for(lambda: not second.relays(home), "the window to end", timeout=8)
    tools.wait_for(lambda: left(redis, prefix, home) == -2, "the server to forget it", timeout=3)
    assert time.time() >= now + 4
    assert second.relays("10.2.2.2")
    assert first.login(home)
    assert second.relays(home)
    assert 55000 < left(redis, prefix, home) <= 60000
    # Without a window nothing expires.
    third = hosts(redis, redis_key_prefix=prefix + "for-ever:")
    assert third.login(home)
    assert left(redis, prefix + "for-ever:", home) == -1


def test_values_that_are_none(hosts, redis, prefix, home):
    """What others wrote below the prefix grants nothing, and stops nothing."""
    host = hosts(redis, redis_key_prefix=prefix)
    for number, value in enumerate(["", "nonsense", "-5", "99999999999999999999 user=x", "1" * 4000, "5 user=%zz", "\0\1"]):
        redis.ask("SET", f"{prefix}relay:10.3.3.{number}", value)
        assert not host.relays(f"10.3.3.{number}"), value
    redis.ask("RPUSH", f"{prefix}relay:10.3.3.100", "a", "list")
    assert not host.relays("10.3.3.100")
    redis.ask("SET", f"{prefix}relay:not-an-address", f"{int(time.time())}")
    redis.ask("SET", f"{prefix}relay:0.0.0.0/0", f"{int(time.time())}")
    redis.ask("SET", f"{prefix}relay:::/0", f"{int(time.time())}")
    assert not host.relays("10.3.3.200") and not host.relays("2001:db8::1")
    assert host.login(home)
    assert [line.split()[0] for line in host.control("dump").stdout.splitlines() if line[0] != "#"] == [home]
    host.control("expire")
    assert not host.relays(home)


def explain(host, source):
    words = ["explain", "--client", source, "--from", "s@neutral.test", "--rcpt", OUTSIDE]
    return host.postern.control(*words)


def test_explain(hosts, servers, workspace, home):
    """It asks the daemon, the server if none runs, and nobody if that is away."""
    server = Redis(workspace / unique("explained-redis"))
    try:
        host = hosts(server, mta=servers("open-postfix"), mode="milter")
        for _ in range(2):
            assert "550 5.7.1" in explain(host, home).stdout
            host.control("add", home, "--user", "ann")
            told = explain(host, home)
            assert "logged in" in told.stdout and "550" not in told.stdout and told.stderr == ""
            host.control("remove", home)
            host.postern.stop()
        host.control("add", home)
        server.kill()
        told = explain(host, home)
        assert "550 5.7.1" in told.stdout
        assert "warning" in told.stderr and server.url() in told.stderr
    finally:
        server.close()


# ---- limits and sessions of all hosts together


def test_recipients_of_an_hour(hosts, servers, redis, prefix, home):
    """What Postfix takes and what Sendmail takes is one account."""
    limits = {"redis_key_prefix": prefix, "recipients_per_hour": 5, "mode": "milter"}
    first = hosts(redis, mta=servers("open-postfix"), **limits)
    second = hosts(redis, mta=servers("open-sendmail"), **limits)
    assert first.login(home) and second.login("127.84.201.1")
    replies = [host.rcpt(home)[0].code for host in (first, second, first, second, first, second, first)]
    assert [code // 100 for code in replies] == [2, 2, 2, 2, 2, 4, 4]
    assert second.rcpt("127.84.201.1")[0].ok
    assert first.login(home)
    assert first.rcpt(home)[0].code // 100 == 4, "another login is no other hour"
    redis.kill()
    try:
        assert first.rcpt("127.84.201.1")[0].code >= 400
    finally:
        redis.start()
    wait_until_stored(first)
    assert first.rcpt(home)[0].code // 100 == 4, "nor is another start of the server"
    assert first.rcpt("127.84.201.1")[0].ok


def test_session_at_one_host(hosts, redis, prefix, home):
    """The window begins with the logout, for the other host too; what the other one withdraws is not granted again."""
    first = hosts(redis, redis_key_prefix=prefix, window_minutes=1)
    second = hosts(redis, redis_key_prefix=prefix, window_minutes=1)
    with first.popauth() as told:
        assert told.tell(f"login {home} user=ann session=7") == "ok"
        assert told.tell("login 10.1.1.8 user=bob session=8") == "ok"
        tools.wait_for(lambda: left(redis, prefix, home) < 58000, "two seconds of the window", timeout=5)
        second.control("remove", "10.1.1.8")
        assert told.tell(f"logout {home} session=7") == "ok"
        assert told.tell("logout 10.1.1.8 session=8") == "ok"
    tools.wait_for(lambda: left(redis, prefix, home) > 58000, "the window to begin with the logout", timeout=5)
    assert second.relays(home)
    assert not first.relays("10.1.1.8")


# ---- Redis is killed in the middle of load


class Load:
    """Threads that log in and ask, and what they have seen."""

    def __init__(self, hosts):
        self.stop = threading.Event()
        self.away = threading.Event()  # Redis is not there, or was not when a question began
        self.acknowledged = []
        self.tried = set()
        self.refused = 0
        self.wrong = []
        self.asked = 0
        self.slowest_question = self.slowest_login = 0.0
        self._random = random.Random(7)
        self._threads = []
        for number, host in enumerate(hosts):
            for part in range(3):
                self._start(self._log_in, host, f"10.{number * 3 + part}")
            for _ in range(2):
                self._start(self._ask, host)

    def _start(self, run, *arguments):
        thread = threading.Thread(target=self._guard, args=(run, *arguments))
        thread.start()
        self._threads.append(thread)

    def _guard(self, run, *arguments):
        try:
            run(*arguments)
        except Exception as error:  # pylint: disable=broad-except  # told by end()
            self.wrong.append(repr(error))

    def _log_in(self, host, network):
        with host.popauth() as told:
            for number in range(1 << 16):
                if self.stop.is_set():
                    break
                address = f"{network}.{number >> 8}.{number & 255}"
                self.tried.add(address)
                if told.login(address, f"user=user{number % 100}"):
                    self.acknowledged.append(address)
                else:
                    self.refused += 1
                    time.sleep(0.01)
            self.slowest_login = max(self.slowest_login, told.slowest)

    def _ask(self, host):
        with host.map() as asked:
            while not self.stop.is_set():
                stranger = self._random.choice(STRANGERS)
                if asked.relays(stranger):
                    self.wrong.append(f"{stranger} never logged in")
                if self.acknowledged:
                    was_away = self.away.is_set()
                    address = self._random.choice(self.acknowledged)
                    if not asked.relays(address) and not was_away and not self.away.is_set():
                        self.wrong.append(f"{address} had logged in")
                self.asked += 2
            self.slowest_question = max(self.slowest_question, asked.slowest)

    def end(self):
        self.stop.set()
        for thread in self._threads:
            thread.join(60)
        assert self.wrong == []


def all_back(hosts, addresses):
    for host in hosts:
        wait_until(host, addresses[-1])


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_killed_and_restarted_under_load(hosts, redis, prefix, kind):
    """Nobody relays who did not log in, and nobody is forgotten whose login was acknowledged."""
    both = [hosts(redis, redis_key_prefix=prefix, redis_url=redis.url(kind)) for _ in range(2)]
    load = Load(both)
    try:
        for _ in range(4):
            tools.wait_for(lambda seen=len(load.acknowledged): len(load.acknowledged) > seen + 200, "logins", timeout=30)
            load.away.set()
            redis.kill()
            time.sleep(random.uniform(0.05, 0.6))
            redis.start()
            all_back(both, load.acknowledged)
            load.away.clear()
        tools.wait_for(lambda seen=len(load.acknowledged): len(load.acknowledged) > seen + 200, "logins", timeout=30)
    finally:
        load.end()
    assert load.refused > 0
    assert load.slowest_question < TIMEOUT_MS / 1000 + SLACK
    assert load.slowest_login < 5
    for host in both:
        there = {line.split()[0] for line in host.control("dump").stdout.splitlines() if not line.startswith("#")}
        assert set(load.acknowledged) - there == set()
        assert there - load.tried == set()
        with host.map() as asked:
            assert [one for one in load.acknowledged if not asked.relays(one)] == []
            assert [one for one in STRANGERS if asked.relays(one)] == []
        # Each outage is told when it begins and when it ends, not with each question.
        assert 8 <= len(host.postern.entries(event="relay_store")) <= 40, host.postern.log()


def test_killed_while_all_are_replaced(hosts, redis, prefix, home):
    """Whoever asks sees all of the old ones or all of the new ones, whenever the server ends."""
    first = hosts(redis, redis_key_prefix=prefix)
    second = hosts(redis, redis_key_prefix=prefix)
    now = int(time.time())
    sets = [{home: now, **{f"10.{kind}.{i // 250}.{i % 250}": now for i in range(3000)}} for kind in range(2)]
    texts = ["".join(f"{address} {date}\n" for address, date in entries.items()) for entries in sets]
    first.control("load", input=texts[0])
    done, away = threading.Event(), threading.Event()
    wrong = []

    def ask():
        with second.map() as asked:
            while not done.is_set():
                was_away = away.is_set()
                if not asked.relays(home) and not was_away and not away.is_set():
                    wrong.append("it is in all of them")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for number in range(1, 9):
            loader = threading.Thread(target=first.control, args=("load",), kwargs={"input": texts[number % 2], "check": False})
            if number % 2:
                away.set()
            loader.start()
            if number % 2:
                time.sleep(random.uniform(0.005, 0.15))
                redis.kill()
                loader.join()
                redis.start()
                wait_until(first, home)
                wait_until(second, home)
                away.clear()
            loader.join()
            there = {line.split()[0] for line in second.control("dump").stdout.splitlines() if not line.startswith("#")}
            assert there in [set(entries) for entries in sets]
    finally:
        done.set()
        thread.join(30)
    assert wrong == []


def test_redis_is_replaced_by_an_empty_one(hosts, workspace, home):
    """A server that has lost all grants nothing, and takes the logins that come."""
    server = Redis(workspace / unique("empty-redis"))
    try:
        host = hosts(server)
        assert host.login(home)
        server.ask("FLUSHALL")
        server.ask("SCRIPT", "FLUSH")
        assert not host.relays(home)
        assert host.login(home)
        assert host.relays(home)
        server.kill()
        for path in server.folder.glob("appendonlydir/*"):
            path.unlink()
        server.start()
        tools.wait_for(lambda: host.login("10.4.4.4"), "the store", pause=0.05)
        assert not host.relays(home)
        assert host.relays("10.4.4.4")
    finally:
        server.close()
