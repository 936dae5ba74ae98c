# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Redis, unpacked, run from a folder of its own: on a port of 127.0.0.1, a unix socket, and a port with TLS."""

import os
import pathlib
import signal
import socket
import subprocess

from . import login, tools

CONFIG = """\
bind 127.0.0.1
port {port}
unixsocket {socket}
unixsocketperm 777
dir {folder}
daemonize no
databases 16
save ""
appendonly yes
appendfsync always
enable-debug-command yes
"""
PASSWORD = 'requirepass "{password}"\n'
TLS = """\
tls-port {port}
tls-cert-file {cert}
tls-key-file {key}
tls-ca-cert-file {ca}
tls-auth-clients no
"""


class Error(Exception):
    """What the server answered instead of a value."""


def _encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Connection:
    """The protocol, as far as tests need it: one command at a time. An Error is raised; OSError if the server is away."""

    def __init__(self, path, password="", database=0, timeout=10):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")
        if password:
            self.ask("AUTH", password)
        if database:
            self.ask("SELECT", database)

    def ask(self, *words):
        self._socket.sendall(_encode(words))
        return self._read()

    def _read(self):
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server is gone")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Error(rest.decode())
        if kind == b"+":
            return rest.decode()
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"$":
            return self._stream.read(number + 2)[:-2].decode("utf-8", "surrogateescape")
        return [self._read() for _ in range(number)]

    def close(self):
        self._stream.close()
        self._socket.close()


class Redis:
    """One server; what it has acknowledged is in its appendonly file, and there again after kill() and start()."""

    def __init__(self, folder, password="", tls=(), more="", start=True):
        """`tls`: the names of the server's certificate, ("IP:127.0.0.1",)."""
        self.folder = folder
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self.socket = folder / "redis.sock"
        self.port = tools.free_port()
        self.password = password
        self.config = folder / "redis.conf"
        self.process = None
        text = CONFIG.format(port=self.port, socket=self.socket, folder=folder)
        if password:
            text += PASSWORD.format(password=password)
        self.authority = self.tls_port = None
        if tls:
            self.authority = login.Authority(folder / "tls")
            self.tls_port = tools.free_port()
            cert, key = self.authority.server_of("redis", *tls)
            text += TLS.format(port=self.tls_port, ca=self.authority.ca, cert=cert, key=key)
        self.config.write_text(text + more)
        root, libraries = tools.unpack("redis")
        self._program = root / "usr/bin/redis-server"
        self._env = tools.environment(libraries)
        if start:
            self.start()

    # ---- where it is

    def url(self, kind="tcp", database=0, host="127.0.0.1"):
        """For redis_url; `kind` is "tcp", "unix" or "tls"."""
        if kind == "unix":
            return f"unix:{self.socket}" + (f"?db={database}" if database else "")
        scheme, port = ("rediss", self.tls_port) if kind == "tls" else ("redis", self.port)
        return f"{scheme}://{host}:{port}" + (f"/{database}" if database else "")

    def write_password(self, path, mode=0o600, owner=None):
        """A file for redis_password_file."""
        path = pathlib.Path(path)
        path.write_text(self.password + "\n")
        path.chmod(mode)
        if owner is not None:
            os.chown(path, owner, -1)
        return path

    # ---- what it does

    def connect(self, database=0):
        return Connection(self.socket, self.password, database)

    def ask(self, *words, database=0):
        """One command on a connection of its own."""
        connection = self.connect(database)
        try:
            return connection.ask(*words)
        finally:
            connection.close()

    def keys(self, pattern="*", database=0):
        return sorted(self.ask("KEYS", pattern, database=database))

    # ---- life

    def start(self):
        """Starts it and waits until it has read its file."""
        with open(self.folder / "console", "ab") as console:
            self.process = subprocess.Popen(
                [str(self._program), str(self.config)],
                env=self._env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        tools.wait_for(self._answers, "Redis to answer", timeout=30)

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Redis exited {self.process.returncode}\n{self.log()[-4000:]}")
        try:
            return self.ask("PING") == "PONG"
        except (OSError, Error):
            return False

    def log(self):
        path = self.folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self):
        """SIGKILL: nothing is written any more."""
        self.process.kill()
        self.process.wait()

    def pause(self):
        """SIGSTOP: the kernel still takes connections, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)
        tools.wait_for(self._stands_still, "Redis to stand still")

    def _stands_still(self):
        stats = list(pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/stat"))
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.go_on()
            tools.stop(self.process)
