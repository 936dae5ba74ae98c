# SPDX-License-Identifier: GPL-3.0-or-later
"""Random transactions for what hangs on DNS: lists, domains of senders, relaying by MX; and the names that both ask for."""

import random
import sys

from .addresses import mixed
from .known import ERROR_LISTS
from .sendmail import REPOSITORY
from .world import USUAL, Batch, DnsList, FeatureSet, Transaction, make_client

sys.path.insert(0, str(REPOSITORY / "tests/integration"))
from harness import dns_world  # noqa: E402
from harness.dns_world import DnsWorld  # noqa: E402

BATCH_SIZE = 20
TEMPORARY, REFUSED, GONE = "temporary.script.test", "refused.script.test", "gone.script.test"
ERRORS = ERROR_LISTS[0]

CLIENTS = (
    (dns_world.CLEAN, "host.neutral.test"), (dns_world.LISTED, None), (dns_world.LISTED, "listed.zone.test"),
    (dns_world.CODE_4, "a.b.test"), (dns_world.CODE_10, "spam.test"), (dns_world.TWICE, "x.a.b.test"),
    (dns_world.THRICE, "mail.partner.test"), ("10.1.2.3", "a.b.test"), ("127.0.0.1", "localhost"), ("203.0.113.77", "third.test"),
    (f"IPv6:{dns_world.CLEAN_V6.replace('::', ':0:0:0:0:')}", "host.neutral.test"),
)
# Of zone.test unless they have a dot.
DOMAINS = (
    "zone.test", "zone.test", "mail", "only-a", "only-aaaa", "only-txt", "null-mx", "mx-without-address", "nothing", "no.such",
    "loop", "many", "mx-to-loopback", "mx-to-private", "mx-mixed", "mx-us", "mx-second", "mx-equal", "mx-alias",
    "spammer.test", "xn--bcher-kva.test", "mx.home.example", "home.example", f"x.{TEMPORARY}", f"x.{REFUSED}", "nowhere.test",
    "local.example", "partner.test", "a.partner.test", "alias", "alias-to-nothing",
)
LITERALS = ("[192.0.2.10]", "[192.0.2.66]", "[192.0.2.67]", "[192.0.2.1]")
REVERSE = ("192.0.2.10 mail.zone.test", "192.0.2.66 TEMP")
REPLIES = ("", "", "550 5.7.9 Not from there. See http://list.test/", "550 Mail from %{client} refused",
           "554 5.7.0 %{client} is not welcome")
LISTS = ("ip.bl.test", "ip.bl.test", "low.bl.test", "other.bl.test", "allow.bl.test", TEMPORARY, ERRORS, GONE)
MATCHES = ((), (), ("127.0.0.2",), ("127.0.0.4", "127.0.0.10"), ("127.0.0.99",))
CHANCES = {
    "badmx": 0.25, "relay_based_on_MX": 0.5, "accept_unresolvable_domains": 0.3, "accept_unqualified_senders": 0.2,
    "blocklist_recipients": 0.4, "require_rdns": 0.2, "lookupdotdomain": 0.2, "relay_entire_domain": 0.2,
    "relay_hosts_only": 0.2, "relaytofulladdress": 0.2, "loose_relay_check": 0.2, "promiscuous_relay": 0.05,
}
VALUES = ("OK", "OK", "RELAY", "REJECT", "DISCARD", '"550 5.7.4 Not you"', "QUARANTINE:odd", "SKIP")


def domain(rng):
    name = rng.choice(DOMAINS)
    return name if "." in name and name != "no.such" else f"{name}.zone.test"


def _address(rng, by_mx=False):
    """by_mx: whose mail is relayed may hang on the MX of its domain."""
    roll = rng.random()
    user = rng.choice(("joe", "joe", "jim+x", "ann"))
    if roll < 0.05:
        return f"<{user}>"
    if roll < 0.12:
        return f"<{user}@{rng.choice(LITERALS)}>"
    if roll < 0.20:
        outer = "partner.test" if by_mx else domain(rng)
        return f"<{user}%{domain(rng)}@{rng.choice((outer, 'local.example'))}>"
    return f"<{user}@{mixed(rng, domain(rng))}>"


def _transaction(rng, features):
    addr, name = rng.choice(CLIENTS)
    resolve = rng.choices(("OK", "FORGED", "TEMP"), (80, 10, 10))[0] if name else "FAIL"
    client = make_client(addr, name, resolve)
    sender = "<>" if rng.random() < 0.07 else _address(rng)
    by_mx = features.has("relay_based_on_MX")
    recipients = tuple("<joe@local.example>" if rng.random() < 0.4 else _address(rng, by_mx) for _ in range(rng.choice((1, 1, 2))))
    return Transaction(client, "host.neutral.test", sender, recipients)


def _lists(rng):
    chosen = []
    for zone in rng.sample(sorted(set(LISTS)), rng.choice((0, 1, 1, 2, 3))):
        match, reply, action = rng.choice(MATCHES), rng.choice(REPLIES), rng.choices(("reject", "discard", "quarantine"), (8, 1, 1))[0]
        chosen.append(DnsList(zone, match, reply, action, rng.choice(("ignore", "451"))))
    return tuple(chosen)


def _features(rng):
    names = {name for name, chance in CHANCES.items() if rng.random() < chance}
    delayed = rng.choice((None, None, "delay_checks", "delay_checks_friend", "delay_checks_hater"))
    return FeatureSet(frozenset(names | ({delayed} if delayed else set())), dns=True, lists=_lists(rng))


def _access(rng):
    """Keys of names that have no alias: Sendmail asks for the target of one instead."""
    keys = [f"Connect:{rng.choice(CLIENTS)[0]}", "Connect:127.30", "Connect:10.1.2", "Connect:third.test", f"From:joe@{domain(rng)}",
            f"From:{domain(rng)}", f"To:{domain(rng)}", "From:zone.test", "To:zone.test", "From:joe@", "To:joe@", "Spam:joe@",
            f"Spam:{domain(rng)}", f"{domain(rng)}", "From:nowhere.test", f"From:{TEMPORARY}", "From:[192.0.2.67]"]
    chosen = [key for key in rng.sample(keys, rng.randrange(0, 6)) if "alias" not in key and "mail.zone" not in key]
    lines = []
    for key in dict.fromkeys(chosen):
        value = rng.choice(("FRIEND", "HATER")) if key.startswith("Spam:") else rng.choice(VALUES)
        lines.append(f"{key} {'OK' if value == 'SKIP' and '@' in key else value}")
    return lines


def batch(seed, number, server, size=BATCH_SIZE):
    rng = random.Random(f"{seed}/dns/{number}")
    chosen, control = _features(rng), rng.choice(("mta", "milter", "milter"))
    return Batch(number, chosen, _access(rng), [_transaction(rng, chosen) for _ in range(size)], False, USUAL, control, server)


def batches(seed, count, server):
    for number in range((count + BATCH_SIZE - 1) // BATCH_SIZE):
        yield batch(seed, number, server, min(BATCH_SIZE, count - number * BATCH_SIZE))


class World(DnsWorld):
    """The servers of the integration tests, and what only this test asks them."""

    def __init__(self, folder):
        super().__init__(folder)
        zone = self.server.zone
        for name in (TEMPORARY, REFUSED):
            zone.manner(name, "servfail" if name == TEMPORARY else "refused")
        zone.everything_below(ERRORS, "A", "127.255.255.254")
        for name in ("b.test", "a.b.test", "x.a.b.test", "spam.test", "third.test", "partner.test", "a.partner.test", "local.example"):
            zone.add(name, "A", "192.0.2.20")
        zone.add("9.9.9.10.bl.example", "A", "127.0.0.2")
        zone.add("10.2.0.192.in-addr.arpa", "PTR", "mail.zone.test")
        zone.manner("66.2.0.192.in-addr.arpa", "servfail")
