# SPDX-License-Identifier: GPL-3.0-or-later
"""postern-login as pam_exec starts it, by the lines of conf/pam-postern: PAM itself, pamtester in the place of a POP server."""

import json
import time

import pytest

from harness import tools
from harness.pam import Pam
from harness.postern import Postern, program
from harness.site import unique

USER = "games"  # an account of every Debian
CLIENT = "127.82.0.1"
SECONDS = 1.0  # that postern-login may take
SLACK = 1.0


@pytest.fixture(name="postern")
def daemon(workspace, popauth):
    folder = workspace / unique("pam")
    sockets = folder / "sock"
    sockets.mkdir(parents=True)
    one = Postern(folder / "daemon", sockets / "milter.sock", popauth_socket=str(popauth), access="")
    one.makemap()
    one.start()
    try:
        yield one
        one.stop()
    finally:
        one.discard()


@pytest.fixture(name="pam", scope="module")
def services(workspace, popauth):
    """Two servers: one that opens sessions, and one that only asks whether the account is in order."""
    sample = tools.sample("pam-postern.in", {"@libexecdir@/postern/postern-login": f"{program('postern-login')} -s {popauth}"})
    lines = [line.lstrip("#") for line in sample.splitlines() if " optional pam_exec.so " in line]
    assert [line.split()[0] for line in lines] == ["session", "account"]
    return Pam(workspace / unique("pam.d"), {"pop3": lines[0], "imap": lines[1]}, [USER])


def open_sessions(postern):
    return json.loads(postern.control("--json", "relay", "stats").stdout)["relay_store"]["sessions"]["open"]


def recorded(postern, address):
    return postern.control("relay", "check", address, check=False).returncode == 0


SESSION = ("authenticate", "acct_mgmt", "open_session", "close_session")


def test_session(postern, pam):
    pam.ask("pop3", USER, *SESSION, host=CLIENT)
    login, logout = postern.entries(event="login"), postern.entries(event="logout")
    assert [(one["client"], one["user"], one["service"]) for one in login + logout] == [(CLIENT, USER, "pop3")] * 2
    assert login[0]["session"] == logout[0]["session"] != ""
    assert recorded(postern, CLIENT)
    assert open_sessions(postern) == 0
    pam.ask("pop3", USER, *SESSION[:3], host=CLIENT)
    assert open_sessions(postern) == 1  # its end was never told


def test_account(postern, pam):
    """No session is opened, so none is waited for."""
    pam.ask("imap", USER, "authenticate", "acct_mgmt", host="2001:db8:82::1")
    (login,) = postern.entries(event="login")
    assert (login["client"], login["service"], login.get("session", "")) == ("2001:db8:82::1", "imap", "")
    assert postern.entries(event="logout") == []
    assert recorded(postern, "2001:db8:82::1")


def test_who_is_not_recorded(postern, pam):
    """A wrong password, a login at the machine itself, and a client of which only a name is known."""
    assert pam.ask("pop3", USER, *SESSION, host=CLIENT, password="wrong", check=False).returncode != 0
    assert pam.ask("imap", USER, *SESSION, host=CLIENT, password="wrong", check=False).returncode != 0
    for host in (None, "localhost", "client.example.com", "127.82.0.1.example.com"):
        pam.ask("pop3", USER, *SESSION, host=host)
        pam.ask("imap", USER, *SESSION, host=host)
    assert postern.entries(event="login") == []
    assert not recorded(postern, CLIENT)


def assert_logs_in(pam):
    """In time: each operation asks the daemon once at most."""
    for service, operations in (("pop3", SESSION), ("imap", SESSION[:2])):
        start = time.monotonic()
        pam.ask(service, USER, *operations, host=CLIENT)
        assert time.monotonic() - start < SECONDS * len(operations) / 2 + SLACK


def test_whatever_the_daemon_does(postern, pam):
    postern.pause()
    try:
        assert_logs_in(pam)
    finally:
        postern.go_on()
    postern.stop()
    assert_logs_in(pam)
