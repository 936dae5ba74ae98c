# SPDX-License-Identifier: GPL-3.0-or-later
"""Random clients, HELO names, certificates, senders and recipients."""

import random
from dataclasses import dataclass, field

from . import world
from .world import Transaction, make_client

DOMAINS = (
    "b.test", "a.b.test", "x.a.b.test", "spam.test", "third.test", "partner.test", "a.partner.test", "ab.test",
    "local.example", "sub.local.example", "mx.home.example", "home.example", "h.home.example", "test", "neutral.test",
    "localhost", "localhost.home.example", "localhost.UUCP", "single", "xn--bcher-kva.test", "a_b.test", "b.uucp",
)
REMOTE = ("b.test", "a.b.test", "x.a.b.test", "spam.test", "third.test", "partner.test", "a.partner.test", "neutral.test")
LITERALS = (
    "[10.1.2.3]", "[10.1.20.3]", "[192.0.2.1]", "[127.0.0.1]", "[IPv6:2001:db8:0:0:0:0:0:1]", "[IPv6:0:0:0:0:0:0:0:1]",
    "[IPv6:::1]", "[IPv6:2001:db8::1]", "[203.0.113.5]", "[IPv6:2001:db8:9:0:0:0:0:5]",
)
PLAIN_USERS = ("joe", "joe", "joe", "jim", "postmaster", "j.o.e", "root")
DETAIL_USERS = ("joe+x", "joe+x", "jim+list", "joe+x+y", "joe+", "+x", "joe+*")
QUOTED_USERS = ('"joe"', '"joe b"', '"joe+x"', '"joe+x y"', '"joe.b"', '"jo\\"e"', '"joe,b"', '"joe;b"')
ODD_USERS = ("joe/x", "joe-x", "joe^x", "j=o", "joe'x", "#joe", "joe.", "jo..e", "j{o}e", "joe~", "joe_x", "jo*e")
ADDRESSES = (
    "10.1.2.3", "10.1.2.3", "10.1.2.4", "10.1.20.3", "10.11.2.3", "10.2.3.4", "192.168.7.9", "203.0.113.77", "203.0.11.3",
    "198.18.0.1", "192.0.2.1", "127.0.0.1", "127.1.2.3", "IPv6:2001:db8:0:0:0:0:0:1", "IPv6:2001:db8:1:2:3:4:5:6",
    "IPv6:0:0:0:0:0:0:0:1", "IPv6:2001:db8:99:0:0:0:0:5", "IPv6:2001:db8:9:0:0:0:0:5",
)
CLIENT_NAMES = (
    "a.b.test", "a.b.test", "b.test", "x.a.b.test", "spam.test", "host.neutral.test", "mail.partner.test", "third.test",
    "a.home.example", "mx.home.example", "ab.test", "single", "test", "local.example", "10.1.test", "A.B.Test",
    "x+partner.test", "x/a.b.test", "xpartner.test",
)
MECHANISMS = ("plain", *world.MECHANISMS)
# {verify} and how often; no others are sent by a server that asks for certificates
VERIFY = (("OK", 70), ("TRUSTED", 3), ("NO", 6), ("FAIL", 6), ("NOT", 4), ("NONE", 4), ("ok", 3))
ISSUERS = ("/C=XY/O=Example+20Org/CN=Root+20CA", "/O=b.test/CN=ca.b.test/emailAddress=ca@b.test", "/CN=Spam+2C+20Inc.")
SUBJECTS = ("/C=XY/O=Example+20Org/CN=joe", "/O=b.test/CN=A.B.Test", "/CN=spam.test/emailAddress=joe+2Bx@spam.test")
COMMON_ISSUERS, COMMON_SUBJECTS = ("ca.b.test", "Root-CA"), ("a.b.test", "joe")


@dataclass
class Address:
    text: str
    users: list = field(default_factory=list)
    domains: list = field(default_factory=list)


def mixed(rng, text, chance=0.2):
    """Case never matters, so it is changed now and then."""
    if rng.random() >= chance:
        return text
    return "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in text)


def _user(rng):
    pool = rng.choices((PLAIN_USERS, DETAIL_USERS, QUOTED_USERS, ODD_USERS), (60, 24, 9, 7))[0]
    return mixed(rng, rng.choice(pool))


def _domain(rng, local):
    roll = rng.random()
    if roll < local:
        return mixed(rng, rng.choice(("local.example", "local.example", "mx.home.example", "localhost")))
    if roll < 0.9:
        return mixed(rng, rng.choice(DOMAINS))
    return mixed(rng, rng.choice(LITERALS))


def _inner(user):
    """A local part as it can stand inside quotes."""
    return user.replace('"', "").replace("\\", "")


SHAPES = (
    ("plain", 58), ("bare", 5), ("percent", 6), ("bang", 5), ("bang_bare", 2), ("percent_bare", 2), ("two_percent", 2),
    ("two_bang", 2), ("quoted_at", 3), ("quoted_percent", 2), ("quoted_bang", 1), ("route", 3), ("two_routes", 1),
    ("dot", 3), ("mixed_hack", 2), ("comment", 1), ("literal_port", 0.3), ("broken", 1.5),
)
# Where relaying is decided: more of what may hide another host, and forms that need no judging otherwise.
TRICKS = SHAPES + (
    ("percent", 6), ("bang", 4), ("mixed_hack", 4), ("quoted_at", 4), ("quoted_percent", 3), ("quoted_bang", 3),
    ("quoted_bare_at", 2), ("quoted_bare_percent", 1), ("quoted_bare_bang", 1), ("quoted_at_percent", 1),
    ("bang_quoted_at", 1), ("percent_dot", 1), ("dots", 1), ("percent_literal", 2), ("bang_percent", 1), ("deep_percent", 1),
    ("literal_route", 1), ("two_quoted", 1), ("blanks", 1), ("eight_bit", 1), ("encoded", 1), ("quoted_detail", 1),
)


def _broken(rng, user, domain):
    if ":" in domain:
        domain = "third.test"  # Sendmail takes the colons of an IPv6 literal for those of a route
    return rng.choice((
        f"<{user}@>", f"<@{domain}>", f"<{user}@{domain}@third.test>", f"<{user}@.{domain}>", f"<{user}@third..test>",
        f"<h:{user}@{domain}>", f"<{user}@[1.2.3.4]x>", f"<%{domain}>",
    ))


def address(rng, local, shapes=SHAPES):
    """`local` is the share of own domains."""
    user, domain = _user(rng), _domain(rng, local)
    other, third = mixed(rng, rng.choice(DOMAINS)), mixed(rng, rng.choice(REMOTE))
    shape = rng.choices([s for s, _ in shapes], [w for _, w in shapes])[0]
    inner = _inner(user)
    forms = {
        "plain": f"{user}@{domain}",
        "bare": user,
        "percent": f"{user}%{other}@{domain}",
        "bang": f"{other}!{user}@{domain}",
        "bang_bare": f"{other}!{user}",
        "percent_bare": f"{user}%{other}",
        "two_percent": f"{user}%{third}%{other}@{domain}",
        "two_bang": f"{other}!{third}!{user}@{domain}",
        "quoted_at": f'"{inner}@{other}"@{domain}',
        "quoted_percent": f'"{inner}%{other}"@{domain}',
        "quoted_bang": f'"{other}!{inner}"@{domain}',
        "route": f"@{other}:{user}@{domain}",
        "two_routes": f"@{other},@{third}:{user}@{domain}",
        "dot": f"{user}@{domain}.",
        "mixed_hack": f"{third}!{user}%{other}@{domain}",
        "comment": f"{user}(c)@{domain}",
        "literal_port": f"{user}@{domain}:25",
        "quoted_bare_at": f'"{inner}@{other}"',
        "quoted_bare_percent": f'"{inner}%{other}"',
        "quoted_bare_bang": f'"{other}!{inner}"',
        "quoted_at_percent": f'"{inner}@{other}"%{third}@{domain}',
        "bang_quoted_at": f'{third}!"{inner}@{other}"@{domain}',
        "percent_dot": f"{user}%{other}.@{domain}.",
        "dots": f"{user}@{domain}..",
        "percent_literal": f"{user}%{rng.choice(LITERALS)}@{domain}",
        "bang_percent": f"{other}!{user}%{third}",
        # Sendmail takes the colons of a literal inside for those of a list
        "deep_percent": f"{user}%{third}%{other}%{third if ':' in domain else domain}%{other}@{domain}",
        "literal_route": f"@[192.0.2.1]:{user}@{domain}",
        "two_quoted": f'"\\"{inner}@{other}\\"@{third}"@{domain}',
        "blanks": f"{user} @ {domain}",
        "eight_bit": f"jo\u00eb@{other}@{domain}" if rng.random() < 0.3 else f"jo\u00eb%{other}@{domain}",
        "encoded": f"{user}%40{other}@{domain}",
        "quoted_detail": f'"joe+x@{other}"%{third}@{domain}',
    }
    text = _broken(rng, user, domain) if shape == "broken" else f"<{forms[shape]}>"
    return Address(text, [user, inner], [domain, other, third])


def sender(rng, relaying=False):
    roll = rng.random()
    if roll < 0.06:
        return Address("<>")
    if roll < 0.12:
        literal = rng.choice(("localhost", "[127.0.0.1]", "[IPv6:::1]", "localhost.home.example", "localhost.UUCP"))
        user = rng.choice(PLAIN_USERS)
        return Address(f"<{user}@{mixed(rng, literal)}>", [user], [literal, world.HOSTNAME])
    return address(rng, local=0.25 if relaying else 0)


def recipient(rng, relaying=False):
    if rng.random() < 0.01:
        return Address("<>")
    if rng.random() < 0.03:
        return Address(mixed(rng, "<postmaster>"), ["postmaster"], [world.HOSTNAME])
    return address(rng, 0.3, TRICKS) if relaying else address(rng, 0.45)


def client(rng):
    addr, name = rng.choice(ADDRESSES), rng.choice(CLIENT_NAMES)
    if addr in ("127.0.0.1", "IPv6:0:0:0:0:0:0:0:1") and rng.random() < 0.8:
        return make_client(addr, "localhost")
    resolve = rng.choices(("OK", "FAIL", "TEMP", "FORGED"), (64, 14, 8, 14))[0]
    return make_client(addr, name, resolve)


def helo(rng, who):
    pool = (
        "host.neutral.test", "foo", "mx.home.example", "MX.Home.Example", "local.example", "localhost", f"[{who.addr}]",
        "[10.1.2.3]", "[192.0.2.1]", "[127.0.0.1]", "[IPv6:2001:db8:1:2:3:4:5:6]", "IPv6:2001:db8:1:2:3:4:5:6",
        "[IPv6:0:0:0:0:0:0:0:1]", "foo.", ".foo", "a.b", "a.b.test", "192.0.2.1", "10.1.2.3", "home.example",
    )
    if rng.random() < 0.03 and who.name == who.name.lower():
        return ""  # MAIL without HELO
    if rng.random() < 0.35 and not who.name.startswith("["):
        return who.name
    return mixed(rng, rng.choice(pool), 0.1)


def certificate(rng):
    """{verify}, {cert_subject}, {cert_issuer}"""
    verify = rng.choices([v for v, _ in VERIFY], [w for _, w in VERIFY])[0]
    if rng.random() < 0.25:  # as Postfix has it
        return verify, rng.choice(COMMON_SUBJECTS), rng.choice(COMMON_ISSUERS)
    return verify, rng.choice(SUBJECTS), rng.choice(ISSUERS)


def transaction(rng, relaying=False):
    """A transaction, and the addresses of it for access_file.py."""
    who = client(rng)
    mail = sender(rng, relaying)
    rcpts = [recipient(rng, relaying) for _ in range(rng.choices((1, 2, 3), (60, 28, 12))[0])]
    auth_type = rng.choice(MECHANISMS) if rng.random() < 0.12 else ""
    proof = certificate(rng) if rng.random() < 0.15 else ("", "", "")
    made = Transaction(who, helo(rng, who), mail.text, tuple(r.text for r in rcpts), auth_type, "ann" if auth_type else "", *proof)
    return made, mail, rcpts


def batch_rng(seed, number):
    return random.Random(f"{seed}/{number}")
