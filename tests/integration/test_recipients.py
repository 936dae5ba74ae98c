# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipients are decided one by one; keys with and without tag; the spammers map."""

import pytest

from harness import smtp, tools
from harness.site import shared_daemon, unique

BLOCKED = "550 5.2.1 Mailbox disabled for this recipient"
DENIED = "550 5.7.1 Access denied"

ACCESS = """\
To:block@local.example      REJECT
To:later@local.example      ERROR:4.2.1:450 Mailbox busy
To:postman@                 REJECT
To:remote.test              REJECT
To:ok@remote.test           OK
# without a tag
everywhere.test             REJECT
user@half.test              REJECT
From:tagged.test            OK
tagged.test                 REJECT
127.22.1                    REJECT
Connect:127.22.1.7          OK
127.22.1.8                  OK
Connect:127.22.1.8          REJECT
"""

SPAMMERS = """\
# one sender a line
spammer.test
bulk@mixed.test
"""


postern = shared_daemon(ACCESS, features=["blocklist_recipients"], spammers=SPAMMERS)


def rcpt_reply(site, recipient, sender="s@neutral.test"):
    with site.client() as client:
        assert client.mail(sender).code == 250
        return str(client.rcpt(recipient))


def mail_reply(site, sender, source="127.22.9.9"):
    with site.client(source) as client:
        return str(client.mail(sender))


@pytest.mark.usefixtures("postern")
def test_one_refused_the_others_delivered(site):
    subject = unique("others")
    with site.client() as client:
        assert client.mail("s@neutral.test").code == 250
        replies = [
            str(client.rcpt(f"{user}@local.example")) for user in ("joe", "block", "jane", "later", "postman", "jim")
        ]
        assert [reply[:3] for reply in replies] == ["250", "550", "250", "450", "550", "250"]
        assert replies[1] == BLOCKED
        assert replies[3] == "450 4.2.1 Mailbox busy"
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject, ["jane", "jim", "joe"])


@pytest.mark.usefixtures("postern")
def test_all_refused_no_message(site):
    with site.client() as client:
        client.mail("s@neutral.test")
        assert client.rcpt("block@local.example").code == 550
        assert not client.command("DATA").ok
        assert client.command("RSET").code == 250
        assert client.mail("s@neutral.test").code == 250


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize(
    "recipient",
    [
        "block@local.example",
        "BLOCK@Local.Example",
        "block+detail@local.example",
        "postman@local.example",
        "x@remote.test",
        "x@sub.remote.test",
        "x@everywhere.test",
        "x@a.everywhere.test",
        "user@half.test",
        '"block"@local.example',
    ],
)
def test_blocked_recipients(site, recipient):
    assert rcpt_reply(site, recipient) == BLOCKED


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize(
    "recipient", ["joe@local.example", "blocked@local.example", "ok@remote.test", "postman@other.test", "x@half.test"]
)
def test_other_recipients(site, recipient):
    assert rcpt_reply(site, recipient)[:3] == "250"


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("sender", ["x@everywhere.test", "X@A.EVERYWHERE.TEST", "user@half.test", "user+a@half.test"])
def test_untagged_keys_refuse_senders(site, sender):
    assert mail_reply(site, sender) == DENIED


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("sender", ["", "x@tagged.test", "x@half.test", "x@noteverywhere.test", "x"])
def test_other_senders(site, sender):
    assert mail_reply(site, sender)[:3] == "250"


@pytest.mark.usefixtures("postern")
def test_untagged_key_is_for_recipients_where_only_the_sender_tag_differs(site):
    assert rcpt_reply(site, "x@tagged.test", sender="x@tagged.test") == BLOCKED


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("source, wanted", [("127.22.1.6", "550"), ("127.22.1.7", "250"), ("127.22.1.8", "550")])
def test_untagged_address_keys(site, source, wanted):
    """A longer key before a shorter one; of equal keys the tagged one."""
    assert mail_reply(site, "s@neutral.test", source)[:3] == wanted


@pytest.mark.parametrize("sender", ["x@spammer.test", "X@SPAMMER.test", "bulk@mixed.test"])
def test_spammers(site, postern, sender):
    assert mail_reply(site, sender)[:3] == "550"
    entry = postern.entries(action="reject")[-1]
    assert "spammers" in " ".join(entry.values())


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("sender", ["x@mixed.test", "bulk2@mixed.test", "spammer.test@neutral.test"])
def test_not_spammers(site, sender):
    assert mail_reply(site, sender)[:3] == "250"


def test_spammers_changed_live(site):
    daemon = site.daemon("", spammers="one.test\n")
    assert mail_reply(site, "x@two.test")[:3] == "250"
    daemon.spammers.write_text("one.test\ntwo.test\n")
    daemon.makemap()
    tools.wait_for(lambda: mail_reply(site, "x@two.test")[:3] == "550", "the new spammers map", timeout=2)
    assert mail_reply(site, "x@one.test")[:3] == "550"


def test_without_blocklist_recipients_recipients_are_not_asked(site):
    site.daemon("To:block@local.example REJECT\nlocal.example DISCARD\n")
    subject = unique("not-blocked")
    assert site.send(subject, rcpts=["block@local.example"]).code == 250
    site.wait_delivered(subject, ["block"])


def test_old_name_takes_bare_user_names(site):
    site.daemon("bare REJECT\n", features=["blacklist_recipients"])
    assert rcpt_reply(site, "bare@local.example") == BLOCKED
    assert rcpt_reply(site, "bare@other.test")[:3] == "250"
