#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch: a log that is missing, cut off, unreadable or old, a daemon that is away or refuses."""
import os
import re
import shutil
import signal
import time
import unittest

from relay_watch_kit import Watch, login, request

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
        with open(self.log, "wb", opener=lambda path, flags: os.open(path, flags, 0)) as log:  # not for its owner either
            log.write(login(2).encode())
        time.sleep(4.5)
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
        time.sleep(3.5)  # the watcher grants 2 seconds of doubt, and counts whole ones
        self.start()
        self.append(login(10))
        self.expect_once([10])
        edited = self.folder / "edited"
        shutil.copyfile(self.log, edited)
        edited.rename(self.log)
        self.wait_until(lambda: self.said.read_text().count("state=skipped") == 2)
        self.append(login(11))
        self.expect_once([10, 11])
        old.rename(self.log)
        self.wait_until(lambda: self.said.read_text().count("state=skipped") == 3)
        self.append(login(12))
        self.expect_once([10, 11, 12])

    def test_copies_that_are_too_old(self):
        """Of a log that was empty, copied and cut off while nobody looked for longer than that: neither the copy nor the log is told."""
        self.log.touch()
        self.start("--catch-up", "1")
        time.sleep(0.5)
        self.process.send_signal(signal.SIGSTOP)
        self.append(login(1))
        shutil.copyfile(self.log, self.log.with_name("mail.log.1"))
        os.truncate(self.log, 0)
        self.append(login(2))
        time.sleep(4)
        self.process.send_signal(signal.SIGCONT)
        self.wait_until(lambda: "state=skipped" in self.said.read_text())
        self.append(login(3))
        self.expect_once([3])

    def test_place_that_is_too_old(self):
        self.append(login(1))
        self.start("--state", self.state, "--catch-up", "300")
        self.append(login(2))
        self.expect_once([2])
        self.stop()
        at = int(re.search(r"^at (\d+)$", self.state.read_text(), re.M).group(1))
        self.assertLess(abs(at - time.time()), 10)
        self.append(login(3))
        self.state.write_text(self.state.read_text().replace(f"at {at}", f"at {at - 350}"))
        self.start("--state", self.state, "--catch-up", "300")
        self.wait_until(lambda: f"state=skipped bytes={len(login(3))} seconds=35" in self.said.read_text())
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
        time.sleep(4.5)
        self.listener.start()
        for number in range(2, 100):  # until it has tried again
            self.append(login(number))
            time.sleep(0.5)
            if self.listener.requests:
                break
        self.wait_for(request(number))
        self.assertNotIn(request(1), self.listener.requests)
        self.wait_until(lambda: re.search("state=expired requests=[1-9]", self.said.read_text()))

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
