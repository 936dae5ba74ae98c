# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of client addresses, for the two mail servers only: nothing of the machine is asked or changed."""

from . import tools
from .mta import OWN_NAME

# Addresses of 127.0.0.0/8 from which a client connects, and what the mail servers find for them.
NEUTRAL = "127.10.0.1"  # host.neutral.test
SPAM = "127.10.0.2"  # a.spam.test
FORGED = "127.10.0.3"  # its name resolves to another address
TEMPORARY = "127.10.0.4"  # the lookup of its name fails for now
NAMELESS = "127.10.0.5"

RESOLVED = {"127.0.0.1": "localhost", NEUTRAL: "host.neutral.test", SPAM: "a.spam.test"}


def postfix_environment(folder):
    """For Postfix, nss_wrapper: it can neither forge a name nor fail for now; XCLIENT can."""
    hosts = folder / "hosts"
    lines = [f"{address} {name}\n" for address, name in RESOLVED.items()]
    hosts.write_text("".join(lines) + f"127.0.0.1 {OWN_NAME}\n")
    root, _ = tools.unpack("nss-wrapper")
    library = tools.multiarch_library(root, "libnss_wrapper.so")
    return {"LD_PRELOAD": str(library), "NSS_WRAPPER_HOSTS": str(hosts)}


def sendmail_environment(folder):
    """For Sendmail, which would forget NSS_WRAPPER_HOSTS with the rest of its environment, a library of our own."""
    hosts = folder / "hosts.preload"
    lines = [f"{address} {name}\n" for address, name in RESOLVED.items()]
    lines += [f"{FORGED} forged.test 192.0.2.77\n", f"{TEMPORARY} TEMP\n", f"127.0.0.1 {OWN_NAME}\n"]
    hosts.write_text("".join(lines))
    library = folder / "preload.so"
    source = tools.SOURCE / "tests/integration/harness/sendmail_preload.c"
    tools.run(["cc", "-std=gnu11", "-Wall", "-O1", "-shared", "-fPIC", "-o", library, source])
    return {"LD_PRELOAD": str(library), "TEST_HOSTS": str(hosts), "TEST_SYSLOG": str(folder / "maillog")}
