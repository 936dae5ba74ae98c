# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of examples.md: each row a feature set, an access file, a transaction, and Sendmail's reply."""

import re
from dataclasses import dataclass
from pathlib import Path

from .reply import Verdict
from .world import Batch, DnsList, FeatureSet, Transaction, make_client

TABLE = Path(__file__).resolve().parents[1] / "examples.md"
SECOND_WORDS = {
    "delay_checks": ("friend", "hater"),
    "relay_mail_from": ("domain",),
}


@dataclass
class Example:
    number: int
    batch: Batch
    stage: str
    reply: Verdict  # kind "accept" stands for the dispositions
    remark: str


def _feature_set(text):
    words, names, trust, lists = text.split(), set(), (), ()
    i = 0
    while i < len(words):
        word = words[i]
        following = words[i + 1] if i + 1 < len(words) else ""
        if word == "trust_auth_mech":
            trust, i = (following,), i + 1
        elif following in SECOND_WORDS.get(word, ()):
            names.add(f"{word}_{following}")
            i += 1
        elif word == "dnsbl":
            lists, i = (DnsList(following),), i + 1
        elif word not in ("a_u_d", "access_db"):
            names.add(word)
        i += 1
    if lists or ("access_db" in words and "a_u_d" not in words):
        names |= {"accept_unresolvable_domains"} if "a_u_d" in words else set()
        return FeatureSet(frozenset(names), trust, dns=True, lists=lists)
    return FeatureSet(frozenset(names), trust)


def _transaction(probes):
    client, helo = make_client("198.18.0.1", "host.neutral.test"), "host.neutral.test"
    sender, recipient, auth = "<s@neutral.test>", "<joe@local.example>", ""
    for probe in probes:
        word, _, rest = probe.partition(" ")
        if word == "mail":
            sender = rest
        elif word == "rcpt":
            recipient = rest
        elif word == "helo":
            helo = rest
        elif word == "auth_type":
            auth = rest
        elif word != "default":
            name, addr, resolve = re.fullmatch(r"(\S+) \[(\S+)\](?: (\w+))?", probe).groups()
            client = make_client(addr, None if name.startswith("[") else name, resolve or "OK")
    return Transaction(client, helo, sender, (recipient,), auth, "ann" if auth else "")


def _reply(text):
    if text in ("accepted", "accept", "continue"):
        return Verdict("continue")
    if text == "discard":
        return Verdict("discard")
    if text.startswith("quarantine:"):
        return Verdict("quarantine", hold=text[11:])
    code, dsn, said = text.removesuffix(" (tempfail)").split(" ", 2)
    return Verdict("tempfail" if code[0] == "4" else "reject", int(code), dsn, said)


def _row(cells):
    number, features, access, probe, stage, reply_text, remark = cells

    def parts(cell):
        return [] if cell == "-" else [p.strip("`") for p in cell.split("<br>")]

    batch = Batch(int(number), _feature_set(features.strip("`")), parts(access), [_transaction(parts(probe))], relay_control="milter")
    return Example(int(number), batch, stage, _reply(reply_text.strip("`")), remark)


def load():
    rows = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 7 and cells[0].isdigit():
            rows.append(_row(cells))
    return rows
