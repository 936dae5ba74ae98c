# SPDX-License-Identifier: GPL-3.0-or-later
"""The file regex: patterns of clients, names given, senders, recipients and pairs, as the client is answered."""

import re

import pytest

from harness import mail, names, tools
from harness.site import shared_daemon, unique

REGEX = r"""
# clients: the name, then the address in brackets
Connect:/^host\.neutral\.test$/         550 5.7.1 No mail from $$neutral
Connect:/^\[127\.31\.1\.1\]$/           REJECT no clients of this network
Connect:/^\[127\.31\.1\.2\]$/           DISCARD
Connect:/^\[127\.31\.1\.3\]$/           HOLD odd client
Connect:/^\[127\.31\.2\.(\d+)\]$/       451 4.7.1 Number $1, come back later
Connect:/^\[127\.31\.3\.1\]$/           OK
# names given
Helo:/^dyn-\d+-\d+/                     REJECT dynamic name
Helo:/^(local\.example)$/               550 5.7.1 $1 is us
# senders
if From:/@bigisp\.test$/
From:/^\d+@/                            553 5.1.7 Address Error
endif
From:/^<>$/                             DUNNO
From:/^bulk-(.*)@/                      ERROR:5.7.1:"550 No bulk of $1"
From:/@held\.test$/                     QUARANTINE:by its sender
From:/@fine\.test$/                     OK
From:/@seen\.test$/                     PREPEND X-Seen: by its sender
From:/@copied\.test$/                   BCC archive@local.example
From:/@noted\.test$/                    WARN noted
# recipients
To:/^no-?reply@local\.example$/         550 5.1.1 Nobody reads this
To:/^lost@/                             DISCARD
To:/^moved@/                            REDIRECT jane@local.example
# whoever it is
/^either@untagged\.test$/               REJECT not this one
# pairs
Compat:/^quiet@quiet\.test<@>jim@/                           DISCARD
"""
ACCESS = """\
Connect:127.31.3.1      REJECT
From:fine.test          REJECT
From:1@bigisp.test      OK
To:blocked@             REJECT
"""

postern = shared_daemon(ACCESS, regex=REGEX, features=["blocklist_recipients"])


def mail_reply(site, sender="s@neutral.test", source=names.NAMELESS, helo="client.neutral.test"):
    with site.client(source, helo) as client:
        return str(client.mail(sender))


def rcpt_reply(site, recipient, sender="s@neutral.test"):
    with site.client() as client:
        assert client.mail(sender).ok
        return str(client.rcpt(recipient))


CLIENTS = {
    names.NEUTRAL: "550 5.7.1 No mail from $neutral",
    "127.31.1.1": "550 5.7.1 no clients of this network",
    "127.31.2.77": "451 4.7.1 Number 77, come back later",
    "127.31.4.1": "250 ",
    "127.31.3.1": "250 ",  # OK comes before the access file
}


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("source", CLIENTS)
def test_clients(site, source):
    assert mail_reply(site, source=source).startswith(CLIENTS[source])


@pytest.mark.usefixtures("postern")
def test_names_given(site):
    assert mail_reply(site, helo="dyn-1-2.isp.test") == "550 5.7.1 dynamic name"
    assert mail_reply(site, helo="LOCAL.example") == "550 5.7.1 LOCAL.example is us"
    assert mail_reply(site, helo="mail.isp.test").startswith("250 ")


SENDERS = {
    "2312343@bigisp.test": "553 5.1.7 Address Error",
    "1@bigisp.test": "553 5.1.7 Address Error",  # before the access file
    "joe1@bigisp.test": "250 ",
    "2312343@other.test": "250 ",
    "bulk-Shoes@any.test": "550 5.7.1 No bulk of ",
    "s@fine.test": "250 ",
    "either@untagged.test": "550 5.7.1 not this one",
    "": "250 ",
}


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("sender", SENDERS)
def test_senders(site, sender):
    assert mail_reply(site, sender).startswith(SENDERS[sender])


RECIPIENTS = {
    "noreply@local.example": "550 5.1.1 Nobody reads this",
    "No-Reply@LOCAL.example": "550 5.1.1 Nobody reads this",
    "either@untagged.test": "550 5.7.1 not this one",
    "joe@local.example": "250 ",
}


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("recipient", RECIPIENTS)
def test_recipients(site, recipient):
    assert rcpt_reply(site, recipient).startswith(RECIPIENTS[recipient])


# ---- what becomes of the message


def deliver(site, sender="s@neutral.test", rcpts=("joe",), source=names.NAMELESS):
    subject = unique("regex")
    with site.client(source) as client:
        assert client.mail(sender).ok
        for rcpt in rcpts:
            assert client.rcpt(f"{rcpt}@local.example").ok
        assert client.data(mail.message(subject)).code == 250
    return subject


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("how", [{"source": "127.31.1.2"}, {"rcpts": ["joe", "lost"]}])
def test_discard(site, how):
    site.assert_gone(deliver(site, **how))


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("how,reason", [({"source": "127.31.1.3"}, "odd client"), ({"sender": "a@held.test"}, "by its sender")])
def test_hold(site, how, reason):
    held = site.assert_held(deliver(site, **how))
    if site.mta.name == "sendmail":
        assert held.reason == reason


@pytest.mark.usefixtures("postern")
def test_redirect_of_a_recipient_is_that_of_the_message(site):
    subject = deliver(site, rcpts=["joe", "moved"])
    site.wait_delivered(subject, ["jane"])
    site.assert_delivered_no_further(subject, ["jane"])


@pytest.mark.usefixtures("postern")
def test_copy(site):
    subject = deliver(site, sender="a@copied.test")
    site.wait_delivered(subject, ["archive", "joe"])


@pytest.mark.usefixtures("postern")
def test_header_is_put_before_all_others(site):
    subject = deliver(site, sender="a@seen.test")
    site.wait_delivered(subject)
    text = site.mta.sink.with_subject(subject)[0].text
    assert mail.fields(text) == ["X-Seen: by its sender", *mail.USUAL, f"Subject: {subject}"]


def test_note_in_the_log(site, postern):
    deliver(site, sender="a@noted.test")
    entry = postern.wait_entry(action="warn", text="noted")
    line = 1 + REGEX.splitlines().index(next(line for line in REGEX.splitlines() if "noted" in line))
    assert entry["rule"] == f"{postern.folder}/regex:{line}"
    assert entry["key"] == r"From:/@noted\.test$/"


# ---- the examples of the sample file, those of the guide to Sendmail among them


def sample():
    """The sample file with its examples switched on: a line of prose has a blank behind the #."""
    lines = (tools.SOURCE / "conf/regex").read_text().splitlines()
    return "".join(re.sub(r"^#(?=\S)", "", line) + "\n" for line in lines)


examples = shared_daemon(regex=sample())

EXAMPLES = {
    "all-numeric sender at one provider": ("2312343@bigisp.com", "joe@example.org", "553 5.1.7 Address Error"),
    "another sender there": ("joe@bigisp.com", "joe@example.org", None),
    "all-numeric sender elsewhere": ("2312343@other.test", "joe@example.org", None),
    "internal user to the outside": ("intern@example.org", "a@outside.test", "550 5.7.1 You may write to our own users only"),
    "internal user to an own user": ("trainee@example.org", "jane@example.org", None),
    "own user to the outside": ("boss@example.org", "a@outside.test", None),
    "user who refuses one sender": ("pest@far.example", "joe@example.org", "550 5.7.1 Joe does not want your mail"),
    "that sender and another user": ("pest@far.example", "jane@example.org", None),
    "that user and another sender": ("best@far.example", "joe@example.org", None),
    "host that is no relay": ("a@outside.test", "b@far.example", "550 5.7.1 This host is no mail relay"),
}


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_of_the_sample_file(site, name):
    sender, recipient, refusal = EXAMPLES[name]
    with site.client() as client:
        reply = client.mail(sender)
        if reply.ok:
            reply = client.rcpt(recipient)
    assert str(reply) == refusal if refusal else reply.code == 250


@pytest.mark.usefixtures("examples")
def test_pairs_are_decided_for_each_recipient(site):
    with site.client() as client:
        assert client.mail("pest@far.example").ok
        codes = [client.rcpt(rcpt).code for rcpt in ("jane@example.org", "joe@example.org", "jim@example.org", "a@b.test")]
        assert codes == [250, 550, 250, 550]


@pytest.mark.usefixtures("examples")
def test_header_and_copy_of_the_sample_file(site):
    subject = unique("sample")
    with site.client() as client:
        assert client.mail("ann@partner.example").ok
        assert client.rcpt("joe@example.org").ok
        assert client.data(mail.message(subject)).code == 250
        copied = unique("sample")
        assert client.mail("joe@example.org").ok
        assert client.rcpt("ann@partner.example").ok
        assert client.data(mail.message(copied)).code == 250
    site.wait_delivered(subject)
    assert mail.fields(site.mta.sink.with_subject(subject)[0].text)[0] == "X-Partner: ann@partner.example"
    site.wait_delivered(copied, ["ann", "archive"])


@pytest.mark.usefixtures("postern")
def test_pair_that_is_dropped(site):
    subject = deliver(site, sender="quiet@quiet.test", rcpts=["joe", "jim"])
    site.wait_delivered(subject, ["joe"])
    site.assert_delivered_no_further(subject, ["joe"])


# ---- limits

EXPLODES = r"/^From:\s*(a+)+$/ REJECT never" + "\n" + r"/^X-Slow: (\w+\s?)+:$/ REJECT never" + "\n"


def test_pattern_that_runs_into_a_limit_is_a_temporary_failure(site):
    daemon = site.daemon(
        regex=r"From:/^((a+)+)+$/ REJECT never" + "\n",
        header_checks=EXPLODES,
    )
    slow = "a" * 60 + "!"
    assert mail_reply(site, f"{slow}@x.test").startswith("451 ")
    assert daemon.wait_entry(stage="mail", action="tempfail")["rule"] == f"{daemon.folder}/regex:1"
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        assert client.data(mail.message(unique("slow"), "X-Slow: " + "word " * 40)).code == 451
    entry = tools.wait_for(lambda: daemon.entries(stage="eom", action="tempfail"), "the log")[0]
    assert entry["rule"] == f"{daemon.folder}/header_checks:2"
    subject = unique("fine")
    assert site.send(subject).code == 250
    site.wait_delivered(subject)
