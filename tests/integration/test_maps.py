# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps that change, are missing or are broken while mail comes in."""

import os
import time

from harness import names, tools
from harness.site import unique

TEMPORARY = "451 4.3.0 Temporary system failure. Please try again later."
# The daemon promises to see a new map within two seconds; a look at the clock comes on top.
NOTICE_SECONDS = 2.3


def mail_reply(site, sender, source=names.NAMELESS):
    with site.client(source) as client:
        return str(client.mail(sender))


def wait_reply(site, sender, start, timeout=NOTICE_SECONDS):
    """What counts is when a session begins, not how long it takes."""
    end = time.monotonic() + timeout
    begun = time.monotonic()
    while not (reply := mail_reply(site, sender)).startswith(start):
        assert begun < end, f"{timeout:g} s later the reply to {sender} is still {reply}, not {start}"
        time.sleep(0.05)
        begun = time.monotonic()


def test_rule_added_and_removed_live(site):
    daemon = site.daemon("From:old.test REJECT\n")
    assert mail_reply(site, "x@new.test")[:3] == "250"
    daemon.write_access("From:old.test REJECT\nFrom:new.test ERROR:5.7.1:550 New rule\n")
    assert mail_reply(site, "x@new.test")[:3] == "250", "the text alone is not in force"
    daemon.makemap()
    wait_reply(site, "x@new.test", "550 5.7.1 New rule")
    daemon.write_access("From:new.test OK\n")
    daemon.makemap()
    wait_reply(site, "x@old.test", "250")
    assert mail_reply(site, "x@new.test")[:3] == "250"


def test_session_keeps_its_map(site):
    daemon = site.daemon("")
    with site.client() as client:
        assert client.mail("x@new.test").code == 250
        daemon.write_access("From:new.test REJECT\n")
        daemon.makemap()
        wait_reply(site, "x@new.test", "550")
        client.command("RSET")
        assert client.mail("x@new.test").code == 250


def test_erroneous_text_leaves_the_map_in_force(site):
    daemon = site.daemon("From:spam.test REJECT\n")
    daemon.write_access("From:spam.test OK\nFrom:a.test REJECTED\nFrom:b.test\n")
    failed = daemon.control("makemap", check=False)
    assert failed.returncode == 1
    assert f"{daemon.access}:2" in failed.stderr
    assert f"{daemon.access}:3" in failed.stderr
    time.sleep(NOTICE_SECONDS)
    assert mail_reply(site, "x@spam.test") == "550 5.7.1 Access denied"


def test_many_changes_in_a_row(site):
    daemon = site.daemon("")
    for number in range(20):
        daemon.write_access(f"From:n{number}.test REJECT\n")
        daemon.makemap()
    wait_reply(site, "x@n19.test", "550")
    assert mail_reply(site, "x@n18.test")[:3] == "250"


def test_missing_map_is_a_temporary_failure(site):
    daemon = site.daemon("From:spam.test REJECT\n", makemap=False)
    assert not daemon.map.exists()
    with site.client() as client:
        assert str(client.mail("x@neutral.test")) == TEMPORARY
        assert client.rcpt("joe@local.example").code == 503
    daemon.makemap()
    wait_reply(site, "x@neutral.test", "250")
    assert mail_reply(site, "x@spam.test")[:3] == "550"


def test_missing_map_with_delay_checks(site):
    site.daemon("", makemap=False, features=["delay_checks"])
    with site.client() as client:
        assert client.mail("x@neutral.test").code == 250
        assert str(client.rcpt("joe@local.example")) == TEMPORARY


def test_missing_spammers_map(site):
    daemon = site.daemon("", makemap=False, spammers="spam.test\n")
    daemon.control("makemap", "access")
    wait_reply(site, "x@neutral.test", "451 4.3.0", timeout=5)
    daemon.control("makemap", "spammers")
    wait_reply(site, "x@neutral.test", "250")


def replace_map(daemon, content):
    new = daemon.map.with_suffix(".new")
    new.write_bytes(content)
    os.chmod(new, 0o644)
    os.rename(new, daemon.map)


def check_broken_map(site, daemon):
    """The daemon with the broken map tempfails, says so in its log, and recovers by a good map."""
    wait_reply(site, "x@spam.test", "451 4.3.0")
    assert mail_reply(site, "x@neutral.test") == TEMPORARY
    assert "access.gdbm" in daemon.log()
    subject = unique("broken-map")
    assert site.send(subject).code == 451
    daemon.makemap()
    wait_reply(site, "x@neutral.test", "250")
    assert mail_reply(site, "x@spam.test")[:3] == "550"


def test_garbage_map(site):
    daemon = site.daemon("From:spam.test REJECT\n")
    replace_map(daemon, b"this is no database at all\n" * 100)
    check_broken_map(site, daemon)


def test_empty_map_file(site):
    daemon = site.daemon("From:spam.test REJECT\n")
    replace_map(daemon, b"")
    check_broken_map(site, daemon)


def test_truncated_map(site):
    daemon = site.daemon("From:spam.test REJECT\n" + "".join(f"From:d{n}.test OK\n" for n in range(5000)))
    replace_map(daemon, daemon.map.read_bytes()[:9000])
    check_broken_map(site, daemon)


def test_unreadable_map(site):
    """As root the daemon could read it; it gave up root."""
    daemon = site.daemon("From:spam.test REJECT\n")
    content = daemon.map.read_bytes()
    new = daemon.map.with_suffix(".new")
    new.write_bytes(content)
    os.chmod(new, 0o600)
    os.chown(new, 0, 0)
    os.rename(new, daemon.map)
    wait_reply(site, "x@spam.test", "451 4.3.0")
    assert "access.gdbm" in daemon.log()
    daemon.map.unlink()  # makemap would give the new map the mode of the old one
    daemon.makemap()
    wait_reply(site, "x@neutral.test", "250")


def test_removed_map_never_accepts(site):
    """Whether the old rules stay or everything waits: the refused sender is not let in."""
    daemon = site.daemon("From:spam.test REJECT\n")
    daemon.map.unlink()
    end = time.monotonic() + NOTICE_SECONDS
    while time.monotonic() < end:
        assert mail_reply(site, "x@spam.test")[:3] in ("550", "451")
        time.sleep(0.1)
    daemon.makemap()
    wait_reply(site, "x@neutral.test", "250")
    assert mail_reply(site, "x@spam.test")[:3] == "550"


def test_no_access_map_configured(site):
    daemon = site.daemon(access="From:spam.test REJECT\n", makemap=False, start=False)
    daemon.write_config(access="")
    site.start(daemon)
    assert mail_reply(site, "x@spam.test")[:3] == "250"
