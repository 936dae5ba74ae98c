# SPDX-License-Identifier: GPL-3.0-or-later
"""HELO names that do not resolve or are ours; clients whose name the mail server does not find."""

import asyncio

import pytest

from harness import milter
from harness.dns_world import CLEAN, CODE_4, LISTED, dns_section
from harness.mta import OWN_NAME

LOCAL = "joe@local.example"


def rcpt_reply(site, helo, source=CLEAN):
    with site.client(source, helo=helo) as client:
        mail = client.mail("s@neutral.test")
        return str(client.rcpt(LOCAL)) if mail.ok else str(mail)


def daemon(site, dns, helo, **keys):
    return site.daemon("", sections=dns_section(dns, **keys) + f"helo {{ {helo} }}\n")


@pytest.mark.parametrize("name, code", [("zone.test", "2"), ("only-aaaa.zone.test", "2"), ("nothing.zone.test", "5"), ("nowhere.test", "5"),
                                        ("[127.30.0.1]", "2")])
def test_helo_must_resolve(site, dns, name, code):
    daemon(site, dns, "must_resolve = true")
    assert rcpt_reply(site, name)[0] == code


def test_helo_that_cannot_be_looked_up_is_a_temporary_failure(site, dns):
    dns.zone.manner("broken.script.test", "servfail")
    daemon(site, dns, "must_resolve = true", timeout_ms=600, tries=1)
    assert rcpt_reply(site, "broken.script.test")[0] == "4"


@pytest.mark.parametrize("name, code", [("zone.test", "2"), (OWN_NAME, "5"), ("local.example", "5"), ("[127.0.0.1]", "5")])
def test_helo_that_is_our_own(site, dns, name, code):
    daemon(site, dns, "refuse_own = true")
    assert rcpt_reply(site, name)[0] == code


def test_helo_is_not_looked_at_otherwise(site, dns):
    site.daemon("", sections=dns_section(dns))
    assert rcpt_reply(site, "nowhere.test")[:3] == "250"
    assert rcpt_reply(site, OWN_NAME)[:3] == "250"
    assert dns.asked() == []


REVERSE = {
    CLEAN: "250",  # its name leads back
    LISTED: f"451 4.1.8 Possibly forged hostname for {LISTED}",
    CODE_4: f"550 5.7.1 Fix reverse DNS for {CODE_4}",
    "127.31.0.1": "451 4.1.8 Client IP address 127.31.0.1 does not resolve",
}


def milter_reply(path, source):
    """What a mail server that tells nothing about its client is answered at RCPT."""
    answers = asyncio.run(milter.play(path, source, "s@neutral.test", [LOCAL], "unknown"))
    return answers[-1].text if answers[-1].code == b"y" else {b"c": "250"}[answers[-1].code]


@pytest.mark.parametrize("source", REVERSE)
def test_require_rdns_looks_itself_where_the_mail_server_does_not_say_why(site, dns, source):
    dns.zone.manner("31.127.in-addr.arpa", "servfail")
    postern = site.daemon("", features=["require_rdns"], sections=dns_section(dns, timeout_ms=600, tries=1))
    assert milter_reply(postern.listen, source) == REVERSE[source]


def test_require_rdns_believes_a_mail_server_that_says_why(site, dns):
    """Both do, in {client_resolve}; to them these clients have no name."""
    site.daemon("", features=["require_rdns"], sections=dns_section(dns))
    for source in REVERSE:
        assert rcpt_reply(site, "zone.test", source) == f"550 5.7.1 Fix reverse DNS for {source}"
    assert dns.asked() == []
