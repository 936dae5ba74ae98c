# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may relay through a mail server that leaves it to postern, and what the others are told."""

import pytest

from harness import login, names, relay, smtp
from harness.relay import FOREIGN, RELAY_CLIENT
from harness.site import unique

DENIED = "550 5.7.1 Relaying denied"
NAMELESS_DENIED = f"550 5.7.1 Relaying denied. IP name lookup failed [{FOREIGN}]"
NEEDS_LOGIN = "550 5.7.1 Relaying denied. Proper authentication required."
TRUST = ["PLAIN", "LOGIN"]

ACCESS = """\
To:block@partner.test        REJECT
Connect:127.60               RELAY
Connect:127.60.9             OK
Connect:neutral.test         RELAY
To:friend.test               RELAY
To:only.friend.test          OK
"""


@pytest.fixture(scope="module")
def mta(mta_name, servers):
    return servers("open-" + mta_name)


def start(site, access="", **keywords):
    return site.daemon(access, **relay.keys(site.mta, "milter"), **keywords)


@pytest.fixture(name="postern")
def relaying(site):
    keywords = {**relay.keys(site.mta, "milter"), "features": ["blocklist_recipients"]}
    return site.shared("relaying", (ACCESS,), keywords)


def rcpt_reply(site, rcpt, source=FOREIGN, sender="s@neutral.test"):
    with site.client(source) as client:
        assert client.mail(sender).ok
        return str(client.rcpt(rcpt))


def assert_relays(site, client, rcpt="x@outside.test"):
    """This session, which has said EHLO, gets a message out."""
    subject = unique("out")
    assert client.mail("s@neutral.test").ok
    reply = client.rcpt(rcpt)
    assert reply.ok, reply
    assert client.data(smtp.message(subject)).ok
    assert [one.recipients for one in relay.wait_outside(site.mta, subject)] == [[rcpt]]


# ---- clients by address and name, recipients by domain


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("source", [RELAY_CLIENT, "127.0.0.1", "127.60.0.1", names.NEUTRAL])
def test_clients_that_relay(site, source):
    with site.client(source) as client:
        assert_relays(site, client)


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize(
    "source, reply",
    [
        (FOREIGN, NAMELESS_DENIED),
        (names.SPAM, DENIED),
        ("127.60.9.1", "550 5.7.1 Relaying denied. IP name lookup failed [127.60.9.1]"),
        ("127.0.0.2", "550 5.7.1 Relaying denied. IP name lookup failed [127.0.0.2]"),
        ("127.5.0.1", "550 5.7.1 Relaying denied. IP name lookup failed [127.5.0.1]"),
    ],
)
def test_clients_that_do_not(site, source, reply):
    assert rcpt_reply(site, "x@outside.test", source) == reply
    assert rcpt_reply(site, "joe@local.example", source)[:3] == "250"


@pytest.mark.usefixtures("postern")
def test_forged_and_unresolvable_names(site):
    if site.mta.name == "postfix":
        pytest.skip("its names come from a hosts file that can do neither; test_xclient does it there")
    assert rcpt_reply(site, "x@outside.test", names.FORGED) == (
        f"550 5.7.1 Relaying denied. IP name possibly forged [{names.FORGED}]"
    )
    assert rcpt_reply(site, "x@outside.test", names.TEMPORARY) == (
        f"450 4.4.0 Relaying temporarily denied. Cannot resolve PTR record for {names.TEMPORARY}"
    )


@pytest.mark.usefixtures("postern")
def test_xclient(site):
    """A name that does not resolve back does not relay, though its owner may."""
    if site.mta.name == "sendmail":
        pytest.skip("it has no XCLIENT; the test before is its own")
    cases = [
        ("NAME=[UNAVAILABLE] ADDR=198.18.0.1 REVERSE_NAME=host.neutral.test", "IP name possibly forged [198.18.0.1]"),
        ("NAME=[UNAVAILABLE] ADDR=198.18.0.1 REVERSE_NAME=[UNAVAILABLE]", "IP name lookup failed [198.18.0.1]"),
        ("NAME=[TEMPUNAVAIL] ADDR=198.18.0.1", "Cannot resolve PTR record for 198.18.0.1"),
    ]
    for attributes, text in cases:
        with site.client() as client:
            assert client.command(f"XCLIENT {attributes}").ok
            assert client.command("EHLO c.neutral.test").ok
            assert client.mail("s@neutral.test").ok
            assert client.rcpt("x@outside.test").text.endswith(text)


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("rcpt", ["x@partner.test", "x@sub.partner.test", "x@friend.test", "x@a.friend.test"])
def test_recipients_that_are_relayed_to(site, rcpt):
    with site.client(FOREIGN) as client:
        assert_relays(site, client, rcpt)


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("rcpt", ["x@notpartner.test", "x@only.friend.test", "x@test", "x@host.only.friend.test"])
def test_recipients_that_are_not(site, rcpt):
    assert rcpt_reply(site, rcpt) == NAMELESS_DENIED


@pytest.mark.usefixtures("postern")
def test_refused_recipient_before_relaying(site):
    assert rcpt_reply(site, "block@partner.test") == "550 5.2.1 Mailbox disabled for this recipient"


def test_one_denied_the_others_delivered(site, postern):
    subject = unique("mixed")
    with site.client(FOREIGN) as client:
        client.mail("s@neutral.test")
        codes = [client.rcpt(rcpt).code for rcpt in ("joe@local.example", "x@outside.test", "x@partner.test")]
        assert codes == [250, 550, 250]
        assert client.data(smtp.message(subject)).ok
    site.wait_delivered(subject)
    assert [one.recipients for one in relay.wait_outside(site.mta, subject)] == [["x@partner.test"]]
    entry = postern.entries(stage="rcpt", reason="relay")[-1]
    assert entry["to"] == "<x@outside.test>" and entry["action"] == "reject"


def test_own_text(site):
    start(site, relay_message="551 5.7.99 We do not know you")
    with site.client(names.SPAM) as client:
        client.mail("s@neutral.test")
        assert str(client.rcpt("x@outside.test")) == "551 5.7.99 We do not know you"


@pytest.mark.parametrize(
    "features, sender, reply",
    [
        (["relay_local_from"], "joe@local.example", "250"),
        (["relay_local_from"], "joe@neutral.test", "550"),
        (["relay_mail_from"], "boss@neutral.test", "250"),
        (["relay_mail_from"], "joe@domain.test", "550"),
        (["relay_mail_from_domain"], "joe@domain.test", "250"),
        (["relay_mail_from_domain"], "", "550"),
    ],
)
def test_senders_that_relay(site, features, sender, reply):
    start(site, "From:boss@neutral.test RELAY\nFrom:domain.test RELAY\n", features=features)
    assert rcpt_reply(site, "x@outside.test", sender=sender)[:3] == reply


def test_explain_says_what_happens(site, postern):
    for rcpt in ("x@outside.test", "x@friend.test", "x%outside.test@local.example", "joe@local.example"):
        told = postern.explain(client=FOREIGN, resolve="FAIL", **{"from": "s@neutral.test"}, rcpt=rcpt)
        stage = [one for one in told["stages"] if one["stage"] == "rcpt"][0]
        reply = stage.get("reply")
        said = f"{reply['code']} {reply['dsn']} {reply['text']}" if reply else "250"
        real = rcpt_reply(site, rcpt)
        assert real == said or (said == "250" and real.startswith("250"))


# ---- passwords


def logged_in(site, source=FOREIGN):
    client = site.client(source)
    assert client.login(f"{login.USER}@{relay.OWN_NAME}", login.PASSWORD).code == 235
    return client


def test_login_relays(site):
    daemon = start(site, trust_auth_mech=TRUST)
    with logged_in(site) as client:
        assert_relays(site, client)
    assert daemon.entries(stage="eom", user=f"{login.USER}@{relay.OWN_NAME}")


def test_without_login_and_with_the_wrong_password(site):
    start(site, trust_auth_mech=TRUST)
    with site.client(names.SPAM) as client:
        client.mail("s@neutral.test")
        assert str(client.rcpt("x@outside.test")) == NEEDS_LOGIN
    with site.client(names.SPAM) as client:
        assert client.login(f"{login.USER}@{relay.OWN_NAME}", "guess").code == 535
        client.mail("s@neutral.test")
        assert str(client.rcpt("x@outside.test")) == NEEDS_LOGIN


@pytest.mark.parametrize("trusted", [[], ["CRAM-MD5"]])
def test_login_by_a_mechanism_that_is_not_trusted(site, trusted):
    start(site, trust_auth_mech=trusted)
    with logged_in(site) as client:
        client.mail("s@neutral.test")
        assert client.rcpt("x@outside.test").code == 550


def test_login_does_not_lift_other_rules(site):
    start(site, "Connect:127.77 REJECT\n", trust_auth_mech=["any"])
    with logged_in(site) as client:
        assert str(client.mail("s@neutral.test")) == "550 5.7.1 Access denied"


def test_login_spares_delayed_checks(site):
    start(site, "Connect:127.77 REJECT\nFrom:spam.test REJECT\n", trust_auth_mech=["any"], features=["delay_checks"])
    with logged_in(site) as client:
        assert_relays(site, client)
    with logged_in(site) as client:
        assert client.mail("s@spam.test").ok
        assert client.rcpt("joe@local.example").ok
    assert rcpt_reply(site, "joe@local.example") == "550 5.7.1 Access denied"


def test_relaying_is_told_before_delayed_checks(site):
    access = "Connect:127.77 REJECT\nConnect:127.60 RELAY\nFrom:spam.test REJECT\n"
    start(site, access, features=["delay_checks"])
    assert rcpt_reply(site, "x@outside.test") == NAMELESS_DENIED
    assert rcpt_reply(site, "joe@local.example") == "550 5.7.1 Access denied"
    assert rcpt_reply(site, "x@outside.test", "127.60.0.1", "s@spam.test") == "550 5.7.1 Access denied"
    assert rcpt_reply(site, "x@outside.test", "127.60.0.1")[:3] == "250"


# ---- certificates


def with_certificate(site, pair):
    client = site.client(FOREIGN)
    assert client.starttls(login.client_context(pair)).code == 250
    return client


def certificate_names(site, who="client one"):
    """Of the CA and of the client, as the mail server passes them and the access map has them."""
    if site.mta.name == "postfix":
        return "ca", who.replace(" ", "+20")
    return "/C=XY/O=Example+20CA/CN=ca", "/C=XY/O=Example/CN=" + who.replace(" ", "+20")


def certificate_keys(site):
    return {"relay_by_certificate": "cn"} if site.mta.name == "postfix" else {}


def test_certificate_of_a_ca_that_may_relay(site):
    issuer, _ = certificate_names(site)
    start(site, f"CertIssuer:{issuer} RELAY\n", **certificate_keys(site))
    with with_certificate(site, site.mta.authority.client) as client:
        assert_relays(site, client)
    for pair in (None, site.mta.authority.strange_client):
        with with_certificate(site, pair) as client:
            client.mail("s@neutral.test")
            assert client.rcpt("x@outside.test").code == 550


def test_certificate_of_one_subject(site):
    issuer, subject = certificate_names(site)
    start(site, f"CertIssuer:{issuer} SUBJECT\nCertSubject:{subject} RELAY\n", **certificate_keys(site))
    with with_certificate(site, site.mta.authority.client) as client:
        assert_relays(site, client)
    with with_certificate(site, site.mta.authority.other_client) as client:
        client.mail("s@neutral.test")
        assert client.rcpt("x@outside.test").code == 550


def test_certificate_spares_delayed_checks(site):
    issuer, _ = certificate_names(site)
    access = f"CertIssuer:{issuer} RELAY\nConnect:127.77 REJECT\n"
    start(site, access, features=["delay_checks"], **certificate_keys(site))
    with with_certificate(site, site.mta.authority.client) as client:
        assert_relays(site, client)
    with with_certificate(site, None) as client:
        client.mail("s@neutral.test")
        assert str(client.rcpt("joe@local.example")) == "550 5.7.1 Access denied"


def test_common_names_count_only_when_asked_for(site):
    if site.mta.name == "sendmail":
        pytest.skip("it passes whole names")
    start(site, "CertIssuer:ca RELAY\n")
    with with_certificate(site, site.mta.authority.client) as client:
        client.mail("s@neutral.test")
        assert client.rcpt("x@outside.test").code == 550


# ---- what the mail server says about the recipient


def test_mailer_proves_a_recipient_local(site):
    """A domain that only the mail server knows to be local: {rcpt_mailer} is enough, where local_mailers takes it."""
    start(site)
    subject = unique("by-mailer")
    assert site.send(subject, rcpts=[f"joe@{relay.UNLISTED}"], source=FOREIGN).ok
    site.wait_delivered(subject)
    assert rcpt_reply(site, "x@outside.test") == NAMELESS_DENIED


def test_mailer_that_proves_nothing(site):
    start(site, local_mailers=["virtual"])
    assert rcpt_reply(site, f"joe@{relay.UNLISTED}") == NAMELESS_DENIED
    assert rcpt_reply(site, "joe@local.example")[:3] == "250"


# ---- mail that enters without SMTP


def test_sendmail_command(site):
    """Who has an account here may send. Sendmail asks no filter; Postfix does, and shows a client of this host."""
    daemon = start(site)
    subject = unique("command")
    site.mta.submit(smtp.message(subject), "joe@mx.home.example", "x@outside.test")
    assert [one.recipients for one in relay.wait_outside(site.mta, subject)] == [["x@outside.test"]]
    assert len(daemon.entries(stage="eom", action="accept")) == (1 if site.mta.name == "postfix" else 0)


def test_smtp_over_a_pipe(site):
    """sendmail -bs: a client without address, which is a user of this host."""
    daemon = start(site)
    subject = unique("pipe")
    site.mta.submit_by_smtp(smtp.message(subject), "joe@mx.home.example", "x@outside.test")
    assert [one.recipients for one in relay.wait_outside(site.mta, subject)] == [["x@outside.test"]]
    assert daemon.entries(stage="eom", action="accept")
