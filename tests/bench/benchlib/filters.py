# SPDX-License-Identifier: GPL-3.0-or-later
"""The two filters that are compared, and the load on them."""
import json
import os
import pwd
import signal
import socket
import struct
import subprocess
import time

OFFERED_ACTIONS, OFFERED_STEPS = 0x1ff, 0x1fffff
STEPS = [  # name, bit "do not send", bit "no reply"
    ("connect", 0x1, 0x1000), ("helo", 0x2, 0x2000), ("mail", 0x4, 0x4000), ("rcpt", 0x8, 0x8000),
    ("data", 0x200, 0x10000), ("unknown", 0x100, 0x20000), ("header", 0x20, 0x80), ("eoh", 0x40, 0x40000),
    ("body", 0x10, 0x80000), ("eom", 0, 0),
]
LEADING_BLANK = 0x100000
MACRO_STAGES = ["connect", "helo", "mail", "rcpt", "data", "eom", "eoh"]
START_SECONDS = 60


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


class Filter:
    """A running filter program, listening on a unix socket."""

    def __init__(self, name, command, path, log):
        self.name, self.path, self.log = name, path, log
        with open(log, "ab") as file:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self.wait()

    def wait(self):
        limit = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > limit:
                self.stop()
                raise BenchError(f"{self.name} does not start:\n{tail(self.log)}")
            time.sleep(0.05)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.path))
            except OSError:
                return False
        return True

    def negotiated(self):
        """What it asks an MTA for, as options of nullmilter."""
        with socket.socket(socket.AF_UNIX) as mta:
            mta.settimeout(10)
            mta.connect(str(self.path))
            mta.sendall(struct.pack("!IcIII", 13, b"O", 6, OFFERED_ACTIONS, OFFERED_STEPS))
            with mta.makefile("rb") as stream:
                length, command = struct.unpack("!Ic", stream.read(5))
                data = stream.read(length - 1)
            mta.sendall(struct.pack("!Ic", 1, b"Q"))
        if command != b"O":
            raise BenchError(f"{self.name} answers the offer with {command!r}")
        steps = struct.unpack("!I", data[8:12])[0]
        options = ["--steps", ",".join(name for name, off, _ in STEPS if not steps & off),
                   "--no-reply", ",".join(name for name, _, bit in STEPS if steps & bit)]
        options += ["--leading-blank"] if steps & LEADING_BLANK else []
        options += ["--actions", hex(struct.unpack("!I", data[4:8])[0])]
        rest = data[12:]
        while len(rest) > 4:
            stage = MACRO_STAGES[struct.unpack("!I", rest[:4])[0]]
            names, _, rest = rest[4:].partition(b"\0")
            options += ["--macros", f"{stage}={names.decode('ascii')}"]
        return options

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def tail(path, lines=15):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:])


CONFIG = """\
listen = "unix:{socket}"
listen_group = ""
control_socket = ""
popauth_socket = ""
map_socket = ""
policy_socket = ""
relay_store {{ file = "{folder}/relayers.gdbm" }}
user = "{user}"
hostname = "mx.local.example"
access = "{folder}/access"
spammers = ""
local_host_names = "{folder}/local-host-names"
local_domains = {{ "local.example" }}
relay_domains = ""
features = {{ "blocklist_recipients", "accept_unresolvable_domains" }}
relay_control = "mta"
log {{ level = "{level}" }}
"""


def write_config(folder, level="info"):
    """Everything that postern needs to run on folder/access alone."""
    path = folder / "postern.conf"
    user = pwd.getpwuid(os.geteuid()).pw_name
    (folder / "local-host-names").write_text("local.example\nmx.local.example\n", encoding="ascii")
    path.write_text(CONFIG.format(socket=folder / "milter.sock", folder=folder, user=user, level=level), encoding="utf-8")
    return path


def write_relay_config(folder, config):
    """
    The same with the whole relay decision: no recipient is local or in relay_domains, so each goes on to the client,
    which may relay at the last of its networks that are asked for.
    """
    path, domains = folder / "postern-relay.conf", folder / "relay-domains"
    domains.write_text("relayed.example\n0.0.0.0/0\nIPv6\n", encoding="ascii")
    text = config.read_text(encoding="utf-8").replace(str(folder / "milter.sock"), str(folder / "relay.sock"))
    text = text.replace('relay_control = "mta"', 'relay_control = "milter"').replace("/relayers.gdbm", "/relay-relayers.gdbm")
    text = text.replace('relay_domains = ""', f'relay_domains = "{domains}"')
    path.write_text(text, encoding="utf-8")
    return path


def write_open_config(folder, relay_config):
    """The same without the decision: everybody may relay, but the MTA tells all that it would need."""
    path = folder / "postern-open.conf"
    text = relay_config.read_text(encoding="utf-8").replace(str(folder / "relay.sock"), str(folder / "open.sock"))
    text = text.replace("/relay-relayers.gdbm", "/open-relayers.gdbm")
    path.write_text(text.replace("features = { ", 'features = { "promiscuous_relay", '), encoding="utf-8")
    return path


def run_json(command, hint=lambda: ""):
    """Runs a program that prints a JSON object; its figures. A failure ends the benchmark."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}\n{done.stderr}{hint()}")
    return json.loads(done.stdout)


def run_load(program, target, options):
    """One run of milterload on a filter; any error of the filter is one of the run."""
    command = [program, "--socket", f"unix:{target.path}", "--pid", target.process.pid, "--json", *options]
    return run_json(command, lambda: f"{target.name} says:\n{tail(target.log)}")
