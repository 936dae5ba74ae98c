# SPDX-License-Identifier: GPL-3.0-or-later
"""compat_check: pairs of sender and recipient; what is dropped is really not delivered, and the rest is."""

import pytest

from harness import smtp
from harness.site import shared_daemon, unique

SENDER = "s@neutral.test"
ALL = ["jane", "jim", "joe"]

ACCESS = """\
Compat:s@neutral.test<@>jim@local.example       DISCARD
Compat:s@neutral.test<@>silent@local.example    DISCARD:not told
Compat:s@neutral.test<@>no@local.example        ERROR:550 Not you two
Compat:s@neutral.test<@>own@local.example       ERROR:5.7.3:"554 Not you, not here"
Compat:s@neutral.test<@>later@local.example     TEMP:450 Come back
Compat:s@neutral.test<@>busy@local.example      TEMP:busy
Compat:s@neutral.test<@>never@local.example     REJECT
Compat:s@neutral.test<@>fine@local.example      OK
Compat:neutral.test<@>jane@local.example        DISCARD
jane@local.example                              OK
"""

postern = shared_daemon(ACCESS, features=["compat_check"])


def send_to(site, subject, users, sender=SENDER):
    with site.client() as client:
        assert client.mail(sender).ok
        for user in users:
            assert client.rcpt(f"{user}@local.example").ok, user
        return client.data(smtp.message(subject))


def rcpt_reply(site, user, sender=SENDER):
    with site.client() as client:
        assert client.mail(sender).ok
        return str(client.rcpt(f"{user}@local.example"))


@pytest.mark.parametrize("order", [["joe", "jim", "jane"], ["jim", "joe", "jane"], ["joe", "jane", "jim"]])
def test_one_of_three_is_dropped(site, postern, order):
    subject = unique("dropped")
    assert send_to(site, subject, order).code == 250
    site.wait_delivered(subject, ["jane", "joe"])
    site.assert_delivered_no_further(subject, ["jane", "joe"])
    entry = postern.entries(stage="rcpt", to="<jim@local.example>")[-1]
    assert entry["reason"] == "compat_check" and entry["rule"].endswith(":1")


@pytest.mark.usefixtures("postern")
def test_dropped_twice_and_in_other_letters(site):
    """Typed twice, and in capitals: none of the three is delivered."""
    subject = unique("twice")
    assert send_to(site, subject, ["jim", "joe", "JIM", "jim"]).code == 250
    site.wait_delivered(subject, ["joe"])
    site.assert_delivered_no_further(subject, ["joe"])


@pytest.mark.usefixtures("postern")
def test_all_dropped(site):
    subject = unique("all")
    assert send_to(site, subject, ["jim", "silent"]).code == 250
    site.assert_gone(subject)


@pytest.mark.usefixtures("postern")
def test_the_only_one_dropped(site):
    subject = unique("only")
    assert send_to(site, subject, ["jim"]).code == 250
    site.assert_gone(subject)


@pytest.mark.usefixtures("postern")
def test_drops_end_with_their_message(site):
    """The next message of the same session is another sender's, and jim gets it."""
    first, second = unique("first"), unique("second")
    with site.client() as client:
        client.mail(SENDER)
        client.rcpt("jim@local.example")
        client.rcpt("joe@local.example")
        assert client.data(smtp.message(first)).code == 250
        client.mail("other@neutral.test")
        client.rcpt("jim@local.example")
        assert client.data(smtp.message(second)).code == 250
    site.wait_delivered(second, ["jim"])
    site.wait_delivered(first, ["joe"])
    site.assert_delivered_no_further(first, ["joe"])


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize(
    "user, reply",
    [
        ("no", "550 5.0.0 Not you two error from check_compat"),
        ("own", "554 5.7.3 Not you, not here error from check_compat"),
        ("later", "450 4.7.1 Come back error from check_compat. Try again later"),
        ("busy", "450 4.7.1 busy error from check_compat. Try again later"),
        ("never", "550 5.7.1 Access denied"),
    ],
)
def test_refusals(site, user, reply):
    assert rcpt_reply(site, user) == reply
    assert rcpt_reply(site, user, "other@neutral.test")[:3] == "250"


@pytest.mark.usefixtures("postern")
def test_refused_and_dropped_and_delivered(site):
    subject = unique("mixed")
    with site.client() as client:
        client.mail(SENDER)
        replies = [client.rcpt(f"{user}@local.example").code for user in ("no", "jim", "joe", "later", "fine")]
        assert replies == [550, 250, 250, 450, 250]
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject, ["fine", "joe"])
    site.assert_delivered_no_further(subject, ["fine", "joe"])


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("sender", ["", "other@neutral.test", "s@other.test", "s@sub.neutral.test"])
def test_other_pairs(site, sender):
    """Whole addresses only, and no entry for the empty sender."""
    subject = unique("other")
    assert send_to(site, subject, ALL, sender).code == 250
    site.wait_delivered(subject, ALL)


def test_off_by_default(site):
    site.daemon(ACCESS)
    subject = unique("off")
    assert send_to(site, subject, ["jim", "no"]).code == 250
    site.wait_delivered(subject, ["jim", "no"])


def test_dropped_of_a_held_message(site):
    """QUARANTINE and a drop at once: held, and jim is not among those who get it when it is released."""
    site.daemon(ACCESS + "From:s@neutral.test QUARANTINE:look\n", features=["compat_check"])
    subject = unique("held")
    assert send_to(site, subject, ["jim", "joe"]).code == 250
    held = site.assert_held(subject)
    site.mta.release(held.queue_id)
    site.wait_delivered(subject, ["joe"])
    site.assert_delivered_no_further(subject, ["joe"])
