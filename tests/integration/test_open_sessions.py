# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is logged in relays, however long; the window begins when the last session of an address ends. All cases at once, through a whole window."""

import json
import time

import pytest

from harness import relay, smtp, tools
from harness.postern import Postern
from harness.questions import Login, Map
from harness.redis import Redis
from harness.site import unique

OUTSIDE = "x@outside.test"
WINDOW = 60  # seconds: the shortest that can be set

# A mail server for which postern decides, and one that asks.
SERVERS = {"open-postfix": "milter", "drac-sendmail": "mta"}

STAYS = "127.85.0.1"  # is logged in all the time
LEFT = "127.85.0.2"  # logs out
OFFICE = "127.85.0.3"  # two people behind one address
PLAIN = "127.85.0.4"  # a login without a session
AT_ONCE = "127.85.0.5"  # out as soon as in
ENVIED = "127.85.0.6"  # another address says that it logged out
REMOVED = "127.85.0.7"  # the administrator takes it away
ALL = (STAYS, LEFT, OFFICE, PLAIN, AT_ONCE, ENVIED, REMOVED)
STRANGER = "127.85.1.1"


class Host:
    """A mail server and a daemon for it."""

    def __init__(self, mta, mode, folder, **store):
        self.mta = mta
        self.postern = Postern(
            folder, mta.milter_socket, sockets=("popauth", "map"), relay_store=store, **relay.keys(mta, mode)
        )
        self.postern.makemap()
        self.postern.start()

    def tell(self, *lines):
        """Each is answered with ok."""
        with Login(self.postern.socket("popauth")) as connection:
            for line in lines:
                assert connection.tell(line) == "ok", line

    def relays(self, source):
        """May this client relay?"""
        with smtp.Client(self.mta.port, source, names_address=self.mta.name == "sendmail") as session:
            session.hello()
            reply = session.mail("s@neutral.test")
            reply = session.rcpt(OUTSIDE) if reply.ok else reply
        assert reply.ok or reply.code in (550, 554), reply
        return reply.ok

    def who_relays(self):
        return {address for address in (*ALL, STRANGER) if self.relays(address)}

    def dates(self):
        lines = self.postern.control("relay", "dump").stdout.splitlines()
        return {line.split()[0]: int(line.split()[1]) for line in lines if not line.startswith("#")}

    def status(self):
        return json.loads(self.postern.control("status", "--json").stdout)["relay_store"]


@pytest.fixture(name="hosts")
def both_hosts(request, workspace, servers):
    started = {}
    for name, mode in SERVERS.items():
        if request.config.option.mta in (None, name.split("-")[1]):
            started[name] = Host(servers(name), mode, workspace / unique("sessions"), window_minutes=WINDOW // 60)
    yield started
    report = getattr(request.node, "report_call", None)
    try:
        for host in started.values():
            if report is not None and not report.failed:
                host.postern.stop()
            else:
                print(f"--- postern\n{host.postern.log()[-8000:]}")
    finally:
        for host in started.values():
            host.postern.discard()


class RedisHost:
    """A daemon with a Redis server that is away for longer than a window, while somebody is logged in."""

    def __init__(self, folder):
        self.redis = Redis(folder / "redis")
        sockets = folder / "sock"
        sockets.mkdir()
        self.postern = Postern(
            folder / "daemon",
            sockets / "milter.sock",
            sockets=("popauth", "map"),
            relay_store={"backend": "redis", "redis_url": self.redis.url(), "window_minutes": WINDOW // 60},
        )
        self.postern.makemap()
        self.postern.start()

    def tell(self, *lines):
        with Login(self.postern.socket("popauth")) as connection:
            return [connection.tell(line) for line in lines]

    def who_relays(self):
        with Map(self.postern.socket("map")) as asked:
            return {address for address in ALL if asked.relays(address)}

    def close(self):
        self.postern.discard()
        self.redis.close()


@pytest.fixture(name="redis_host")
def host_with_redis(workspace):
    folder = workspace / unique("sessions-redis")
    folder.mkdir()
    folder.chmod(0o755)
    one = RedisHost(folder)
    yield one
    print(f"--- postern with Redis\n{one.postern.log()[-4000:]}")
    one.close()


class Timetable:
    """Seconds since the first login."""

    def __init__(self):
        self._begin = time.monotonic()

    def wait_until(self, second):
        left = self._begin + second - time.monotonic()
        assert left > 0, "this machine is too slow for the timetable"
        time.sleep(left)


def log_in(host):
    host.tell(
        f"login {STAYS} user=ann service=imap session=1",
        f"login {LEFT} user=ben service=imap session=2",
        f"login {OFFICE} user=cal service=imap session=3",
        f"login {OFFICE} user=dan service=imap session=4",
        f"login {OFFICE} user=cal service=imap session=3",
        f"login {PLAIN} user=eve service=pop3",
        f"login {AT_ONCE} user=fay service=pop3 session=5",
        f"logout {AT_ONCE} user=fay service=pop3 session=5",
        f"login {ENVIED} user=gus service=imap session=6",
        f"login {REMOVED} user=hal service=imap session=7",
    )
    assert host.who_relays() == set(ALL)


def change_sessions(host):
    """None of this is the end of a session but the first line, and that is not the last one of its address."""
    host.tell(
        f"logout {OFFICE} session=3",
        f"logout {OFFICE} session=3",
        f"logout {STRANGER} session=6",
        f"logout {ENVIED} session=7",
        f"logout {PLAIN} user=eve",
        f"logout {PLAIN} session=99",
        f"logout {STRANGER} session=100",
    )
    host.postern.control("relay", "remove", REMOVED)
    assert host.who_relays() == set(ALL) - {REMOVED}


def check_dates(host):
    """What was open has been kept alive, and nothing else."""
    dates = host.dates()
    now = time.time()
    for address in (STAYS, OFFICE, ENVIED):
        assert dates[address] > now - WINDOW / 2, (address, now, dates)
    for address in (PLAIN, AT_ONCE):
        assert dates.get(address, 0) <= now - WINDOW, (address, now, dates)
    assert REMOVED not in dates


def lose_redis(host):
    assert host.tell(f"login {STAYS} user=ann session=1", f"login {PLAIN} user=eve", f"login {LEFT} session=2") == ["ok"] * 3
    assert host.who_relays() == {STAYS, PLAIN, LEFT}
    host.redis.kill()
    assert host.who_relays() == set()


def check_return_of_redis(host):
    """Its own entries have expired. Who is still logged in gets his back, and who has logged out when nobody could note it his window."""
    assert host.tell(f"logout {LEFT} session=2")[0].startswith("err temporary: ")
    host.redis.start()
    tools.wait_for(lambda: host.who_relays() == {STAYS, LEFT}, "who is logged in to relay again", timeout=10, pause=0.1)
    assert "user=ann" in host.postern.control("relay", "dump").stdout
    assert host.tell(f"logout {STAYS} session=1", f"logout {LEFT} session=2") == ["ok"] * 2
    assert host.who_relays() == {STAYS, LEFT}
    host.postern.stop()


def test_through_a_whole_window(hosts, redis_host):
    for host in hosts.values():
        log_in(host)
    timetable = Timetable()
    lose_redis(redis_host)
    timetable.wait_until(3)
    for host in hosts.values():
        change_sessions(host)
    timetable.wait_until(20)
    for host in hosts.values():
        host.tell(f"logout {LEFT} user=ben session=2")
    timetable.wait_until(WINDOW + 1.5)
    for host in hosts.values():
        assert host.who_relays() == {STAYS, LEFT, OFFICE, ENVIED}
        check_dates(host)
        host.tell(f"logout {OFFICE} session=4")
        assert host.dates()[OFFICE] >= time.time() - 5, "it is on the disk when it is acknowledged"
    restarted = hosts.get("drac-sendmail")
    before = {}
    if restarted:  # who forgets what was open
        before = restarted.dates()
        restarted.postern.kill()
        restarted.postern.start()
        assert restarted.dates()[OFFICE] == before[OFFICE]
        assert restarted.who_relays() == {STAYS, LEFT, OFFICE, ENVIED}
    timetable.wait_until(20 + WINDOW - 10)
    check_return_of_redis(redis_host)
    timetable.wait_until(20 + WINDOW + 4)
    for host in hosts.values():
        assert host.who_relays() == {STAYS, OFFICE, ENVIED}
    timetable.wait_until(WINDOW + 1.5 + 26)
    for host in hosts.values():
        host.tell(f"logout {STAYS} session=1")
        date = host.dates()[STAYS]
        if host is restarted:
            assert date == before[STAYS], "neither is it touched, nor does its logout count"
        else:
            assert date >= time.time() - 5


def test_a_reload_makes_the_window_shorter(hosts):
    """Who is logged in does not lose anything by it; nor does the end of counting."""
    host = next(iter(hosts.values()))
    host.postern.write_config(relay_store={"window_minutes": 600})
    host.postern.control("reload")
    host.tell(f"login {STAYS} session=1", f"login {PLAIN}")
    text = "".join(f"{address} {int(time.time()) - 1000}\n" for address in (STAYS, PLAIN))
    host.postern.control("relay", "load", input=text)
    assert host.relays(STAYS) and host.relays(PLAIN)
    host.postern.write_config(relay_store={"window_minutes": 10})
    host.postern.control("reload")
    tools.wait_for(lambda: host.relays(STAYS), "the open session to relay", timeout=3)
    assert not host.relays(PLAIN)
    host.postern.write_config(relay_store={"session_max_hours": 0})
    host.postern.control("reload")
    date = host.dates()[STAYS]
    while time.time() < date + 1.1:
        time.sleep(0.1)
    host.tell(f"logout {STAYS} session=1")
    assert host.dates()[STAYS] == date
    assert host.relays(STAYS)
