# SPDX-License-Identifier: GPL-3.0-or-later
"""relay_based_on_MX: mail for domains whose MX is this host is relayed, and for no other."""

import pytest

from harness import names, relay, smtp
from harness.dns_world import LISTED, TWICE, dns_section, list_section
from harness.mta import OWN_NAME
from harness.relay import FOREIGN
from harness.site import unique

DENIED = "550 5.7.1 Relaying denied"


@pytest.fixture(scope="module")
def mta(mta_name, servers):
    return servers(f"open-{mta_name}")


def daemon(site, dns, features=("relay_based_on_MX",), access="", **keys):
    return site.daemon(access, sections=dns_section(dns, **keys), features=features, **relay.keys(site.mta, "milter"))


def rcpt_reply(site, rcpt, source=FOREIGN):
    with smtp.Client(site.mta.port, source, names_address=site.mta.name == "sendmail") as client:
        client.hello()
        assert client.mail("s@neutral.test").ok
        return str(client.rcpt(rcpt))


def test_mx_is_this_host(site, dns):
    daemon(site, dns)
    assert rcpt_reply(site, "u@mx-us.zone.test")[:3] == "250"
    assert rcpt_reply(site, "u@mx-equal.zone.test")[:3] == "250"


def test_it_is_really_relayed(site, dns):
    daemon(site, dns)
    subject = unique("by-mx")
    with smtp.Client(site.mta.port, FOREIGN) as client:
        client.hello()
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("u@mx-us.zone.test").ok
        assert client.data(smtp.message(subject)).code == 250
    relay.wait_outside(site.mta, subject)


@pytest.mark.parametrize(
    "domain",
    ["zone.test", "only-a.zone.test", "null-mx.zone.test", "nowhere.test", "loop.zone.test", "many.zone.test", "mx-alias.zone.test",
     "mx-literal.zone.test", "only-txt.zone.test"],
)
def test_mx_is_another_host(site, dns, domain):
    daemon(site, dns)
    assert rcpt_reply(site, f"u@{domain}").startswith(DENIED)


def test_second_best_is_not_enough(site, dns):
    daemon(site, dns)
    assert rcpt_reply(site, "u@mx-second.zone.test").startswith(DENIED)


def test_any_mx_as_sendmail_has_it(site, dns):
    daemon(site, dns, relay_mx="any")
    assert rcpt_reply(site, "u@mx-second.zone.test")[:3] == "250"


def test_not_without_the_feature(site, dns):
    daemon(site, dns, features=())
    assert rcpt_reply(site, "u@mx-us.zone.test").startswith(DENIED)
    assert dns.asked("mx-us.zone.test") == []


@pytest.mark.parametrize("manner", ["servfail", "refused", "noise", "silent"])
def test_failure_is_temporary_and_never_an_open_relay(site, dns, manner):
    dns.zone.manner("broken.script.test", manner)
    daemon(site, dns, timeout_ms=600, tries=1)
    wanted = "450 4.4.0 Can not check MX records for recipient host broken.script.test"
    assert rcpt_reply(site, "u@broken.script.test", names.NEUTRAL) == wanted
    assert rcpt_reply(site, "u@broken.script.test") == wanted, "also to a client without a name"


def test_who_may_relay_anyway_asks_nobody(site, dns):
    daemon(site, dns)
    assert rcpt_reply(site, "u@mx-us.zone.test", relay.RELAY_CLIENT)[:3] == "250"
    assert rcpt_reply(site, f"u@{relay.PARTNER}")[:3] == "250"
    assert rcpt_reply(site, f"u@{OWN_NAME}")[:3] == "250"
    assert dns.asked() == []


@pytest.mark.parametrize("features", [("relay_based_on_MX",), ("relay_based_on_MX", "relaytofulladdress")])
def test_no_other_host_hides_in_such_a_recipient(site, dns, features):
    daemon(site, dns, features=features)
    for rcpt in ("u%zone.test@mx-us.zone.test", "zone.test!u@mx-us.zone.test", '"u@zone.test"@mx-us.zone.test'):
        assert rcpt_reply(site, rcpt).startswith(DENIED), rcpt


def test_entry_of_the_map_comes_first(site, dns):
    daemon(site, dns, access="To:mx-us.zone.test OK\n")
    assert rcpt_reply(site, "u@mx-us.zone.test")[:3] == "250"


def test_lists_of_one_listener(site, dns):
    """Port 587 asks no list, or others than port 25."""
    sections = dns_section(dns) + list_section("low.bl.test") + list_section("ip.bl.test")
    for choice, wanted in (('{ }', "250"), ('{ "low.bl.test" }', "550")):
        postern = site.daemon("", sections=sections + f'daemon "MSA" {{ dnsbl = {choice} }}\n', **relay.keys(site.mta, "mta"))
        for port, client, code in ((site.mta.msa_port, TWICE, wanted), (site.mta.msa_port, LISTED, "250"), (site.mta.port, LISTED, "550")):
            with smtp.Client(port, client) as session:
                session.hello()
                assert session.mail("s@neutral.test").ok
                assert str(session.rcpt("joe@local.example"))[:3] == code, (choice, port, client)
        postern.stop()
