# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon under test, with files of its own."""

import grp
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess

from . import tools
from .mta import LOCAL_DOMAIN, OWN_NAME

# The daemon gives up root for this user; Postfix's smtpd, which runs as it too, can use the socket.
USER = "daemon"
GROUP = "daemon"
POPAUTH_GROUP = "uucp"  # who may say who logged in

FIELD = re.compile(r'([A-Za-z_][A-Za-z0-9_.]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?= |$)')
SANITIZER = re.compile(r"(Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:")


def build_folder():
    return pathlib.Path(os.environ.get("POSTERN_BUILD", tools.SOURCE)).resolve()


def program(name):
    """The program in the build folder, wherever its Makefile puts it."""
    for path in (build_folder() / name, build_folder() / "milter" / name, build_folder() / "ctl" / name):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise AssertionError(f"no {name} in {build_folder()}: build it there, or set POSTERN_BUILD")


def sanitized():
    """Is this a build with AddressSanitizer or ThreadSanitizer?"""
    return re.search(rb"__[at]san_init", program("postern").read_bytes()) is not None


def config_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(config_value(one) for one in value) + " }"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(value):
    """Undoes the quotes and the escapes of \\" and \\\\; bytes written as \\xNN stay so."""
    if not value.startswith('"'):
        return value
    return re.sub(r"\\([\"\\])", r"\1", value[1:-1])


def parse_logfmt(line):
    """The fields of a log line; None when the line is no clean logfmt from its first field to its end."""
    start = re.search(r"[A-Za-z_][A-Za-z0-9_.]*=", line)
    if not start:
        return None
    rest = line[start.start() :]
    fields = FIELD.findall(rest)
    if " ".join(f"{key}={value}" for key, value in fields) != rest.rstrip():
        return None
    return {key: _unquote(value) for key, value in fields}


# Keys of postern.conf whose value, in a test, is the text of the file that they name.
PATTERN_FILES = ("regex", "header_checks", "mime_header_checks")

# Sockets that a daemon has if a test asks for them: popauth.sock, map.sock, policy.sock beside that of the milter.
SOCKETS = ("popauth", "map", "policy")


def config_section(name, keys):
    return f"{name} {{ " + "  ".join(f"{key} = {config_value(value)}" for key, value in keys.items()) + " }\n"


# What most tests do not want to hear about.
LENIENT = ("accept_unresolvable_domains", "accept_unqualified_senders")


class Postern:
    """`sections` is text for the end of postern.conf: what is not `key = value`."""

    def __init__(self, folder, listen, access="", spammers=None, features=(), log_level="info", sections="", lenient=LENIENT, sockets=(), **keys):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.config = folder / "postern.conf"
        self.access = folder / "access"
        self.spammers = folder / "spammers"
        self.listen = pathlib.Path(listen)
        self.state = folder / "state"  # what the daemon itself writes
        self.store = self.state / "relayers.gdbm"
        self.process = None
        self._ended_by_test = True
        self._log = folder / "log"
        self._log_start = 0
        self._log_level = log_level
        self._more_sections = sections
        self._keys = {
            "listen": f"unix:{listen}",
            "listen_mode": "0660",
            "listen_group": GROUP,
            "user": USER,
            "hostname": OWN_NAME,
            "control_socket": str(self.listen.parent / "control.sock"),
            "access": str(self.access),
            "spammers": str(self.spammers) if spammers is not None else "",
            "local_host_names": str(folder / "local-host-names"),
            "features": [*lenient, *features],
            "relay_domains": "",
            "popauth_group": POPAUTH_GROUP,
            **{f"{name}_socket": str(self.socket(name)) if name in sockets else "" for name in SOCKETS},
        }
        self._sections = {"relay_store": {"file": str(self.store), **keys.pop("relay_store", {})}}
        for name in PATTERN_FILES:
            self._keys[name] = self.write_patterns(name, keys.pop(name, None))
        self._keys.update(keys)
        self.state.mkdir(exist_ok=True)
        os.chown(self.state, pwd.getpwnam(USER).pw_uid, grp.getgrnam(GROUP).gr_gid)
        (folder / "local-host-names").write_text(f"{LOCAL_DOMAIN}\n")
        self.write_access(access)
        if spammers is not None:
            self.spammers.write_text(spammers)
        self.write_config()

    # ---- files

    def write_access(self, text):
        self.access.write_bytes(text if isinstance(text, bytes) else text.encode())

    def write_patterns(self, name, text):
        """Writes a file of patterns (None: there is none); its path."""
        path = self.folder / name
        if text is None:
            return ""
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def socket(self, name):
        return self.listen.parent / f"{name}.sock"

    def write_config(self, extra="", log_level=None, relay_store=(), **changes):
        """Writes postern.conf anew with changed keys, those of relay_store too; extra is appended as it is."""
        self._keys.update(changes)
        self._sections["relay_store"].update(relay_store)
        self._log_level = log_level or self._log_level
        lines = [f"{key} = {config_value(value)}\n" for key, value in self._keys.items()]
        lines += [config_section(name, keys) for name, keys in self._sections.items()]
        lines.append(config_section("log", {"level": self._log_level}))
        self.config.write_text("".join(lines) + self._more_sections + extra)

    @property
    def map(self):
        return self.folder / "access.gdbm"

    def control(self, *arguments, check=True, **keywords):
        """Runs posternctl with this daemon's configuration."""
        command = [program("posternctl"), "-c", self.config, *arguments]
        return tools.run(command, env=tools.environment(), check=check, **keywords)

    def makemap(self):
        return self.control("makemap")

    def explain(self, **facts):
        """What posternctl says to these facts: explain(client="127.1.1.1", rcpt=["a", "b"])."""
        words = []
        for name, value in facts.items():
            for one in value if isinstance(value, list) else [value]:
                words += ["--" + name, one]
        return json.loads(self.control("explain", "--json", *words).stdout)

    # ---- life

    def _prepare_folder(self):
        folder = self.listen.parent
        if folder.stat().st_uid != pwd.getpwnam(USER).pw_uid:
            os.chown(folder, pwd.getpwnam(USER).pw_uid, grp.getgrnam(GROUP).gr_gid)

    def spawn_background(self):
        """Starts the daemon with -d, which returns when it runs; it logs to syslog then."""
        self._prepare_folder()
        tools.run([program("postern"), "-c", self.config, "-d"], env=tools.environment())

    def spawn(self):
        """Starts the daemon in the foreground and returns at once."""
        self._prepare_folder()
        self._log_start = len(self.log())
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [str(program("postern")), "-c", str(self.config), "-f"],
                env=tools.environment({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._ended_by_test = False
        return self.process

    def start(self):
        self.spawn()
        tools.wait_for(self._ready, "the daemon to listen", timeout=20)
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"postern exited {self.process.returncode}\n{self.log()}")
        if self._log_level in ("error", "warning"):
            return self.control("status", check=False).returncode == 0
        return "event=start result=ready" in self.log()[self._log_start :]

    def listens(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.listen))
            except OSError:
                return False
        return True

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        self._ended_by_test = True
        self.process.kill()
        self.process.wait()

    def pause(self):
        """SIGSTOP: it hangs, every thread of it."""
        self.process.send_signal(signal.SIGSTOP)
        tools.wait_for(self._is_paused, "the daemon to stand still")

    def _is_paused(self):
        stats = list(pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/stat"))
        return all(stat.read_text(errors="replace").rpartition(")")[2].split()[0] == "T" for stat in stats)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def wait_end(self, timeout=20):
        """Waits for an end that the test has brought about; the exit status."""
        self._ended_by_test = True
        return self.process.wait(timeout)

    def check_not_dead(self):
        if not self._ended_by_test:
            assert self.alive(), f"postern ended by itself: {self.process.returncode}\n{self.log()}"
        assert not SANITIZER.search(self.log()), self.log()

    def stop(self):
        """SIGTERM; checks that it is a clean end."""
        if self._ended_by_test:
            return
        self.check_not_dead()
        self._ended_by_test = True
        try:
            status = tools.stop(self.process, timeout=20)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"postern does not end on SIGTERM\n{self.log()}") from None
        assert status == 0, f"postern exited {status} on SIGTERM\n{self.log()}"
        assert not SANITIZER.search(self.log()), self.log()

    def discard(self):
        """Ends it without a check, for a test that has failed already or has killed it."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    # ---- log

    def _settle(self):
        """Lines are written by a thread of the daemon; all before a request are there when it is answered."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            try:
                control.connect(str(self.listen.parent / "control.sock"))
                control.sendall(b"stats\n")
                while control.recv(65536):
                    pass
            except OSError:
                pass  # it does not run, or is not to have this socket

    def log(self):
        if self.process is not None and self.process.poll() is None:
            self._settle()
        return self._log.read_bytes().decode("utf-8", "replace") if self._log.exists() else ""

    def lines(self):
        return self.log().splitlines()

    def entries(self, **wanted):
        """Log lines as dictionaries, those in which the given fields have the given values."""
        found = []
        for line in self.lines():
            fields = parse_logfmt(line)
            if fields and all(fields.get(key) == value for key, value in wanted.items()):
                found.append(fields)
        return found

    def wait_entry(self, **wanted):
        return tools.wait_for(lambda: self.entries(**wanted), f"a log line with {wanted} in\n{self.log()}", 5)[0]
