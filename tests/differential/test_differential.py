# SPDX-License-Identifier: GPL-3.0-or-later
"""Random transactions: in address test mode, and a smaller number on the wire.

POSTERN_SEED repeats a run, POSTERN_COUNT, POSTERN_DNS and POSTERN_LIVE set the numbers of transactions.
"""

import os
import random

import differ
import pytest


@pytest.fixture(scope="module")
def seed():
    given = os.environ.get("POSTERN_SEED")
    return given if given else str(random.SystemRandom().randrange(10**9))


def run(capfd, *arguments):
    status = differ.main(list(arguments))
    printed = capfd.readouterr().out
    with capfd.disabled():
        print("\n" + "\n".join(line for line in printed.splitlines() if line.startswith("seed ") and "transactions" in line))
    assert status == 0, printed
    return printed


def test_decisions_are_those_of_sendmail(seed, capfd):
    printed = run(capfd, "--seed", seed, "--count", os.environ.get("POSTERN_COUNT", "10000"))
    sets = int(printed.split(" feature sets")[0].split()[-1])
    denied = int(printed.split("relaying denied ")[1].split()[0])
    assert sets >= 380 and denied >= 500 or "POSTERN_COUNT" in os.environ


def test_decisions_that_ask_dns_are_those_of_sendmail(seed, capfd):
    run(capfd, "--seed", seed, "--dns", os.environ.get("POSTERN_DNS", "2000"))


@pytest.mark.skipif(os.getuid() != 0, reason="live mail servers take root")
def test_replies_on_the_wire_are_those_of_sendmail(seed, capfd):
    run(capfd, "--seed", seed, "--live", os.environ.get("POSTERN_LIVE", "300"))
