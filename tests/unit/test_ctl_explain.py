#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl explain with the header and body of a message; and the sample of header_checks, as its reader takes it."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ".")).resolve()
SOURCE = pathlib.Path(os.environ.get("POSTERN_SOURCE", ".")).resolve()
POSTERNCTL = BUILD / "posternctl"
STRANGER = ("--client", "192.0.2.1", "--from", "ann@spam.example", "--rcpt", "joe@example.org")


def uncommented(text):
    """The sample with its examples in force: these are what follows a # without a blank."""
    return "".join(line[1:] for line in text.splitlines(True) if re.match(r"#[^\s#]", line))


class Site(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-explain-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.rules = self.folder / "header_checks"
        self.conf = self.folder / "postern.conf"
        self.configure()

    def configure(self, rules="", mime=False):
        self.rules.write_text(rules)
        self.conf.write_text("".join(f'{key} = ""\n' for key in (
            "access", "spammers", "local_host_names", "relay_domains", "regex")) +
            f'header_checks = "{self.rules}"\nfeatures = {{ "accept_unresolvable_domains" }}\n' +
            (f'mime_header_checks = "{self.rules}"\n' if mime else ""))

    def ctl(self, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        return subprocess.run([POSTERNCTL, "-c", self.conf, *args], capture_output=True, timeout=60, check=False,
                              **options)

    def explain(self, *args, **options):
        done = self.ctl("explain", "--json", *STRANGER, *args, **options)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return json.loads(done.stdout)

    def message(self, content):
        path = self.folder / "message"
        path.write_bytes(content)
        return self.explain("--message", path)

    def fields(self, told):
        return [stage["argument"] for stage in told["stages"] if stage["stage"] == "header"]


class Logins(Site):
    """POP before SMTP: whether a client may relay, without a daemon."""
    def configure(self, rules="", mime=False, control="milter", limits=""):
        super().configure(rules, mime)
        with self.conf.open("a") as conf:
            conf.write(f'relay_control = "{control}"\ncontrol_socket = "{self.folder}/control.sock"\n'
                       f'relay_store {{ file = "{self.folder}/relayers.gdbm"  window_minutes = 60 {limits} }}\n')

    def ask(self, *args, client="192.0.2.1"):
        done = self.ctl("explain", "--json", "--client", client, "--from", "<ann@a.test>", "--rcpt", "<x@other.test>",
                        *args)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return json.loads(done.stdout)

    def test_pretended_login(self):
        self.assertEqual(self.ask()["disposition"], "reject")
        told = self.ask("--logged-in")
        self.assertEqual(told["disposition"], "accept")
        self.assertRegex(told["stages"][2]["notes"][-1], r"^relaying: 192\.0\.2\.1 logged in on \d{4}-.* UTC$")
        self.assertNotIn("relaying", told)

    def test_recorded_login_is_read_and_nothing_is_changed(self):
        self.assertEqual(self.ctl("relay", "add", "192.0.2.1", "--user", "ann b").returncode, 0)
        before = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        told = self.ask()
        self.assertEqual(told["disposition"], "accept")
        self.assertRegex(told["stages"][2]["notes"][-1], r" UTC user=ann%20b$")
        self.assertEqual(self.ask(client="192.0.2.2")["disposition"], "reject")
        self.assertEqual({path.name: path.read_bytes() for path in self.folder.iterdir()}, before)

    def test_store_that_cannot_be_read_is_nobody(self):
        (self.folder / "relayers.gdbm").mkdir()
        done = self.ctl("explain", "--json", "--client", "192.0.2.1", "--from", "<>", "--rcpt", "<x@other.test>")
        self.assertIn(b"who logged in cannot be read", done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told["stages"][2]["reply"]["code"], 550)

    def test_what_an_mta_is_told(self):
        self.configure(control="mta")
        told = self.ask()
        self.assertEqual((told["disposition"], [r["answer"] for r in told["relaying"]]), ("accept", ["DUNNO"]))
        told = self.ask("--logged-in", "--rcpt", '"<x@a.test>"@other.test')
        self.assertEqual([(r["stage"], r["argument"], r["answer"]) for r in told["relaying"]],
                         [("relay", "x@other.test", "OK"), ("relay", '"<x@a.test>"@other.test', "OK")])
        shown = self.ctl("explain", "--client", "192.0.2.1", "--logged-in", "--from", "<>", "--rcpt", "x@b.test").stdout
        self.assertIn(b"if it asks on policy_socket:\nrelay    x@b.test\n    relaying: 192.0.2.1 logged in", shown)
        self.assertTrue(shown.endswith(b"  => OK\n"))
        self.configure(control="off")
        self.assertNotIn("relaying", self.ask("--logged-in"))

    def test_limits_of_a_login(self):
        limits = 'grant_senders = "address" recipients_per_message = 2 recipients_per_hour = 1'
        more = ["--rcpt", "<y@other.test>", "--rcpt", "<z@other.test>"]
        for control, key in (("milter", "stages"), ("mta", "relaying")):
            self.configure(control=control, limits=limits)
            asked = [stage for stage in self.ask("--logged-in=ann@a.test", *more)[key] if stage["stage"] in ("rcpt", "relay")]
            self.assertIn("this recipient would be counted", asked[0]["notes"][-1])
            self.assertIn("there were as many as may be", asked[2]["notes"][-1])
            self.assertEqual([stage["verdict"] for stage in asked], ["continue", "continue", "tempfail"])
            if control == "mta":
                self.assertEqual([stage["answer"] for stage in asked], ["OK", "OK", "DEFER_IF_REJECT"])
            for user in ("", "=bob@a.test"):
                asked = [stage for stage in self.ask(f"--logged-in{user}")[key] if stage["stage"] in ("rcpt", "relay")]
                self.assertEqual([stage["verdict"] for stage in asked], ["reject"])


class Message(Site):
    def test_header_and_body_go_through_the_stages(self):
        self.configure("/^X-Del:/ IGNORE\n/^X-New: (.*)/ REPLACE X-Other:$1\n/name=x/ REJECT no\n", mime=True)
        told = self.message(b"X-Del: 1\nX-New: a\n b\nContent-Type: multipart/mixed; boundary=b\n\n"
                            b"--b\nContent-Type: text/plain; name=x\n\n")
        self.assertEqual([stage["stage"] for stage in told["stages"]],
                         ["connect", "mail", "rcpt", "header", "header", "header", "eoh", "body", "eom"])
        self.assertEqual(told["disposition"], "reject")
        self.assertEqual(told["stages"][-1]["reply"], {"code": 550, "dsn": "5.7.1", "text": "no"})
        self.assertEqual(told["stages"][-1]["rule"]["line"], 3)
        self.assertEqual(told["edits"], [
            {"kind": "delete", "name": "X-Del", "occurrence": 1, "position": 0, "subject": "X-Del: 1",
             "file": str(self.rules), "line": 1},
            {"kind": "replace", "name": "X-New", "occurrence": 1, "position": 1, "new_name": "X-Other",
             "value": "a\n b", "subject": "X-New: a\n b", "file": str(self.rules), "line": 2}])

    def test_the_body_is_left_alone_without_mime_header_checks(self):
        self.configure("/name=x/ REJECT no\n")
        told = self.message(b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b; name=x\n\n")
        self.assertEqual(told["disposition"], "accept")
        self.assertNotIn("body", [stage["stage"] for stage in told["stages"]])

    def test_files_are_read_as_mail_servers_read_messages(self):
        for content, expected in (
                (b"A: 1\r\nB:2\r\n\t3\r\n\r\nC: no\r\n", ["A: 1", "B:2\n\t3"]),
                (b"From joe Mon Jan 1\nA: 1\n\nC: no\n", ["A: 1"]),
                (b"A : 1\n\n", ["A: 1"]),
                (b"A: 1", ["A: 1"]),
                (b"A:\n\nB: no\n", ["A:"]),
                (b"A: 1\nno header\nB: no\n", ["A: 1"]),
                (b" A: 1\nB: no\n", []),
                (b"A: 1\x00no\nB: 2\n", ["A: 1", "B: 2"]),
                (b"\nA: no\n", []),
                (b"", [])):
            self.assertEqual(self.fields(self.message(content)), expected, content)

    def test_single_fields(self):
        self.configure("missing Date REJECT no date\n/^X-A: 1\\n 2/ HOLD folded\n")
        told = self.explain("--header", "Date: x", "--header", "X-A: 1\n 2")
        self.assertEqual(self.fields(told), ["Date: x", "X-A: 1\n 2"])
        self.assertEqual((told["disposition"], told["stages"][-1]["quarantine"]), ("quarantine", "folded"))
        self.assertEqual(self.explain("--header", "X-A: 1")["disposition"], "reject")
        self.assertEqual(self.explain()["disposition"], "reject")

    def test_fields_stand_before_those_of_the_file(self):
        told = self.explain("--header", "X-A: 1", "--message", "-", input=b"X-B: 2\n\nX-C: no\n")
        self.assertEqual(self.fields(told), ["X-A: 1", "X-B: 2"])

    def test_what_is_no_message(self):
        for args, status, text in (
                (("--header", "no header"), 1, b"is no header: write Name: value"),
                (("--header", "A: 1\nB: 2"), 1, b"is no header"),
                (("--message", self.folder / "none"), 1, b"No such file"),
                (("--message", self.folder), 1, b"Is a directory")):
            done = self.ctl("explain", *STRANGER, *args)
            self.assertEqual((done.returncode, text in done.stderr), (status, True), done.stderr)
        done = self.ctl("explain", "--client", "192.0.2.1", "--header", "A: 1")
        self.assertEqual((done.returncode, b"need --from" in done.stderr), (2, True), done.stderr)

    def test_people_see_what_changes(self):
        self.configure("/^X-A: (.*)/ PREPEND X-B: <$1>\n/^X-C:/ IGNORE\n/^X-D:/ WARN look\n")
        done = self.ctl("explain", *STRANGER, "--header", "X-A: 1", "--header", "X-C: \x1b[2J", "--header", "X-D: 1")
        text = done.stdout.decode()
        for line in (f"    prepend  X-A (1)  X-B: <1>   ({self.rules}:1)", f"    delete  X-C (1)   ({self.rules}:2)",
                     f"    warn  X-D (1)  look   ({self.rules}:3)", "the message: accept"):
            self.assertIn(line + "\n", text)
        self.assertNotIn("\x1b", text)


class Sample(Site):
    def setUp(self):
        super().setUp()
        self.text = uncommented((SOURCE / "conf/header_checks").read_text())
        self.configure(self.text, mime=True)

    def outcome(self, *fields, client="192.0.2.1"):
        args = [arg for field in fields for arg in ("--header", field)]
        done = self.ctl("explain", "--json", "--client", client, *STRANGER[2:], *args)
        told = json.loads(done.stdout)
        reply = told["stages"][-1].get("reply")
        return told["disposition"] if reply is None else f"{reply['code']} {reply['dsn']} {reply['text']}"

    def test_as_it_stands_it_asks_for_nothing(self):
        self.configure((SOURCE / "conf/header_checks").read_text())
        self.assertEqual(self.ctl("check").returncode, 0)
        self.assertEqual(self.outcome("Subject: make money fast"), "accept")

    def test_its_examples_are_right(self):
        done = self.ctl("check")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertGreater(self.text.count("\n"), 20)

    def test_the_message_id_of_the_guide(self):
        error = "553 5.0.0 Header Error"
        author = "From: ann@spam.example"
        good = "Message-Id: <1@spam.example>"
        self.assertEqual(self.outcome(author, good), "accept")
        self.assertEqual(self.outcome(author, "message-id:\n <1@spam.example>"), "accept")
        self.assertEqual(self.outcome(author, "Message-Id: 1@spam.example"), error)
        self.assertEqual(self.outcome(author, "Message-Id: <1>"), error)
        self.assertEqual(self.outcome(author), error)
        self.assertEqual(self.outcome(author, good, good), error)
        self.assertEqual(self.outcome(author, client="127.0.0.1"), "accept")

    def test_the_other_examples(self):
        rest = ("From: ann@spam.example", "Message-Id: <1@spam.example>")
        for field, expected in (
                ("Subject: Make money fast", "550 5.7.1 No, thank you"),
                ("Subject: =?utf-8?B?VmlhZ3Jh?= for you", "550 5.7.1 No pills"),
                ("X-Spam-Flag: YES", "quarantine"),
                ("From: joe@example.org", "550 5.6.0 One From: is enough"),
                ("Content-Type: a/b; name=\"x.exe\"", "550 5.7.1 No programs, please")):
            self.assertEqual(self.outcome(*rest, field), expected)


if __name__ == "__main__":
    unittest.main()
