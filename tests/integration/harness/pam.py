# SPDX-License-Identifier: GPL-3.0-or-later
"""PAM with services of our own: pamtester asks it as a server would, libpam_wrapper takes the services from a folder."""

import pwd

from . import tools

PASSWORD = "sesame"  # of nobody

# The real modules that a server's own file has, without the machine's users. libpam_wrapper asks for a folder of them.
SERVICE = """\
auth required {modules}/pam_matrix.so passdb={passdb}
account required {modules}/pam_matrix.so passdb={passdb}
session required pam_permit.so
{lines}
"""


class Pam:
    """`lines` by service: what stands at the end of its file. Users are accounts of this machine, all with the one password."""

    def __init__(self, folder, services, users):
        self._root, libraries = tools.unpack("pam")
        self._services = folder / "pam.d"
        self._services.mkdir(parents=True)
        for user in users:
            pwd.getpwnam(user)
        modules = tools.multiarch_library(self._root, "pam_wrapper/pam_matrix.so").parent
        for name, lines in services.items():
            passdb = folder / f"{name}.passdb"  # pam_matrix finds a user of several services by the first only
            passdb.write_text("".join(f"{user}:{PASSWORD}:{name}\n" for user in users))
            text = SERVICE.format(modules=modules, passdb=passdb, lines=lines)
            (self._services / name).write_text(text)
        self._variables = {
            **libraries,
            "LD_PRELOAD": str(tools.multiarch_library(self._root, "libpam_wrapper.so")),
            "PAM_WRAPPER": "1",
            "PAM_WRAPPER_SERVICE_DIR": str(self._services),
        }

    def ask(self, service, user, *operations, host=None, password=PASSWORD, **options):
        """pamtester's answer to operations as authenticate, acct_mgmt, open_session, close_session."""
        items = ["-I", f"rhost={host}"] if host is not None else []
        command = [self._root / "usr/bin/pamtester", *items, service, user, *operations]
        return tools.run(command, env=tools.environment(self._variables), input=password + "\n", **options)
