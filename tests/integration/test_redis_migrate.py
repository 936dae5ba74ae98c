# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl relay migrate: entries go from one back end to the other."""

import json
import time

from harness.redis import Redis
from harness.redis_host import left
from harness.site import unique

HOME = "127.86.0.1"


def entries(host):
    return {line.split()[0]: line.split()[1:] for line in host.control("dump").stdout.splitlines() if line[0] != "#"}


def migrate(host, *words, **keywords):
    return host.control("migrate", *words, **keywords)


def test_migrate(hosts, redis, prefix):
    now = int(time.time())
    host = hosts(redis, running=False, redis_key_prefix=prefix, window_minutes=60, max_entries=1000)
    host.postern.write_config(relay_store={"backend": "gdbm"})
    many = "".join(f"10.0.{i // 250}.{i % 250} {now - i} user=u%20{i} service=imap\n" for i in range(900))
    host.control("load", input=f"{HOME} {now - 5} user=ann\n10.9.9.9 {now - 4000}\n2001:db8::/64 {now + 500}\n10.9.9.8 {now - 9}\n{many}")
    before = entries(host)
    host.postern.write_config(relay_store={"backend": "redis"})
    host.control("load", input=f"10.9.9.8 {now - 3} user=young\n10.9.9.7 {now - 2}\n")
    host.control("add", HOME, "--user", "newer")

    done = migrate(host, "gdbm", "redis")
    assert done.stdout == "901 of 903 entries copied from gdbm to redis, 2 were there already and as young; 1 expired, left behind\n"
    after = entries(host)
    assert after[HOME][1:] == ["user=newer"] and after["10.9.9.8"] == [str(now - 3), "user=young"]
    assert {key: value for key, value in after.items() if key not in (HOME, "10.9.9.8", "10.9.9.7")} == {
        key: value for key, value in before.items() if key not in (HOME, "10.9.9.8", "10.9.9.9")}
    assert left(redis, prefix, "2001:db8::/64") > 3600000
    again = json.loads(migrate(host, "gdbm", "redis", "--json").stdout)
    assert (again["copied"], again["present"], again["refused"], again["expired"]) == (0, 903, 0, 1)

    # And back, where the older ones are still there.
    assert migrate(host, "redis", "gdbm").stdout.startswith("3 of 904 entries copied from redis to gdbm, 901 were there")
    host.postern.write_config(relay_store={"backend": "gdbm"})
    assert {key: value for key, value in entries(host).items() if key != "10.9.9.9"} == after


def test_migrate_more_than_there_is_room_for(hosts, redis, prefix):
    now = int(time.time())
    host = hosts(redis, running=False, redis_key_prefix=prefix, max_entries=100)
    host.control("load", input="".join(f"10.1.1.{i} {now}\n" for i in range(100)))
    host.postern.write_config(relay_store={"backend": "gdbm", "max_entries": 60})
    done = migrate(host, "redis", "gdbm", check=False)
    assert done.returncode == 1
    assert "60 of 100 entries copied" in done.stdout and "40 refused" in done.stdout
    assert "max_entries" in done.stderr


def test_migrate_with_daemons(hosts, redis, prefix):
    """The file of a daemon that runs is read as it is; into it, the daemon writes."""
    host = hosts(redis, running=False, redis_key_prefix=prefix)
    host.postern.write_config(relay_store={"backend": "gdbm"})
    host.postern.start()
    assert host.login(HOME, "user=ann")
    assert migrate(host, "gdbm", "redis").stdout == "1 of 1 entry copied from gdbm to redis\n"
    host.control("remove", HOME)
    assert not host.relays(HOME)
    assert migrate(host, "redis", "gdbm").stdout == "1 of 1 entry copied from redis to gdbm\n"
    assert host.relays(HOME)
    assert host.postern.entries(event="relay_command", command="merge")
    host.postern.stop()
    host.postern.write_config(relay_store={"backend": "redis"})
    host.postern.start()
    assert host.relays(HOME)
    assert host.login("10.9.1.1")
    assert migrate(host, "redis", "gdbm").stdout.startswith("1 of 2 entries copied from redis to gdbm, 1 was there")
    host.postern.stop()
    host.postern.write_config(relay_store={"backend": "gdbm"})
    assert sorted(entries(host)) == sorted(["10.9.1.1", HOME])


def test_migrate_what_cannot_be_had(hosts, redis, prefix, workspace):
    gone = Redis(workspace / unique("gone"), start=False)
    host = hosts(gone, running=False, redis_key_prefix=prefix)
    for words in (["gdbm", "redis"], ["redis", "gdbm"]):
        done = migrate(host, *words, check=False)
        assert done.returncode == 75 and done.stderr.startswith(f"posternctl: {words[0]}: "), done.stderr
        assert done.stdout == ""
        told = json.loads(migrate(host, *words, "--json", check=False).stdout)
        assert (told["result"], told["failed"]) == ("tempfail", words[0])
    host.postern.write_config(relay_store={"backend": "gdbm"})
    host.control("add", "10.1.1.1")
    done = migrate(host, "gdbm", "redis", check=False)
    assert done.returncode == 75 and "redis: " in done.stderr and str(gone.port) in done.stderr
    for words in ([], ["gdbm"], ["gdbm", "gdbm"], ["gdbm", "mysql"], ["gdbm", "redis", "x"]):
        assert migrate(host, *words, check=False).returncode == 2
