# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of several that have one Redis: a daemon of its own, with or without a mail server."""

import json
import shutil
import time

from . import relay, smtp, tools
from .postern import GROUP, USER, Postern
from .questions import Login, Map

OUTSIDE = "x@outside.test"
PASSWORD = "open sesame%"  # of servers that exist in these tests only
TIMEOUT_MS = 1000
SLACK = 1.0  # seconds, for everything else, on a machine that is busy


class Host:
    """A daemon of its own with its sockets; before a mail server if there is one."""

    def __init__(self, folder, server=None, mta=None, mode="mta", **store):
        self.mta = mta
        self.sockets = mta.socket_folder if mta else folder / "sock"
        folder.mkdir()
        self.sockets.mkdir(exist_ok=True)
        for path in (folder, self.sockets):
            path.chmod(0o755)
        if server is not None:
            where = {"redis_url": server.url()}
            if server.password:
                where["redis_password_file"] = server.write_password(folder / "password")
                shutil.chown(folder / "password", USER, GROUP)
            store = {"backend": "redis", "timeout_ms": TIMEOUT_MS, **where, **store}
        settings = relay.keys(mta, mode) if mta else {}
        self.postern = Postern(
            folder / "daemon", self.sockets / "milter.sock", sockets=("popauth", "map", "policy"), relay_store=store, **settings
        )
        self.postern.makemap()

    def map(self):
        return Map(self.sockets / "map.sock")

    def popauth(self):
        return Login(self.sockets / "popauth.sock")

    def relays(self, address):
        with self.map() as asked:
            return asked.relays(address)

    def login(self, address, more=""):
        with self.popauth() as told:
            return told.login(address, more)

    def control(self, *words, **keywords):
        return self.postern.control("relay", *words, **keywords)

    def rcpt(self, source, address=OUTSIDE):
        """The reply to RCPT, and how long the session took."""
        begun = time.monotonic()
        with smtp.Client(self.mta.port, source, names_address=self.mta.name == "sendmail") as session:
            session.hello()
            reply = session.mail("s@neutral.test")
            reply = session.rcpt(address) if reply.ok else reply
        return reply, time.monotonic() - begun

    def store(self):
        return json.loads(self.postern.control("status", "--json").stdout)["relay_store"]

    def complaints(self):
        return [entry for entry in self.postern.entries(event="relay_store") if "warning" in entry or "error" in entry]


def left(redis, prefix, address):
    """Milliseconds until the server forgets the entry; -1: it never does; -2: there is none."""
    entries_of_all = [key for key in redis.keys(f"{prefix}relay*") if key.endswith(f":{address}")]
    return redis.ask("PTTL", entries_of_all[-1]) if entries_of_all else -2


def wait_until(host, address):
    """The store is back: this address, which has logged in, relays."""
    tools.wait_for(lambda: host.relays(address), f"{address} to relay again", timeout=15, pause=0.05)


def wait_until_stored(host):
    tools.wait_for(lambda: host.store()["usable"], "the store", timeout=15, pause=0.05)
