#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch: each login of a log is told once, whatever happens to the log, the watcher and who is told."""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ".")).resolve()
SOURCE = pathlib.Path(os.environ.get("POSTERN_SOURCE", ".")).resolve()
CTL = BUILD / "posternctl"
PATTERNS = SOURCE / "conf/login-patterns"
DEADLINE = 60


def login(number, session=None):
    """A line of Dovecot's log: the login of the user `number`."""
    ends = f", session=<{session}>" if session else ""
    return (f"Nov 22 10:00:00 mx1 dovecot: imap-login: Login: user=<u{number}>, method=PLAIN, "
            f"rip=10.{number >> 16}.{number >> 8 & 255}.{number & 255}, lip=198.51.100.5, mpid=7, TLS{ends}\n")


def request(number):
    return f"login 10.{number >> 16}.{number >> 8 & 255}.{number & 255} user=u{number} service=imap"


class Listener:
    """Who is told: it answers each request, and remembers it."""

    def __init__(self, path):
        self.path = str(path)
        self.requests = []
        self.answer = lambda line: "ok"
        self.server = None
        self.clients = []
        self.start()

    def start(self):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(5)
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()

    def accept(self, server):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            for line in client.makefile():
                answer = self.answer(line.rstrip("\n"))
                self.requests.append(line.rstrip("\n"))
                client.sendall(answer.encode() + b"\n")
        except OSError:
            pass

    def stop(self):
        os.unlink(self.path)
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            client.close()
        self.clients = []


class Watch(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-watch-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.log = self.folder / "mail.log"
        self.state = self.folder / "state"
        self.said = self.folder / "said"
        self.listener = Listener(self.folder / "sock")
        self.process = None
        self.addCleanup(self.end)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # ---- the watcher

    def start(self, *args, log=None, ready=True, **options):
        with self.said.open("a") as said:
            self.process = subprocess.Popen([CTL, "relay", "watch", "--patterns", PATTERNS, "--socket",
                                             self.listener.path, *args, log or self.log], stderr=said, **options)
        if ready:
            self.wait_until(lambda: self.said.read_text().count("state=started") > 0)
            time.sleep(0.2)  # it has opened the log
        return self.process

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(timeout=DEADLINE)
        self.assertEqual(code, 0 if number == signal.SIGTERM else -number, self.said.read_text())

    def wait_until(self, is_true, seconds=DEADLINE):
        deadline = time.monotonic() + seconds
        while not is_true():
            if time.monotonic() > deadline:
                self.fail(f"waited too long; it said:\n{self.said.read_text()}"
                          f"\nrequests: {len(self.listener.requests)}, the last: {self.listener.requests[-3:]}")
            time.sleep(0.01)

    def wait_for(self, *requests):
        self.wait_until(lambda: set(requests) <= set(self.listener.requests))

    def append(self, *lines, path=None):
        with (path or self.log).open("ab") as log:
            for line in lines:
                log.write(line if isinstance(line, bytes) else line.encode())

    def expect_once(self, numbers):
        """Each of these logins was told, and none of them twice; nobody else's was."""
        expected = {request(number) for number in numbers}
        self.wait_until(lambda: expected <= set(self.listener.requests))
        time.sleep(0.2)
        count = collections.Counter(self.listener.requests)
        self.assertEqual(set(count) - expected, set())
        self.assertEqual([line for line, times in count.items() if times > 1], [])


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
                         ["login 10.0.0.2 user=u2 service=imap session=abc", "logout 10.0.0.2 user=u2 service=imap session=abc",
                          "login 192.0.2.4 user=c service=imap session=41",
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

    def test_users_are_escaped(self):
        self.start()
        self.append(login(1).replace("<u1>", "<an n%\u00e9=x>"))
        self.wait_for("login 10.0.0.1 user=an%20n%25%C3%A9=x service=imap")

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
        self.wait_for("login 192.0.2.1")
        patterns.write_text("out (?<ip>[0-9.]+$\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_until(lambda: "the old patterns stay" in self.said.read_text())
        self.assertIn("patterns:1: wrong pattern", self.said.read_text())
        patterns.write_text("out (?<ip>[0-9.]+)$\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_until(lambda: "state=reloaded patterns=1" in self.said.read_text())
        self.append("in 192.0.2.3\n", "out 192.0.2.4\n")
        self.wait_for("login 192.0.2.4")
        self.assertEqual(self.listener.requests, ["login 192.0.2.1", "login 192.0.2.4"])


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


class Writer(threading.Thread):
    """Somebody who writes logins, and rotates the log; never both at once."""

    def __init__(self, path, rotate, numbers, rotations, pause=0.003):
        super().__init__(daemon=True)
        self.path, self.rotate, self.numbers, self.rotations, self.pause = path, rotate, numbers, rotations, pause
        self.log = path.open("ab", buffering=0)

    def run(self):
        every = len(self.numbers) // self.rotations
        for index, number in enumerate(self.numbers):
            self.log.write(login(number).encode())
            if index % every == every - 1:
                self.log = self.rotate(self.path, self.log)
            elif index % 10 == 0:
                time.sleep(self.pause)


def rename(path, log, keep=5):
    """As logrotate does it: mail.log.1 becomes mail.log.2, ..., and the oldest is removed."""
    for number in range(keep, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists() and number == keep:
            old.unlink()
        elif old.exists():
            old.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))
    log.close()
    return path.open("ab", buffering=0)


def rename_by_date(path, log):
    path.rename(path.with_name(f"{path.name}-{time.time_ns()}"))
    log.close()
    return path.open("ab", buffering=0)


def rename_and_write_on(path, log):
    """Who writes learns late that the log was renamed."""
    path.rename(path.with_name(f"{path.name}.{time.time_ns()}"))
    new = path.open("ab", buffering=0)

    class Both:
        """Ten lines more go to the old file."""
        left = 10

        def write(self, line):
            (log if self.left > 0 else new).write(line)
            self.left -= 1

        def close(self):
            log.close()
            new.close()

    return Both()


def copy_and_truncate(path, log):
    shutil.copyfile(path, path.with_name(f"{path.name}-{time.time_ns()}"))
    log.truncate(0)
    return log


class Rotation(Watch):
    NUMBERS = range(1, 6001)

    def rotate(self, how, *args, rotations=100, numbers=NUMBERS):
        self.log.touch()
        self.start(*args)
        writer = Writer(self.log, how, numbers, rotations)
        writer.start()
        return writer

    def test_renamed_a_hundred_times(self):
        self.rotate(rename).join()
        self.expect_once(self.NUMBERS)
        self.stop()
        self.assertNotRegex(self.said.read_text(), "state=(lost|skipped)")

    def test_renamed_by_date(self):
        self.rotate(rename_by_date).join()
        self.expect_once(self.NUMBERS)

    def test_renamed_and_written_on(self):
        self.rotate(rename_and_write_on).join()
        self.expect_once(self.NUMBERS)

    def test_copied_and_truncated(self):
        self.rotate(copy_and_truncate).join()
        self.expect_once(self.NUMBERS)

    def test_often_between_two_looks(self):
        self.log.touch()
        self.start()
        for first in range(1, 1001, 100):
            self.process.send_signal(signal.SIGSTOP)
            log = self.log.open("ab", buffering=0)
            for number in range(first, first + 100):
                log.write(login(number).encode())
                if number % 10 == 0:
                    log = rename(self.log, log, keep=20)
            self.process.send_signal(signal.SIGCONT)
            self.wait_for(request(first + 99))
        self.expect_once(range(1, 1001))

    def test_restarted_in_the_middle(self):
        writer = self.rotate(lambda path, log: rename(path, log, keep=200), "--state", self.state)
        for _ in range(5):
            time.sleep(0.2)
            self.stop()
            self.start("--state", self.state)
        writer.join()
        self.expect_once(self.NUMBERS)
        self.assertNotIn("state=skipped", self.said.read_text())

    def test_killed_in_the_middle(self):
        """Then what was told since the place was kept last is told again; nothing is lost."""
        self.log.touch()
        self.start("--state", self.state)
        self.stop()  # there is a place from now on
        self.start("--state", self.state)
        writer = Writer(self.log, lambda path, log: rename(path, log, keep=300), self.NUMBERS, 100)
        writer.start()
        for _ in range(3):
            time.sleep(0.3)
            self.stop(signal.SIGKILL)
            self.start("--state", self.state)
        writer.join()
        self.wait_for(*map(request, self.NUMBERS))

    def test_copied_and_truncated_while_the_watcher_is_away(self):
        self.append(login(1))
        self.start("--state", self.state)
        self.append(login(2))
        self.wait_for(request(2))
        self.stop()
        self.append(login(3))
        with self.log.open("ab", buffering=0) as log:
            copy_and_truncate(self.log, log)
        self.append(login(4))
        self.start("--state", self.state)
        self.expect_once([2, 3, 4])

    def test_daemon_away_in_the_middle(self):
        writer = self.rotate(rename_by_date)
        for _ in range(3):
            time.sleep(0.3)
            self.listener.stop()
            time.sleep(0.3)
            self.listener.start()
        writer.join()
        self.wait_for(*map(request, self.NUMBERS))
        count = collections.Counter(self.listener.requests)
        self.assertEqual(set(count), set(map(request, self.NUMBERS)))
        self.stop()
        self.assertEqual(self.said.read_text().count("state=lost"), self.said.read_text().count("state=back"))
        self.assertLessEqual(self.said.read_text().count("state=lost"), 3)


class Trouble(Watch):
    def test_missing(self):
        self.start()
        self.wait_until(lambda: "state=lost" in self.said.read_text())
        time.sleep(2.5)
        self.append(login(1))
        self.expect_once([1])
        self.log.unlink()
        self.append(login(2))
        self.expect_once([1, 2])
        self.stop()
        self.assertEqual(self.said.read_text().count("state=lost"), 1)
        self.assertEqual(self.said.read_text().count("state=back"), 1)

    def test_folder_is_missing(self):
        folder = self.folder / "new"
        self.start(log=folder / "log")
        folder.mkdir()
        time.sleep(1.5)
        self.append(login(1), path=folder / "log")
        self.expect_once([1])

    def test_no_ordinary_file(self):
        os.mkfifo(self.log)
        self.start()
        self.wait_until(lambda: "it is no ordinary file" in self.said.read_text())
        self.log.unlink()
        time.sleep(2.5)
        self.append(login(1))
        self.expect_once([1])

    def test_truncated(self):
        self.append(login(1))
        self.start()
        self.append(login(2))
        self.expect_once([2])
        self.log.write_text(login(3))
        self.expect_once([2, 3])
        self.log.write_text(login(4) + login(5) + login(6))  # longer than before at once
        self.expect_once([2, 3, 4, 5, 6])

    def test_hole_of_a_writer_without_append(self):
        self.log.touch()
        self.start()
        with self.log.open("wb", buffering=0) as log:
            log.write(login(1).encode())
            self.expect_once([1])
            os.truncate(self.log, 0)
            log.write(login(2).encode())  # behind a hole
            self.expect_once([1, 2])
            log.write(login(3).encode())
            self.expect_once([1, 2, 3])

    def test_old_files_are_not_told(self):
        """Neither an old file that gets the name of the log, nor a copy of what was read, as an editor leaves it."""
        old = self.folder / "old"
        self.append(*map(login, range(100, 200)), path=old)
        self.append(*map(login, range(1, 10)))
        time.sleep(2.5)
        self.start()
        self.append(login(10))
        self.expect_once([10])
        edited = self.folder / "edited"
        shutil.copyfile(self.log, edited)
        edited.rename(self.log)
        time.sleep(1.5)
        self.append(login(11))
        self.expect_once([10, 11])
        old.rename(self.log)
        time.sleep(1.5)
        self.append(login(12))
        self.expect_once([10, 11, 12])

    def test_place_that_is_too_old(self):
        self.append(login(1))
        self.start("--state", self.state, "--catch-up", "300")
        self.append(login(2))
        self.expect_once([2])
        self.stop()
        at = int(re.search(r"^at (\d+)$", self.state.read_text(), re.M).group(1))
        self.assertLess(abs(at - time.time()), 10)
        self.append(login(3))
        self.state.write_text(self.state.read_text().replace(f"at {at}", f"at {at - 301}"))
        self.start("--state", self.state, "--catch-up", "300")
        self.wait_until(lambda: f"state=skipped bytes={len(login(3))} seconds=30" in self.said.read_text())
        self.append(login(4))
        self.expect_once([2, 4])
        self.stop()
        self.append(login(5))
        self.start("--state", self.state, "--catch-up", "300")
        self.expect_once([2, 4, 5])

    def test_place_of_another_log(self):
        self.append(login(1))
        for text in ("", "nonsense\n", "postern-watch 1\nlog /other\nat 1\n", "postern-watch 1\nlog " + "x" * 100000):
            self.state.write_text(text)
            self.start("--state", self.state)
            self.stop()
        self.assertEqual(self.said.read_text().count("is not about this log"), 4)
        self.assertEqual(self.listener.requests, [])

    def test_from_start(self):
        self.append(*map(login, range(1, 5001)))
        self.start("--from-start", "--catch-up", "0")
        self.expect_once(range(1, 5001))

    def test_too_old_when_the_daemon_is_back(self):
        self.log.touch()
        self.listener.stop()
        self.start("--catch-up", "1")
        self.append(login(1))
        time.sleep(2.5)
        self.append(login(2))
        self.listener.start()
        self.wait_for(request(2))
        self.expect_once([2])
        self.assertIn("state=expired requests=1", self.said.read_text())

    def test_refused(self):
        self.log.touch()
        self.listener.answer = lambda line: "ok" if "user=u3 " in line else "err no\x01 room"
        self.start()
        self.append(login(1), login(2), login(3))
        self.expect_once([1, 2, 3])
        self.stop()
        self.assertIn("refused=2", self.said.read_text())
        self.assertEqual(self.said.read_text().count("result=refused"), 1)
        self.assertIn('error="no\\x01 room" line="login 10.0.0.1 ', self.said.read_text())

    def test_daemon_that_talks_nonsense(self):
        self.log.touch()
        answers = iter(["what?", "ok\nok", "x" * 5000])
        self.listener.answer = lambda line: next(answers, "ok")
        self.start()
        self.append(login(1))
        self.wait_until(lambda: self.listener.requests.count(request(1)) >= 2)
        self.append(login(2))
        self.wait_for(request(2))
        self.stop()

    def test_no_busy_loop(self):
        self.append(login(1))
        self.listener.stop()
        self.start()
        self.append(login(2))
        before = sum(os.times()[2:4])
        time.sleep(3)
        self.stop()
        used = sum(os.times()[2:4]) - before
        self.assertLess(used, 0.5)


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
                      ("--state", "s", "-"), ("--test", "a", "b"), ("--nonsense", "a")):
            done = self.run_ctl("relay", "watch", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage: posternctl", done.stderr)
        self.assertIn("--catch-up SECONDS", self.run_ctl("relay", "watch", "--help").stdout)


if __name__ == "__main__":
    unittest.main()
