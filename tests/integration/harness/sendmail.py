# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Sendmail, unpacked, run from a folder of its own."""

import re

from . import names, tools
from .mta import LOCAL_DOMAIN, OWN_NAME, Held, Mta

# Whatever Sendmail would refuse by itself is switched off: what a client is told comes from the filter.
SENDMAIL_MC = """\
include(`{cf}/m4/cf.m4')
VERSIONID(`postern integration test')
OSTYPE(`unknown')
define(`confDOMAIN_NAME', `{own_name}')
define(`confCW_FILE', `{folder}/local-host-names')
define(`confSERVICE_SWITCH_FILE', `{folder}/service.switch')
define(`confHOSTS_FILE', `{folder}/hosts')
define(`confPID_FILE', `{folder}/sendmail.pid')
define(`QUEUE_DIR', `{folder}/queue')
define(`STATUS_FILE', `{folder}/statistics')
undefine(`ALIAS_FILE')
define(`HELP_FILE', `')
define(`confDONT_PROBE_INTERFACES', `True')
define(`confTO_IDENT', `0')
define(`confTO_COMMAND', `1m')
define(`confQUEUE_LA', `1000')
define(`confREFUSE_LA', `1000')
define(`confDELAY_LA', `0')
define(`confMIN_FREE_BLOCKS', `0')
define(`confDELIVERY_MODE', `background')
define(`confMIN_QUEUE_AGE', `0')
define(`confLOG_LEVEL', `14')
define(`confTRY_NULL_MX_LIST', `True')
define(`confBIND_OPTS', `-DNSRCH -DEFNAMES')
define(`LOCAL_MAILER_PATH', `[IPC]')
define(`LOCAL_MAILER_ARGS', `TCP 127.0.0.1 {sink_port}')
define(`LOCAL_MAILER_FLAGS', `PSXmnz9')
define(`_LOCAL_LMTP_')
define(`_DEF_LOCAL_MAILER_FLAGS', `lsDFMAq')
define(`LOCAL_SHELL_PATH', `/bin/false')
define(`ESMTP_MAILER_ARGS', `TCP $h {sink_port}')
define(`SMART_HOST', `esmtp:[127.0.0.1]')
FEATURE(`use_cw_file')
FEATURE(`nocanonify')
FEATURE(`no_default_msa')
FEATURE(`accept_unresolvable_domains')
FEATURE(`accept_unqualified_senders')
FEATURE(`promiscuous_relay')
DAEMON_OPTIONS(`Family=inet, Name=MTA, Addr=127.0.0.1, Port={port}, Listen=500')
INPUT_MAIL_FILTER(`postern', `S=unix:{milter}, F=T, T=C:10s;S:30s;R:30s;E:2m')
MAILER(`local')
MAILER(`smtp')
"""


class Sendmail(Mta):
    name = "sendmail"
    own_names = [LOCAL_DOMAIN]

    def __init__(self, folder, sink):
        super().__init__(folder, sink)
        self._root, libraries = tools.unpack("sendmail")
        self._binary = self._root / "usr/libexec/sendmail/sendmail"
        self._cf = folder / "sendmail.cf"
        self._env = tools.environment(libraries, names.sendmail_environment(folder))
        self._write_config()
        queue = folder / "queue"
        queue.mkdir(mode=0o700)
        self._launch(self._command("-bD"), self._env)

    def _command(self, *arguments):
        return [self._binary, "-C", self._cf, *arguments]

    # What servers with other configurations have instead.

    def template(self):
        return SENDMAIL_MC

    def more_values(self):
        return {}

    def _write_config(self):
        cf = self._root / "usr/share/sendmail/cf"
        mc = self.template().format(
            cf=cf,
            folder=self.folder,
            own_name=OWN_NAME,
            sink_port=self.sink.port,
            port=self.port,
            milter=self.milter_socket,
            **self.more_values(),
        )
        source = self.folder / "sendmail.mc"
        source.write_text(mc)
        (self.folder / "local-host-names").write_text("".join(f"{name}\n" for name in self.own_names))
        (self.folder / "service.switch").write_text("hosts files\naliases files\npasswd files\n")
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n127.0.0.1 {OWN_NAME}\n")
        self._cf.write_text(tools.run(["m4", f"-D_CF_DIR_={cf}/", source], env=self._env).stdout)

    def tool(self, *arguments):
        """Runs sendmail itself on this server's queue."""
        return tools.run(self._command(*arguments), env=self._env)

    def _ids(self, kind):
        # qf: waits, hf: held. A file that vanishes meanwhile has been delivered.
        return sorted(path.name[2:] for path in (self.folder / "queue").glob(f"{kind}*"))

    def queued(self):
        return self._ids("qf") + self._ids("hf")

    def _control(self, queue_id):
        for kind in ("hf", "qf"):
            path = self.folder / "queue" / (kind + queue_id)
            if path.exists():
                return path.read_text(encoding="latin-1")
        return ""

    def held(self):
        found = []
        for queue_id in self._ids("hf"):
            reason = re.search(r"^q(.*)$", self._control(queue_id), re.M)
            found.append(Held(queue_id, reason.group(1) if reason else ""))
        return found

    def queue_file(self, queue_id):
        return self._control(queue_id)

    def release(self, queue_id):
        self.tool("-Q", "-qQ", f"-qI{queue_id}")
        self.tool(f"-qI{queue_id}")

    def flush(self):
        self.tool("-q")

    def empty_queue(self):
        for path in (self.folder / "queue").iterdir():
            path.unlink(missing_ok=True)
