# SPDX-License-Identifier: GPL-3.0-or-later
"""A DNS server that answers as a test wants: also late, wrongly, or not at all; and that remembers what it was asked."""

import heapq
import itertools
import os
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass

from . import dns_wire as wire

FORWARD_MAX = 4096


@dataclass(frozen=True)
class Asked:
    name: str
    type: str
    transport: str  # udp, tcp


def _part(keep):
    """So much of an ordinary answer."""
    return lambda message, question, answer: keep(answer)


def _truncated(_message, _question, answer):
    head = struct.unpack("!6H", answer[:12])
    return struct.pack("!6H", head[0], head[1] | 0x0200, *head[2:]) + answer[12:]


def _rcode(number):
    return lambda message, question, answer: wire.response(message, question, number)


def _wrong_number(_message, question, answer):
    return struct.pack("!H", question.number ^ 0x5555) + answer[2:]


def _other_question(message, question, _answer):
    other = wire.encode_name("another.test") + message[question.end - 4 : question.end]
    record = wire.Record("another.test", wire.A, b"\x7f\0\0\x02", 60)
    whole = struct.pack("!6H", question.number, 0x8480, 1, 1, 0, 0) + other
    return whole + wire.encode_name(record.name) + struct.pack("!HHIH", record.kind, 1, 60, 4) + record.data


def _pointer_loop(message, question, _answer):
    head = struct.pack("!6H", question.number, 0x8480, 1, 1, 0, 0) + message[12 : question.end]
    return head + struct.pack("!HHHIH", 0xC000 | question.end, question.kind, 1, 60, 4) + b"\x7f\0\0\x02"


def _short_data(message, question, _answer):
    """An address of two bytes, a text that is longer than its record."""
    data = b"\x7f\0" if question.kind != wire.TXT else b"\xfaab"
    head = struct.pack("!6H", question.number, 0x8480, 1, 1, 0, 0) + message[12 : question.end]
    return head + struct.pack("!HHHIH", 0xC000 | 12, question.kind, 1, 60, len(data)) + data


def _more_records_than_there_are(message, question, _answer):
    return struct.pack("!6H", question.number, 0x8480, 1, 65535, 0, 0) + message[12 : question.end]


# What a name can do instead of an ordinary answer.
SPOILT = {
    "servfail": _rcode(wire.SERVFAIL),
    "refused": _rcode(wire.REFUSED),
    "notimp": _rcode(wire.NOTIMP),
    "formerr": _rcode(wire.FORMERR),
    "nxdomain": _rcode(wire.NXDOMAIN),
    "half": _part(lambda data: data[: len(data) // 2]),
    "header": _part(lambda data: data[:12]),
    "noise": lambda message, question, answer: struct.pack("!H", question.number) + os.urandom(60),
    "wrong number": _wrong_number,
    "other question": _other_question,
    "pointer loop": _pointer_loop,
    "short data": _short_data,
    "too few": _more_records_than_there_are,
    "truncated": _truncated,
    "silent": lambda message, question, answer: None,
}


class Zone:
    """Records by name and type; a name may have a manner of its own, which holds for all names below it too."""

    def __init__(self):
        self.records = {}
        self.manners = {}
        self.delays = {}
        self.wild = {}

    def add(self, name, kind, *texts, ttl=60):
        number = wire.TYPES[kind]
        place = self.records.setdefault(name.lower(), {}).setdefault(number, [])
        place += [wire.Record(name.lower(), number, wire.encode_data(number, text), ttl) for text in texts]

    def everything_below(self, suffix, kind, text, ttl=60):
        """Each name below the suffix has this record."""
        number = wire.TYPES[kind]
        self.wild.setdefault(suffix.lower(), {})[number] = (wire.encode_data(number, text), ttl)

    def manner(self, name, manner):
        """Everything at and below a name is answered in a manner of SPOILT; None: as usual again."""
        assert manner is None or manner in SPOILT, manner
        self.manners[name.lower()] = manner

    def delay(self, name, seconds):
        self.delays[name.lower()] = seconds

    @staticmethod
    def _nearest(table, name):
        labels = name.split(".")
        for i in range(len(labels) + 1):
            value = table.get(".".join(labels[i:]))
            if value is not None:
                return value
        return None

    def manner_of(self, name):
        return self._nearest(self.manners, name)

    def delay_of(self, name):
        return self._nearest(self.delays, name) or 0

    def find(self, name, kind):
        """(response code, records): a CNAME is followed as far as this zone knows."""
        answers, seen = [], set()
        while True:
            have = self.records.get(name)
            wild = self._nearest(self.wild, name) if have is None else None
            if wild is not None:
                have = {number: [wire.Record(name, number, *value)] for number, value in wild.items()}
            if have is None:
                below = any(other.endswith("." + name) for other in self.records)
                return (wire.NOERROR if below or answers else wire.NXDOMAIN), answers
            if wire.CNAME in have and kind != wire.CNAME and name not in seen:
                seen.add(name)
                answers += have[wire.CNAME]
                name = self._target(have[wire.CNAME][0])
                continue
            return wire.NOERROR, answers + ([] if wire.CNAME in have and kind != wire.CNAME else have.get(kind, []))

    @staticmethod
    def _target(record):
        labels, at = [], 0
        while record.data[at]:
            length = record.data[at]
            labels.append(record.data[at + 1 : at + 1 + length].decode("latin-1").lower())
            at += 1 + length
        return ".".join(labels)


class DnsServer:
    """One on 127.0.0.1, UDP and TCP on the same port. What lies below a suffix of `routes` is asked of another server."""

    def __init__(self, zone=None, negative_ttl=60, port=0):
        self.zone = zone or Zone()
        self.negative_ttl = negative_ttl
        self.routes = {}
        self._asked = []
        self._lock = threading.Lock()
        self._udp, self._tcp = self._bind(port)
        self.port = self._udp.getsockname()[1]
        self._upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._forwarded, self._numbers = {}, itertools.count(1)
        self._later, self._sequence = [], itertools.count()
        self._stop_read, self._stop_write = os.pipe()
        self._closed = False
        self._threads = [threading.Thread(target=self._serve_udp, daemon=True), threading.Thread(target=self._serve_tcp, daemon=True)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _bind(port):
        for _ in range(20):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            udp.bind(("127.0.0.1", port))
            tcp = socket.socket()
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                udp.close()
                tcp.close()
                continue
            tcp.listen(64)
            return udp, tcp
        raise OSError("no port that is free for UDP and TCP")

    @property
    def address(self):
        """As dns.servers names it."""
        return f"127.0.0.1:{self.port}"

    def close(self):
        if self._closed:
            return
        self._closed = True
        os.write(self._stop_write, b"x")
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in (self._udp, self._tcp, self._upstream):
            one.close()
        os.close(self._stop_read)
        os.close(self._stop_write)

    # ---- what was asked

    def asked(self, name=None, kind=None):
        """The questions so far; those for a name and type."""
        with self._lock:
            found = list(self._asked)
        return [one for one in found if (name is None or one.name == name) and (kind is None or one.type == kind)]

    def forget(self):
        with self._lock:
            self._asked.clear()

    # ---- answers

    def _answer(self, message, transport):
        """(answer or None, seconds to wait before it)."""
        try:
            question = wire.read_question(message)
        except (wire.WireError, struct.error):
            return None, 0
        with self._lock:
            self._asked.append(Asked(question.name, question.type_name, transport))
        delay, udp = self.zone.delay_of(question.name), transport == "udp"
        manner = self.zone.manner_of(question.name)
        if manner == "truncated" and not udp:
            return None, delay  # says "ask by TCP", and does not answer there
        if manner is None:
            return self._ordinary(message, question, udp), delay
        return SPOILT[manner](message, question, self._ordinary(message, question, udp)), delay

    def _ordinary(self, message, question, udp):
        rcode, answers = self.zone.find(question.name, question.kind)
        if answers and any(one.kind == question.kind for one in answers):
            return wire.response(message, question, rcode, answers, (), udp)
        parent = question.name.split(".", 1)[-1]
        soa = wire.Record(parent, wire.SOA, wire.encode_data(wire.SOA, str(self.negative_ttl)), self.negative_ttl)
        return wire.response(message, question, rcode, answers, [soa], udp)

    def _route(self, message):
        try:
            question = wire.read_question(message)
        except (wire.WireError, struct.error):
            return None
        if self.zone.manner_of(question.name) is not None:
            return None
        labels = question.name.split(".")
        for i in range(len(labels)):
            upstream = self.routes.get(".".join(labels[i:]))
            if upstream:
                return upstream, question
        return None

    # ---- UDP: one thread, with late answers and answers of other servers

    def _serve_udp(self):
        selector = selectors.DefaultSelector()
        for one in (self._udp, self._upstream, self._stop_read):
            selector.register(one, selectors.EVENT_READ)
        while True:
            wait = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            ready = {key.fileobj for key, _ in selector.select(wait)}
            if self._stop_read in ready:
                return
            if self._udp in ready:
                self._take(*self._udp.recvfrom(FORWARD_MAX))
            if self._upstream in ready:
                self._pass_back(self._upstream.recv(65535))
            while self._later and self._later[0][0] <= time.monotonic():
                _, _, answer, client = heapq.heappop(self._later)
                self._udp.sendto(answer, client)

    def _take(self, message, client):
        routed = self._route(message)
        if routed:
            upstream, question = routed
            with self._lock:
                self._asked.append(Asked(question.name, question.type_name, "udp"))
            number = next(self._numbers) & 0xFFFF
            self._forwarded[number] = (question.number, client)
            self._upstream.sendto(struct.pack("!H", number) + message[2:], upstream)
            return
        answer, delay = self._answer(message, "udp")
        if answer is not None and delay:
            heapq.heappush(self._later, (time.monotonic() + delay, next(self._sequence), answer, client))
        elif answer is not None:
            self._udp.sendto(answer, client)

    def _pass_back(self, answer):
        number, client = self._forwarded.pop(struct.unpack("!H", answer[:2])[0], (None, None))
        if client:
            self._udp.sendto(struct.pack("!H", number) + answer[2:], client)

    # ---- TCP: a thread for each connection

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while self._serve_question(connection, stream):
                    pass
            except OSError:
                pass  # who asked has gone

    def _serve_question(self, connection, stream):
        head = stream.read(2)
        if len(head) < 2:
            return False
        answer = self._answer_tcp(stream.read(struct.unpack("!H", head)[0]))
        if answer is None:
            time.sleep(30)
            return False
        connection.sendall(struct.pack("!H", len(answer)) + answer)
        return True

    def _answer_tcp(self, message):
        routed = self._route(message)
        if not routed:
            answer, delay = self._answer(message, "tcp")
            time.sleep(delay)
            return answer
        upstream, question = routed
        with self._lock:
            self._asked.append(Asked(question.name, question.type_name, "tcp"))
        with socket.create_connection(upstream, timeout=5) as server, server.makefile("rb") as stream:
            server.sendall(struct.pack("!H", len(message)) + message)
            return stream.read(struct.unpack("!H", stream.read(2))[0])
