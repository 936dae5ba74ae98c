#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch: each login of a log is told once, whatever happens to the log, the watcher and who is told."""
import collections
import os
import re
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
            log.close()
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


# Root may read anything; another user may not become somebody else.
WATCHER = "nobody" if os.geteuid() == 0 else None


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

    def test_log_that_may_not_be_read_for_long(self):
        """What was written meanwhile may be old."""
        self.folder.chmod(0o755)  # that user may not be able to enter the folder of the build
        self.ctl, self.patterns = (shutil.copy2(path, self.folder) for path in (self.ctl, self.patterns))
        os.chmod(self.listener.path, 0o666)
        self.log.touch()
        self.start("--catch-up", "1", user=WATCHER)
        self.append(login(1))
        self.expect_once([1])
        self.log.rename(self.folder / "away")
        self.log.touch(mode=0o600)
        self.append(login(2))
        time.sleep(2.5)
        self.log.chmod(0o644)
        self.wait_until(lambda: f"state=skipped bytes={len(login(2))}" in self.said.read_text())
        self.append(login(3))
        self.expect_once([1, 3])

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


if __name__ == "__main__":
    unittest.main()
