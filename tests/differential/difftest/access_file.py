# SPDX-License-Identifier: GPL-3.0-or-later
"""Random access files whose keys are made from the transactions that will ask for them."""

import ipaddress

from .addresses import mixed

TAGS = ("Connect", "From", "To", "Spam")
DSN = ("5.7.1", "5.1.1", "5.2.0", "4.7.1", "4.2.2", "5.0.0")
WORDS = ("No thanks", "Go away, spammer. Bye", "User unknown", "Mailbox full; try later", "see http://b.test/why?x=1",
         "100% spam", "Blocked [list 4]", "mail from you: refused", "write to joe@b.test", "a+b=c", "Busy/closed", "no", "N.B. x")
VALUES = (
    ("keyword", 60), ("code", 8), ("code_dsn", 8), ("quoted", 6), ("error_dsn_code", 10), ("error_dsn_code_dsn", 3),
    ("error_dsn_text", 3), ("error_code", 4), ("error_quoted", 5), ("quarantine", 9), ("quarantine_quoted", 4),
    ("friend", 3), ("odd", 2.5),
)
ODD = (
    "FRIEND", "HATER", "SPAMFRIEND", "SPAMHATER", "REJECTED", "OK then", "REJECT:x", '"REJECT"', "RELAY # why", "250 fine",
    "550", "ERROR:", "QUARANTINE:", "blah", "ERROR:text only", "ERROR:5.7:550 x", "ERROR:5.7.1:", "550 5.7.1", "354 go on",
    "ERROR:9.9.9:550 x", "600 six", "550 a < b", 'ERROR:5.7.1:"550 x', "REJECT (spam)", "550 Go (comment) away", "SKIP it",
    "ERROR:550 x", "ERROR: 550 x", "DISCARD:x", "DISCARD me", "421 4.7.0 Bye", "ERROR:4.7.0:421 Bye", "550 say \"hi\" now",
    "450 5.7.1 odd pair", "ERROR:5.7.1:450 odd pair", "Quarantine: x y", "OK.", "550  two  blanks", "550\tTab here", "RELAY RELAY",
)
CERTIFICATE_VALUES = ("RELAY", "RELAY", "SUBJECT", "SUBJECT", "SUBJECT", "OK", "REJECT", "SKIP")


def _code(rng, dsn=None):
    if dsn:
        return "451" if dsn[0] == "4" and rng.random() < 0.9 else "550"
    return rng.choice(("550", "550", "553", "554", "571", "450", "451", "452", "421"))


RELAY_SHARE = 0.35  # of all right-hand sides, where relaying is decided
CERTIFICATE_CHANCE = 0.5  # that a file has lines for certificates
COMPAT_LINES = 24  # at most; as many for each feature that looks at whole addresses


def value(rng, tag):
    kind = rng.choices([k for k, _ in VALUES], [w for _, w in VALUES])[0]
    text, dsn = rng.choice(WORDS), rng.choice(DSN)
    if tag == "Spam" and rng.random() < 0.7:
        return mixed(rng, rng.choice(("FRIEND", "HATER")))
    made = {
        "keyword": lambda: mixed(rng, rng.choices(("REJECT", "OK", "RELAY", "DISCARD", "SKIP"), (30, 22, 22, 12, 14))[0]),
        "code": lambda: f"{_code(rng)} {text}",
        "code_dsn": lambda: f"{_code(rng, dsn)} {dsn} {text}",
        "quoted": lambda: f'"{_code(rng, dsn)} {dsn} {text}"',
        "error_dsn_code": lambda: f"{mixed(rng, 'ERROR')}:{dsn}:{_code(rng, dsn)} {text}",
        "error_dsn_code_dsn": lambda: f"ERROR:{dsn}:{_code(rng, dsn)} {rng.choice(DSN)} {text}",
        "error_dsn_text": lambda: f"ERROR:{dsn}:{text}",
        "error_code": lambda: f"ERROR:{_code(rng)} {text}",
        "error_quoted": lambda: f'ERROR:{dsn}:"{_code(rng, dsn)} {text}"',
        "quarantine": lambda: f"{mixed(rng, 'QUARANTINE')}:{text}",
        "quarantine_quoted": lambda: f'QUARANTINE:"{text}"',
        "friend": lambda: rng.choice(("FRIEND", "HATER")) if tag == "Spam" else "REJECT",
        "odd": lambda: rng.choice(ODD),
    }
    return made[kind]()


def _prefixes(addr):
    separator = ":" if addr.startswith("IPv6") else "."
    parts = addr.split(separator)
    return [separator.join(parts[:n]) for n in range(1, len(parts) + 1)]


def _domain_keys(rng, domain):
    domain = domain.rstrip(".")
    if domain.startswith("["):
        return [domain, "[" + rng.choice(_prefixes(domain[1:-1])) + "]"]
    labels = domain.split(".")
    parents = [".".join(labels[n:]) for n in range(len(labels))]
    keys = parents + ["." + rng.choice(parents)]
    if rng.random() < 0.05:
        keys.append(rng.choice(parents) + ".")
    return keys


def _user_keys(user):
    keys = [user]
    if "+" in user:
        base = user.split("+")[0]
        keys += [base, base + "+*", base + "+"]
    return [key for key in keys if key]


def network_key(rng, addr):
    """A key that Sendmail does not know: CIDR, or IPv6 compressed or with a prefix length."""
    if addr.startswith("IPv6:"):
        address = ipaddress.ip_address(addr[5:])
        length = rng.choice((128, 128, 112, 64, 48, 46, 32, 31, 30, 28))
        network = ipaddress.ip_network((address, length), strict=False)
        return f"IPv6:{network.network_address}" if length == 128 and rng.random() < 0.6 else f"IPv6:{network}"
    return str(ipaddress.ip_network((addr, rng.choice((32, 30, 29, 25, 24, 23, 20, 16, 15, 10, 8))), strict=False))


def connect_key(rng, client):
    if rng.random() < 0.08:
        return network_key(rng, client.addr)
    keys = _domain_keys(rng, client.name)
    if client.ptr and client.ptr != client.name:
        keys += _domain_keys(rng, client.ptr)
    keys += _prefixes(client.addr)[-4:]
    return rng.choice(keys)


def address_key(rng, addr):
    if not addr.users:
        return rng.choice(("<>", "joe@", "b.test"))
    user, domain = rng.choice(addr.users), rng.choice(addr.domains).rstrip(".")
    user = rng.choice(_user_keys(user))
    roll = rng.random()
    if roll < 0.35:
        key = f"{user}@{domain}"
    elif roll < 0.6:
        key = f"{user}@"
    elif roll < 0.98:
        key = rng.choice(_domain_keys(rng, domain))
    else:
        key = rng.choice((user, "@" + domain))
    return key.replace('"', "").replace("\\", "")


def certificate_lines(rng, parts):
    """CERTISSUER: and CERTSUBJECT: for the certificates of these transactions."""
    shown = [p[0] for p in parts if p[0].verify]
    for transaction in shown:
        if rng.random() < 0.7:
            yield f"{mixed(rng, 'CertIssuer:' + transaction.cert_issuer)} {mixed(rng, rng.choice(CERTIFICATE_VALUES))}"
        if rng.random() < 0.4:
            yield f"{mixed(rng, 'CertSubject:' + transaction.cert_subject)} {rng.choice(('RELAY', 'RELAY', 'OK', 'REJECT'))}"


def compat_value(rng):
    text = rng.choice(WORDS)
    return rng.choices((
        mixed(rng, "DISCARD"), f"DISCARD:{text}", f"TEMP:{text}", f'TEMP:"{text}"', f"ERROR:{text}", f'ERROR:"550 {text}"',
        f"ERROR:{_code(rng)} {text}", f"ERROR:550 5.7.1 {text}", f"ERROR:{rng.choice(DSN)}:550 {text}", mixed(rng, "REJECT"),
        "OK", "RELAY", f"550 {text}", value(rng, "Compat"),
    ), (9, 3, 6, 2, 4, 3, 3, 3, 3, 5, 1, 1, 1, 2))[0]


def compat_line(rng, parts):
    transaction, _, recipients = rng.choice(parts)
    pair = [transaction.sender, rng.choice(recipients).text]
    if rng.random() < 0.1:
        pair[rng.randrange(2)] = "<joe@b.test>"
    sender, recipient = (mixed(rng, p[1:-1].replace('"', "").replace("\\", "")) for p in pair)
    if not sender or not recipient or " " in sender + recipient:
        sender, recipient = "joe@b.test", "joe@local.example"
    return f"{mixed(rng, 'Compat')}:{sender}<@>{recipient} {compat_value(rng)}"


def line(rng, parts, relaying=False):
    transaction, sender, recipients = parts
    tag = rng.choices(TAGS, (3, 4, 5, 1.2))[0]
    if tag == "Connect":
        key = connect_key(rng, transaction.client)
    elif tag == "From":
        key = address_key(rng, sender)
    else:
        key = address_key(rng, rng.choice(recipients))
    roll = rng.random()
    if roll < 0.22:
        tag = ""
    elif roll < 0.32:
        tag = rng.choice(TAGS)
    if not key or " " in key:
        key = "b.test"
    full = f"{tag}:{key}" if tag else key
    blanks = rng.choice((" ", "\t", "   ", "\t\t"))
    said = mixed(rng, "RELAY") if relaying and tag != "Spam" and rng.random() < RELAY_SHARE else value(rng, tag)
    return f"{mixed(rng, full)}{blanks}{said}{rng.choice(('', '', '', ' '))}"


def aimed_lines(rng, parts, features):
    """For the features that let addresses relay: entries that fit, or nearly."""
    if any(f.startswith("relay_mail_from") for f in features.features):
        for _ in range(rng.randrange(COMPAT_LINES)):
            yield f"{mixed(rng, 'From')}:{mixed(rng, address_key(rng, rng.choice(parts)[1]))} {said_of_relaying(rng)}"
    if features.has("relaytofulladdress"):
        for _ in range(rng.randrange(COMPAT_LINES)):
            recipient = rng.choice(rng.choice(parts)[2])
            yield f"{mixed(rng, rng.choice(('To:', 'To:', '')))}{mixed(rng, address_key(rng, recipient))} {said_of_relaying(rng)}"


def said_of_relaying(rng):
    return mixed(rng, rng.choice(("RELAY", "RELAY", "RELAY", "OK", "SKIP", "REJECT")))


def access_file(rng, parts, features, relaying=False):
    lines = [line(rng, rng.choice(parts), relaying) for _ in range(rng.choice((0, 3, 10, 20, 30, 45)))]
    if rng.random() < CERTIFICATE_CHANCE:
        lines += certificate_lines(rng, parts)
    if features.has("compat_check"):
        lines += [compat_line(rng, parts) for _ in range(rng.randrange(COMPAT_LINES))]
    if relaying:
        lines += [text for text in aimed_lines(rng, parts, features) if len(text.split()) == 2]
    rng.shuffle(lines)
    for _ in range(len(lines) // 12):
        twin = rng.choice(lines).split()[0]
        lines.append(f"{mixed(rng, twin)} {value(rng, '')}")
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(("# a comment", "", "#From:b.test REJECT")))
    return lines
