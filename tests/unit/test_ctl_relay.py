#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay, makemap relayers and vsmtprelay on the file, and while a daemon has it."""
import fcntl
import json
import os
import pathlib
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ".")).resolve()
POSTERNCTL = BUILD / "posternctl"
OLD = 906502527  # Tue Sep 22 22:15:27 1998
ENTRY = "# timestamp (UTC): Tue Sep 22 22:15:27 1998\n10.11.12.13 906502527\n"
FUTURE = 4102444800  # 2100


class Site(unittest.TestCase):
    """A folder with a postern.conf, without a daemon."""
    window = 0
    max_entries = 100000
    more = ""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-relay-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.conf = self.folder / "postern.conf"
        self.file = self.folder / "relayers.gdbm"
        self.configure()
        self.old_name = self.folder / "vsmtprelay"
        self.old_name.symlink_to(POSTERNCTL)

    def configure(self, more=""):
        off = ("access", "spammers", "regex", "header_checks", "local_host_names", "relay_domains", "listen_group")
        sockets = ("control", "popauth", "map", "policy")
        self.conf.write_text("".join(f'{key} = ""\n' for key in off) +
                             "".join(f'{name}_socket = "{self.folder}/{name}.sock"\n' for name in sockets) +
                             f'listen = "unix:{self.folder}/milter.sock"\nhostname = "mx.example.org"\n'
                             f'user = "{pwd.getpwuid(os.getuid()).pw_name}"\n'
                             f'popauth_group = ""\n'
                             f'relay_store {{\n{self.place()} window_minutes = {self.window}\n'
                             f' max_entries = {self.max_entries}\n}}\n{self.more}{more}')

    def place(self):
        """Where the addresses are kept: lines of relay_store."""
        return f' file = "{self.file}"\n'

    def run_program(self, program, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        env = {**os.environ, "POSTERN_CONF": str(self.conf)}
        return subprocess.run([program, *args], capture_output=True, text=True, env=env, timeout=120, check=False,
                              **options)

    def ctl(self, *args, **options):
        return self.run_program(POSTERNCTL, *args, **options)

    def old(self, *args, **options):
        return self.run_program(self.old_name, *args, **options)

    def relay(self, *args, code=0, **options):
        """What posternctl relay prints; the exit status must be `code`."""
        done = self.ctl("relay", *args, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        if code == 0:
            self.assertEqual(done.stderr, "")
        return done.stdout if code == 0 else done.stderr

    def load(self, text, **options):
        path = self.folder / "text"
        path.write_text(text)
        with path.open() as stdin:
            return self.relay("load", stdin=stdin, **options)

    def entries(self):
        """The lines of a dump without comments."""
        return [line for line in self.relay("dump").splitlines() if not line.startswith("#")]

    def json(self, *args, code=0, **options):
        done = self.ctl("--json", "relay", *args, **options)
        self.assertEqual((done.returncode, done.stderr), (code, ""))
        value = json.loads(done.stdout)
        self.assertEqual(value["version"], 1)
        return value


class Words(Site):
    """What holds with and without a daemon."""

    def ago(self, minutes):
        return int(time.time()) - 60 * minutes

    def test_old_examples(self):
        self.load(f"10.11.12.13 {OLD}\n")
        for words, expected in ((["list"], ENTRY), (["list", "10"], ENTRY), (["dump"], ENTRY),
                                (["expire", "60"], ""), (["list"], ""), (["dump"], "")):
            done = self.old(*words)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, expected, ""), words)
        self.load(f"10.11.12.13 {OLD}\n10.0.0.1 {FUTURE}\n")
        done = self.old("expire")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.old("dump").stdout, "")

    def test_old_round_trip_keeps_what_it_does_not_print(self):
        self.relay("add", "192.0.2.1", "--user", "ann b", "--service", "imap")
        self.relay("add", "192.0.2.2", "--user", "bob")
        text = self.old("dump").stdout
        self.assertNotIn("ann", text)
        edited = "".join(line for line in text.splitlines(True) if "192.0.2.2 " not in line) + f"10.0.0.9 {OLD}\n"
        path = self.folder / "edited"
        path.write_text(edited)
        with path.open() as stdin:
            done = self.old("load", stdin=stdin)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        lines = self.entries()
        self.assertEqual(lines[0], f"10.0.0.9 {OLD}")
        self.assertRegex(lines[1], r"^192\.0\.2\.1 \d+ user=ann%20b service=imap$")
        self.assertEqual(len(lines), 2)

    def test_stats_of_nothing(self):
        store = self.json("stats")["relay_store"]
        self.assertEqual([store[key] for key in ("entries", "in_force", "expired", "in_future", "users", "nameless", "top_users", "usable")],
                         [0, 0, 0, 0, 0, 0, [], True])
        self.assertNotIn("oldest_login", store)
        self.assertIn("relayers       0 entries: 0 in force", self.relay("stats"))

    def test_stats(self):
        now, old = self.ago(0), self.ago(40)
        lines = [f"10.0.0.{number} {now} user=Ann" for number in range(1, 4)]
        lines += [f"10.0.1.1 {old} user=bob%20b%1B", f"10.0.1.2 {old}", f"10.0.1.3 {now + 3600} user=ann", f"2001:db8::/64 {now} user=eve"]
        self.load("".join(f"{line}\n" for line in lines))
        store = self.json("stats")["relay_store"]
        self.assertEqual([store[key] for key in ("entries", "in_force", "expired", "in_future", "users", "nameless")], [7, 6, 0, 1, 3, 1])
        self.assertEqual([(one["user"].lower(), one["addresses"]) for one in store["top_users"]], [("ann", 4), ("bob b\x1b", 1), ("eve", 1)])
        self.assertEqual(store["oldest_login"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(old)))
        self.assertEqual(store["newest_login"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
        self.assertEqual((store["window_minutes"], store["max_entries"]), (0, self.max_entries))
        told = self.relay("stats")
        self.assertIn("relayers       7 entries: 6 in force, 0 expired, 1 dated in the future\n", told)
        self.assertIn(" 3 users, and 1 without a user; logins from ", told)
        self.assertRegex(told, r"\n +4 addresses of [Aa]nn\n")
        self.assertNotIn("bob", told)  # one address is nothing to show
        self.assertIn("too many arguments", self.relay("stats", "x", code=2))

    def test_list_dump_expire_by_age(self):
        now = self.ago(0)
        self.load(f"10.0.0.1 {self.ago(5)}\n10.0.0.2 {self.ago(15)}\n10.0.0.3 {self.ago(90)}\n10.0.0.4 {now + 3600}\n"
                  f"2001:db8::/64 {self.ago(100)} user=x\n9.0.0.1 {self.ago(20)}\n")

        def listed(*args):
            return [line.split()[0] for line in self.relay(*args).splitlines() if line[0] != "#"]
        self.assertEqual(listed("list"), ["9.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::/64"])
        self.assertEqual(listed("list", "10"), ["9.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::/64"])
        self.assertEqual(listed("dump"), ["9.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "2001:db8::/64"])
        self.assertEqual(self.json("expire", "60"), {"version": 1, "result": "ok", "count": 2})
        self.assertEqual(listed("dump"), ["9.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.4"])
        self.assertEqual(self.relay("expire"), "")
        self.assertEqual(self.relay("dump"), "")

    def test_add_check_remove(self):
        self.assertEqual(self.relay("check", "192.0.2.1", code=1), "")
        self.assertEqual(self.relay("add", "192.0.2.1", "--user", "ann", "--service", "pop3"), "")
        self.assertRegex(self.relay("check", "192.0.2.1"), r"^192\.0\.2\.1 may relay: 192\.0\.2\.1 \d+ user=ann service=pop3\n$")
        self.assertRegex(self.relay("check", "::ffff:192.0.2.1"), "may relay: 192.0.2.1 ")
        self.assertEqual(self.json("check", "192.0.2.1")["sessions"], 0)
        done = self.ctl("relay", "check", "192.0.2.2")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "192.0.2.2 may not relay: no entry permits it\n", ""))
        self.relay("add", "2001:DB8:0:0:0::/64")
        self.assertIn("2001:db8::/64 ", self.relay("check", "2001:db8::7"))
        self.relay("check", "2001:db8:0:1::7", code=1)
        self.assertEqual(self.relay("remove", "::ffff:192.0.2.1"), "")
        self.assertIn("192.0.2.1: there is no such entry", self.relay("remove", "192.0.2.1", code=1))
        self.relay("check", "192.0.2.1", code=1)
        # An entry that is dated in the future permits, too.
        self.load(f"192.0.2.3 {FUTURE}\n")
        self.relay("check", "192.0.2.3")

    def test_what_a_user_is_called_breaks_nothing(self):
        user = "a b\n10.9.9.9 1'\"$(id)\x1b[31m%ü"
        self.relay("add", "192.0.2.1", "--user", user)
        self.assertEqual(len(self.entries()), 1)
        line = self.entries()[0]
        self.assertTrue(all(" " <= c <= "~" for c in line), line)
        self.assertEqual(self.json("dump")["entries"][0]["user"], user)
        self.load(self.relay("dump"))
        self.assertEqual(self.entries(), [line])
        self.relay("add", "192.0.2.2", "--user", "\xff" * 127, "--service", "%" * 31)
        self.assertEqual(self.json("dump")["entries"][1]["user"], "\xff" * 127)

    def test_json(self):
        self.load(f"10.11.12.13 {OLD} user=ann service=pop3\n10.11.12.14 {OLD}\n")
        ann = {"address": "10.11.12.13", "timestamp": OLD, "time": "1998-09-22T22:15:27Z", "user": "ann", "service": "pop3"}
        plain = {"address": "10.11.12.14", "timestamp": OLD, "time": "1998-09-22T22:15:27Z"}
        for word in ("list", "dump"):
            self.assertEqual(self.json(word), {"version": 1, "entries": [ann, plain]})
        self.assertEqual(self.json("list", "--json"), {"version": 1, "entries": [ann, plain]})
        checked = self.json("check", "10.11.12.13", code=0 if self.window == 0 else 1)
        self.assertEqual(checked["address"], "10.11.12.13")
        self.assertEqual(checked["permitted"], self.window == 0)
        if self.window == 0:
            self.assertEqual(checked["entry"], ann)
        else:
            self.assertEqual(checked["reason"], "its window is over, which began at 1998-09-22T22:15:27Z")
        refused = self.json("check", "10.0.0.1", code=1)
        self.assertEqual((refused["permitted"], refused["reason"]), (False, "no entry permits it"))
        self.assertEqual(self.json("add", "10.0.0.2")["result"], "ok")
        self.assertEqual(self.json("remove", "10.0.0.2"), {"version": 1, "result": "ok", "count": 1})
        self.assertEqual(self.json("remove", "10.0.0.2", code=1)["result"], "notfound")
        self.assertEqual(self.json("load", input="10.0.0.1 5\n10.0.0.2 6\n"),
                         {"version": 1, "result": "ok", "count": 2, "items": [], "errors": 0, "warnings": 0})
        failed = self.json("load", input="10.0.0.1 5\n10.0.0.300 6\n", code=1)
        self.assertEqual((failed["result"], failed["errors"]), ("invalid", 1))
        self.assertEqual(failed["items"][0], {"level": "error", "file": "-", "line": 2,
                                              "text": "\"10.0.0.300 6\": no IP address"})
        self.assertEqual(self.json("expire"), {"version": 1, "result": "ok", "count": 2})
        self.assertEqual(self.json("dump"), {"version": 1, "entries": []})

    def test_load_refuses_all_if_a_line_is_wrong(self):
        self.load(f"10.0.0.1 {OLD} user=ann\n")
        said = self.load("10.0.0.2 5\nnonsense\n# fine\n10.0.0.3 6\n10.0.0.2 7\n10.0.0.0/8 1\n", code=1)
        self.assertEqual(said.splitlines()[:-1], [
            "-:2: error: \"nonsense\": there is no timestamp behind the address",
            "-:5: error: 10.0.0.2 stands in line 1 too; keep one of the two lines",
            "-:6: error: \"10.0.0.0/8 1\": an IPv4 network; name single addresses"])
        self.assertIn("nothing was changed", said.splitlines()[-1])
        self.assertEqual(self.entries(), [f"10.0.0.1 {OLD} user=ann"])

    def test_load_of_nothing(self):
        self.load(f"10.0.0.1 {OLD}\n")
        for options in ({}, {"input": ""}, {"input": "# only a comment\n"}):
            self.assertIn("nothing was changed", self.relay("load", code=1, **options))
        self.assertEqual(len(self.entries()), 1)
        self.assertEqual(self.load(""), "relayers: 0 entries loaded\n")
        self.assertEqual(self.entries(), [])

    def test_makemap_relayers(self):
        path = self.folder / "text"
        path.write_text(f"10.0.0.1 {OLD}\n")
        for args in (["relayers"], ["relayers", "-"], ["--force", "relayers"]):
            with path.open() as stdin:
                done = self.ctl("makemap", *args, stdin=stdin)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "relayers: 1 entry loaded\n", ""), args)
            self.assertEqual(self.entries(), [f"10.0.0.1 {OLD}"])
        self.assertEqual(self.ctl("makemap", "relayers", "access").returncode, 2)
        self.assertEqual(self.ctl("makemap", "relayers", input="x\n").returncode, 1)
        self.assertEqual(self.ctl("makemap", "relayers").returncode, 1)
        self.assertEqual(self.entries(), [f"10.0.0.1 {OLD}"])

    def test_full(self):
        text = "".join(f"10.0.{i // 250}.{i % 250} {FUTURE}\n" for i in range(self.max_entries))
        if self.max_entries > 1000:
            self.skipTest("of the site with a small limit")
        self.load(text)
        self.assertIn("max_entries", self.relay("add", "192.0.2.1", code=1))
        self.relay("check", "192.0.2.1", code=1)
        self.assertIn(f"error: these are more than {self.max_entries} entries", self.load(text + "192.0.2.1 5\n", code=1))
        self.assertEqual(len(self.entries()), self.max_entries)

    def test_wrong_usage(self):
        self.load(f"10.0.0.1 {OLD}\n")
        for words in ([], ["lost"], ["list", "x"], ["list", "-1"], ["list", "1", "2"], ["list", "99999999999"], ["dump", "1"],
                      ["add"], ["add", "10.0.0.0/8"], ["add", "x"], ["add", "1.2.3.4", "5.6.7.8"], ["add", "2001::/32"],
                      ["add", "1.2.3.4", "--user", "x" * 256], ["remove"], ["expire", "1h"], ["expire", "1", "2"], ["check"],
                      ["check", "2001:db8::/64"], ["load", "file"], ["list", "--user", "x"], ["list", "--wrong"]):
            for run, shown in ((self.old, "usage: vsmtprelay [-c FILE] [--json] list [MIN] | dump | add"),
                               (lambda *args: self.ctl("relay", *args), "usage: posternctl [-c FILE] [--json] relay list")):
                done = run(*words)
                self.assertEqual((done.returncode, done.stdout), (2, ""), words)
                self.assertIn(shown, done.stderr, words)
        for words in (["list", "-1"], ["expire", "-10"], ["list", "--", "-1"]):
            said = self.old(*words).stderr
            self.assertIn(f'"{words[-1]}" is no number', said)
            self.assertNotIn("invalid option", said)
        self.assertEqual(self.entries(), [f"10.0.0.1 {OLD}"])

    def test_user_that_looks_like_a_number(self):
        self.relay("add", "192.0.2.9", "--user", "-1")
        self.assertIn("user=-1", self.relay("check", "192.0.2.9"))

    def test_help(self):
        for done in (self.ctl("relay", "--help"), self.old("-h")):
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("expire [MIN]", done.stdout)
        self.assertIn(" relay ", self.ctl("--help").stdout)


class SmallLimit(Words):
    max_entries = 300


class File(Site):
    """Without a daemon."""

    def test_owner_and_mode_are_kept(self):
        self.load(f"10.0.0.1 {OLD}\n")
        os.chmod(self.file, 0o604)
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.glob("relayers.gdbm*")):
                os.chown(path, 12345, 54321)
        before = self.file.stat()
        self.relay("add", "10.0.0.2")
        self.load(f"10.0.0.1 {OLD}\n10.0.0.5 {OLD}\n")
        after = self.file.stat()
        self.assertEqual((stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid), (0o604, before.st_uid, before.st_gid))
        if os.getuid() == 0:
            for path in self.folder.glob("relayers.gdbm.*"):
                self.assertEqual(path.stat().st_uid, 12345, path)

    @unittest.skipUnless(os.getuid() == 0, "only root can give files away")
    def test_new_files_belong_to_the_owner_of_the_folder(self):
        os.chown(self.folder, 12345, 54321)
        self.relay("add", "10.0.0.2")
        for path in self.folder.glob("relayers.gdbm*"):
            self.assertEqual((path.stat().st_uid, path.stat().st_gid), (12345, 54321), path)

    def hold(self):
        """A process that has the file, as a daemon does."""
        lock = (self.folder / "relayers.gdbm.lock").open("a")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.addCleanup(lock.close)
        return lock

    def test_somebody_has_the_file_and_nobody_answers(self):
        self.relay("add", "10.0.0.2")
        self.hold()
        for words in (["list"], ["expire"], ["check", "10.0.0.2"]):
            said = self.relay(*words, code=75)
            self.assertIn("another process has it", said)
            self.assertIn(str(self.folder / "control.sock"), said)
        self.assertIn("another process has it", self.load(f"10.0.0.4 {OLD}\n", code=75))
        self.configure('control_socket = ""\n')
        self.assertIn("control_socket is empty", self.relay("list", code=75))

    def test_a_daemon_that_ends_is_waited_for(self):
        self.relay("add", "10.0.0.2")
        lock = self.hold()
        env = {**os.environ, "POSTERN_CONF": str(self.conf)}
        with subprocess.Popen([POSTERNCTL, "relay", "check", "10.0.0.2"], env=env, stdout=subprocess.PIPE) as waiting:
            time.sleep(0.5)
            self.assertIsNone(waiting.poll())
            lock.close()
            self.assertEqual(waiting.wait(timeout=30), 0)

    def test_a_file_that_cannot_be_had(self):
        self.file = self.folder / "none" / "relayers.gdbm"
        self.configure()
        for words in (["list"], ["add", "10.0.0.3"], ["check", "10.0.0.2"]):
            self.assertIn("none", self.relay(*words, code=75))
        self.conf.write_text("nonsense = 1\n")
        self.assertIn("postern.conf:1", self.relay("check", "10.0.0.2", code=75))

    def test_a_socket_that_may_not_be_used_is_no_reason_to_open_the_file(self):
        (self.folder / "control.sock").symlink_to(self.folder / "control.sock")
        self.assertIn("control.sock", self.relay("list", code=75))
        self.assertFalse(self.file.exists())

    def test_full_standard_output_is_no_success(self):
        self.relay("add", "10.0.0.2")
        with open("/dev/full", "w", encoding="ascii") as full:
            for words in (["dump"], ["--json", "dump"]):
                done = subprocess.run([POSTERNCTL, "-c", self.conf, "relay", *words], stdout=full, stderr=subprocess.PIPE,
                                      check=False)
                self.assertEqual(done.returncode, 75)


class Answers(Site):
    """A daemon whose answers are wrong."""

    def serve(self, *answers):
        path = self.folder / "control.sock"
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(path))
        server.listen(8)
        child = os.fork()
        if child == 0:
            try:
                for answer in (None, *answers):  # the first connection only looks
                    client = server.accept()[0]
                    if answer is not None:
                        client.recv(4096)
                        client.sendall(answer)
                    client.close()
            finally:
                os._exit(0)
        self.addCleanup(os.waitpid, child, 0)

    def test_no_page(self):
        self.serve(b'{"version":1,"result":"ok","entries":"10.0.0.1\\n"}\n')
        self.assertIn("cannot be read", self.relay("dump", code=75))

    def test_page_that_is_cut_off(self):
        self.serve(b'{"version":1,"result":"ok","entries":"10.0.0.1 5\\n10.0.0.2 6"}\n')
        self.assertIn("cannot be read", self.relay("dump", code=75))

    def test_daemon_that_goes_away(self):
        self.serve(b'{"version":1,"result":"ok","entries":"10.0.0.1 5\\n","next":7}\n', b"")
        self.assertIn("went away", self.relay("dump", code=75))

    def test_failure_is_told(self):
        self.serve(b'{"version":1,"result":"tempfail","reason":"the disk is on fire"}\n')
        self.assertIn("the disk is on fire", self.relay("check", "10.0.0.1", code=75))


if __name__ == "__main__":
    unittest.main()
