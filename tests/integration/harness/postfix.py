# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Postfix, unpacked, run from a folder of its own."""

import grp
import json
import os
import pwd

from . import names, tools
from .mta import LOCAL_DOMAIN, OWN_NAME, Held, Mta

# Postfix wants a user and a group that belong to it alone. Making them would touch the system; these exist on every
# Debian and own nothing.
OWNER = "daemon"
DROP_GROUP = "games"
DELIVERY_USER = "nobody"

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = {root}/usr/sbin
daemon_directory = {root}/usr/lib/postfix/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {root}/etc/postfix
sendmail_path = {root}/usr/sbin/sendmail
mail_owner = {owner}
setgid_group = {drop_group}
default_privs = {delivery_user}
import_environment = MAIL_CONFIG LANG=C TZ=UTC {environment}
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = all
myhostname = {own_name}
mydomain = home.example
myorigin = $myhostname
mydestination = {local_domain}
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
local_transport = smtp:[127.0.0.1]:{sink_port}
default_transport = smtp:[127.0.0.1]:{sink_port}
relay_transport = $default_transport
smtp_host_lookup = native
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtputf8_enable = no
append_dot_mydomain = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_relay_restrictions = check_client_access static:OK, reject
smtpd_recipient_restrictions =
smtpd_reject_unlisted_recipient = no
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 100000
smtpd_hard_error_limit = 100000
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_timeout = 60
in_flow_delay = 0
default_process_limit = 600
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtpd_milters = unix:{milter}
non_smtpd_milters =
milter_protocol = 6
milter_default_action = tempfail
milter_connect_timeout = 10s
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
showq     unix  n - n - - showq
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

OWNED_QUEUES = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()


def with_settings(main, settings):
    kept = [line for line in main.splitlines() if line.split(" =")[0] not in settings]
    return "\n".join(kept + [f"{key} = {value}" for key, value in settings.items()]) + "\n"


class Postfix(Mta):
    name = "postfix"
    services = MASTER_CF

    def __init__(self, folder, sink):
        super().__init__(folder, sink)
        self._root, libraries = tools.unpack("postfix")
        passed_on = {**libraries, **names.postfix_environment(folder), **self.more_environment()}
        self._config = folder / "etc"
        self._env = tools.environment(passed_on, {"MAIL_CONFIG": str(self._config)})
        self._write_config(passed_on)
        self._make_folders()
        self._launch([self._root / "usr/lib/postfix/sbin/master", "-c", self._config, "-d"], self._env)

    def _write_config(self, passed_on):
        self._config.mkdir()
        main = MAIN_CF.format(
            folder=self.folder,
            root=self._root,
            owner=OWNER,
            drop_group=DROP_GROUP,
            delivery_user=DELIVERY_USER,
            environment=" ".join(f"{{ {key} = {value} }}" for key, value in passed_on.items()),
            own_name=OWN_NAME,
            local_domain=LOCAL_DOMAIN,
            sink_port=self.sink.port,
            milter=self.milter_socket,
        )
        (self._config / "main.cf").write_text(with_settings(main, self.more_settings()))
        (self._config / "master.cf").write_text(self.services.format(port=self.port) + self.more_services())

    # What servers with other configurations have more.

    def more_environment(self):
        return {}

    def more_settings(self):
        """Parameters of main.cf in place of those above."""
        return {}

    def more_services(self):
        """Lines of master.cf."""
        return ""

    def _make_folders(self):
        owner = pwd.getpwnam(OWNER).pw_uid
        drop = grp.getgrnam(DROP_GROUP).gr_gid
        queue = self.folder / "queue"
        for path, uid, gid, mode in [
            (queue, 0, 0, 0o755),
            (queue / "pid", 0, 0, 0o755),
            (queue / "maildrop", owner, drop, 0o730),
            (queue / "public", owner, drop, 0o710),
            (self.folder / "data", owner, 0, 0o700),
            *[(queue / name, owner, 0, 0o700) for name in OWNED_QUEUES],
        ]:
            path.mkdir()
            os.chown(path, uid, gid)
            path.chmod(mode)

    def tool(self, name, *arguments):
        """Runs one of Postfix's own commands on this server."""
        return tools.run([self._root / "usr/sbin" / name, *arguments], env=self._env)

    def _queue(self):
        lines = self.tool("postqueue", "-j").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def queued(self):
        return [one["queue_id"] for one in self._queue()]

    def held(self):
        return [Held(one["queue_id"], "") for one in self._queue() if one["queue_name"] == "hold"]

    def queue_file(self, queue_id):
        return self.tool("postcat", "-q", queue_id).stdout

    def release(self, queue_id):
        self.tool("postsuper", "-H", queue_id)
        self.tool("postqueue", "-f")

    def flush(self):
        self.tool("postqueue", "-f")

    def empty_queue(self):
        self.tool("postsuper", "-d", "ALL")
