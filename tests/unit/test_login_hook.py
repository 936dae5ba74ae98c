#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""postern-login, as Dovecot starts it: whatever happens, the program behind it runs, soon, and the client sees nothing."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ".")).resolve()
HOOK = BUILD / "postern-login"
# What the hook may take altogether, and some for a machine that has much to do.
LIMIT = 1.0
SLACK = 4.0


class Hook(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-login-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.socket = self.folder / "popauth.sock"
        self.requests = []
        self.server = None

    def serve(self, answer, connections=1, at=None):
        """Take requests and give that answer; None: say nothing and hold the connection."""
        self.server = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.server.close)
        self.server.bind(str(at or self.socket))
        self.server.listen(5)
        held = []

        def run():
            for _ in range(connections):
                client, _ = self.server.accept()
                held.append(client)
                if answer is not None:
                    self.requests.append(client.makefile().readline())
                    client.sendall(answer)
                    client.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(lambda: [client.close() for client in held])
        return thread

    def run_hook(self, *args, env=None, **options):
        began = time.monotonic()
        done = subprocess.run([HOOK, "-s", self.socket, *args], capture_output=True, text=True, check=False, timeout=30,
                              env={"PATH": os.environ["PATH"], **(env if env is not None else {"IP": "192.0.2.1"})},
                              **options)
        self.seconds = time.monotonic() - began
        self.assertLess(self.seconds, LIMIT + SLACK)
        return done

    def program_ran(self, done):
        self.assertEqual((done.stdout, done.returncode), ("served\n", 7))

    # The program that serves the client: it sees the arguments as they were given.
    PROGRAM = ("--", "/bin/sh", "-c", 'test "$1" = "-x y" && echo served; exit 7', "sh", "-x y")

    def test_request(self):
        thread = self.serve(b"ok\n")
        done = self.run_hook("--service", "imap", *self.PROGRAM,
                             env={"IP": "2001:db8::7", "USER": "ann b%@example.com"})
        thread.join(10)
        self.program_ran(done)
        self.assertEqual(self.requests, ["login 2001:db8::7 user=ann%20b%25@example.com service=imap\n"])
        self.assertEqual(done.stderr, "")

    def test_service_of_the_environment(self):
        thread = self.serve(b"ok\n")
        self.program_ran(self.run_hook(*self.PROGRAM, env={"IP": "192.0.2.1", "PROTOCOL": "pop3"}))
        thread.join(10)
        self.assertEqual(self.requests, ["login 192.0.2.1 service=pop3\n"])

    def test_texts_that_no_line_can_have(self):
        thread = self.serve(b"ok\n")
        self.program_ran(self.run_hook(*self.PROGRAM,
                                       env={"IP": "192.0.2.1", "USER": "x" * 256, "SERVICE": "a\nadd 192.0.2.9"}))
        thread.join(10)
        self.assertEqual(self.requests, ["login 192.0.2.1 service=a%0Aadd%20192.0.2.9\n"])

    def test_nobody_listens(self):
        done = self.run_hook(*self.PROGRAM)
        self.program_ran(done)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn(f"192.0.2.1 cannot be recorded: {self.socket}: No such file", done.stderr)

    def come_up(self, *args, **options):
        """The hook runs while nobody listens; soon somebody does."""
        thread = self.serve(b"ok\n", at=self.folder / "next.sock")
        timer = threading.Timer(0.1, os.rename, (self.folder / "next.sock", self.socket))
        timer.start()
        done = self.run_hook(*args, **options)
        timer.join()
        thread.join(10)
        return done

    def test_daemon_that_is_being_restarted(self):
        """Its socket is not there yet, or is still the one of before."""
        for kind in ("none", "old"):
            with self.subTest(kind):
                self.socket.unlink(missing_ok=True)
                if kind == "old":
                    with socket.socket(socket.AF_UNIX) as old:
                        old.bind(str(self.socket))
                done = self.come_up(*self.PROGRAM)
                self.program_ran(done)
                self.assertEqual(done.stderr, "")
        self.socket.unlink()
        done = self.come_up("--pam", env={"PAM_RHOST": "192.0.2.2", "PAM_TYPE": "auth"})
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("", "", 0))
        self.assertEqual(self.requests, ["login 192.0.2.1\n"] * 2 + ["login 192.0.2.2\n"])

    def test_daemon_that_does_not_come(self):
        """It is waited for, but for less than a second."""
        times = []
        for _ in range(5):
            self.program_ran(self.run_hook(*self.PROGRAM))
            times.append(self.seconds)
        self.assertGreaterEqual(min(times), 0.3)
        self.assertLess(min(times), 0.8)

    def test_refused(self):
        self.serve(b"err the disk is full\n")
        done = self.run_hook(*self.PROGRAM)
        self.program_ran(done)
        self.assertEqual(done.stderr, "postern-login: 192.0.2.1 is not recorded: the disk is full\n")

    def test_not_yet(self):
        """The daemon records it later; nobody waits for that."""
        self.serve(b"err temporary: the disk is full\n")
        done = self.run_hook(*self.PROGRAM)
        self.program_ran(done)
        self.assertEqual(done.stderr, "postern-login: 192.0.2.1 is not recorded yet: the disk is full\n")
        self.assertEqual(len(self.requests), 1)

    def test_daemon_that_ends_without_an_answer(self):
        self.serve(b"")
        done = self.run_hook(*self.PROGRAM)
        self.program_ran(done)
        self.assertIn("cannot be recorded", done.stderr)

    def test_daemon_that_does_not_answer(self):
        self.serve(None)
        done = self.run_hook(*self.PROGRAM)
        self.program_ran(done)
        self.assertGreaterEqual(self.seconds, LIMIT - 0.1)
        self.assertIn("timed out", done.stderr)

    def test_daemon_whose_queue_is_full(self):
        self.server = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.server.close)
        self.server.bind(str(self.socket))
        self.server.listen(0)
        for _ in range(2):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(str(self.socket))
        done = self.run_hook(*self.PROGRAM)
        self.program_ran(done)
        self.assertGreaterEqual(self.seconds, LIMIT - 0.1)

    def test_no_address(self):
        for env in ({}, {"IP": ""}, {"IP": "mail.example.com"}, {"IP": "192.0.2.1\nadd 192.0.2.9"}):
            done = self.run_hook(*self.PROGRAM, env=env)
            self.program_ran(done)
            self.assertIn("is no address", done.stderr)

    def test_complaint_is_one_line_of_text(self):
        done = self.run_hook(*self.PROGRAM, env={"IP": "192.0.2.1\nadd 192.0.2.9\033[31m"})
        self.program_ran(done)
        self.assertEqual(done.stderr, 'postern-login: IP="192.0.2.1?add 192.0.2.9?[31m" in the environment is no address\n')

    def test_log_that_nobody_reads(self):
        reads, writes = os.pipe()
        os.close(reads)
        done = subprocess.run([HOOK, "-s", self.socket, "/bin/sh", "-c", "trap - PIPE; grep SigIgn /proc/self/status"],
                              stdout=subprocess.PIPE, stderr=writes, text=True, check=False, timeout=30,
                              env={"IP": "192.0.2.1", "PATH": os.environ["PATH"]}, restore_signals=True)
        os.close(writes)
        self.assertEqual(done.returncode, 0)
        ignored = int(done.stdout.split()[1], 16)
        self.assertEqual(ignored >> (13 - 1) & 1, 0, "the program gets SIGPIPE as it was before")

    def test_wrong_options_hold_up_no_login(self):
        thread = self.serve(b"ok\n")
        done = self.run_hook("--bogus", *self.PROGRAM)
        thread.join(10)
        self.program_ran(done)
        self.assertIn("bogus", done.stderr)

    def test_standard_input_is_the_clients(self):
        """What the client has sent already is for the program; closed descriptors stay closed to us."""
        self.serve(b"ok\n")
        done = self.run_hook("cat", input="a001 LOGOUT\r\n")
        self.assertEqual(done.stdout, "a001 LOGOUT\n")
        os.unlink(self.socket)
        self.serve(b"ok\n")
        done = subprocess.run(["/bin/sh", "-c", f'exec {HOOK} -s {self.socket} sh -c "exit 5" <&- 2>&-'], check=False,
                              capture_output=True, text=True, timeout=30, env={"IP": "192.0.2.1", "PATH": os.environ["PATH"]})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (5, "", ""))

    def test_program_that_is_not_there(self):
        done = self.run_hook("/nonexistent/program")
        self.assertEqual(done.returncode, 127)
        self.assertIn("/nonexistent/program: No such file", done.stderr)

    def test_without_a_program_the_status_says_it(self):
        thread = self.serve(b"ok\n")
        self.assertEqual(self.run_hook().returncode, 0)
        thread.join(10)
        self.server.close()
        self.assertEqual(self.run_hook().returncode, 75)

    # ---- for pam_exec

    def run_pam(self, *args, **items):
        done = self.run_hook("--pam", *args, env={f"PAM_{name}": value for name, value in items.items()})
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        return done.stderr

    def test_pam(self):
        session = f" session=pam/pop3/{os.getpid()}"
        rows = [
            ("open_session", "login", session),
            ("close_session", "logout", session),
            ("auth", "login", ""),
            ("account", "login", ""),
        ]
        thread = self.serve(b"ok\n", connections=len(rows))
        for kind, _, _ in rows:
            self.assertEqual(self.run_pam(RHOST="192.0.2.1", USER="ann b", SERVICE="pop3", TYPE=kind), "")
        thread.join(10)
        self.assertEqual(self.requests, [f"{verb} 192.0.2.1 user=ann%20b service=pop3{session}\n" for _, verb, session in rows])

    def test_pam_runs_no_program(self):
        thread = self.serve(b"ok\n")
        self.run_pam(*self.PROGRAM, RHOST="192.0.2.1", TYPE="auth", SERVICE="pop3")
        thread.join(10)
        self.assertEqual(self.requests, ["login 192.0.2.1 service=pop3\n"])

    def test_pam_words_cannot_be_made_up(self):
        thread = self.serve(b"ok\n", connections=2)
        self.run_pam(RHOST="::1", TYPE="close_session", SERVICE="a b\nlogin", USER="x\nlogin 192.0.2.1")
        self.run_pam("--service", "imap", RHOST="2001:db8::1", TYPE="open_session", SERVICE="s" * 200, USER="u" * 300)
        thread.join(10)
        pid = os.getpid()
        self.assertEqual(
            self.requests,
            [
                f"logout ::1 user=x%0Alogin%20192.0.2.1 service=a%20b%0Alogin session=pam/a?b?login/{pid}\n",
                f"login 2001:db8::1 service=imap session=pam/{'s' * 40}/{pid}\n",
            ],
        )

    def test_pam_without_a_remote_host(self):
        """Logins at the machine itself are nobody's business."""
        self.assertEqual(self.run_pam(RHOST="", TYPE="open_session", SERVICE="login"), "")
        self.assertEqual(self.run_pam(TYPE="close_session", SERVICE="login"), "")

    def test_pam_refuses_names(self):
        """Nobody is asked: the socket is not even there."""
        for host in ("mail.example.com", "localhost", "192.0.2", "192.0.2.1 ", "host\n192.0.2.1", "x" * 100000):
            complaint = self.run_pam(RHOST=host, TYPE="open_session", SERVICE="pop3")
            self.assertIn("a host name is not recorded", complaint, host)
            self.assertEqual(complaint.count("\n"), 1, host)

    def test_pam_with_a_type_of_its_own(self):
        for items in ({"TYPE": "password"}, {"TYPE": ""}, {}):
            self.assertIn("PAM_TYPE is none of", self.run_pam(RHOST="192.0.2.1", SERVICE="pop3", **items))

    def test_pam_whatever_the_daemon_does(self):
        self.assertIn("cannot be recorded", self.run_pam(RHOST="192.0.2.1", TYPE="auth"))
        thread = self.serve(b"err no\x1b\n")
        self.assertIn("192.0.2.1 is not recorded: no?", self.run_pam(RHOST="192.0.2.1", TYPE="auth"))
        thread.join(10)
        self.server.close()
        os.unlink(self.socket)
        self.serve(None)
        self.assertIn("timed out", self.run_pam(RHOST="192.0.2.1", TYPE="auth"))
        self.assertLess(self.seconds, LIMIT + SLACK)


if __name__ == "__main__":
    unittest.main()
