# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis that is away, hangs, refuses, is none, or is not to be trusted: nobody relays by it, nobody waits for it, and the log says why."""

import contextlib
import itertools
import pathlib
import socket
import threading
import time

import pytest

from harness import relay, tools
from harness.redis import Redis
from harness.redis_host import PASSWORD, SLACK, TIMEOUT_MS, wait_until
from harness.site import unique

MAIL_MS = 2000  # timeout_ms where whole mail sessions are timed: more than one takes on a machine that is busy

_addresses = itertools.count(1)


@pytest.fixture(name="home")
def an_address():
    """A client's address that no other test has."""
    number = next(_addresses)
    return f"127.85.{number // 250}.{number % 250 + 1}"


# ---- Redis is away, or hangs


def assert_no_one_waits(host, address, count=20):
    """Once the store is known to be away, nobody waits for it."""
    with host.map() as asked:
        for _ in range(count):
            assert not asked.relays(address)
        assert asked.slowest < TIMEOUT_MS / 2000


@pytest.mark.parametrize("server", ["asking-postfix", "drac-sendmail", "open-postfix", "open-sendmail"])
def test_away(hosts, servers, redis, prefix, home, server):
    """Mail sessions go on without waiting; it comes back by itself."""
    mta = servers(server)
    host = hosts(redis, mta=mta, redis_key_prefix=prefix, mode="milter" if server.startswith("open") else "mta", timeout_ms=MAIL_MS)
    assert host.login(home)
    assert host.rcpt(home)[0].ok
    redis.kill()
    try:
        for _ in range(3):
            reply, seconds = host.rcpt(home)
            assert 400 <= reply.code < 600
            assert seconds < MAIL_MS / 1000 + SLACK
        reply, seconds = host.rcpt(relay.FOREIGN, "joe@local.example")
        assert reply.ok and seconds < MAIL_MS / 1000
        assert host.rcpt(relay.RELAY_CLIENT)[0].ok
        begun = time.monotonic()
        assert not host.login("10.5.5.5")
        assert time.monotonic() - begun < 5
        assert_no_one_waits(host, home)
        assert not host.store()["usable"]
        assert host.store()["failure"].startswith(f"{redis.url()}: ")
        assert f"CANNOT BE USED: {redis.url()}: " in host.postern.control("status").stdout
        assert len(host.complaints()) <= 4, host.complaints()
        refused = host.control("check", home, check=False)
        assert refused.returncode == 75 and f"{redis.url()}: " in refused.stderr
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
        assert max(seconds for _, seconds in times) < TIMEOUT_MS / 1000 + SLACK
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
    host = hosts(redis, mta=servers("open-postfix"), redis_key_prefix=prefix, mode="milter", timeout_ms=MAIL_MS)
    assert host.login(home)
    redis.pause()
    try:
        for limit in (MAIL_MS / 1000 + SLACK, MAIL_MS / 1000, MAIL_MS / 1000):
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
    one = Redis(workspace / "secure-redis", password=PASSWORD, tls=("IP:127.0.0.1", "DNS:localhost"))
    yield one
    one.close()


@pytest.fixture(name="with_tls")
def tls_hosts(hosts, secure, prefix):
    """Starts daemons with rediss://; a postern that cannot do it must say so at once."""

    def start(**keywords):
        keys = {"redis_url": secure.url("tls"), "redis_ca_file": str(secure.authority.ca), **keywords}
        host = hosts(secure, running=False, redis_key_prefix=prefix, **keys)
        if host.postern.control("check", check=False).returncode != 0:
            assert "TLS" in host.postern.control("check", check=False).stderr
            host.postern.spawn()
            assert host.postern.wait_end() != 0
            assert "TLS" in host.postern.log()
            pytest.skip("this postern was built without OpenSSL; it says so")
        host.postern.start()
        return host

    return start


def test_tls(hosts, with_tls, secure, prefix, home):
    first = with_tls()
    second = with_tls(redis_url=secure.url("tls", database=0, host="localhost"))
    third = hosts(secure, redis_key_prefix=prefix)
    assert first.login(home, "user=ann")
    assert first.relays(home) and second.relays(home) and third.relays(home)
    assert third.login("10.1.2.3") and second.relays("10.1.2.3")
    secure.kill()
    assert not first.relays(home) and not second.relays(home)
    secure.start()
    wait_until(first, home)
    wait_until(second, home)
    first.control("load", input="".join(f"10.5.{i // 250}.{i % 250} {int(time.time())}\n" for i in range(3000)))
    assert len(second.control("dump").stdout.splitlines()) == 6000


@pytest.mark.parametrize("wrong", ["authority", "name", "plain-port", "no-tls"])
def test_tls_that_is_not_to_be_trusted(with_tls, secure, home, wrong, workspace):
    """Whoever answers there is not told the password, and grants nothing."""
    other = None
    keys = {}
    if wrong == "authority":
        keys["redis_ca_file"] = str(secure.authority.folder / "strange.pem")
    elif wrong == "name":
        other = Redis(workspace / unique("other-redis"), password=PASSWORD, tls=("DNS:elsewhere.test",))
        keys = {"redis_url": other.url("tls"), "redis_ca_file": str(other.authority.ca)}
    elif wrong == "plain-port":
        keys["redis_url"] = f"rediss://127.0.0.1:{secure.port}"
    else:
        keys["redis_url"] = f"redis://127.0.0.1:{secure.tls_port}"
    try:
        host = with_tls(**keys)
        with host.map() as asked:
            assert not asked.relays(home)
            assert asked.slowest < TIMEOUT_MS / 1000 + SLACK
        assert not host.login(home)
        assert not host.relays(home)
        assert not host.store()["usable"]
        if wrong in ("authority", "name"):
            assert "certificate" in str(host.complaints()), host.complaints()
        if other is not None:
            assert other.keys() == []
    finally:
        if other is not None:
            other.close()
