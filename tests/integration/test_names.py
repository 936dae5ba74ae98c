# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients with, without and with a wrong name, and IPv6 clients: what the two mail servers tell a filter differs."""

import pytest

from harness import names
from harness.site import shared_daemon

DENIED = "550 5.7.1 Access denied"

ACCESS = """\
Connect:spam.test           REJECT
Connect:[127.10.0]          ERROR:5.7.1:550 Nameless
Connect:[127.10.0.4]        OK
Connect:forged.test         ERROR:5.7.1:550 Forged name
Connect:192.0.2             REJECT
Connect:127.50.9            ERROR:5.7.1:550 Second client
Connect:IPv6:2001:db8:bad   REJECT
Connect:IPv6:2001:db8:feed::/48  ERROR:5.7.1:550 By prefix
"""

postern = shared_daemon(ACCESS)


def mail_reply(site, source):
    with site.client(source) as client:
        return str(client.mail("s@neutral.test"))


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize(
    "source, wanted",
    [
        (names.NEUTRAL, "250"),
        (names.SPAM, DENIED),
        (names.NAMELESS, "550 5.7.1 Nameless"),
        # a forged name does not count, the address in brackets is the name then
        (names.FORGED, "550 5.7.1 Nameless"),
        (names.TEMPORARY, "250"),
    ],
)
def test_name_keys(site, source, wanted):
    assert mail_reply(site, source).startswith(wanted)


def test_lookupdotdomain(site):
    site.daemon("Connect:.spam.test REJECT\n", features=["lookupdotdomain"])
    assert mail_reply(site, names.SPAM) == DENIED
    assert mail_reply(site, names.NEUTRAL)[:3] == "250"


def test_dotted_keys_need_lookupdotdomain(site):
    site.daemon("Connect:.spam.test REJECT\n")
    assert mail_reply(site, names.SPAM)[:3] == "250"


def test_require_rdns(site):
    site.daemon("Connect:127.10.9 OK\n", features=["require_rdns"])
    assert mail_reply(site, names.NEUTRAL)[:3] == "250"
    assert mail_reply(site, names.NAMELESS) == f"550 5.7.1 Fix reverse DNS for {names.NAMELESS}"
    assert mail_reply(site, "127.10.9.1")[:3] == "250", "OK ends the check"


def sendmail_only(site):
    if site.mta.name != "sendmail":
        pytest.skip("the harness gives Postfix such names by XCLIENT")


def test_require_rdns_forged_and_temporary(site):
    sendmail_only(site)
    site.daemon("", features=["require_rdns"])
    assert mail_reply(site, names.FORGED) == f"451 4.1.8 Possibly forged hostname for {names.FORGED}"
    assert mail_reply(site, names.TEMPORARY) == f"451 4.1.8 Client IP address {names.TEMPORARY} does not resolve"


def test_use_client_ptr(site):
    sendmail_only(site)
    site.daemon(ACCESS, features=["use_client_ptr"])
    assert mail_reply(site, names.FORGED) == "550 5.7.1 Forged name"


def test_relay_domains_are_exempt_from_require_rdns(site):
    daemon = site.daemon("", features=["require_rdns"], start=False)
    relay_domains = daemon.folder / "relay-domains"
    relay_domains.write_text("127.10.0\n")
    daemon.write_config(relay_domains=str(relay_domains))
    site.start(daemon)
    assert mail_reply(site, names.NAMELESS)[:3] == "250"
    assert mail_reply(site, "127.11.0.1")[:3] == "550"


# ---- other clients, by Postfix's XCLIENT


def xclient_mail(site, *attributes):
    """The reply to MAIL of a client that Postfix is told of."""
    if site.mta.name != "postfix":
        pytest.skip("XCLIENT is Postfix's")
    with site.client() as client:
        assert client.command("XCLIENT " + " ".join(attributes)).code == 220
        assert client.command("EHLO client.neutral.test").code == 250
        return str(client.mail("s@neutral.test"))


XCLIENTS = {
    "neutral": (["NAME=host.neutral.test", "ADDR=198.18.0.1"], "250"),
    "by_name": (["NAME=mx.a.spam.test", "ADDR=198.18.0.1"], DENIED),
    "by_address": (["NAME=host.neutral.test", "ADDR=192.0.2.77"], DENIED),
    "ipv6": (["NAME=[UNAVAILABLE]", "ADDR=IPV6:2001:db8:bad::1"], DENIED),
    "ipv6_prefix": (["NAME=[UNAVAILABLE]", "ADDR=IPV6:2001:db8:feed:1::1"], "550 5.7.1 By prefix"),
    "ipv6_other": (["NAME=[UNAVAILABLE]", "ADDR=IPV6:2001:db8:1::1"], "250"),
    "forged": (["NAME=[UNAVAILABLE]", "ADDR=198.18.0.1", "REVERSE_NAME=a.spam.test"], "250"),
    "unavailable": (["NAME=[UNAVAILABLE]", "ADDR=127.10.0.77"], "550 5.7.1 Nameless"),
}


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("name", XCLIENTS)
def test_other_clients(site, name):
    attributes, wanted = XCLIENTS[name]
    assert xclient_mail(site, *attributes).startswith(wanted)


def test_require_rdns_by_xclient(site):
    site.daemon("", features=["require_rdns"])
    address = "ADDR=198.18.0.1"
    failed = xclient_mail(site, "NAME=[UNAVAILABLE]", address, "REVERSE_NAME=[UNAVAILABLE]")
    assert failed == "550 5.7.1 Fix reverse DNS for 198.18.0.1"
    assert xclient_mail(site, "NAME=host.neutral.test", address)[:3] == "250"
    six = xclient_mail(site, "NAME=[UNAVAILABLE]", "ADDR=IPV6:2001:db8::1", "REVERSE_NAME=[UNAVAILABLE]")
    assert six == "550 5.7.1 Fix reverse DNS for IPv6:2001:db8:0:0:0:0:0:1"


def test_require_rdns_forged_by_xclient(site):
    site.daemon("", features=["require_rdns"])
    forged = xclient_mail(site, "NAME=[UNAVAILABLE]", "ADDR=198.18.0.1", "REVERSE_NAME=forged.test")
    assert forged == "451 4.1.8 Possibly forged hostname for 198.18.0.1"


def test_use_client_ptr_by_xclient(site):
    site.daemon(ACCESS, features=["use_client_ptr"])
    reply = xclient_mail(site, "NAME=[UNAVAILABLE]", "ADDR=198.18.0.1", "REVERSE_NAME=forged.test")
    assert reply == "550 5.7.1 Forged name"


@pytest.mark.usefixtures("postern")
def test_second_client_of_one_connection(site):
    """XCLIENT begins a new session: the refusal of the first client is not the second one's."""
    if site.mta.name != "postfix":
        pytest.skip("XCLIENT is Postfix's")
    with site.client(names.SPAM) as client:
        assert str(client.mail("s@neutral.test")) == DENIED
        refused = "550 5.7.1 Second client"
        for address, wanted in [("127.50.1.1", "250"), ("127.50.9.1", refused), ("127.50.1.2", "250")]:
            assert client.command(f"XCLIENT NAME=host.neutral.test ADDR={address}").code == 220
            assert client.command("EHLO client.neutral.test").code == 250
            assert str(client.mail("s@neutral.test")).startswith(wanted)
            assert client.command("RSET").code == 250
