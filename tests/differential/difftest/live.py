# SPDX-License-Identifier: GPL-3.0-or-later
"""The same transactions on the wire: a Sendmail with its own access_db, and one with postern before it.

Where postern decides on relaying, the first Sendmail has its own relay features, and the second is opened to everybody.

Three things are compared for each transaction: the first server with what the rulesets said in address test mode (is the
oracle right?), the second with what postern must say (does it say so through a real server?), and one with the other
wherever no known difference speaks against it.
"""

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import addresses, expect, features, generate, known, runner, world
from .live_servers import Daemon, HOSTS, LIVE_LINES, PosternDaemon, play_all
from .oracle import Oracle
from .postern import Postern
from .reply import CONTINUE
from .sendmail import Sendmail
from .world import FeatureSet

LIVE_BATCH = 20
SAME_CONNECTION = 0.4  # share of transactions that follow another one on its connection


@dataclass
class LiveResult:
    transactions: int = 0
    failures: list = field(default_factory=list)
    surprises: list = field(default_factory=list)
    same: int = 0  # transactions on which both servers said the same, no difference being known
    seconds: float = 0.0
    counts: Counter = field(default_factory=Counter)


def live_batch(seed, number, size, feature_set=None, control=None):
    """A batch whose clients can connect: from 127.0.0.0/8, without a login or certificate."""
    sets = features.all_sets()
    order = random.Random(f"{seed}/live").sample(range(len(sets)), len(sets))
    chosen = feature_set or sets[order[number % len(sets)]]
    chosen = FeatureSet(chosen.features, chosen.trust_auth, chosen.messages)
    control = control or generate.relay_control(number)
    rng = addresses.batch_rng(seed, f"live-{number}")
    parts = []
    while len(parts) < size:
        transaction, mail, rcpts = addresses.transaction(rng, relaying=control == "milter")
        if not (transaction.sender + "".join(transaction.recipients)).isascii():
            continue  # needs SMTPUTF8
        who, helo = rng.choice(HOSTS).client, transaction.helo
        if parts and rng.random() < SAME_CONNECTION:
            who, helo = parts[-1][0].client, parts[-1][0].helo
        parts.append((replace(transaction, client=who, helo=helo, auth_type="", auth_user="", verify=""), mail, rcpts))
    access = generate.access_file.access_file(rng, parts, chosen, relaying=control == "milter")
    return world.Batch(f"live-{number}", chosen, access, [p[0] for p in parts], names=rng.choice(world.WORLDS),
                       relay_control=control)


def literal_outcome(batch, answer):
    """What Sendmail itself does on the wire, no difference applied."""
    if answer.connect.refused:
        return expect.Outcome(answer.connect, answer.connect, [], answer.connect.kind)
    if answer.mail.refused:
        return expect.Outcome(answer.connect, answer.mail, [], answer.mail.kind)
    verdicts = [answer.connect, answer.mail, *answer.recipients]
    verdicts = [v if v.kind != "quarantine" or v is not answer.connect else CONTINUE for v in verdicts]
    refused = answer.recipients if all(v.refused for v in answer.recipients) else None
    kind, hold = expect.disposition(None, verdicts, refused)
    return expect.Outcome(answer.connect, answer.mail, answer.recipients, kind, hold)


def d0_closed_by_421(want):
    """Sendmail closes the connection when a filter answers 421; what comes after it is not seen."""
    codes = [verdict.code for verdict in want.recipients]
    if 421 not in codes:
        return want
    known.note(0)
    return replace(want, recipients=want.recipients[: codes.index(421) + 1], disposition="refused")


def d9_garbled(want, have):
    """The text of a connect error went through printf: compare the codes only."""
    if "%" not in want.mail.text or not want.connect.refused:
        return False
    if (want.mail.code, want.mail.dsn) != (have.mail.code, have.mail.dsn):
        return False
    known.note(9)
    return True


def d7_not_dropped(transaction, want, have):
    """Recipients that Compat: DISCARD drops, and that stand in the queue all the same."""
    return [f"Sendmail with postern: {rcpt} should be dropped and is in the queue"
            for rcpt, verdict in zip(transaction.recipients, want.recipients)
            if verdict.kind == "drop" and rcpt in have.queued and transaction.recipients.count(rcpt) == 1]


def _wire_differences(who, want, have):
    """Disagreements between an expectation and what a server said."""
    found = []

    def check(stage, wanted, got):
        same = known.same_reply(replace(wanted, kind="reject"), replace(got, kind="reject")) if wanted.refused and got.refused \
            else wanted.refused == got.refused
        if not same:
            found.append(f"{who}, {stage}: expected {wanted.show()!r}, the wire has {got.show()!r}")

    check("mail", want.mail, have.mail)
    if found or want.mail.refused:
        return found
    for i, verdict in enumerate(want.recipients):
        got = have.recipients[i] if i < len(have.recipients) else CONTINUE
        if verdict.kind == "syntax" and got.refused:
            continue
        check(f"rcpt {i}", verdict, got)
    if found or want.disposition == "refused" or all(verdict.refused for verdict in want.recipients):
        return found
    if want.disposition != have.disposition:
        found.append(f"{who}: the message should end as {want.disposition!r}, ended as {have.disposition!r}")
    elif want.disposition == "quarantine" and not known.d1_same_text(want.hold, have.hold):
        found.append(f"{who}: should be held by {want.hold!r}, is held by {have.hold!r}")
    return found


def _complete(want, answer):
    """An expectation for postern, completed by what its MTA refuses before it asks."""
    if want is not None:
        return want
    return expect.Outcome(CONTINUE, answer.mail, [], "syntax")


def run_batch(batch, sendmail, oracle, work, result):
    subject = Postern(batch, work)
    lines = runner.accepted_lines(subject, batch.access)
    asked = runner.batch_for_sendmail(batch)
    literal = oracle.ask(replace(asked, transactions=batch.transactions), runner.lines_for_sendmail(batch, lines), literal=True)
    answers = oracle.ask(asked, runner.lines_for_sendmail(batch, lines))
    with Daemon(sendmail, work, asked, runner.lines_for_sendmail(batch, lines)) as own, \
            PosternDaemon(batch, subject, work) as filtering, \
            Daemon(sendmail, work, asked, None, filtering.socket) as behind:
        answers_own, answers_behind = play_all(own, batch.transactions), play_all(behind, batch.transactions)
        for index, transaction in enumerate(batch.transactions):
            want_own = literal_outcome(batch, literal[index])
            want = d0_closed_by_421(_complete(expect.expected(batch, transaction, answers[index]), answers[index]))
            have_own, have = answers_own[index], answers_behind[index]
            garbled = d9_garbled(want_own, have_own)
            found = [] if garbled else _wire_differences("Sendmail alone", want_own, have_own)
            found += _wire_differences("Sendmail with postern", want, have)
            found += d7_not_dropped(transaction, want, have)
            if want_own == want and not found and not garbled:
                found += _wire_differences("both servers", have_own, have)
                result.same += not found
            result.transactions += 1
            result.counts[have.disposition] += 1
            if found:
                result.failures.append((batch, transaction, lines, found, have_own, have, filtering.log()))


def run(seed, count, work, feature_set=None, stop_after=10, control=None):
    sendmail = Sendmail(work, extra=LIVE_LINES)
    oracle = Oracle(sendmail, work, check_plain=False)
    result, begin, number = LiveResult(), time.monotonic(), 0
    while count > 0 and len(result.failures) < stop_after:
        size = min(LIVE_BATCH, count)
        try:
            run_batch(live_batch(seed, number, size, feature_set, control), sendmail, oracle, work, result)
        except runner.Surprise as error:
            result.surprises.append(f"batch live-{number}: {error}")
        count -= size
        number += 1
    result.seconds = time.monotonic() - begin
    return result


def show(failure):
    batch, transaction, lines, found, own, behind, log = failure
    print("\n--- ON THE WIRE " + "-" * 60)
    for text in found:
        print(f"  {text}")
    print(f"  batch {batch.number} relay_control: {batch.relay_control} {batch.names} features: {batch.features.line()}\n  access file:")
    for line in lines:
        print(f"    {line}")
    print(f"  transaction: {transaction.line()}\n  Sendmail alone:\n{own.show()}\n  Sendmail with postern:\n{behind.show()}")
    print("  postern's log:")
    for line in log.splitlines()[-6:]:
        print(f"    {line}")


def main(seed, count, options):
    if sys.platform != "linux":
        print("differ: --live needs Linux")
        return 2
    chosen = None
    if options.features is not None:
        chosen = features.parse("" if options.features == "none" else options.features)
    work = Path(options.keep or tempfile.mkdtemp(prefix="postern-live-", dir="/run"))
    work.mkdir(parents=True, exist_ok=True)
    work.chmod(0o755)
    try:
        result = run(seed, count, work, chosen, control=options.relay_control)
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    print(f"seed {seed}: {result.transactions} transactions on the wire in {result.seconds:.1f} s; of {result.same} both servers "
          f"said the same; messages: " + ", ".join(f"{k} {n}" for k, n in sorted(result.counts.items())))
    print("known differences of DESIGN that were met:")
    print("\n".join(known.report()) or "  none")
    for failure in result.failures:
        show(failure)
    for text in result.surprises:
        print(f"\n--- SURPRISE in {text}")
    failed = bool(result.failures or result.surprises)
    print(f"\n{len(result.failures)} differences on the wire, {len(result.surprises)} surprises" + (": FAILED" if failed else ": PASSED"))
    return 1 if failed else 0
