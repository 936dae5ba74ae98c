# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction is, and the small world in which all transactions happen.

The world is kept small on purpose: keys of an access file and what is asked for must often meet.
"""

from dataclasses import dataclass

HOSTNAME = "mx.home.example"  # Sendmail's $j
OWN_DOMAIN = "home.example"  # $m, and class m
MECHANISMS = ("PLAIN", "LOGIN", "DIGEST-MD5", "CRAM-MD5")


@dataclass(frozen=True)
class Names:
    """Class w beyond localhost and $j, class R, and class m beyond $m."""

    local: tuple
    relay: tuple
    own: tuple = ()


USUAL = Names(("local.example", "[192.0.2.1]"), ("partner.test", "203.0.113", "IPv6:2001:db8:99"))
WORLDS = (
    USUAL,
    USUAL,
    Names(("Local.Example", "b.test", "[IPv6:2001:db8:9:0:0:0:0:5]"), ("test", "10.1", "IPv6:2001:db8:0", "single")),
    Names(("sub.local.example", "[10.1.2.3]", "a_b.test"), ("b.test", "local.example", "10.1.2.3", "[10.1.20.3]")),
    Names((), ()),
    Names(("a.b.test", "[IPv6:2001:db8:0:0:0:0:0:1]"), ("spam.test", "192.168", "IPv6:2001:db8:1:2"), ("b.test", "third.test")),
    Names(("spam.test",), ("x.a.b.test", "10.0.0.0/14", "IPv6:2001:db8:8::/46", "127.2.0.0/15"), ("Example",)),
)


@dataclass(frozen=True)
class Client:
    """A client as Sendmail's daemon describes it in its macros."""

    addr: str  # "10.1.2.3" or "IPv6:2001:db8:0:0:0:0:0:1"
    name: str  # verified name, or "[addr]"
    resolve: str = "OK"  # OK, FAIL, TEMP, FORGED
    ptr: str = ""  # PTR name, also a forged one; "[addr]" if there is none

    def line(self):
        text = f"{self.name} [{self.addr}]"
        if self.resolve != "OK":
            text += f" {self.resolve}"
        if self.ptr not in ("", self.name):
            text += f" ptr={self.ptr}"
        return text


def make_client(addr, name=None, resolve="OK"):
    """`name` is the PTR name; without OK it never becomes the client's name."""
    literal = f"[{addr}]"
    if resolve == "OK" and name:
        return Client(addr, name, "OK", name)
    ptr = name if resolve == "FORGED" and name else literal
    return Client(addr, literal, resolve, ptr)


@dataclass(frozen=True)
class Transaction:
    client: Client
    helo: str
    sender: str  # as typed, with <>
    recipients: tuple
    auth_type: str = ""
    auth_user: str = ""
    verify: str = ""  # of the client's certificate: OK, NO, FAIL ...
    cert_subject: str = ""
    cert_issuer: str = ""

    def line(self):
        login = f" AUTH {self.auth_type} {self.auth_user}" if self.auth_type else ""
        login += f" VERIFY {self.verify} {self.cert_subject} BY {self.cert_issuer}" if self.verify else ""
        rcpts = " ".join(f"RCPT {r}" for r in self.recipients)
        return f"{self.client.line()} HELO {self.helo or '(none)'}{login} MAIL {self.sender} {rcpts}"


@dataclass(frozen=True)
class DnsList:
    """FEATURE(dnsbl), or FEATURE(enhdnsbl) if there is anything to match."""

    zone: str
    match: tuple = ()  # addresses; none: any
    reply: str = ""
    action: str = "reject"  # discard, quarantine
    on_tempfail: str = "ignore"  # 451

    def line(self):
        words = [self.zone, *self.match, self.reply and repr(self.reply), self.action, self.on_tempfail]
        return "list(" + " ".join(filter(None, words)) + ")"


@dataclass(frozen=True)
class FeatureSet:
    """Names are those of postern.conf; `messages` are the keys *_message that are set."""

    features: frozenset
    trust_auth: tuple = ()
    messages: tuple = ()  # pairs (key, text)
    certificate: str = "dn"  # relay_by_certificate
    dns: bool = False  # both may ask a DNS server; otherwise accept_unresolvable_domains is always set
    lists: tuple = ()  # of DnsList

    def has(self, name):
        return name in self.features

    @property
    def delayed(self):
        return any(f.startswith("delay_checks") for f in self.features)

    def message(self, key):
        return dict(self.messages).get(key)

    def line(self):
        words = sorted(self.features)
        words += [f"trust_auth_mech={','.join(self.trust_auth)}"] if self.trust_auth else []
        words += [f"{key}={text!r}" for key, text in self.messages]
        words += [f"relay_by_certificate={self.certificate}"] if self.certificate != "dn" else []
        words += ["dns"] if self.dns else []
        words += [one.line() for one in self.lists]
        return " ".join(words) or "(none)"


@dataclass
class Batch:
    """Transactions that share features and an access file: one run of Sendmail's address test mode."""

    number: int
    features: FeatureSet
    access: list  # lines of the access file
    transactions: list
    map_missing: bool = False
    names: Names = USUAL
    relay_control: str = "mta"
    dns_server: str = ""  # ADDRESS:PORT, for features.dns

    @property
    def relaying(self):
        """Does postern decide on relaying?"""
        return self.relay_control == "milter"
