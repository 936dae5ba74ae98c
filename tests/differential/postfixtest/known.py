# SPDX-License-Identifier: GPL-3.0-or-later
"""The deliberate differences between postern and Postfix, one by one; the letters are those of the README.

Each function says exactly when its difference applies; each use is counted. There is no other excuse.
"""

from collections import Counter
from dataclasses import replace

NAMES = {
    "P1": "a pattern that runs into a limit is a temporary failure, never `no match`",
    "P3": "lines may end in CR LF, also those that go on",
    "P4": "a pattern that Postfix gives up is answered",
    "H1": "headers in the body are not changed",
    "H2": "a header that a rule leaves without a value has a blank there",
    "H3": "a blank that a rule has before the colon is left out",
    "H4": "a refusal without a text has one",
    "H5": "a long text of a refusal is cut",
    "P2": "(*UTF) works with subjects that are no UTF-8",
}
used = Counter()

BARE_CODES = ((550, "5.1.1"), (451, "4.7.9"))  # are generated without a text
CUT_TEXT = 400  # no text is cut to less
RUN_TIME = ("limit exceeded", "UTF-8 error", "nested recursion")


def note(name):
    used[name] += 1


def is_failure(text):
    """Does postmap say that it could not ask this rule?"""
    return any(word in text for word in RUN_TIME) and not text.startswith("error in regex")


def is_remark(text):
    """Does postern say something of a line that is right?"""
    return "CR LF" in text


def _is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_for_postfix(case):
    """Postfix takes a CR away at the end of a logical line only, so that it stays where a line goes on."""
    if case.ending == b"\n":
        return case.text()
    note("P3")
    return replace(case, ending=b"\n", lines=[line.rstrip(b"\r") for line in case.lines]).text()


def without_utf(lines):
    """P2 would show in every message with bytes that are no UTF-8."""
    return [line for line in lines if b"(*UTF" not in line]


def same_result(case, key, have, failed):
    """Is what postern says right although postmap says something else? `failed`: lines that postmap could not ask."""
    if getattr(have, "line", None) in failed:
        note("P1")
        return True
    if not _is_utf8(key) and b"(*UTF" in case.text():
        note("P2")
        return True
    return False


def reply(answer):
    """(code, enhanced code, text) of a reply to the data; the queue id is nothing to compare."""
    if answer.ok:
        return (250, "2.0.0", "")
    # Where SMTP has no such character, Postfix has a blank and postern a question mark.
    return (answer.code, answer.dsn, answer.text.replace("?", " ").rstrip())


def same_reply(want, have):
    """A refusal with nothing but an enhanced code has a text; Postfix's ends in what lies in its memory behind the code."""
    if want[:2] == have[:2] and have[:2] in BARE_CODES and have[2] == "Access denied":
        note("H4")
        return True
    if want[:2] == have[:2] and len(have[2]) >= CUT_TEXT and want[2].startswith(have[2]):
        note("H5")
        return True
    return want == have


def recipients(fate):
    """Who gets the message in the end; Postfix delivers once to an address that is named twice."""
    return [fate.redirect] if fate.redirect else sorted(set(fate.recipients))


def undo_body_edits(want, have, plain):
    """Postfix deletes, replaces and adds headers of parts in the body; a filter does not. `plain`: without any rules."""
    if have.body == plain.body:
        note("H1")
        want.body = plain.body


def gave_up(failed):
    """What steps PCRE2 counts is not the same in machine code, which Postfix does not make."""
    if any("limit exceeded" in text for text in failed.values()):
        note("P4")
        return True
    return False


def as_filter_writes(want, message):
    """What a filter cannot say: a blank before the colon, and nothing at all behind it."""
    received = set(message.split(b"\n"))
    for at, header in enumerate(want.headers):
        name, colon, value = header.partition(b":")
        if header not in received and name != name.rstrip(b" \t"):
            note("H3")
            want.headers[at] = name.rstrip(b" \t") + colon + value
        if not value and header not in received:
            note("H2")
            want.headers[at] = header + b" "


def report():
    return [f"  {name}: {used[name]} times: {text}" for name, text in NAMES.items() if used[name]]
