# SPDX-License-Identifier: GPL-3.0-or-later
"""From the tokens that a ruleset returns to what the SMTP client is told.

This is what rscheck(), buildaddr() and cataddr() of Sendmail's parseaddr.c do, without blanks being compared later.
"""

import re
from dataclasses import dataclass, replace

OPERATORS = set('.:@[]!%^/+()<>,;"\r\n')
CANON_NET, CANON_HOST, CANON_USER = "$#", "$@", "$:"
RE_DSN = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True)
class Verdict:
    """What a stage answers. kind: continue, reject, tempfail, discard, quarantine or syntax.

    syntax: refused by Sendmail's parser before any ruleset, so no filter is ever asked.
    """

    kind: str
    code: int = 0
    dsn: str = ""
    text: str = ""
    hold: str = ""  # the quarantine text
    given_dsn: str = ""  # D.S.N of ERROR:D.S.N: that Sendmail dropped because there was no reply code
    stop: bool = False  # Sendmail's "$# OK": ends the checks of delay_checks

    @property
    def refused(self):
        return self.kind in ("reject", "tempfail", "syntax")

    def show(self):
        if self.kind in ("reject", "tempfail", "syntax"):
            return f"{self.kind} {self.code} {self.dsn} {self.text}"
        return f"quarantine:{self.hold}" if self.kind == "quarantine" else self.kind


CONTINUE = Verdict("continue")


def split_tokens(text):
    """The tokens of one line of -bt output; blanks are separators except in a quoted token."""
    tokens, i = [], 0
    while i < len(text):
        if text[i] == " ":
            i += 1
            continue
        j = i + 1
        if text[i] == '"':
            while j < len(text) and text[j] != '"':
                j += 2 if text[j] == "\\" else 1
            j += 1
        else:
            while j < len(text) and text[j] != " ":
                j += 1
        tokens.append(text[i:j])
        i = j
    return tokens


def join_tokens(tokens):
    """cataddr(): a blank between two words only."""
    out, last_word = [], False
    for token in tokens:
        word = token[0] not in OPERATORS
        if word and last_word:
            out.append(" ")
        out.append(token)
        last_word = word
    return "".join(out)


def strip_quotes(text):
    out, i = [], 0
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text):
            i += 1
        elif text[i] in '"\\':
            i += 1
            continue
        out.append(text[i])
        i += 1
    return "".join(out)


def from_error(dsn, text):
    """buildaddr() for the error mailer: the reply from `$@ dsn $: text`."""
    match = re.match(r"(\d{3}) (.*)\Z", text, re.S)
    if not match:
        given = dsn if RE_DSN.fullmatch(dsn) else ""
        return Verdict("reject", 553, "5.3.0", text, given_dsn=given)
    code, rest = match.groups()
    own = re.match(r"([245]\.\d{1,3}\.\d{1,3}) (.*)\Z", rest, re.S)
    if own:
        dsn, rest = own.groups()
    elif not RE_DSN.fullmatch(dsn):
        dsn = "4.0.0" if code[0] == "4" else "5.0.0"
    if code[0] == "6":
        code = "5" + code[1:]
    return Verdict("tempfail" if code[0] == "4" else "reject", int(code), dsn, rest)


def from_tokens(tokens):
    """The verdict of a check_* ruleset from what it returned."""
    if len(tokens) < 2 or tokens[0] != CANON_NET:
        return CONTINUE
    mailer, rest = tokens[1], tokens[2:]
    if mailer == "discard":
        return Verdict("discard")
    if mailer not in ("error", "TEMP"):
        return Verdict("continue", stop=True)
    host, user = [], rest
    if CANON_USER in rest:
        at = rest.index(CANON_USER)
        host, user = rest[:at], rest[at + 1 :]
    if host and host[0] == CANON_HOST:
        host = host[1:]
    if host == ["quarantine"]:
        return Verdict("quarantine", hold=join_tokens(user))
    return from_error("".join(host), strip_quotes(join_tokens(user)))


def as_syntax(verdict):
    return replace(verdict, kind="syntax")
