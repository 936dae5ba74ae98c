# SPDX-License-Identifier: GPL-3.0-or-later
"""HELO names that do not resolve or are ours."""

import pytest

from harness.dns_world import CLEAN, dns_section
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
