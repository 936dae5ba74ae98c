# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks judge and subject, and says what differs once the known differences are taken into account."""

import re
import zlib
from dataclasses import dataclass, field, replace

from . import known
from .subject import RE_DIAGNOSTIC

# Complaints of postmap that leave no rule out and change nothing that is asked.
EXPLAIN_EVERY = 5
BLANK_START = re.compile(r"logical line must not start with whitespace")  # tells no number
RE_WARNING = re.compile(r"pcre map .*?, line (\d+): (.*)")


@dataclass
class Difference:
    case: object
    lines: list  # what differs
    shown: list = field(default_factory=list)  # both answers, for the reader


def complaints(warnings):
    """The lines of the table that postmap has something to say of, and those that failed while they were asked."""
    at_load, at_run = {}, {}
    for number, text in RE_WARNING.findall(warnings):
        (at_run if known.is_failure(text) else at_load).setdefault(int(number), text)
    return at_load, at_run


def _gave_up(table, key, postmap, case):
    """Did postmap run into a limit for this very key, and postern did not?"""
    table.write_bytes(known.text_for_postfix(case))
    _, warnings = postmap.query(table, [key])
    return known.gave_up(complaints(warnings)[1])


def pcre(case, table, postmap, query, counter=None):
    """The differences in one table, as one Difference, or None."""
    table.write_bytes(known.text_for_postfix(case))
    want, warnings = postmap.query(table, case.keys)
    table.write_bytes(case.text())
    have, said = query.query(table, case.keys)
    at_load, at_run = complaints(warnings)
    lines = []
    for key, wanted, got in zip(case.keys, want, have):
        if counter is not None:
            counter["not found" if wanted is None else "found"] += 1
        if wanted != got and not known.same_result(case, key, got, at_run) and not _gave_up(table, key, postmap, case):
            lines.append(f"key {key!r}: postmap {wanted!r}, postern {got!r}")
    told = {int(number): text for number, text in RE_DIAGNOSTIC.findall(said) if not known.is_remark(text)}
    if len(BLANK_START.findall(warnings)) != sum("the line starts with a blank" in text for text in told.values()):
        lines.append("they disagree on lines that start with a blank")
    told = {number: text for number, text in told.items() if "the line starts with a blank" not in text}
    for number in sorted((set(at_load) ^ set(told)) - set(at_run)):
        lines.append(f"line {number}: postmap says {at_load.get(number)!r}, postern {told.get(number)!r}")
    return Difference(case, lines, [f"postmap: {warnings}", f"postern: {said}"]) if lines else None


def clean_lines(lines, table, postmap):
    """Without what is wrong in them: Postfix leaves such a line out, postern refuses the file."""
    while True:
        table.write_bytes(b"".join(line + b"\n" for line in lines))
        wrong, _ = complaints(postmap.query(table, [b"x"])[1])
        if not wrong:
            return lines
        lines = [line for number, line in enumerate(lines, 1) if number not in wrong]


def usable(case, table, postmap):
    """The case of header checks without lines that postern refuses, and those that it reads differently."""
    header, mime = (clean_lines(known.without_utf(lines), table, postmap) for lines in (case.header, case.mime))
    return replace(case, header=header, mime=mime)


def outcome(fate):
    """What a client and a recipient see of a message, as (name, value) pairs."""
    reply = known.reply(fate.reply)
    if not fate.reply.ok:
        return [("reply", reply)]
    if not fate.queue:
        return [("reply", reply), ("queue", "discarded")]
    return [
        ("reply", reply), ("queue", fate.queue), ("recipients", known.recipients(fate)),
        ("headers", fate.headers), ("body", fate.body),
    ]


def headers(case, judge, live, counter=None):
    """The differences in one case of header checks, one Difference for each message."""
    own, parts = (b"".join(line + b"\n" for line in lines) for lines in (case.header, case.mime))
    parts = {"own": own, "same": own, "two": parts}[case.mode]
    tables = {"header_checks": own, "mime_header_checks": parts, "nested_header_checks": parts}
    for server in (judge.server, live.server):
        server.parse_mime(case.mode != "own")
    judge.server.set_tables(tables)
    refused = live.use(case.mode, own, parts)
    if refused:
        return [Difference(case, [f"postern refuses the file: {refused}"])]
    found = [_message(message, judge, live, tables, counter) for message in case.messages]
    return [replace(one, case=replace(case, messages=[message])) for one, message in zip(found, case.messages) if one]


def told(message, have, live):
    """Where `explain` says something else than what the daemon does; asked for some of the messages."""
    if zlib.crc32(message) % EXPLAIN_EVERY or message.startswith((b"From ", b">From ")) or len(message) > 60000:
        return []  # smtpd makes another line of the envelope of a mailbox, and cleanup shortens long headers
    says = live.explain(message)
    return [f"explain: {name}: daemon {wanted!r}, explain {got!r}"
            for (name, wanted), (_, got) in zip(outcome(have), outcome(says)) if wanted != got and name != "body"]


def count(fate, counter):
    """Counts what became of a message, so that a run tells what it has tried."""
    counter[fate.queue or ("discarded" if fate.reply.ok else str(fate.reply.code))] += 1
    for verb, _ in fate.log:
        counter[verb] += 1


def _message(message, judge, live, tables, counter):
    """The differences in what becomes of one message."""
    want, have = judge.send(message), live.send(message)
    if want.body != have.body and want.queue == have.queue:
        judge.server.set_tables({})
        known.undo_body_edits(want, have, judge.send(message))
        judge.server.set_tables(tables)
    known.as_filter_writes(want, message)
    if counter is not None:
        count(want, counter)
    lines = [f"{name}: Postfix {wanted!r}, postern {got!r}"
             for (name, wanted), (_, got) in zip(outcome(want), outcome(have))
             if wanted != got and not (name == "reply" and known.same_reply(wanted, got))]
    lines += told(message, have, live)
    shown = [f"Postfix: {want.reply} {want.log} {want.warnings}", f"postern: {have.reply} {live.new_log()}"]
    return Difference(None, lines, shown) if lines else None
