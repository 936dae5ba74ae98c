#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl query, check and explain of patterns of the envelope; and the sample of regex, as its reader takes it."""
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


def uncommented(text):
    """The sample with its examples in force: these are what follows a # without a blank."""
    return "".join(line[1:] for line in text.splitlines(True) if re.match(r"#[^\s#]", line))


class Site(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-patterns-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.regex = self.folder / "regex"
        self.conf = self.folder / "postern.conf"

    def configure(self, regex="", more=""):
        self.regex.write_text(regex)
        (self.folder / "names").write_text("example.org\n")
        self.conf.write_text("".join(f'{key} = ""\n' for key in (
            "access", "spammers", "relay_domains", "header_checks")) +
            f'regex = "{self.regex}"\nlocal_host_names = "{self.folder / "names"}"\nhostname = "mx.example.org"\n'
            f'features = {{ "accept_unresolvable_domains" }}\n{more}')

    def ctl(self, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        return subprocess.run([POSTERNCTL, "-c", self.conf, *args], capture_output=True, timeout=60, check=False,
                              **options)

    def query(self, table, key, **options):
        done = self.ctl("query", table, key, **options)
        return done.stdout.decode("latin-1").removesuffix("\n") if done.returncode == 0 else done.returncode

    def explain(self, sender, *recipients, client=("192.0.2.1", "mx.far.example"), more=()):
        args = [arg for rcpt in recipients for arg in ("--rcpt", rcpt)]
        done = self.ctl("explain", "--json", "--client", client[0], "--name", client[1], "--from", sender, *args, *more)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return json.loads(done.stdout)

    def outcome(self, *args, **options):
        told = self.explain(*args, **options)
        reply = told["stages"][-1].get("reply")
        return told["disposition"] if reply is None else f"{reply['code']} {reply['dsn']} {reply['text']}"


class Query(Site):
    def test_regex_by_tag_and_without(self):
        self.configure("Kdigits regex ^[0-9]+$\nFrom: local~digits domain=bigisp.com  553 5.1.7 Address Error\n"
                       "Compat:/^(.*)<@>(.*)$/  REJECT $2 from $1\nTo:/^x@/ REJECT to\nFrom:/^x@/ REJECT from\n"
                       "if client !local\nHelo:/^h$/ REJECT helo\nendif\n")
        for key, expected in (("From:2312343@bigisp.com", "553 5.1.7 Address Error"), ("from:1@bigisp.com", "553 5.1.7 Address Error"),
                              ("From:a@bigisp.com", 1), ("Compat:a@b<@>c@d", "REJECT c@d from a@b"),
                              ("To:x@y", "REJECT to"), ("From:x@y", "REJECT from"), ("x@y", "REJECT from"),
                              ("Connect:x@y", 1), ("Helo:h", "REJECT helo")):
            self.assertEqual(self.query("regex", key), expected, key)

    def test_of_files_that_are_not_configured_or_not_there(self):
        self.configure()
        done = self.ctl("query", "header_checks", "Subject: x")
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertIn(b'no table "header_checks" is configured', done.stderr)
        self.assertEqual(self.query(f"pcre:{self.folder}/none", "x"), 75)
        self.regex.unlink()
        self.assertEqual(self.query("regex", "x"), 75)

    def test_pcre_answers_as_postmap_does(self):
        table = self.folder / "table"
        table.write_bytes(b"/^a(b)?(c)$/ <$1>$2$$\n/(/ wrong\nnonsense\n/^\xe4/ bytes \xf6\n!/z/ none\n")
        name = f"pcre:{table}"
        done = self.ctl("query", name, "ac")
        self.assertEqual((done.returncode, done.stdout), (0, b"<>c$\n"))
        self.assertEqual(done.stderr.decode().count(": warning: "), 2)
        self.assertIn(f"{table}:2: warning: missing closing parenthesis", done.stderr.decode())
        self.assertEqual(self.query(name, "ABC"), "<B>C$")
        self.assertEqual(self.query(name, b"\xe4"), "bytes \xf6")
        self.assertEqual(self.query(name, "z"), 1)

    def test_keys_from_standard_input(self):
        table = self.folder / "table"
        table.write_text("/^(\\d+)$/ number $1\n/^$/ empty\n")
        name = f"pcre:{table}"
        done = self.ctl("query", name, "-", input=b"1\nx\n\n22 \n333")
        self.assertEqual((done.returncode, done.stdout), (0, b"1\tnumber 1\n\tempty\n333\tnumber 333\n"))
        self.assertEqual(self.ctl("query", name, "-", input=b"x\ny\n").returncode, 1)
        self.assertEqual(self.ctl("query", "--json", name, "-", input=b"1\n").returncode, 2)

    def test_json(self):
        self.configure("/^(a)(x)?/ REJECT $1\n")
        told = json.loads(self.ctl("query", "--json", "regex", "From:ab").stdout)
        self.assertEqual(told, {"version": 1, "table": "regex", "key": "From:ab", "found": True, "value": "REJECT a",
                                "file": str(self.regex), "line": 1, "pattern": "/^(a)(x)?/", "captures": ["a", "a", None],
                                "items": [], "errors": 0, "warnings": 0})
        told = json.loads(self.ctl("query", "--json", "regex", "From:b").stdout)
        self.assertEqual((told["found"], told["version"]), (False, 1))

    def test_a_limit_is_no_answer(self):
        self.configure("From:/^(a+)+$/ REJECT\n/./ OK\n")
        done = self.ctl("query", "regex", "From:" + 60 * "a" + "!")
        self.assertEqual((done.returncode, done.stdout), (75, b""))
        self.assertIn(f"{self.regex}:1: error: From:/^(a+)+$/ cannot be known: the match limit", done.stderr.decode())
        told = json.loads(self.ctl("query", "--json", "regex", "From:" + 60 * "a" + "!").stdout)
        self.assertNotIn("found", told)

    def test_headers_are_decoded_for_the_flag_d(self):
        self.configure(more=f'header_checks = "{self.regex}"\nregex = ""\n')
        self.regex.write_text("/viagra/D REJECT pills\n")
        self.assertEqual(self.query("header_checks", "Subject: =?utf-8?B?VmlhZ3Jh?="), "REJECT pills")
        self.assertEqual(self.query("header_checks", "Subject: VmlhZ3Jh"), 1)


class Explain(Site):
    def test_steps_are_lookups_and_notes_in_their_order(self):
        self.configure("To:/@(customer)\\.example$/ RELAY\nCompat:/x/ OK\n", 'relay_control = "milter"\n')
        told = self.explain("a@far.example", "x@customer.example")
        stage = told["stages"][-2]
        self.assertEqual(stage["steps"], [
            {"kind": "lookup", "table": "regex", "key": "To:x@customer.example", "found": True, "value": "RELAY",
             "file": str(self.regex), "line": 1, "pattern": "To:/@(customer)\\.example$/",
             "captures": ["@customer.example", "customer"]},
            {"kind": "note", "text": "relaying: a To: pattern says RELAY"},
            {"kind": "lookup", "table": "regex", "key": "Compat:a@far.example<@>x@customer.example", "found": True,
             "value": "OK", "file": str(self.regex), "line": 2, "pattern": "Compat:/x/", "captures": ["x"]}])
        self.assertEqual([step["key"] for step in stage["lookups"]],
                         [step["key"] for step in stage["steps"] if step["kind"] == "lookup"])
        self.assertEqual(stage["notes"], ["relaying: a To: pattern says RELAY"])
        done = self.ctl("explain", "--client", "192.0.2.1", "--from", "a@far.example", "--rcpt", "x@customer.example")
        text = done.stdout.decode()
        places = [text.index(part) for part in ("->  RELAY", "$1=customer", "relaying: a To:", "->  OK")]
        self.assertEqual(places, sorted(places), text)

    def test_a_failure_names_the_line(self):
        self.configure("From:/^(a+)+$/ REJECT\n")
        told = self.explain(60 * "a" + "@far.example")
        self.assertEqual(told["disposition"], "tempfail")
        step = told["stages"][-1]["steps"][0]
        self.assertEqual((step["file"], step["line"], step["pattern"]), (str(self.regex), 1, "From:/^(a+)+$/"))
        self.assertIn("the match limit is reached", step["failure"])
        self.assertEqual(told["stages"][-1]["rule"]["line"], 1)

    def test_what_a_client_sends_does_not_steer_the_terminal(self):
        self.configure("Helo:/^(.*)$/ WARN $1\n")
        done = self.ctl("explain", "--client", "192.0.2.1", "--helo", "\x1b[2J", "--from", "a@far.example")
        self.assertIn(b"$1=?[2J", done.stdout)
        self.assertNotIn(b"\x1b", done.stdout)


class Check(Site):
    def test_errors_and_warnings_have_their_lines(self):
        self.configure("From:/a/ FILTER x:\nFrom:/b/ REJECT\nTo:/c/ RELAY\nif To:/d/\n", 'relay_control = "milter"\n')
        done = self.ctl("check", "--json")
        told = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1)
        lines = [(item["level"], item.get("line")) for item in told["items"] if item["file"] == str(self.regex)]
        self.assertEqual(lines, [("error", 1), ("error", 4), ("warning", 3)])


class Sample(Site):
    def setUp(self):
        super().setUp()
        self.text = uncommented((SOURCE / "conf/regex").read_text())
        self.configure(self.text)

    def test_as_it_stands_it_asks_for_nothing(self):
        self.configure((SOURCE / "conf/regex").read_text())
        done = self.ctl("check")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(self.outcome("2312343@bigisp.com"), "accept")

    def test_its_examples_are_right(self):
        done = self.ctl("check")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertGreater(self.text.count("\n"), 12)

    def test_the_guide_has_its_all_numeric_senders(self):
        self.assertEqual(self.query("regex", "From:2312343@bigisp.com"), "553 5.1.7 Address Error")
        self.assertEqual(self.outcome("2312343@bigisp.com"), "553 5.1.7 Address Error")
        self.assertEqual(self.outcome("joe@bigisp.com", "joe@example.org"), "accept")

    def test_the_three_uses_of_check_compat(self):
        inside = {"client": ("127.0.0.1", "localhost")}
        self.assertEqual(self.outcome("intern@example.org", "x@far.example", **inside),
                         "550 5.7.1 You may write to our own users only")
        self.assertEqual(self.outcome("intern@example.org", "joe@example.org", **inside), "accept")
        self.assertEqual(self.outcome("pest@far.example", "joe@example.org"), "550 5.7.1 Joe does not want your mail")
        self.assertEqual(self.outcome("pest@far.example", "ann@example.org"), "accept")
        self.assertEqual(self.outcome("a@far.example", "b@elsewhere.example"), "550 5.7.1 This host is no mail relay")

    def test_the_other_examples(self):
        dial = ("192.0.2.7", "dyn-7.isp.example")
        self.assertEqual(self.outcome("a@far.example", client=dial), "450 4.7.1 Please use the mail server of your provider")
        self.assertEqual(self.outcome("a@far.example", more=("--helo", "localhost")), "550 5.7.1 You are not me")
        self.assertEqual(self.outcome("joe@example.org"), "550 5.7.1 Log in to use our addresses")
        self.assertEqual(self.outcome("ann@example.org", "joe@example.org", more=("--auth", "ann")), "accept")
        told = self.explain("joe@partner.example", "joe@example.org")
        self.assertEqual([(edit["kind"], edit["new_name"], edit["value"]) for edit in told["edits"]],
                         [("prepend", "X-Partner", " joe@partner.example")])
        told = self.explain("joe@example.org", "ann@example.org", more=("--auth", "joe"))
        self.assertEqual([(edit["kind"], edit["value"]) for edit in told["edits"]],
                         [("add recipient", "archive@example.org")])


if __name__ == "__main__":
    unittest.main()
