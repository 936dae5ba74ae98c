# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the header: what is missing, there too often or too much; and rules for some clients only."""

import socket

import pytest

from harness import login, mail, relay, smtp, tools
from harness.site import Pool, shared_daemon, unique



def sample_rules():
    """Those of the sample file that do what the guide to Sendmail does with Message-Id."""
    lines = (tools.SOURCE / "conf/header_checks").read_text().splitlines()
    first = lines.index("#if /^Message-Id:/")
    last = next(number for number in range(first, len(lines)) if lines[number].startswith("#repeated"))
    return "".join(line[1:] + "\n" for line in lines[first : last + 1])


LIMITS = """
headers 20   REJECT too many headers
bytes 4000   REJECT too much of a header
missing X-Wanted   PREPEND X-Wanted: was not there
repeated X-Often 2   WARN often
"""
OTHERS = """\
if client !local !authenticated !relay
missing Message-Id          553 Header Error
/^X-Stranger: (.*)$/        PREPEND X-Seen: $1
endif
"""

postern = shared_daemon(header_checks=sample_rules())

IDS = {
    "good": (["Message-Id: <a.1@host.example>"], True),
    "other letters": (["MESSAGE-ID: <a.1@host.example>"], True),
    "no blank": (["Message-Id:<a.1@host.example>"], True),
    "folded": (["Message-Id:\n <a.1@host.example>"], True),
    "folded with a tab": (["Message-Id:\n\t<a.1@host.example>"], True),
    "no brackets": (["Message-Id: a.1@host.example"], False),
    "no at sign": (["Message-Id: <a.1>"], False),
    "nothing before it": (["Message-Id: <@host.example>"], False),
    "something behind it": (["Message-Id: <a.1@host.example> (x)"], False),
    "folded inside": (["Message-Id: <a.1@\n host.example>"], True),
    "empty": (["Message-Id:"], False),
    "missing": ([], False),
    "two": (["Message-Id: <a.1@host.example>", "Message-Id: <a.2@host.example>"], False),
    "one of two is bad": (["Message-Id: <a.1@host.example>", "Message-Id: nothing"], False),
}


def fields_with(ids):
    return [field for field in mail.USUAL if not field.startswith("Message-Id")] + ids


@pytest.mark.parametrize("name", IDS)
def test_message_id(site, postern, name):
    ids, good = IDS[name]
    subject = unique("id")
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        reply = client.data(mail.message(subject, *fields_with(ids), usual=False))
    if good:
        assert reply.code == 250
        site.wait_delivered(subject)
        found = mail.fields(site.mta.sink.with_subject(subject)[0].text)
        assert found == [*fields_with(ids), f"Subject: {subject}"]
    else:
        assert (reply.code, reply.text) == (553, "Header Error")
        assert site.in_queue(subject) == [] and site.mta.sink.with_subject(subject) == []
        assert postern.entries(action="reject")[-1]["rule"].startswith(f"{postern.folder}/header_checks:")


# ---- number and size


@pytest.fixture(name="limits")
def limits_daemon(site):
    return site.daemon(header_checks=LIMITS)


def data(site, *fields, source="127.0.0.2"):
    subject = unique("limits")
    with site.client(source) as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        return subject, client.data(mail.message(subject, *fields))


@pytest.mark.usefixtures("limits")
def test_number_and_size_of_headers(site):
    subject, reply = data(site, "X-Wanted: yes", *[f"X-{i}: 1" for i in range(14)])
    assert reply.code == 250  # 20 fields with the usual four, X-Wanted and Subject
    site.wait_delivered(subject)
    assert str(data(site, "X-Wanted: yes", *[f"X-{i}: 1" for i in range(15)])[1]) == "550 5.7.1 too many headers"
    assert str(data(site, "X-Long: " + "long " * 800)[1]) == "550 5.7.1 too much of a header"


def test_field_for_a_missing_one(site, limits):
    subject, reply = data(site, "X-Often: 1", "X-Often: 2")
    assert reply.code == 250
    site.wait_delivered(subject)
    found = mail.fields(site.mta.sink.with_subject(subject)[0].text)
    assert found == [*mail.USUAL, "X-Often: 1", "X-Often: 2", f"Subject: {subject}", "X-Wanted: was not there"]
    assert limits.entries(action="warn") == []
    assert data(site, "X-Wanted: 1", "X-Often: 1", "x-often: 2", "X-Often: 3")[1].code == 250
    assert limits.wait_entry(action="warn", text="often")


# ---- rules for strangers


def own_address():
    """An address of this machine that is no loopback address, so that a client can have it; None: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


STRANGER = own_address()
needs_stranger = pytest.mark.skipif(STRANGER is None, reason="this machine has no address but 127.0.0.1")


class TestStrangers:
    """Behind servers that know logins."""

    @pytest.fixture(scope="class", name="mta")
    def login_mta(self, mta_name, servers):
        return servers("open-" + mta_name)

    @pytest.fixture(scope="class", name="pool")
    def login_pool(self, mta, workspace):
        one = Pool(mta, workspace / "daemons")
        yield one
        one.close()
        mta.empty_queue()

    @pytest.fixture(name="daemon")
    def strangers_daemon(self, site):
        access = f"Connect:{STRANGER}  OK\nFrom:partner.test  OK\n"
        return site.daemon(access, header_checks=OTHERS, **relay.keys(site.mta, "milter", trust_auth_mech=["PLAIN"]))

    @staticmethod
    def send(site, source, logged_in=False, ids=("Message-Id: <a@b>",)):
        subject = unique("client")
        with smtp.Client(site.mta.port, source, names_address=site.mta.name == "sendmail") as client:
            client.hello()
            if logged_in:
                assert client.login(f"{login.USER}@{relay.OWN_NAME}", login.PASSWORD).code == 235
            assert client.mail("s@neutral.test").ok
            assert client.rcpt("joe@local.example").ok
            text = mail.message(subject, *fields_with(list(ids)), "X-Stranger: yes", usual=False)
            return subject, client.data(text)

    @needs_stranger
    @pytest.mark.usefixtures("daemon")
    def test_stranger_must_have_a_message_id(self, site):
        _, reply = self.send(site, STRANGER, ids=())
        assert (reply.code, reply.text) == (553, "Header Error")
        subject, reply = self.send(site, STRANGER)
        assert reply.code == 250
        site.wait_delivered(subject)
        assert "X-Seen: yes" in mail.fields(site.mta.sink.with_subject(subject)[0].text)

    @needs_stranger
    @pytest.mark.usefixtures("daemon")
    def test_who_has_logged_in_need_not(self, site):
        subject, reply = self.send(site, STRANGER, logged_in=True, ids=())
        assert reply.code == 250
        site.wait_delivered(subject)
        assert "X-Seen: yes" not in mail.fields(site.mta.sink.with_subject(subject)[0].text)

    @pytest.mark.usefixtures("daemon")
    @pytest.mark.parametrize("source", ["127.0.0.1", relay.RELAY_CLIENT])
    def test_own_host_and_network_need_not(self, site, source):
        subject, reply = self.send(site, source, ids=())
        assert reply.code == 250
        site.wait_delivered(subject)
        assert "X-Seen: yes" not in mail.fields(site.mta.sink.with_subject(subject)[0].text)

    @needs_stranger
    def test_who_may_relay_need_not(self, site):
        site.daemon(f"Connect:{STRANGER} RELAY\n", header_checks=OTHERS, **relay.keys(site.mta, "milter"))
        assert self.send(site, STRANGER, ids=())[1].code == 250
