# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon is killed, started twice, stopped, left alone: no mail is lost, and none gets by."""

import grp
import os
import pwd
import signal
import socket
import stat
import time

import pytest

from harness import smtp, tools
from harness.postern import GROUP, USER, program
from harness.site import unique

RULES = "From:spam.test REJECT\nFrom:hold.test QUARANTINE:held\n"


def session_result(site, subject, sender="s@neutral.test"):
    """A whole session as a mail server's queue would try it: the first reply that is no success, or that to DATA."""
    try:
        with site.connect() as client:
            reply = client.reply()
            for line in ("EHLO c.neutral.test", f"MAIL FROM:<{sender}>", "RCPT TO:<joe@local.example>"):
                if not reply.ok:
                    return reply
                reply = client.command(line)
            return client.data(smtp.message(subject)) if reply.ok else reply
    except smtp.Closed:
        return smtp.Reply(421, "closed", "")


def test_without_daemon_mail_waits(site):
    """No accept while postern is away, and no refusal for good either."""
    daemon = site.daemon(RULES)
    daemon.stop()
    for sender in ("s@neutral.test", "x@spam.test", "s@hold.test"):
        subject = unique("away")
        assert 400 <= session_result(site, subject, sender).code < 500
        assert site.mta.sink.with_subject(subject) == []
    daemon.start()
    subject = unique("back")
    assert session_result(site, subject).code == 250
    site.wait_delivered(subject)
    assert session_result(site, unique("back"), "x@spam.test").code == 550
    daemon.stop()


@pytest.mark.parametrize("stage", ["greeting", "mail", "rcpt", "data"])
def test_killed_within_a_session(site, stage):
    """A message whose session loses postern is tempfailed, never half checked; the next try passes."""
    daemon = site.daemon(RULES)
    subject = unique("killed")
    steps = {
        "greeting": [],
        "mail": ["MAIL FROM:<s@neutral.test>"],
        "rcpt": ["MAIL FROM:<s@neutral.test>", "RCPT TO:<joe@local.example>"],
        "data": ["MAIL FROM:<s@neutral.test>", "RCPT TO:<joe@local.example>", "DATA"],
    }
    with site.client() as client:
        for line in steps[stage]:
            assert client.command(line).ok
        daemon.kill()
        reply = finish_session(client, steps[stage], subject)
    assert 400 <= reply.code < 500
    daemon.start()
    assert session_result(site, subject).code == 250
    site.wait_delivered(subject)
    daemon.stop()


def finish_session(client, done, subject):
    try:
        for line in ["MAIL FROM:<s@neutral.test>", "RCPT TO:<joe@local.example>"][len(done) :]:
            reply = client.command(line)
            if not reply.ok:
                return reply
        if "DATA" in done:
            client.send_raw(smtp.message(subject).replace("\n", "\r\n").encode() + b"\r\n.\r\n")
            return client.reply()
        return client.data(smtp.message(subject))
    except smtp.Closed:
        return smtp.Reply(421, "closed", "")


def test_killed_again_and_again_loses_nothing(site):
    """Every message that was answered 250 is delivered once; every other one can be sent again."""
    daemon = site.daemon(RULES)
    accepted, waiting = [], [unique("again") for _ in range(30)]
    end = time.monotonic() + 60
    rounds = 0
    while waiting and time.monotonic() < end:
        subject = waiting.pop(0)
        if rounds < 24 and rounds % 3 == 1:
            daemon.kill()
        if rounds < 24 and rounds % 3 == 2:
            daemon.start()
        reply = session_result(site, subject)
        assert reply.code == 250 or 400 <= reply.code < 500
        (accepted if reply.code == 250 else waiting).append(subject)
        rounds += 1
    assert waiting == []
    for subject in accepted:
        site.wait_delivered(subject)
    daemon.stop()


# ---- the socket


def test_stale_socket_is_replaced(site):
    daemon = site.daemon(RULES)
    daemon.kill()
    assert stat.S_ISSOCK(os.lstat(daemon.listen).st_mode), "a killed daemon leaves its socket"
    daemon.start()
    assert session_result(site, unique("stale"), "x@spam.test").code == 550


def test_second_daemon_refuses_to_start(site):
    daemon = site.daemon(RULES)
    second = site.daemon("", start=False)
    second.spawn()
    assert second.wait_end() != 0
    assert str(daemon.listen) in second.log()
    assert daemon.alive()
    assert session_result(site, unique("first"), "x@spam.test").code == 550
    assert stat.S_ISSOCK(os.lstat(daemon.listen).st_mode)


def test_second_daemon_on_the_same_control_socket_refuses_to_start(site):
    daemon = site.daemon(RULES)
    second = site.daemon("", start=False)
    second.write_config(listen=f"unix:{daemon.listen.parent}/other.sock")
    second.spawn()
    assert second.wait_end() != 0
    assert "control.sock" in second.log()
    assert str(daemon.process.pid) in daemon.control("status").stdout


def test_what_is_no_socket_is_not_replaced(site):
    daemon = site.daemon(RULES, start=False)
    path = daemon.folder / "precious"
    path.write_text("somebody's file\n")
    daemon.write_config(listen=f"unix:{path}")
    daemon.spawn()
    assert daemon.wait_end() != 0
    assert path.read_text() == "somebody's file\n"
    assert str(path) in daemon.log()


def test_socket_mode_and_owner(site):
    daemon = site.daemon(RULES, listen_mode="0660")
    found = os.lstat(daemon.listen)
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_gid == grp.getgrnam(GROUP).gr_gid


# ---- signals


def test_sigterm_is_a_clean_end(site):
    """Sessions without a message do not hold it up."""
    daemon = site.daemon(RULES)
    with site.client(), site.client():
        start = time.monotonic()
        daemon.stop()
        assert time.monotonic() - start < 5
    assert not daemon.listens()
    assert not daemon.listen.exists(), "the socket is taken away"


def test_sigterm_lets_a_message_end(site):
    """What a package upgrade does in the middle of a message: it is still decided and delivered."""
    daemon = site.daemon(RULES)
    subject = unique("last-one")
    with site.client() as client:
        assert client.mail("s@neutral.test").code == 250
        daemon.process.terminate()
        time.sleep(0.3)
        assert client.rcpt("joe@local.example").code == 250
        assert client.data(smtp.message(subject)).code == 250
    start = time.monotonic()
    assert daemon.wait_end() == 0
    assert time.monotonic() - start < 5
    site.wait_delivered(subject)


def test_sigint_is_an_end_too(site):
    daemon = site.daemon(RULES)
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.wait_end() == 0


def test_rotation_of_the_log_is_harmless(site):
    """What logrotate does: SIGHUP each night. The daemon goes on with the same process, sessions too."""
    daemon = site.daemon(RULES)
    pid = daemon.process.pid
    subject = unique("rotated")
    with site.client() as client:
        assert client.mail("s@neutral.test").code == 250
        daemon.hup()
        time.sleep(0.3)
        assert client.rcpt("joe@local.example").code == 250
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject)
    time.sleep(6)  # libmilter's own handling of SIGHUP ends a filter within five seconds
    assert daemon.alive() and daemon.process.pid == pid
    assert session_result(site, unique("rotated"), "x@spam.test").code == 550


def test_gives_up_root(site):
    daemon = site.daemon(RULES)
    status = open(f"/proc/{daemon.process.pid}/status", encoding="ascii").read()
    ids = [line.split()[1:] for line in status.splitlines() if line.startswith(("Uid:", "Gid:"))]
    assert ids == [[str(pwd.getpwnam(USER).pw_uid)] * 4, [str(grp.getgrnam(GROUP).gr_gid)] * 4]


def test_configuration_check_only(site):
    daemon = site.daemon(RULES, start=False)
    command = [program("postern"), "-c", daemon.config, "-t"]
    assert tools.run(command, check=False).returncode == 0
    daemon.write_config(extra="nonsense = 1\n")
    failed = tools.run(command, check=False)
    assert failed.returncode == 1
    assert f"{daemon.config}:" in failed.stderr
    daemon.write_config()
    daemon.map.unlink()
    assert tools.run(command, check=False).returncode == 1


def test_background_with_pid_file(site):
    daemon = site.daemon(RULES, start=False)
    pid_file = daemon.listen.parent / "postern.pid"
    daemon.write_config(pid_file=str(pid_file))
    daemon.spawn_background()
    pid = int(tools.wait_for(lambda: pid_file.exists() and pid_file.read_text().strip(), "the pid file"))
    try:
        tools.wait_for(daemon.listens, "the daemon to listen")
        assert session_result(site, unique("background"), "x@spam.test").code == 550
    finally:
        os.kill(pid, signal.SIGTERM)
    tools.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "its end")
    assert not pid_file.exists()


def test_inet_socket(site):
    """Over TCP too, with a client of the milter protocol that only connects."""
    port = tools.free_port()
    daemon = site.daemon(RULES, start=False)
    daemon.write_config(listen=f"inet:{port}@127.0.0.1")
    daemon.spawn()
    tools.wait_for(lambda: tools.accepts(port), "the daemon to listen")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        # SMFIC_OPTNEG, version 6, all actions, all steps
        client.sendall(b"\0\0\0\x0dO" + b"\0\0\0\x06" + b"\0\0\x01\xff" + b"\0\x1f\xff\xff")
        answer = client.recv(64)
    assert answer[4:5] == b"O"
    daemon.stop()
