# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: a line for each refusal and each message, with the fields of postern(8), in clean logfmt."""

import pytest

from harness import smtp, tools
from harness.postern import parse_logfmt
from harness.site import shared_daemon, unique

ACCESS = """\
Connect:127.24.1.1          REJECT
From:spam.test              ERROR:5.7.1:550 Two words
From:drop.test              DISCARD
From:hold.test              QUARANTINE:held for a look
To:block@local.example      REJECT
"""

postern = shared_daemon(ACCESS, features=["blocklist_recipients"])


def new_entries(daemon, before):
    """The entries behind that many lines, those of sessions."""
    found = []
    for line in daemon.lines()[before:]:
        fields = parse_logfmt(line)
        assert fields is not None, line
        if "session" in fields:
            found.append(fields)
    return found


def logged(site, daemon, count, **session):
    """The entries that one message writes; there must be count of them, and no more."""
    before = len(daemon.lines())
    site.send(unique("log"), **{"source": "127.24.2.1", **session})
    tools.wait_for(lambda: len(new_entries(daemon, before)) >= count, f"{count} log lines\n{daemon.log()}", 5)
    found = new_entries(daemon, before)
    assert len(found) == count
    return found if count > 1 else found[0]


def rule(daemon, line):
    return f"{daemon.access}:{line}"


def test_refused_client(site, postern):
    entry = logged(site, postern, 1, source="127.24.1.1")
    assert entry["client"] == "[127.24.1.1]"
    assert entry["addr"] == "127.24.1.1"
    assert entry["helo"] == "client.neutral.test"
    assert entry["from"] == "<s@neutral.test>"
    assert entry["stage"] == "mail"
    assert entry["action"] == "reject"
    assert entry["rule"] == rule(postern, 1)
    assert entry["key"] == "connect:127.24.1.1"
    assert entry["reply"] == "550 5.7.1 Access denied"


def test_refused_sender(site, postern):
    entry = logged(site, postern, 1, sender="Who@Spam.test")
    assert entry["from"] == "<Who@Spam.test>"
    assert (entry["stage"], entry["action"]) == ("mail", "reject")
    assert (entry["rule"], entry["key"]) == (rule(postern, 2), "from:spam.test")
    assert entry["reply"] == "550 5.7.1 Two words"
    assert "to" not in entry


def test_refused_recipient(site, postern):
    entry = logged(site, postern, 1, rcpts=["block@local.example"])
    assert (entry["from"], entry["to"]) == ("<s@neutral.test>", "<block@local.example>")
    assert (entry["stage"], entry["action"]) == ("rcpt", "reject")
    assert (entry["rule"], entry["key"]) == (rule(postern, 5), "to:block@local.example")
    assert entry["reply"] == "550 5.2.1 Mailbox disabled for this recipient"


def test_accepted_message(site, postern):
    entry = logged(site, postern, 1, rcpts=["joe@local.example", "jane@local.example"])
    assert entry["from"] == "<s@neutral.test>"
    assert entry["to"] == "<joe@local.example>,<jane@local.example>"
    assert (entry["stage"], entry["action"]) == ("eom", "accept")
    assert entry["nrcpt"] == "2"


def test_dispositions(site, postern):
    drop = logged(site, postern, 1, sender="x@drop.test")
    assert (drop["stage"], drop["action"], drop["rule"]) == ("eom", "discard", rule(postern, 3))
    hold = logged(site, postern, 1, sender="x@hold.test")
    assert (hold["stage"], hold["action"], hold["rule"]) == ("eom", "quarantine", rule(postern, 4))
    assert "held for a look" in hold.values()


@pytest.mark.parametrize("sender", ["s@neutral.test", "x@hold.test", "x@drop.test"])
def test_queue_id_is_the_mail_servers(site, postern, sender):
    before = len(postern.lines())
    with site.client("127.24.2.1") as client:
        client.mail(sender)
        client.rcpt("joe@local.example")
        reply = client.data(smtp.message(unique("queue-id")))
    tools.wait_for(lambda: new_entries(postern, before), "the line of the message", 5)
    entry = new_entries(postern, before)[0]
    assert len(entry["queue"]) >= 6
    assert entry["queue"] in reply.text


def test_lines_of_one_session_share_its_id(site, postern):
    before = len(postern.lines())
    for _ in range(2):
        with site.client("127.24.2.1") as client:
            client.mail("x@spam.test")
            client.mail("s@neutral.test")
            client.rcpt("block@local.example")
            client.rcpt("joe@local.example")
            client.data(smtp.message(unique("id")))
    tools.wait_for(lambda: len(new_entries(postern, before)) == 6, f"six lines\n{postern.log()}", 5)
    ids = [entry["session"] for entry in new_entries(postern, before)]
    assert len(set(ids[:3])) == 1
    assert len(set(ids[3:])) == 1
    assert ids[0] != ids[3]


def test_connection_without_mail_is_not_worth_a_line(site, postern):
    before = len(postern.lines())
    with site.client("127.24.2.1") as client:
        client.quit()
    logged(site, postern, 1)
    assert len(new_entries(postern, before)) == 1


def test_debug_shows_lookups(site):
    daemon = site.daemon(ACCESS, log_level="debug")
    site.send(unique("debug"), "x@a.spam.test")
    keys = [entry["key"] for entry in daemon.entries(event="lookup")]
    tried = ["from:x@a.spam.test", "x@a.spam.test", "from:x@", "x@", "from:a.spam.test", "a.spam.test"]
    wanted = [*tried, "from:spam.test"]
    assert [key for key in keys if key in wanted] == wanted
    found = [entry for entry in daemon.entries(event="lookup") if entry["key"] == "from:spam.test"][0]
    assert found["result"] == "found"


def test_level_warning_is_quiet(site):
    daemon = site.daemon(ACCESS, log_level="warning")
    assert site.send(unique("quiet"), "x@spam.test").code == 550
    assert site.send(unique("quiet")).code == 250
    assert daemon.entries(action="reject") == []
    assert daemon.entries(action="accept") == []


def test_level_changes_with_a_reload(site):
    daemon = site.daemon(ACCESS, log_level="warning")
    daemon.write_config(log_level="info")
    daemon.control("reload")
    site.send(unique("louder"), "x@spam.test")
    daemon.wait_entry(action="reject")
