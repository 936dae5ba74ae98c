# SPDX-License-Identifier: GPL-3.0-or-later
"""DISCARD really loses the message, QUARANTINE really holds it, and neither reaches beyond what it was meant for."""

import pytest

from harness import smtp, tools
from harness.site import shared_daemon, unique

ACCESS = """\
Connect:127.21.1.1          DISCARD
Connect:127.21.1.2          QUARANTINE:odd client
From:discard.test           DISCARD
From:hold.test              QUARANTINE:smells of spam
From:both.test              QUARANTINE:will be overruled
To:discard@local.example    DISCARD
To:hold@local.example       QUARANTINE:"watch, this one"
To:block@local.example      REJECT
To:last@local.example       QUARANTINE:the last one
"""


postern = shared_daemon(ACCESS, features=["blocklist_recipients"])


SENDS = {
    "connect": {"source": "127.21.1.1"},
    "mail": {"sender": "s@discard.test"},
    "rcpt": {"rcpts": ["discard@local.example"]},
    "rcpt_among_others": {"rcpts": ["joe@local.example", "discard@local.example", "jane@local.example"]},
}


@pytest.mark.parametrize("stage", SENDS)
def test_discarded_is_gone(site, postern, stage):
    subject = unique("discard")
    assert site.send(subject, **SENDS[stage]).code == 250
    site.assert_gone(subject)
    assert postern.wait_entry(action="discard")


# Quotes belong to the reason, as with Sendmail's own rulesets.
HOLDS = {
    "connect": ({"source": "127.21.1.2"}, "odd client", ["joe"]),
    "mail": ({"sender": "s@hold.test"}, "smells of spam", ["joe"]),
    "rcpt": ({"rcpts": ["hold@local.example"]}, '"watch, this one"', ["hold"]),
    "rcpt_among_others": ({"rcpts": ["joe@local.example", "hold@local.example"]}, '"watch, this one"', ["hold", "joe"]),
    "last_one_wins": ({"sender": "s@hold.test", "rcpts": ["last@local.example"]}, "the last one", ["last"]),
}


@pytest.mark.parametrize("stage", HOLDS)
def test_quarantined_is_held_and_can_be_released(site, postern, stage):
    how, reason, rcpts = HOLDS[stage]
    subject = unique("hold")
    assert site.send(subject, **how).code == 250
    held = site.assert_held(subject)
    if site.mta.name == "sendmail":  # Postfix 3.7 keeps no reason
        assert held.reason == reason
    assert postern.wait_entry(action="quarantine")
    site.mta.release(held.queue_id)
    site.wait_delivered(subject, rcpts)
    tools.wait_for(lambda: not site.in_queue(subject), "an empty queue")


@pytest.mark.usefixtures("postern")
def test_discard_wins_over_quarantine(site):
    subject = unique("discard-wins")
    rcpts = ["hold@local.example", "discard@local.example"]
    assert site.send(subject, "s@both.test", rcpts).code == 250
    site.assert_gone(subject)
    assert site.mta.held_with_subject(subject) == []


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("sender", ["s@discard.test", "s@hold.test"])
def test_later_stage_still_refuses(site, sender):
    with site.client() as client:
        assert client.mail(sender).code == 250
        assert str(client.rcpt("block@local.example")) == "550 5.2.1 Mailbox disabled for this recipient"


def two_messages(site, first, second, between=None):
    """Both in one session: (sender, recipient) each; the subjects."""
    subjects = [unique("in-session"), unique("in-session")]
    with site.client() as client:
        for subject, (sender, rcpt) in zip(subjects, (first, second)):
            assert client.mail(sender).code == 250
            assert client.rcpt(rcpt).code == 250
            if between and subject == subjects[0]:
                assert client.command(between).code == 250
            else:
                assert client.data(smtp.message(subject)).code == 250
        client.quit()
    return subjects


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize(
    "first",
    [
        ("s@discard.test", "joe@local.example"),
        ("s@neutral.test", "discard@local.example"),
        ("s@hold.test", "joe@local.example"),
        ("s@neutral.test", "hold@local.example"),
    ],
)
@pytest.mark.parametrize("between", [None, "RSET"])
def test_next_message_of_the_session_is_free(site, first, between):
    _, second = two_messages(site, first, ("s@neutral.test", "joe@local.example"), between)
    site.wait_delivered(second)


@pytest.mark.usefixtures("postern")
def test_discard_at_connect_holds_for_all_messages_of_the_session(site):
    subjects = [unique("all-gone") for _ in range(3)]
    with site.client("127.21.1.1") as client:
        for subject in subjects:
            assert client.mail("s@neutral.test").code == 250
            assert client.rcpt("joe@local.example").code == 250
            assert client.data(smtp.message(subject)).code == 250
    for subject in subjects:
        site.assert_gone(subject)


@pytest.mark.usefixtures("postern")
def test_quarantine_at_connect_holds_all_messages_of_the_session(site):
    subjects = [unique("all-held") for _ in range(2)]
    with site.client("127.21.1.2") as client:
        for subject in subjects:
            assert client.mail("s@neutral.test").code == 250
            assert client.rcpt("joe@local.example").code == 250
            assert client.data(smtp.message(subject)).code == 250
    for subject in subjects:
        site.assert_held(subject)
