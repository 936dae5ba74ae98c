# SPDX-License-Identifier: GPL-3.0-or-later
"""Reload by posternctl and by SIGHUP: good and bad configurations, and under load."""

import concurrent.futures
import time

import pytest

from harness import names, smtp, tools
from harness.site import unique

SPAM_RULES = "From:spam.test REJECT\nTo:block@local.example REJECT\n"
OLD = "550 5.7.1 Old message"
NEW = "550 5.7.1 New message"


def by_command(daemon):
    daemon.control("reload")


def by_signal(daemon):
    daemon.hup()


WAYS = pytest.mark.parametrize("reload", [by_command, by_signal], ids=["posternctl", "sighup"])


def mail_reply(site, sender="x@spam.test", source=names.NAMELESS):
    with site.client(source) as client:
        return str(client.mail(sender))


@WAYS
def test_new_configuration_comes_into_force(site, reload):
    daemon = site.daemon(SPAM_RULES, reject_message=OLD)
    with site.client() as before:
        assert mail_reply(site) == OLD
        daemon.write_config(reject_message=NEW)
        assert mail_reply(site) == OLD
        reload(daemon)
        tools.wait_for(lambda: mail_reply(site) == NEW, "the new message", timeout=5)
        assert str(before.mail("x@spam.test")) == OLD, "a session keeps what it began with"


@WAYS
def test_features_change(site, reload):
    daemon = site.daemon(SPAM_RULES)

    def rcpt_code():
        with site.client() as client:
            client.mail("s@neutral.test")
            return client.rcpt("block@local.example").code

    assert rcpt_code() == 250
    features = ["accept_unresolvable_domains", "accept_unqualified_senders"]
    daemon.write_config(features=[*features, "blocklist_recipients"])
    reload(daemon)
    tools.wait_for(lambda: rcpt_code() == 550, "blocklist_recipients", timeout=5)
    daemon.write_config(features=features)
    reload(daemon)
    tools.wait_for(lambda: rcpt_code() == 250, "no blocklist_recipients", timeout=5)


@WAYS
def test_quarantine_that_comes_with_a_reload(site, reload):
    """The right to hold a message is negotiated with the mail server: a rule that needs it may come later."""
    daemon = site.daemon("")
    daemon.write_access("From:hold.test QUARANTINE:held now\n")
    daemon.makemap()
    reload(daemon)
    subject = unique("hold-after-reload")

    def held():
        assert site.send(subject, "s@hold.test").code == 250
        time.sleep(0.2)
        return site.mta.held_with_subject(subject)

    assert tools.wait_for(held, "the message to be held", timeout=5)


BROKEN = {
    "unknown_key": "no_such_key = 1\n",
    "syntax": "features = { unclosed\n",
    "unknown_feature": 'features = { "no_such_feature" }\n',
    "bad_value": 'relay_control = "perhaps"\n',
}


@WAYS
@pytest.mark.parametrize("broken", BROKEN)
def test_bad_configuration_keeps_the_old_one(site, reload, broken):
    daemon = site.daemon(SPAM_RULES, reject_message=OLD)
    daemon.write_config(extra=BROKEN[broken], reject_message=NEW)
    if reload is by_command:
        failed = daemon.control("reload", check=False)
        assert failed.returncode == 1
        assert f"{daemon.config}:" in failed.stderr
    else:
        daemon.hup()
    tools.wait_for(lambda: f"{daemon.config}:" in daemon.log(), "a log line that names the file and line", timeout=5)
    assert mail_reply(site) == OLD
    assert mail_reply(site, "s@neutral.test")[:3] == "250"
    daemon.write_config()
    daemon.control("reload")
    assert mail_reply(site) == NEW


def test_missing_configuration_keeps_the_old_one(site):
    daemon = site.daemon(SPAM_RULES, reject_message=OLD)
    text = daemon.config.read_text()
    daemon.config.unlink()
    daemon.hup()
    tools.wait_for(lambda: str(daemon.config) in daemon.log(), "a log line that names the file", timeout=5)
    assert mail_reply(site) == OLD
    daemon.config.write_text(text)
    daemon.control("reload")
    assert mail_reply(site) == OLD


def test_many_signals(site):
    daemon = site.daemon(SPAM_RULES)
    for _ in range(200):
        daemon.hup()
        time.sleep(0.002)
    assert mail_reply(site) == "550 5.7.1 Access denied"
    assert daemon.alive()


def test_status_tells_of_the_running_daemon(site):
    daemon = site.daemon(SPAM_RULES)
    status = daemon.control("status")
    assert str(daemon.process.pid) in status.stdout
    daemon.stop()
    stopped = daemon.control("status", check=False)
    assert stopped.returncode in (1, 75)
    failed = daemon.control("reload", check=False)
    assert failed.returncode in (1, 75)
    assert failed.stderr


# ---- under load

SESSIONS = 200
RELOADS = 50
WORKERS = 20


def open_session(site, number):
    return site.client(f"127.30.{number // 100}.{number % 100 + 1}", timeout=60)


def use_session(client, subject):
    """One refused sender, one refused recipient and one message; the replies that are not what they must be."""
    wrong = []

    def check(reply, wanted):
        if str(reply) != wanted and reply.code != wanted:
            wrong.append(f"{reply} instead of {wanted}")

    check(client.mail("x@spam.test"), "550 5.7.1 Access denied")
    check(client.mail("s@neutral.test"), 250)
    check(client.rcpt("block@local.example"), "550 5.2.1 Mailbox disabled for this recipient")
    check(client.rcpt("joe@local.example"), 250)
    check(client.data(smtp.message(subject)), 250)
    check(client.quit(), 221)
    return wrong


def test_reload_under_load(site):
    """200 sessions open, 50 reloads while they talk and new ones come: none fails."""
    daemon = site.daemon(SPAM_RULES, features=["blocklist_recipients"])
    subjects = [unique("load") for _ in range(SESSIONS)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        clients = list(workers.map(lambda number: open_session(site, number), range(SESSIONS)))
        running = [workers.submit(use_session, *pair) for pair in zip(clients, subjects)]
        for number in range(RELOADS):
            if number % 2:
                daemon.hup()
            else:
                daemon.control("reload")
            if number % 10 == 0:
                daemon.control("makemap", "--force")
            assert mail_reply(site) == "550 5.7.1 Access denied"
        results = [one.result(timeout=120) for one in running]
    assert [wrong for wrong in results if wrong] == []
    for subject in subjects:
        site.wait_delivered(subject, timeout=60)
