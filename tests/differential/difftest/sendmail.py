# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Sendmail, unpacked and not installed: m4, makemap and the address test mode (-bt)."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import world

REPOSITORY = Path(__file__).resolve().parents[3]
ACCESS_PLACE = "@ACCESS@"  # where the path of the access map goes in a cached sendmail.cf
MARK = re.compile(r"@@([^@\s]+)@@")


MESSAGES = {"reject_message": "confREJECT_MSG", "recipient_reject_message": "confRCPTREJ_MSG", "relay_message": "confRELAY_MSG"}


class SendmailError(Exception):
    """Sendmail or one of its tools did not do what it was asked for."""


def q(text):
    return f"`{text}'"


def quoted_message(text):
    """A conf*_MSG: quoted, or its blanks beside operators are lost."""
    return '"' + text.replace('"', "") + '"'


def access_line(features):
    words = ["access_db", "hash -T<TMPF> " + ACCESS_PLACE, "skip"]
    words += ["relaytofulladdress"] if features.has("relaytofulladdress") else []
    return "FEATURE(" + ", ".join(q(w) for w in words) + ")"


def list_line(one):
    """FEATURE(dnsbl, zone, text, t) or FEATURE(enhdnsbl, zone, text, t, answer...)."""
    reply = f'"{one.reply}"'.replace("%{client}", '" $&{client_addr} "') if one.reply else ""
    text = one.action if one.action != "reject" else reply
    words = ["enhdnsbl" if one.match else "dnsbl", one.zone, text, "t" if one.on_tempfail == "451" else ""]
    words += [f"{answer}." for answer in one.match]
    return "FEATURE(" + ", ".join(q(w) if w else "" for w in words) + ")"


def mc_lines(features, open_relay, access=True):
    """The lines of an .mc file for a set of postern's features.

    With open_relay, relaying is not decided: see the README, "What stands for relaying".
    """
    lines = [access_line(features)] if access else []
    two_arguments = {
        "delay_checks_friend": ("delay_checks", "friend"),
        "delay_checks_hater": ("delay_checks", "hater"),
        "nopercenthack_nospecial": ("nopercenthack", "nospecial"),
        "nopercenthack_reject": ("nopercenthack", "reject"),
        "nouucp_nospecial": ("nouucp", "nospecial"),
        "nouucp_reject": ("nouucp", "reject"),
        "relay_mail_from_domain": ("relay_mail_from", "domain"),
    }
    have = set(features.features) | (set() if features.dns else {"accept_unresolvable_domains"})
    have -= {"skip", "promiscuous_relay", "relaytofulladdress"}
    trusted = [m for word in features.trust_auth for m in (world.MECHANISMS if word == "any" else (word,))]
    for name in sorted(have):
        words = two_arguments.get(name, (name,))
        lines.append("FEATURE(" + ", ".join(q(w) for w in words) + ")")
    if open_relay or features.has("promiscuous_relay"):
        lines.append(f"FEATURE({q('promiscuous_relay')})")
    if trusted:
        lines.append(f"TRUST_AUTH_MECH({q(' '.join(trusted))})")
    lines += [list_line(one) for one in features.lists]
    for key, macro in MESSAGES.items():
        if features.message(key):
            lines.append(f"define({q(macro)}, {q(quoted_message(features.message(key)))})")
    return lines


def mc_text(features, names, open_relay, paths, extra=(), access=True):
    """The whole .mc file. `paths` has the keys switch and hosts; `extra` are more lines, put before MAILER()."""
    head = [
        "divert(0)dnl",
        f"OSTYPE({q('linux')})",
        f"define({q('confDOMAIN_NAME')}, {q(world.HOSTNAME)})",
        f"define({q('confSERVICE_SWITCH_FILE')}, {q(paths['switch'])})",
        f"define({q('confHOSTS_FILE')}, {q(paths['hosts'])})",
        f"define({q('confDONT_PROBE_INTERFACES')}, {q('true')})",
        f"define({q('confDONT_BLAME_SENDMAIL')}, "
        + q("MapInUnsafeDirPath,GroupWritableDirPathSafe,AssumeSafeChown") + ")",
    ]
    classes = [f"LOCAL_DOMAIN({q(' '.join(names.local))})"] if names.local else []
    classes += [f"RELAY_DOMAIN({q(' '.join(names.relay))})"] if names.relay else []
    # $m and class m come from the host's name, not from confDOMAIN_NAME.
    own = " ".join((world.OWN_DOMAIN, *names.own))
    classes += ["LOCAL_CONFIG", f"Dm{world.OWN_DOMAIN}", f"Cm {own}", "divert(0)dnl"]
    mailers = [f"MAILER({q('local')})", f"MAILER({q('smtp')})"]
    # In address test mode `$|` is two ordinary characters: cf/README's ruleset makes the delimiter of it.
    rulesets = ["LOCAL_RULESETS", "STranslate", "R$* $$| $*\t$: $1 $| $2"]
    return "\n".join(head + mc_lines(features, open_relay, access) + classes + list(extra) + mailers + rulesets) + "\n"


class Sendmail:
    """The unpacked programs, and a cache of configurations in the folder `work`."""

    def __init__(self, work, extra=(), root=None, dns_port=None):
        self.work = Path(work)
        self.dns_port = dns_port  # of 127.0.0.1: the DNS server that is asked, if any
        self.extra = tuple(extra)  # lines for every .mc file
        self.root = Path(root or self._unpack())
        self.cf_dir = self.root / "usr/share/sendmail/cf"
        library_path = self.root / ".library-path"
        self.env = dict(os.environ, LC_ALL="C")
        if library_path.exists():
            self.env["LD_LIBRARY_PATH"] = library_path.read_text().strip()
        self.sendmail = self._copy("sendmail")
        self.makemap_program = self._copy("makemap")
        self.paths = {"switch": str(self.work / "service.switch"), "hosts": str(self.work / "hosts")}
        Path(self.paths["switch"]).write_text(
            f"hosts files{' dns' if dns_port else ''}\naliases files\npasswd files\n")
        Path(self.paths["hosts"]).write_text(f"192.0.2.1 {world.HOSTNAME}\n")
        self.cache = {}
        self.env.update(self.preload())

    @staticmethod
    def _unpack():
        folder = Path(os.environ.get("POSTERN_TEST_CACHE", "/var/cache/postern-test"))
        script = REPOSITORY / "scripts/mta-unpack.sh"
        done = subprocess.run([script, folder, "sendmail"], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise SendmailError(f"{script.name} failed")
        return done.stdout.split()[1]

    def _copy(self, name):
        """A copy without the set-group-id bit, which would make the loader ignore LD_LIBRARY_PATH."""
        target = self.work / name
        shutil.copyfile(self.root / "usr/libexec/sendmail" / name, target)
        target.chmod(0o755)
        return str(target)

    def preload(self, hosts=()):
        """The environment in which Sendmail knows these `ADDRESS NAME [FORWARD-ADDRESS]` lines and asks nobody else.

        Without it Sendmail asks the system's resolver for the host's own name before it has read its configuration,
        waits for an answer, and sleeps a minute if that name has no dot.
        """
        library = self.work / "preload.so"
        if not library.exists():
            source = REPOSITORY / "tests/integration/harness/sendmail_preload.c"
            done = subprocess.run(["cc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-o", library, source],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SendmailError(f"cc failed: {done.stderr}")
        names = self.work / "hosts.preload"
        names.write_text("".join(line + "\n" for line in hosts))
        found = {"LD_PRELOAD": str(library), "TEST_HOSTS": str(names), "TEST_SYSLOG": str(self.work / "maillog")}
        return {**found, "TEST_DNS": str(self.dns_port)} if self.dns_port else found

    def m4(self, mc):
        done = subprocess.run(
            ["m4", f"-D_CF_DIR_={self.cf_dir}/", self.cf_dir / "m4/cf.m4", "-"],
            input=mc, capture_output=True, text=True, check=False)
        if done.returncode != 0 or "ERROR" in done.stderr or not done.stdout:
            raise SendmailError(f"m4 failed: {done.stderr}\n{mc}")
        return done.stdout

    def cf_text(self, features, names, open_relay, access):
        key = (features, names, open_relay)
        if key not in self.cache:
            self.cache[key] = self.m4(mc_text(features, names, open_relay, self.paths, self.extra))
        return self.cache[key].replace(ACCESS_PLACE, str(access))

    def makemap(self, cf, lines, target, missing=False):
        """Builds target.db. Duplicate keys are reported by makemap and are no failure: the first one counts."""
        if missing:
            Path(f"{target}.db").unlink(missing_ok=True)
            return ""
        done = subprocess.run(
            [self.makemap_program, "-C", cf, "hash", target], env=self.env,
            input="".join(line + "\n" for line in lines), capture_output=True, text=True, check=False)
        if not Path(f"{target}.db").exists():
            raise SendmailError(f"makemap failed: {done.stderr}")
        return done.stderr

    def address_test(self, cf, commands):
        """Runs `sendmail -bt` over (mark, command) pairs; returns what each mark's commands printed.

        It writes its output token by token, so files are several times faster than pipes.
        """
        script, printed = Path(f"{cf}.in"), Path(f"{cf}.out")
        # The debug level makes it read addresses as the daemon does: comments go.
        lines = ["-d23.103", *(f"/expand @@{mark}@@\n{command}" for mark, command in commands)]
        script.write_text("\n".join(lines) + "\n")
        with script.open() as source, printed.open("w") as target:
            subprocess.run([self.sendmail, "-bt", "-C", cf], env=self.env, stdin=source,
                           stdout=target, stderr=subprocess.STDOUT, check=False)
        text = printed.read_text(errors="surrogateescape")
        parts = MARK.split(text)
        output = {}
        for mark, part in zip(parts[1::2], parts[2::2]):
            output[mark] = output.get(mark, "") + part
        missing = [mark for mark, _ in commands if mark not in output]
        if missing:
            raise SendmailError(f"sendmail -bt stopped before {missing[0]}: {text[-2000:]}")
        return output
