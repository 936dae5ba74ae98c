# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of senders that do not resolve, null MX, MX hosts that nobody can reach."""

import pytest

from harness import smtp
from harness.dns_world import CLEAN, dns_section
from harness.site import unique

LOCAL = "joe@local.example"
UNQUALIFIED = ("accept_unqualified_senders",)  # and not accept_unresolvable_domains


def daemon(site, dns, access="", keys=None, **more):
    return site.daemon(access, sections=dns_section(dns, **(keys or {})), lenient=UNQUALIFIED, **more)


def session(site, sender):
    with site.client(CLEAN) as client:
        return str(client.mail(sender)), str(client.rcpt(LOCAL))


def rcpt_reply(site, sender):
    mail, rcpt = session(site, sender)
    assert mail[:3] == "250", mail
    return rcpt


ACCEPTED = [
    "zone.test",
    "mail.zone.test",
    "only-a.zone.test",
    "only-aaaa.zone.test",
    "alias.zone.test",
    "alias-of-alias.zone.test",
    "alias-of-domain.zone.test",
    "mx-without-address.zone.test",
    "many.zone.test",  # an answer that does not fit into UDP
    "ZONE.Test",
    "xn--bcher-kva.test",
]
ABSENT = ["nothing.zone.test", "only-txt.zone.test", "nowhere.test", "alias-to-nothing.zone.test", "loop.zone.test"]


def test_domains_that_resolve(site, dns):
    daemon(site, dns)
    for domain in ACCEPTED:
        assert rcpt_reply(site, f"s@{domain}")[:3] == "250", domain
    assert dns.asked("many.zone.test")


def test_domains_that_do_not_exist(site, dns):
    daemon(site, dns)
    for domain in ABSENT:
        assert rcpt_reply(site, f"s@{domain}") == f"553 5.1.8 Domain of sender address s@{domain} does not exist"


def test_answer_at_mail_is_sendmails_own_stage(site, dns):
    daemon(site, dns, keys={"answer_at": "mail"})
    with site.client(CLEAN) as client:
        assert str(client.mail("s@nowhere.test")) == "553 5.1.8 Domain of sender address s@nowhere.test does not exist"
        assert client.mail("s@zone.test").ok
        assert client.rcpt(LOCAL).ok


@pytest.mark.parametrize("manner", ["servfail", "refused", "notimp", "formerr", "noise", "half", "header", "pointer loop",
                                    "short data", "too few"])
def test_failures_are_temporary(site, dns, manner):
    dns.zone.manner("broken.script.test", manner)
    daemon(site, dns, keys={"timeout_ms": 600, "tries": 1})
    wanted = "451 4.1.8 Domain of sender address s@broken.script.test does not resolve"
    assert rcpt_reply(site, "s@broken.script.test") == wanted


def test_bounce_sender_is_exempt(site, dns):
    daemon(site, dns)
    assert rcpt_reply(site, "")[:3] == "250"
    assert dns.asked() == []


@pytest.mark.parametrize("key", ["s@nowhere.test", "nowhere.test", "From:nowhere.test", "From:s@"])
def test_access_overrides(site, dns, key):
    daemon(site, dns, access=f"{key} OK\n")
    assert rcpt_reply(site, "s@nowhere.test")[:3] == "250"


def test_access_refusal_comes_before_the_resolver(site, dns):
    daemon(site, dns, access="From:nowhere.test REJECT\n")
    with site.client(CLEAN) as client:
        assert str(client.mail("s@nowhere.test")) == "550 5.7.1 Access denied"


def test_literals(site, dns):
    """A literal needs a PTR record."""
    dns.zone.add("10.2.0.192.in-addr.arpa", "PTR", "mail.zone.test")
    daemon(site, dns)
    assert rcpt_reply(site, "s@[192.0.2.10]")[:3] == "250"
    assert rcpt_reply(site, "s@[192.0.2.11]").startswith("553 5.1.8 Domain of sender address s@[192.0.2.11] does not exist")


def test_nothing_is_asked_with_accept_unresolvable_domains(site, dns):
    site.daemon("", sections=dns_section(dns))
    assert rcpt_reply(site, "s@nowhere.test")[:3] == "250"
    assert dns.asked("nowhere.test") == []


def test_null_mx(site, dns):
    daemon(site, dns)
    reply = rcpt_reply(site, "s@null-mx.zone.test")
    assert reply.startswith("550 5.7.27 "), reply


def test_own_domain_needs_no_dns(site, dns):
    daemon(site, dns)
    assert rcpt_reply(site, "s@mx.home.example")[:3] == "250"


def test_badmx(site, dns):
    daemon(site, dns, features=["badmx"])
    for domain in ("mx-to-loopback.zone.test", "mx-to-private.zone.test"):
        assert rcpt_reply(site, f"s@{domain}") == f"550 5.1.2 Invalid MX record for host {domain}"
    assert rcpt_reply(site, "s@zone.test")[:3] == "250"


def test_badmx_only_on_request(site, dns):
    daemon(site, dns)
    assert rcpt_reply(site, "s@mx-to-private.zone.test")[:3] == "250"


def test_delay_checks(site, dns):
    daemon(site, dns, features=["delay_checks"])
    assert rcpt_reply(site, "s@nowhere.test") == "553 5.1.8 Domain of sender address s@nowhere.test does not exist"


def test_each_message_has_its_own_sender(site, dns):
    daemon(site, dns)
    with site.client(CLEAN) as client:
        for domain, wanted in (("nowhere.test", "553"), ("zone.test", "250"), ("nothing.zone.test", "553")):
            assert client.mail(f"s@{domain}").ok
            assert str(client.rcpt(LOCAL))[:3] == wanted
            assert client.command("RSET").ok


def test_message_from_a_good_domain_arrives(site, dns):
    daemon(site, dns)
    subject = unique("resolved")
    with site.client(CLEAN) as client:
        assert client.mail("s@zone.test").ok
        assert client.rcpt(LOCAL).ok
        assert client.data(smtp.message(subject, "s@zone.test")).code == 250
    site.wait_delivered(subject)
