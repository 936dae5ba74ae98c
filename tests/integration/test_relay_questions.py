# SPDX-License-Identifier: GPL-3.0-or-later
"""What mail servers ask before they relay: addresses of both kinds, a daemon that hangs, and the flag that opens Sendmail."""

import resource
import socket
import threading
import time

import pytest

from harness import login, relay, smtp, tools
from harness.postern import GROUP, USER, sanitized

OUTSIDE = "x@outside.test"


def ask(path, *questions):
    """Socketmap, as a mail server speaks it: the answers to these questions; "closed" for one that gets none."""
    answers = []
    for question in questions:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"%d:%s," % (len(question), question.encode()))
            with client.makefile("rb") as stream:
                first = stream.read(1)
                while first and not first.endswith(b":"):
                    first += stream.read(1)
                answers.append(stream.read(int(first[:-1])).decode() if first else "closed")
                assert not first or stream.read(1) == b","
    return answers


def start(site, popauth, access="", **keywords):
    folder = site.mta.socket_folder
    sockets = {"popauth_socket": str(popauth), "map_socket": str(folder / "map.sock")}
    sockets["policy_socket"] = str(folder / "policy.sock")
    return site.daemon(access, **relay.keys(site.mta, "mta"), **{**sockets, **keywords})


def rcpt(site, source, address, port=None, xclient=None):
    with smtp.Client(port or site.mta.port, source, names_address=site.mta.name == "sendmail") as session:
        session.hello()
        if xclient:
            assert session.command(f"XCLIENT {xclient}").ok
            session.command("EHLO client.neutral.test")
        reply = session.mail("s@neutral.test")
        return session.rcpt(address) if reply.ok else reply


only = pytest.mark.parametrize("mta_kind", ["asking-postfix"], indirect=True)
each = pytest.mark.parametrize("mta_kind", ["asking-postfix", "drac-sendmail"], indirect=True)


@pytest.fixture(scope="module", params=["asking-postfix"])
def mta_kind(request):
    wanted = request.config.option.mta
    if wanted and not request.param.endswith(wanted):
        pytest.skip(f"not {wanted}")
    return request.param


@pytest.fixture(scope="module")
def mta(mta_kind, servers):
    return servers(mta_kind)


# ---- IPv6, which the tests' clients only have by XCLIENT


@only
@pytest.mark.parametrize("port", ["relayers", "clients", "proxy", "policy"])
def test_ipv6(site, popauth, port):
    postern = start(site, popauth)
    port = site.mta.ports[port]

    def reply(address):
        return rcpt(site, "127.0.0.2", OUTSIDE, port, f"ADDR=IPV6:{address} NAME=[UNAVAILABLE]")

    assert reply("2001:db8::1").code == 554
    postern.control("relay", "add", "2001:db8::1")
    assert reply("2001:db8::1").ok
    assert reply("2001:DB8:0:0::1").ok
    assert reply("2001:db8::2").code == 554
    postern.control("relay", "add", "2001:db8:1:2::/64")
    assert reply("2001:db8:1:2:aaaa::1").ok
    assert reply("2001:db8:1:3::1").code == 554


@only
def test_prefix_of_ipv6_logins(site, popauth):
    postern = start(site, popauth, relay_store={"ipv6_prefix_bits": 64})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(popauth))
        client.sendall(b"login 2001:db8:7:8:1:2:3:4 user=ann\nlogin ::ffff:127.83.0.1\n")
        assert client.makefile("rb").readline() == b"ok\n"
    tools.wait_for(lambda: rcpt(site, "127.83.0.1", OUTSIDE).ok, "the login by the mapped address")
    assert "2001:db8:7:8::/64 " in postern.control("relay", "dump").stdout
    there = "ADDR=IPV6:2001:db8:7:8:ffff::9 NAME=[UNAVAILABLE]"
    assert rcpt(site, "127.0.0.2", OUTSIDE, xclient=there).ok
    assert rcpt(site, "127.0.0.2", OUTSIDE, xclient=there.replace("7:8", "7:9")).code == 554


@only
def test_forms_of_addresses(site, popauth):
    """As each mail server writes them, in the same place."""
    postern = start(site, popauth)
    postern.control("relay", "add", "2001:db8::1")
    postern.control("relay", "add", "127.83.0.2")
    questions = {
        "relayers 127.83.0.2": "OK OK",
        "drac 127.83.0.2": "OK OK",
        "drac ipv6:2001:db8:0:0:0:0:0:1": "OK OK",
        "drac 2001:db8:0:0:0:0:0:1": "OK OK",
        "relayers IPv6:2001:DB8::1": "OK OK",
        "relayers ::ffff:127.83.0.2": "OK OK",
        "relayers 127.83.0": "NOTFOUND ",
        "relayers 127.83.0.3": "NOTFOUND ",
        "relayers unknown": "NOTFOUND ",
        "relayers mail.example.org": "NOTFOUND ",
        "relayers 0.0.0.0/0": "NOTFOUND ",
        "relayers ": "NOTFOUND ",
        "relayers": None,
        "nonsense 127.83.0.2": None,
    }
    answers = dict(zip(questions, ask(site.mta.socket_folder / "map.sock", *questions)))
    for question, wanted in questions.items():
        if wanted is None:
            assert not answers[question].startswith(("OK", "TEMP", "TIMEOUT")), question
        else:
            assert answers[question] == wanted, question


# ---- logins and certificates, which Postfix tells the policy server


def policy_session(site):
    client = smtp.Client(site.mta.ports["policy"], relay.FOREIGN)
    client.hello()
    return client


@only
@pytest.mark.parametrize("trusted", [True, False])
def test_smtp_auth_by_policy(site, popauth, trusted):
    """The port itself has no permit_sasl_authenticated: what lets relay is trust_auth_mech."""
    start(site, popauth, trust_auth_mech=["PLAIN"] if trusted else [])
    with policy_session(site) as client:
        assert client.login(login.USER, login.PASSWORD).code == 235
        assert client.mail("s@neutral.test").ok
        assert client.rcpt(OUTSIDE).ok == trusted
    with policy_session(site) as client:
        assert client.login(login.USER, "guessed").code == 535
        assert client.mail("s@neutral.test").ok
        assert client.rcpt(OUTSIDE).code == 554


@only
def test_certificates_by_policy(site, popauth):
    """One of our CA relays; one with the same names, but of a CA that nobody knows, does not."""
    start(site, popauth, "CertIssuer:ca SUBJECT\nCertSubject:client+20one RELAY\n", relay_by_certificate="cn")
    authority = site.mta.authority
    cases = [(authority.client, True), (authority.other_client, False), (authority.strange_client, False), (None, False)]
    for pair, relays in cases:
        with policy_session(site) as client:
            assert client.starttls(login.client_context(pair)).code == 250
            assert client.mail("s@neutral.test").ok
            assert client.rcpt(OUTSIDE).ok == relays, pair


# ---- a daemon that hangs


@each
def test_hangs(site, popauth, mta_kind):
    """Nobody relays by a login meanwhile; afterwards all is as before. Sendmail gives up after the seconds of -d."""
    postern = start(site, popauth)
    postern.control("relay", "add", "127.83.1.1")
    port = site.mta.ports["policy-own-time"] if mta_kind == "asking-postfix" else None
    assert rcpt(site, "127.83.1.1", OUTSIDE, port).ok
    postern.pause()
    try:
        begin = time.monotonic()
        for source in ("127.83.1.1", relay.FOREIGN):
            reply = rcpt(site, source, OUTSIDE, port)
            assert reply.code >= 400, reply
        assert time.monotonic() - begin < 60
    finally:
        postern.go_on()
    assert rcpt(site, "127.83.1.1", OUTSIDE, port).ok
    assert rcpt(site, relay.FOREIGN, OUTSIDE, port).code in (550, 554)


# ---- the flag that opens Sendmail


@pytest.mark.parametrize("mta_kind", ["drac-tempfail-sendmail", "drac-sendmail"], indirect=True)
def test_the_flag_that_opens_sendmail(site, popauth, mta_kind):
    """The manual warns of it: this is what comes of it. Without the flag the same is closed."""
    postern = start(site, popauth)
    assert rcpt(site, relay.FOREIGN, OUTSIDE).code == 550
    postern.stop()
    reply = rcpt(site, relay.FOREIGN, OUTSIDE)
    if mta_kind == "drac-tempfail-sendmail":
        assert reply.ok, f"{reply}: if this is closed now, the manual's warning is out of date"
    else:
        assert reply.code == 550
    postern.start()
    assert rcpt(site, relay.FOREIGN, OUTSIDE).code == 550


# ---- a disk that is full


@each
def test_no_room_on_the_disk(site, popauth, mta_kind):
    """The files may not grow: logins are refused, those before it count, nobody else relays; later all is well again."""
    postern = start(site, popauth)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(popauth))
        stream = client.makefile("rb")
        client.sendall(b"login 127.83.2.1\n")
        assert stream.readline() == b"ok\n"
        limit(postern, 0)
        client.sendall(b"login 127.83.2.2\n")
        assert stream.readline().startswith(b"err ")
        assert rcpt(site, "127.83.2.1", OUTSIDE).ok
        assert rcpt(site, "127.83.2.2", OUTSIDE).code in (550, 554)
        assert rcpt(site, relay.FOREIGN, OUTSIDE).code in (550, 554)
        limit(postern, resource.RLIM_INFINITY)

        def again():
            client.sendall(b"login 127.83.2.2\n")
            return stream.readline() == b"ok\n"

        tools.wait_for(again, "room on the disk to be seen", timeout=20, pause=0.5)
    assert rcpt(site, "127.83.2.2", OUTSIDE).ok
    assert postern.entries(event="relay_store", result="works again"), postern.log()
    postern.kill()
    postern.start()
    assert rcpt(site, "127.83.2.1", OUTSIDE).ok
    assert rcpt(site, "127.83.2.2", OUTSIDE).ok


def limit(postern, size):
    """The size of the files that the daemon may write: what it logs meanwhile, which is a file here, is lost, too."""
    size = "unlimited" if size == resource.RLIM_INFINITY else size
    tools.run(["prlimit", "--pid", postern.process.pid, f"--fsize={size}:"], user=USER, group=GROUP)


# ---- many who ask


@only
def test_idle_connections_and_a_flood(site, popauth):
    """A thousand connections that say nothing, one that never reads, one that says what is no request: mail goes on."""
    postern = start(site, popauth)
    postern.control("relay", "add", "127.83.3.1")
    path = site.mta.socket_folder / "map.sock"
    idle = []
    done = threading.Event()

    def flood():
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.settimeout(0.2)
            while not done.is_set():
                try:
                    client.sendall(b"19:relayers 127.83.3.1," * 1000)
                except OSError:
                    done.wait(0.05)

    flooding = threading.Thread(target=flood)
    try:
        for _ in range(1000):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(path))
            idle.append(client)
        flooding.start()
        for junk in (b"99999999999999999999:", b"abc", b"\0" * 70000, b"5:ab"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.settimeout(5)
                try:
                    client.sendall(junk)
                except OSError:
                    pass
        begin = time.monotonic()
        for _ in range(20):
            assert rcpt(site, "127.83.3.1", OUTSIDE).ok
            assert rcpt(site, relay.FOREIGN, OUTSIDE).code == 554
        assert time.monotonic() - begin < 20
    finally:
        done.set()
        if flooding.ident:
            flooding.join()
        for client in idle:
            client.close()


def resident_kib(postern):
    with open(f"/proc/{postern.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


@only
def test_flood_of_logins(site, popauth):
    """As many as four connections can send, by one that never reads, too: mail, logins and memory do not suffer."""
    entries = 2000
    postern = start(site, popauth, relay_store={"max_entries": entries})
    before = resident_kib(postern)
    done = threading.Event()
    answers = []

    def flood(number, reads):
        lines = [f"add 10.{number}.{i // 250}.{i % 250} user=flood\n".encode() for i in range(20000)]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(popauth))
            client.settimeout(0.5)
            count = 0
            while not done.is_set():
                try:
                    client.sendall(b"".join(lines[count % 20000 : count % 20000 + 50]))
                    count += 50
                    if reads:
                        answers.append(client.recv(65536).count(b"\n"))
                except TimeoutError:
                    pass
                except OSError:
                    return

    threads = [threading.Thread(target=flood, args=(number, number != 0)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        slowest = 0.0
        start_of_flood = begin = time.monotonic()
        while begin < start_of_flood + 4 or (sum(answers) <= entries and begin < start_of_flood + 30):
            begin = time.monotonic()
            assert rcpt(site, relay.FOREIGN, OUTSIDE).code == 554
            assert rcpt(site, "127.83.4.1", "joe@local.example").ok
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 3
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert sum(answers) > entries, "it was a flood"
    assert len(postern.control("relay", "dump").stdout.splitlines()) <= 2 * entries
    if not sanitized():  # which keep what is freed
        assert resident_kib(postern) < before + 64 * 1024
    postern.control("relay", "expire")
    postern.control("relay", "add", "127.83.4.1")
    assert rcpt(site, "127.83.4.1", OUTSIDE).ok
