#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon does beside the milter: its sockets and the store, from start to end."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ".")).resolve()
PATIENCE = 30
# Of the log, in a second; see popauth.h.
LINES_A_SECOND = 50


class Site(unittest.TestCase):
    """A folder with a postern.conf, and daemons that are started with it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-services-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.conf = self.folder / "postern.conf"
        self.log = self.folder / "log"
        self.keys = {key: "" for key in ("access", "spammers", "regex", "header_checks", "local_host_names",
                                         "relay_domains", "listen_group", "user")}
        self.keys["listen"] = f"unix:{self.folder}/milter.sock"
        for name in ("control", "popauth", "map", "policy"):
            self.keys[f"{name}_socket"] = f"{self.folder}/{name}.sock"
        self.keys["popauth_group"] = str(os.getegid())
        self.store = {"file": f"{self.folder}/relayers.gdbm"}
        self.daemons = []
        self.addCleanup(self.kill_all)

    def write(self):
        quoted = "".join(f'{key} = "{value}"\n' for key, value in self.keys.items())
        store = "".join(f"  {key} = {value}\n" for key, value in self.store.items() if key != "file")
        self.conf.write_text(f'{quoted}relay_store {{\n  file = "{self.store["file"]}"\n{store}}}\n')

    def start(self):
        """A daemon that is ready, or has ended."""
        self.write()
        log = self.log.open("a")
        self.addCleanup(log.close)
        before = self.logged().count("result=ready")
        daemon = subprocess.Popen([BUILD / "postern", "-f", "-c", self.conf], stderr=log)
        self.daemons.append(daemon)
        self.wait(lambda: daemon.poll() is not None or self.logged().count("result=ready") > before)
        return daemon

    def end(self, daemon, number=signal.SIGTERM):
        daemon.send_signal(number)
        self.assertEqual(daemon.wait(timeout=PATIENCE), 0 if number == signal.SIGTERM else -number, self.logged())

    def kill_all(self):
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait()

    def logged(self):
        return self.log.read_text() if self.log.exists() else ""

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline, self.logged()[-4000:])
            time.sleep(0.02)

    def dial(self, name):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        self.addCleanup(client.close)
        client.connect(self.keys[f"{name}_socket"])
        return client

    def say(self, *lines):
        """The answers to some lines on popauth.sock."""
        client = self.dial("popauth")
        client.sendall("".join(f"{line}\n" for line in lines).encode())
        client.shutdown(socket.SHUT_WR)
        with client.makefile() as answers:
            return answers.read().splitlines()

    def may_relay(self, address):
        """What the mail server is told."""
        client = self.dial("map")
        key = f"relayers {address}"
        client.sendall(f"{len(key)}:{key},".encode())
        answer = client.recv(100).decode()
        self.assertIn(answer, ("5:OK OK,", "9:NOTFOUND ,"))
        return answer == "5:OK OK,"

    def ctl(self, *args):
        return subprocess.run([BUILD / "posternctl", "-c", self.conf, *args], capture_output=True, text=True, check=False,
                              timeout=60)

    def entries(self):
        return re.findall(r"^(\S+) \d+", self.ctl("relay", "dump").stdout, re.M)


class Services(Site):
    def test_from_start_to_end(self):
        daemon = self.start()
        for name in ("control", "popauth", "map", "policy"):
            about = os.stat(self.keys[f"{name}_socket"])
            self.assertTrue(stat.S_ISSOCK(about.st_mode))
            self.assertEqual(stat.S_IMODE(about.st_mode), 0o660, name)
        self.assertFalse(self.may_relay("192.0.2.1"))
        self.assertEqual(self.say("login 192.0.2.1 user=ann%40x service=imap session=s1"), ["ok"])
        self.assertTrue(self.may_relay("192.0.2.1"))
        line = f"event=login client=192.0.2.1 user=ann@x service=imap session=s1 pid={os.getpid()} uid={os.geteuid()}"
        self.wait(lambda: line in self.logged())  # a thread writes the log
        self.end(daemon)
        self.assertEqual(sorted(path.suffix for path in self.folder.iterdir() if "sock" in path.name), [])
        self.assertEqual(self.entries(), ["192.0.2.1"])

    def test_socket_that_was_not_asked_for_is_no_reason_not_to_run(self):
        for name in ("popauth", "map", "policy"):
            del self.keys[f"{name}_socket"]
        self.write()
        default = re.search(r"(\S+)/popauth\.sock", subprocess.run(
            ["strings", "-n", "8", BUILD / "postern"], capture_output=True, text=True, check=False).stdout)
        if default is None or os.path.exists(default.group(1)):
            self.skipTest("a postern is installed here")
        daemon = self.start()
        self.assertIsNone(daemon.poll(), self.logged())
        for name in ("popauth", "map", "policy"):
            self.assertRegex(self.logged(), rf"event=start warning=\"\S+/{name}\.sock\S*: .*No such file.*; postern goes on without \S+/{name}\.sock\"")
        self.end(daemon)

    def test_socket_that_was_asked_for(self):
        self.keys["map_socket"] = f"{self.folder}/nowhere/map.sock"
        self.assertEqual(self.start().wait(PATIENCE), 1)
        self.assertIn("nowhere/map.sock", self.logged())
        self.assertEqual([path for path in self.folder.iterdir() if ".sock" in path.name], [])

    def test_sockets_that_are_not_wanted(self):
        for name in ("control", "popauth", "map", "policy"):
            self.keys[f"{name}_socket"] = ""
        daemon = self.start()
        self.assertEqual({path.name for path in self.folder.iterdir() if path.suffix == ".sock"}, {"milter.sock"})
        self.end(daemon)

    def test_reload(self):
        daemon = self.start()
        self.assertEqual(self.say("login 192.0.2.1"), ["ok"])
        self.store.update(window_minutes=60, max_entries=1, ipv6_prefix_bits=64)
        before = dict(self.keys), dict(self.store)
        self.keys.update(popauth_socket=f"{self.folder}/other.sock", popauth_group="daemon", map_socket="",
                         policy_socket=f"{self.folder}/policy2.sock")
        self.store.update(file=f"{self.folder}/other.gdbm", backend="redis")
        self.write()
        done = self.ctl("reload")
        self.keys, self.store = before
        self.assertEqual(done.returncode, 0, done.stderr)
        for key in ("popauth_socket", "popauth_group", "map_socket", "policy_socket", "relay_store file",
                    "relay_store backend"):
            self.assertIn(f"{key} is now", done.stderr)
        self.assertTrue(self.may_relay("192.0.2.1"))
        self.assertRegex(self.say("login 192.0.2.2")[0], "^err .*full")
        status = json.loads(self.ctl("--json", "status").stdout)["relay_store"]
        self.assertEqual((status["window_minutes"], status["max_entries"]), (60, 1))
        self.assertEqual((status["backend"], status["file"]), ("gdbm", self.store["file"]))
        self.assertEqual(self.say("login 192.0.2.1"), ["ok"])
        self.end(daemon)

    def test_store_that_cannot_be_had_yet(self):
        missing = self.folder / "later"
        self.store["file"] = str(missing / "relayers.gdbm")
        daemon = self.start()
        self.assertIsNone(daemon.poll(), self.logged())
        self.assertRegex(self.say("login 192.0.2.1")[0], "^err ")
        self.assertFalse(self.may_relay("192.0.2.1"))
        missing.mkdir()
        self.wait(lambda: self.say("login 192.0.2.1") == ["ok"])
        self.assertTrue(self.may_relay("192.0.2.1"))
        self.end(daemon)

    def test_two_daemons_with_one_store(self):
        first = self.start()
        self.assertEqual(self.say("login 192.0.2.1"), ["ok"])
        self.keys = {key: value.replace(".sock", "2.sock") for key, value in self.keys.items()}
        second = self.start()
        self.assertRegex(self.say("login 192.0.2.2")[0], "^err .*another process")
        self.assertFalse(self.may_relay("192.0.2.1"))
        self.end(first)
        self.wait(lambda: self.say("login 192.0.2.2") == ["ok"])
        self.assertTrue(self.may_relay("192.0.2.1"))
        self.end(second)

    def test_log_of_a_flood(self):
        daemon = self.start()
        began = time.monotonic()
        lines = 3000
        self.assertEqual(set(self.say(*["nonsense"] * lines)), {"err the request is none of login, logout, add"})
        self.wait(lambda: "withheld=" in self.logged())
        self.end(daemon)
        seconds = int(time.monotonic() - began) + 2
        shown = self.logged().count("event=popauth result=refused")
        self.assertLessEqual(shown, LINES_A_SECOND * seconds)
        self.assertEqual(shown + sum(map(int, re.findall(r"event=popauth withheld=(\d+)", self.logged()))), lines)


class Acknowledged(Site):
    """What a client was told is on the disk, however the daemon ends, while many are telling."""

    CLIENTS = 20

    def tell(self, number, told):
        client = self.dial("popauth")
        answers = client.makefile()
        try:
            for host in range(250):
                address = f"10.0.{number}.{host}"
                client.sendall(f"login {address}\n".encode())
                if answers.readline() == "ok\n":
                    told.append(address)
        except OSError:
            pass

    def crowd(self, number):
        daemon = self.start()
        told = []
        threads = [threading.Thread(target=self.tell, args=(n, told)) for n in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        self.wait(lambda: len(told) > 200)
        self.end(daemon, number)
        for thread in threads:
            thread.join(PATIENCE)
        self.assertGreater(len(told), 200)
        self.assertEqual(set(told) - set(self.entries()), set())

    def test_end(self):
        self.crowd(signal.SIGTERM)

    def test_kill(self):
        self.crowd(signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
