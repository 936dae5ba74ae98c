# SPDX-License-Identifier: GPL-3.0-or-later
"""Who logs in to the real Dovecot relays through the real Postfix and Sendmail, by each way in which they can ask postern."""

import imaplib
import itertools
import poplib
import shutil
import time
from dataclasses import dataclass

import pytest

from harness import asking, names, relay, smtp, tools
from harness.postern import GROUP, USER
from harness.site import unique

ACCESS = "Connect:127.60 RELAY\nTo:friend.test RELAY\n"
OUTSIDE = "x@outside.test"
LOCAL = "joe@local.example"


@dataclass(frozen=True)
class Way:
    """A mail server and how it asks."""

    server: str
    port: str = ""  # which of its ports; "": the only one
    mode: str = "mta"  # relay_control
    rules: bool = False  # it asks for the whole decision, by the access file too

    @property
    def local_while_stopped(self):
        """Is mail for ourselves taken while postern is not there?"""
        return self.mode == "mta"


WAYS = {
    "postfix-relayers": Way("asking-postfix", "relayers"),
    "postfix-chroot": Way("asking-postfix", "chroot"),
    "postfix-proxy": Way("asking-postfix", "proxy"),
    "postfix-clients": Way("asking-postfix", "clients", rules=True),
    "postfix-policy": Way("asking-postfix", "policy", rules=True),
    "postfix-policy-own-time": Way("asking-postfix", "policy-own-time", rules=True),
    "postfix-milter": Way("open-postfix", mode="milter", rules=True),
    "sendmail-drac": Way("drac-sendmail"),
    "sendmail-rules": Way("rules-sendmail"),
    "sendmail-milter": Way("open-sendmail", mode="milter", rules=True),
}

# Where the way of asking makes no difference, or a test takes long: one of each kind.
FEW = ["postfix-milter", "postfix-relayers", "sendmail-drac"]
few = pytest.mark.parametrize("way", FEW, indirect=True)
one = pytest.mark.parametrize("way", ["postfix-relayers"], indirect=True)


@pytest.fixture(scope="module", params=sorted(WAYS))
def way(request):
    wanted = request.config.option.mta
    if wanted and not request.param.startswith(wanted):
        pytest.skip(f"not {wanted}")
    return WAYS[request.param]


@pytest.fixture(scope="module")
def mta(way, servers):
    return servers(way.server)


_addresses = itertools.count(1)


@pytest.fixture(name="home")
def an_address():
    """A client's address that no other test has; nobody of that network may relay by a rule."""
    number = next(_addresses)
    return f"127.80.{number // 250}.{number % 250 + 1}"


def start(site, way, popauth, start_it=True, **keywords):
    sockets = {"popauth_socket": str(popauth)}
    if way.mode == "mta":
        folder = site.mta.socket_folder
        sockets.update(map_socket=str(folder / "map.sock"), policy_socket=str(folder / "policy.sock"))
    if way.port == "chroot":
        sockets["map_socket"] = str(site.mta.chroot_folder / "map.sock")
    return site.daemon(ACCESS, start=start_it, **relay.keys(site.mta, way.mode), **{**sockets, **keywords})


@pytest.fixture(name="postern")
def running(site, way, popauth):
    return start(site, way, popauth)


def client(site, way, source):
    port = site.mta.ports[way.port] if way.port else site.mta.port
    return smtp.Client(port, source, names_address=site.mta.name == "sendmail")


def rcpt(site, way, source, address):
    """The reply to RCPT, or to what was refused before it."""
    with client(site, way, source) as session:
        session.hello()
        reply = session.mail("s@neutral.test")
        return session.rcpt(address) if reply.ok else reply


def relays(site, way, source, address=OUTSIDE):
    """A message of this client reaches the outside."""
    subject = unique("out")
    with client(site, way, source) as session:
        session.hello()
        assert session.mail("s@neutral.test").ok
        reply = session.rcpt(address)
        assert reply.ok, reply
        assert session.data(smtp.message(subject)).ok
    return [mail.recipients for mail in relay.wait_outside(site.mta, subject)] == [[address]]


def assert_denied(site, way, source, codes=(550, 554)):
    reply = rcpt(site, way, source, OUTSIDE)
    assert reply.code in codes, reply


def takes_local_mail(site, way, source=relay.FOREIGN):
    subject = unique("for-us")
    with client(site, way, source) as session:
        session.hello()
        reply = session.mail("s@neutral.test")
        reply = session.rcpt(LOCAL) if reply.ok else reply
        if not reply.ok or not session.data(smtp.message(subject)).ok:
            return False
    site.wait_delivered(subject)
    return True


# ---- logging in


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("service", ["pop3", "imap"])
def test_login_lets_relay(site, way, dovecot, home, service):
    assert_denied(site, way, home)
    dovecot.login(service, home)
    assert relays(site, way, home)
    assert_denied(site, way, relay.FOREIGN)
    assert takes_local_mail(site, way, home)
    assert takes_local_mail(site, way)


@pytest.mark.usefixtures("postern")
def test_failed_login_grants_nothing(site, way, dovecot, home):
    with pytest.raises(poplib.error_proto):
        dovecot.login("pop3", home, password="guessed")
    with pytest.raises(imaplib.IMAP4.error):
        dovecot.login("imap", home, password="guessed")
    with pytest.raises(poplib.error_proto):
        dovecot.login("pop3", home, user="nobody")
    assert_denied(site, way, home)


@one
def test_what_is_recorded(postern, dovecot, home):
    before = int(time.time())
    dovecot.login("imap", home, user="ann@local.example")
    line = [text for text in postern.control("relay", "dump").stdout.splitlines() if text.startswith(home + " ")]
    address, timestamp, *more = line[0].split()
    assert (address, more) == (home, ["user=ann@local.example", "service=imap"])
    assert before <= int(timestamp) <= time.time()
    dovecot.login("pop3", home)
    line = [text for text in postern.control("relay", "dump").stdout.splitlines() if text.startswith(home + " ")]
    assert line[0].split()[2:] == ["user=ann", "service=pop3"]
    assert postern.control("relay", "check", home).returncode == 0


@pytest.mark.usefixtures("postern")
def test_what_else_lets_relay(site, way):
    """The mail server's own networks, as before; and postern's rules where the whole decision is asked for."""
    assert relays(site, way, relay.RELAY_CLIENT)
    assert relays(site, way, relay.FOREIGN, "x@partner.test")
    if way.rules:
        assert relays(site, way, "127.60.0.1")
        assert relays(site, way, relay.FOREIGN, "x@friend.test")
    else:
        assert_denied(site, way, "127.60.0.1")
    assert_denied(site, way, relay.FOREIGN)
    assert_denied(site, way, names.NEUTRAL)


# ---- the window


def load(postern, entries):
    text = "".join(f"# timestamp (UTC): whatever\n{address} {int(timestamp)}\n" for address, timestamp in entries.items())
    postern.control("relay", "load", input=text)


def test_window(site, way, popauth, home):
    postern = start(site, way, popauth, relay_store={"window_minutes": 10})
    load(postern, {home: time.time() - 9 * 60})
    assert relays(site, way, home)
    load(postern, {home: time.time() - 10 * 60 - 1})
    assert_denied(site, way, home)
    load(postern, {home: time.time() + 3600})
    assert relays(site, way, home), "a date in the future is more time"
    postern.control("relay", "remove", home)
    assert_denied(site, way, home)


@few
def test_window_to_the_second(site, way, popauth, dovecot, home):
    """Through a whole window that ends while we look."""
    postern = start(site, way, popauth, relay_store={"window_minutes": 1})
    load(postern, {home: time.time() - 55})
    assert relays(site, way, home)
    tools.wait_for(lambda: not rcpt(site, way, home, OUTSIDE).ok, "the window to end", timeout=10, pause=0.2)
    assert_denied(site, way, home)
    dovecot.login("pop3", home)
    assert relays(site, way, home)


def test_no_window(site, way, popauth, home):
    """0 is for ever, until somebody expires it."""
    postern = start(site, way, popauth)
    load(postern, {home: 1})
    assert relays(site, way, home)
    postern.control("relay", "expire", "60")
    assert_denied(site, way, home)


def test_window_is_changed_by_a_reload(site, way, popauth, home):
    postern = start(site, way, popauth)
    load(postern, {home: time.time() - 3600})
    assert relays(site, way, home)
    postern.write_config(relay_store={"window_minutes": 30})
    postern.control("reload")
    assert_denied(site, way, home)


# ---- postern is not there


def assert_refused_while_away(site, way, home):
    with_code = rcpt(site, way, home, OUTSIDE)
    assert with_code.code >= 400, with_code
    assert rcpt(site, way, relay.FOREIGN, OUTSIDE).code >= 400
    if way.local_while_stopped:
        assert takes_local_mail(site, way)
        assert relays(site, way, relay.RELAY_CLIENT), "who may relay without postern still does"
    else:
        assert not takes_local_mail(site, way)


def test_stopped(site, way, postern, dovecot, home):
    dovecot.login("pop3", home)
    postern.stop()
    assert_refused_while_away(site, way, home)
    dovecot.login("pop3", home)  # and nothing comes of it
    postern.start()
    assert relays(site, way, home)
    assert_denied(site, way, relay.FOREIGN)


def test_killed(site, way, postern, dovecot, home):
    dovecot.login("imap", home)
    postern.kill()
    assert_refused_while_away(site, way, home)
    postern.start()
    assert relays(site, way, home)
    assert_denied(site, way, relay.FOREIGN)


# ---- a store that does not do


def complaints(postern):
    return [entry for entry in postern.entries(event="relay_store") if "warning" in entry or "error" in entry]


def garbage(path):
    path.write_bytes(b"\xff\x00" * 5000)


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


@few
@pytest.mark.parametrize("spoil", [garbage, truncated, empty])
@pytest.mark.parametrize("which", ["relayers.gdbm", "relayers.gdbm.journal"])
def test_damaged_file(site, way, postern, dovecot, home, spoil, which):
    """It starts, says so, lets nobody relay who did not log in, and goes on."""
    dovecot.login("pop3", home)
    postern.stop()  # a clean end leaves all in the file
    path = postern.state / which
    if not path.exists():
        path.write_bytes(b"")
        shutil.chown(path, USER, GROUP)
    spoil(path)
    postern.start()
    assert_denied(site, way, relay.FOREIGN)
    assert takes_local_mail(site, way)
    if which == "relayers.gdbm":
        assert complaints(postern), postern.log()
    else:
        assert relays(site, way, home)
    dovecot.login("pop3", home)
    assert relays(site, way, home)
    postern.stop()
    postern.start()
    assert relays(site, way, home)


@few
def test_file_that_cannot_be_had(site, way, popauth, dovecot, home):
    """A folder in its place: the daemon serves, nobody relays by a login, logins go on."""
    postern = start(site, way, popauth, start_it=False)
    postern.store.mkdir()
    site.start(postern)
    dovecot.login("pop3", home)
    assert_denied(site, way, home)
    assert_denied(site, way, relay.FOREIGN)
    assert takes_local_mail(site, way)
    assert relays(site, way, relay.RELAY_CLIENT)
    assert complaints(postern), postern.log()
    postern.store.rmdir()
    tools.wait_for(lambda: dovecot.login("pop3", home) or rcpt(site, way, home, OUTSIDE).ok, "the store", 20, pause=0.5)
    assert relays(site, way, home)
