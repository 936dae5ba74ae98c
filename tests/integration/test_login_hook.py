# SPDX-License-Identifier: GPL-3.0-or-later
"""postern-login in the real Dovecot: whatever state postern is in, a login succeeds, in time, and the client sees nothing of it."""

import contextlib
import os
import poplib
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import dovecot as dovecot_harness
from harness import tools
from harness.dovecot import PASSWORD, USER, Dovecot
from harness.postern import GROUP, POPAUTH_GROUP, Postern, program
from harness.postern import USER as DAEMON_USER
from harness.site import unique

SECONDS = 1.0  # that the hook may take
SLACK = 1.0  # for everything else, on a machine that is busy
HOME = "127.81.0.1"


@pytest.fixture(name="postern")
def daemon(workspace, popauth):
    """A daemon that no mail server asks."""
    folder = workspace / unique("login-hook")
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


def dialogue(port, lines):
    """What a server says, byte by byte, to a client that waits for each line; and how long the slowest answer took."""
    said, slowest = [], 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(HOME, 0)) as client:
        with client.makefile("rb") as stream:
            said.append(stream.readline())
            for line in lines:
                start = time.monotonic()
                client.sendall(line.encode() + b"\r\n")
                said.append(stream.readline())
                slowest = max(slowest, time.monotonic() - start)
            client.shutdown(socket.SHUT_WR)
            said.append(stream.read())
    return said, slowest


POP3 = [f"USER {USER}", f"PASS {PASSWORD}", "STAT", "QUIT"]
POP3_SAID = [b"+OK Dovecot (Debian) ready.\r\n", b"+OK\r\n", b"+OK Logged in.\r\n", b"+OK 0 0\r\n", b"+OK Logging out.\r\n", b""]


def assert_logs_in(server, seconds=SECONDS + SLACK):
    """POP3, byte by byte, and IMAP; each within its time."""
    said, slowest = dialogue(server.pop3_port, POP3)
    assert said == POP3_SAID
    assert slowest < seconds
    start = time.monotonic()
    said, slowest = dialogue(server.imap_port, [f"a login {USER} {PASSWORD}"])
    assert said[1].startswith(b"a OK [CAPABILITY ") and said[1].endswith(b"] Logged in\r\n"), said
    assert said[2] == b"", said
    assert time.monotonic() - start < seconds + SLACK


def recorded(postern):
    return postern.control("relay", "check", HOME, check=False).returncode == 0


def test_all_is_well(postern, dovecot):
    assert not recorded(postern)
    assert_logs_in(dovecot)
    assert recorded(postern)
    entries = postern.entries(event="login", client=HOME)
    assert [entry["service"] for entry in entries] == ["pop3", "imap"]
    assert {entry["user"] for entry in entries} == {USER}


def test_stopped(postern, dovecot):
    postern.stop()
    before = len(dovecot.log())
    assert_logs_in(dovecot, seconds=SLACK)
    assert dovecot.log()[before:].count(f"postern-login: {HOME} cannot be recorded") == 2


def test_killed(postern, dovecot):
    """Its socket is there, and nobody listens."""
    postern.kill()
    assert_logs_in(dovecot, seconds=SLACK)


def test_hangs(postern, dovecot):
    postern.pause()
    try:
        before = len(dovecot.log())
        assert_logs_in(dovecot)
        assert dovecot.log()[before:].count(f"postern-login: {HOME} cannot be recorded") == 2
    finally:
        postern.go_on()
    assert_logs_in(dovecot, seconds=SLACK)
    tools.wait_for(lambda: recorded(postern), "the login after it")


@contextlib.contextmanager
def instead(popauth, backlog=0):
    """Somebody who has the socket and never answers."""
    popauth.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(popauth))
        shutil.chown(popauth, DAEMON_USER, POPAUTH_GROUP)
        popauth.chmod(0o660)
        server.listen(backlog)
        yield server
    popauth.unlink()


def test_connection_queue_is_full(popauth, dovecot):
    with instead(popauth), contextlib.ExitStack() as waiting:
        while True:
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(str(popauth))
            except BlockingIOError:
                break
        assert_logs_in(dovecot)


@pytest.mark.parametrize("answer", [b"", b"o", b"err no\n", b"ok", b"\n" * 10, b"x" * 100000, b"err " + b"\xff\x1b[31m" * 30 + b"\n"])
def test_strange_answers(popauth, dovecot, answer):
    """Of a daemon that is no postern. The client sees none of it."""
    with instead(popauth, backlog=5) as server:
        child = os.fork()  # a thread would need the interpreter's lock that the client's side holds
        if child == 0:
            server.settimeout(10)
            with contextlib.suppress(OSError):
                for _ in range(2):
                    connection, _ = server.accept()
                    connection.sendall(answer)
                    connection.close()
            os._exit(0)
        try:
            assert_logs_in(dovecot)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_no_right_to_the_socket(postern, popauth, dovecot):
    popauth.chmod(0o600)
    before = len(dovecot.log())
    assert_logs_in(dovecot, seconds=SLACK)
    assert "Permission denied" in dovecot.log()[before:]
    assert not recorded(postern)


def test_no_socket_at_all(dovecot):
    assert_logs_in(dovecot, seconds=SLACK)


def test_who_may_speak_to_it(postern, popauth):
    """The group of popauth_group and no other, beside the daemon's user and root."""
    assert recorded_by(popauth, user=dovecot_harness.INTERNAL_USER, group=POPAUTH_GROUP) == "ok\n"
    for user, group in [("nobody", "nogroup"), (dovecot_harness.INTERNAL_USER, dovecot_harness.INTERNAL_USER), ("nobody", GROUP)]:
        assert recorded_by(popauth, user, group) == "PermissionError\n", (user, group)
    entry = postern.wait_entry(event="login", client="127.81.0.9")
    assert entry["pid"].isdigit() and entry["uid"].isdigit()


SPEAK = """\
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(10)
    try:
        client.connect(sys.argv[1])
        client.sendall(b"login 127.81.0.9 user=x\\n")
        print(client.recv(100).decode(), end="")
    except OSError as error:
        print(type(error).__name__)
"""


def recorded_by(popauth, user, group):
    command = ["/usr/bin/python3", "-c", SPEAK, popauth]
    return tools.run(command, env=tools.environment(), user=user, group=group, extra_groups=[]).stdout


# ---- by itself, as other servers and shell scripts call it


def run_hook(*arguments, **variables):
    env = tools.environment({key: value for key, value in variables.items() if value is not None})
    start = time.monotonic()
    done = subprocess.run([program("postern-login"), *arguments], env=env, capture_output=True, timeout=10, check=False)
    assert time.monotonic() - start < SECONDS + SLACK
    assert done.stderr.count(b"\n") <= 1
    return done


@pytest.mark.parametrize("address", [None, "", "nonsense", "127.81.0.2 user=root", "127.81.0.2\nadd 127.81.0.3", "0.0.0.0/0", "x" * 5000])
def test_strange_addresses(postern, popauth, address):
    """What comes from the environment makes no second request, and no login fails for it."""
    done = run_hook("--socket", popauth, "/bin/echo", "done", IP=address, USER="ann")
    assert (done.returncode, done.stdout) == (0, b"done\n")
    assert done.stderr.startswith(b"postern-login: ")
    assert postern.control("relay", "dump").stdout == ""


@pytest.mark.parametrize("user", ["", "ann", "Ann B", "a=b", "100%", "x\ny", "add 127.81.0.3", "\u00e4\u00f6", "u" * 255, "u" * 5000])
def test_strange_users(postern, popauth, user):
    done = run_hook("--socket", popauth, "--service", "pop3", "--", "/bin/echo", "-n", "done", IP=HOME, USER=user)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"done", b"")
    lines = postern.control("relay", "dump").stdout.splitlines()
    assert len(lines) == 2 and lines[1].startswith(f"{HOME} ") and lines[1].endswith("service=pop3"), lines


def test_mapped_address_is_the_ipv4_address(postern, popauth):
    assert run_hook("--socket", popauth, IP="::ffff:127.81.0.4").returncode == 0
    assert postern.control("relay", "check", "127.81.0.4").returncode == 0


def test_without_a_program_it_tells(postern, popauth):
    assert run_hook("--socket", popauth, IP=HOME).returncode == 0
    assert recorded(postern)
    assert run_hook("--socket", popauth.with_name("none.sock"), IP=HOME).returncode == 75
    assert run_hook("--socket", popauth, "/no/such/program", IP=HOME).returncode == 127


def test_many_logins_at_once(postern, dovecot):
    """Each is recorded, and none waits for another's sync."""
    clients = []
    for number in range(1, 41):
        client = dovecot_harness.Pop3(dovecot.pop3_port, f"127.82.0.{number}")
        client.user(USER)
        clients.append(client)
    start = time.monotonic()
    for client in clients:
        client._putcmd(f"PASS {PASSWORD}")  # pylint: disable=protected-access
    for client in clients:
        assert client._getresp().startswith(b"+OK")  # pylint: disable=protected-access
    assert time.monotonic() - start < 10
    for client in clients:
        with contextlib.suppress(poplib.error_proto):
            client.quit()
    listed = postern.control("relay", "dump").stdout
    assert [number for number in range(1, 41) if f"127.82.0.{number} " not in listed] == []
