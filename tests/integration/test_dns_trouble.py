# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS servers that are slow, dead or mad: mail goes on, in time, and memory stays bounded."""

import asyncio
import re
import time

import pytest

from harness import milter, tools
from harness.crowd import Crowd
from harness.dns_world import CLEAN, LISTED, dns_section, list_section
from harness.postern import sanitized
from harness.site import unique

LOCAL = "joe@local.example"
UNQUALIFIED = ("accept_unqualified_senders",)
TEMPORARY = "451 4.1.8 Domain of sender address s@{} does not resolve"
CROWD = 500
DEADLINE_MS = 2000


def rcpt_seconds(site, sender="s@neutral.test", source=CLEAN):
    """What RCPT is answered, and how long MAIL and RCPT took."""
    with site.client(source) as client:
        began = time.monotonic()
        assert client.mail(sender).ok
        reply = str(client.rcpt(LOCAL))
        return reply, time.monotonic() - began


def silence(dns):
    dns.zone.manner("", "silent")


def lists(count, **keys):
    return "".join(list_section(f"l{number}.script.test", probe=False, **keys) for number in range(count))


# ---- one deadline for a session


def test_dead_server_costs_one_deadline_and_not_one_for_each_question(site, dns):
    silence(dns)
    sections = dns_section(dns, timeout_ms=1000, tries=2) + lists(5)
    site.daemon("", sections=sections, lenient=UNQUALIFIED)
    reply, seconds = rcpt_seconds(site, "s@dead.script.test")
    assert reply == TEMPORARY.format("dead.script.test")
    assert seconds < 2.0


def test_second_message_of_the_session_does_not_wait_again(site, dns):
    silence(dns)
    site.daemon("", sections=dns_section(dns, timeout_ms=1000), lenient=UNQUALIFIED)
    with site.client(CLEAN) as client:
        assert client.mail("s@dead.script.test").ok
        assert client.rcpt(LOCAL).code == 451
        began = time.monotonic()
        for number in range(3):
            assert client.command("RSET").ok
            assert client.mail(f"s@dead{number}.script.test").ok
            assert client.rcpt(LOCAL).code == 451
        assert time.monotonic() - began < 1.5


def test_dead_server_is_remembered(site, dns):
    """Later sessions do not wait the whole deadline, one after the other."""
    silence(dns)
    site.daemon("", sections=dns_section(dns, timeout_ms=3000, tries=1) + lists(2))
    for _ in range(3):
        rcpt_seconds(site)
    reply, seconds = rcpt_seconds(site)
    assert reply[:3] == "250"
    assert seconds < 1.5


def test_dead_server_comes_back(site, dns):
    silence(dns)
    site.daemon("", sections=dns_section(dns, timeout_ms=500, tries=1) + list_section("ip.bl.test", probe=False))
    for _ in range(3):
        assert rcpt_seconds(site, source=LISTED)[0][:3] == "250"
    dns.zone.manner("", None)
    tools.wait_for(lambda: rcpt_seconds(site, source=LISTED)[0][:3] == "550", "the list to be heard again", 40, pause=0.5)


def test_cached_answers_cost_nothing_while_the_server_is_dead(site, dns):
    site.daemon("", sections=dns_section(dns, timeout_ms=2000, tries=1) + list_section("ip.bl.test"), lenient=UNQUALIFIED)
    assert rcpt_seconds(site, "s@zone.test")[0][:3] == "250"
    assert rcpt_seconds(site, "s@zone.test", LISTED)[0][:3] == "550"
    silence(dns)
    for source, wanted in ((CLEAN, "250"), (LISTED, "550"), (CLEAN, "250")):
        reply, seconds = rcpt_seconds(site, "s@zone.test", source)
        assert reply[:3] == wanted
        assert seconds < 2


def test_second_server_takes_over(site, dns, dns_world):
    silence(dns)
    other = dns_world.new_server()
    try:
        sections = dns_section(dns, other, timeout_ms=3000, tries=2) + list_section("ip.bl.test", probe=False)
        site.daemon("", sections=sections)
        replies = [rcpt_seconds(site, source=LISTED)[0][:3] for _ in range(2)]
        assert replies[-1] == "550", replies
    finally:
        other.close()


def test_no_server_at_all(site, dns):
    """Nobody listens on the port: the system says so at once."""
    sections = dns_section(dns, timeout_ms=1000) + list_section("ip.bl.test", probe=False)
    dns.close()
    site.daemon("", sections=sections, lenient=UNQUALIFIED)
    reply, seconds = rcpt_seconds(site, "s@zone.test", LISTED)
    assert reply == TEMPORARY.format("zone.test")
    assert seconds < 2, "within the deadline"


def test_slow_answers_are_waited_for(site, dns):
    dns.zone.add("slow.script.test", "A", "192.0.2.10")
    dns.zone.delay("slow.script.test", 0.5)
    site.daemon("", sections=dns_section(dns, timeout_ms=5000, tries=1), lenient=UNQUALIFIED)
    assert rcpt_seconds(site, "s@slow.script.test")[0][:3] == "250"


def test_late_answer_still_fills_the_cache(site, dns):
    dns.zone.add("late.script.test", "A", "192.0.2.10")
    dns.zone.delay("late.script.test", 1.3)
    site.daemon("", sections=dns_section(dns, timeout_ms=1000, tries=1), lenient=UNQUALIFIED)
    assert rcpt_seconds(site, "s@late.script.test")[0] == TEMPORARY.format("late.script.test")
    time.sleep(1)
    silence(dns)
    assert rcpt_seconds(site, "s@late.script.test")[0][:3] == "250"


def test_same_question_of_many_sessions_is_asked_once(site, dns):
    dns.zone.add("same.script.test", "A", "192.0.2.10")
    dns.zone.delay("same.script.test", 0.5)
    site.daemon("", sections=dns_section(dns, timeout_ms=5000), lenient=UNQUALIFIED)
    with Crowd(site.mta.port, 20, CLEAN) as crowd:
        crowd.say("MAIL FROM:<s@same.script.test>")
        assert {reply.code for reply, _ in crowd.say(f"RCPT TO:<{LOCAL}>")} == {250}
    for kind in ("A", "AAAA", "MX"):
        assert len(dns.asked("same.script.test", kind)) <= 1


# ---- answers that are none


@pytest.mark.parametrize("manner", ["half", "header", "noise", "pointer loop", "short data", "too few", "wrong number", "other question",
                                    "truncated"])
def test_mad_list_lists_nobody(site, dns, manner):
    dns.zone.add("2.0.30.127.mad.script.test", "A", "127.0.0.2")
    dns.zone.manner("mad.script.test", manner)
    sections = dns_section(dns, timeout_ms=2000, tries=1) + list_section("mad.script.test", probe=False) + list_section("ip.bl.test")
    daemon = site.daemon("", sections=sections)
    reply, _ = rcpt_seconds(site, source=LISTED)
    assert reply == f"550 5.7.1 Rejected: {LISTED} listed at ip.bl.test", "the other list is heard"
    assert daemon.alive()


def test_large_answer_by_tcp(site, dns):
    dns.zone.add("large.script.test", "MX", *[f"10 mx{number}.with.a.rather.long.name.script.test" for number in range(400)])
    site.daemon("", sections=dns_section(dns), lenient=UNQUALIFIED)
    assert rcpt_seconds(site, "s@large.script.test")[0][:3] == "250"
    assert [one for one in dns.asked("large.script.test", "MX") if one.transport == "tcp"]


def test_many_different_names_do_not_fill_the_memory(site, dns):
    """The cache is bounded by configuration, whatever clients invent."""
    daemon = site.daemon("", sections=dns_section(dns, cache_entries=1000), lenient=UNQUALIFIED)
    before = resident_kib(daemon)
    with site.client(CLEAN) as client:
        for number in range(3000):
            assert client.mail(f"s@n{number}.{'x' * 60}.{'y' * 60}.script.test").ok
            assert client.rcpt(LOCAL).code == 553
            assert client.command("RSET").ok
    if not sanitized():
        assert resident_kib(daemon) - before < 8 * 1024


# ---- five hundred at once


def resident_kib(daemon):
    text = (tools.pathlib.Path("/proc") / str(daemon.process.pid) / "status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text).group(1))


def test_five_hundred_smtp_sessions_with_a_dead_server(site, dns):
    silence(dns)
    sections = dns_section(dns, timeout_ms=DEADLINE_MS, tries=1) + lists(2)
    daemon = site.daemon("Connect:127.31 OK\n", sections=sections, lenient=UNQUALIFIED)
    before = resident_kib(daemon)
    with Crowd(site.mta.port, CROWD, CLEAN) as crowd:
        assert {reply.code for reply, _ in crowd.say("MAIL FROM:<s@dead.script.test>")} == {250}
        replies = crowd.say(f"RCPT TO:<{LOCAL}>")
    assert {str(reply)[:9] for reply, _ in replies} == {"451 4.1.8"}
    assert max(seconds for _, seconds in replies) < DEADLINE_MS / 1000 + 1
    if not sanitized():
        assert resident_kib(daemon) - before < 64 * 1024
    assert site.send(unique("after-the-crowd"), "", source="127.31.0.1").code == 250


async def _quiet_sessions(path, until):
    """Sessions that have nothing to ask, one after the other; the seconds of each."""
    found = []
    while not until.done():
        began = time.monotonic()
        answers = await milter.play(path, "127.31.0.1", "", [LOCAL])
        assert {one.code for one in answers} == {b"c"}, answers
        found.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    return found


async def _crowd(path):
    playing = [milter.play(path, CLEAN, f"s@dead{number}.script.test", [LOCAL]) for number in range(CROWD)]
    return await asyncio.gather(*playing)


async def _crowd_and_others(path):
    crowd = asyncio.ensure_future(_crowd(path))
    quiet = asyncio.ensure_future(_quiet_sessions(path, crowd))
    return await crowd, await quiet


def test_five_hundred_milter_sessions_with_a_dead_server(site, dns):
    """Each its own names, so no answer helps another; beside them sessions that ask nothing."""
    silence(dns)
    sections = dns_section(dns, timeout_ms=DEADLINE_MS, tries=1) + lists(2)
    daemon = site.daemon("Connect:127.31 OK\n", sections=sections, lenient=UNQUALIFIED)
    before = resident_kib(daemon)
    sessions, quiet = asyncio.run(_crowd_and_others(daemon.listen))
    assert len(sessions) == CROWD
    for answers in sessions:
        assert answers[-1].code == b"y" and answers[-1].text.startswith("451 4.1.8"), answers
        assert sum(one.seconds for one in answers) < DEADLINE_MS / 1000 + 1, answers
    assert max(quiet) < (10 if sanitized() else DEADLINE_MS / 1000), "the others are not held up"
    if not sanitized():
        assert resident_kib(daemon) - before < 64 * 1024
