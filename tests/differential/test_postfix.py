# SPDX-License-Identifier: GPL-3.0-or-later
"""Random pcre tables and header checks, with the real Postfix as the judge.

POSTERN_SEED repeats a run, POSTERN_TABLES and POSTERN_MESSAGES set the numbers.
"""

import os
import random

import differ_postfix
import pytest


@pytest.fixture(scope="module")
def seed():
    return os.environ.get("POSTERN_SEED") or str(random.SystemRandom().randrange(10**9))


def run(capfd, *arguments):
    status = differ_postfix.main(list(arguments))
    printed = capfd.readouterr().out
    with capfd.disabled():
        print("\n" + "\n".join(line for line in printed.splitlines() if line.startswith(("seed ", "pcre: ", "headers: "))))
    assert status == 0, printed
    return printed


def test_pattern_tables_answer_as_postmap_does(seed, capfd):
    run(capfd, "--seed", seed, "--tables", os.environ.get("POSTERN_TABLES", "2000"), "--messages", "0")


@pytest.mark.skipif(os.getuid() != 0, reason="live mail servers take root")
def test_messages_fare_as_they_do_in_cleanup(seed, capfd):
    printed = run(capfd, "--seed", seed, "--tables", "0", "--messages", os.environ.get("POSTERN_MESSAGES", "2000"))
    if "POSTERN_MESSAGES" not in os.environ:
        # A run that tried nothing would pass, too.
        tried = [line for line in printed.splitlines() if line.startswith("headers: ")][0]
        for word in ("550", "451", "hold", "discarded", "prepend", "replace", "strip", "bcc", "redirect", "pass"):
            assert f" {word} " in tried, word
