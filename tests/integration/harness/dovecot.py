# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Dovecot, unpacked, run from a folder of its own: POP3 and IMAP on loopback, users in a file."""

import imaplib
import os
import poplib
import pwd
import shutil
import socket
import subprocess

from . import tools
from .postern import POPAUTH_GROUP, sanitized

USER = "ann"
PASSWORD = "sesame"  # of users who exist in these tests only

# Accounts of every Debian that own nothing: who does what the names say in an installed Dovecot.
INTERNAL_USER = "mail"
LOGIN_USER = "games"
MAIL_USER = "list"

CONF = """\
base_dir = {folder}/run
state_dir = {folder}/state
libexec_dir = {root}/usr/lib/dovecot
mail_plugin_dir = {root}/usr/lib/dovecot/modules
log_path = {folder}/log
instance_name = {folder.name}
listen = 127.0.0.1
protocols = pop3 imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
default_internal_user = {internal}
default_internal_group = {internal}
default_login_user = {login}
first_valid_uid = 1
mail_location = maildir:~/mail
mail_max_userip_connections = 0
import_environment = TZ {variables}
passdb {{
  driver = passwd-file
  args = scheme=plain username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""

# script-login empties the environment, in which our Dovecot has where its libraries are.
BACK = """\
#!/bin/sh
# Back to Dovecot, which the hook knows by the path it would be installed at.
program=$1
shift
{variables}
export {names}
exec {root}"$program" "$@"
"""


class Dovecot:
    """Without a hook nobody is told of logins. `hook` is the program of the post-login scripts, popauth the socket it speaks to."""

    PACKAGE = "dovecot"

    def __init__(self, folder, hook=None, popauth=None, users=(USER,)):
        self.folder = folder
        self.pop3_port = tools.free_port()
        self.imap_port = tools.free_port()
        self._process = None
        self._root, libraries = tools.unpack(self.PACKAGE)
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self._more = {**libraries, "LD_PRELOAD": str(self._preload()), "TEST_DOVECOT_ROOT": str(self._root)}
        self._write_users(users)
        self._write_config(hook, popauth)
        self._start()

    def _preload(self):
        library = self.folder / "preload.so"
        source = tools.SOURCE / "tests/integration/harness/dovecot_preload.c"
        tools.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-O1", "-shared", "-fPIC", "-o", library, source])
        return library

    def _write_users(self, users):
        owner = pwd.getpwnam(MAIL_USER)
        lines = []
        for user in users:
            home = self.folder / "homes" / user.encode().hex()  # a user's name may be anything
            home.mkdir(parents=True)
            os.chown(home, owner.pw_uid, owner.pw_gid)
            lines.append(f"{user}:{{plain}}{PASSWORD}:{owner.pw_uid}:{owner.pw_gid}::{home}::\n")
        (self.folder / "users").write_text("".join(lines))

    def _write_config(self, hook, popauth):
        text = CONF.format(
            folder=self.folder,
            root=self._root,
            internal=INTERNAL_USER,
            login=LOGIN_USER,
            variables=" ".join(self._more),
            pop3_port=self.pop3_port,
            imap_port=self.imap_port,
        )
        if sanitized():  # whose shadow of the memory is larger than Dovecot's limit for a process
            text += "default_vsz_limit = 0\n"
        if hook is not None:
            back = self.folder / "back"
            variables = "\n".join(f"{key}={value}" for key, value in self._more.items())
            back.write_text(BACK.format(variables=variables, names=" ".join(self._more), root=self._root))
            back.chmod(0o755)
            # It runs as a user who may not be able to enter the folder of the build.
            text += self._hook(shutil.copy2(hook, self.folder / "hook"), popauth, back)
        (self.folder / "dovecot.conf").write_text(text)

    @staticmethod
    def _hook(hook, popauth, back):
        replacements = {
            "@libexecdir@/postern/postern-login": f"{hook} --socket {popauth}",
            "--service imap\n": f"--service imap {back}\n",
            "--service pop3\n": f"--service pop3 {back}\n",
            "user = dovecot": f"user = {INTERNAL_USER}",
            "group = postern": f"group = {POPAUTH_GROUP}",
        }
        return tools.sample("dovecot-postern.conf.in", replacements)

    def _command(self, config):
        """doveconf reads the configuration for the master, whose own path to doveconf is that of an installed one."""
        master = [self._root / "usr/sbin/dovecot", "-F", "-c", config]
        return [self._root / "usr/bin/doveconf", "-m", "master", "-c", config, "-e", *master]

    def _start(self):
        with open(self.folder / "console", "ab") as console:
            self._process = subprocess.Popen(
                [str(word) for word in self._command(self.folder / "dovecot.conf")],
                env=tools.environment(self._more),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        for port in (self.pop3_port, self.imap_port):
            tools.wait_for(lambda port=port: self._serves(port), f"Dovecot to serve\n{self.log()}", timeout=30)

    def _serves(self, port):
        if self._process.poll() is not None:
            raise AssertionError(f"dovecot exited {self._process.returncode}\n{self.log()}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                return client.recv(100).startswith((b"+OK", b"* OK"))
        except OSError:
            return False

    def log(self):
        parts = [self.folder / "console", self.folder / "log"]
        return "\n".join(part.read_text(errors="replace") for part in parts if part.exists())

    def close(self):
        if self._process is not None:
            tools.stop(self._process)

    # ---- clients

    def pop3(self, source, user=USER, password=PASSWORD):
        """A POP3 session that has logged in; poplib.error_proto if it may not."""
        client = Pop3(self.pop3_port, source)
        client.user(user)
        client.pass_(password)
        return client

    def imap(self, source, user=USER, password=PASSWORD):
        """An IMAP session that has logged in; imaplib.IMAP4.error if it may not."""
        client = Imap(self.imap_port, source)
        client.login(user, password)
        return client

    def login(self, service, source, **who):
        """Logs in and out again."""
        if service == "pop3":
            client = self.pop3(source, **who)
            client.stat()
            client.quit()
        else:
            client = self.imap(source, **who)
            client.select()
            client.logout()


class Pop3(poplib.POP3):
    """From an address of one's own."""

    def __init__(self, port, source):
        self._source = source
        super().__init__("127.0.0.1", port, timeout=30)

    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), timeout, (self._source, 0))


class Imap(imaplib.IMAP4):
    """From an address of one's own."""

    def __init__(self, port, source):
        self._source = source
        super().__init__("127.0.0.1", port, timeout=30)

    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), timeout, (self._source, 0))
