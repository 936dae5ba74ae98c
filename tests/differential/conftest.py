# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this folder share: the unpacked Sendmail and a folder to work in."""

import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from difftest import dns_cases  # noqa: E402
from difftest.oracle import Oracle  # noqa: E402
from difftest.sendmail import Sendmail  # noqa: E402


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("differential")


@pytest.fixture(scope="session")
def oracle(work):
    return Oracle(Sendmail(work), work)


@pytest.fixture(scope="session")
def dns_world(work):
    for folder in (work, *list(work.parents)[:2]):
        folder.chmod(0o755)  # the DNS servers do not run as root
    world = dns_cases.World(work / "dns")
    yield world
    world.close()


@pytest.fixture(scope="session")
def dns_oracle(work, dns_world):
    folder = work / "sendmail-dns"
    folder.mkdir()
    sendmail = Sendmail(folder, dns_port=dns_world.server.port)
    sendmail.preload(dns_cases.REVERSE)
    return Oracle(sendmail, folder)
