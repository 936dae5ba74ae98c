# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the DNS tests: lists that rbldnsd serves, domains that nsd serves, and behind one address with both
a scripted server for all that real servers do not do."""

from . import dns_daemons
from .dns_server import DnsServer
from .postern import config_value

# Clients of 127.0.0.0/8, and where they are listed.
CLEAN = "127.30.0.1"
LISTED = "127.30.0.2"  # ip.bl.test: 127.0.0.2
CODE_4 = "127.30.0.4"  # ip.bl.test: 127.0.0.4
CODE_10 = "127.30.0.10"  # ip.bl.test: 127.0.0.10
ALLOWED = "127.30.0.20"  # ip.bl.test 127.0.0.2, and allow.bl.test
TWICE = "127.30.0.30"  # low.bl.test and other.bl.test
THRICE = "127.30.0.31"  # low.bl.test, other.bl.test and ip.bl.test
BENCH_NETWORK = "127.60"  # one address of four is listed

LISTED_V6 = "2001:db8:30::2"
CLEAN_V6 = "2001:db8:30::1"

TEST_POINT = "127.0.0.2 :127.0.0.2:test point\n"
TEST_POINT_V6 = "::ffff:7f00:2/128 :127.0.0.2:test point\n"

LISTS = {
    "ip.bl.test": {
        "ip4set": ":127.0.0.2:listed $ in ip.bl.test\n"
        f"{TEST_POINT}{LISTED}\n{ALLOWED}\n{THRICE}\n{CODE_4} :127.0.0.4:four\n{CODE_10} :127.0.0.10:ten\n",
        "ip6trie": f":127.0.0.2:listed $ in ip.bl.test\n{TEST_POINT_V6}{LISTED_V6}/128\n",
    },
    "low.bl.test": {"ip4set": f":127.0.0.2:low\n{TEST_POINT}{TWICE}\n{THRICE}\n"},
    "other.bl.test": {"ip4set": f":127.0.0.2:other\n{TEST_POINT}{TWICE}\n{THRICE}\n"},
    "allow.bl.test": {"ip4set": f":127.0.0.2:good\n{TEST_POINT}{ALLOWED}\n"},
    "dom.bl.test": {"dnset": ":127.0.1.2:domain listed\ntest\nspammer.test\n.spamhouse.test\n"},
}

LONG = "".join(f"many MX {n} mx-number-{n}.of-many-hosts.long-names.zone.test.\nmx-number-{n}.of-many-hosts.long-names A 192.0.2.7\n"
               for n in range(200))

ZONES = {
    "zone.test": "@ A 192.0.2.10\n@ MX 10 mail\nmail A 192.0.2.10\nmail AAAA 2001:db8::10\n"
    "only-a A 192.0.2.11\nonly-aaaa AAAA 2001:db8::11\nonly-txt TXT \"nothing else\"\n"
    "null-mx MX 0 .\nmx-without-address MX 10 no-such-host\n"
    f"clean A {CLEAN}\nlisted A 192.0.2.99\n"
    "alias CNAME mail\nalias-of-alias CNAME alias\nalias-to-nothing CNAME no-such-host\n"
    "loop CNAME loop-back\nloop-back CNAME loop\n"
    "alias-of-domain CNAME zone.test.\n"
    "mx-us MX 10 mx.home.example.\nmx-us MX 20 mail\n"
    "mx-same MX 10 mx.home.example.\n"
    "mx-second MX 10 mail\nmx-second MX 20 mx.home.example.\n"
    "mx-equal MX 10 mail\nmx-equal MX 10 mx.home.example.\n"
    "mx-alias MX 10 our-alias\nour-alias CNAME mx.home.example.\n"
    "mx-to-loopback MX 10 loopback\nloopback A 127.0.0.1\n"
    "also-bad-mx MX 10 loopback\n"
    "mx-to-private MX 10 private\nprivate A 10.1.2.3\n"
    "mx-mixed MX 10 private\nmx-mixed MX 20 mail\n"
    "mx-literal MX 10 192.0.2.10.\n"
    + LONG,
    "home.example": "@ A 192.0.2.1\nmx A 192.0.2.1\n",
    "xn--bcher-kva.test": "@ MX 10 mail.zone.test.\n",
    "neutral.test": "@ MX 10 mail.zone.test.\nhost A 127.10.0.1\nclient A 127.10.0.5\n",
    "spammer.test": "@ MX 10 mail.zone.test.\n",
    "spamhouse.test": "@ MX 10 mail.zone.test.\nhost MX 10 mail.zone.test.\n",
    "30.127.in-addr.arpa": "1.0 PTR clean.zone.test.\n2.0 PTR listed.zone.test.\n",
}
NSD_SUFFIXES = tuple(ZONES)


def _section(head, keys):
    return f"{head} {{ " + " ".join(f"{key} = {config_value(value)}" for key, value in keys.items()) + " }\n"


def dns_section(*servers, **keys):
    """dns { } of postern.conf with these DnsServers."""
    return _section("dns", {"servers": [one.address for one in servers], **keys})


def list_section(title, **keys):
    return _section(f'dnsbl "{title}"', keys)


class DnsWorld:
    """All three servers. `server.zone` is where a test scripts names of its own, below script.test."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self.lists = dns_daemons.Rbldnsd(folder / "rbldnsd", LISTS)
        self.zones = dns_daemons.Nsd(folder / "nsd", ZONES)
        self.server = self.new_server()

    def new_server(self):
        """Another address for the same names."""
        server = DnsServer()
        server.routes.update({suffix: self.lists.address for suffix in LISTS})
        server.routes.update({suffix: self.zones.address for suffix in NSD_SUFFIXES})
        return server

    def close(self):
        self.server.close()
        self.lists.close()
        self.zones.close()
