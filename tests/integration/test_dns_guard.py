# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken DNS lists: what is no listing, the probes of RFC 5782, suspension and recovery."""

import json
import re

import pytest

from harness import tools
from harness.dns_world import CLEAN, LISTED, dns_section, list_section
from harness.site import unique

LOCAL = "joe@local.example"
LIST = "bl.script.test"


def rcpt_reply(site, source):
    with site.client(source) as client:
        assert client.mail("s@neutral.test").ok
        return str(client.rcpt(LOCAL))


def add_list(dns, *addresses, zone=LIST, answer="127.0.0.2"):
    """A list as it should be: it lists its test point and these addresses."""
    for address in ("127.0.0.2", *addresses):
        dns.zone.add(".".join(reversed(address.split("."))) + "." + zone, "A", answer if address != "127.0.0.2" else "127.0.0.2", ttl=1)


def suspended(postern, title=LIST):
    return [line for line in postern.control("status").stdout.splitlines() if title in line and "SUSPENDED" in line]


# ---- answers that are no listings


@pytest.mark.parametrize("answer", ["127.255.255.252", "127.255.255.254", "127.255.255.255", "127.0.0.1", "203.0.113.5"])
@pytest.mark.parametrize("on_tempfail", ["ignore", "451"])
def test_error_answers_list_nobody(site, dns, answer, on_tempfail):
    """Not even for the time being: all mail would wait for a list that is no more."""
    add_list(dns, LISTED, answer=answer)
    postern = site.daemon("", sections=dns_section(dns) + list_section(LIST, on_tempfail=on_tempfail))
    assert site.send(unique("error-answer"), source=LISTED).code == 250
    assert dns.asked(f"2.0.30.127.{LIST}", "A")
    assert [line for line in postern.lines() if LIST in line and answer in line], "the log says what the list answered"
    lists = json.loads(postern.control("status", "--json").stdout)["dns"]["lists"]
    assert lists[0]["errors"] >= 1


def test_error_answers_even_if_they_are_matched(site, dns):
    """Whoever writes 127.0.0.0/8 does not mean the list's complaints."""
    add_list(dns, LISTED, answer="127.255.255.254")
    site.daemon("", sections=dns_section(dns) + list_section(LIST, match=["127.0.0.0/8"]))
    assert rcpt_reply(site, LISTED)[:3] == "250"


# ---- probes


def broken(dns, how):
    """Ways in which lists have really broken."""
    if how == "lists everything":
        dns.zone.everything_below(LIST, "A", "127.0.0.2", ttl=1)
    elif how == "answers with an error":
        dns.zone.everything_below(LIST, "A", "127.255.255.254", ttl=1)
    elif how == "domain for sale":
        dns.zone.everything_below(LIST, "A", "203.0.113.80", ttl=1)
    elif how == "no longer exists":
        dns.zone.manner(LIST, "nxdomain")
    else:
        dns.zone.manner(LIST, how)


BROKEN = ["lists everything", "answers with an error", "domain for sale", "no longer exists", "servfail", "refused", "silent"]


@pytest.mark.parametrize("how", BROKEN)
def test_broken_list_refuses_nobody_and_is_told(site, dns, how):
    broken(dns, how)
    dns.negative_ttl = 1
    sections = dns_section(dns, timeout_ms=2000, tries=1) + list_section(LIST) + list_section("ip.bl.test")
    postern = site.daemon("", sections=sections)
    assert rcpt_reply(site, CLEAN)[:3] == "250"
    assert rcpt_reply(site, LISTED)[:3] == "550", "the other list works"
    tools.wait_for(lambda: suspended(postern), "status to tell of the suspended list", 10)
    assert not suspended(postern, "ip.bl.test")
    loud = [line for line in postern.lines() if LIST in line and "suspended" in line]
    assert loud and "reason=" in loud[0], loud


def test_list_of_the_old_guides_in_the_sample(site, dns):
    """blackholes.mail-abuse.org is no more; whoever takes the line into his file goes on to get mail, and is told."""
    sample = (tools.SOURCE / "conf/postern.conf").read_text()
    section = re.search(r'(?m)^#(dnsbl "blackholes\.mail-abuse\.org" \{.*\})$', sample).group(1)
    postern = site.daemon("", sections=dns_section(dns) + section + "\n")
    subject = unique("gone-list")
    assert site.send(subject, source=LISTED).code == 250
    site.wait_delivered(subject)
    assert suspended(postern, "blackholes.mail-abuse.org")


def test_suspended_list_is_not_asked_about_clients(site, dns):
    broken(dns, "lists everything")
    postern = site.daemon("", sections=dns_section(dns) + list_section(LIST))
    tools.wait_for(lambda: suspended(postern), "the list to be suspended", 5)
    dns.forget()
    assert rcpt_reply(site, LISTED)[:3] == "250"
    assert not [one for one in dns.asked() if one.name == f"2.0.30.127.{LIST}"]


def test_list_recovers_by_itself(site, dns):
    dns.negative_ttl = 1
    dns.zone.manner(LIST, "nxdomain")
    add_list(dns, LISTED)
    postern = site.daemon("", sections=dns_section(dns, probe_seconds=1) + list_section(LIST))
    tools.wait_for(lambda: suspended(postern), "the list to be suspended", 5)
    assert rcpt_reply(site, LISTED)[:3] == "250"
    dns.zone.manner(LIST, None)
    tools.wait_for(lambda: not suspended(postern), "the list to be asked again", 10)
    tools.wait_for(lambda: rcpt_reply(site, LISTED)[:3] == "550", "the listed client to be refused", 5)


def test_list_that_breaks_while_the_daemon_runs(site, dns):
    dns.negative_ttl = 1
    add_list(dns, LISTED)
    postern = site.daemon("", sections=dns_section(dns, probe_seconds=1) + list_section(LIST))
    assert rcpt_reply(site, LISTED)[:3] == "550"
    assert not suspended(postern)
    dns.zone.manner(LIST, None)
    dns.zone.records.clear()
    broken(dns, "lists everything")
    tools.wait_for(lambda: suspended(postern), "the list to be suspended", 10)
    assert rcpt_reply(site, CLEAN)[:3] == "250"


def test_list_without_test_point_may_be_used(site, dns):
    dns.zone.add(f"2.0.30.127.{LIST}", "A", "127.0.0.2")
    postern = site.daemon("", sections=dns_section(dns) + list_section(LIST, probe=False))
    assert rcpt_reply(site, LISTED)[:3] == "550"
    assert not suspended(postern)


def test_start_does_not_hang_on_a_dead_list(site, dns):
    dns.zone.manner(LIST, "silent")
    postern = site.daemon("", sections=dns_section(dns, timeout_ms=1000, tries=1) + list_section(LIST))
    assert rcpt_reply(site, LISTED)[:3] == "250"
    assert postern.control("status").returncode == 0


def test_status_counts_questions(site, dns):
    postern = site.daemon("", sections=dns_section(dns) + list_section("ip.bl.test"))
    for _ in range(3):
        assert rcpt_reply(site, LISTED)[:3] == "550"
    text = postern.control("status").stdout
    assert "ip.bl.test" in text, text
    assert "questions" in text, text


# ---- IPv6


def test_end_of_ipv6_is_told(site, dns):
    """IPv6 clients are no longer asked about, while the list is in order for all others: the log says when and why."""
    v6 = "0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + "." + LIST
    dns.negative_ttl = 1
    add_list(dns)
    dns.zone.add("2." + v6, "A", "127.0.0.2", ttl=1)
    postern = site.daemon("", sections=dns_section(dns, probe_seconds=1) + list_section(LIST))

    def told(state):
        return [line for line in postern.lines() if LIST in line and f"state={state}" in line]

    assert not told("ipv4-only")
    dns.zone.records.clear()
    add_list(dns)
    tools.wait_for(lambda: told("ipv4-only"), "the log to tell that IPv6 clients pass", 10)
    assert "::ffff:7f00:2" in told("ipv4-only")[0]
    assert not suspended(postern) and not told("resumed")
    dns.zone.add("2." + v6, "A", "127.0.0.2", ttl=1)
    tools.wait_for(lambda: told("resumed"), "the log to tell that IPv6 clients are asked about again", 10)
    assert len(told("ipv4-only")) == 1
