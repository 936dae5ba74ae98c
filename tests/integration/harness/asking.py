# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail servers that stay closed and ask postern who may relay: Postfix by tables and by policy, Sendmail by maps.

They take mail while postern is away, without its rules: what is left then is their own relay check.
"""

import grp
import os
import pwd

from . import relay, tools
from .postern import GROUP, USER

# How a port of Postfix asks, by name. The port "relayers" has the lines of the sample.
RESTRICTIONS = "permit_mynetworks, permit_auth_destination, {asked}, reject_unauth_destination"
POSTFIX_WAYS = {
    "clients": "check_client_access socketmap:unix:{map}:relay_client, "
    "check_recipient_access socketmap:unix:{map}:relay_to",
    "proxy": "check_client_access proxy:socketmap:unix:{map}:relayers",
    "policy": "check_policy_service unix:{policy}",
    "policy-own-time": "check_policy_service {{ unix:{policy}, timeout=5s, default_action=DUNNO }}",
}

POSTFIX_PORT = """\
127.0.0.1:{port} inet n - {chroot} - - smtpd
  -o {{ smtpd_relay_restrictions = {restrictions} }}
"""
POSTFIX_CHROOTED = POSTFIX_PORT + "  -o smtpd_milters=\n"

ASKING = {"milter_default_action": "accept"}


def postfix_sample(folder):
    """smtpd_relay_restrictions of the sample, on one line."""
    text = tools.sample("postfix-postern.cf.in", {"@runstatedir@/postern": folder})
    lines = text.partition("smtpd_relay_restrictions =\n")[2].partition("\n\n")[0]
    return " ".join(lines.split())


def restrictions(asked, **places):
    return RESTRICTIONS.format(asked=asked.format(**places))


class AskingPostfix(relay.RelayPostfix):
    """One port for each way of asking, and one that runs in the chroot, as Debian's does."""

    settings = relay.POSTFIX_CLOSED

    def __init__(self, folder, sink):
        self.ports = {name: tools.free_port() for name in [*POSTFIX_WAYS, "chroot"]}
        super().__init__(folder, sink)
        self.ports["relayers"] = self.port

    def more_settings(self):
        asked = postfix_sample(self.socket_folder)
        proxied = f"proxy:socketmap:unix:{self.socket_folder}/map.sock:relayers"
        return {**super().more_settings(), **ASKING, "smtpd_relay_restrictions": asked, "proxy_read_maps": proxied}

    def more_services(self):
        places = {"map": self.socket_folder / "map.sock", "policy": self.socket_folder / "policy.sock"}
        lines = [
            POSTFIX_PORT.format(port=self.ports[name], chroot="n", restrictions=restrictions(asked, **places))
            for name, asked in POSTFIX_WAYS.items()
        ]
        inside = postfix_sample("/postern")
        lines.append(POSTFIX_CHROOTED.format(port=self.ports["chroot"], chroot="y", restrictions=inside))
        return super().more_services() + "".join(lines)

    def _make_folders(self):
        super()._make_folders()
        self.chroot_folder = self.folder / "queue" / "postern"
        self.chroot_folder.mkdir()
        os.chown(self.chroot_folder, pwd.getpwnam(USER).pw_uid, grp.getgrnam(GROUP).gr_gid)
        self.chroot_folder.chmod(0o2750)


class AskingSendmail(relay.RelaySendmail):
    """With the lines by which it asks."""

    opening = relay.SENDMAIL_CLOSED
    rules = ""

    def template(self):
        mc = super().template()
        assert mc.count(", F=T,") == 1
        return mc.replace(", F=T,", ",") + self.rules  # without F=T, mail goes on when postern does not answer

    def more_values(self):
        return {**super().more_values(), "map": self.socket_folder / "map.sock"}


class DracSendmail(AskingSendmail):
    """Debian's, whose m4 files know the feature drac."""

    opening = relay.SENDMAIL_CLOSED + "FEATURE(`drac', `socket -d5 local:{map}')\n"


class DracSendmailWithTempfail(AskingSendmail):
    """The same with a flag that opens it: what the manual warns of."""

    opening = relay.SENDMAIL_CLOSED + "FEATURE(`drac', `socket -T<TMPF> local:{map}')\n"


class RulesSendmail(AskingSendmail):
    """Every other one."""

    opening = relay.SENDMAIL_CLOSED
    rules = "include(`{rules}')\n"

    def more_values(self):
        rules = self.folder / "postern.mc"
        rules.write_text(tools.sample("sendmail-postern.mc.in", {"@runstatedir@/postern": self.socket_folder}))
        return {**super().more_values(), "rules": rules}


KINDS = {
    "asking-postfix": AskingPostfix,
    "drac-sendmail": DracSendmail,
    "drac-tempfail-sendmail": DracSendmailWithTempfail,
    "rules-sendmail": RulesSendmail,
}
