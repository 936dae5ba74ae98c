# SPDX-License-Identifier: GPL-3.0-or-later
"""The subject: `posternctl query pcre:FILE`, and the daemon with random files of header checks."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .cleanup import Fate, Server, split_message
from .postmap import Postmap

from harness import postern as harness_postern  # noqa: E402  pylint: disable=wrong-import-order
from harness import smtp, tools  # noqa: E402  pylint: disable=wrong-import-order

RE_DIAGNOSTIC = re.compile(r":(\d+)(?::\d+)?: (.*)")


RE_FAILURE = re.compile(r"(?m)^.*:(\d+): error: .* cannot be known: .*\n")
FAILURE = 75  # exit status of a query


@dataclass(frozen=True)
class Failed:
    """A key could not be answered because of the rule in this line."""

    line: int


class PosternError(Exception):
    """postern did not do what it was asked for."""


class Query:
    """`posternctl query pcre:FILE -`, which answers as `postmap -q -` does."""

    def __init__(self, work):
        self.program = harness_postern.program("posternctl")
        self.conf = Path(work) / "query.conf"
        self.conf.write_text(f'access = ""\nspammers = ""\nregex = ""\nheader_checks = ""\nhostname = "judge.example"\n'
                             f'local_host_names = ""\nrelay_domains = ""\ncontrol_socket = ""\n'
                             f'relay_store {{ file = "{work}/relayers.gdbm" }}\n')

    def command(self, table):
        return [self.program, "-c", self.conf, "query", f"pcre:{table}", "-"]

    def _run(self, table, keys):
        done = subprocess.run(self.command(table), input=b"".join(key + b"\n" for key in keys), env=tools.environment(),
                              capture_output=True, check=False)
        said = done.stderr.decode(errors="backslashreplace")
        if done.returncode not in (0, 1, FAILURE):
            raise PosternError(f"posternctl exited {done.returncode}: {said}")
        return done, said

    def query(self, table, keys):
        """As Postmap.query(); the result of a key that cannot be answered is Failed."""
        done, said = self._run(table, keys)
        if done.returncode != FAILURE:
            return Postmap.results(done.stdout, keys), said
        results, warnings = [], []
        for key in keys:
            done, said = self._run(table, [key])
            warnings = RE_FAILURE.sub("", said)
            found = RE_FAILURE.search(said)
            failed = Failed(int(found.group(1))) if found and done.returncode == FAILURE else None
            results += [failed] if failed else Postmap.results(done.stdout, [key])
        return results, warnings


class Connection:
    """A server and one SMTP session with it."""

    def __init__(self, server):
        self.server = server
        self._client = server.connect()

    def send(self, message):
        return self.server.send(self._client, message)

    def reconnect(self):
        self._client.close()
        self._client = self.server.connect()

    def close(self):
        self._client.close()
        self.server.close()


class Live(Connection):
    """postern behind a Postfix that has no header checks."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        server = Server(folder / "filtered")
        self.daemon = harness_postern.Postern(folder / "daemon", server.milter_socket, hostname="judge.example")
        self.own, self.parts = folder / "daemon/header_checks", folder / "daemon/mime_header_checks"
        self.own.write_bytes(b"")
        self.parts.write_bytes(b"")
        self.daemon.write_config(header_checks=str(self.own))
        self.daemon.makemap()
        self.daemon.start()
        self._mode, self._logged = None, 0
        super().__init__(server)

    def close(self):
        super().close()
        self.daemon.stop()

    def new_log(self):
        """What the daemon has logged of messages since the last call."""
        whole = self.daemon.log()
        new, self._logged = whole[self._logged :], len(whole)
        return " ".join(line for line in new.splitlines() if line.startswith("session="))

    def use(self, mode, own, parts):
        """Takes these files into use; what `check` says if it refuses them."""
        self.own.write_bytes(own)
        self.parts.write_bytes(parts)
        if mode != self._mode:
            self._mode = mode
            self.daemon.write_config(mime_header_checks={"own": "", "same": str(self.own), "two": str(self.parts)}[mode])
        done = self.daemon.control("reload", check=False)
        self.reconnect()  # a connection keeps the rules that it began with
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def explain(self, message):
        """What `posternctl explain --message` says of a message, and what its edits make of the header."""
        words = ["-c", self.daemon.config, "explain", "--json", *SESSION, "--message", "-"]
        command = [harness_postern.program("posternctl"), *words]
        done = subprocess.run(command, input=message, env=tools.environment(), capture_output=True, check=False)
        if done.returncode != 0:
            raise PosternError(f"explain exited {done.returncode}: {done.stderr!r}")
        return explained(json.loads(done.stdout.decode("latin-1")), message)


SESSION = ("--client", "127.0.0.1", "--name", "localhost", "--helo", "judge.client", "--from", "s@neutral.test",
           "--rcpt", "joe@local.example")
OK = smtp.Reply(250, "Ok", "2.0.0")


def explained(answer, message):
    """The Fate that an answer of explain means."""
    if answer["disposition"] in ("reject", "tempfail"):
        said = [stage["reply"] for stage in answer["stages"] if "reply" in stage][-1]
        return Fate(smtp.Reply(said["code"], said["text"], said["dsn"]))
    queue = {"accept": "incoming", "quarantine": "hold", "discard": ""}[answer["disposition"]]
    fate = Fate(OK, queue, recipients=["joe@local.example"])
    if fate.queue:
        split_message(message.split(b"\n"), fate)
        for edit in sorted(answer["edits"], key=lambda one: -one["position"]):
            carry_out(edit, fate)
    return fate


def carry_out(edit, fate):
    """One edit of a list that is worked through from the last header to the first."""
    at, value = edit["position"], edit.get("value", "").encode("latin-1")
    value = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found.group(1).decode()), value)  # no byte of UTF-8
    if edit["kind"] == "add recipient":
        fate.recipients.append(value.decode("latin-1"))
    elif edit["kind"] == "redirect":
        fate.redirect = fate.redirect or value.decode("latin-1")
    elif edit["kind"] in ("delete", "replace", "prepend"):
        line = [edit.get("new_name", "").encode("latin-1") + b":" + (value or b" ")]
        fate.headers[at : at + (edit["kind"] != "prepend")] = [] if edit["kind"] == "delete" else line
