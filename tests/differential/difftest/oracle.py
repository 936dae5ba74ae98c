# SPDX-License-Identifier: GPL-3.0-or-later
"""What Sendmail's own rulesets say to a transaction.

Two configurations are asked, made from the same features:

plain   the features as they are.
open    with FEATURE(promiscuous_relay) added. It leaves out everything of check_rcpt that asks whether mail may be
        relayed, and nothing else that refuses: so its answer is what the access map, the blocklist and the checks of
        sender, client and HELO say, and with delay_checks these go on where plain would have said "Relaying denied".

The one thing of the part left out that matters without relaying is a trusted login, which ends all later checks: for
such a login plain is asked, where it cannot answer "Relaying denied" for the same reason. Whenever plain does not refuse to
relay it must agree with open; `Oracle.inconsistent` collects where it does not.
"""

import re
from dataclasses import dataclass

from . import reply
from .reply import CONTINUE, Verdict

RE_RETURNS = "^{} +returns: (.*)$"
RELAY_TEXTS = ("Relaying denied", "Relaying temporarily denied", "Can not check MX records")
GOOD_HELO = "good.name.test"
NEUTRAL_RECIPIENT = "<nobody-asks-for-this@never.asked.invalid>"


@dataclass
class Answer:
    """Sendmail's answers, one per stage, before they are combined."""

    connect: Verdict
    helo: Verdict  # of block_bad_helo, asked for a recipient that nothing else objects to
    mail: Verdict
    recipients: list
    sender_macro: str
    relay: list  # what plain says to each recipient; for the comparison of relaying
    raw: dict


def last_return(output, ruleset):
    lines = re.findall(RE_RETURNS.format(re.escape(ruleset)), output, re.M)
    return reply.split_tokens(lines[-1]) if lines else None


def syntax_error(output):
    """Sendmail's parser runs before any ruleset: what it refuses, /parse cannot parse either."""
    tokens = last_return(output, "parse")
    if tokens and tokens[:2] == ["$#", "error"]:
        return reply.as_syntax(reply.from_tokens(tokens))
    if "Cannot parse" in output:
        return Verdict("syntax", 553, "5.0.0", "cannot parse")
    return None


def denies_relaying(verdict):
    return verdict.refused and verdict.text.startswith(RELAY_TEXTS)


def trusted_login(features, transaction):
    mechanism = transaction.auth_type.lower()
    return bool(mechanism) and mechanism in (m.lower() for m in features.trust_auth)


def shell(text):
    """`$` is special in address test mode."""
    return text.replace("$", "$$")


def preamble(transaction):
    client = transaction.client
    macros = {
        "{client_addr}": client.addr,
        "{client_name}": client.name,
        "{client_resolve}": client.resolve,
        "{client_ptr}": client.ptr,
        "{auth_type}": transaction.auth_type,
        "{auth_authen}": transaction.auth_user,
        "s": transaction.helo or client.name,
    }
    return "\n".join(f".D{name}{shell(value)}" for name, value in macros.items())


def commands(number, transaction, delayed, good_helo=False):
    """The (mark, command) pairs of one transaction, in the order in which the daemon calls the rulesets.

    With good_helo nothing is said about HELO except by the last command, which asks for that alone.
    """
    client, sender = transaction.client, shell(transaction.sender)
    out = [(f"{number}.set", preamble(transaction))]
    if good_helo:
        out.append((f"{number}.set", f".Ds{GOOD_HELO}"))
    if not delayed:
        out.append((f"{number}.connect", f"Translate,check_relay {client.name} $| {client.addr}"))
    out += [
        (f"{number}.parse", f"/tryflags es\n/parse {sender}"),
        (f"{number}.sender", f"/sender {sender}"),
        (f"{number}.f", "$f"),
    ]
    if not delayed:
        out.append((f"{number}.mail", f"check_mail {sender}"))
    for i, rcpt in enumerate(transaction.recipients):
        out.append((f"{number}.parse{i}", f"/tryflags er\n/parse {shell(rcpt)}"))
        out.append((f"{number}.rcpt{i}", f"check_rcpt {shell(rcpt)}"))
    out.append((f"{number}.helo", f".Ds{shell(transaction.helo or client.name)}\ncheck_rcpt {NEUTRAL_RECIPIENT}"))
    return out


class Oracle:
    def __init__(self, sendmail, work, check_plain=True):
        self.sendmail = sendmail
        self.work = work
        self.check_plain = check_plain
        self.inconsistent = []

    def ask(self, batch, access=None, literal=False):
        """The answers to all transactions of a batch; `access` replaces the batch's access file.

        Without delay_checks Sendmail judges HELO in check_rcpt or not at all. Only with `literal` do the answers for
        recipients contain that.
        """
        lines = batch.access if access is None else access
        folder = self.work / f"oracle-{batch.number}"
        folder.mkdir(parents=True, exist_ok=True)
        delayed = batch.features.delayed
        trusted = [trusted_login(batch.features, t) for t in batch.transactions]
        script = []
        for number, transaction in enumerate(batch.transactions):
            script += commands(number, transaction, delayed, not literal and not delayed)
        outputs = {}
        for name in ("open", "plain"):
            if name == "plain" and not (self.check_plain or any(trusted)):
                continue
            outputs[name] = self._run(folder, name, batch, lines, script)
        answers = []
        for number, transaction in enumerate(batch.transactions):
            answers.append(self._answer(number, batch, transaction, outputs, trusted[number]))
        return answers

    def _run(self, folder, name, batch, lines, script):
        cf = folder / f"{name}.cf"
        cf.write_text(self.sendmail.cf_text(batch.features, batch.names, name == "open", folder / "access"))
        self.sendmail.makemap(cf, lines, folder / "access", batch.map_missing)
        return self.sendmail.address_test(cf, script)

    @staticmethod
    def _verdict(output, ruleset):
        tokens = last_return(output, ruleset)
        if tokens is None:
            raise ValueError(f"{ruleset} returned nothing: {output!r}")
        return reply.from_tokens(tokens)

    def _answer(self, number, batch, transaction, outputs, trusted):
        out = outputs["plain" if trusted else "open"]
        delayed = batch.features.delayed
        connect = mail = CONTINUE
        if not delayed:
            connect = self._verdict(out[f"{number}.connect"], "check_relay")
        syntax = syntax_error(out[f"{number}.parse"]) if transaction.sender != "<>" else None
        if syntax:
            mail = syntax
        elif not delayed:
            mail = self._verdict(out[f"{number}.mail"], "check_mail")
        recipients, relay = [], []
        for i, rcpt in enumerate(transaction.recipients):
            syntax = syntax_error(out[f"{number}.parse{i}"]) if rcpt != "<>" else None
            verdict = syntax or self._verdict(out[f"{number}.rcpt{i}"], "check_rcpt")
            recipients.append(verdict)
            if "plain" in outputs and not syntax:
                plain = self._verdict(outputs["plain"][f"{number}.rcpt{i}"], "check_rcpt")
                relay.append(plain)
                self._agree(batch, transaction, i, plain, verdict)
        helo = CONTINUE
        if batch.features.has("block_bad_helo") and not delayed:
            helo = self._verdict(outputs["open"][f"{number}.helo"], "check_rcpt")
        macro = out[f"{number}.f"].strip().splitlines()
        raw = {key: text for key, text in out.items() if key.split(".")[0] == str(number)}
        return Answer(connect, helo, mail, recipients, macro[0][2:] if macro else "", relay, raw)

    def _agree(self, batch, transaction, i, plain, verdict):
        if denies_relaying(plain) or (batch.features.has("block_bad_helo") and not batch.features.delayed):
            return
        if batch.map_missing and plain.dsn == "4.3.0":
            return  # the relay check could not read the map
        if (plain.kind, plain.code, plain.dsn, plain.text) != (verdict.kind, verdict.code, verdict.dsn, verdict.text):
            self.inconsistent.append((batch, transaction, i, plain, verdict))
