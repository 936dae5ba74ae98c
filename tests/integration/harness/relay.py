# SPDX-License-Identifier: GPL-3.0-or-later
"""The mail servers as relay control wants them: open (postern decides who relays) or closed (they do)."""

import subprocess

from . import login, tools
from .mta import LOCAL_DOMAIN, OWN_NAME
from .postfix import OWNER, Postfix
from .sendmail import SENDMAIL_MC, Sendmail
from .sink import Sink

# Clients: the network of class R, and one of nobody's.
RELAY_NETWORK = "127.50"
RELAY_CLIENT = "127.50.1.1"
FOREIGN = "127.77.0.9"
PARTNER = "partner.test"  # a domain that is relayed to

# What a fresh Debian has in mydestination, and the first label, which is local for Sendmail and postern.
OWN_NAMES = [LOCAL_DOMAIN, OWN_NAME, OWN_NAME.split(".", maxsplit=1)[0], "localhost", "localhost.home.example"]

UNLISTED = "unlisted.example"  # local for the mail server; not in postern's local_host_names

POSTFIX_OPEN = {
    "smtpd_relay_restrictions": "check_client_access static:OK, reject",
    "smtpd_recipient_restrictions": "",
}
POSTFIX_CLOSED = {
    "mynetworks": f"127.0.0.1/32 {RELAY_NETWORK}.0.0/16",
    "relay_domains": PARTNER,
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
}
POSTFIX_SERVICES = """\
local unix - - n - - smtp
tlsmgr unix - - n 1000? 1 tlsmgr
127.0.0.1:{msa_port} inet n - n - - smtpd
  -o milter_macro_daemon_name=MSA
"""

SENDMAIL_CLOSED = f"RELAY_DOMAIN(`{RELAY_NETWORK} {PARTNER}')\n"
SENDMAIL_MSA = "DAEMON_OPTIONS(`Family=inet, Name=MSA, Addr=127.0.0.1, Port={msa_port}')\n"
SENDMAIL_LOGIN = """\
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')
define(`confCACERT_PATH', `{ca_folder}')
define(`confCACERT', `{ca}')
define(`confSERVER_CERT', `{cert}')
define(`confSERVER_KEY', `{key}')
define(`confDONT_BLAME_SENDMAIL', `GroupReadableSASLDBFile')
LOCAL_CONFIG
E{sasl_path}
E{sasl_conf_path}
"""


def smtp_over_pipe(command, env, sender, rcpt, text):
    """An SMTP session with a program on its standard input; every command waits for the reply before."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for line in [None, "EHLO here", f"MAIL FROM:<{sender}>", f"RCPT TO:<{rcpt}>", "DATA", f"{text}\n.", "QUIT"]:
            if line is not None:
                process.stdin.write(line.replace("\n", "\r\n").encode() + b"\r\n")
                process.stdin.flush()
            reply = process.stdout.readline()
            while reply[3:4] == b"-":
                reply = process.stdout.readline()
            assert reply[:1] in (b"2", b"3"), (line, reply)


class RelayPostfix(Postfix):
    """Local mail goes to the sink, all other mail to another: the outside."""

    settings = {}

    def __init__(self, folder, sink):
        self.outside = Sink()
        self.msa_port = tools.free_port()
        folder.mkdir(parents=True)
        self.passwords = login.Passwords(folder / "sasl", OWNER)
        self.authority = login.Authority(folder / "tls")
        super().__init__(folder, sink)

    def more_environment(self):
        return self.passwords.environment()

    def more_settings(self):
        return {
            "default_transport": f"smtp:[127.0.0.1]:{self.outside.port}",
            "local_transport": f"local:[127.0.0.1]:{self.sink.port}",
            "mydestination": " ".join([*OWN_NAMES, UNLISTED]),
            "non_smtpd_milters": f"unix:{self.milter_socket}",
            "export_environment": "TZ MAIL_CONFIG LANG LD_LIBRARY_PATH",
            "milter_connect_timeout": "5s",
            "milter_command_timeout": "5s",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_local_domain": OWN_NAME,
            "smtpd_tls_security_level": "may",
            "smtpd_tls_ask_ccert": "yes",
            "smtpd_tls_CAfile": self.authority.ca,
            "smtpd_tls_cert_file": self.authority.server,
            "smtpd_tls_key_file": self.authority.server_key,
            "smtpd_tls_session_cache_database": "",
            **self.settings,
        }

    def _write_config(self, passed_on):
        super()._write_config(passed_on)
        (self._config / "sasl").symlink_to(self.passwords.folder)  # where Debian's Postfix looks

    def more_services(self):
        return POSTFIX_SERVICES.format(msa_port=self.msa_port)

    def submit(self, text, sender, rcpt):
        """The sendmail command."""
        command = [self._root / "usr/sbin/sendmail", "-i", "-f", sender, rcpt]
        tools.run(command, env=self._env, input=text)

    def submit_by_smtp(self, text, sender, rcpt):
        smtp_over_pipe([self._root / "usr/sbin/sendmail", "-bs"], self._env, sender, rcpt, text)

    def close(self):
        super().close()
        self.outside.close()


class OpenPostfix(RelayPostfix):
    settings = POSTFIX_OPEN


class ClosedPostfix(RelayPostfix):
    settings = POSTFIX_CLOSED


class RelaySendmail(Sendmail):
    opening = ""
    own_names = [*OWN_NAMES, UNLISTED]

    def __init__(self, folder, sink):
        self.outside = Sink()
        self.msa_port = tools.free_port()
        folder.mkdir(parents=True)
        self.passwords = login.Passwords(folder / "sasl", "root")
        self.authority = login.Authority(folder / "tls")
        super().__init__(folder, sink)

    def template(self):
        mc = SENDMAIL_MC
        for old, new in [
            ("define(`confDONT_PROBE_INTERFACES', `True')\n", ""),
            ("TCP $h {sink_port}", "TCP $h {outside_port}"),
            ("FEATURE(`promiscuous_relay')\n", self.opening),
            ("INPUT_MAIL_FILTER", SENDMAIL_MSA + "INPUT_MAIL_FILTER"),
            ("S:30s;R:30s", "S:5s;R:5s"),
        ]:
            assert mc.count(old) == 1, old
            mc = mc.replace(old, new)
        return mc + SENDMAIL_LOGIN

    def more_values(self):
        variables = [f"{key}={value}" for key, value in self.passwords.environment().items()]
        return {
            "outside_port": self.outside.port,
            "msa_port": self.msa_port,
            "ca": self.authority.ca,
            "ca_folder": self.authority.folder,
            "cert": self.authority.server,
            "key": self.authority.server_key,
            "sasl_path": variables[0],
            "sasl_conf_path": variables[1],
        }

    def submit(self, text, sender, rcpt):
        """The sendmail command, without a submit.cf."""
        tools.run(self._command("-i", "-f", sender, rcpt), env=self._env, input=text)

    def submit_by_smtp(self, text, sender, rcpt):
        smtp_over_pipe(self._command("-bs"), self._env, sender, rcpt, text)

    def close(self):
        super().close()
        self.outside.close()


class OpenSendmail(RelaySendmail):
    opening = "FEATURE(`promiscuous_relay')\n"


class ClosedSendmail(RelaySendmail):
    opening = SENDMAIL_CLOSED


KINDS = {
    "open-postfix": OpenPostfix,
    "closed-postfix": ClosedPostfix,
    "open-sendmail": OpenSendmail,
    "closed-sendmail": ClosedSendmail,
}


def keys(mta, mode, **changes):
    """postern.conf for one of these servers."""
    relay_domains = mta.folder / "relay-domains"
    relay_domains.write_text(f"{RELAY_NETWORK}\n{PARTNER}\n")
    return {"relay_control": mode, "relay_domains": str(relay_domains), **changes}


def wait_outside(mta, subject, timeout=20):
    """The message has reached the outside; all its deliveries."""
    return tools.wait_for(lambda: mta.outside.with_subject(subject), f"{subject} to get out", timeout)
