#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay watch: a daemon that is there and cannot record logins now."""
import collections
import os
import re
import resource
import signal
import time
import unittest

from relay_watch_kit import Watch, login, request

AWAY = "err temporary: the store is away"


def session_end(number, session):
    return f"Nov 22 10:01:00 mx1 dovecot: imap(u{number})<7><{session}>: Disconnected: Logged out in=1\n"


class Stall(Watch):
    def setUp(self):
        super().setUp()
        self.log.touch()
        self.is_away = True
        self.refused = set()  # requests that are wrong
        self.done = []
        self.vain = []
        self.vain_at = []
        self.listener.answer = self.answer

    def answer(self, line):
        """As the daemon does: only what changes something needs the store."""
        if line in self.refused:
            return "err this one is wrong"
        if self.is_away and line.startswith("login "):
            self.vain.append(line)
            self.vain_at.append(time.monotonic())
            return AWAY
        self.done.append(line)
        return "ok"

    def wait_for_trouble(self):
        self.wait_until(lambda: self.vain)

    def expect_done_once(self, numbers):
        expected = [request(number) for number in numbers]
        self.wait_until(lambda: len(self.done) >= len(expected))
        time.sleep(0.2)
        self.assertEqual(self.done, expected)

    def states(self):
        return re.findall(r"state=(stalled|goes_on)", self.said.read_text())

    def test_each_is_told_until_it_is_done(self):
        self.start()
        self.append(*map(login, range(1, 501)))
        self.wait_for_trouble()
        time.sleep(1)
        self.assertEqual(self.done, [])
        self.append(*map(login, range(501, 1001)))
        self.is_away = False
        self.expect_done_once(range(1, 1001))
        self.assertEqual(self.states(), ["stalled", "goes_on"])
        self.stop()
        self.assertIn("logins=1000 logouts=0 refused=0 expired=0", self.said.read_text())
        self.assertIn('error="the store is away"', self.said.read_text())

    def test_again_and_again(self):
        """The store comes and goes under way, in the midst of what was sent together."""
        self.start()
        self.is_away = False
        for turn in range(10):
            self.append(*map(login, range(turn * 100 + 1, turn * 100 + 101)))
            self.wait_until(lambda: len(self.done) > turn * 100 + 30)
            self.is_away = True
            time.sleep(0.15)
            self.is_away = False
        self.wait_until(lambda: len(self.done) >= 1000)
        time.sleep(0.2)
        self.assertEqual(collections.Counter(self.done), {request(number): 1 for number in range(1, 1001)})
        self.assertEqual(self.states(), ["stalled", "goes_on"] * (len(self.states()) // 2))

    def test_pauses_grow(self):
        self.start()
        self.append(*map(login, range(1, 301)))
        self.wait_for_trouble()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        time.sleep(7)
        self.assertLessEqual(len(self.vain), 64 + 8)  # what was under way, and one at 0.1, 0.3, 0.7, 1.5, 3.1, 5.1 s
        self.assertGreaterEqual(len(self.vain), 64 + 4)
        self.assertEqual(set(self.vain[64:]), {request(1)})
        gaps = [later - earlier for earlier, later in zip(self.vain_at[64:], self.vain_at[65:])]
        self.assertTrue(all(later > earlier - 0.3 for earlier, later in zip(gaps, gaps[1:])), gaps)
        self.assertGreater(gaps[-1], 1.5)
        self.assertEqual(self.states(), ["stalled"])
        self.stop()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertLess(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0.5)

    def test_more_than_can_wait(self):
        self.start()
        numbers = range(1, 25001)
        self.append(*map(login, numbers))
        self.wait_for_trouble()
        time.sleep(1)
        self.is_away = False
        self.expect_done_once(numbers)

    def test_logout_never_overtakes_its_login(self):
        """The daemon knows nothing of the session, and says ok to its end."""
        self.start()
        for number in range(1, 21):
            self.append(login(number, session=f"s{number}"), session_end(number, f"s{number}"))
        self.wait_for_trouble()
        time.sleep(0.5)
        self.is_away = False
        self.wait_until(lambda: len([line for line in self.done if line.startswith("login ")]) == 20)
        time.sleep(0.5)
        for number in range(1, 21):
            of_session = [line.split()[0] for line in self.done if f"session=s{number}" in line.split()]
            self.assertEqual(of_session.count("login"), 1)
            self.assertEqual(of_session[-2:], ["login", "logout"])

    def test_what_is_wrong_holds_up_nobody(self):
        self.refused = {request(number) for number in range(1, 200, 2)}
        self.start()
        self.append(*map(login, range(1, 201)))
        self.wait_for_trouble()
        self.is_away = False
        self.expect_done_once(range(2, 201, 2))
        self.stop()
        self.assertIn("refused=100 expired=0", self.said.read_text())

    def test_too_long(self):
        self.start("--catch-up", "2")
        self.append(login(1), login(2))
        self.wait_for_trouble()
        time.sleep(7)
        count = len(self.vain)
        time.sleep(1)
        self.assertEqual(len(self.vain), count)  # nobody is told of them any more
        self.append(login(3))
        self.wait_until(lambda: request(3) in self.vain)
        self.is_away = False
        self.expect_done_once([3])
        self.stop()
        self.assertEqual(self.states(), ["stalled", "goes_on"])
        self.assertIn("state=expired requests=2", self.said.read_text())

    def test_what_was_not_done_is_read_again(self):
        self.start("--state", self.state)
        self.is_away = False
        self.append(login(1))
        self.expect_done_once([1])
        self.is_away = True
        self.append(login(2), login(3))
        self.wait_for_trouble()
        time.sleep(2.5)  # the place is saved once a second
        self.stop(signal.SIGKILL)
        self.is_away = False
        self.start("--state", self.state)
        self.expect_done_once([1, 2, 3])
        self.is_away = True
        self.append(login(4))
        self.wait_until(lambda: request(4) in self.vain)
        begun = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - begun, 10)
        self.is_away = False
        self.start("--state", self.state)
        self.expect_done_once([1, 2, 3, 4])

    def test_daemon_goes_away_meanwhile(self):
        self.start()
        self.append(*map(login, range(1, 101)))
        self.wait_for_trouble()
        self.listener.stop()
        time.sleep(0.5)
        self.listener.start()
        time.sleep(0.5)
        self.is_away = False
        self.expect_done_once(range(1, 101))

    def test_standard_input_ends(self):
        read, write = os.pipe()
        self.start(log="-", stdin=read)
        os.close(read)
        os.write(write, (login(1) + login(2)).encode())
        os.close(write)
        self.wait_for_trouble()
        time.sleep(0.5)
        self.assertIsNone(self.process.poll())
        self.is_away = False
        self.expect_done_once([1, 2])
        self.assertEqual(self.process.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
