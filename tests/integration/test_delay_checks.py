# SPDX-License-Identifier: GPL-3.0-or-later
"""delay_checks: everything is told at RCPT; friend and hater; block_bad_helo with and without it."""

import pytest

from harness import names, smtp
from harness.mta import OWN_NAME
from harness.site import shared_daemon, unique

DENIED = "550 5.7.1 Access denied"
BAD_CLIENT = "127.23.1.1"

ACCESS = """\
Connect:127.23.1            REJECT
Connect:127.23.2            DISCARD
Connect:127.23.3            QUARANTINE:late
From:spam.test              REJECT
From:good.test              OK
To:block@local.example      REJECT
Spam:joe@local.example      FRIEND
Spam:jane@local.example     HATER
"""


delayed = shared_daemon(ACCESS, features=["delay_checks", "blocklist_recipients"])


def replies(site, source, sender, *recipients):
    with site.client(source) as client:
        found = [str(client.mail(sender))]
        for recipient in recipients:
            found.append(str(client.rcpt(recipient)))
        return found


@pytest.mark.usefixtures("delayed")
def test_client_is_refused_at_rcpt(site):
    mail, first, second = replies(site, BAD_CLIENT, "s@neutral.test", "joe@local.example", "jane@local.example")
    assert mail[:3] == "250"
    assert (first, second) == (DENIED, DENIED)


@pytest.mark.usefixtures("delayed")
def test_sender_is_refused_at_rcpt(site):
    mail, rcpt = replies(site, names.NAMELESS, "s@spam.test", "joe@local.example")
    assert mail[:3] == "250"
    assert rcpt == DENIED


@pytest.mark.usefixtures("delayed")
def test_recipient_comes_first(site):
    _, rcpt = replies(site, BAD_CLIENT, "s@spam.test", "block@local.example")
    assert rcpt == "550 5.2.1 Mailbox disabled for this recipient"


@pytest.mark.usefixtures("delayed")
def test_good_sender_skips_the_client(site):
    subject = unique("good-sender")
    assert site.send(subject, "s@good.test", source=BAD_CLIENT).code == 250
    site.wait_delivered(subject)


@pytest.mark.usefixtures("delayed")
def test_null_sender_does_not_skip_the_client(site):
    mail, rcpt = replies(site, BAD_CLIENT, "", "joe@local.example")
    assert mail[:3] == "250"
    assert rcpt == DENIED


@pytest.mark.usefixtures("delayed")
def test_discard_and_quarantine_of_the_client(site):
    gone, held = unique("late-discard"), unique("late-hold")
    assert site.send(gone, source="127.23.2.1").code == 250
    assert site.send(held, source="127.23.3.1").code == 250
    site.assert_gone(gone)
    site.assert_held(held)


def test_friend(site):
    site.daemon(ACCESS, features=["delay_checks_friend"])
    _, joe, jane = replies(site, BAD_CLIENT, "s@spam.test", "joe@local.example", "jane@local.example")
    assert joe[:3] == "250"
    assert jane == DENIED


def test_hater(site):
    site.daemon(ACCESS, features=["delay_checks_hater"])
    _, joe, jane = replies(site, BAD_CLIENT, "s@spam.test", "joe@local.example", "jane@local.example")
    assert joe[:3] == "250"
    assert jane == DENIED


def test_friend_gets_the_message_that_others_are_refused(site):
    site.daemon(ACCESS, features=["delay_checks_friend"])
    subject = unique("friend")
    with site.client(BAD_CLIENT) as client:
        client.mail("s@spam.test")
        assert client.rcpt("joe@local.example").code == 250
        assert client.rcpt("jim@local.example").code == 550
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject, ["joe"])


# ---- block_bad_helo

BAD_HELOS = ["foo", OWN_NAME, "local.example", "LOCAL.example", "127.0.0.1", "[127.0.0.1]"]
GOOD_HELOS = ["mail.neutral.test", "[127.10.0.5]", "[IPv6:2001:db8::1]", "x.mx.home.example"]


helo = shared_daemon("", features=["block_bad_helo"])


def helo_replies(site, name, source=names.NAMELESS):
    with site.client(source, helo=name) as client:
        return str(client.mail("s@neutral.test")), str(client.rcpt("joe@local.example"))


@pytest.mark.usefixtures("helo")
@pytest.mark.parametrize("name", BAD_HELOS)
def test_bad_helo_is_told_at_mail(site, name):
    mail, rcpt = helo_replies(site, name)
    assert mail == f"550 5.7.1 bogus HELO name used: {name}"
    assert rcpt[:3] == "503"


@pytest.mark.usefixtures("helo")
@pytest.mark.parametrize("name", GOOD_HELOS)
def test_good_helo(site, name):
    mail, rcpt = helo_replies(site, name)
    assert (mail[:3], rcpt[:3]) == ("250", "250")


def test_second_helo_counts(site, helo):
    with site.client(helo="foo") as client:
        assert client.mail("s@neutral.test").code == 550
        assert client.command("EHLO good.neutral.test").code == 250
        assert client.mail("s@neutral.test").code == 250


@pytest.mark.usefixtures("helo")
def test_loopback_may_say_what_it_likes(site):
    mail, rcpt = helo_replies(site, "foo", source="127.0.0.1")
    assert (mail[:3], rcpt[:3]) == ("250", "250")


def test_bad_helo_with_delay_checks_is_told_at_rcpt(site):
    site.daemon("", features=["block_bad_helo", "delay_checks"])
    mail, rcpt = helo_replies(site, "foo")
    assert mail[:3] == "250"
    assert rcpt == "550 5.7.1 bogus HELO name used: foo"
