# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay, makemap relayers and vsmtprelay with Redis: all that they do with a file, with and without a daemon."""

import itertools
import json
import pathlib
import sys

import pytest

from harness.postern import build_folder
from harness.redis import Redis

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

# pylint: disable=wrong-import-position
import test_ctl_relay  # noqa: E402
import test_ctl_relay_daemon  # noqa: E402

_numbers = itertools.count(1)

PASSWORD = "open%sesame"


@pytest.fixture(scope="module")
def redis(workspace):
    one = Redis(workspace / "redis-ctl", password=PASSWORD)
    yield one
    one.close()


class OnRedis(test_ctl_relay.Site):
    """A site whose addresses are in a Redis, below a prefix of its own."""

    least_syncs = 1  # a load is none there

    @pytest.fixture(autouse=True)
    def _server(self, redis, monkeypatch):
        monkeypatch.setattr(test_ctl_relay, "BUILD", build_folder())
        self.redis = redis
        self.prefix = f"test{next(_numbers)}:"

    def place(self):
        password = self.redis.write_password(self.folder / "password")
        return (
            f' backend = "redis"\n redis_url = "{self.redis.url()}"\n redis_password_file = "{password}"\n'
            f' redis_key_prefix = "{self.prefix}"\n timeout_ms = 5000\n'
        )

    def described_place(self):
        return {"backend": "redis", "redis_url": self.redis.url(), "redis_key_prefix": self.prefix}

    def store(self):
        """What takes a walk through the server is in `relay stats` alone."""
        status = json.loads(self.ctl("--json", "status").stdout)["relay_store"]
        self.assertNotIn("in_force", status)
        return {**status, **self.json("stats")["relay_store"]}

    def assert_tells_entries(self, text):
        number = text.partition(":")[0]
        self.assertIn(f"relayers       {number}\n", self.ctl("status").stdout)
        self.assertIn(f" {text}\n", self.relay("stats"))

    def assert_nothing_at(self, cursor):
        """A cursor of another generation of entries."""
        self.assertEqual(self.ask(f"relay walk {cursor}")["result"], "tempfail")

    def tearDown(self):
        """No file was made, and nothing lies beside the prefix."""
        self.assertEqual(list(self.folder.glob("relayers.gdbm*")), [])
        self.assertEqual([key for key in self.redis.keys() if not key.startswith("test")], [])


class TestWithoutDaemon(OnRedis, test_ctl_relay.Words):
    pass


class TestSmallLimit(OnRedis, test_ctl_relay.SmallLimit):
    pass


class TestWithDaemon(OnRedis, test_ctl_relay_daemon.WithDaemon):
    pass


class TestSmallLimitWithDaemon(OnRedis, test_ctl_relay_daemon.SmallLimitWithDaemon):
    pass
