# SPDX-License-Identifier: GPL-3.0-or-later
"""The deliberate differences between postern and Sendmail, one by one.

Each function says exactly when its difference applies and what postern does instead; each use is counted. The numbers are
those of the README's table. There is no other excuse: whatever these functions do not turn Sendmail's answer into is a
failure of the test.
"""

import ipaddress
import re
import threading
from collections import Counter
from dataclasses import replace

from . import world
from .oracle import GOOD_HELO, trusted_login
from .reply import CONTINUE, RE_DSN, Verdict, from_error, strip_quotes

NAMES = {
    0: "a connect refusal is told at MAIL",
    1: "blanks in texts are kept",
    2: "makemap refuses values that would become an accidental text; SKIP needs no option",
    3: "ERROR:D.S.N:text without a reply code keeps its D.S.N",
    4: "Connect: QUARANTINE holds the messages of the session",
    5: "To: QUARANTINE does not skip the relay decision",
    6: "block_bad_helo works without delay_checks, and accepts [IPv6:...]",
    7: "Compat: is decided at RCPT",
    8: "IPv6 keys may be compressed or have a /prefix; IPv4 keys may be CIDR",
    9: "the text of a connect error never goes through printf",
    10: "refusals that need DNS are told at RCPT",
    11: "client certificates",
    # Not numbered in DESIGN:
    12: "an unreadable map is never an accept: delay_checks_hater or _friend with it is 451 4.3.0",
    13: "Sendmail shows the client its mark of an unreadable map",
    14: "a recipient whose local part names another host once its quotes are off is nobody's",
    15: "answers by which a list tells of an error are no listings",
    16: "a sender whose domain has a null MX is refused",
    17: "an MX host with an address of ours is ours",
    18: "an MX that cannot be known now is told before the missing name of a client",
}
TEMPORARY_FAILURE = Verdict("tempfail", 451, "4.3.0", "Temporary system failure. Please try again later.")
NULL_MX, ABSENT, BAD = "null-mx.zone.test", "none-mx.zone.test", "also-bad-mx.zone.test"
RE_UNKNOWN_MX = re.compile(r"(?i)[@%]([^@%<>]*(?:temporary|refused)\.script\.test)")
NO_NAME = "Relaying denied. IP name "
BY_ADDRESS, BY_NAME = "mx-alias.zone.test", "mx-same.zone.test"
NULL_MX_TEXT = "Sender address has null MX"
ERROR_LISTS = ("errors.script.test",)
used = Counter()
_lock = threading.Lock()


def note(number):
    """Counts one use of a difference."""
    with _lock:
        used[number] += 1


def strip_blanks(text):
    return re.sub(r"\s+", "", text)


def d0_connect_refusal_at_mail(connect, mail):
    """A filter cannot word the refusal of a connection, so every MAIL of the session gets it."""
    if not connect.refused:
        return mail
    note(0)
    return connect


def d1_same_text(sendmail, postern):
    """Sendmail loses blanks beside operators of an unquoted text; postern sends the text as it is written."""
    if sendmail == postern:
        return True
    if strip_blanks(sendmail) != strip_blanks(postern):
        return False
    note(1)
    return True


def _unbalanced(value):
    text, quoted, angle, paren = value, False, 0, 0
    i = 0
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 1
        elif c == '"':
            quoted = not quoted
        elif not quoted:
            angle += {"<": 1, ">": -1}.get(c, 0)
            paren += {"(": 1, ")": -1}.get(c, 0)
            if angle < 0 or paren < 0:
                return True
        i += 1
    return quoted or angle != 0 or paren != 0


def _without_comments(value):
    """Sendmail drops (comments) of a value unless they are quoted."""
    parts = re.split(r'("(?:\\.|[^"\\])*")', value)
    return "".join(part if part.startswith('"') else re.sub(r"\([^()]*\)", "", part) for part in parts)


def d2_refused_key(key):
    """Why postern's makemap may refuse this key: Sendmail would never ask for it."""
    if re.match(r"(?i)(compat|certissuer|certsubject):.", key):
        return None
    bare = re.sub(r"(?i)^(connect|from|to|spam):", "", key)
    if not bare:
        return "a tag alone"
    if bare.startswith("@"):
        return "@domain"
    if bare.endswith(".") and not bare.endswith(".."):
        return "a trailing dot"
    if "@" not in bare and re.search(r'[<>,;()"\\]', bare):
        return "characters that no domain has"
    if bare.startswith("<") or bare.endswith(">"):
        return "angle brackets"
    return None


def d2_refused_value(key, value):
    """Why postern's makemap may refuse this line; None if it must take it."""
    if _unbalanced(value):
        return "unbalanced quotes or brackets"
    value = _without_comments(value).strip()
    upper = value.upper()
    tag = key.split(":")[0].lower() if re.match(r"(?i)(connect|from|to|spam|compat|certissuer|certsubject):", key) else ""
    if tag == "compat" and upper.startswith(("TEMP:", "DISCARD:")):
        return None if value.partition(":")[2].strip(' "') else "empty text"
    if tag == "compat" and upper.startswith("QUARANTINE:"):
        return "one recipient cannot be held"
    if upper == "SUBJECT":
        return None if tag == "certissuer" else "SUBJECT elsewhere than behind CertIssuer:"
    if upper in ("OK", "RELAY", "REJECT", "DISCARD"):
        return None
    if upper == "SKIP":
        return "SKIP on a user key" if "@" in key else None
    if upper in ("FRIEND", "HATER"):
        return None if tag == "spam" else "FRIEND or HATER outside Spam:"
    text = value
    if upper.startswith("QUARANTINE:"):
        return None if value[11:].strip(' "') else "empty text"
    if upper.startswith("ERROR:"):
        text = value[6:].strip()
        dsn = re.match(r"([^\s:.]+)\.([^\s:.]+)\.([^\s:.]+):\s*", text)
        if dsn:
            if not re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", dsn.group().rstrip(": \t")) or text[0] == "2":
                return "no enhanced status code"
            text = text[dsn.end():]
            if not text.strip(' "'):
                return "empty text"
            if not re.match(r'"?\d{3}(\s|"|$)', text):
                return None
    text = text.strip('"')
    if not re.match(r"[45]\d\d\s", text + " "):
        return "a text without a reply code of 4xx or 5xx"
    rest = re.sub(r"^[45]\d\d\s*([245]\.\d{1,3}\.\d{1,3}(\s|$))?", "", text + " ").strip()
    return None if rest.strip('"') else "empty text"


def d3_given_dsn(verdict):
    """Sendmail answers 553 5.3.0 and forgets the D.S.N; postern answers 550 or 450 with it."""
    if not verdict.given_dsn or verdict.kind != "reject":
        return verdict
    note(3)
    temporary = verdict.given_dsn[0] == "4"
    return Verdict("tempfail" if temporary else "reject", 450 if temporary else 550, verdict.given_dsn, verdict.text)


def d4_connect_quarantine(features, connect):
    """Sendmail sets it in an envelope that is not used later; the text that postern holds the session's messages by."""
    if features.delayed or connect.kind != "quarantine":
        return None
    note(4)
    return connect.hold


def d5_quarantine_is_no_relay(bare, verdict):
    """Sendmail accepts and holds what To: QUARANTINE matches; postern refuses it if it may not be relayed.

    `bare` is the relay decision alone, None if nobody asked for it.
    """
    if verdict.kind != "quarantine" or bare is None or not bare.refused:
        return verdict
    note(5)
    return bare


def d6_helo_for_sendmail(batch, transaction):
    """An address literal of IPv6 that is not our own is no bogus name: Sendmail is asked with a good name instead."""
    features = batch.features
    own = {"[ipv6:0:0:0:0:0:0:0:1]", "[ipv6:::1]", *(name.lower() for name in batch.names.local)}
    helo = (transaction.helo or transaction.client.name).lower()
    if not features.has("block_bad_helo") or not re.fullmatch(r"\[ipv6:[0-9a-f:.]+\]", helo) or helo in own:
        return transaction
    note(6)
    return replace(transaction, helo=GOOD_HELO)


def d6_helo_refusal_at_mail(features, transaction, helo, mail):
    """Without delay_checks Sendmail's rule hangs on the end of the relay check; postern answers at MAIL.

    As with delay_checks, the sender comes first: its refusal stands, and OK or RELAY for it spares it the rest.
    """
    if features.delayed or transaction.auth_user or not helo.text.startswith("bogus HELO"):
        return mail
    if mail.refused or mail.stop:
        return mail
    note(6)
    return helo


COMPAT_REJECT = "postern-refuses-this-pair"
RE_COMPAT_END = re.compile(r"\s*error from check_compat(\. ?Try again later)?\Z")


def d7_lines_for_sendmail(lines):
    """Sendmail does not know REJECT and `550 text` behind Compat: keys and accepts; postern refuses.

    It is given an ERROR; that of REJECT is one that d7_compat_at_rcpt() knows again.
    """
    lines = [re.sub(r"(?i)^(compat:\S+\s+)reject\s*$", rf"\g<1>ERROR:{COMPAT_REJECT}", line) for line in lines]
    return [re.sub(r'(?i)^(compat:\S+\s+)("?[45]\d\d\s)', r"\g<1>ERROR:\g<2>", line) for line in lines]


def d7_compat_at_rcpt(batch, transaction, compat):
    """What postern says at RCPT where Sendmail's delivery would do something: a refusal, or this recipient is dropped.

    ERROR: and TEMP: keep Sendmail's end of the text. ERROR: is read like that of other keys, TEMP: is 450 4.7.1. An unreadable map
    is a failure here too, where Sendmail delivers. A bounce has no sender to ask with.
    """
    if not batch.features.has("compat_check") or transaction.sender == "<>":
        return CONTINUE
    if batch.map_missing:
        note(7)
        return TEMPORARY_FAILURE
    if compat.kind == "discard":
        note(7)
        return Verdict("drop")
    end = RE_COMPAT_END.search(compat.text)
    if not compat.refused or not end:
        return compat
    note(7)
    text = compat.text[: end.start()]
    if text == COMPAT_REJECT:
        code, dsn, said = (batch.features.message("reject_message") or "550 5.7.1 Access denied").split(" ", 2)
        return Verdict("reject", int(code), dsn, said)
    if end.group(1):
        return Verdict("tempfail", 450, "4.7.1", compat.text)
    dsn, colon, rest = text.partition(":")
    if compat.dsn == "5.3.0" and colon and RE_DSN.fullmatch(dsn):
        return d3_given_dsn(from_error(dsn, rest + end.group()))
    return compat


def _expand_network(network):
    """The octet or group prefixes, as Sendmail writes them, that together are the network."""
    step = 8 if network.version == 4 else 16
    whole = -(-network.prefixlen // step) * step
    for sub in network.subnets(new_prefix=whole):
        if sub.version == 4:
            yield ".".join(str(sub.network_address).split(".")[: whole // 8])
        else:
            groups = [f"{int(g, 16):x}" for g in sub.network_address.exploded.split(":")]
            yield ":".join(["IPv6"] + groups[: whole // 16])


def _network_key(key):
    """(tag, network) if the key is one of the new forms, else None."""
    match = re.match(r"(?i)(connect:|)((ipv6:)?[0-9a-f.:]+(/\d+)?)$", key)
    if not match or ("/" not in key and "::" not in key):
        return None
    text = re.sub(r"(?i)^ipv6:", "", match.group(2))
    try:
        return match.group(1).lower(), ipaddress.ip_network(text)
    except ValueError:
        return None


def _whole(network):
    return network.prefixlen % (8 if network.version == 4 else 16) == 0 and network.prefixlen > 0


def _full_literals(text):
    """IPv6 address literals in the full form."""
    def full(match):
        try:
            groups = ipaddress.ip_address(match.group(1)).exploded.split(":")
        except ValueError:
            return match.group()
        note(8)
        return "[IPv6:" + ":".join(f"{int(g, 16):x}" for g in groups) + "]"

    return re.sub(r"(?i)\[ipv6:([0-9a-f:]*::[0-9a-f:]*)\]", full, text)


def d8_addresses_for_sendmail(transaction):
    """postern writes the IPv6 literals of addresses out in full, as it does with those of keys."""
    return replace(transaction, sender=_full_literals(transaction.sender),
                   recipients=tuple(_full_literals(r) for r in transaction.recipients))


def d8_keys_for_sendmail(lines):
    """Lines with CIDR or compressed IPv6 keys, written out as whole prefixes for Sendmail.

    A network of whole octets or groups is one key, in its place in the file. Another one becomes several: each stands
    only where no longer prefix is named by the file, for the longest counts, and of one length the tagged one.
    """
    plain, networks, taken = [], {}, {}
    for line in lines:
        if not line.startswith("#"):
            line = _full_literals(line)
        key, _, value = re.sub(r"\s+", "\t", line.strip(), count=1).partition("\t")
        found = _network_key(key)
        if found and not _whole(found[1]):
            networks.setdefault(found[1].prefixlen, []).append((*found, value))
            continue
        if found:
            note(8)
            key = found[0] + next(_expand_network(found[1]))
            line = f"{key} {value}"
        plain.append(line)
        match = re.match(r"(?i)(connect:|)(.*)$", key)
        taken.setdefault(match.group(2).lower(), set()).add(match.group(1).lower())
    for length in sorted(networks, reverse=True):
        longer = {prefix: set(tags) for prefix, tags in taken.items()}
        for tag, network, value in networks[length]:
            note(8)
            for prefix in _expand_network(network):
                if not longer.get(prefix.lower(), set()) & {tag, ""} and tag not in taken.get(prefix.lower(), set()):
                    plain.append(f"{tag}{prefix} {value}")
                    taken.setdefault(prefix.lower(), set()).add(tag)
    return plain


def d8_names_for_sendmail(names):
    """Class R with its networks of odd lengths written out as whole prefixes."""
    relay = []
    for name in names.relay:
        found = _network_key(name)
        if found:
            note(8)
        relay += list(_expand_network(found[1])) if found else [name]
    return replace(names, relay=tuple(relay))


def d11_certificate_for_sendmail(batch, transaction):
    """Common names alone prove nothing unless relay_by_certificate = "cn": Sendmail is asked without the certificate."""
    whole = transaction.cert_subject.startswith("/") and transaction.cert_issuer.startswith("/")
    if batch.features.certificate == "cn" or not transaction.verify or whole:
        return transaction
    note(11)
    return replace(transaction, verify="NO")


def d12_unreadable_map(batch, transaction, verdict):
    """Sendmail finds no HATER in a map that it cannot read, and accepts; no FRIEND, and goes on with the sender."""
    asks = batch.features.has("delay_checks_hater") or batch.features.has("delay_checks_friend")
    if not (batch.map_missing and asks) or trusted_login(batch.features, transaction):
        return verdict
    if verdict.kind != "continue" and verdict.dsn != "5.5.4":
        return verdict
    note(12)
    return TEMPORARY_FAILURE


def d13_mark_of_unreadable_map(batch, verdict):
    """For a local part with quotes in it no rule catches the mark of a failed lookup, and it becomes the text."""
    if not batch.map_missing or not verdict.text.endswith("<TMPF>"):
        return verdict
    note(13)
    return TEMPORARY_FAILURE


def d14_hidden_host(batch, i, answer, verdict):
    """Sendmail keeps `"a b@c.test"` of an own domain together; an MTA that takes the quotes off first would relay it.

    So postern treats such a recipient as one that nobody relays for, behind the blocklist. Not if the domain is another one and a
    feature lets the local part count (loose_relay_check, relaytofulladdress).
    """
    if not batch.relaying or answer.canonical[i] is None or not answer.stranger.refused:
        return verdict
    local, domain = answer.canonical[i]
    own = {"localhost", world.HOSTNAME, world.HOSTNAME.split(".", 1)[0], *(name.lower() for name in batch.names.local)}
    features, plain = batch.features, strip_quotes(local)
    if domain and domain.lower() not in own and (features.has("loose_relay_check") or features.has("relaytofulladdress")):
        return verdict
    hides = "@" in plain or ("%" in plain and not features.has("nopercenthack_nospecial")) \
        or ("!" in plain and not features.has("nouucp_nospecial"))
    before = answer.listed[i] or verdict
    if not hides or before.refused or before.kind == "discard":
        return verdict
    if verdict != answer.stranger:
        note(14)
    return answer.stranger


def d15_lists_for_sendmail(features):
    """Sendmail takes 127.255.255.254 for a listing; it is asked as if there were no such list."""
    spared = tuple(one for one in features.lists if one.zone not in ERROR_LISTS)
    if spared != features.lists:
        note(15)
    return replace(features, lists=spared)


def d10_told_at_mail(batch, want, have):
    """What a list says is waited for at MAIL; whatever Sendmail says to a client is expected there already."""
    if not batch.features.lists or batch.features.delayed or want.connect.kind == "continue" or have.connect.kind != "continue":
        return want
    note(10)
    return replace(want, connect=CONTINUE)


def _for_null_mx(features):
    """What Sendmail is asked for in place of the domain with a null MX, which it accepts: one that it refuses."""
    if not features.dns:
        return NULL_MX
    if not features.has("accept_unresolvable_domains"):
        return ABSENT
    return BAD if features.has("badmx") else NULL_MX


def _instead(name, other, text):
    return re.sub(r"(?i)\b" + re.escape(name), other, text)


def d16_sender_for_sendmail(batch, transaction):
    return replace(transaction, sender=_instead(NULL_MX, _for_null_mx(batch.features), transaction.sender))


def d17_recipients_for_sendmail(batch, transaction):
    """relay_based_on_MX goes by the names of hosts; postern also knows itself by its address."""
    if not batch.features.has("relay_based_on_MX"):
        return transaction
    recipients = tuple(_instead(BY_ADDRESS, BY_NAME, rcpt) for rcpt in transaction.recipients)
    if recipients != transaction.recipients:
        note(17)
    return replace(transaction, recipients=recipients)


def d18_mx_before_name(batch, rcpt, verdict):
    """Neither a missing nor a forged name of the client is told for good while the recipient's MX may still let it through."""
    found = RE_UNKNOWN_MX.search(rcpt)
    if not batch.features.has("relay_based_on_MX") or not found or not verdict.text.startswith(NO_NAME):
        return verdict
    note(18)
    return Verdict("tempfail", 450, "4.4.0", f"Can not check MX records for recipient host {found.group(1)}")


def dns_lines_for_sendmail(batch, lines):
    """The same lines for the other names of 16 and 17."""
    swaps = [(NULL_MX, _for_null_mx(batch.features))]
    swaps += [(BY_ADDRESS, BY_NAME)] if batch.features.has("relay_based_on_MX") else []
    for name, other in swaps:
        lines = [line for one in lines for line in dict.fromkeys((one, _instead(name, other, one)))]
    return lines


def d16_null_mx(transaction, verdict):
    """And then its answer is that of RFC 7505, or of badmx."""
    if verdict.dsn == "5.1.8" and ABSENT in verdict.text:
        note(16)
        return Verdict("reject", 550, "5.7.27", NULL_MX_TEXT)
    if verdict.dsn == "5.1.2" and BAD in verdict.text:
        note(16)
        typed = re.search("(?i)" + re.escape(NULL_MX), transaction.sender).group()
        return Verdict("reject", 550, "5.1.2", f"Illegal MX record for host {typed}")
    return verdict


def report():
    return [f"  {number:2} {NAMES[number]}: {used[number]}" for number in sorted(used)]


def same_reply(sendmail, postern):
    """Do both say the same? Code and enhanced code to the letter, text by difference 1."""
    if sendmail.kind != postern.kind:
        return False
    if sendmail.kind == "quarantine":
        return d1_same_text(sendmail.hold, postern.hold)
    if sendmail.kind not in ("reject", "tempfail"):
        return True
    return (sendmail.code, sendmail.dsn) == (postern.code, postern.dsn) and d1_same_text(sendmail.text, postern.text)

