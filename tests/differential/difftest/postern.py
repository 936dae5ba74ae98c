# SPDX-License-Identifier: GPL-3.0-or-later
"""The subject: posternctl makemap and posternctl explain."""

import json
import os
import re
import subprocess
from pathlib import Path

from . import world
from .expect import Outcome
from .reply import CONTINUE, Verdict

ACCEPTED = {False: {"accept_unresolvable_domains"}, True: set()}
RE_DIAGNOSTIC = re.compile(r"access:(\d+)(?::\d+)?: (?!warning)(.*)")


class PosternError(Exception):
    """posternctl did not do what it was asked for."""


def build_folder():
    return Path(os.environ.get("POSTERN_BUILD", Path(__file__).resolve().parents[3] / "build"))


def program(name="posternctl"):
    path = build_folder() / name
    if not path.exists():
        raise PosternError(f"{path} does not exist: set POSTERN_BUILD to the build folder")
    return str(path)


def dns_sections(features, server):
    """The DNS server, and the lists as Sendmail has them."""
    lines = [f'dns {{ servers = {{ "{server}" }} answer_at = "mail" relay_mx = "any" }}']
    for one in features.lists:
        match = ", ".join(f'"{answer}"' for answer in one.match)
        words = [f"match = {{ {match} }}"] if match else []
        words += [f'reply = "{one.reply}"'] if one.reply else []
        words += [f'action = "{one.action}"', f'on_tempfail = "{one.on_tempfail}"', "exempt = { }", "ipv6 = false"]
        words += [] if one.zone.endswith(".bl.test") else ["probe = false"]
        lines.append(f'dnsbl "{one.zone}" {{ {" ".join(words)} }}')
    return lines


def conf_text(folder, batch):
    features, names = batch.features, batch.names

    def quoted(items):
        return "{ " + ", ".join('"' + i.replace("\\", "\\\\").replace('"', '\\"') + '"' for i in items) + " }"

    lines = [
        f'hostname = "{world.HOSTNAME}"',
        f'access = "{folder}/access"',
        'spammers = ""',
        f'local_host_names = "{folder}/local-host-names"',
        f'relay_domains = "{folder}/relay-domains"',
        f"local_domains = {quoted([world.OWN_DOMAIN, *names.own])}",
        f"features = {quoted(sorted(features.features | ACCEPTED[features.dns]))}",
        f"trust_auth_mech = {quoted(features.trust_auth)}",
        f'relay_control = "{batch.relay_control}"',
        f'relay_by_certificate = "{features.certificate}"',
        'control_socket = ""',
        f'relay_store {{ file = "{folder}/relayers.gdbm" }}',
    ]
    lines += [f'{key} = "{text}"' for key, text in features.messages]
    lines += dns_sections(features, batch.dns_server) if features.dns else []
    return "\n".join(lines) + "\n"


def explain_arguments(transaction):
    client = transaction.client
    arguments = ["--client", client.addr, "--name", client.name, "--resolve", client.resolve, "--ptr", client.ptr]
    arguments += ["--helo", transaction.helo] if transaction.helo else []
    if transaction.auth_type:
        arguments += ["--auth", transaction.auth_user, "--mech", transaction.auth_type]
    for name in ("verify", "cert_subject", "cert_issuer"):
        value = getattr(transaction, name)
        arguments += ["--macro", f"{name}={value}"] if value else []
    arguments += ["--from", transaction.sender]
    for rcpt in transaction.recipients:
        arguments += ["--rcpt", rcpt]
    return arguments


def verdict_of(stage):
    kind = stage["verdict"]
    if kind in ("reject", "tempfail"):
        said = stage["reply"]
        return Verdict(kind, said["code"], said["dsn"], said["text"])
    return Verdict(kind, hold=stage.get("quarantine", "")) if kind == "quarantine" else Verdict(kind)


def outcome_of(answer):
    connect, mail, recipients, hold = CONTINUE, CONTINUE, [], ""
    for stage in answer["stages"]:
        verdict = verdict_of(stage)
        if stage["stage"] == "connect":
            connect = verdict
        elif stage["stage"] == "mail":
            mail = verdict
        elif stage["stage"] == "rcpt":
            recipients.append(verdict)
        elif stage["stage"] == "eom":
            hold = verdict.hold
    return Outcome(connect, mail, recipients, answer["disposition"], hold)


class Postern:
    """A configuration for one batch."""

    def __init__(self, batch, work):
        self.folder = Path(work) / f"postern-{batch.number}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.conf = self.folder / "postern.conf"
        self.program = program()
        self.conf.write_text(conf_text(self.folder, batch))
        (self.folder / "local-host-names").write_text("".join(name + "\n" for name in batch.names.local))
        (self.folder / "relay-domains").write_text("".join(name + "\n" for name in batch.names.relay))

    def _run(self, *arguments):
        done = subprocess.run([self.program, "-c", self.conf, *arguments], capture_output=True, text=True, check=False)
        if done.returncode < 0:
            raise PosternError(f"posternctl {' '.join(arguments)} died of signal {-done.returncode}: {done.stderr}")
        return done

    def makemap(self, lines, missing=False):
        """Builds the map; returns {index of a refused line: what was said}, in which case there is no map."""
        (self.folder / "access").write_text("".join(line + "\n" for line in lines))
        if missing:
            (self.folder / "access.gdbm").unlink(missing_ok=True)
            return {}
        done = self._run("makemap", "--force", "access")
        if done.returncode == 0:
            return {}
        refused = {int(number) - 1: text for number, text in RE_DIAGNOSTIC.findall(done.stderr)}
        if not refused:
            raise PosternError(f"makemap failed without naming a line: {done.stderr}")
        return refused

    def explain(self, transaction):
        done = self._run("explain", "--json", *explain_arguments(transaction))
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise PosternError(f"explain ({done.returncode}): {error}: {done.stdout!r} {done.stderr!r}") from error

    def command(self, transaction):
        words = [self.program, "-c", str(self.conf), "explain", *explain_arguments(transaction)]
        return " ".join("'" + w.replace("'", "'\\''") + "'" if re.search(r"[^\w./:@=-]", w) else w for w in words)
