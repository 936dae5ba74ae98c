#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch: what is told of a line, of standard input, and by --test."""
import json
import re
import signal
import subprocess
import time
import unittest

from relay_watch_kit import CTL, DEADLINE, PATTERNS, Watch, login, request


class Lines(Watch):
    """What is told of a line."""

    def test_login_and_logout(self):
        self.append(login(1))
        self.start()
        self.append(login(2, session="abc"), "Nov 22 10:01:00 mx1 dovecot: imap(u2)<7><abc>: Disconnected: Logged out in=1\n",
                    "Nov 22 10:01:00 mx1 dovecot: imap(u2)<7><abc>: Disconnected: Logged out in=1\n",
                    "Nov 22 10:01:00 mx1 dovecot: imap(u3)<7><never-seen>: Disconnected: Logged out in=1\n",
                    "Nov 22 11:00:00 mx1 imapd: LOGIN, user=c, ip=[::ffff:192.0.2.4], port=[41], protocol=IMAP\n",
                    "Nov 22 11:00:01 mx1 imapd: LOGOUT, user=c, ip=[::ffff:192.0.2.4], port=[41], headers=0\n",
                    "Nov 22 11:00:01 mx1 imapd: LOGOUT, user=d, ip=[::ffff:192.0.2.4], headers=0\n", login(5))
        self.wait_for(request(5))
        self.assertEqual(self.listener.requests,
                         ["login 10.0.0.2 user=u2 service=imap session=abc keep=no", "logout 10.0.0.2 user=u2 service=imap session=abc",
                          "login 192.0.2.4 user=c service=imap session=41 keep=no",
                          "logout 192.0.2.4 user=c service=imap session=41", request(5)])
        self.stop()
        self.assertRegex(self.said.read_text(), r"state=stopped patterns=\d+ lines=8 logins=3 logouts=2 refused=0 expired=0")

    def test_sessions_outlive_the_watcher(self):
        self.start("--state", self.state)
        self.append(login(2, session="abc"))
        self.wait_until(lambda: len(self.listener.requests) == 1)
        self.stop()
        self.append("Nov 22 10:01:00 mx1 dovecot: imap(u2)<7><abc>: Disconnected: Logged out in=1\n")
        self.start("--state", self.state)
        self.wait_for("logout 10.0.0.2 user=u2 service=imap session=abc")

    def test_sessions_outlive_a_watcher_that_is_killed(self):
        """The place that is kept never stands behind a login whose session is not."""
        self.log.touch()
        self.start("--state", self.state)
        numbers = range(1, 4)
        for number in numbers:
            self.append(login(number, session=f"s{number}"))
            time.sleep(1.5)
        self.wait_until(lambda: len(self.listener.requests) == 3)
        time.sleep(2.5)  # the place is saved once a second
        self.stop(signal.SIGKILL)
        self.start("--state", self.state)
        self.append(*[f"Nov 22 10:01:00 mx1 dovecot: imap(u{number})<7><s{number}>: Disconnected: Logged out in=1\n" for number in numbers])
        self.wait_for(*[f"logout 10.0.0.{number} user=u{number} service=imap session=s{number}" for number in numbers])

    def test_end_of_a_session_that_could_not_be_told(self):
        """The line is read again by the next watcher, who must know the session."""
        self.log.touch()
        self.start("--state", self.state)
        self.append(login(2, session="abc"))
        self.wait_until(lambda: len(self.listener.requests) == 1)
        self.listener.stop()
        self.append("Nov 22 10:01:00 mx1 dovecot: imap(u2)<7><abc>: Disconnected: Logged out in=1\n")
        time.sleep(2.5)
        self.stop()
        self.assertIn("logins=1 logouts=1", self.said.read_text())
        self.listener.start()
        self.start("--state", self.state)
        self.wait_for("logout 10.0.0.2 user=u2 service=imap session=abc")
        self.stop()
        self.assertNotIn("abc", self.state.with_name("state.sessions").read_text())

    def test_end_of_a_session_before_its_begin(self):
        """Several processes of Dovecot write one log: of a short session the end may stand there first, and it must not stay open."""
        self.log.touch()
        self.start()
        self.append("Nov 22 10:01:00 mx1 dovecot: imap(u2)<7><abc>: Disconnected: Logged out in=1\n", login(2, session="abc"), login(3))
        self.wait_for(request(3))
        self.assertEqual(self.listener.requests, [request(2), request(3)])

    def test_sessions_whose_ends_are_not_logged(self):
        """As with Dovecot 2.2: they would be open for session_max_hours. One end that is seen has the next sessions counted."""
        self.log.touch()
        self.start("--state", self.state)
        begun = [f"{request(number).replace(' keep=no', '')} session=s{number} keep=no" for number in range(1, 26)]
        ended = [f"logout 10.0.0.{number} service=imap session=s{number}" for number in range(1, 21)]
        self.append(*[login(number, session=f"s{number}") for number in range(1, 16)])
        self.wait_for(*begun[:15])
        self.stop()
        self.start("--state", self.state)
        self.append(*[login(number, session=f"s{number}") for number in range(16, 23)])
        self.wait_for(*ended)
        self.assertEqual(sorted(self.listener.requests), sorted([*begun[:20], *ended, request(21), request(22)]))
        self.stop()
        self.start("--state", self.state)
        self.append(login(23, session="s23"), "Nov 22 10:01:00 mx1 dovecot: imap(u3)<7><other>: Disconnected: Logged out in=1\n",
                    login(24, session="s24"))
        self.wait_for(request(23), begun[23])
        self.assertEqual(len(self.listener.requests), 44)
        self.stop()
        self.assertEqual(re.findall("state=(uncounted|counted) service=imap reason=", self.said.read_text()), ["uncounted", "counted"])

    def test_users_are_escaped(self):
        self.start()
        self.append(login(1).replace("<u1>", "<an n%\u00e9=x>"))
        self.wait_for("login 10.0.0.1 user=an%20n%25%C3%A9=x service=imap keep=no")

    def test_strange_bytes(self):
        self.log.touch()
        self.start()
        self.append(b"\0" * 100000 + login(1).encode(), b"x" * 100000 + login(2).encode(), login(3).replace("\n", "\r\n"),
                    login(4).replace("user=", "user=\0"), b"\xff\xfe\n\n\r\n", login(5).rstrip("\n"))
        time.sleep(0.3)
        self.expect_once([1, 3])
        self.append("\n", login(6)[:50])
        self.expect_once([1, 3, 5])
        self.append(login(6)[50:])
        self.expect_once([1, 3, 5, 6])
        self.stop()
        self.assertIn("too_long=1", self.said.read_text())

    def test_wrong_lines_are_told_seldom(self):
        self.start()
        self.append(*[login(1).replace("10.0.0.1", "10.0.0") for _ in range(100)], login(2))
        self.expect_once([2])
        self.assertEqual(self.said.read_text().count("result=unknown"), 1)

    def test_patterns_are_read_again(self):
        patterns = self.folder / "patterns"
        patterns.write_text("in (?<ip>[0-9.]+)$\n")
        self.start("--patterns", patterns)
        self.append("in 192.0.2.1\n", "out 192.0.2.2\n")
        self.wait_for("login 192.0.2.1 keep=no")
        patterns.write_text("out (?<ip>[0-9.]+$\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_until(lambda: "the old patterns stay" in self.said.read_text())
        self.assertIn("patterns:1: wrong pattern", self.said.read_text())
        patterns.write_text("out (?<ip>[0-9.]+)$\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_until(lambda: "state=reloaded patterns=1" in self.said.read_text())
        self.append("in 192.0.2.3\n", "out 192.0.2.4\n")
        self.wait_for("login 192.0.2.4 keep=no")
        self.assertEqual(self.listener.requests, ["login 192.0.2.1 keep=no", "login 192.0.2.4 keep=no"])


class Input(Watch):
    """Standard input."""

    def test_pipe(self):
        self.start(log="-", stdin=subprocess.PIPE)
        self.process.stdin.write((login(1) + login(2)[:30]).encode())
        self.process.stdin.flush()
        self.expect_once([1])
        self.process.stdin.write((login(2)[30:] + login(3).rstrip("\n")).encode())
        self.process.stdin.close()
        self.assertEqual(self.process.wait(timeout=DEADLINE), 0)
        self.expect_once([1, 2])  # a line without an end may have been cut off

    def test_sessions_outlive_the_watcher(self):
        """There is no place to be kept, and --from-start says nothing new."""
        end = "Nov 22 10:01:00 mx1 dovecot: imap(u{0})<7><s{0}>: Disconnected: Logged out in=1\n"
        for number, killed, lines in ((1, False, [login(1, session="s1")]), (2, True, [end.format(1), login(2, session="s2")]),
                                      (3, False, [end.format(2)])):
            self.start("--state", self.state, *(["--from-start"] if number == 2 else []), log="-", stdin=subprocess.PIPE)
            self.process.stdin.write("".join(lines).encode())
            self.process.stdin.flush()
            self.wait_for(f"logout 10.0.0.{number - 1} user=u{number - 1} service=imap session=s{number - 1}" if number > 1 else
                          "login 10.0.0.1 user=u1 service=imap session=s1 keep=no")
            time.sleep(2.5 if killed else 0)  # they are saved once a second
            self.stop(signal.SIGKILL if killed else signal.SIGTERM)
            self.process.stdin.close()
        self.assertFalse(self.state.exists())
        self.assertNotIn("state=forgotten", self.said.read_text())

    def test_file(self):
        self.append(*[login(number) for number in range(1, 20001)])
        with self.log.open() as log:
            self.start(log="-", stdin=log, ready=False)
        self.assertEqual(self.process.wait(timeout=DEADLINE), 0)
        self.expect_once(range(1, 20001))

    def test_term(self):
        self.start(log="-", stdin=subprocess.PIPE)
        self.stop()
        self.process.stdin.close()


class Test(Watch):
    """--test, and the arguments."""

    def run_ctl(self, *args, **options):
        return subprocess.run([CTL, *args], capture_output=True, text=True, check=False, timeout=DEADLINE, **options)

    def run_test(self, *args, **options):
        return self.run_ctl("relay", "watch", "--patterns", PATTERNS, "--test", *args, **options)

    LINES = ["nothing\n", login(1, session="s"), "Nov 22 10:01:00 mx1 dovecot: imap(u1)<7><s>: Disconnected: Logged out in=1\n",
             "x" * 20000 + "\n", login(2).replace("10.0.0.2", "10.0.0"),
             "Nov 22 10:01:00 mx1 dovecot: imap(u1)<7><s>: Disconnected: Logged out in=1\n", login(3).rstrip("\n")]

    def test_shows_what_would_be_learned(self):
        self.append(*self.LINES)
        done = self.run_test(self.log)
        numbers = {int(number) for number in re.findall(r" pattern=\S*login-patterns:(\d+)", done.stdout)}
        self.assertEqual(len(numbers), 2)
        self.assertEqual(re.sub(r" pattern=\S*login-patterns:\d+", " at", done.stdout).splitlines(), [
            "line=2 event=login client=10.0.0.1 user=u1 service=imap session=s at",
            "line=3 event=logout client=10.0.0.1 user=u1 service=imap session=s at",
            'line=5 event=login user=u2 service=imap at error="no IP address"',
            'line=6 event=logout user=u1 service=imap session=s at error="the login of this session is not in the log: ignored"',
            "line=7 event=login client=10.0.0.3 user=u3 service=imap at",
            f"lines=7 logins=2 logouts=2 wrong=1 too_long=1 patterns={self.count()}"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.listener.requests, [])

    def test_end_of_a_session_before_its_begin(self):
        """Two processes of Dovecot write these lines; those of a short session may come in this order."""
        self.append(self.LINES[2], self.LINES[1])
        done = self.run_test(self.log)
        self.assertEqual(re.sub(r" pattern=\S*login-patterns:\d+", " at", done.stdout).splitlines()[1],
                         "line=2 event=login client=10.0.0.1 user=u1 service=imap at")

    def count(self):
        lines = PATTERNS.read_text().splitlines()
        return sum(1 for line in lines if line and not line.startswith(("#", "define ")))

    def test_json(self):
        self.append(*self.LINES)
        done = self.run_test(self.log, "--json")
        answer = json.loads(done.stdout)
        self.assertEqual((done.returncode, answer["version"], answer["lines"], answer["logins"], answer["logouts"], answer["wrong"]),
                         (0, 1, 7, 2, 2, 1))
        self.assertEqual([one["line"] for one in answer["learned"]], [2, 3, 5, 6, 7])
        self.assertEqual(answer["learned"][0]["client"], "10.0.0.1")
        self.assertEqual(answer["learned"][2]["error"], "no IP address")

    def test_standard_input(self):
        done = self.run_test("-", input="".join(self.LINES))
        self.assertIn("lines=7 logins=2", done.stdout)

    def test_nothing_learned(self):
        self.append("nothing\n")
        self.assertEqual(self.run_test(self.log).returncode, 1)
        self.assertEqual(self.run_test("/dev/null").returncode, 1)

    def test_log_that_cannot_be_read(self):
        for log in (self.folder / "missing", self.folder):
            done = self.run_test(log)
            self.assertEqual(done.returncode, 75)
            self.assertIn(str(log), done.stderr)

    def test_wrong_patterns(self):
        patterns = self.folder / "patterns"
        for text in ("", "(?<ip>\n", "(?<user>x)$\n"):
            patterns.write_text(text)
            for words in (("--test", "/dev/null"), ("--socket", self.listener.path, self.log)):
                done = self.run_ctl("relay", "watch", "--patterns", patterns, *words)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"{patterns}", done.stderr)
        self.assertEqual(self.run_ctl("relay", "watch", "--patterns", self.folder / "none", self.log).returncode, 1)

    def test_usage(self):
        for words in ((), ("a", "b"), ("--catch-up", "x", "a"), ("--catch-up", "-1", "a"), ("--catch-up", "99999999", "a"),
                      ("--test", "a", "b"), ("--nonsense", "a")):
            done = self.run_ctl("relay", "watch", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage: posternctl", done.stderr)
        self.assertIn("--catch-up SECONDS", self.run_ctl("relay", "watch", "--help").stdout)


if __name__ == "__main__":
    unittest.main()
