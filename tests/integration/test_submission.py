# SPDX-License-Identifier: GPL-3.0-or-later
"""A submission port beside port 25: daemon sections by the name that the mail server gives its listener."""

import pytest

from harness import login, names, relay, smtp
from harness.relay import FOREIGN
from harness.site import unique

MSA = """\
daemon "MSA" {
  require_auth = true
  require_fqdn = true
}
"""
NAMELESS_DENIED = f"550 5.7.1 Relaying denied. IP name lookup failed [{FOREIGN}]"


@pytest.fixture(scope="module")
def mta(mta_name, servers):
    return servers("open-" + mta_name)


def start(site, section, access="", **keywords):
    keys = relay.keys(site.mta, "milter", trust_auth_mech=["PLAIN", "LOGIN"])
    keys.update(keywords)
    daemon = site.daemon(access, start=False, **keys)
    daemon.write_config(extra=section)
    site.start(daemon)
    return daemon


@pytest.fixture(name="ports")
def both_ports(site):
    start(site, MSA)


def session(site, port="msa", source=FOREIGN, logged_in=False):
    number = site.mta.msa_port if port == "msa" else site.mta.port
    client = smtp.Client(number, source, names_address=site.mta.name == "sendmail")
    assert client.hello().code == 250
    if logged_in:
        assert client.login(f"{login.USER}@{relay.OWN_NAME}", login.PASSWORD).code == 235
    return client


@pytest.mark.usefixtures("ports")
def test_login_is_asked_for_on_the_submission_port_only(site):
    with session(site) as client:
        assert str(client.mail("joe@neutral.test")) == "530 5.7.0 Authentication required"
        assert client.rcpt("joe@local.example").code == 503
        assert client.login(f"{login.USER}@{relay.OWN_NAME}", login.PASSWORD).code == 235
        assert client.mail("joe@neutral.test").code == 250
    with session(site, "mta") as client:
        assert client.mail("joe@neutral.test").code == 250
        assert client.rcpt("joe@local.example").code == 250


@pytest.mark.usefixtures("ports")
@pytest.mark.parametrize("source", [relay.RELAY_CLIENT, "127.0.0.1"])
def test_who_may_relay_has_to_log_in_too(site, source):
    with session(site, source=source) as client:
        assert client.mail("joe@neutral.test").code == 530


@pytest.mark.usefixtures("ports")
def test_both_ports_at_once(site):
    """One session on each, command by command."""
    inward, outward = unique("inward"), unique("outward")
    with session(site, "mta") as mta, session(site, logged_in=True) as msa:
        assert mta.mail("s@neutral.test").code == 250
        assert msa.mail("joe@local.example").code == 250
        assert str(mta.rcpt("x@outside.test")).endswith("Proper authentication required.") or (
            str(mta.rcpt("x@outside.test")) == NAMELESS_DENIED
        )
        assert msa.rcpt("x@outside.test").code == 250
        assert mta.rcpt("joe@local.example").code == 250
        assert mta.data(smtp.message(inward)).code == 250
        assert msa.data(smtp.message(outward)).code == 250
    site.wait_delivered(inward)
    assert [one.recipients for one in relay.wait_outside(site.mta, outward)] == [["x@outside.test"]]


@pytest.mark.usefixtures("ports")
@pytest.mark.parametrize(
    "sender, reply",
    [
        ("joe@host", "553 5.5.4 Real domain name required for sender address"),
        ("joe@localhost", "553 5.5.4 Real domain name required for sender address"),
        ("joe", "553 5.5.4 Domain name required for sender address joe"),
        ("joe@neutral.test", "250"),
        ("joe@[192.0.2.1]", "250"),
        ("", "250"),
    ],
)
def test_senders_have_to_be_whole(site, sender, reply):
    with session(site, logged_in=True) as client:
        assert str(client.mail(sender)).startswith(reply)
    with session(site, "mta") as client:
        assert client.mail(sender).code == 250


@pytest.mark.usefixtures("ports")
@pytest.mark.parametrize(
    "rcpt, reply",
    [
        ("jane", "553 5.5.4 Fully qualified domain name required"),
        ("jane@mx", "553 5.5.4 Fully qualified domain name required"),
        ("x%outside.test", "553 5.5.4 Fully qualified domain name required"),
        ("jane@local.example", "250"),
        ("postmaster", "250"),
        ("Postmaster", "250"),
        ("x@outside.test", "250"),
        ("x@[192.0.2.1]", "250"),
    ],
)
def test_recipients_have_to_be_whole(site, rcpt, reply):
    with session(site, logged_in=True) as client:
        assert client.mail("joe@neutral.test").code == 250
        assert str(client.rcpt(rcpt)).startswith(reply)


@pytest.mark.usefixtures("ports")
def test_recipients_need_not_on_port_25(site):
    with session(site, "mta") as client:
        assert client.mail("joe@neutral.test").code == 250
        assert client.rcpt("jane").code == 250


def test_relay_control_of_one_listener(site):
    """Port 25 lets postern refuse, the other does not; and the other way round."""
    start(site, 'daemon "MSA" { relay_control = "mta" }\n')
    assert [code(site, port, "x@outside.test") for port in ("mta", "msa")] == [550, 250]
    start(site, 'daemon "MSA" { relay_control = "milter" }\n', relay_control="mta")
    assert [code(site, port, "x@outside.test") for port in ("mta", "msa")] == [250, 550]


def code(site, port, rcpt, source=FOREIGN):
    with session(site, port, source) as client:
        reply = client.mail("s@neutral.test")
        return client.rcpt(rcpt).code if reply.ok else reply.code


def test_features_of_one_listener(site):
    access = "Connect:127.77 REJECT\nTo:block@local.example REJECT\n"
    features = '{ "delay_checks", "blocklist_recipients", "accept_unresolvable_domains" }'  # all of them: none is taken over
    start(site, f'daemon "MSA" {{ features = {features} }}\n', access)
    with session(site, "mta") as client:
        assert client.mail("s@neutral.test").code == 550
    with session(site, "msa") as client:
        assert client.mail("s@neutral.test").code == 250
        assert str(client.rcpt("joe@local.example")) == "550 5.7.1 Access denied"
    assert code(site, "mta", "block@local.example", names.NEUTRAL) == 250
    assert code(site, "msa", "block@local.example", names.NEUTRAL) == 550


def test_listener_without_a_section_is_like_all(site):
    start(site, 'daemon "OTHER" { require_auth = true }\n')
    assert [code(site, port, "joe@local.example") for port in ("mta", "msa")] == [250, 250]


def test_name_in_other_letters(site):
    start(site, 'daemon "msa" { require_auth = true }\n')
    assert [code(site, port, "joe@local.example") for port in ("mta", "msa")] == [250, 530]


def test_nothing_gets_out_of_the_submission_port(site):
    start(site, 'daemon "MSA" { require_fqdn = true }\n')
    for rcpt in ("x@outside.test", "x%outside.test@local.example", '"x@outside.test "@local.example'):
        assert code(site, "msa", rcpt) == 550
