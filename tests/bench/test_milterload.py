#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""milterload against filters that behave and filters that do not: it must accept the ones and catch the others.

The filters are written here, from the protocol's description, so that milterload and libmilter do not vouch for each other.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = os.environ.get("POSTERN_BUILD", os.getcwd())
MILTERLOAD = os.path.join(BUILD, "tests/bench/milterload")
NULLMILTER = os.path.join(BUILD, "tests/bench/nullmilter")

NOCONNECT, NOHELO, NOBODY, NOHDRS, NOEOH, NR_HDR = 0x1, 0x2, 0x10, 0x20, 0x40, 0x80
NOUNKNOWN, NODATA, NR_CONN, NR_HELO, NR_BODY = 0x100, 0x200, 0x1000, 0x2000, 0x80000
LEADING_BLANK = 0x100000
QUARANTINE, SETSYMLIST = 0x20, 0x100
NO_REPLY = {b"C": NR_CONN, b"H": NR_HELO, b"L": NR_HDR, b"B": NR_BODY}


class Filter(threading.Thread):
    """Answers CONTINUE, or what `replies` says for a command; keeps what it was sent, connection by connection."""

    def __init__(self, folder, steps=0, actions=0, lists=b"", replies=None, stay_after_quit=False):
        super().__init__(daemon=True)
        self.path = os.path.join(folder, "filter.sock")
        self.steps, self.actions, self.lists = steps, actions, lists
        self.replies = replies or {}
        self.stay_after_quit = stay_after_quit
        self.sessions = []
        self.kept = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.start()

    def run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            seen = []
            self.sessions.append(seen)  # here, in the order in which they came
            threading.Thread(target=self.serve, args=(conn, seen), daemon=True).start()

    def serve(self, conn, seen):
        stream = conn.makefile("rb")
        with conn, stream:
            while True:
                head = stream.read(4)
                if len(head) < 4:
                    return
                packet = stream.read(struct.unpack("!I", head)[0])
                command, data = packet[:1], packet[1:]
                seen.append((command, data))
                if command == b"Q":
                    if self.stay_after_quit:
                        self.kept.append(socket.fromfd(conn.fileno(), conn.family, conn.type))
                    return
                self.answer(conn, command)

    def answer(self, conn, command):
        if command in (b"D", b"A"):
            return
        if command == b"O":
            data = struct.pack("!III", 6, self.actions, self.steps) + self.lists
            self.send(conn, b"O" + data)
            return
        if command in self.replies:
            for reply in self.replies[command]:
                if reply is None:
                    conn.shutdown(socket.SHUT_RDWR)
                else:
                    self.send(conn, reply)
        elif not self.steps & NO_REPLY.get(command, 0):
            self.send(conn, b"c")

    @staticmethod
    def send(conn, packet):
        try:
            conn.sendall(struct.pack("!I", len(packet)) + packet)
        except OSError:
            pass


class MilterloadTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="bench")
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def filter(self, **options):
        self.fake = Filter(self.folder, **options)
        self.addCleanup(self.fake.listener.close)
        return self.fake

    def load(self, *options, messages=12, timeout=20):
        command = [MILTERLOAD, "--socket", "unix:" + self.fake.path, "--connections", "2", "--messages", str(messages),
                   "--timeout", str(timeout), "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done, json.loads(done.stdout)

    def keys(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def assert_fine(self, *options, **named):
        done, result = self.load(*options, **named)
        self.assertEqual((done.returncode, done.stderr, result["errors"]), (0, "", 0))
        return result

    def assert_caught(self, text, *options, **named):
        done, result = self.load(*options, **named)
        self.assertEqual(done.returncode, 1)
        self.assertGreater(result["errors"], 0)
        self.assertIn(text, done.stderr)

    def commands(self):
        """The commands of the connection that carried most: on a busy machine it may have taken all but one message, or all."""
        return max((b"".join(command for command, _ in session) for session in self.fake.sessions), key=len, default=b"")

    # --- what is sent ---------------------------------------------------------------------------

    def test_all_steps_in_order_as_sendmail(self):
        self.filter()
        result = self.assert_fine("--headers", "2", "--recipients", "2", "--body", "70000", "--continue-only")
        self.assertGreaterEqual(result["messages"], 12)
        self.assertTrue(self.commands().startswith(b"ODCDHDMDRDRTLLNBBDEDM"), self.commands())

    def test_all_steps_in_order_as_postfix(self):
        self.filter()
        self.assert_fine("--mta", "postfix", "--headers", "1", "--recipients", "1", "--body", "10")
        self.assertTrue(self.commands().startswith(b"ODCDHDMDRDTDLDNDBDEADM"), self.commands())

    def test_steps_turned_off_are_not_sent(self):
        self.filter(steps=NODATA | NOHDRS | NOEOH | NOBODY | NOUNKNOWN | NR_CONN | NR_HELO)
        self.assert_fine("--headers", "5", "--recipients", "1")
        self.assertTrue(self.commands().startswith(b"ODCDHDMDRDEDM"), self.commands())

    def headers_sent(self):
        """The data of all headers of all connections."""
        return {data for session in self.fake.sessions for command, data in session if command == b"L"}

    def test_headers_of_a_file_as_they_stand_there(self):
        self.filter(steps=LEADING_BLANK | NR_HDR)
        self.assert_fine("--header-file", self.keys("headers", "A: one\nB:none\n\nC:\tx\n\tfold\n  end\n"), messages=60)
        self.assertEqual(self.headers_sent(), {b"A\0 one\0", b"B\0none\0", b"C\0\tx\n\tfold\n  end\0"})

    def test_blank_behind_the_colon_is_the_filters_choice(self):
        self.filter()
        self.assert_fine("--header-file", self.keys("headers", "A: one\nB:  two\nC:none\n"))
        self.assertEqual(self.headers_sent(), {b"A\0one\0", b"B\0 two\0", b"C\0none\0"})
        self.fake.sessions.clear()
        self.assert_fine("--headers", "16")
        self.assertEqual({data.partition(b"\0")[2][:1] for data in self.headers_sent()} & {b" "}, set())

    def test_header_file_that_is_none(self):
        self.filter()
        for text in ("", "\n\n", "no colon\n", " fold first\n", ": no name\n"):
            with self.subTest(text=text):
                done = subprocess.run([MILTERLOAD, "--socket", "unix:" + self.fake.path, "--header-file", self.keys("headers", text)],
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 2)

    def test_postfix_sends_macros_of_steps_turned_off(self):
        self.filter(steps=NODATA | NOHDRS | NOEOH | NOBODY | NOHELO)
        self.assert_fine("--mta", "postfix", "--headers", "5", "--recipients", "1")
        self.assertTrue(self.commands().startswith(b"ODCDDMDRDDEADM"), self.commands())

    def test_requested_macros_are_sent_and_no_others(self):
        lists = struct.pack("!I", 0) + b"j {client_addr}\0" + struct.pack("!I", 3) + b"{rcpt_mailer}\0"
        self.filter(lists=lists, actions=SETSYMLIST)
        self.assert_fine("--recipients", "1")
        seen = next(session for session in self.fake.sessions
                    if any(command == b"D" and data[:1] == b"R" for command, data in session))
        connect = seen[1][1]
        self.assertTrue(connect.startswith(b"Cj\0mx.local.example\0{client_addr}\0"), connect)
        self.assertEqual(connect.count(b"\0"), 4)
        rcpt = [data for command, data in seen if command == b"D" and data[:1] == b"R"][0]
        self.assertEqual(rcpt, b"R{rcpt_mailer}\0local\0")

    def test_same_seed_same_facts(self):
        def first():
            self.assert_fine("--seed", "7", "--headers", "1", messages=300)
            # Up to HELO: the second session may be late and end before its first MAIL.
            return {tuple(session[:5]) for session in self.fake.sessions[:2]}
        self.filter()
        before = first()
        self.fake.sessions.clear()
        self.assertEqual(before, first())

    def test_skip_ends_headers_and_body(self):
        self.filter(replies={b"L": [b"s"], b"B": [b"s"]})
        self.assert_fine("--headers", "30", "--body", "300000", "--recipients", "1")
        self.assertTrue(self.commands().startswith(b"ODCDHDMDRTLNBDE"), self.commands())

    # --- answers --------------------------------------------------------------------------------

    def test_refused_sender_ends_the_message(self):
        self.filter(replies={b"M": [b"y550 5.7.1 Access denied\0"]})
        result = self.assert_fine()
        self.assertEqual(result["messages"], result["messages_refused"])
        self.assertEqual(result["replies"], {"mail: 550 5.7.1": result["messages"]})
        self.assertNotIn(b"R", self.commands())

    def test_all_recipients_refused_aborts(self):
        self.filter(replies={b"R": [b"r"]})
        result = self.assert_fine("--recipients", "2")
        self.assertEqual(result["messages"], result["messages_refused"])
        self.assertTrue(self.commands().startswith(b"ODCDHDMDRDRADM"), self.commands())

    def test_wanted_answers_are_accepted(self):
        self.filter(actions=QUARANTINE, replies={b"M": [b"t"]})
        self.assert_fine("--sender-keys", self.keys("s", "a@b.test\ttempfail\n"), "--hit-share", "1")

    def test_quarantine_is_accepted_where_wanted(self):
        self.filter(actions=QUARANTINE, replies={b"E": [b"qheld\0", b"c"]})
        self.assert_fine("--rcpt-keys", self.keys("r", "a@b.test\tquarantine\n"), "--hit-share", "1",
                         "--miss-expect", "continue")

    def test_unwanted_answers_are_caught(self):
        self.filter(replies={b"M": [b"y550 5.7.1 No\0"]})
        self.assert_caught("where continue is expected", "--miss-expect", "continue")

    def test_wrong_reply_code_is_caught(self):
        self.filter(replies={b"M": [b"y550 5.7.1 No\0"]})
        self.assert_caught("where 553 5.3.0 is expected", "--sender-keys", self.keys("s", "a@b.test\t553 5.3.0\n"),
                           "--hit-share", "1", "--miss-expect", "continue")

    def test_missing_discard_is_caught(self):
        self.filter()
        self.assert_caught("where discard is expected", "--sender-keys", self.keys("s", "a@b.test\tdiscard\n"),
                           "--hit-share", "1", "--miss-expect", "continue")

    def test_anything_but_continue_is_caught(self):
        self.filter(replies={b"E": [b"a"]})
        self.assert_caught("accept", "--continue-only")

    # --- broken filters -------------------------------------------------------------------------

    def test_answer_to_a_step_without_reply_is_caught(self):
        self.filter(steps=NR_HELO, replies={b"H": [b"c"]})
        self.assertEqual(self.load()[0].returncode, 1)

    def test_second_answer_is_caught(self):
        self.filter(replies={b"E": [b"c", b"c"]})
        self.assertEqual(self.load()[0].returncode, 1)

    def test_unknown_answer_is_caught(self):
        self.filter(replies={b"R": [b"?"]})
        self.assert_caught("an answer that this step cannot have")

    def test_discard_at_connect_is_caught(self):
        self.filter(replies={b"C": [b"d"]})
        self.assert_caught("an answer that this step cannot have")

    def test_edit_without_the_right_is_caught(self):
        self.filter(actions=0, replies={b"E": [b"qheld\0", b"c"]})
        self.assert_caught("an edit that was not negotiated")

    def test_malformed_replies_are_caught(self):
        for text in (b"", b"550", b"550 5.7.1 No", b"250 2.0.0 Fine\0", b"550 a\r\n550 b\0", b"550-a\n550 b\0"):
            with self.subTest(text=text), tempfile.TemporaryDirectory(prefix="bench") as self.folder:
                self.filter(replies={b"M": [b"y" + text]})
                self.assert_caught("a malformed reply text")

    def test_actions_not_offered_are_caught(self):
        self.filter(actions=0x10000)
        self.assert_caught("actions or steps that were not offered")

    def test_macro_list_without_end_is_caught(self):
        self.filter(lists=struct.pack("!I", 0) + b"j")
        self.assert_caught("a list of macros without an end")

    def test_silence_is_caught(self):
        self.filter(replies={b"R": []})
        self.assert_caught("no answer in time", timeout=1)

    def test_closed_connection_is_caught(self):
        self.filter(replies={b"R": [None]})
        self.assert_caught("the filter closed the connection")

    def test_packet_of_impossible_length_is_caught(self):
        self.filter()
        self.fake.send = lambda conn, packet: conn.sendall(b"\x7f\xff\xff\xff" + packet)
        self.assert_caught("a packet of impossible length")

    def test_not_closing_after_quit_is_caught(self):
        self.filter(stay_after_quit=True)
        self.assert_caught("the filter did not close after QUIT", timeout=1)

    def test_no_filter_at_all(self):
        self.filter()
        os.unlink(self.fake.path)
        self.assert_caught("connect: No such file or directory")

    # --- with libmilter -------------------------------------------------------------------------

    def test_nullmilter_in_every_dress(self):
        for like in ("envelope", "headers", "everything"):
            for mta in ("sendmail", "postfix"):
                with self.subTest(like=like, mta=mta):
                    self.check_nullmilter(like, mta)

    @staticmethod
    def accepts(path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            return client.connect_ex(path) == 0

    def check_nullmilter(self, like, mta):
        spec = f"unix:{self.folder}/{like}-{mta}.sock"
        process = subprocess.Popen([NULLMILTER, "--socket", spec, "--like", like])
        try:
            while not self.accepts(spec[5:]):
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            done = subprocess.run([MILTERLOAD, "--socket", spec, "--mta", mta, "--connections", "10", "--messages", "200",
                                   "--body", "70000", "--pid", str(process.pid), "--continue-only", "--json"],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            result = json.loads(done.stdout)
            self.assertGreater(result["filter"]["cpu_us_per_message"], 1)
            self.assertGreater(result["filter"]["rss_anon_peak_kib"], 50)
            headers = result["answers"]["header"].get("continue", 0)
            self.assertEqual(headers > 0, like == "everything")
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
