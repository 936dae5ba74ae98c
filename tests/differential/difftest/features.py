# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature sets that the test goes through: each option alone, pairs, and a fixed random rest."""

import itertools
import random

from .world import FeatureSet

REJECT = "550 5.7.9 Not wanted here, please go away"
RCPT_REJECT = "550 5.1.6 Mailbox has moved. Ask for the new one"
RELAY = "554 5.7.8 We are no relay for you. Sorry"
OWN_TEXTS = (("reject_message", REJECT), ("recipient_reject_message", RCPT_REJECT), ("relay_message", RELAY))
TRUST = ("PLAIN", "LOGIN")

# The features that say who may relay, and those that change how that is decided.
RELAYING = (
    "loose_relay_check", "nopercenthack_nospecial", "nopercenthack_reject", "nouucp_nospecial", "nouucp_reject",
    "promiscuous_relay", "relay_entire_domain", "relay_hosts_only", "relay_local_from", "relay_mail_from",
    "relay_mail_from_domain", "relaytofulladdress",
)
BESIDE = ("blocklist_recipients", "compat_check", "delay_checks", "delay_checks_friend", "delay_checks_hater", "lookupdotdomain")
SINGLE = (
    "accept_unqualified_senders", "block_bad_helo", *BESIDE, *RELAYING, "require_rdns", "use_client_ptr",
)
PAIRS = (
    ("blocklist_recipients", "delay_checks"),
    ("blocklist_recipients", "delay_checks_friend"),
    ("blocklist_recipients", "delay_checks_hater"),
    ("blocklist_recipients", "lookupdotdomain"),
    ("blocklist_recipients", "nopercenthack_reject", "nouucp_reject"),
    ("blocklist_recipients", "nopercenthack_nospecial", "nouucp_nospecial"),
    ("blocklist_recipients", "relay_hosts_only", "relaytofulladdress"),
    ("blocklist_recipients", "promiscuous_relay", "delay_checks"),
    ("block_bad_helo", "delay_checks"),
    ("block_bad_helo", "delay_checks", "blocklist_recipients", "require_rdns"),
    ("require_rdns", "use_client_ptr"),
    ("require_rdns", "delay_checks", "use_client_ptr"),
    ("accept_unqualified_senders", "delay_checks"),
)
EXCLUSIVE = (  # one feature with one of two arguments
    {"nopercenthack_nospecial", "nopercenthack_reject"}, {"nouucp_nospecial", "nouucp_reject"},
    {"relay_mail_from", "relay_mail_from_domain"},
)
# chance of each option in a random set
RANDOM_CHANCE = {
    "accept_unqualified_senders": 0.3, "block_bad_helo": 0.2, "blocklist_recipients": 0.6, "lookupdotdomain": 0.3,
    "loose_relay_check": 0.25, "relay_entire_domain": 0.35, "relay_hosts_only": 0.3, "relay_local_from": 0.2,
    "relaytofulladdress": 0.3, "require_rdns": 0.2, "use_client_ptr": 0.3, "promiscuous_relay": 0.05, "skip": 0.3,
    "compat_check": 0.25,
}
RANDOM_CHOICE = (
    ((None, 4), ("delay_checks", 3), ("delay_checks_friend", 2), ("delay_checks_hater", 2)),
    ((None, 6), ("nopercenthack_nospecial", 1), ("nopercenthack_reject", 1)),
    ((None, 6), ("nouucp_nospecial", 1), ("nouucp_reject", 1)),
    ((None, 5), ("relay_mail_from", 1), ("relay_mail_from_domain", 1)),
)
TRUST_CHOICE = (((), 10), (TRUST, 4), (("any",), 1))
RANDOM_SETS = 200


def _pick(rng, weighted):
    return rng.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def _random_set(rng):
    names = {name for name, chance in RANDOM_CHANCE.items() if rng.random() < chance}
    names |= {name for name in (_pick(rng, choice) for choice in RANDOM_CHOICE) if name}
    messages = OWN_TEXTS if rng.random() < 0.15 else ()
    return FeatureSet(frozenset(names), _pick(rng, TRUST_CHOICE), messages, "cn" if rng.random() < 0.15 else "dn")


def relaying_pairs():
    """All pairs that say something about relaying."""
    for pair in itertools.combinations((*RELAYING, *BESIDE), 2):
        if set(pair) & set(RELAYING) and not any(set(pair) == both for both in EXCLUSIVE):
            yield pair


def _fixed_sets():
    yield FeatureSet(frozenset())
    for name in SINGLE:
        yield FeatureSet(frozenset({name}))
    for names in itertools.chain(PAIRS, relaying_pairs()):
        yield FeatureSet(frozenset(names))
    for trust, certificate in ((TRUST, "dn"), (("any",), "dn"), ((), "cn")):
        yield FeatureSet(frozenset(), trust, (), certificate)
        yield FeatureSet(frozenset({"delay_checks"}), trust, (), certificate)
    yield FeatureSet(frozenset(), messages=OWN_TEXTS)
    yield FeatureSet(frozenset(), TRUST, OWN_TEXTS)
    yield FeatureSet(frozenset({"blocklist_recipients"}), messages=OWN_TEXTS)
    yield FeatureSet(frozenset({"blocklist_recipients", "delay_checks"}), TRUST)
    yield FeatureSet(frozenset({"compat_check"}), messages=OWN_TEXTS)


def all_sets():
    """The list is the same for every seed: set number N can be asked for by its number."""
    rng = random.Random("postern feature sets")
    sets = list(dict.fromkeys(_fixed_sets()))
    seen, fixed = set(sets), len(sets)
    while len(sets) < fixed + RANDOM_SETS:
        new = _random_set(rng)
        if new not in seen:
            seen.add(new)
            sets.append(new)
    return sets


def parse(text):
    """A feature set from the command line: names with commas between them, trust=PLAIN+LOGIN, cert=cn, own_texts."""
    names, trust, messages, certificate = set(), (), (), "dn"
    for word in filter(None, text.replace(" ", ",").split(",")):
        if word.startswith("trust="):
            trust = tuple(word[6:].split("+"))
        elif word.startswith("cert="):
            certificate = word[5:]
        elif word == "own_texts":
            messages = OWN_TEXTS
        else:
            names.add(word)
    return FeatureSet(frozenset(names), trust, messages, certificate)


def spell(features):
    """The opposite of parse()."""
    words = sorted(features.features)
    words += ["trust=" + "+".join(features.trust_auth)] if features.trust_auth else []
    words += [f"cert={features.certificate}"] if features.certificate != "dn" else []
    words += ["own_texts"] if features.messages else []
    return ",".join(words)
