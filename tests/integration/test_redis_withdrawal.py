# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to Redis that ends while the entries of a user are withdrawn: none of them stays, and the log tells of the user."""

import socket
import threading
import time

import pytest

from harness import tools
from harness.redis_host import wait_until_stored

LOADED = [f"10.8.0.{number}" for number in range(1, 6)]  # of eve, and no logins of hers
GRANTED = ["10.9.0.1", "10.9.0.2"]
ONE_TOO_MANY = "10.9.0.3"
SEARCH = b"user_of(get(k)) == ARGV[3]"  # a part of the script that looks at all entries
EXECUTED = 0.3  # seconds, for the server


class Cutter:
    """A way to Redis that ends all its connections, once: at a request that has these bytes."""

    def __init__(self, server):
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._at = self._open = ()
        self._is_obeyed = False
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut_at(self, part, is_obeyed):
        """`is_obeyed`: the server has the request, and its answer is lost."""
        with self._lock:
            self._at, self._is_obeyed = (part,), is_obeyed

    def was_cut(self):
        return not self._at

    def close(self):
        self._listener.close()
        self._end()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server.port))
            with self._lock:
                self._open += (client, server)
            silent = threading.Event()
            for pump in (self._requests, self._answers):
                threading.Thread(target=pump, args=(client, server, silent), daemon=True).start()

    def _end(self):
        with self._lock:
            sockets, self._open = self._open, ()
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _is_here(self, data):
        with self._lock:
            here = any(part in data for part in self._at)
            self._at = () if here else self._at
        return here

    def _requests(self, client, server, silent):
        try:
            while data := client.recv(1 << 20):
                if self._is_here(data):
                    silent.set()
                    if self._is_obeyed:
                        server.sendall(data)
                        time.sleep(EXECUTED)
                    break
                server.sendall(data)
        except OSError:
            pass
        if silent.is_set():
            self._end()
        server.close()

    @staticmethod
    def _answers(client, server, silent):
        try:
            while data := server.recv(1 << 20):
                if not silent.is_set():
                    client.sendall(data)
        except OSError:
            pass
        client.close()


@pytest.fixture(name="cutter")
def a_cutter(redis):
    one = Cutter(redis)
    yield one
    one.close()


@pytest.fixture(name="host")
def a_host(hosts, redis, prefix, cutter):
    return begin(hosts, redis, prefix, redis_url=cutter.url)


def begin(hosts, redis, prefix, **keys):
    return hosts(redis, redis_key_prefix=prefix, window_minutes=60, addresses_per_user=2, addresses_exceeded="withdraw", **keys)


def grant(host):
    host.control("load", input="".join(f"{address} {int(time.time())} user=eve\n" for address in LOADED))
    for address in GRANTED:
        assert host.login(address, "user=eve")


def tell(host, address):
    with host.popauth() as told:
        return told.tell(f"login {address} user=eve")


def left(host):
    return [address for address in LOADED + GRANTED + [ONE_TOO_MANY] if host.relays(address)]


def excesses(host):
    entries = host.postern.entries(event="too_many_addresses")
    assert {entry["result"] for entry in entries} <= {"refused"}
    return [entry["client"] for entry in entries], sum(int(entry.get("withdrawn", 0)) for entry in entries)


@pytest.mark.parametrize("is_obeyed", [False, True], ids=["before", "behind"])
def test_the_search_is_interrupted(host, cutter, redis, prefix, is_obeyed):
    """The login is kept, and with it what is to be done."""
    grant(host)
    cutter.cut_at(SEARCH, is_obeyed)
    assert tell(host, ONE_TOO_MANY).startswith("err temporary: ")
    assert cutter.was_cut()
    tools.wait_for(lambda: host.postern.entries(event="kept", state="over"), "the login to be refused", timeout=15)
    assert left(host) == []
    assert redis.keys(f"{prefix}relay-disown:*") == []
    clients, withdrawn = excesses(host)
    assert set(clients) == {ONE_TOO_MANY}
    assert withdrawn == (2 if is_obeyed else 7)


def test_another_login_finishes_it(hosts, host, cutter, redis, prefix):
    """At another host, too; whoever told of the first one need not come again."""
    other = begin(hosts, redis, prefix)
    grant(host)
    cutter.cut_at(SEARCH, is_obeyed=False)
    with host.popauth() as told:
        assert told.tell(f"login {ONE_TOO_MANY} user=eve keep=no").startswith("err temporary: ")
    wait_until_stored(host)
    assert set(left(other)) == set(LOADED)
    assert 3500 < redis.ask("TTL", f"{prefix}relay-disown:eve") <= 3600
    assert tell(other, "10.9.0.4").startswith("err the user has come from more than 2 ")
    assert left(other) == left(host) == []
    assert redis.keys(f"{prefix}relay-disown:*") == []
    assert (excesses(host), excesses(other)) == (([ONE_TOO_MANY], 2), (["10.9.0.4"], 5))
    # It is done once: what an administrator lets in stays.
    host.control("add", LOADED[0], "--user", "eve")
    assert tell(host, "10.9.0.5").startswith("err the user ")
    assert left(host) == [LOADED[0]]


def test_the_answer_to_the_login_is_lost(host, cutter):
    """The server has counted the address already when it is told again."""
    grant(host)
    cutter.cut_at(ONE_TOO_MANY.encode(), is_obeyed=True)
    assert tell(host, ONE_TOO_MANY).startswith("err temporary: ")
    tools.wait_for(lambda: host.postern.entries(event="kept", state="over"), "the login to be refused", timeout=15)
    assert left(host) == []
    assert excesses(host) == ([ONE_TOO_MANY], 5)
