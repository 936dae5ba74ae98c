# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this folder share: the unpacked Sendmail and a folder to work in."""

import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from difftest.oracle import Oracle  # noqa: E402
from difftest.sendmail import Sendmail  # noqa: E402


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("differential")


@pytest.fixture(scope="session")
def oracle(work):
    return Oracle(Sendmail(work), work)
