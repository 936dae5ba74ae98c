# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of logins are the same with both back ends; and with one Redis, of two hosts together."""

import itertools
import socket

import pytest

from harness.postern import Postern
from harness.questions import Login
from harness.redis import Redis
from harness.site import unique

ANN = "ann@neutral.test"
OK = "OK"
NOBODY = "DUNNO"
HOUR = "DEFER_IF_REJECT 4.7.1 Too many recipients within an hour that are relayed because of a login"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def redis(workspace):
    one = Redis(workspace / "limits-redis")
    yield one
    one.close()


@pytest.fixture(params=["gdbm", "redis"])
def backend(request):
    return request.param


class Host:
    """A daemon without a mail server."""

    def __init__(self, folder, **store):
        self.sockets = folder / "sock"
        folder.mkdir()
        self.sockets.mkdir()
        for path in (folder, self.sockets):
            path.chmod(0o755)
        self.postern = Postern(folder / "daemon", self.sockets / "milter.sock", sockets=("popauth", "policy"), relay_store=store)
        self.postern.makemap()
        self.postern.start()

    def login(self, address, user=ANN):
        with Login(self.sockets / "popauth.sock") as told:
            return told.tell(f"login {address} user={user}")

    def ask(self, address, sender=ANN, recipient="x@outside.test"):
        """What Postfix is answered about a message of its own."""
        request = (
            "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_name=unknown\n"
            f"client_address={address}\nsender={sender}\nrecipient={recipient}\ninstance={next(_numbers)}.1.0\n\n"
        )
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(self.sockets / "policy.sock"))
            client.sendall(request.encode())
            return client.makefile().readline().strip().removeprefix("action=")

    def excesses(self):
        entries = self.postern.entries(event="too_many_addresses")
        return [(entry["client"], entry["addresses"], entry["result"], entry.get("withdrawn")) for entry in entries]


@pytest.fixture(name="hosts")
def some_hosts(workspace, redis):
    """Starts daemons: alone, or two with one Redis."""
    started = []

    def start(kind, count=1, **store):
        prefix = unique("limits") + ":"
        where = {"backend": "redis", "redis_url": redis.url(), "redis_key_prefix": prefix} if kind == "redis" else {}
        for _ in range(count):
            started.append(Host(workspace / unique("limits-host"), **where, **store))
        return started[0] if count == 1 else started

    yield start
    for host in started:
        host.postern.discard()


def test_an_hour(hosts, backend):
    host = hosts(backend, recipients_per_hour=2)
    assert (host.login("192.0.2.1"), host.login("192.0.2.2")) == ("ok", "ok")
    assert [host.ask("192.0.2.1") for _ in range(4)] == [OK, OK, HOUR, HOUR]
    assert host.ask("192.0.2.2") == OK
    # another login of the address begins no other hour
    assert host.login("192.0.2.1") == "ok"
    assert host.ask("192.0.2.1") == HOUR
    assert host.ask("192.0.2.3") == NOBODY


def test_a_network_has_one_hour(hosts, backend):
    host = hosts(backend, recipients_per_hour=2, ipv6_prefix_bits=64)
    assert host.login("2001:db8::1") == "ok"
    assert [host.ask(f"2001:db8::{number}") for number in (1, 2, 3)] == [OK, OK, HOUR]


def test_addresses_are_logged(hosts, backend):
    host = hosts(backend, addresses_per_user=2)
    homes = [f"192.0.2.{number}" for number in range(1, 5)]
    assert [host.login(home) for home in homes * 2] == ["ok"] * 8
    assert host.excesses() == [(homes[2], "3", "granted", None), (homes[3], "4", "granted", None)]
    assert [host.ask(home) for home in homes] == [OK] * 4


def test_addresses_are_refused(hosts, backend):
    host = hosts(backend, addresses_per_user=2, addresses_exceeded="refuse")
    assert [host.login(home) for home in ("192.0.2.1", "192.0.2.2")] == ["ok", "ok"]
    refused = "err the user has come from more than 2 addresses (relay_store: addresses_per_user)"
    assert [host.login("192.0.2.3", user) for user in (ANN, ANN.upper())] == [refused, refused]
    assert [host.login(home) for home in ("192.0.2.1", "192.0.2.2")] == ["ok", "ok"]
    assert host.login("192.0.2.3", "bob@neutral.test") == "ok"
    assert [host.ask(f"192.0.2.{number}") for number in (1, 2, 3, 4)] == [OK, OK, OK, NOBODY]
    assert host.excesses() == [("192.0.2.3", "3", "refused", None)]


def test_addresses_are_withdrawn(hosts, backend):
    host = hosts(backend, addresses_per_user=2, addresses_exceeded="withdraw")
    assert [host.login(home) for home in ("192.0.2.1", "192.0.2.2")] == ["ok", "ok"]
    host.postern.control("relay", "add", "192.0.2.8", "--user", "Ann@neutral.test")
    assert host.login("192.0.2.9", "bob@neutral.test") == "ok"
    assert host.login("192.0.2.3").startswith("err the user has come from more than 2 ")
    assert [host.ask(f"192.0.2.{number}") for number in (1, 2, 3, 8, 9)] == [NOBODY] * 4 + [OK]
    assert host.login("192.0.2.1").startswith("err ")
    assert host.login("192.0.2.4").startswith("err ")
    assert host.excesses() == [("192.0.2.3", "3", "refused", "3"), ("192.0.2.4", "4", "refused", None)]


def test_two_hosts_share_an_hour(hosts):
    here, there = hosts("redis", count=2, recipients_per_hour=4)
    assert here.login("192.0.2.1") == "ok"
    assert [host.ask("192.0.2.1") for host in (here, there, there, here, there, here)] == [OK] * 4 + [HOUR] * 2


def test_two_hosts_share_what_a_user_may(hosts):
    here, there = hosts("redis", count=2, addresses_per_user=2, addresses_exceeded="withdraw")
    assert (here.login("192.0.2.1"), there.login("192.0.2.2")) == ("ok", "ok")
    assert [here.ask(home) for home in ("192.0.2.1", "192.0.2.2")] == [OK, OK]
    assert there.login("192.0.2.3").startswith("err ")
    assert [host.ask(home) for host in (here, there) for home in ("192.0.2.1", "192.0.2.2", "192.0.2.3")] == [NOBODY] * 6
    assert (here.excesses(), there.excesses()) == ([], [("192.0.2.3", "3", "refused", "2")])


def test_what_cannot_be_counted_is_not_permitted(hosts, workspace):
    """The login was known when it was asked for; then the server goes."""
    with_own = Redis(workspace / unique("counting-redis"))
    host = Host(workspace / unique("counting-host"), backend="redis", redis_url=with_own.url(), recipients_per_hour=100)
    try:
        assert host.login("192.0.2.1") == "ok"
        assert host.ask("192.0.2.1") == OK
        with_own.ask("CONFIG", "SET", "min-replicas-to-write", "1")  # it can be read, and not written
        assert host.ask("192.0.2.1").startswith("DEFER_IF_REJECT 4.3.0 ")
        with_own.ask("CONFIG", "SET", "min-replicas-to-write", "0")
        assert host.ask("192.0.2.1") == OK
        with_own.kill()
        assert host.ask("192.0.2.1") == NOBODY
    finally:
        host.postern.discard()
        with_own.close()
