# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages with any header, and what has become of it when they arrive."""

import re

from .mta import OWN_NAME

# Without these Sendmail adds its own, behind the header lines of its own.
USUAL = [
    "From: <s@neutral.test>",
    "To: <joe@local.example>",
    "Date: Sat, 1 Jan 2022 00:00:00 +0000",
    "Message-Id: <usual@neutral.test>",
]
FIELD = re.compile(r"(?m)^[^\s:]+[ \t]*:.*(?:\n[ \t].*)*")


def message(subject, *fields, usual=True, body="The body."):
    """A message with these fields before its Subject; usual=False leaves out what every message has."""
    lines = [*(USUAL if usual else []), *fields, f"Subject: {subject}"]
    return "\n".join(lines) + "\n\n" + body


def fields(text):
    """The fields of a delivered message's header, folds joined by a newline, without those of the server that delivered it."""
    header = text.replace("\r\n", "\n").partition("\n\n")[0]
    found = FIELD.findall(header)
    assert "\n".join(found) == header, header
    own = re.compile(rf"Return-Path:|Received:[^;]*by {re.escape(OWN_NAME)} ")
    return [field for field in found if not own.match(field)]


def trace(text):
    """The names of all fields as they were delivered."""
    return [field.split(":")[0] for field in FIELD.findall(text.replace("\r\n", "\n").partition("\n\n")[0])]
