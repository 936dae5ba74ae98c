#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl makemap and query, as a shell sees them: output, exit status, standard input, signals."""
import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ".")).resolve()
POSTERNCTL = BUILD / "posternctl"
MANY = 150000  # lines that take a moment


class Site(unittest.TestCase):
    """A folder with a postern.conf and its files."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-ctl-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.conf = self.folder / "postern.conf"
        self.access = self.folder / "access"
        self.map = self.folder / "access.gdbm"
        self.conf.write_text("".join(f'{key} = "{self.folder / name}"\n' for key, name in (
            ("access", "access"), ("spammers", "spammers"), ("local_host_names", "names"),
            ("relay_domains", "domains"))))
        self.access.write_text("Connect:192.0.2.0/24 REJECT\nFrom:Spam@Example.com \"550 5.7.1 no\"\n")
        (self.folder / "spammers").write_text("bad.example\n")
        (self.folder / "names").write_text("Own.Example\n[2001:db8::1]\n")
        (self.folder / "domains").write_text("192.0.2.0/25\nrelay.example\n")

    def ctl(self, *args, program=POSTERNCTL, **options):
        """Run posternctl; standard input is /dev/null if nothing else is said."""
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        env = {**os.environ, "POSTERN_CONF": str(self.conf)}
        return subprocess.run([program, *args], capture_output=True, text=True, env=env, timeout=60, check=False,
                              **options)

    def query(self, key, table="access"):
        done = self.ctl("query", table, key)
        return done.stdout.strip() if done.returncode == 0 else done.returncode

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


class Makemap(Site):
    def test_all_maps_and_only_what_changed(self):
        done = self.ctl("makemap")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertIn("access: 2 entries written", done.stdout)
        self.assertIn("spammers: 1 entry written", done.stdout)
        inode = self.map.stat().st_ino
        self.assertIn("up to date", self.ctl("makemap", "access").stdout)
        self.assertEqual(self.map.stat().st_ino, inode)
        self.assertIn("written", self.ctl("makemap", "--force", "access").stdout)
        self.assertNotEqual(self.map.stat().st_ino, inode)
        self.access.write_text("To:x@ REJECT\n")
        self.assertIn("access: 1 entry written", self.ctl("makemap").stdout)
        self.assertEqual(self.query("to:x@"), "REJECT")
        self.assertEqual(self.query("connect:192.0.2"), 1)

    def test_errors_keep_the_old_map(self):
        self.ctl("makemap")
        self.access.write_text("a.example REJECTED\n b OK\nc.example REJECT\nd.example\n")
        done = self.ctl("makemap")
        self.assertEqual(done.returncode, 1)
        for line in (1, 2, 4):
            self.assertIn(f"{self.access}:{line}: error: ", done.stderr)
        self.assertIn("did you mean REJECT?", done.stderr)
        self.assertIn("the old map stays", done.stderr)
        self.assertEqual(self.query("connect:192.0.2"), "REJECT")
        self.assertNotIn("access.gdbm.new", self.files())

    def test_json(self):
        self.access.write_text("a.example OK\na.example REJECT\n")
        done = self.ctl("makemap", "--json")
        told = json.loads(done.stdout)
        self.assertEqual((done.returncode, done.stderr, told["version"]), (0, "", 1))
        access = told["maps"][0]
        self.assertEqual((access["name"], access["result"], access["entries"], access["duplicates"]),
                         ("access", "written", 1, 1))
        self.assertEqual([(item["level"], item["line"]) for item in told["items"]], [("warning", 2)])
        told = json.loads(self.ctl("--json", "makemap").stdout)
        self.assertEqual([entry["result"] for entry in told["maps"]], ["current", "current"])

    def test_wrong_usage(self):
        self.assertEqual(self.ctl("makemap", "nosuch").returncode, 2)
        self.assertEqual(self.ctl("makemap", "--nosuch").returncode, 2)
        self.assertEqual(self.ctl("nosuch").returncode, 2)
        self.assertEqual(self.ctl().returncode, 2)
        self.assertEqual(self.ctl("-c", str(self.folder / "absent"), "makemap").returncode, 1)

    def test_help(self):
        for args in (["--help"], ["makemap", "--help"], ["query", "-h"]):
            done = self.ctl(*args)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("usage: ", done.stdout)
        self.assertIn("standard input", self.ctl("makemap", "--help").stdout)
        self.assertRegex(self.ctl("--version").stdout, r"^posternctl \d")

    def test_old_names(self):
        (self.folder / "vnewspammers").symlink_to(POSTERNCTL.resolve())
        done = self.ctl(program=self.folder / "vnewspammers")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.query("bad.example", "spammers"), "REJECT")
        self.assertFalse(self.map.exists())
        done = self.ctl("--help", program=self.folder / "vnewspammers")
        self.assertTrue(done.stdout.startswith("usage: vnewspammers [-c FILE] [--json] [--force]\n"), done.stdout)

    def test_full_standard_output_is_no_success(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([POSTERNCTL, "-c", self.conf, "makemap"], stdin=subprocess.DEVNULL, stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 75)


class StandardInput(Site):
    def test_text_is_taken(self):
        other = self.folder / "other"
        other.write_text("from.file.example REJECT\n")
        with other.open(encoding="ascii") as text:
            self.assertEqual(self.ctl("makemap", "access", stdin=text).returncode, 0)
        self.assertEqual(self.query("from.file.example"), "REJECT")
        self.assertEqual(self.ctl("makemap", "access", input="pipe.example DISCARD\n").returncode, 0)
        self.assertEqual(self.query("pipe.example"), "DISCARD")
        self.assertEqual(self.query("from.file.example"), 1)
        # The text of that name is another one: it is compiled at the next occasion.
        self.assertIn("written", self.ctl("makemap", "access").stdout)
        self.assertEqual(self.query("connect:192.0.2"), "REJECT")

    def test_the_text_itself_counts_as_compiled(self):
        with self.access.open(encoding="ascii") as text:
            self.assertEqual(self.ctl("makemap", "access", stdin=text).returncode, 0)
        self.assertIn("up to date", self.ctl("makemap", "access").stdout)

    def test_errors_name_standard_input(self):
        done = self.ctl("makemap", "access", input="x.example REJECT\nlonely\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("-:2: error: ", done.stderr)
        self.assertNotIn("access.gdbm", self.files())

    def test_no_text_means_the_file(self):
        (self.folder / "empty").touch()
        listing = self.folder / "list"
        listing.write_text("one\ntwo\nthree\n")
        with (self.folder / "empty").open(encoding="ascii") as empty, listing.open("rb", buffering=0) as half_read:
            half_read.read(4)
            for stdin in (subprocess.DEVNULL, empty, half_read):
                self.map.unlink(missing_ok=True)
                done = self.ctl("makemap", "access", stdin=stdin)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(self.query("connect:192.0.2"), "REJECT")
            self.assertEqual(half_read.read(), b"two\nthree\n")
        for options in ({"input": ""}, {"stdin": None, "preexec_fn": lambda: os.close(0)}):
            self.map.unlink()
            self.assertEqual(self.ctl("makemap", "access", **options).returncode, 0)
            self.assertEqual(self.query("connect:192.0.2"), "REJECT")

    def test_without_a_name_nothing_is_read(self):
        self.assertEqual(self.ctl("makemap", input="pipe.example DISCARD\n").returncode, 0)
        self.assertEqual(self.query("connect:192.0.2"), "REJECT")

    def test_silent_pipe_does_not_stop_it(self):
        read_end, write_end = os.pipe()
        begin = time.monotonic()
        done = self.ctl("makemap", "access", stdin=read_end)
        self.assertEqual(done.returncode, 0)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertIn("nothing came from standard input", done.stderr)
        self.assertEqual(self.query("connect:192.0.2"), "REJECT")
        os.close(read_end)
        os.close(write_end)

    def test_dash_reads_all_there_is(self):
        self.assertEqual(self.ctl("makemap", "access", "-", input="a.example OK\n").returncode, 0)
        self.assertEqual(self.query("a.example"), "OK")
        self.assertEqual(self.ctl("makemap", "access", "-").returncode, 0)
        self.assertEqual(self.query("a.example"), 1)


def obey_signals():
    """What a shell starts in the background ignores some, and makemap leaves that as it is."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class LongWork(Site):
    def setUp(self):
        super().setUp()
        self.ctl("makemap")
        self.access.write_text("".join(f"From:user{i}@example.com REJECT\n" for i in range(MANY)))

    def start(self, **options):
        return subprocess.Popen([POSTERNCTL, "-c", self.conf, "makemap", "access"], stdin=subprocess.DEVNULL,
                                preexec_fn=obey_signals, **options)

    def test_signals_leave_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.start(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                deadline = time.monotonic() + 30
                while "access.gdbm.new" not in self.files() and time.monotonic() < deadline:
                    time.sleep(0.001)
                process.send_signal(number)
                _, errors = process.communicate(timeout=60)
            self.assertEqual((process.returncode, errors), (-number, b""))
            self.assertNotIn("access.gdbm.new", self.files())
            self.assertEqual(self.query("connect:192.0.2"), "REJECT")

    def test_progress_on_a_terminal(self):
        self.access.write_text("".join(f"From:user{i}@example.com REJECT\n" for i in range(8 * MANY)))
        try:
            master, slave = pty.openpty()
        except OSError as error:  # a bare chroot
            self.skipTest(str(error))
        with self.start(stdout=subprocess.DEVNULL, stderr=slave) as process:
            os.close(slave)
            shown = b""
            while True:
                try:
                    data = os.read(master, 4096)
                except OSError:  # EIO: the other end is closed
                    break
                shown += data
            process.wait(timeout=60)
        os.close(master)
        self.assertEqual(process.returncode, 0)
        self.assertRegex(shown.decode(), r"access: \[#+\.*\] +\d+ %")
        self.assertTrue(shown.endswith(b"\033[K"), shown[-40:])


class Query(Site):
    def setUp(self):
        super().setUp()
        self.ctl("makemap")

    def test_keys_are_folded_as_lookups_are(self):
        for key in ("connect:192.0.2", "CONNECT:192.0.2", "Connect:192.0.2.0/24"):
            self.assertEqual(self.query(key), "REJECT")
        for key in ("from:spam@example.com", 'From:"Spam"@example.COM', "from:s\\pam@example.com"):
            self.assertEqual(self.query(key), '"550 5.7.1 no"')
        for key in ("192.0.2", "connect:192.0.2.1", "example.com", ""):
            self.assertEqual(self.query(key), 1)

    def test_all_kinds_of_tables(self):
        self.assertEqual(self.query("bad.example", "spammers"), "REJECT")
        self.assertEqual(self.query("OWN.example", "local_host_names"), "own.example")
        self.assertEqual(self.query("[IPv6:2001:DB8::1]", "local_host_names"), "[ipv6:2001:db8:0:0:0:0:0:1]")
        self.assertEqual(self.query("192.0.2.0/25", "relay_domains"), "192.0.2.0/25")
        self.assertEqual(self.query("Connect:192.0.2", f"gdbm:{self.map}"), "REJECT")
        networks = self.folder / "networks"
        networks.write_text("# first match counts\n192.0.2.0/26 inner\n192.0.2.0/24\nIPv6:2001:db8::/32 six\n")
        self.assertEqual(self.query("192.0.2.1", f"cidr:{networks}"), "inner")
        self.assertEqual(self.query("192.0.2.77", f"cidr:{networks}"), "192.0.2.0/24")
        self.assertEqual(self.query("2001:db8:1::1", f"cidr:{networks}"), "six")
        self.assertEqual(self.query("192.0.3.1", f"cidr:{networks}"), 1)
        self.assertEqual(self.query("host.example", f"cidr:{networks}"), 1)
        networks.write_text("192.0.2.1/24 x\n")
        self.assertEqual(self.query("192.0.2.1", f"cidr:{networks}"), 75)

    def test_failures(self):
        self.assertEqual(self.query("x", "nosuch"), 2)
        self.assertEqual(self.ctl("query", "access").returncode, 2)
        self.assertEqual(self.query("x", f"gdbm:{self.folder / 'absent'}"), 75)
        self.assertEqual(self.query("x", f"gdbm:{self.access}"), 75)
        self.map.write_bytes(self.map.read_bytes()[:-100])
        done = self.ctl("query", "--json", "access", "x")
        told = json.loads(done.stdout)
        self.assertEqual(done.returncode, 75)
        self.assertNotIn("found", told)
        self.assertEqual(told["items"][0]["file"], str(self.map))

    def test_json(self):
        told = json.loads(self.ctl("query", "--json", "access", "Connect:192.0.2").stdout)
        self.assertEqual(told, {"version": 1, "table": "access", "key": "connect:192.0.2", "found": True,
                                "value": "REJECT", "file": str(self.access), "line": 1, "items": [], "errors": 0,
                                "warnings": 0})
        told = json.loads(self.ctl("query", "--json", "access", "x").stdout)
        self.assertIs(told["found"], False)


if __name__ == "__main__":
    unittest.main()
