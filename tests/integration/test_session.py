# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways of talking SMTP: pipelining, several messages, RSET, HELO again, other verbs between."""

import pytest

from harness import smtp
from harness.site import shared_daemon, unique

DENIED = "550 5.7.1 Access denied"

postern = shared_daemon(
    "From:spam.test REJECT\nTo:block@local.example REJECT\nTo:drop@local.example DISCARD\n",
    features=["blocklist_recipients"],
)
pytestmark = pytest.mark.usefixtures("postern")


def test_pipelined_message(site):
    subject = unique("pipeline")
    with site.client() as client:
        client.send_raw(
            b"MAIL FROM:<s@neutral.test>\r\n"
            b"RCPT TO:<joe@local.example>\r\n"
            b"RCPT TO:<block@local.example>\r\n"
            b"RCPT TO:<jane@local.example>\r\n"
            b"DATA\r\n"
        )
        assert [client.reply().code for _ in range(5)] == [250, 250, 550, 250, 354]
        client.send_raw(smtp.message(subject).replace("\n", "\r\n").encode() + b"\r\n.\r\nQUIT\r\n")
        assert [client.reply().code for _ in range(2)] == [250, 221]
    site.wait_delivered(subject, ["jane", "joe"])


def test_pipelined_refused_sender(site):
    with site.client() as client:
        client.send_raw(b"MAIL FROM:<x@spam.test>\r\nRCPT TO:<joe@local.example>\r\nDATA\r\n")
        assert str(client.reply_about("x@spam.test")) == DENIED
        rcpt, data = client.reply(), client.reply()
        assert (rcpt.code, data.code) == (503, 503)
        assert client.quit().code == 221


def test_pipelined_sessions_of_many_messages(site):
    with site.client() as client:
        block = (
            b"MAIL FROM:<s@neutral.test>\r\nRCPT TO:<block@local.example>\r\nRSET\r\n"
            b"MAIL FROM:<x@spam.test>\r\nRSET\r\n"
        )
        for _ in range(20):
            client.send_raw(block * 5)
            for _ in range(5):
                assert [client.reply().code for _ in range(5)] == [250, 550, 250, 550, 250]


def test_several_messages_each_decided_for_itself(site):
    kept = []
    with site.client() as client:
        for number in range(5):
            assert str(client.mail("x@spam.test")) == DENIED
            assert client.mail("s@neutral.test").code == 250
            assert client.rcpt("block@local.example").code == 550
            assert client.rcpt("joe@local.example").code == 250
            kept.append(unique("several"))
            assert client.data(smtp.message(kept[-1])).code == 250, number
    for subject in kept:
        site.wait_delivered(subject)


@pytest.mark.parametrize("between", ["RSET", "EHLO again.neutral.test", "HELO again.neutral.test"])
def test_transaction_ended_early(site, between):
    """The flag of a discarded message does not outlive its transaction."""
    subject = unique("after-drop")
    with site.client() as client:
        assert client.mail("s@neutral.test").code == 250
        assert client.rcpt("drop@local.example").code == 250
        assert client.command(between).code == 250
        assert client.mail("s@neutral.test").code == 250
        assert client.rcpt("joe@local.example").code == 250
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject)


def test_helo_instead_of_ehlo(site):
    with site.connect() as client:
        client.reply()
        assert client.command("HELO old.neutral.test").code == 250
        assert client.mail("x@spam.test").code == 550
        assert client.mail("s@neutral.test").code == 250


def test_without_helo(site):
    with site.connect() as client:
        client.reply()
        reply = client.mail("x@spam.test")
        assert reply.code in (503, 550)


def test_other_verbs_between(site):
    subject = unique("verbs")
    with site.client() as client:
        assert client.command("NOOP").code == 250
        assert client.mail("s@neutral.test", " SIZE=1000 BODY=8BITMIME").code == 250
        client.command("VRFY joe")
        client.command("HELP")
        client.command("NONSENSE")
        assert client.rcpt("joe@local.example").code == 250
        assert client.command("NOOP").code == 250
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject)


def test_mail_parameters_are_not_part_of_the_sender(site):
    with site.client() as client:
        assert str(client.mail("x@spam.test", " SIZE=1000 BODY=8BITMIME")) == DENIED
        assert client.mail("s@neutral.test", " SIZE=1000 BODY=8BITMIME").code == 250
        assert client.command("RCPT TO:<block@local.example> NOTIFY=NEVER").code == 550


def test_blanks_and_case_of_verbs(site):
    with site.client() as client:
        assert client.command("mail from:<X@SPAM.TEST>").code == 550
        assert client.command("MAIL From:<x@spam.test>").code == 550
        assert client.command("mail from:<s@neutral.test>").code == 250
        assert client.command("rcpt to:<Block@Local.Example>").code == 550


def test_large_message(site):
    subject = unique("large")
    body = smtp.message(subject) + "\n" + "\n".join(["x" * 70] * 20000)
    with site.client() as client:
        client.mail("s@neutral.test")
        client.rcpt("joe@local.example")
        assert client.data(body).code == 250
    site.wait_delivered(subject)
    assert len(site.mta.sink.with_subject(subject)[0].text) > 1400000


def test_many_recipients(site):
    subject = unique("crowd")
    users = [f"u{number}" for number in range(90)]
    with site.client() as client:
        client.mail("s@neutral.test")
        for user in users:
            assert client.rcpt(f"{user}@local.example").code == 250
        assert client.rcpt("block@local.example").code == 550
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject, users)
