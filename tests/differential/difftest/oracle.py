# SPDX-License-Identifier: GPL-3.0-or-later
"""What Sendmail's own rulesets say to a transaction.

Up to three configurations are asked, made from the same features:

plain   the features as they are. Where postern decides on relaying (relay_control = "milter"), this is the judge.
open    with FEATURE(promiscuous_relay) added. It leaves out everything of check_rcpt that asks whether mail may be
        relayed, and nothing else that refuses: so its answer is what the access map, the blocklist and the checks of
        sender, client and HELO say, and with delay_checks these go on where plain would have said "Relaying denied".
        The judge for relay_control = "mta".
bare    without blocklist_recipients and delay_checks: nothing but the relay decision. Asked where a recipient's QUARANTINE
        hides that decision, or its local part another host (differences 5 and 14).
list    with FEATURE(promiscuous_relay) and without delay_checks: nothing but the blocklist. Asked for difference 14.

The one thing of the part left out by open that matters without relaying is a trusted login or certificate, which ends all later
checks: then plain is asked, where it cannot answer "Relaying denied" for the same reason. Whenever plain does not refuse to
relay it must agree with open; `Oracle.inconsistent` collects where it does not.
"""

import re
from dataclasses import dataclass, replace

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
    compat: list  # of check_compat, for each recipient; empty without compat_check
    sender_macro: str
    relay: list  # what plain says to each recipient
    bare: list  # the relay decision alone, where it was asked; else None
    listed: list  # the blocklist alone, likewise
    canonical: list  # (local part, domain) of each recipient with quotes in it, else None
    stranger: Verdict  # the relay decision for a recipient that nobody relays for, likewise
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


def denies_relaying(verdict, features=None):
    own = features.message("relay_message") if features else None
    texts = RELAY_TEXTS if own is None else (*RELAY_TEXTS, own.split(" ", 2)[2])
    return verdict.refused and verdict.text.startswith(texts)


def trusted_login(features, transaction):
    mechanism = transaction.auth_type.lower()
    trusted = [m.lower() for m in features.trust_auth]
    return bool(mechanism) and (mechanism in trusted or "any" in trusted)


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
        "{verify}": transaction.verify,
        "{cert_subject}": transaction.cert_subject,
        "{cert_issuer}": transaction.cert_issuer,
        "s": transaction.helo or client.name,
    }
    return "\n".join(f".D{name}{shell(value)}" for name, value in macros.items())


def commands(number, transaction, features, good_helo=False):
    """The (mark, command) pairs of one transaction, in the order in which the daemon calls the rulesets.

    With good_helo nothing is said about HELO except by the last command, which asks for that alone.
    """
    client, sender = transaction.client, shell(transaction.sender)
    out = [(f"{number}.set", preamble(transaction))]
    if good_helo:
        out.append((f"{number}.set", f".Ds{GOOD_HELO}"))
    if transaction.verify:
        out.append((f"{number}.certificate", "RelayTLS anything"))
    if not features.delayed:
        out.append((f"{number}.connect", f"Translate,check_relay {client.name} $| {client.addr}"))
    out += [
        (f"{number}.parse", f"/tryflags es\n/parse {sender}"),
        (f"{number}.sender", f"/sender {sender}"),
        (f"{number}.f", "$f"),
    ]
    if not features.delayed:
        out.append((f"{number}.mail", f"check_mail {sender}"))
    for i, rcpt in enumerate(transaction.recipients):
        out.append((f"{number}.parse{i}", f"/tryflags er\n/parse {shell(rcpt)}"))
        out.append((f"{number}.rcpt{i}", f"check_rcpt {shell(rcpt)}"))
        if hides_something(rcpt):
            ruleset = "CanonAddr" if features.has("loose_relay_check") else "ParseRecipient"
            out.append((f"{number}.canonical{i}", f"{ruleset} {shell(rcpt)}"))
        if features.has("compat_check"):
            out.append((f"{number}.compat{i}", f"Translate,check_compat {sender} $| {shell(rcpt)}"))
    out.append((f"{number}.stranger", f"check_rcpt {NEUTRAL_RECIPIENT}"))
    if features.has("block_bad_helo"):
        out.append((f"{number}.helo", f".Ds{shell(transaction.helo or client.name)}\ncheck_rcpt {NEUTRAL_RECIPIENT}"))
    return out


def hides_something(address):
    """Is there anything in it that quotes may keep from being read as another host?"""
    return '"' in address or "\\" in address


def without(features, *spared):
    return replace(features, features=frozenset(f for f in features.features if not f.startswith(spared)))


# What of the script the configurations are asked that tell only a part
PARTS = {"bare": r"\.(set|sender|rcpt\d+|stranger)$", "list": r"\.(set|rcpt\d+)$"}


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
        script = []
        for number, transaction in enumerate(batch.transactions):
            script += commands(number, transaction, batch.features, not literal and not batch.features.delayed)
        outputs = {name: self._run(folder, name, batch, lines, script) for name in self._needed(batch)}
        hidden = any(hides_something(rcpt) for t in batch.transactions for rcpt in t.recipients)
        if batch.relaying and not literal and (hidden or self._holds_recipient(batch, outputs["plain"])):
            features = without(batch.features, "blocklist_recipients", "delay_checks", "compat_check")
            outputs["bare"] = self._run(folder, "bare", replace(batch, features=features), lines, script)
        if batch.relaying and not literal and hidden and batch.features.delayed:
            features = without(batch.features, "delay_checks", "compat_check")
            outputs["list"] = self._run(folder, "list", replace(batch, features=features), lines, script)
        return [self._answer(number, batch, transaction, outputs) for number, transaction in enumerate(batch.transactions)]

    def _needed(self, batch):
        if batch.relaying:
            helo = batch.features.has("block_bad_helo") and not batch.features.delayed
            return ("plain", "open") if helo else ("plain",)
        proven = any(t.verify or trusted_login(batch.features, t) for t in batch.transactions)
        return ("open", "plain") if self.check_plain or proven else ("open",)

    def _holds_recipient(self, batch, output):
        if not batch.features.has("blocklist_recipients"):
            return False
        return any(self._verdict(text, "check_rcpt").kind == "quarantine" for mark, text in output.items() if ".rcpt" in mark)

    def _run(self, folder, name, batch, lines, script):
        cf = folder / f"{name}.cf"
        cf.write_text(self.sendmail.cf_text(batch.features, batch.names, name in ("open", "list"), folder / "access"))
        self.sendmail.makemap(cf, lines, folder / "access", batch.map_missing)
        if name in PARTS:
            script = [(mark, command) for mark, command in script if re.search(PARTS[name], mark)]
            script = [(mark, f"{command}\n.Ds{GOOD_HELO}" if mark.endswith(".set") else command) for mark, command in script]
        return self.sendmail.address_test(cf, script)

    @staticmethod
    def _verdict(output, ruleset):
        tokens = last_return(output, ruleset)
        if tokens is None:
            raise ValueError(f"{ruleset} returned nothing: {output!r}")
        return reply.from_tokens(tokens)

    def _trusted(self, number, batch, transaction, outputs):
        """Does Sendmail relay for whoever logged in or showed a certificate?"""
        if trusted_login(batch.features, transaction):
            return True
        return bool(transaction.verify) and self._verdict(outputs["plain"][f"{number}.certificate"], "RelayTLS").stop

    def _answer(self, number, batch, transaction, outputs):
        features = batch.features
        trusted = self._trusted(number, batch, transaction, outputs)
        out = outputs["plain" if batch.relaying or trusted else "open"]
        connect = mail = CONTINUE
        if not features.delayed:
            connect = self._verdict(out[f"{number}.connect"], "check_relay")
        syntax = syntax_error(out[f"{number}.parse"]) if transaction.sender != "<>" else None
        if syntax:
            mail = syntax
        elif not features.delayed:
            mail = self._verdict(out[f"{number}.mail"], "check_mail")
        answer = Answer(connect, CONTINUE, mail, [], [], "", [], [], [], [], CONTINUE, {})
        if "bare" in outputs:
            answer.stranger = self._verdict(outputs["bare"][f"{number}.stranger"], "check_rcpt")
        for i, rcpt in enumerate(transaction.recipients):
            self._recipient(answer, f"{number}.", i, rcpt, batch, outputs, out)
            if not batch.relaying and answer.relay[i] is not None and answer.recipients[i].kind != "syntax":
                self._agree(batch, transaction, i, answer.relay[i], answer.recipients[i])
        if features.has("block_bad_helo") and not features.delayed:
            answer.helo = self._verdict(outputs["open"][f"{number}.helo"], "check_rcpt")
        macro = out[f"{number}.f"].strip().splitlines()
        answer.sender_macro = macro[0][2:] if macro else ""
        answer.raw = {key: text for key, text in out.items() if key.split(".")[0] == str(number)}
        return answer

    def _recipient(self, answer, mark, i, rcpt, batch, outputs, out):
        syntax = syntax_error(out[f"{mark}parse{i}"]) if rcpt != "<>" else None
        answer.recipients.append(syntax or self._verdict(out[f"{mark}rcpt{i}"], "check_rcpt"))
        plain = outputs.get("plain")
        answer.relay.append(self._verdict(plain[f"{mark}rcpt{i}"], "check_rcpt") if plain else None)
        for name, verdicts in (("bare", answer.bare), ("list", answer.listed)):
            part = outputs.get(name)
            verdicts.append(self._verdict(part[f"{mark}rcpt{i}"], "check_rcpt") if part else None)
        answer.canonical.append(self._canonical(out.get(f"{mark}canonical{i}")))
        if batch.features.has("compat_check"):
            answer.compat.append(self._verdict(out[f"{mark}compat{i}"], "check_compat"))

    @staticmethod
    def _canonical(output):
        tokens = (last_return(output, "CanonAddr") or last_return(output, "ParseRecipient")) if output else None
        if tokens is None:
            return None
        lines = re.findall(r"^(CanonAddr|ParseRecipient) +returns: (.*)$", output, re.M)
        local, at, domain = lines[-1][1].rpartition("< @ ")
        return (local, domain.rstrip("> .").replace(" ", "")) if at else (domain, "")

    def _agree(self, batch, transaction, i, plain, verdict):
        if denies_relaying(plain, batch.features):
            return
        if batch.features.has("block_bad_helo") and not batch.features.delayed:
            return
        if batch.map_missing and plain.dsn == "4.3.0":
            return  # the relay check could not read the map
        if (plain.kind, plain.code, plain.dsn, plain.text) != (verdict.kind, verdict.code, verdict.dsn, verdict.text):
            self.inconsistent.append((batch, transaction, i, plain, verdict))
