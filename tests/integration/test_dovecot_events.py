# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot 2.4's event exporter: who is logged in may relay, from the login to the end of the session and the window after it."""

import base64
import imaplib
import json
import poplib
import shutil
import socket
import time

import pytest

from harness import tools
from harness.dovecot import PASSWORD, USER, Imap
from harness.dovecot24 import Dovecot24
from harness.postern import GROUP, Postern
from harness.postern import USER as DAEMON_USER
from harness.site import unique

USERS = (USER, "bob@example.com")


@pytest.fixture(name="socket_path", scope="module")
def popauth_of_this_module(workspace):
    folder = workspace / unique("events")
    folder.mkdir()
    shutil.chown(folder, DAEMON_USER, GROUP)
    return folder / "popauth.sock"


@pytest.fixture(name="dovecot", scope="module")
def server(workspace, socket_path):
    one = Dovecot24(workspace / unique("dovecot24"), socket_path, USERS)
    yield one
    one.close()


@pytest.fixture(name="postern", scope="module")
def daemon(workspace, socket_path):
    folder = workspace / unique("events")
    sockets = folder / "sock"
    sockets.mkdir(parents=True)
    one = Postern(folder / "daemon", sockets / "milter.sock", popauth_socket=str(socket_path), access="")
    one.makemap()
    one.start()
    try:
        yield one
        one.stop()
    finally:
        one.discard()


@pytest.fixture(name="home")
def address_of_this_test(_numbers=iter(range(1, 250))):
    return f"127.83.0.{next(_numbers)}"


def recorded(postern, address):
    return postern.control("relay", "check", address, check=False).returncode == 0


def stats(postern):
    return json.loads(postern.control("--json", "relay", "stats").stdout)["relay_store"]


def open_sessions(postern):
    return stats(postern)["sessions"]["open"]


def end(client):
    if isinstance(client, Imap):
        client.logout()
    else:
        client.quit()


def wait_for_sessions(postern, count):
    tools.wait_for(lambda: open_sessions(postern) == count, f"{count} open sessions\n{postern.log()[-4000:]}", timeout=10)


def events(postern, event, home):
    """Of clients whose address begins with `home`."""
    told = [(one["client"], one["user"], one["service"], one["session"]) for one in postern.entries(event=event)]
    return [one for one in told if one[0].startswith(home)]


@pytest.mark.parametrize("service", ["imap", "pop3"])
def test_login_and_logout(postern, dovecot, home, service):
    """The two agree on the session, which Dovecot calls by no name that is in both of its events."""
    client = getattr(dovecot, service)(home)
    wait_for_sessions(postern, 1)
    assert recorded(postern, home)
    (login,) = events(postern, "login", home)
    assert login[:3] == (home, USER, service)
    assert events(postern, "logout", home) == []
    end(client)
    wait_for_sessions(postern, 0)
    assert events(postern, "logout", home) == [login]
    assert recorded(postern, home)  # for the window
    assert stats(postern)["lines_refused"] == 0


def test_last_session_of_an_address(postern, dovecot, home):
    """Two users behind one address; one connection that breaks without a LOGOUT."""
    one = dovecot.imap(home)
    two = dovecot.imap(home, user=USERS[1])
    three = dovecot.pop3(home)
    wait_for_sessions(postern, 3)
    assert json.loads(postern.control("--json", "relay", "check", home).stdout)["sessions"] == 3
    end(one)
    end(three)
    wait_for_sessions(postern, 1)
    assert "\nopen sessions: 1; " in postern.control("relay", "check", home).stdout
    two.shutdown()
    wait_for_sessions(postern, 0)
    assert "open" not in postern.control("relay", "check", home).stdout
    assert {user for _, user, _, _ in events(postern, "login", home)} == set(USERS)
    assert sorted(events(postern, "login", home)) == sorted(events(postern, "logout", home))


def test_who_is_not_logged_in(postern, dovecot, home):
    """A wrong password; a right one that another server asks about; a right one of a client that has as many connections as it may."""
    with pytest.raises(imaplib.IMAP4.error):
        dovecot.imap(home, password="wrong")
    with pytest.raises(poplib.error_proto):
        dovecot.pop3(home, password="wrong")
    for protocol in ("smtp", "submission", "imap", "doveadm"):
        ask_auth(dovecot, protocol, home)
    clients = [dovecot.imap("127.84.0.1") for _ in range(4)]
    with pytest.raises(imaplib.IMAP4.error, match="LIMIT"):
        dovecot.imap("127.84.0.1")
    wait_for_sessions(postern, 4)
    for client in clients:
        end(client)
    wait_for_sessions(postern, 0)
    assert not recorded(postern, home)
    assert events(postern, "login", home) == []
    assert len(events(postern, "login", "127.84.0.1")) == 4


def ask_auth(dovecot, protocol, home):
    """As Postfix asks Dovecot about a password, of a client at `home`."""
    plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(dovecot.folder / "run" / "smtp-auth"))
        stream = client.makefile("rw")
        stream.write(f"VERSION\t1\t2\nCPID\t{time.monotonic_ns() % 100000}\n")
        stream.write(f"AUTH\t1\tPLAIN\tservice={protocol}\trip={home}\trport=4711\tsecured\tsession=x\tresp={plain}\n")
        stream.flush()
        answer = next(line for line in stream if line.split("\t")[0] in ("OK", "FAIL", "CONT"))
    assert answer.startswith("OK\t1\t"), answer


def assert_all_granted(postern, before, addresses):
    """The log withholds lines when there are many; the counters do not."""
    tools.wait_for(lambda: stats(postern)["granted"] == before + len(addresses), f"{len(addresses)} logins")
    dump = postern.control("relay", "dump").stdout
    assert [address for address in addresses if f"{address} " not in dump] == []


def test_many(postern, dovecot):
    """No event is lost, and none is told for another."""
    before = stats(postern)["granted"]
    addresses = [f"127.85.{n}.{service}" for n in range(1, 31) for service in (1, 2)]
    clients = [dovecot.imap(address) if address.endswith(".1") else dovecot.pop3(address) for address in addresses]
    wait_for_sessions(postern, len(addresses))
    for client in clients:
        client.shutdown() if isinstance(client, Imap) else client.close()
    wait_for_sessions(postern, 0)
    assert_all_granted(postern, before, addresses)


def test_short_sessions(postern, dovecot):
    """Sessions that are over at once: no logout comes before its login, which would leave it open."""
    before = stats(postern)["granted"]
    addresses = [f"127.86.0.{number}" for number in range(1, 41)]
    for address in addresses:
        dovecot.pop3(address).close()
    assert_all_granted(postern, before, addresses)
    wait_for_sessions(postern, 0)


def test_hibernation(workspace, socket_path, postern, home):
    """A client that only waits is put aside: its session has ended for postern, until it goes on."""
    dovecot = Dovecot24(workspace / unique("dovecot24"), socket_path, USERS, hibernates=True)
    try:
        before = stats(postern)["granted"]
        client = dovecot.imap(home)
        wait_for_sessions(postern, 1)
        client.select()
        client.send(b"x IDLE\r\n")
        assert client.readline().startswith(b"+ ")
        wait_for_sessions(postern, 0)
        client.send(b"DONE\r\n")
        assert client.readline().startswith(b"x OK")
        wait_for_sessions(postern, 1)
        end(client)
        wait_for_sessions(postern, 0)
        assert stats(postern)["granted"] == before + 2
    finally:
        dovecot.close()


def test_proxy(workspace, socket_path, postern, home):
    """The proxy knows the client; the server behind it has no part in this."""
    backend = Dovecot24(workspace / unique("dovecot24"), None, USERS)
    proxy = Dovecot24(workspace / unique("dovecot24"), socket_path, USERS, backend=backend.imap_port)
    try:
        client = proxy.imap(home)
        wait_for_sessions(postern, 1)
        (login,) = events(postern, "login", home)
        assert login[:3] == (home, USER, "imap")
        client.select()
        end(client)
        wait_for_sessions(postern, 0)
        assert events(postern, "logout", home) == [login]
        with pytest.raises(imaplib.IMAP4.error):
            proxy.imap("127.84.2.1", password="wrong")
        end(proxy.imap("127.84.2.2"))
        tools.wait_for(lambda: recorded(postern, "127.84.2.2"), "a later login")
        assert not recorded(postern, "127.84.2.1")
    finally:
        proxy.close()
        backend.close()


def test_restart(postern, dovecot, home):
    """What Dovecot tells while nobody listens is lost, a login is not; the daemon that comes is told the next ones."""
    end(dovecot.imap(home))
    wait_for_sessions(postern, 0)
    postern.stop()
    start = time.monotonic()
    end(dovecot.imap("127.84.1.1"))
    end(dovecot.pop3("127.84.1.1"))
    assert time.monotonic() - start < 5
    postern.start()
    assert recorded(postern, home)
    assert not recorded(postern, "127.84.1.1")
    for _ in range(2):  # the first that Dovecot writes may find a connection that is gone
        end(dovecot.imap("127.84.1.2"))
    tools.wait_for(lambda: recorded(postern, "127.84.1.2"), f"a login after the restart\n{dovecot.log()[-2000:]}")
