# SPDX-License-Identifier: GPL-3.0-or-later
"""Each action of the access map at each stage: the reply as the client sees it, and what explain says of it."""

from dataclasses import dataclass

import pytest

from harness import smtp
from harness.site import shared_daemon, unique

LONG_TEXT = " ".join(f"word{number:03d}" for number in range(55))

# Right-hand side, and the reply to it: at connect and MAIL; at RCPT where it differs.
REFUSALS = {
    "reject": ("REJECT", "550 5.7.1 Access denied", "550 5.2.1 Mailbox disabled for this recipient"),
    "lower_case": ("reject", "550 5.7.1 Access denied", "550 5.2.1 Mailbox disabled for this recipient"),
    "error_dsn_code": ("ERROR:5.7.1:550 No thanks", "550 5.7.1 No thanks"),
    "error_dsn_code_quoted": ('ERROR:5.1.8:"553 Who, me? No."', "553 5.1.8 Who, me? No."),
    "error_code_dsn": ('ERROR:"554 5.7.9 By order, no."', "554 5.7.9 By order, no."),
    "error_code": ("ERROR:550 plain", "550 5.0.0 plain"),
    "code": ("551 Not here", "551 5.0.0 Not here"),
    "code_dsn": ('"552 5.2.2 Full, sorry"', "552 5.2.2 Full, sorry"),
    "temporary_error": ("ERROR:4.7.1:451 Come back later", "451 4.7.1 Come back later"),
    "temporary_code": ("450 busy", "450 4.0.0 busy"),
    "temporary_code_dsn": ("452 4.2.2 Full", "452 4.2.2 Full"),
    "dsn_alone_5": ("ERROR:5.7.8:Go away", "550 5.7.8 Go away"),
    "dsn_alone_4": ("ERROR:4.3.2:Slow down", "450 4.3.2 Slow down"),
    "percent": ('"550 5.7.1 100% sure %s %d %n %% %"', "550 5.7.1 100% sure %s %d %n %% %"),
    "brackets": ('"550 5.7.1 see <http://bl.test/?a=b&c> (now)"', "550 5.7.1 see <http://bl.test/?a=b&c> (now)"),
    "long": (f'"550 5.7.1 {LONG_TEXT}"', f"550 5.7.1 {LONG_TEXT}"),
    "eight_bit": ('"550 5.7.1 Zürich sagt nein"', "550 5.7.1 Z??rich sagt nein"),
}

ACCEPTING = {"ok": "OK", "relay": "RELAY", "skip": "SKIP"}


@dataclass(frozen=True)
class Facts:
    """One rule of the module's access file and a client that meets it at one stage."""

    stage: str
    number: int

    @property
    def key(self):
        return {
            "connect": f"Connect:{self.source}",
            "mail": f"From:m{self.number}.test",
            "rcpt": f"To:r{self.number}@local.example",
        }[self.stage]

    @property
    def source(self):
        return f"127.20.1.{self.number}" if self.stage == "connect" else "127.20.2.1"

    @property
    def sender(self):
        return f"s@m{self.number}.test" if self.stage == "mail" else "s@neutral.test"

    @property
    def recipient(self):
        return f"r{self.number}@local.example" if self.stage == "rcpt" else "joe@local.example"


STAGES = ["connect", "mail", "rcpt"]
NUMBERS = {name: number for number, name in enumerate([*REFUSALS, *ACCEPTING], start=1)}


def expected(name, stage):
    value = REFUSALS[name]
    return value[2] if stage == "rcpt" and len(value) > 2 else value[1]


def access_text():
    lines = []
    for name, number in NUMBERS.items():
        value = REFUSALS[name][0] if name in REFUSALS else ACCEPTING[name]
        for stage in STAGES:
            if value == "SKIP" and stage == "rcpt":
                continue  # of a user key: makemap refuses it
            lines.append(f"{Facts(stage, number).key}\t{value}\n")
    return "".join(lines)


postern = shared_daemon(access_text(), features=["blocklist_recipients"])


def play(site, facts):
    """MAIL and RCPT; the replies to both."""
    with site.client(facts.source) as client:
        mail = client.mail(facts.sender)
        rcpt = client.rcpt(facts.recipient)
        client.quit()
    return mail, rcpt


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_as_the_client_sees_it(site, name, stage):
    mail, rcpt = play(site, Facts(stage, NUMBERS[name]))
    if stage == "rcpt":
        assert mail.code == 250
        assert str(rcpt) == expected(name, stage)
    else:
        assert str(mail) == expected(name, stage)
        assert rcpt.code == 503


@pytest.mark.usefixtures("postern")
def test_refusal_on_the_wire(site):
    """Byte by byte, with what Sendmail puts before a filter's text."""
    sender = Facts("mail", NUMBERS["reject"]).sender
    about = f"<{sender}>... " if site.mta.name == "sendmail" else ""
    with site.client() as client:
        client.mail(sender)
        assert client.transcript[-1] == f"S: 550 5.7.1 {about}Access denied"
        client.mail(Facts("mail", NUMBERS["temporary_error"]).sender)
        assert client.transcript[-1] == "S: 451 4.7.1 Come back later"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", REFUSALS)
def test_explain_says_the_same(postern, name, stage):
    facts = Facts(stage, NUMBERS[name])
    told = postern.explain(
        **{"client": facts.source, "helo": "c.neutral.test", "from": facts.sender, "rcpt": facts.recipient}
    )
    deciding = [one for one in told["stages"] if one["stage"] == ("mail" if stage == "connect" else stage)][0]
    reply = deciding["reply"]
    assert f"{reply['code']} {reply['dsn']} {reply['text']}" == expected(name, stage)
    assert deciding["rule"]["key"] == facts.key.lower()
    assert postern.access.read_text().splitlines()[deciding["rule"]["line"] - 1].split("\t")[0] == facts.key
    assert told["disposition"] == ("tempfail" if reply["code"] < 500 else "reject")


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["ok", "relay"])
def test_accepted_and_delivered(site, name, stage):
    facts = Facts(stage, NUMBERS[name])
    subject = unique("accepted")
    reply = site.send(subject, facts.sender, [facts.recipient], facts.source)
    assert reply.code == 250
    site.wait_delivered(subject, [facts.recipient.split("@")[0]])


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("stage", ["connect", "mail"])
def test_skip_accepts(site, stage):
    facts = Facts(stage, NUMBERS["skip"])
    mail, rcpt = play(site, facts)
    assert (mail.code, rcpt.code) == (250, 250)


@pytest.mark.usefixtures("postern")
def test_connect_refusal_at_every_mail_of_the_session(site):
    facts = Facts("connect", NUMBERS["reject"])
    with site.client(facts.source) as client:
        for _ in range(3):
            assert str(client.mail("s@neutral.test")) == "550 5.7.1 Access denied"
            assert client.command("RSET").code == 250
        assert client.quit().code == 221


@pytest.mark.usefixtures("postern")
def test_refused_sender_may_try_another_one(site):
    facts = Facts("mail", NUMBERS["reject"])
    subject = unique("second-sender")
    with site.client() as client:
        assert client.mail(facts.sender).code == 550
        assert client.mail("s@neutral.test").code == 250
        assert client.rcpt("joe@local.example").code == 250
        assert client.data(smtp.message(subject)).code == 250
    site.wait_delivered(subject)


def test_own_reject_messages(site):
    site.daemon(
        "From:spam.test REJECT\nTo:block@local.example REJECT\n",
        features=["blocklist_recipients"],
        reject_message='554 5.7.26 House rules, see http://house.test/',
        recipient_reject_message="550 5.7.27 Nobody of that name",
    )
    with site.client() as client:
        assert str(client.mail("x@spam.test")) == "554 5.7.26 House rules, see http://house.test/"
        assert client.mail("x@neutral.test").code == 250
        assert str(client.rcpt("block@local.example")) == "550 5.7.27 Nobody of that name"


def test_closing_reply_421(site):
    """Sendmail closes the connection behind a filter's 421; both servers tell it."""
    site.daemon("From:b.test 421 4.7.0 Bye\nFrom:c.test 450 4.7.0 Not yet\n")
    with site.client() as client:
        assert str(client.mail("x@c.test")) == "450 4.7.0 Not yet"
        assert client.mail("x@b.test").code == 421
