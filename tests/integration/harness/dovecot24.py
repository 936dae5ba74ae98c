# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot 2.4, that of Debian 13, on whatever Debian the tests run: its programs are started with their own libc."""

from . import tools
from .dovecot import INTERNAL_USER, LOGIN_USER, Dovecot
from .postern import POPAUTH_GROUP

CONF = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/state
libexec_dir = {folder}/libexec
mail_plugin_dir = {root}/usr/lib/dovecot/modules
log_path = {folder}/log
instance_name = {folder.name}
listen = 127.0.0.1
protocols = pop3 imap
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain
auth_failure_delay = 0
default_internal_user = {internal}
default_internal_group = {internal}
default_login_user = {login}
first_valid_uid = 1
mail_driver = maildir
mail_path = ~/mail
mail_max_userip_connections = 4
import_environment {{
  LD_PRELOAD = {preload}
  TEST_DOVECOT_ROOT = {root}
}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
  default_password_scheme = plain
}}
userdb passwd-file {{
  passwd_file_path = {folder}/users
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener smtp-auth {{
    mode = 0600
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

HIBERNATION = "imap_hibernate_timeout = 0"

# Debian has these users and groups as Dovecot wants them; ours are others.
HIBERNATE = """\
imap_hibernate_timeout = 1s
service imap {{
  extra_groups = {internal}
  unix_listener imap-master {{
    user = {internal}
  }}
}}
service imap-hibernate {{
  unix_listener imap-hibernate {{
    mode = 0666
  }}
}}
"""

# Of a proxy: where the users are, and that they bring their own passwords there.
PROXY = """\
passdb static {{
  fields {{
    proxy = yes
    nopassword = yes
    host = 127.0.0.1
    port = {backend}
  }}
}}
"""

LAUNCHER = """\
#!/bin/sh
exec {loader} --library-path {libraries} {program} "$@"
"""


class Dovecot24(Dovecot):
    """
    It tells popauth of logins and their end as conf/dovecot24-postern.conf.in says; `hibernates`: but for its last line. Nobody but the
    launchers knows the libraries: what else Dovecot starts must do with the system's. `backend`: the port of the IMAP server for which this one
    is a proxy; the other one tells nobody.
    """

    PACKAGE = "dovecot24"

    def __init__(self, folder, popauth, users, hibernates=False, backend=None):
        self._hibernates = hibernates
        self._backend = backend
        super().__init__(folder, None, popauth, users)

    def _launcher(self, program):
        launcher = self.folder / "libexec" / program.name
        loader = sorted(self._root.glob("usr/lib*/ld-linux-*.so.*"))[0]
        launcher.write_text(LAUNCHER.format(loader=loader, libraries=self._libraries, program=program))
        launcher.chmod(0o755)
        return launcher

    def _write_config(self, hook, popauth):
        self._libraries = self._more.pop("LD_LIBRARY_PATH")
        (self.folder / "libexec").mkdir()
        for program in (self._root / "usr/lib/dovecot").iterdir():
            if program.is_file() and ".so" not in program.name:
                self._launcher(program)
        words = {
            "folder": self.folder,
            "root": self._root,
            "internal": INTERNAL_USER,
            "login": LOGIN_USER,
            "preload": self._more["LD_PRELOAD"],
            "pop3_port": self.pop3_port,
            "imap_port": self.imap_port,
        }
        replacements = {"@runstatedir@/postern/popauth.sock": popauth, "extra_groups = postern": f"extra_groups = {POPAUTH_GROUP}"}
        if self._hibernates:
            replacements[HIBERNATION] = HIBERNATE.format(**words)
        text = CONF.format(**words)
        if self._backend is not None:
            text = text.replace("passdb passwd-file {", PROXY.format(backend=self._backend) + "passdb passwd-file {")
        if popauth is not None:
            text += tools.sample("dovecot24-postern.conf.in", replacements)
        elif self._hibernates:
            text += HIBERNATE.format(**words)
        (self.folder / "dovecot.conf").write_text(text)

    def _command(self, config):
        doveconf = self._launcher(self._root / "usr/bin/doveconf")
        return [doveconf, "-c", config, "-C", "-F", self._launcher(self._root / "usr/sbin/dovecot"), "-F", "-c", config]
