# SPDX-License-Identifier: GPL-3.0-or-later
"""From Sendmail's single answers to what postern must say at each stage, and the comparison."""

from dataclasses import dataclass, field

from . import known
from .reply import CONTINUE, Verdict


@dataclass
class Outcome:
    """A whole transaction, as Sendmail should have it or as postern has it."""

    connect: Verdict
    mail: Verdict
    recipients: list  # one verdict each; empty if MAIL was refused
    disposition: str  # accept, reject, tempfail, discard, quarantine
    hold: str = ""
    queued: list = field(default_factory=list, compare=False)  # recipients in the queue of a live server

    def show(self):
        lines = [f"connect  {self.connect.show()}", f"mail     {self.mail.show()}"]
        lines += [f"rcpt {i}   {verdict.show()}" for i, verdict in enumerate(self.recipients)]
        lines.append("message  " + self.disposition + (f":{self.hold}" if self.hold else ""))
        return "\n".join("    " + line for line in lines)


def disposition(held, verdicts, refusals, all_dropped=False):
    """What becomes of the message: `verdicts` in the order in which they were given."""
    if refusals is not None:
        kinds = {r.kind for r in refusals}
        return (kinds.pop() if len(kinds) == 1 else "refused"), ""
    if all_dropped or any(v.kind == "discard" for v in verdicts):
        return "discard", ""
    for verdict in verdicts:
        held = verdict.hold if verdict.kind == "quarantine" else held
    return ("quarantine", held) if held is not None else ("accept", "")


def expected(batch, transaction, answer):
    """What postern must do, or None if Sendmail's parser refuses the sender before any filter is asked."""
    if answer.mail.kind == "syntax":
        return None
    features = batch.features

    def adapt(verdict):
        return known.d16_null_mx(transaction, known.d13_mark_of_unreadable_map(batch, known.d3_given_dsn(verdict)))

    connect, mail = adapt(answer.connect), adapt(answer.mail)
    mail = known.d6_helo_refusal_at_mail(features, transaction, answer.helo, mail)
    mail = known.d0_connect_refusal_at_mail(connect, mail)
    if mail.refused:
        return Outcome(connect, mail, [], mail.kind)
    recipients, kept = [], [connect, mail]
    for i, verdict in enumerate(answer.recipients):
        verdict = known.d12_unreadable_map(batch, transaction, adapt(verdict))
        verdict = known.d5_quarantine_is_no_relay(answer.bare[i], verdict)
        verdict = known.d14_hidden_host(batch, i, answer, verdict)
        verdict = known.d18_mx_before_name(batch, transaction.recipients[i], verdict)
        if not verdict.refused:
            kept.append(verdict)
            compat = known.d7_compat_at_rcpt(batch, transaction, answer.compat[i] if answer.compat else CONTINUE)
            verdict = verdict if compat.kind == "continue" else compat
        recipients.append(verdict)
    asked = [v for v in recipients if v.kind != "syntax"]
    held = known.d4_connect_quarantine(features, connect)
    refused = asked if asked and all(v.refused for v in asked) else None
    dropped = [v.kind == "drop" for v in asked if not v.refused]
    kind, hold = disposition(held, kept, refused, bool(dropped) and all(dropped))
    return Outcome(connect, mail, recipients, kind, hold)


def _compare(stage, want, have):
    if known.same_reply(want, have):
        return []
    return [f"{stage}: Sendmail says {want.show()!r}, postern {have.show()!r}"]


def differences(want, have):
    """Each stage on which they do not agree, as a line of text. `have` has no entry for unparsable recipients."""
    found = _compare("connect", want.connect, have.connect) + _compare("mail", want.mail, have.mail)
    if want.mail.refused or have.mail.refused:
        return found
    for i, verdict in enumerate(want.recipients):
        if verdict.kind == "syntax":
            continue
        answer = have.recipients[i] if i < len(have.recipients) else CONTINUE
        found += _compare(f"rcpt {i}", verdict, answer)
    if all(v.kind == "syntax" for v in want.recipients):
        return found
    # Refusals of different kinds, or of Sendmail's parser, may be called by the name of either.
    vague = want.disposition == "refused" or any(v.kind == "syntax" for v in want.recipients)
    refused = ("reject", "tempfail")
    same = want.disposition == have.disposition or (
        vague and want.disposition in ("refused", *refused) and have.disposition in refused)
    if not same:
        found.append(f"message: Sendmail says {want.disposition!r}, postern {have.disposition!r}")
    elif want.disposition == "quarantine" and not known.d1_same_text(want.hold, have.hold):
        found.append(f"message: Sendmail holds it by {want.hold!r}, postern by {have.hold!r}")
    return found
