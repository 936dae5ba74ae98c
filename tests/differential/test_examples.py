# SPDX-License-Identifier: GPL-3.0-or-later
"""Each row of examples.md, asked of Sendmail's rulesets and of postern, with and without the relay decision."""

from dataclasses import replace

import pytest

from difftest import examples, expect, known, runner
from difftest.oracle import denies_relaying
from difftest.postern import Postern, outcome_of
from difftest.reply import CONTINUE

EXAMPLES = examples.load()

# Rows whose Sendmail reply cannot be had here, with the reason.
ORACLE_CANNOT = {9: "the oracle always has the option skip (difference 2)"}

# What postern does on purpose in these rows: (refused by makemap,) or the reply at the row's stage.
POSTERN_REFUSES = {21, 41, 49, 50, 51, 53}
POSTERN_SAYS = {
    9: "continue",  # SKIP always works
    11: "reject 550 5.7.1 Access denied",  # IPv6 keys may be compressed
    19: "quarantine:odd",  # Connect: QUARANTINE holds
    39: "reject 550 5.7.1 No thanks",  # D.S.N kept
    138: "continue",  # [IPv6:...] is no bogus HELO
    141: "tempfail 450 4.7.1 busy error from check_compat. Try again later",  # Compat: is decided at RCPT
    142: "drop",
    144: "reject 550 5.7.1 Access denied",
}
POSTERN_SAYS_OF_RELAYING = {
    115: "reject 550 5.7.1 Relaying denied",  # To: QUARANTINE does not skip the relay decision
}


def ident(example):
    return f"{example.number}"


def judge(example, request):
    """The Sendmail to ask, and the batch: some rows need a DNS server."""
    if not example.batch.features.dns:
        return request.getfixturevalue("oracle"), example.batch
    server = request.getfixturevalue("dns_world").server.address
    return request.getfixturevalue("dns_oracle"), replace(example.batch, dns_server=server)


def same(want, have):
    return known.same_reply(want, have)


def sendmail_said(example, answer):
    """Sendmail's own answer at the stage of a row, without the known differences."""
    refused_connect = answer.connect if answer.connect.refused else None
    if example.stage == "connect":
        return answer.connect
    if example.stage == "mail":
        return refused_connect or answer.mail
    if example.stage == "compat":
        return answer.compat[0]
    rcpt = answer.recipients[0]
    stages = [answer.connect, answer.mail, rcpt]
    refusal = next((v for v in stages if v.refused), None)
    if example.stage == "rcpt":
        return refusal or rcpt
    assert example.stage == "disposition" and refusal is None
    if any(v.kind == "discard" for v in stages):
        return next(v for v in stages if v.kind == "discard")
    held = [v for v in stages[1:] if v.kind == "quarantine"]
    return held[-1] if held else CONTINUE


def postern_said(example, outcome):
    if example.stage == "connect" and example.batch.features.lists:
        return outcome.mail  # what a list says is waited for there
    if example.stage in ("connect", "mail"):
        return getattr(outcome, example.stage)
    if example.stage in ("rcpt", "compat"):
        return outcome.mail if outcome.mail.refused else outcome.recipients[0]
    if example.number in POSTERN_SAYS_OF_RELAYING and outcome.recipients[0].refused:
        return outcome.recipients[0]
    if outcome.disposition == "quarantine":
        return expect.Verdict("quarantine", hold=outcome.hold)
    return expect.Verdict("discard") if outcome.disposition == "discard" else CONTINUE


def as_sendmail(verdict):
    """A verdict in the words of the table: a syntax error is a refusal as any other."""
    return verdict if verdict.kind != "syntax" else expect.Verdict("reject", verdict.code, verdict.dsn, verdict.text)


def test_the_table_is_complete():
    assert [example.number for example in EXAMPLES] == list(range(1, 145))


@pytest.mark.parametrize("example", EXAMPLES, ids=ident)
def test_sendmail(example, request):
    if example.number in ORACLE_CANNOT:
        pytest.skip(ORACLE_CANNOT[example.number])
    oracle, batch = judge(example, request)
    answer = oracle.ask(batch)[0]
    said = as_sendmail(sendmail_said(example, answer))
    assert same(example.reply, said), f"{said.show()}, the table has {example.reply.show()}"


@pytest.mark.parametrize("control", ("milter", "mta"))
@pytest.mark.parametrize("example", EXAMPLES, ids=ident)
def test_postern(example, control, request, work):
    oracle, batch = judge(example, request)
    batch = replace(batch, relay_control=control)
    subject = Postern(batch, work)
    if example.number in POSTERN_REFUSES:
        assert subject.makemap(batch.access), "makemap takes what would be an accidental text"
        return
    runner.accepted_lines(subject, batch.access)
    have = outcome_of(subject.explain(batch.transactions[0]))
    said = postern_said(example, have)
    if example.number in POSTERN_SAYS:
        assert said.show() == POSTERN_SAYS[example.number]
    elif control == "milter" and example.number in POSTERN_SAYS_OF_RELAYING:
        assert said.show() == POSTERN_SAYS_OF_RELAYING[example.number]
    elif control == "mta" and denies_relaying(example.reply):
        # The MTA decides on relaying; postern says what is behind that.
        want = expect.expected(batch, batch.transactions[0], oracle.ask(batch)[0])
        assert not expect.differences(want, have)
    else:
        assert same(example.reply, said), f"{said.show()}, the table has {example.reply.show()}"
