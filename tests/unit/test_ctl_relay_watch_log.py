#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch: each login of a log is told once, however often the log is rotated, and the watcher and who is told are restarted."""
import collections
import shutil
import signal
import threading
import time
import unittest

from relay_watch_kit import Watch, login, request


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
        self.log.close()


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
    FEWER = range(1, 3001)

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
        self.rotate(rename_by_date, numbers=self.FEWER).join()
        self.expect_once(self.FEWER)

    def test_renamed_and_written_on(self):
        self.rotate(rename_and_write_on, numbers=self.FEWER).join()
        self.expect_once(self.FEWER)

    def test_copied_and_truncated(self):
        self.rotate(copy_and_truncate, numbers=self.FEWER).join()
        self.expect_once(self.FEWER)

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
            log.close()
            self.process.send_signal(signal.SIGCONT)
            self.wait_for(request(first + 99))
        self.expect_once(range(1, 1001))

    def test_copied_and_nothing_follows(self):
        """The log stays empty: what it held is in its copies alone."""
        self.log.touch()
        self.start()
        log = self.log.open("ab", buffering=0)
        for first in range(1, 201, 20):
            self.process.send_signal(signal.SIGSTOP)
            for number in range(first, first + 20):
                log.write(login(number).encode())
                if number % 10 == 0:
                    log = copy_and_truncate(self.log, log)
            self.process.send_signal(signal.SIGCONT)
            self.wait_for(request(first + 19))
        self.expect_once(range(1, 201))

    def test_copied_often_between_two_looks(self):
        """Whatever was read last: nothing, a part of what was copied then, or all of it."""
        self.log.touch()
        self.start()
        log = self.log.open("ab", buffering=0)
        for first in range(1, 2001, 100):
            self.process.send_signal(signal.SIGSTOP)
            for number in range(first, first + 99):
                log.write(login(number).encode())
                if number % 10 == first // 100 % 10:
                    log = copy_and_truncate(self.log, log)
            log.write(login(first + 99).encode())
            self.process.send_signal(signal.SIGCONT)
            self.wait_for(request(first + 99))
        self.expect_once(range(1, 2001))

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

    def test_copied_while_the_watcher_is_away_and_had_read_nothing(self):
        self.log.touch()
        self.start("--state", self.state)
        time.sleep(0.5)
        self.stop()
        time.sleep(2)
        log = self.log.open("ab", buffering=0)
        for number in range(1, 4):
            log.write(login(number).encode())
            if number < 3:
                log = copy_and_truncate(self.log, log)
        self.start("--state", self.state)
        self.expect_once(range(1, 4))

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


if __name__ == "__main__":
    unittest.main()
