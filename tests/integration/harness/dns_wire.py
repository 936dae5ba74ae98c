# SPDX-License-Identifier: GPL-3.0-or-later
"""Just enough of DNS messages (RFC 1035) to answer questions, and to answer them wrongly."""

import ipaddress
import struct
from dataclasses import dataclass

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, OPT = 1, 2, 5, 6, 12, 15, 16, 28, 41
TYPES = {"A": A, "NS": NS, "CNAME": CNAME, "SOA": SOA, "PTR": PTR, "MX": MX, "TXT": TXT, "AAAA": AAAA}
NAMES = {number: name for name, number in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
QUESTION_AT = 12  # where the name of the question stands in a message
PLAIN_UDP_MAX = 512


class WireError(Exception):
    """Bytes that are no question."""


@dataclass(frozen=True)
class Question:
    number: int
    flags: int
    name: str  # lower case, without the last dot
    kind: int
    end: int  # of the question in its message
    udp_max: int  # what the client takes by UDP

    @property
    def type_name(self):
        return NAMES.get(self.kind, str(self.kind))


@dataclass(frozen=True)
class Record:
    name: str
    kind: int
    data: bytes
    ttl: int


def encode_name(name):
    out = b""
    for label in filter(None, name.split(".")):
        raw = label.encode("latin-1")
        out += bytes([len(raw)]) + raw
    return out + b"\0"


def _read_name(message, at):
    labels = []
    while True:
        if at >= len(message):
            raise WireError("a name runs out of the message")
        length = message[at]
        at += 1
        if length == 0:
            return ".".join(labels), at
        if length > 63:
            raise WireError("a pointer in a question")
        labels.append(message[at : at + length].decode("latin-1").lower())
        at += length


def read_question(message):
    if len(message) < QUESTION_AT:
        raise WireError("shorter than a header")
    number, flags, questions, _, _, more = struct.unpack("!6H", message[:QUESTION_AT])
    if questions != 1 or flags & 0x8000:
        raise WireError("not one question")
    name, at = _read_name(message, QUESTION_AT)
    kind = struct.unpack("!H", message[at : at + 2])[0]
    end, udp_max = at + 4, PLAIN_UDP_MAX
    if more and message[end : end + 3] == b"\0" + struct.pack("!H", OPT):
        udp_max = max(PLAIN_UDP_MAX, struct.unpack("!H", message[end + 3 : end + 5])[0])
    return Question(number, flags, name, kind, end, udp_max)


def encode_data(kind, text):
    """The data of a record from its text form."""
    if kind in (A, AAAA):
        return ipaddress.ip_address(text).packed
    if kind in (NS, CNAME, PTR):
        return encode_name(text)
    if kind == MX:
        preference, host = text.split()
        return struct.pack("!H", int(preference)) + encode_name(host)
    if kind == TXT:
        raw = text.encode("latin-1")
        return b"".join(bytes([len(part)]) + part for part in (raw[i : i + 255] for i in range(0, len(raw) or 1, 255)))
    if kind == SOA:
        minimum = int(text)
        return encode_name("ns.test") + encode_name("root.test") + struct.pack("!5I", 1, 3600, 600, 86400, minimum)
    raise ValueError(f"no text form for type {kind}")


def _encode_record(record, question):
    same = record.name.lower() == question.name
    owner = struct.pack("!H", 0xC000 | QUESTION_AT) if same else encode_name(record.name)
    return owner + struct.pack("!HHIH", record.kind, 1, record.ttl, len(record.data)) + record.data


def response(message, question, rcode=NOERROR, answers=(), authority=(), udp=True):
    """The whole answer; what does not fit into UDP is left out, and says so."""
    flags = 0x8480 | (question.flags & 0x0100) | rcode
    asked = message[QUESTION_AT : question.end]
    body = b"".join(_encode_record(one, question) for one in (*answers, *authority))
    head = struct.pack("!6H", question.number, flags, 1, len(answers), len(authority), 0)
    if udp and QUESTION_AT + len(asked) + len(body) > question.udp_max:
        return struct.pack("!6H", question.number, flags | 0x0200, 1, 0, 0, 0) + asked
    return head + asked + body
