# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's rbldnsd and nsd, unpacked, each run from a folder of its own on a port of 127.0.0.1."""

import os
import pwd
import signal
import socket
import struct
import subprocess

from . import dns_wire as wire
from . import tools

USER = "daemon"


def ask(address, name, kind, timeout=1.0):
    """The raw answer of a server to one question; None if it does not answer in time."""
    question = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + wire.encode_name(name) + struct.pack("!2H", wire.TYPES[kind], 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        client.connect(address)
        try:
            client.send(question)
            return client.recv(65535)
        except OSError:
            return None


def response_code(answer):
    return answer[3] & 15


class Daemon:
    """What both have in common."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        root, libraries = tools.unpack(name)
        self.program = root / "usr/sbin" / name
        self.env = tools.environment(libraries)
        self.port = tools.free_port()
        self._process = None

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def launch(self, arguments, probe):
        with open(self.folder / "console", "ab") as console:
            self._process = subprocess.Popen(
                [str(word) for word in (self.program, *arguments)],
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        tools.wait_for(lambda: self._answers(probe), f"{self.name} to answer")

    def _answers(self, probe):
        if self._process.poll() is not None:
            raise AssertionError(f"{self.name} exited {self._process.returncode}\n{(self.folder / 'console').read_text()}")
        answer = ask(self.address, *probe, timeout=0.2)
        return answer is not None and response_code(answer) == wire.NOERROR

    def hup(self):
        self._process.send_signal(signal.SIGHUP)

    def close(self):
        tools.stop(self._process)


class Rbldnsd(Daemon):
    """Lists. `zones` has for each zone its datasets: {"ip.bl.test": {"ip4set": text, "ip6trie": text}}."""

    def __init__(self, folder, zones):
        super().__init__("rbldnsd", folder)
        words = []
        for zone, datasets in zones.items():
            for kind, text in datasets.items():
                (folder / f"{zone}.{kind}").write_text("$SOA 60 ns.test root.test 1 600 300 86400 60\n$NS 60 ns.test\n" + text)
                words.append(f"{zone}:{kind}:{zone}.{kind}")
        fixed = ["-n", "-w", folder, "-c", "1s", "-t", "60", "-b", f"127.0.0.1/{self.port}"]
        if os.geteuid() == 0:
            fixed += ["-u", f"{USER}:{USER}"]
        self.launch([*fixed, *words], (next(iter(zones)), "SOA"))

    def write(self, zone, kind, text):
        """Another content of a dataset, in force within about a second."""
        (self.folder / f"{zone}.{kind}").write_text("$SOA 60 ns.test root.test 2 600 300 86400 60\n$NS 60 ns.test\n" + text)
        self.hup()


NSD_CONF = """\
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: "{user}"
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""
NSD_ZONE = """\
zone:
  name: "{zone}"
  zonefile: "{zone}.zone"
"""
ZONE_HEAD = """\
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
"""


class Nsd(Daemon):
    """Ordinary zones, in the text form of RFC 1035: {"example.test": text}."""

    def __init__(self, folder, zones):
        super().__init__("nsd", folder)
        user = USER if os.geteuid() == 0 else ""
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, 0)
        text = NSD_CONF.format(port=self.port, user=user, folder=folder)
        for zone, records in zones.items():
            (folder / f"{zone}.zone").write_text(ZONE_HEAD + records)
            text += NSD_ZONE.format(zone=zone)
        (folder / "nsd.conf").write_text(text)
        self.launch(["-d", "-c", folder / "nsd.conf"], (next(iter(zones)), "SOA"))
