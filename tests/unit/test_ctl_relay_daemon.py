#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay asked of a daemon: all that it does on the file, what the control socket refuses, and what status tells."""
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
import unittest

import test_ctl_relay
from test_ctl_relay import FUTURE, OLD


class Daemon(test_ctl_relay.Site):
    def setUp(self):
        super().setUp()
        self.log = (self.folder / "log").open("w+", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.before_start()
        self.start()
        self.addCleanup(self.stop)

    def before_start(self):
        pass

    def start(self):
        self.daemon = subprocess.Popen([test_ctl_relay.BUILD / "postern", "-f", "-c", self.conf], stderr=self.log)
        deadline = time.monotonic() + 30
        while "result=ready" not in (self.folder / "log").read_text():
            self.assertIsNone(self.daemon.poll(), (self.folder / "log").read_text())
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        self.daemon.send_signal(number)
        code = self.daemon.wait(timeout=30)
        self.assertEqual(code, 0 if number == signal.SIGTERM else -number, (self.folder / "log").read_text())
        self.log.truncate(0)

    def store(self):
        status = json.loads(self.ctl("--json", "status").stdout)
        return status["relay_store"]


class WithDaemon(Daemon, test_ctl_relay.Words):
    """The words, asked of a daemon."""
    least_syncs = 2  # of an addition and a load

    def described_place(self):
        return {"backend": "gdbm", "file": str(self.file)}

    def assert_tells_entries(self, text):
        self.assertIn(f"relayers       {text}\n", self.ctl("status").stdout)

    def assert_nothing_at(self, cursor):
        self.assertEqual(self.ask(f"relay walk {cursor}")["entries"], "")

    def test_answers_come_from_the_daemon(self):
        self.relay("add", "10.0.0.1", "--user", "ann")
        self.load(f"10.0.0.1 {OLD}\n10.0.0.2 {FUTURE}\n")
        self.relay("check", "10.0.0.2")
        store = self.store()
        expected = {**self.described_place(), "usable": True, "entries": 2, "in_force": 1, "in_future": 1, "expired": 0,
                    "window_minutes": 0, "max_entries": self.max_entries, "refused": 0, "asked": 1, "found": 1}
        self.assertEqual({key: store[key] for key in expected}, expected)
        self.assertGreaterEqual(store["syncs"], self.least_syncs)
        self.assertNotIn("failure", store)
        self.assert_tells_entries("2 entries: 1 in force, 0 expired, 1 dated in the future")

    def tell(self, lines):
        """Says so on popauth.sock; the answers."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(self.folder / "popauth.sock"))
            client.sendall(lines.encode())
            client.shutdown(socket.SHUT_WR)
            return client.makefile().read()

    def test_stats_of_what_was_told(self):
        event = '{{"event":"{}","categories":["service:imap"],"fields":{{"user":"Ann B","remote_ip":"10.0.0.1","remote_port":7}}}}\n'
        self.assertEqual(self.tell(event.format("auth_master_client_login_finished") + event.format("auth_request_finished") +
                                   "login 10.0.0.1 user=ann%20b session=1\nlogin 10.0.0.2 user=ann%20b session=1\n"
                                   "login 10.0.0.3\nnonsense\n{}\n"),
                         "ok\nok\nok\nerr the request is none of login, logout, add\n")
        store = self.json("stats")["relay_store"]
        self.assertEqual([store[key] for key in ("entries", "in_force", "users", "nameless", "granted", "lines_refused", "events_ignored",
                                                 "too_many_addresses", "recipients", "top_addresses")],
                         [3, 3, 1, 1, 4, 2, 1, 0, 0, []])
        self.assertEqual([(one["user"].lower(), one["addresses"]) for one in store["top_users"]], [("ann b", 2)])
        self.assertEqual([store["sessions"][key] for key in ("open", "addresses", "not_counted", "too_old", "withdrawn")], [3, 2, 0, 0, 0])
        told = self.relay("stats")
        self.assertIn(" 3 POP and IMAP sessions open, of 2 entries; 2 lines not understood\n", told)
        self.assertRegex(told, r" 2 addresses of [Aa]nn%20[Bb]\n")
        self.assertIn("granted 4, refused 0, removed 0, expired 0, in ", told)
        self.assertIn(" 3 POP and IMAP sessions open, of 2 entries; 2 lines not understood\n", self.ctl("status").stdout)
        self.tell(event.format("mail_user_session_finished"))
        self.assertEqual(self.json("stats")["relay_store"]["sessions"]["open"], 2)

    def test_what_was_done_is_there_after_a_crash(self):
        self.relay("add", "10.0.0.1", "--user", "ann")
        self.load(f"10.0.0.2 {OLD}\n")
        self.relay("add", "10.0.0.3")
        self.stop(signal.SIGKILL)
        self.assertEqual(len(self.entries()), 2)  # by the file
        self.start()
        self.assertEqual(len(self.entries()), 2)

    def test_commands_are_logged(self):
        self.relay("add", "10.0.0.1", "--user", "ann\nevent=forged")
        self.load(f"10.0.0.2 {OLD}\n")
        self.relay("expire", "60")
        self.relay("remove", "10.0.0.1", code=1)
        self.relay("check", "10.0.0.1", code=1)
        lines = [line for line in (self.folder / "log").read_text().splitlines() if line.startswith("event=relay_command ")]
        self.assertRegex(lines[0], r'^event=relay_command command=add argument="10\.0\.0\.1 \d+ user=ann%0Aevent=forged" result=ok')
        self.assertEqual(lines[1:], [
            "event=relay_command command=load result=ok count=1",
            "event=relay_command command=expire argument=60 result=ok count=1",
            'event=relay_command command=remove argument=10.0.0.1 result=notfound reason="there is no such entry" count=0'])

    def test_window_is_told(self):
        self.load(f"10.0.0.1 {OLD}\n10.0.0.2 {self.ago(1)}\n")
        self.window = 60
        self.configure()
        self.assertEqual(self.ctl("reload").returncode, 0)
        store = self.store()
        self.assertEqual((store["window_minutes"], store["in_force"]), (60, 1))
        self.relay("check", "10.0.0.1", code=1)
        self.relay("check", "10.0.0.2")
        self.assertIn("window 60 min", self.ctl("status").stdout)

    def test_configuration_with_errors_does_not_matter(self):
        self.relay("add", "10.0.0.1")
        with self.conf.open("a") as conf:
            conf.write("nonsense = 1\n")
        self.relay("check", "10.0.0.1")
        self.load(f"10.0.0.7 {OLD}\n")
        self.assertEqual(self.entries(), [f"10.0.0.7 {OLD}"])

    def ask(self, line, descriptor=None):
        """One request, as any program can send it."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(self.folder / "control.sock"))
            if descriptor is None:
                client.sendall(line.encode() + b"\n")
            else:
                socket.send_fds(client, [line.encode() + b"\n"], [descriptor])
            return json.loads(client.makefile("rb").read())

    def test_wrong_requests(self):
        self.relay("add", "10.0.0.1")
        for line in ("relay ", "relay walk", "relay walk x", "relay walk -1", "relay add", "relay add 10.0.0.2",
                     "relay add 10.0.0.2 x", "relay remove", "relay remove 10.0.0.0/8", "relay expire x", "relay expire -1",
                     "relay expire 99999999999", "relay check", "relay check x", "relay load", "relay lost"):
            answer = self.ask(line)
            self.assertTrue(answer.get("result") == "invalid" or "error" in answer, (line, answer))
        self.assert_nothing_at(18446744073709551614)
        self.assertEqual(len(self.entries()), 1)

    def test_a_file_that_could_change_or_block_is_not_read(self):
        self.relay("add", "10.0.0.1")
        reader, writer = os.pipe()
        unsealed = os.memfd_create("x", os.MFD_ALLOW_SEALING)
        plain = os.open(self.conf, os.O_RDONLY)
        try:
            for descriptor in (reader, unsealed, plain):
                self.assertEqual(self.ask("relay load", descriptor)["result"], "invalid")
        finally:
            for descriptor in (reader, writer, unsealed, plain):
                os.close(descriptor)
        self.assertEqual(len(self.entries()), 1)

    def test_daemon_checks_the_text_itself(self):
        self.relay("add", "10.0.0.1")
        text = os.memfd_create("x", os.MFD_ALLOW_SEALING)
        os.write(text, b"10.0.0.2 5\nnonsense\n" + b"bad\n" * 100)
        fcntl.fcntl(text, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        answer = self.ask("relay load", text)
        os.close(text)
        self.assertEqual(answer["result"], "invalid")
        self.assertEqual(answer["items"][0]["line"], 2)
        self.assertLessEqual(len(answer["items"]), 20)
        self.assertEqual(len(self.entries()), 1)


class SmallLimitWithDaemon(WithDaemon):
    max_entries = 300

    def test_limit_of_the_daemon_holds(self):
        text = "".join(f"10.0.{i // 250}.{i % 250} {FUTURE}\n" for i in range(301))
        self.max_entries = 1000
        self.configure()
        self.assertIn("more than 300 entries", self.load(text, code=1))
        self.assertEqual(self.entries(), [])


class DaemonWithoutFile(Daemon):
    """Somebody else has the file when the daemon starts: it runs, and knows nobody until it gets it."""

    def before_start(self):
        self.load(f"10.0.0.1 {OLD}\n")
        self.lock = (self.folder / "relayers.gdbm.lock").open("a")
        self.addCleanup(self.lock.close)
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def test_says_so_until_it_has_it(self):
        for words in (["list"], ["add", "10.0.0.2"], ["expire"], ["check", "10.0.0.1"]):
            self.assertIn("another process has it", self.relay(*words, code=75))
        self.assertFalse(self.store()["usable"])
        self.assertIn("CANNOT BE USED", self.ctl("status").stdout)
        stats = self.ctl("relay", "stats")
        self.assertEqual((stats.returncode, stats.stderr), (75, ""))
        self.assertRegex(stats.stdout, "^relayers       CANNOT BE USED: .*another process has it")
        self.assertFalse(self.json("stats", code=75)["relay_store"]["usable"])
        self.lock.close()
        deadline = time.monotonic() + 30
        while self.ctl("relay", "check", "10.0.0.1").returncode != 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.assertEqual(self.entries(), [f"10.0.0.1 {OLD}"])


if __name__ == "__main__":
    unittest.main()
