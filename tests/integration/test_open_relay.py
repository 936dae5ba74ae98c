# SPDX-License-Identifier: GPL-3.0-or-later
"""Every classic form of an address that leads elsewhere, from a client that may not relay: nothing gets out, whoever
decides (the mail server or postern), and whatever state postern is in. The same forms do get out for those who may."""

import concurrent.futures
import os
import random
import re
import threading
import time
from dataclasses import dataclass

import pytest

from harness import relay, smtp, tools
from harness.names import NEUTRAL
from harness.postern import GROUP, USER
from harness.site import SETTLE_SECONDS, unique

SENDER = "s@neutral.test"

# What stands behind "RCPT TO:".
FORMS = {
    "plain": "<x@outside.test>",
    "capitals": "<X@OUTSIDE.TEST>",
    "subdomain_of_ours_elsewhere": "<x@local.example.outside.test>",
    "suffix_without_dot": "<x@xlocal.example>",
    "suffix_of_relayed_without_dot": "<x@notpartner.test>",
    "route": "<@local.example:x@outside.test>",
    "route_of_two": "<@local.example,@mx.home.example:x@outside.test>",
    "route_over_own_name": "<@mx.home.example:x@outside.test>",
    "route_over_literal": "<@[127.0.0.1]:x@outside.test>",
    "route_over_relayed": "<@partner.test:x@outside.test>",
    "percent": "<x%outside.test@local.example>",
    "percent_own_name": "<x%outside.test@mx.home.example>",
    "percent_first_label": "<x%outside.test@mx>",
    "percent_localhost": "<x%outside.test@localhost>",
    "percent_literal": "<x%outside.test@[127.0.0.1]>",
    "percent_ipv6_literal": "<x%outside.test@[IPv6:::1]>",
    "percent_bare_address": "<x%outside.test@127.0.0.1>",
    "percent_number": "<x%outside.test@2130706433>",
    "percent_without_host": "<x%outside.test>",
    "percent_twice": "<x%outside.test%local.example@local.example>",
    "percent_relayed": "<x%outside.test@partner.test>",
    "percent_in_brackets": "<x%[192.0.2.1]@local.example>",
    "bang": "<outside.test!x>",
    "bang_local": "<outside.test!x@local.example>",
    "bang_path": "<local.example!outside.test!x>",
    "bang_literal": "<outside.test!x@[127.0.0.1]>",
    "bang_relayed": "<outside.test!x@partner.test>",
    "bang_uucp": "<outside.test!x@localhost.UUCP>",
    "bang_and_percent": "<outside.test!x%local.example@local.example>",
    "percent_and_bang": "<local.example!x%outside.test@local.example>",
    "quoted": '<"x@outside.test"@local.example>',
    "quoted_alone": '<"x@outside.test">',
    "quoted_relayed": '<"x@outside.test"@partner.test>',
    "quoted_percent": '<"x%outside.test"@local.example>',
    "quoted_percent_alone": '<"x%outside.test">',
    "quoted_bang": '<"outside.test!x"@local.example>',
    "quoted_twice": '<"\\"x@outside.test\\"@local.example"@local.example>',
    "quoted_pair": '<"x\\@outside.test"@local.example>',
    "quoted_route": '<"@local.example:x@outside.test"@local.example>',
    "quoted_blank": '<"x@outside.test "@local.example>',
    "quoted_blank_before": '<" x@outside.test"@local.example>',
    "quoted_blank_percent": '<"x%outside.test "@local.example>',
    "quoted_blank_bang": '<"outside.test!x "@local.example>',
    "quoted_blank_alone": '<"x@outside.test ">',
    "quoted_blank_relayed": '<"x@outside.test "@partner.test>',
    "quoted_blank_literal": '<"x@outside.test "@[127.0.0.1]>',
    "quoted_tab": '<"x@outside.test\t"@local.example>',
    "quoted_in_parts": '<x"@"outside.test@local.example>',
    "quoted_in_parts_percent": '<x"%"outside.test@local.example>',
    "half_quoted": '<"x"@outside.test@local.example>',
    "escaped_at": "<x\\@outside.test@local.example>",
    "escaped_at_relayed": "<x\\@outside.test@partner.test>",
    "escaped_percent": "<x\\%outside.test@local.example>",
    "escaped_bang": "<outside.test\\!x@local.example>",
    "escaped_twice": '<"x\\\\@outside.test"@local.example>',
    "two_ats": "<x@outside.test@local.example>",
    "two_ats_literal": "<x@outside.test@[127.0.0.1]>",
    "two_ats_none_behind": "<x@outside.test@>",
    "percent_and_two_ats": "<x%outside.test@local.example@local.example>",
    "trailing_dot": "<x@outside.test.>",
    "trailing_dots": "<x@outside.test..>",
    "percent_trailing_dot": "<x%outside.test@local.example.>",
    "percent_inner_dot": "<x%outside.test.@local.example>",
    "eight_bits": "<\xe4%outside.test@local.example>",
    "eight_bits_domain": "<x@outs\xefde.test>",
    "eight_bits_at": "<x\xc0outside.test@local.example>",
    "overlong_local": "<" + "a" * 1500 + "%outside.test@local.example>",
    "overlong_domain": "<x@" + "a." * 600 + "outside.test>",
    "overlong_chain": "<x%outside.test" + "%local.example" * 40 + "@local.example>",
    "overlong_route": "<" + ",".join(["@local.example"] * 40) + ":x@outside.test>",
    "encoded_at": "<x%40outside.test@local.example>",
    "encoded_at_alone": "<x%40outside.test>",
    "tabs": "\t<x@outside.test>",
    "tabs_within": "<x%outside.test\t@local.example>",
    "blanks_within": "< x @ outside.test >",
    "comment": "<x(comment)@outside.test>",
    "comment_behind": "<x@outside.test(local.example)>",
    "comment_with_ours": "<x@outside.test(@local.example)>",
    "comment_percent": "<x(comment)%outside.test@local.example>",
    "no_brackets": "x@outside.test",
    "no_brackets_percent": "x%outside.test@local.example",
    "brackets_twice": "<<x@outside.test>>",
    "name_before": '"joe@local.example" <x@outside.test>',
    "list": "<joe@local.example,x@outside.test>",
    "list_of_brackets": "<joe@local.example>,<x@outside.test>",
    "group": "friends:x@outside.test;",
    "semicolon": "<x@outside.test;@local.example>",
    "colons": "<outside.test::x@local.example>",
    "group_bang": "outside.test!x:y@local.example",
    "group_bang_empty": "outside.test!:x@mx.home.example",
    "group_bang_comment": "outside.test!(c):x@local.example",
    "group_bang_quoted": '"outside.test!x":y@local.example',
    "group_bang_relayed": "outside.test!x:y@partner.test",
    "group_percent": "x%outside.test:y@local.example",
    "group_percent_relayed": "x%outside.test:y@partner.test",
    "group_at": "x@outside.test:y@local.example",
    "group_in_group": "outside.test!a:b:c@local.example",
    "route_of_bang": "@local.example:outside.test!x:y@local.example",
    "null_byte": "<x@outside.test\0@local.example>",
    "bare_cr": "<x@outside.test\r@local.example>",
    "orcpt": "<joe@local.example> ORCPT=rfc822;x@outside.test",
    "host_only": "<@outside.test>",
    "uucp_domain": "<x@outside.test.UUCP>",
    "detail": "<x+outside.test@local.example>",
}

# What a mail server that relays for everybody sends out, whatever it thinks of the rest.
CERTAIN = set("plain capitals route percent percent_own_name percent_twice bang_local quoted".split())

# Sendmail hands these to the domain that it relays to, if it decides itself. postern does not.
LEFT_TO_PARTNER = {"quoted_blank_relayed", "escaped_at_relayed", "group_bang_relayed", "group_percent_relayed"}

# For states in which each session takes long.
FEW_NAMES = "plain route percent percent_literal bang_local quoted two_ats percent_relayed".split()
FEW = {name: FORMS[name] for name in FEW_NAMES}


@dataclass(frozen=True)
class Attempt:
    form: str
    subject: str
    reply: smtp.Reply  # to the first command that was refused, or to the message


@pytest.fixture(scope="module", params=["milter", "mta"])
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def mta(mta_name, mode, servers):
    return servers(("open-" if mode == "milter" else "closed-") + mta_name)


def start(site, mode, **keywords):
    return site.daemon("", **relay.keys(site.mta, mode), **keywords)


# ---- trying


def attempt(site, form, text, sender, source):
    subject = unique("relayed")
    try:
        with site.connect(source) as client:
            reply = client.reply()
            for line in ("EHLO client.neutral.test", f"MAIL FROM:<{sender}>", f"RCPT TO:{text}"):
                if not reply.ok:
                    break
                reply = client.command(line)
            return Attempt(form, subject, client.data(smtp.message(subject)) if reply.ok else reply)
    except (smtp.Closed, ConnectionError, TimeoutError):
        return Attempt(form, subject, smtp.Reply(421, "closed", ""))


def try_all(site, forms=None, sender=SENDER, source=relay.FOREIGN, threads=8):
    """One session for each form, several at a time."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda item: attempt(site, *item, sender, source), (forms or FORMS).items()))


def drain(site):
    """Waits until the mail server has nothing left to deliver."""
    tools.wait_for(lambda: not site.mta.queued(), f"an empty queue\n{site.mta.log()[-3000:]}", timeout=30)
    time.sleep(SETTLE_SECONDS)


def got_out(site, attempts):
    """What reached the outside of these messages, bounces to their sender left out."""
    subjects = {one.subject: one for one in attempts}
    found = []
    for one in site.mta.outside.everything():
        words = set(re.findall(r"relayed-\d+", one.text)) & set(subjects)
        is_bounce = one.sender == "" and one.subject not in subjects
        if words and not (is_bounce and set(one.recipients) <= {SENDER, "x@partner.test"}):
            found.append((subjects[words.pop()].form, one.recipients))
    return found


def assert_nothing_got_out(site, attempts):
    drain(site)
    by_sendmail = isinstance(site.mta, relay.ClosedSendmail)
    assert [one for one in got_out(site, attempts) if not (by_sendmail and one[0] in LEFT_TO_PARTNER)] == []


def taken(attempts):
    return {one.form for one in attempts if one.reply.ok}


# ---- postern is there


@pytest.mark.parametrize("sender", [SENDER, "", "joe@local.example", "joe@mx.home.example", "x@partner.test"])
def test_nothing_gets_out(site, mode, sender):
    start(site, mode)
    attempts = try_all(site, sender=sender)
    assert_nothing_got_out(site, attempts)
    assert not taken(attempts) & CERTAIN
    assert "detail" in taken(attempts) and "orcpt" in taken(attempts), "what is for us is taken"


def test_every_name_of_ours_is_local_to_the_mail_server_too(site, mode):
    """What postern takes for its own must not be sent elsewhere by a server that relies on it."""
    start(site, mode)
    attempts = []
    for host in ["local.example", "LOCAL.example.", "mx.home.example", "mx", "localhost", "[127.0.0.1]"]:
        subject = unique("relayed")
        reply = site.send(subject, rcpts=[f"joe@{host}"], source=relay.FOREIGN)
        attempts.append(Attempt(host, subject, reply))
    assert_nothing_got_out(site, attempts)
    for one in attempts:
        if one.reply.ok:
            site.wait_delivered(one.subject)
    assert {"local.example", "mx.home.example"} <= taken(attempts)


def test_nothing_gets_out_by_a_name_that_only_the_mail_server_knows(site, mode):
    """There it is {rcpt_mailer} that proves recipients local, and it must not prove too much."""
    start(site, mode)
    forms = {name: form.replace("local.example", relay.UNLISTED) for name, form in FORMS.items()}
    attempts = try_all(site, forms=forms)
    assert_nothing_got_out(site, attempts)
    assert not taken(attempts) & CERTAIN
    assert "detail" in taken(attempts)


ELSEWHERE = ["x@outside.test", "x%outside.test", "outside.test!x"]
PIECES = ["x", "outside.test", *ELSEWHERE, "local.example", "mx", "[127.0.0.1]"]
MARKS = [*'@%!:,."\\ ()<>+;\t/=\xe4', "::", '\\"', "%40"]
HOSTS = ["local.example", "mx.home.example", "mx", "[127.0.0.1]", "localhost", relay.UNLISTED]


def random_form(rng):
    """Something that leads elsewhere in front of "@" and a name of ours; now and then quoted, or without brackets."""
    parts = [rng.choice(rng.choice([PIECES, MARKS])) for _ in range(rng.randint(1, 5))]
    parts.insert(rng.randint(0, len(parts)), rng.choice(ELSEWHERE))
    local = "".join(parts)
    local = f'"{local}"' if rng.random() < 0.3 else local
    address = f"{local}@{rng.choice(HOSTS)}"
    return address if rng.random() < 0.3 else f"<{address}>"


@pytest.mark.parametrize("seed", range(2))
def test_random_forms(site, mode, seed):
    if mode == "mta":
        pytest.skip("there the mail server refuses, and whether it is any good at that is not ours to prove")
    start(site, mode)
    rng = random.Random(seed)
    attempts = try_all(site, forms={form: form for form in (random_form(rng) for _ in range(250))})
    assert_nothing_got_out(site, attempts)
    assert any(one.reply.code == 550 for one in attempts)


# ---- the proof that all this can fail, and that who may relay does


def test_they_get_out_when_postern_lets_everybody_relay(site, mode):
    if mode == "mta":
        pytest.skip("the mail server refuses by itself there; the next test is the proof")
    start(site, mode, features=["promiscuous_relay"])
    attempts = try_all(site)
    drain(site)
    out = {form for form, _ in got_out(site, attempts)}
    assert CERTAIN <= out
    assert len(out) >= 25, sorted(out)


def test_they_get_out_for_a_client_that_may_relay(site, mode):
    start(site, mode)
    attempts = try_all(site, source=relay.RELAY_CLIENT)
    drain(site)
    out = {form for form, _ in got_out(site, attempts)}
    assert CERTAIN <= out
    assert len(out) >= 25, sorted(out)


def test_who_may_relay_relays(site, mode):
    daemon = start(site, mode)
    cases = [("x@outside.test", relay.RELAY_CLIENT), ("x@outside.test", "127.0.0.1"), ("x@partner.test", relay.FOREIGN)]
    if mode == "milter":
        daemon.write_access("Connect:127.61 RELAY\nConnect:neutral.test RELAY\nTo:friend.test RELAY\n")
        daemon.makemap()
        cases += [("x@outside.test", "127.61.0.1"), ("x@outside.test", NEUTRAL), ("x@sub.friend.test", relay.FOREIGN)]
        tools.wait_for(lambda: site.send(unique("seen"), rcpts=["x@friend.test"]).ok, "the new map", timeout=5)
    for rcpt, source in cases:
        subject = unique("legitimate")
        assert site.send(subject, rcpts=[rcpt], source=source).ok, (rcpt, source)
        assert [one.recipients for one in relay.wait_outside(site.mta, subject)] == [[rcpt]]
    subject = unique("for-us")
    assert site.send(subject, source=relay.FOREIGN).ok
    site.wait_delivered(subject)


# ---- postern is not there, or not well


def test_stopped(site, mode):
    """All mail waits, ours too, and is taken when postern is back."""
    daemon = start(site, mode)
    daemon.stop()
    attempts = try_all(site)
    assert taken(attempts) == set()
    subject = unique("waits")
    assert 400 <= site.connect_and_send(subject, relay.FOREIGN).code < 500
    daemon.start()
    assert_nothing_got_out(site, attempts)
    assert site.send(subject, source=relay.FOREIGN).ok
    site.wait_delivered(subject)


def test_restarting(site, mode):
    """Killed and started again all the while."""
    daemon = start(site, mode)
    done = threading.Event()

    def restart():
        while not done.wait(0.05):
            daemon.kill()
            daemon.start()

    restarter = threading.Thread(target=restart)
    restarter.start()
    try:
        attempts = try_all(site) + try_all(site, sender="")
    finally:
        done.set()
        restarter.join()
    assert any(400 <= one.reply.code < 500 for one in attempts), "some came while it was away"
    assert_nothing_got_out(site, attempts)
    assert site.send(unique("after"), source=relay.FOREIGN).ok


@pytest.mark.parametrize("spare", [0, 2, 6])
def test_out_of_file_descriptors(site, mode, spare):
    daemon = start(site, mode)
    in_use = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    limit_descriptors(daemon, in_use + spare)
    attempts = try_all(site, FEW, threads=len(FEW))
    limit_descriptors(daemon, 1024)
    assert_nothing_got_out(site, attempts)
    if spare == 0:
        assert taken(attempts) == set()
    if not daemon.alive():
        daemon.wait_end()
        daemon.start()
    wait_until_well(site)


def limit_descriptors(daemon, count):
    """Of the running daemon, by its own user: in a container not even root may otherwise."""
    tools.run(["prlimit", "--pid", daemon.process.pid, f"--nofile={count}:"], user=USER, group=GROUP)


def wait_until_well(site):
    subject = unique("well")
    tools.wait_for(lambda: site.connect_and_send(subject, relay.FOREIGN).ok, "postern to be well again", 30, pause=0.3)
    site.wait_delivered(subject)


@pytest.mark.parametrize("broken", ["missing", "empty", "garbage", "truncated", "unreadable"])
def test_map_cannot_be_read(site, mode, broken):
    daemon = site.daemon("To:partner.test RELAY\n", start=False, **relay.keys(site.mta, mode))
    whole = daemon.map.read_bytes()
    spoil(daemon.map, broken)
    site.start(daemon)
    attempts = try_all(site) if broken == "garbage" else try_all(site, FEW)
    attempts += try_all(site, FEW, sender="")
    assert_nothing_got_out(site, attempts)
    plain = next(one for one in attempts if one.form == "plain")
    assert plain.reply.code // 100 == 4
    replace(daemon.map, whole)
    daemon.hup()
    wait_until_well(site)


def spoil(path, how):
    if how == "missing":
        path.unlink()
    elif how == "unreadable":
        path.unlink()
        path.mkdir()
    else:
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "garbage": b"\xff\x00" * 5000, "truncated": whole[: len(whole) // 3]}[how])


def replace(path, content):
    if path.is_dir():
        path.rmdir()
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.rename(path)


@pytest.mark.parametrize("broken", ["missing", "garbage"])
def test_map_is_broken_while_postern_runs(site, mode, broken):
    """It goes on with the old map or answers 4xx; what it does not do is to forget who may relay."""
    daemon = site.daemon("To:friend.test RELAY\n", **relay.keys(site.mta, mode))
    if broken == "missing":
        daemon.map.unlink()
    else:
        replace(daemon.map, b"\xff\x00" * 5000)
    daemon.hup()
    daemon.wait_entry(event="reload")
    attempts = try_all(site, FEW)
    assert_nothing_got_out(site, attempts)
    assert not taken(attempts) & CERTAIN


def test_killed_within_a_session(site, mode):
    """The MTA has asked postern about the recipient of ours; the next one it cannot ask about."""
    daemon = start(site, mode)
    subject = unique("relayed")
    with site.client(relay.FOREIGN) as client:
        assert client.mail(SENDER).ok
        assert client.rcpt("joe@local.example").ok
        daemon.kill()
        try:
            assert not client.rcpt("x@outside.test").ok
            assert not client.data(smtp.message(subject)).ok
        except smtp.Closed:
            pass
    daemon.start()
    assert_nothing_got_out(site, [Attempt("plain", subject, smtp.Reply(421, "closed", ""))])
