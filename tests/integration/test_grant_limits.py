# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login permits may be limited: by sender, by number, and by the addresses of a user. Both mail servers obey."""

import itertools
import json
import socket
from dataclasses import dataclass

import pytest

from harness import relay, smtp
from harness.site import unique

OUTSIDE = "x@outside.test"
LOCAL = "joe@local.example"
ANN = "ann@neutral.test"

SENDER_DENIED = "Relaying denied. The login of this address permits its own senders only"
MESSAGE_FULL = "Too many recipients of one message that is relayed because of a login"
HOUR_FULL = "Too many recipients within an hour that are relayed because of a login"


@dataclass(frozen=True)
class Way:
    server: str
    port: str = ""
    mode: str = "milter"

    @property
    def asks(self):
        """Does the mail server say no itself, in its words?"""
        return self.mode == "mta"


WAYS = {
    "postfix-milter": Way("open-postfix"),
    "sendmail-milter": Way("open-sendmail"),
    "postfix-policy": Way("asking-postfix", "policy", "mta"),
}
TABLES = {"postfix-relayers": Way("asking-postfix", "relayers", "mta"), "sendmail-rules": Way("rules-sendmail", "", "mta")}
one = pytest.mark.parametrize("way", ["postfix-milter"], indirect=True)


@pytest.fixture(scope="module", params=sorted(WAYS))
def way(request):
    wanted = request.config.option.mta
    if wanted and not request.param.startswith(wanted):
        pytest.skip(f"not {wanted}")
    return {**WAYS, **TABLES}[request.param]


@pytest.fixture(scope="module")
def mta(way, servers):
    return servers(way.server)


_addresses = itertools.count(1)


@pytest.fixture(name="home")
def an_address():
    """A client's address that no other test has."""
    number = next(_addresses)
    return f"127.83.{number // 250}.{number % 250 + 1}"


def start(site, way, popauth, **relay_store):
    sockets = {"popauth_socket": str(popauth)}
    if way.mode == "mta":
        folder = site.mta.socket_folder
        sockets.update(map_socket=str(folder / "map.sock"), policy_socket=str(folder / "policy.sock"))
    return site.daemon("", **relay.keys(site.mta, way.mode), relay_store=relay_store, **sockets)


def tell(popauth, line):
    """What the daemon answers to a line of a POP or IMAP server."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(popauth))
        client.sendall(line.encode() + b"\n")
        return client.makefile().readline().rstrip("\n")


def login(popauth, address, user=ANN):
    assert tell(popauth, f"login {address} user={user} service=imap") == "ok"


def client(site, way, source):
    port = site.mta.ports[way.port] if way.port else site.mta.port
    session = smtp.Client(port, source, names_address=site.mta.name == "sendmail")
    session.hello()
    return session


def rcpt(site, way, source, sender, recipient=OUTSIDE):
    with client(site, way, source) as session:
        assert session.mail(sender).ok
        return session.rcpt(recipient)


def assert_refused(way, reply, code, dsn, text):
    """By postern's words in the filter; Postfix that asks has a code of its own for what is refused for now."""
    if not way.asks:
        assert (reply.code, reply.dsn, reply.text) == (code, dsn, text)
    elif code < 500:
        assert (reply.code, reply.dsn) == (450, dsn) and text in reply.text, reply
    else:
        assert (reply.code, reply.dsn) == (554, "5.7.1") and reply.text.endswith("Relay access denied"), reply


def test_own_senders(site, way, popauth, home):
    postern = start(site, way, popauth, grant_senders="address")
    login(popauth, home)
    for sender in (ANN, "Ann@Neutral.TEST"):
        assert rcpt(site, way, home, sender).ok
    for sender in ("bob@neutral.test", "ann@sub.neutral.test", "joe@local.example", ""):
        assert_refused(way, rcpt(site, way, home, sender), 550, "5.7.1", SENDER_DENIED)
        assert rcpt(site, way, home, sender, LOCAL).ok
    # who may relay anyway has no limit
    assert rcpt(site, way, relay.RELAY_CLIENT, "bob@neutral.test").ok
    assert rcpt(site, way, home, "bob@neutral.test", "x@partner.test").ok
    assert len(postern.entries(reason="grant_senders")) == 4, postern.log()


def test_own_domain(site, way, popauth, home):
    start(site, way, popauth, grant_senders="domain")
    login(popauth, home)
    assert rcpt(site, way, home, "bob@neutral.test").ok
    assert_refused(way, rcpt(site, way, home, "bob@local.example"), 550, "5.7.1", SENDER_DENIED)
    login(popauth, home, "ann")  # without a domain: of ours
    assert rcpt(site, way, home, "bob@local.example").ok
    assert_refused(way, rcpt(site, way, home, "bob@neutral.test"), 550, "5.7.1", SENDER_DENIED)


def send_many(session, subject, others):
    """A message for recipients outside, of whom two are to be taken, and one of ours."""
    assert session.mail(ANN).ok
    replies = [session.rcpt(f"{number}@outside.test") for number in range(others)]
    assert session.rcpt(LOCAL).ok
    assert session.data(smtp.message(subject)).ok
    return replies


def test_recipients_of_a_message(site, way, popauth, home):
    postern = start(site, way, popauth, recipients_per_message=2)
    login(popauth, home)
    subjects = [unique("many"), unique("again")]
    with client(site, way, home) as session:
        for subject in subjects:
            replies = send_many(session, subject, 4)
            assert [reply.ok for reply in replies] == [True, True, False, False], replies
            for reply in replies[2:]:
                assert_refused(way, reply, 452, "4.5.3", MESSAGE_FULL)
    for subject in subjects:
        site.wait_delivered(subject)
        outside = relay.wait_outside(site.mta, subject)
        assert sorted(rcpt for mail in outside for rcpt in mail.recipients) == ["0@outside.test", "1@outside.test"]
    with client(site, way, relay.RELAY_CLIENT) as session:
        assert all(reply.ok for reply in send_many(session, unique("own"), 4))
    assert len(postern.entries(reason="recipients_per_message")) == 4, postern.log()


def stats(postern):
    return json.loads(postern.control("--json", "relay", "stats").stdout)["relay_store"]


def test_recipients_of_an_hour(site, way, popauth, home):
    postern = start(site, way, popauth, recipients_per_hour=3)
    login(popauth, home)
    other = home.replace("127.83.", "127.84.")
    login(popauth, other)
    assert rcpt(site, way, home, ANN).ok
    with client(site, way, home) as session:
        assert session.mail(ANN).ok
        assert session.rcpt(LOCAL).ok
        assert session.rcpt("x@partner.test").ok
        replies = [session.rcpt(f"{number}@outside.test") for number in range(3)]
        assert [reply.ok for reply in replies] == [True, True, False], replies
        assert_refused(way, replies[2], 450, "4.7.1", HOUR_FULL)
    assert_refused(way, rcpt(site, way, home, ANN), 450, "4.7.1", HOUR_FULL)
    assert rcpt(site, way, home, ANN, LOCAL).ok
    assert rcpt(site, way, other, ANN).ok
    # a reload may change it at once
    postern.write_config(relay_store={"recipients_per_hour": 4})
    postern.control("reload")
    assert rcpt(site, way, home, ANN).ok
    assert_refused(way, rcpt(site, way, home, ANN), 450, "4.7.1", HOUR_FULL)
    assert len(postern.entries(reason="recipients_per_hour")) == 3, postern.log()
    store = stats(postern)
    assert (store["recipients"], store["recipients_refused"]) == (5, 3)
    assert store["top_addresses"] == [
        {"address": home, "recipients": 4, "refused": 3, "this_hour": 4},
        {"address": other, "recipients": 1, "refused": 0, "this_hour": 1},
    ]
    assert f"4 of {home}, 4 in this hour, 3 refused\n" in postern.control("relay", "stats").stdout


def test_recipient_named_twice(site, way, popauth, home):
    """It is one; Postfix asks the policy server again about it."""
    start(site, way, popauth, recipients_per_hour=2, recipients_per_message=2)
    login(popauth, home)
    with client(site, way, home) as session:
        assert session.mail(ANN).ok
        assert all(session.rcpt(OUTSIDE).ok for _ in range(4))
        assert session.rcpt("y@outside.test").ok
        assert_refused(way, session.rcpt("z@outside.test"), 452, "4.5.3", MESSAGE_FULL)


@pytest.mark.parametrize("way", sorted(TABLES), indirect=True)
def test_a_table_keeps_no_limits(site, way, popauth, home):
    """It must not seem to: who only logged in does not relay, and start, check and log say so."""
    postern = start(site, way, popauth, recipients_per_hour=100)
    login(popauth, home)
    reply = rcpt(site, way, home, ANN)
    assert reply.code in (550, 554), reply
    assert rcpt(site, way, relay.RELAY_CLIENT, ANN).ok
    assert any("which a table cannot keep" in line for line in postern.lines() if "event=start" in line)
    assert any("which a table cannot keep" in line for line in postern.lines() if "event=map" in line)
    said = postern.control("check", check=False)
    assert "which a table cannot keep" in said.stdout + said.stderr
    postern.write_config(relay_store={"recipients_per_hour": 0})
    postern.control("reload")
    assert rcpt(site, way, home, ANN).ok


# ---- addresses of a user


def excesses(postern):
    return [(entry["user"], entry["client"], entry["addresses"], entry["result"], entry.get("withdrawn")) for entry in postern.entries(event="too_many_addresses")]


def relays(site, way, source):
    return rcpt(site, way, source, ANN).ok


def test_too_many_addresses_are_logged(site, way, popauth):
    postern = start(site, way, popauth, addresses_per_user=2)
    homes = [f"127.85.1.{number}" for number in range(1, 5)]
    for home in [*homes, *homes]:
        login(popauth, home)
    assert all(relays(site, way, home) for home in homes)
    assert excesses(postern) == [(ANN, homes[2], "3", "granted", None), (ANN, homes[3], "4", "granted", None)]
    assert stats(postern)["too_many_addresses"] == 2
    assert stats(postern)["top_users"] == [{"user": ANN, "addresses": 4}]


@one
def test_too_many_addresses_are_refused(site, way, popauth):
    postern = start(site, way, popauth, addresses_per_user=2, addresses_exceeded="refuse")
    homes = [f"127.85.2.{number}" for number in range(1, 4)]
    login(popauth, homes[0])
    login(popauth, homes[1])
    assert tell(popauth, f"login {homes[2]} user={ANN.upper()}").startswith("err the user has come from more than 2 addresses")
    assert [relays(site, way, home) for home in homes] == [True, True, False]
    login(popauth, homes[0])  # nobody is locked out of his own
    login(popauth, homes[2], "bob@neutral.test")
    assert excesses(postern) == [(ANN.upper(), homes[2], "3", "refused", None)]


@pytest.mark.parametrize("way", ["postfix-milter", "sendmail-milter"], indirect=True)
def test_too_many_addresses_end_it_all(site, way, popauth):
    """A stolen password: all that it has granted is taken away, and stays away over a crash."""
    postern = start(site, way, popauth, addresses_per_user=2, addresses_exceeded="withdraw")
    homes = [f"127.85.3.{number}" for number in range(1, 5)]
    login(popauth, homes[0])
    login(popauth, homes[1])
    login(popauth, homes[3], "bob@neutral.test")
    assert relays(site, way, homes[0])
    assert tell(popauth, f"login {homes[2]} user={ANN}").startswith("err ")
    assert excesses(postern) == [(ANN, homes[2], "3", "refused", "2")]
    assert [relays(site, way, home) for home in homes] == [False, False, False, True]
    assert tell(popauth, f"login {homes[0]} user={ANN}").startswith("err ")
    assert not relays(site, way, homes[0])
    postern.kill()
    site.start(postern)
    assert [relays(site, way, home) for home in homes] == [False, False, False, True]


@one
def test_administrator_lets_in(site, way, popauth):
    postern = start(site, way, popauth, window_minutes=60, addresses_per_user=1, addresses_exceeded="withdraw")
    login(popauth, "127.85.4.1")
    for home in ("127.85.4.2", "127.85.4.1"):
        assert tell(popauth, f"login {home} user={ANN}").startswith("err ")
        assert not relays(site, way, home)
    postern.control("relay", "add", "127.85.4.1", "--user", ANN)
    assert tell(popauth, f"login 127.85.4.1 user={ANN}").startswith("err ")
    assert relays(site, way, "127.85.4.1")
