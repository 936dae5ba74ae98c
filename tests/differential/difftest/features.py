# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature sets that the test goes through: each option alone, known awkward pairs, and a fixed random rest."""

import random

from .world import FeatureSet

REJECT = "550 5.7.9 Not wanted here, please go away"
RCPT_REJECT = "550 5.1.6 Mailbox has moved. Ask for the new one"
OWN_TEXTS = (("reject_message", REJECT), ("recipient_reject_message", RCPT_REJECT))

SINGLE = (
    "accept_unqualified_senders", "block_bad_helo", "blocklist_recipients", "delay_checks", "delay_checks_friend",
    "delay_checks_hater", "lookupdotdomain", "loose_relay_check", "nopercenthack_nospecial", "nopercenthack_reject",
    "nouucp_nospecial", "nouucp_reject", "promiscuous_relay", "relay_entire_domain", "relay_hosts_only",
    "relay_local_from", "relay_mail_from", "relay_mail_from_domain", "relaytofulladdress", "require_rdns",
    "use_client_ptr",
)
PAIRS = (
    ("blocklist_recipients", "delay_checks"),
    ("blocklist_recipients", "delay_checks_friend"),
    ("blocklist_recipients", "delay_checks_hater"),
    ("blocklist_recipients", "lookupdotdomain"),
    ("blocklist_recipients", "loose_relay_check"),
    ("blocklist_recipients", "nopercenthack_reject", "nouucp_reject"),
    ("blocklist_recipients", "nopercenthack_nospecial", "nouucp_nospecial"),
    ("blocklist_recipients", "relay_entire_domain"),
    ("blocklist_recipients", "relay_hosts_only"),
    ("blocklist_recipients", "relay_hosts_only", "relaytofulladdress"),
    ("blocklist_recipients", "promiscuous_relay", "delay_checks"),
    ("block_bad_helo", "delay_checks"),
    ("block_bad_helo", "delay_checks", "blocklist_recipients", "require_rdns"),
    ("require_rdns", "use_client_ptr"),
    ("require_rdns", "delay_checks", "use_client_ptr"),
    ("accept_unqualified_senders", "delay_checks"),
)
# chance of each option in a random set
RANDOM_CHANCE = {
    "accept_unqualified_senders": 0.3, "block_bad_helo": 0.3, "blocklist_recipients": 0.75, "lookupdotdomain": 0.4,
    "loose_relay_check": 0.25, "relay_entire_domain": 0.4, "relay_hosts_only": 0.3, "relay_local_from": 0.1,
    "relay_mail_from": 0.1, "relaytofulladdress": 0.2, "require_rdns": 0.3, "use_client_ptr": 0.3,
    "promiscuous_relay": 0.05, "skip": 0.3,
}
RANDOM_CHOICE = (
    ((None, 4), ("delay_checks", 3), ("delay_checks_friend", 2), ("delay_checks_hater", 2)),
    ((None, 6), ("nopercenthack_nospecial", 1), ("nopercenthack_reject", 1)),
    ((None, 6), ("nouucp_nospecial", 1), ("nouucp_reject", 1)),
)
RANDOM_SETS = 72


def _pick(rng, weighted):
    return rng.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def _random_set(rng):
    names = {name for name, chance in RANDOM_CHANCE.items() if rng.random() < chance}
    names |= {name for name in (_pick(rng, choice) for choice in RANDOM_CHOICE) if name}
    trust = ("PLAIN", "LOGIN") if rng.random() < 0.3 else ()
    messages = OWN_TEXTS if rng.random() < 0.15 else ()
    return FeatureSet(frozenset(names), trust, messages)


def all_sets():
    """The list is the same for every seed: set number N can be asked for by its number."""
    rng = random.Random("postern feature sets")
    sets = [FeatureSet(frozenset())]
    sets += [FeatureSet(frozenset({name})) for name in SINGLE]
    sets += [FeatureSet(frozenset(names)) for names in PAIRS]
    sets.append(FeatureSet(frozenset({"blocklist_recipients"}), messages=OWN_TEXTS))
    sets.append(FeatureSet(frozenset({"blocklist_recipients", "delay_checks"}), ("PLAIN", "LOGIN")))
    seen = set(sets)
    while len(sets) < 1 + len(SINGLE) + len(PAIRS) + 2 + RANDOM_SETS:
        new = _random_set(rng)
        if new not in seen:
            seen.add(new)
            sets.append(new)
    return sets


def parse(text):
    """A feature set from the command line: names with commas between them, trust=PLAIN+LOGIN, own_texts."""
    names, trust, messages = set(), (), ()
    for word in filter(None, text.replace(" ", ",").split(",")):
        if word.startswith("trust="):
            trust = tuple(word[6:].split("+"))
        elif word == "own_texts":
            messages = OWN_TEXTS
        else:
            names.add(word)
    return FeatureSet(frozenset(names), trust, messages)


def spell(features):
    """The opposite of parse()."""
    words = sorted(features.features)
    words += ["trust=" + "+".join(features.trust_auth)] if features.trust_auth else []
    words += ["own_texts"] if features.messages else []
    return ",".join(words)
