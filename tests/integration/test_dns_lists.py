# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS lists (rbldnsd) through both mail servers: who is refused, when and in which words."""

import pytest

from harness import names, tools
from harness.dns_world import (ALLOWED, CLEAN, CLEAN_V6, CODE_4, CODE_10, LISTED, LISTED_V6, THRICE, TWICE, dns_section,
                               list_section)
from harness.site import unique

LOCAL = "joe@local.example"


def replies(site, source, sender="s@neutral.test", rcpts=(LOCAL,), **keywords):
    """What MAIL and each RCPT are answered."""
    with site.client(source, **keywords) as client:
        return [str(client.mail(sender)), *[str(client.rcpt(rcpt)) for rcpt in rcpts]]


def rcpt_reply(site, source, **keywords):
    mail, rcpt = replies(site, source, **keywords)
    assert mail[:3] == "250", mail
    return rcpt


def daemon(site, dns, *lists, access="", keys=None, features=(), **more):
    sections = dns_section(dns, **(keys or {})) + "".join(lists)
    return site.daemon(access, sections=sections, features=features, **more)


def rejected(address, zone="ip.bl.test"):
    return f"550 5.7.1 Rejected: {address} listed at {zone}"


# ---- who is refused, and when


def test_listed_client_is_refused_at_rcpt_in_sendmails_words(site, dns):
    postern = daemon(site, dns, list_section("ip.bl.test"))
    assert rcpt_reply(site, LISTED) == rejected(LISTED)
    assert rcpt_reply(site, CLEAN)[:3] == "250"
    asked = dns.asked("2.0.30.127.ip.bl.test", "A")
    assert len(asked) == 1
    said = postern.wait_entry(addr=LISTED, action="reject", reason="dnsbl")
    assert (said["list"], said["answer"], said["stage"]) == ("ip.bl.test", "127.0.0.2", "rcpt")


def test_every_recipient_gets_the_refusal(site, dns):
    daemon(site, dns, list_section("ip.bl.test"))
    _, *rcpts = replies(site, LISTED, rcpts=(LOCAL, "jane@local.example"))
    assert rcpts == [rejected(LISTED)] * 2


def test_the_question_is_asked_at_connect(site, dns):
    """The answer is there long before the recipient is."""
    daemon(site, dns, list_section("ip.bl.test"))
    with site.client(LISTED):
        tools.wait_for(lambda: dns.asked("2.0.30.127.ip.bl.test", "A"), "the question", 2)


def test_answer_at_mail(site, dns):
    daemon(site, dns, list_section("ip.bl.test"), keys={"answer_at": "mail"})
    with site.client(LISTED) as client:
        assert str(client.mail("s@neutral.test")) == rejected(LISTED)
        assert str(client.mail("again@neutral.test")) == rejected(LISTED)


def test_a_listed_client_is_asked_for_once_in_a_while(site, dns):
    """The cache spares the list what it has said."""
    daemon(site, dns, list_section("ip.bl.test"))
    for _ in range(3):
        assert rcpt_reply(site, LISTED) == rejected(LISTED)
        assert rcpt_reply(site, CLEAN)[:3] == "250"
    assert len(dns.asked("2.0.30.127.ip.bl.test", "A")) == 1
    assert len(dns.asked("1.0.30.127.ip.bl.test", "A")) == 1, "that nothing is there is remembered too"


def test_second_message_of_a_session(site, dns):
    daemon(site, dns, list_section("ip.bl.test"))
    with site.client(LISTED) as client:
        for _ in range(2):
            assert client.mail("s@neutral.test").ok
            assert str(client.rcpt(LOCAL)) == rejected(LISTED)
            assert client.command("RSET").ok


def test_several_lists_the_first_that_lists_tells(site, dns):
    daemon(site, dns, list_section("low.bl.test"), list_section("other.bl.test"), list_section("ip.bl.test"))
    assert rcpt_reply(site, TWICE) == rejected(TWICE, "low.bl.test")
    assert rcpt_reply(site, LISTED) == rejected(LISTED)
    assert rcpt_reply(site, CLEAN)[:3] == "250"


# ---- matching, words, actions


def test_match_ranges(site, dns):
    daemon(site, dns, list_section("ip.bl.test", match=["127.0.0.4-127.0.0.9"]))
    assert rcpt_reply(site, CODE_4) == rejected(CODE_4)
    assert rcpt_reply(site, CODE_10)[:3] == "250"
    assert rcpt_reply(site, LISTED)[:3] == "250"


def test_match_single_answer(site, dns):
    daemon(site, dns, list_section("ip.bl.test", match=["127.0.0.10"]))
    assert rcpt_reply(site, CODE_10) == rejected(CODE_10)
    assert rcpt_reply(site, CODE_4)[:3] == "250"


def test_reply_with_client_list_and_text(site, dns):
    daemon(site, dns, list_section("ip.bl.test", reply="554 5.7.9 %{client} is in %{list}: %{text}"))
    assert rcpt_reply(site, LISTED) == f"554 5.7.9 {LISTED} is in ip.bl.test: listed {LISTED} in ip.bl.test"


def test_same_zone_twice_with_other_words(site, dns):
    """As enhdnsbl does with the answers of one list."""
    daemon(
        site,
        dns,
        list_section("four", zone="ip.bl.test", match=["127.0.0.4"], reply="550 5.7.1 Four"),
        list_section("ten", zone="ip.bl.test", match=["127.0.0.10"], reply="550 5.7.1 Ten", action="reject"),
    )
    assert rcpt_reply(site, CODE_4) == "550 5.7.1 Four"
    assert rcpt_reply(site, CODE_10) == "550 5.7.1 Ten"
    assert rcpt_reply(site, LISTED)[:3] == "250"


def test_action_tempfail(site, dns):
    daemon(site, dns, list_section("ip.bl.test", action="tempfail"))
    assert rcpt_reply(site, LISTED)[:3] in ("450", "451")


def test_action_discard(site, dns):
    daemon(site, dns, list_section("ip.bl.test", action="discard"))
    subject = unique("listed-discard")
    assert site.send(subject, source=LISTED).code == 250
    site.assert_gone(subject)


def test_action_quarantine(site, dns):
    daemon(site, dns, list_section("ip.bl.test", action="quarantine"))
    subject = unique("listed-quarantine")
    assert site.send(subject, source=LISTED).code == 250
    held = site.assert_held(subject)
    assert held.reason in ("", "ip.bl.test")


def test_allow_list_spares_the_others(site, dns):
    lists = [list_section("allow.bl.test", action="allow"), list_section("ip.bl.test")]
    for order in (lists, lists[::-1]):
        daemon(site, dns, *order)
        assert rcpt_reply(site, ALLOWED)[:3] == "250"
        assert rcpt_reply(site, LISTED) == rejected(LISTED)
        site.used[-1].stop()


def test_weights_and_threshold(site, dns):
    """One weak list alone refuses nobody; two do; an allow list can take off."""
    keys = {"score_threshold": 3, "score_reply": "550 5.7.1 Too many lists"}
    weighted = [list_section(zone, weight=weight) for zone, weight in
                (("low.bl.test", 2), ("other.bl.test", 1), ("ip.bl.test", 2), ("allow.bl.test", -2))]
    daemon(site, dns, *weighted, keys=keys)
    assert rcpt_reply(site, TWICE) == "550 5.7.1 Too many lists"
    assert rcpt_reply(site, THRICE) == "550 5.7.1 Too many lists"
    assert rcpt_reply(site, LISTED)[:3] == "250"
    assert rcpt_reply(site, ALLOWED)[:3] == "250"


# ---- who is spared


@pytest.mark.parametrize("value", ["OK", "RELAY"])
def test_access_spares(site, dns, value):
    daemon(site, dns, list_section("ip.bl.test"), access=f"Connect:{LISTED} {value}\n")
    assert rcpt_reply(site, LISTED)[:3] == "250"
    assert rcpt_reply(site, CODE_4) == rejected(CODE_4)
    assert dns.asked("2.0.30.127.ip.bl.test") == [], "and its address is told to nobody"


def test_relay_domains_spare(site, dns):
    postern = daemon(site, dns, list_section("ip.bl.test"), start=False)
    path = postern.folder / "relay-domains"
    path.write_text("127.30.0.2\n")
    postern.write_config(relay_domains=str(path))
    site.start(postern)
    assert rcpt_reply(site, LISTED)[:3] == "250"
    assert rcpt_reply(site, CODE_4) == rejected(CODE_4)


def test_nobody_is_spared(site, dns):
    postern = daemon(site, dns, list_section("ip.bl.test", exempt=[]), start=False)
    path = postern.folder / "relay-domains"
    path.write_text("127.30.0.2\n")
    postern.write_config(relay_domains=str(path))
    site.start(postern)
    assert rcpt_reply(site, LISTED) == rejected(LISTED)


def test_delay_checks_and_friend(site, dns):
    access = f"Spam:{LOCAL} FRIEND\nFrom:good.test OK\n"
    daemon(site, dns, list_section("ip.bl.test"), access=access, features=["delay_checks_friend"])
    _, friend, other = replies(site, LISTED, rcpts=(LOCAL, "jane@local.example"))
    assert friend[:3] == "250"
    assert other == rejected(LISTED)
    _, other = replies(site, LISTED, sender="s@good.test", rcpts=("jane@local.example",))
    assert other[:3] == "250", "a sender who is OK spares the client, as Sendmail has it"


def test_blocklisted_recipient_comes_before_the_list(site, dns):
    daemon(site, dns, list_section("ip.bl.test"), access=f"To:{LOCAL} REJECT\n", features=["delay_checks", "blocklist_recipients"])
    assert rcpt_reply(site, LISTED) == "550 5.2.1 Mailbox disabled for this recipient"


# ---- IPv6 and names


def xclient(site, address, name="[UNAVAILABLE]"):
    if site.mta.name != "postfix":
        pytest.skip("XCLIENT is Postfix's")
    with site.client() as client:
        assert client.command(f"XCLIENT NAME={name} ADDR={address}").code == 220
        assert client.command("EHLO client.neutral.test").code == 250
        assert client.mail("s@neutral.test").ok
        return str(client.rcpt(LOCAL))


def test_ipv6_client(site, dns):
    daemon(site, dns, list_section("ip.bl.test"))
    assert xclient(site, f"IPV6:{LISTED_V6}") == "550 5.7.1 Rejected: IPv6:2001:db8:30:0:0:0:0:2 listed at ip.bl.test"
    assert xclient(site, f"IPV6:{CLEAN_V6}")[:3] == "250"
    assert dns.asked("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.8.b.d.0.1.0.0.2.ip.bl.test", "A")


def test_ipv6_client_is_not_asked_of_lists_without_ipv6(site, dns):
    dns.zone.add("2.0.0.127.old.script.test", "A", "127.0.0.2")
    dns.zone.add("2.0.30.127.old.script.test", "A", "127.0.0.2")
    daemon(site, dns, list_section("old.script.test"), list_section("ip.bl.test", ipv6=False))
    assert xclient(site, f"IPV6:{LISTED_V6}")[:3] == "250"
    assert rcpt_reply(site, LISTED) == rejected(LISTED, "old.script.test")
    assert not [one for one in dns.asked() if one.name.startswith("2.0.0.0.0.0.0.0.0")]


def test_second_client_of_one_connection_has_its_own_answers(site, dns):
    if site.mta.name != "postfix":
        pytest.skip("XCLIENT is Postfix's")
    daemon(site, dns, list_section("ip.bl.test"))
    with site.client(LISTED) as client:
        for address, wanted in ((CLEAN, "250"), (CODE_4, "550"), (CLEAN, "250")):
            assert client.command(f"XCLIENT NAME=[UNAVAILABLE] ADDR={address}").code == 220
            assert client.command("EHLO client.neutral.test").code == 250
            assert client.mail("s@neutral.test").ok
            assert str(client.rcpt(LOCAL))[:3] == wanted
            assert client.command("RSET").ok


def test_domain_list_for_senders(site, dns):
    daemon(site, dns, list_section("dom.bl.test", lookup=["sender"], reply="550 5.7.1 %{query} is in %{list}"))
    mail, rcpt = replies(site, CLEAN, sender="s@spammer.test")
    assert mail[:3] == "250"
    assert rcpt.startswith("550 5.7.1 spammer.test")
    assert replies(site, CLEAN, sender="s@neutral.test")[1][:3] == "250"
    assert replies(site, CLEAN, sender="s@host.spamhouse.test")[1][:3] == "550"
    assert replies(site, CLEAN, sender="")[1][:3] == "250"


def test_domain_list_for_helo(site, dns):
    daemon(site, dns, list_section("dom.bl.test", lookup=["helo"]))
    assert rcpt_reply(site, CLEAN, helo="host.spamhouse.test")[:3] == "550"
    assert rcpt_reply(site, CLEAN, helo="host.neutral.test")[:3] == "250"
    assert rcpt_reply(site, CLEAN, helo="[127.30.0.1]")[:3] == "250"


def test_domain_list_for_client_names(site, dns):
    dns.zone.add("a.spam.test.script.test", "A", "127.0.0.2")
    daemon(site, dns, list_section("script.test", lookup=["name"], probe=False))
    assert rcpt_reply(site, names.SPAM)[:3] == "550"
    assert rcpt_reply(site, names.NEUTRAL)[:3] == "250"
    assert rcpt_reply(site, names.NAMELESS)[:3] == "250"


def test_internationalised_sender_is_looked_up_as_a_labels(site, dns):
    dns.zone.add("xn--bcher-kva.test.script.test", "A", "127.0.0.2")
    postern = daemon(site, dns, list_section("script.test", lookup=["sender"], probe=False))
    said = postern.explain(client="127.30.0.1", **{"from": "s@b\u00fccher.test"}, rcpt=LOCAL)
    assert [stage["verdict"] for stage in said["stages"] if stage["stage"] == "rcpt"] == ["reject"], said


# ---- daemon sections


def test_explain_shows_question_and_answer(site, dns):
    postern = daemon(site, dns, list_section("ip.bl.test"))
    text = postern.control("explain", "--client", LISTED, "--from", "s@neutral.test", "--rcpt", LOCAL, check=False).stdout
    assert "2.0.30.127.ip.bl.test" in text
    assert "127.0.0.2" in text
    assert "listed at ip.bl.test" in text
