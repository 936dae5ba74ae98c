# SPDX-License-Identifier: GPL-3.0-or-later
"""Invented access maps, and the keys of them that the load is to hit, each with the answer it must get."""
import random

TOP_DOMAINS = ["com", "net", "org", "de", "co.uk", "info", "example", "mail.example"]
REPLY_RCPT_REJECT = "550 5.2.1"
REPLY_REJECT = "550 5.7.1"

# value in the map, answer of the filter, weight; a block list in the main
VALUES = [
    ("REJECT", "reject", 80),
    ("OK", "continue", 6),
    ("RELAY", "continue", 4),
    ("ERROR:5.7.1:550 Mail from you is not wanted here", "550 5.7.1", 3),
    ("ERROR:4.7.1:451 Come back later", "451 4.7.1", 2),
    ("550 Your network has been sending spam", "550 5.0.0", 2),
    ("DISCARD", "discard", 2),
    ("QUARANTINE:to be looked at", "quarantine", 1),
]


class AccessMap:
    """Lines of an access file. Equal arguments give equal text. No key hides another, so each hit's answer is known."""

    def __init__(self, count, seed=1):
        self.random = random.Random(seed)
        self.count = count
        self.lines = []
        self.clients, self.senders, self.rcpts = [], [], []  # (what the client sends, expected answer)
        self.fill()

    def fill(self):
        kinds = [self.domain] * 42 + [self.address] * 28 + [self.ipv4] * 22 + [self.ipv6] * 6 + [self.user] * 2
        numbers = list(range(self.count))
        self.random.shuffle(numbers)
        values = [pair for *pair, weight in VALUES for _ in range(weight)]
        for number in numbers:
            value, answer = self.random.choice(values)
            key = self.random.choice(kinds)(number, answer)
            self.lines.append(f"{key}\t{value}\n")

    def name(self, number):
        return f"d{number:07d}.{TOP_DOMAINS[number % len(TOP_DOMAINS)]}"

    def domain(self, number, answer):
        name = self.name(number)
        tag = self.random.choice(["From:", "From:", "Connect:", "To:", ""])
        if tag in ("From:", ""):
            self.senders.append((f"someone@{self.random.choice(['', 'mail.', 'a.b.'])}{name}", answer))
        if tag == "Connect:":
            self.clients.append((f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255} mx{number % 7}.{name}", answer))
        if tag == "To:":
            self.rcpts.append((f"someone@{name}", self.rcpt_answer(answer)))
        return tag + name

    def address(self, number, answer):
        address = f"user{number % 1000}@{self.name(number)}"
        tag = self.random.choice(["From:", "From:", "To:", ""])
        if tag == "To:":
            self.rcpts.append((address, self.rcpt_answer(answer)))
        else:
            self.senders.append((address, answer))
        return tag + address

    @staticmethod
    def rcpt_answer(answer):
        return REPLY_RCPT_REJECT if answer == "reject" else answer

    def ipv4(self, number, answer):
        """Full addresses and /24 networks, in ranges of their own."""
        a, b, c = 128 + (number >> 16 & 63), number >> 8 & 255, number & 255
        if number % 4:
            key = address = f"{a}.{b}.{c}.{number >> 22 & 255}"
        else:
            key = f"{a - 100}.{b}.{c}" if number < 1 << 22 else f"{a - 64}.{b}.{c}.{number >> 22}"
            address = key if key.count(".") == 3 else f"{key}.{self.random.randrange(256)}"
        self.clients.append((address, answer))
        return self.random.choice(["Connect:", ""]) + key

    def ipv6(self, number, answer):
        prefix = f"2600:{number >> 16:x}:{number & 0xffff:x}"
        self.clients.append((f"{prefix}:0:0:0:0:1", answer))
        return f"Connect:IPv6:{prefix}"

    def user(self, number, answer):
        self.senders.append((f"bulk{number}@anything.miss.test", answer))
        return f"From:bulk{number}@"

    def write_text(self, path):
        with open(path, "w", encoding="ascii") as file:
            file.writelines(self.lines)

    def write_keys(self, folder, name, refusing, limit=50000):
        """The options that make milterload hit entries: those that let mail pass, or all kinds of them."""
        options = []
        for what in ("clients", "senders", "rcpts"):
            keys = [key for key in getattr(self, what) if refusing or key[1] == "continue"][:limit]
            if not keys:
                continue
            path = folder / f"{name}-{what}"
            path.write_text("".join(f"{value}\t{answer}\n" for value, answer in keys), encoding="ascii")
            options += [f"--{what.rstrip('s')}-keys", str(path)]
        return options
