# SPDX-License-Identifier: GPL-3.0-or-later
"""header_checks: what each action does to a real message, told by what is delivered, held or answered."""

import concurrent.futures
import json

import pytest

from harness import mail, tools
from harness.site import shared_daemon, unique

CHECKS = """\
# Postfix's own actions
/^X-Test: reject$/                REJECT not wanted here
/^X-Test: bare reject$/           REJECT
/^X-Test: own code$/              REJECT 5.7.9 not by us
/^X-Test: later$/                 REJECT 4.7.1 come back
/^X-Test: percent$/               REJECT 100% of it, %s and $$5
/^X-Test: named (.*)$/            REJECT "$1" is not wanted
/^X-Test: discard$/               DISCARD gone
/^X-Test: hold$/                  HOLD smells odd
/^X-Test: ignore$/                IGNORE
/^X-Test: strip$/                 STRIP not for users
/^X-Test: prepend (.*)$/          PREPEND X-New: $1
/^X-Test: tight (.*)$/            PREPEND X-New:$1
/^X-Test: replace (.*)$/          REPLACE X-Test: new $1
/^X-Test: rename (.*)$/           REPLACE X-Other: $1
/^X-Test: recase$/                REPLACE x-tEST: small
/^X-Test: empty$/                 REPLACE X-Test:
/^X-Test: redirect$/              REDIRECT jane@local.example
/^X-Test: redirect to joe$/       REDIRECT joe@local.example
/^X-Test: bcc$/                   BCC archive@local.example
/^X-Test: bcc joe$/               BCC joe@local.example
/^X-Test: info$/                  INFO has been seen
/^X-Test: warn$/                  WARN look at "this"
/^X-Test: pass$/                  PASS and no more
/^X-Test: dunno$/                 DUNNO
/^X-Test: ok$/                    OK
# Sendmail's
/^X-Test: 553$/                   553 Header Error
/^X-Test: 451$/                   451 4.3.0 Come back later
/^X-Test: error$/                 ERROR:5.6.0:"554 No such header here"
/^X-Test: error later$/           ERROR:4.6.0:"450 Later"
/^X-Test: quarantine$/            QUARANTINE:looks odd
/^X-Test: folded\\n\\tagain$/       REJECT over two lines
"""

postern = shared_daemon(header_checks=CHECKS)


def send(site, text, rcpts=("joe@local.example",), source="127.0.0.2"):
    with site.client(source) as client:
        assert client.mail("s@neutral.test").ok
        for rcpt in rcpts:
            assert client.rcpt(rcpt).ok
        return client.data(text)


def delivered(site, subject, rcpts=("joe",)):
    """The fields of the delivered message, once all these have it."""
    site.wait_delivered(subject, rcpts)
    return mail.fields(site.mta.sink.with_subject(subject)[0].text)


def sent(subject, *fields):
    """The fields that send() with mail.message() has."""
    return [*mail.USUAL, *fields, f"Subject: {subject}"]


# ---- refusals

REFUSALS = {
    "reject": "550 5.7.1 not wanted here",
    "bare reject": "550 5.7.1 message content rejected",
    "own code": "550 5.7.9 not by us",
    "later": "451 4.7.1 come back",
    "percent": "550 5.7.1 100% of it, %s and $5",
    "named a.b<c>": '550 5.7.1 "a.b<c>" is not wanted',
    "folded\n\tagain": "550 5.7.1 over two lines",
    "451": "451 4.3.0 Come back later",
    "error": "554 5.6.0 No such header here",
    "error later": "450 4.6.0 Later",
}


@pytest.mark.parametrize("value", REFUSALS)
def test_refusal_is_the_reply_to_the_message(site, postern, value):
    subject = unique("refused")
    assert str(send(site, mail.message(subject, f"X-Test: {value}"))) == REFUSALS[value]
    site.assert_gone(subject)
    entry = postern.entries(stage="eom")[-2]  # behind it: the marker of assert_gone()
    assert entry["action"] == ("tempfail" if REFUSALS[value].startswith("4") else "reject")
    assert entry["reply"] == REFUSALS[value]
    assert entry["rule"].startswith(f"{postern.folder}/header_checks:")


@pytest.mark.usefixtures("postern")
def test_reply_code_of_sendmails_header_rules(site):
    """The guide's 553 Header Error."""
    reply = send(site, mail.message(unique("refused"), "X-Test: 553"))
    assert (reply.code, reply.text) == (553, "Header Error")


@pytest.mark.usefixtures("postern")
def test_refused_message_leaves_the_session_alone(site):
    subject = unique("next")
    with site.client() as client:
        for value in ("reject", "later", "nothing"):
            assert client.mail("s@neutral.test").ok
            assert client.rcpt("joe@local.example").ok
            reply = client.data(mail.message(subject, f"X-Test: {value}"))
            assert reply.code == {"reject": 550, "later": 451, "nothing": 250}[value]
        client.quit()
    assert delivered(site, subject) == sent(subject, "X-Test: nothing")


@pytest.mark.usefixtures("postern")
def test_first_refusal_counts(site):
    reply = send(site, mail.message(unique("two"), "X-Test: own code", "X-Test: reject", "X-Test: later"))
    assert str(reply) == REFUSALS["own code"]


# ---- discarded, held


def test_discard(site, postern):
    subject = unique("discard")
    assert send(site, mail.message(subject, "X-Test: discard")).code == 250
    site.assert_gone(subject)
    assert postern.wait_entry(action="discard")["key"] == "/^X-Test: discard$/"


HOLDS = {"hold": "smells odd", "quarantine": "looks odd"}


@pytest.mark.parametrize("value", HOLDS)
def test_held_message_can_be_released_with_its_edits(site, postern, value):
    subject = unique("held")
    text = mail.message(subject, "X-Test: prepend 1", f"X-Test: {value}", "X-Test: ignore")
    assert send(site, text).code == 250
    held = site.assert_held(subject)
    if site.mta.name == "sendmail":  # Postfix 3.7 keeps no reason
        assert held.reason == HOLDS[value]
    assert postern.wait_entry(action="quarantine", hold=HOLDS[value])
    site.mta.release(held.queue_id)
    assert delivered(site, subject) == sent(subject, "X-New: 1", "X-Test: prepend 1", f"X-Test: {value}")


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("last", ["reject", "discard"])
def test_hold_goes_on(site, last):
    subject = unique("held")
    reply = send(site, mail.message(subject, "X-Test: hold", f"X-Test: {last}"))
    assert reply.code == (550 if last == "reject" else 250)
    site.assert_gone(subject)
    assert site.mta.held_with_subject(subject) == []


# ---- changes

CHANGES = {
    "ignore": [],
    "strip": [],
    "prepend one two": ["X-New: one two", "X-Test: prepend one two"],
    "tight x": ["X-New:x", "X-Test: tight x"],
    "replace it": ["X-Test: new it"],
    "rename it": ["X-Other: it"],
    "recase": ["x-tEST: small"],
    "replace a\n b\n\tc": ["X-Test: new a\n b\n\tc"],
    "prepend caf\xc3\xa9 \xff": ["X-New: caf\xc3\xa9 \xff", "X-Test: prepend caf\xc3\xa9 \xff"],
    "dunno": ["X-Test: dunno"],
    "ok": ["X-Test: ok"],
    "info": ["X-Test: info"],
    "warn": ["X-Test: warn"],
    "none of them": ["X-Test: none of them"],
}


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("value", CHANGES)
def test_field_becomes(site, value):
    subject = unique("changed")
    assert send(site, mail.message(subject, "X-Before: 1", f"X-Test: {value}", "X-After: 2")).code == 250
    assert delivered(site, subject) == sent(subject, "X-Before: 1", *CHANGES[value], "X-After: 2")


@pytest.mark.usefixtures("postern")
def test_replaced_by_nothing_stays_as_a_name(site):
    """No value at all would mean to both servers: take it out. So there is a blank."""
    subject = unique("changed")
    assert send(site, mail.message(subject, "X-Test: empty")).code == 250
    assert delivered(site, subject) == sent(subject, "X-Test: ")


@pytest.mark.usefixtures("postern")
def test_first_and_last_field(site):
    subject = unique("ends")
    text = "\n".join(["X-Test: prepend first", *mail.USUAL, f"Subject: {subject}", "X-Test: replace last", "", "Body."])
    assert send(site, text).code == 250
    wanted = ["X-New: first", "X-Test: prepend first", *mail.USUAL, f"Subject: {subject}", "X-Test: new last"]
    assert delivered(site, subject) == wanted
    # Both servers go on to say first what they have done.
    names = mail.trace(site.mta.sink.with_subject(subject)[0].text)
    assert names[: len(names) - len(wanted)] in (["Received"], ["Return-Path", "Received"])


@pytest.mark.usefixtures("postern")
def test_many_changes_keep_their_places(site):
    """Each of the same name, so that a server which counts anew after a deletion would hit the wrong one."""
    subject = unique("many")
    values = ["ignore", "replace 1", "prepend 2", "strip", "ignore", "stays", "rename 3", "prepend 4", "ignore", "recase",
              "replace 5", "strip", "prepend 6", "rename 7", "stays too", "ignore"]  # fmt: skip
    wanted = []
    for value in values:
        wanted += CHANGES.get(value, [])
        if value.startswith("replace"):
            wanted.append(f"X-Test: new {value[8:]}")
        elif value.startswith("rename"):
            wanted.append(f"X-Other: {value[7:]}")
        elif value.startswith("prepend"):
            wanted += [f"X-New: {value[8:]}", f"X-Test: {value}"]
        elif value.startswith("stays"):
            wanted.append(f"X-Test: {value}")
    assert send(site, mail.message(subject, *[f"X-Test: {value}" for value in values])).code == 250
    assert delivered(site, subject) == sent(subject, *wanted)


@pytest.mark.usefixtures("postern")
def test_hundreds_of_changes(site):
    subject = unique("hundreds")
    values = [("ignore", "prepend {}", "replace {}", "stays {}", "rename {}")[i % 5].format(i) for i in range(400)]
    wanted = []
    for i, value in enumerate(values):
        wanted += [
            [],
            [f"X-New: {i}", f"X-Test: {value}"],
            [f"X-Test: new {i}"],
            [f"X-Test: {value}"],
            [f"X-Other: {i}"],
        ][i % 5]
    assert send(site, mail.message(subject, *[f"X-Test: {value}" for value in values])).code == 250
    assert delivered(site, subject) == sent(subject, *wanted)


def test_many_messages_at_once(site, postern):
    """Each is changed by its own header, whatever the others hold; and a reload comes between."""

    def one(number):
        subject = unique("at-once")
        text = mail.message(subject, f"X-Test: prepend {number}", "X-Test: ignore", f"X-Test: replace {number}")
        assert send(site, text).code == 250
        if number == 50:
            postern.hup()
        return subject, sent(subject, f"X-New: {number}", f"X-Test: prepend {number}", f"X-Test: new {number}")

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = list(pool.map(one, range(100)))
    for subject, wanted in results:
        assert delivered(site, subject) == wanted


# ---- limits


def test_more_changes_than_a_message_may_have(site, postern):
    subject = unique("thousands")
    before = len(postern.entries(action="delete"))
    reply = send(site, mail.message(subject, *["X-Test: ignore"] * 1500))
    assert str(reply) == "552 5.3.4 Too many header fields would have to be changed"
    site.assert_gone(subject)
    assert len(postern.entries(action="delete")) == before


# ---- recipients


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("value,wanted", [("redirect", ["jane"]), ("redirect to joe", ["joe"])])
def test_redirect(site, value, wanted):
    subject = unique("redirect")
    text = mail.message(subject, f"X-Test: {value}")
    assert send(site, text, ["joe@local.example", "jim@local.example"]).code == 250
    site.wait_delivered(subject, wanted)
    site.assert_delivered_no_further(subject, wanted)


@pytest.mark.usefixtures("postern")
def test_redirect_ends_the_checks_and_keeps_what_was_changed(site):
    subject = unique("redirect")
    text = mail.message(subject, "X-Test: prepend a", "X-Test: redirect", "X-Test: reject", "X-Test: ignore")
    assert send(site, text).code == 250
    assert delivered(site, subject, ["jane"]) == sent(
        subject, "X-New: a", "X-Test: prepend a", "X-Test: redirect", "X-Test: reject", "X-Test: ignore"
    )


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize(
    "values,wanted",
    [
        (["bcc"], ["archive", "jim", "joe"]),
        (["bcc", "bcc"], ["archive", "jim", "joe"]),
        (["bcc joe"], ["jim", "joe"]),
        (["bcc", "redirect"], ["jane"]),
    ],
)
def test_bcc(site, values, wanted):
    subject = unique("bcc")
    text = mail.message(subject, *[f"X-Test: {value}" for value in values])
    assert send(site, text, ["joe@local.example", "jim@local.example"]).code == 250
    site.wait_delivered(subject, wanted)
    site.assert_delivered_no_further(subject, wanted)


@pytest.mark.usefixtures("postern")
def test_recipients_of_the_next_message_are_its_own(site):
    first, second = unique("first"), unique("second")
    with site.client() as client:
        for subject, value, rcpt in ((first, "redirect", "joe"), (second, "bcc", "jim")):
            assert client.mail("s@neutral.test").ok
            assert client.rcpt(f"{rcpt}@local.example").ok
            assert client.data(mail.message(subject, f"X-Test: {value}")).code == 250
        client.quit()
    site.wait_delivered(first, ["jane"])
    site.wait_delivered(second, ["archive", "jim"])


# ---- what goes on, what ends, what is logged


@pytest.mark.usefixtures("postern")
def test_pass_ends_the_checks(site):
    subject = unique("pass")
    text = mail.message(subject, "X-Test: ignore", "X-Test: pass", "X-Test: reject")
    assert send(site, text).code == 250
    assert delivered(site, subject) == sent(subject, "X-Test: pass", "X-Test: reject")


LOGGED = {
    "info": {"action": "info", "text": "has been seen", "key": "/^X-Test: info$/"},
    "warn": {"action": "warn", "text": 'look at "this"', "key": "/^X-Test: warn$/"},
    "pass": {"action": "info", "text": "PASS and no more"},
    "ignore": {"action": "delete", "header": "X-Test: ignore"},
    "strip": {"action": "delete", "text": "not for users"},
    "prepend x": {"action": "prepend", "new_name": "X-New", "new_value": " x"},
    "replace x": {"action": "replace", "new_name": "X-Test", "new_value": " new x"},
    "redirect": {"action": "redirect", "text": "jane@local.example"},
    "bcc": {"action": "add recipient", "text": "archive@local.example"},
}


@pytest.mark.parametrize("value", LOGGED)
def test_log(site, postern, value):
    subject = unique("log")
    before = len(postern.entries())
    assert send(site, mail.message(subject, f"X-Test: {value}")).code == 250
    postern.wait_entry(stage="eom", action="accept")
    tools.wait_for(lambda: len(postern.entries()) >= before + 2, "the lines of the log")
    change, end = postern.entries()[before : before + 2]
    assert {key: change[key] for key in LOGGED[value]} == LOGGED[value]
    line = 1 + [f"X-Test: {value.split()[0]}" in line for line in CHECKS.splitlines()].index(True)
    assert change["rule"] == f"{postern.folder}/header_checks:{line}"
    assert change["queue"] == end["queue"] and change["session"] == end["session"]
    assert (end["stage"], end["action"]) == ("eom", "accept")


def test_refused_message_is_logged_without_what_was_not_done(site, postern):
    before = len(postern.entries())
    send(site, mail.message(unique("log"), "X-Test: ignore", "X-Test: info", "X-Test: reject"))
    tools.wait_for(lambda: len(postern.entries()) >= before + 2, "the lines of the log")
    assert [entry["action"] for entry in postern.entries()[before:]] == ["info", "reject"]


def test_counted(site, postern):
    def counters():
        return json.loads(postern.control("stats", "--json").stdout)["counters"]

    before = counters()
    assert send(site, mail.message(unique("count"), "X-Test: ignore", "X-Test: bcc", "X-Test: warn")).code == 250
    assert send(site, mail.message(unique("count"), "X-Test: reject")).code == 550
    after = counters()
    grown = {key: after[key] - before[key] for key in after if isinstance(after[key], int) and after[key] != before[key]}
    assert {"headers_deleted": 1, "recipients_added": 1, "rules_logged_warn": 1}.items() <= grown.items()
    assert after["verdicts"]["eom"]["reject"] == before["verdicts"]["eom"]["reject"] + 1


# ---- reload


def reload(daemon, text):
    daemon.write_patterns("header_checks", text)
    return daemon.control("reload", check=False)


def test_reload_takes_new_rules_and_keeps_the_old_ones_if_a_line_is_wrong(site):
    daemon = site.daemon(header_checks="/^X-Test: a$/ REJECT first\n")
    assert str(send(site, mail.message(unique("reload"), "X-Test: a"))) == "550 5.7.1 first"
    assert reload(daemon, "/^X-Test: a$/ REJECT second\n").returncode == 0
    assert str(send(site, mail.message(unique("reload"), "X-Test: a"))) == "550 5.7.1 second"
    refused = reload(daemon, "# one\n/^X-Test: a$/ REJECT third\n/(/ REJECT\n")
    assert refused.returncode != 0 and f"{daemon.folder}/header_checks:3:" in refused.stdout + refused.stderr
    assert str(send(site, mail.message(unique("reload"), "X-Test: a"))) == "550 5.7.1 second"


def test_message_keeps_the_rules_that_its_session_began_with(site):
    daemon = site.daemon(header_checks="/^X-Test: (.*)$/ PREPEND X-Old: $1\n")
    subject = unique("reload")
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        assert reload(daemon, "/^X-Test: (.*)$/ REJECT new\n").returncode == 0
        assert client.data(mail.message(subject, "X-Test: a")).code == 250
    assert delivered(site, subject) == sent(subject, "X-Old: a", "X-Test: a")
    assert str(send(site, mail.message(unique("reload"), "X-Test: a"))) == "550 5.7.1 new"


def test_session_that_began_without_header_rules(site):
    """Nothing was negotiated for it: its messages pass; new sessions are judged."""
    daemon = site.daemon(header_checks="# nothing\n")
    subject = unique("reload")
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert reload(daemon, "/^X-Test: a$/ REJECT new\n").returncode == 0
        assert client.rcpt("joe@local.example").ok
        assert client.data(mail.message(subject, "X-Test: a")).code == 250
        assert client.mail("s@neutral.test").ok
    site.wait_delivered(subject)
    assert str(send(site, mail.message(unique("reload"), "X-Test: a"))) == "550 5.7.1 new"
