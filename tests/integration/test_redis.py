# SPDX-License-Identifier: GPL-3.0-or-later
"""Two daemons with one real Redis: who logs in at one relays at the other, also while Redis is killed, hangs, or refuses."""

import contextlib
import itertools
import json
import pathlib
import random
import shutil
import socket
import threading
import time

import pytest

from harness import relay, smtp, tools
from harness.postern import GROUP, USER, Postern
from harness.questions import Login, Map
from harness.redis import Redis
from harness.site import unique

OUTSIDE = "x@outside.test"
PASSWORD = "open sesame%"
TIMEOUT_MS = 500
SLACK = 1.0  # seconds, for everything else, on a machine that is busy
STRANGERS = [f"127.99.0.{i}" for i in range(1, 250)]  # nobody ever logs in from there

_addresses = itertools.count(1)


@pytest.fixture(name="home")
def an_address():
    """A client's address that no other test has."""
    number = next(_addresses)
    return f"127.84.{number // 250}.{number % 250 + 1}"


@pytest.fixture(scope="module")
def redis(workspace):
    one = Redis(workspace / "redis", password=PASSWORD)
    yield one
    one.close()


@pytest.fixture(name="prefix")
def a_key_prefix():
    return unique("postern") + ":"


class Host:
    """A daemon of its own with its sockets; before a mail server if there is one."""

    def __init__(self, folder, server=None, mta=None, mode="mta", **store):
        self.mta = mta
        self.sockets = mta.socket_folder if mta else folder / "sock"
        folder.mkdir()
        self.sockets.mkdir(exist_ok=True)
        for path in (folder, self.sockets):
            path.chmod(0o755)
        if server is not None:
            where = {"redis_url": server.url()}
            if server.password:
                where["redis_password_file"] = server.write_password(folder / "password")
                shutil.chown(folder / "password", USER, GROUP)
            store = {"backend": "redis", "timeout_ms": TIMEOUT_MS, **where, **store}
        settings = relay.keys(mta, mode) if mta else {}
        self.postern = Postern(
            folder / "daemon", self.sockets / "milter.sock", sockets=("popauth", "map", "policy"), relay_store=store, **settings
        )
        self.postern.makemap()

    def map(self):
        return Map(self.sockets / "map.sock")

    def popauth(self):
        return Login(self.sockets / "popauth.sock")

    def relays(self, address):
        with self.map() as asked:
            return asked.relays(address)

    def login(self, address, more=""):
        with self.popauth() as told:
            return told.login(address, more)

    def control(self, *words, **keywords):
        return self.postern.control("relay", *words, **keywords)

    def rcpt(self, source, address=OUTSIDE):
        """The reply to RCPT, and how long the session took."""
        begun = time.monotonic()
        with smtp.Client(self.mta.port, source, names_address=self.mta.name == "sendmail") as session:
            session.hello()
            reply = session.mail("s@neutral.test")
            reply = session.rcpt(address) if reply.ok else reply
        return reply, time.monotonic() - begun

    def store(self):
        return json.loads(self.postern.control("status", "--json").stdout)["relay_store"]

    def complaints(self):
        return [entry for entry in self.postern.entries(event="relay_store") if "warning" in entry or "error" in entry]


@pytest.fixture(name="hosts")
def some_hosts(request, workspace):
    """Starts daemons, which must end well with the test."""
    started = []

    def start(server=None, running=True, **keywords):
        started.append(Host(workspace / unique("redis-host"), server, **keywords))
        if running:
            started[-1].postern.start()
        return started[-1]

    yield start
    report = getattr(request.node, "report_call", None)
    good = report is not None and not report.failed
    try:
        for host in started:
            if good:
                host.postern.stop()
            else:
                print(f"--- postern.conf\n{host.postern.config.read_text()}--- postern\n{host.postern.log()[-8000:]}")
    finally:
        for host in started:
            host.postern.discard()


@pytest.fixture(name="pair")
def two_hosts(hosts, redis, prefix):
    return hosts(redis, redis_key_prefix=prefix), hosts(redis, redis_key_prefix=prefix)


def left(redis, prefix, address):
    """Milliseconds until the server forgets the entry; -1: it never does; -2: there is none."""
    entries_of_all = [key for key in redis.keys(f"{prefix}relay*") if key.endswith(f":{address}")]
    return redis.ask("PTTL", entries_of_all[-1]) if entries_of_all else -2


def wait_until(host, address):
    """The store is back: this address, which has logged in, relays."""
    tools.wait_for(lambda: host.relays(address), f"{address} to relay again", timeout=15, pause=0.05)


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


# ---- Redis is away, or hangs


def assert_no_one_waits(host, address, count=20):
    """Once the store is known to be away, nobody waits for it."""
    with host.map() as asked:
        for _ in range(count):
            assert not asked.relays(address)
        assert asked.slowest < 0.2


@pytest.mark.parametrize("server", ["asking-postfix", "drac-sendmail", "open-postfix", "open-sendmail"])
def test_away(hosts, servers, redis, prefix, home, server):
    """Mail sessions go on without waiting; it comes back by itself."""
    mta = servers(server)
    host = hosts(redis, mta=mta, redis_key_prefix=prefix, mode="milter" if server.startswith("open") else "mta")
    assert host.login(home)
    assert host.rcpt(home)[0].ok
    redis.kill()
    try:
        for _ in range(3):
            reply, seconds = host.rcpt(home)
            assert 400 <= reply.code < 600
            assert seconds < TIMEOUT_MS / 1000 + SLACK
        reply, seconds = host.rcpt(relay.FOREIGN, "joe@local.example")
        assert reply.ok and seconds < SLACK
        assert host.rcpt(relay.RELAY_CLIENT)[0].ok
        begun = time.monotonic()
        assert not host.login("10.5.5.5")
        assert time.monotonic() - begun < 5
        assert_no_one_waits(host, home)
        assert not host.store()["usable"]
        failure = host.store()["failure"]
        assert failure
        assert failure in host.postern.control("status").stdout
        assert len(host.complaints()) <= 4, host.complaints()
        refused = host.control("check", home, check=False)
        assert refused.returncode == 75 and failure in refused.stderr
    finally:
        redis.start()
    wait_until(host, home)
    assert host.rcpt(home)[0].ok
    assert host.store()["usable"] and "failure" not in host.store()
    assert host.login("10.5.5.5")


def test_hangs(hosts, redis, prefix, home):
    """Stopped with SIGSTOP it takes connections and answers nothing: the first questions wait, and no other."""
    host = hosts(redis, redis_key_prefix=prefix)
    assert host.login(home)
    redis.pause()
    try:
        times = []

        def ask():
            with host.map() as asked:
                times.append((asked.relays(home), asked.slowest))

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(times) == 30
        assert not any(found for found, _ in times)
        assert max(seconds for _, seconds in times) < TIMEOUT_MS / 1000 + 0.5
        assert_no_one_waits(host, home, 50)
        begun = time.monotonic()
        assert not host.login("10.6.6.6")
        assert time.monotonic() - begun < TIMEOUT_MS / 1000 + SLACK
        time.sleep(2)  # it is tried again, and still nobody waits
        assert_no_one_waits(host, home, 50)
    finally:
        redis.go_on()
    wait_until(host, home)
    assert host.login("10.6.6.6")
    assert host.relays("10.6.6.6")


def test_hangs_in_a_mail_session(hosts, servers, redis, prefix, home):
    host = hosts(redis, mta=servers("open-postfix"), redis_key_prefix=prefix, mode="milter")
    assert host.login(home)
    redis.pause()
    try:
        for limit in (TIMEOUT_MS / 1000 + SLACK, SLACK, SLACK):
            reply, seconds = host.rcpt(home)
            assert reply.code >= 400
            assert seconds < limit
    finally:
        redis.go_on()
    wait_until(host, home)
    assert host.rcpt(home)[0].ok


def test_slow_answers(hosts, redis, prefix, home):
    """A server that is busy for shorter than timeout_ms is waited for."""
    host = hosts(redis, redis_key_prefix=prefix, timeout_ms=3000)
    assert host.login(home)
    redis.pause()
    timer = threading.Timer(0.7, redis.go_on)
    timer.start()
    try:
        assert host.relays(home)
    finally:
        timer.join()
        redis.go_on()


@pytest.mark.parametrize(
    "trouble",
    [
        ("maxmemory", "1", "0"),  # -OOM
        ("min-replicas-to-write", "1", "0"),  # -NOREPLICAS
    ],
    ids=["full", "no-replica"],
)
def test_redis_that_takes_no_changes(hosts, redis, prefix, home, trouble):
    """It says why, questions do not become yes, and all is well again when it is."""
    name, bad, good = trouble
    host = hosts(redis, redis_key_prefix=prefix)
    assert host.login(home)
    redis.ask("CONFIG", "SET", name, bad)
    try:
        with host.popauth() as told:
            answer = told.tell("login 10.7.7.7")
        assert answer.startswith("err "), answer
        assert not host.relays("10.7.7.7")
    finally:
        redis.ask("CONFIG", "SET", name, good)
    tools.wait_for(lambda: host.login("10.7.7.7"), "changes", pause=0.1)
    assert host.relays("10.7.7.7") and host.relays(home)


def test_read_only_replica(hosts, redis, workspace, prefix, home):
    """A replica answers nothing that it has not got, and takes no logins: as if it were away, and said."""
    replica = Redis(workspace / unique("replica"), password=PASSWORD)
    try:
        replica.ask("CONFIG", "SET", "masterauth", PASSWORD)
        replica.ask("REPLICAOF", "127.0.0.1", redis.port)
        tools.wait_for(lambda: "master_link_status:up" in replica.ask("INFO", "replication"), "the replica")
        host = hosts(replica, redis_key_prefix=prefix)
        with host.popauth() as told:
            answer = told.tell(f"login {home}")
        assert answer.startswith("err "), answer
        tools.wait_for(host.complaints, "a complaint")
        assert any("READONLY" in str(entry) or "read only" in str(entry) for entry in host.complaints()), host.complaints()
        replica.ask("REPLICAOF", "NO", "ONE")
        tools.wait_for(lambda: host.login(home), "the store", pause=0.1)
        assert host.relays(home)
    finally:
        replica.close()


# ---- what is configured wrongly


class Stranger:
    """A server that is no Redis: it says something to whoever comes, or nothing."""

    def __init__(self, says):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._says = says
        self._clients = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._clients.append(client)
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client):
        with contextlib.suppress(OSError):
            while client.recv(4096):
                if self._says:
                    client.sendall(self._says)

    def close(self):
        for one in [self._listener, *self._clients]:
            one.close()


STRANGERS_SAY = {
    "nothing": b"",
    "http": b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "smtp": b"220 mx.example ESMTP\r\n500 what?\r\n",
    "yes": b"+OK\r\n" * 20,
    "numbers": b":1\r\n" * 20,
    "endless": b"$500000000\r\n" + b"x" * 100000,
    "deep": b"*1\r\n" * 5000,
    "zeros": b"\0" * 1000,
    "no-auth": b"-NOAUTH Authentication required.\r\n" * 5,
    "new-protocol": b"%1\r\n+a\r\n+b\r\n" * 5,
}


@pytest.mark.parametrize("says", sorted(STRANGERS_SAY))
def test_no_redis_at_that_port(hosts, says, home):
    """Postern serves, nobody relays, all of it in time, and it says what is wrong."""
    stranger = Stranger(STRANGERS_SAY[says])
    try:
        host = hosts(backend="redis", redis_url=f"redis://127.0.0.1:{stranger.port}/2", timeout_ms=TIMEOUT_MS)
        with host.map() as asked:
            for _ in range(5):
                assert not asked.relays(home)
            assert asked.slowest < TIMEOUT_MS / 1000 + SLACK
        with host.popauth() as told:
            assert told.tell(f"login {home}").startswith("err ")
            assert told.slowest < 3
        assert not host.relays(home)
        assert not host.store()["usable"] and host.store()["failure"]
        tools.wait_for(host.complaints, "a complaint")
        assert host.control("dump", check=False).returncode == 75
    finally:
        stranger.close()


def test_nobody_at_that_port(hosts, redis, home, workspace):
    """Redis comes later than postern."""
    late = Redis(workspace / unique("late"), start=False)
    try:
        host = hosts(late)
        assert not host.relays(home)
        assert not host.login(home)
        assert any(str(late.port) in str(entry) for entry in host.complaints()), host.complaints()
        late.start()
        tools.wait_for(lambda: host.login(home), "the store", pause=0.1)
        assert host.relays(home)
    finally:
        late.close()


@pytest.mark.parametrize("wrong", ["password", "no-password", "user", "database"])
def test_refused_by_redis(hosts, redis, prefix, home, wrong):
    keys = {"redis_key_prefix": prefix}
    if wrong == "database":
        keys["redis_url"] = redis.url(database=77)
    if wrong == "user":
        keys["redis_url"] = redis.url().replace("//", "//nobody@")
    if wrong == "no-password":
        keys["redis_password_file"] = ""
    host = hosts(redis, running=False, **keys)
    if wrong == "password":
        pathlib.Path(host.postern.folder.parent / "password").write_text("guessed\n")
    host.postern.start()
    assert not host.relays(home)
    with host.popauth() as told:
        answer = told.tell(f"login {home}")
    assert answer.startswith("err ")
    assert PASSWORD not in host.postern.log() and "guessed" not in host.postern.log()
    said = str(host.complaints())
    assert {"database": "DB index", "no-password": "NOAUTH"}.get(wrong, "WRONGPASS") in said, said
    assert redis.keys(f"{prefix}*") == []


def test_user_of_an_acl(hosts, redis, prefix, home):
    """A user with the commands that the manual names, and no others, is enough."""
    user = unique("user")
    redis.ask("ACL", "SETUSER", user, "on", f">{PASSWORD}", f"~{prefix}*", *acl_of_the_manual())
    host = hosts(redis, redis_key_prefix=prefix, redis_url=redis.url().replace("//", f"//{user}@"), window_minutes=60)
    assert host.login(home, "user=ann")
    assert host.relays(home)
    host.control("add", "10.8.8.8")
    host.control("load", input=f"{home} {int(time.time())}\n")
    assert len(host.control("dump").stdout.splitlines()) == 2
    host.control("remove", home)
    host.control("expire")
    assert host.complaints() == []


def acl_of_the_manual():
    """The words of "ACL SETUSER" behind the password and the keys, as postern(8) shows them."""
    text = (tools.SOURCE / "man" / "postern.8").read_text()
    line = next(line for line in text.splitlines() if "ACL SETUSER" in line)
    words = line.split()
    assert words[:4] == ["ACL", "SETUSER", "postern", "on"] and words[5] == "~postern:*"
    return words[6:]


def test_password_file_that_others_can_read(hosts, redis, prefix):
    host = hosts(redis, running=False, redis_key_prefix=prefix)
    path = host.postern.folder.parent / "password"
    assert host.postern.control("check").returncode == 0
    for mode in (0o644, 0o604):
        path.chmod(mode)
        done = host.postern.control("check", check=False)
        assert done.returncode == 1
        assert "redis_password_file" in done.stdout + done.stderr and "password" in done.stdout + done.stderr
    path.unlink()
    assert host.postern.control("check", check=False).returncode == 1
    assert "redis_password_file" in host.postern.control("check", check=False).stderr


@pytest.mark.parametrize("url", ["", "localhost", "http://127.0.0.1", "redis://127.0.0.1:70000", "redis://127.0.0.1/x", "unix:relative",
                                 "redis://ann:secret@127.0.0.1/", "redis://", "redis://127.0.0.1:6379/0?x=1", "redis://[::1"])
def test_wrong_url(hosts, url):
    host = hosts(running=False)
    host.postern.write_config(relay_store={"backend": "redis", "redis_url": url})
    done = host.postern.control("check", check=False)
    assert done.returncode == 1
    assert "redis_url" in done.stdout + done.stderr
    assert "secret" not in done.stdout + done.stderr


# ---- TLS


@pytest.fixture(scope="module")
def secure(workspace):
    one = Redis(workspace / "secure-redis", password=PASSWORD, tls=True)
    yield one
    one.close()


def test_tls(hosts, secure, prefix, home):
    """rediss:// works, or says at once that this postern cannot do it."""
    ca = str(secure.authority.ca)
    url = secure.url("tls").replace("127.0.0.1", "localhost")
    host = hosts(secure, running=False, redis_key_prefix=prefix, redis_url=url, redis_ca_file=ca)
    checked = host.postern.control("check", check=False)
    if checked.returncode != 0:
        assert "TLS" in checked.stdout + checked.stderr
        process = host.postern.spawn()
        assert process.wait(20) != 0
        host.postern.wait_end()
        assert "TLS" in host.postern.log()
        return
    host.postern.start()
    tools.wait_for(lambda: host.complaints() or host.login(home), "an answer")
    assert host.relays(home) or "certificate" in str(host.complaints()), host.complaints()


# ---- migration


def entries(host):
    return {line.split()[0]: line.split()[1:] for line in host.control("dump").stdout.splitlines() if line[0] != "#"}


def migrate(host, *words, **keywords):
    return host.control("migrate", *words, **keywords)


def test_migrate(hosts, redis, prefix, home):
    now = int(time.time())
    host = hosts(redis, running=False, redis_key_prefix=prefix, window_minutes=60, max_entries=1000)
    host.postern.write_config(relay_store={"backend": "gdbm"})
    many = "".join(f"10.0.{i // 250}.{i % 250} {now - i} user=u%20{i} service=imap\n" for i in range(900))
    host.control("load", input=f"{home} {now - 5} user=ann\n10.9.9.9 {now - 4000}\n2001:db8::/64 {now + 500}\n10.9.9.8 {now - 9}\n{many}")
    before = entries(host)
    host.postern.write_config(relay_store={"backend": "redis"})
    host.control("load", input=f"10.9.9.8 {now - 3} user=young\n10.9.9.7 {now - 2}\n")
    host.control("add", home, "--user", "newer")

    done = migrate(host, "gdbm", "redis")
    assert done.stdout == "901 of 903 entries copied from gdbm to redis, 2 were there already and as young; 1 expired, left behind\n"
    after = entries(host)
    assert after[home][1:] == ["user=newer"] and after["10.9.9.8"] == [str(now - 3), "user=young"]
    assert {key: value for key, value in after.items() if key not in (home, "10.9.9.8", "10.9.9.7")} == {
        key: value for key, value in before.items() if key not in (home, "10.9.9.8", "10.9.9.9")}
    assert left(redis, prefix, "2001:db8::/64") > 3600000
    again = json.loads(migrate(host, "gdbm", "redis", "--json").stdout)
    assert (again["copied"], again["present"], again["refused"], again["expired"]) == (0, 903, 0, 1)

    # And back, where the older ones are still there.
    assert migrate(host, "redis", "gdbm").stdout.startswith("3 of 904 entries copied from redis to gdbm, 901 were there")
    host.postern.write_config(relay_store={"backend": "gdbm"})
    assert {key: value for key, value in entries(host).items() if key != "10.9.9.9"} == after


def test_migrate_more_than_there_is_room_for(hosts, redis, prefix):
    now = int(time.time())
    host = hosts(redis, running=False, redis_key_prefix=prefix, max_entries=100)
    host.control("load", input="".join(f"10.1.1.{i} {now}\n" for i in range(100)))
    host.postern.write_config(relay_store={"backend": "gdbm", "max_entries": 60})
    done = migrate(host, "redis", "gdbm", check=False)
    assert done.returncode == 1
    assert "60 of 100 entries copied" in done.stdout and "40 refused" in done.stdout
    assert "max_entries" in done.stderr


def test_migrate_with_daemons(hosts, redis, prefix, home):
    """The file of a daemon that runs is read as it is; into it, the daemon writes."""
    host = hosts(redis, running=False, redis_key_prefix=prefix)
    host.postern.write_config(relay_store={"backend": "gdbm"})
    host.postern.start()
    assert host.login(home, "user=ann")
    assert migrate(host, "gdbm", "redis").stdout == "1 of 1 entry copied from gdbm to redis\n"
    host.control("remove", home)
    assert not host.relays(home)
    assert migrate(host, "redis", "gdbm").stdout == "1 of 1 entry copied from redis to gdbm\n"
    assert host.relays(home)
    assert host.postern.entries(event="relay_command", command="merge")
    host.postern.stop()
    host.postern.write_config(relay_store={"backend": "redis"})
    host.postern.start()
    assert host.relays(home)
    assert host.login("10.9.1.1")
    assert migrate(host, "redis", "gdbm").stdout.startswith("1 of 2 entries copied from redis to gdbm, 1 was there")
    host.postern.stop()
    host.postern.write_config(relay_store={"backend": "gdbm"})
    assert sorted(entries(host)) == sorted(["10.9.1.1", home])


def test_migrate_what_cannot_be_had(hosts, redis, prefix, workspace):
    gone = Redis(workspace / unique("gone"), start=False)
    host = hosts(gone, running=False, redis_key_prefix=prefix)
    for words in (["gdbm", "redis"], ["redis", "gdbm"]):
        done = migrate(host, *words, check=False)
        assert done.returncode == 75 and done.stderr.startswith(f"posternctl: {words[0]}: "), done.stderr
        assert done.stdout == ""
        told = json.loads(migrate(host, *words, "--json", check=False).stdout)
        assert (told["result"], told["failed"]) == ("tempfail", words[0])
    host.postern.write_config(relay_store={"backend": "gdbm"})
    host.control("add", "10.1.1.1")
    done = migrate(host, "gdbm", "redis", check=False)
    assert done.returncode == 75 and "redis: " in done.stderr and str(gone.port) in done.stderr
    for words in ([], ["gdbm"], ["gdbm", "gdbm"], ["gdbm", "mysql"], ["gdbm", "redis", "x"]):
        assert migrate(host, *words, check=False).returncode == 2
