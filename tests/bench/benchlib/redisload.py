# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs that a Redis on loopback answers who may relay: mail of clients that logged in, beside the same with a file."""
import json
import os
import subprocess
import sys
import time

from . import compare, filters, relaystore
from .filters import BenchError

TARGET_RATE = 0.7
CLIENTS = 5000
SESSION_MESSAGES = (3, 1)  # in one session, which asks once a second; with one each message is a question
REDIS_KEYS = 'backend = "redis"\n    redis_url = "{url}"\n'


def import_redis(bench):
    """The Redis of the integration tests, unpacked below the benchmark's folder unless it is at hand."""
    os.environ.setdefault("POSTERN_TEST_CACHE", str(bench.work / "mta"))
    sys.path.insert(0, str(bench.source / "tests/integration"))
    from harness import redis  # pylint: disable=import-outside-toplevel
    return redis


def client(number):
    return f"10.{number % 7}.{number // 256}.{number % 256}"


def write_config(folder, url):
    config = relaystore.write_config(folder)
    if url:
        text = config.read_text(encoding="utf-8")
        where = f'file = "{folder}/relayers.gdbm"\n'
        if where not in text:
            raise BenchError(f"{config} has no {where}")
        config.write_text(text.replace(where, REDIS_KEYS.format(url=url)), encoding="utf-8")
    return config


def write_keys(path, keys):
    path.write_text("".join(f"{key}\tcontinue\n" for key in keys), encoding="ascii")
    return path


def check_questions(bench, config, name, session_messages):
    """Has each session been a question at least?"""
    done = subprocess.run([bench.program("posternctl"), "-c", config, "--json", "status"], capture_output=True, text=True, check=False)
    store = json.loads(done.stdout)["relay_store"] if done.returncode == 0 else {}
    if store.get("found", 0) < bench.args.messages * bench.args.pairs // session_messages or store["found"] != store["asked"]:
        raise BenchError(f"postern-logins-{name} was asked {store.get('asked')} times, and found {store.get('found')} logins")


def log_in(bench, config):
    """All clients, as of now; before the daemon starts."""
    now = int(time.time())
    text = "".join(f"{client(number)} {now} user=user{number} service=imap\n" for number in range(CLIENTS))
    done = subprocess.run([bench.program("posternctl"), "-c", config, "relay", "load"], input=text, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise BenchError(f"posternctl relay load: {done.stderr}")


def start(bench, urls):
    started = {}
    for name, url in urls.items():
        folder = bench.work / f"logins-{name}"
        config = write_config(folder, url)
        log_in(bench, config)
        started[name] = bench.start(f"postern-logins-{name}", [bench.program("postern"), "-c", config, "-f"],
                                    folder / "milter.sock")
    return started


def compare_backends(bench, server, connections, session_messages):
    urls = {"gdbm": "", "redis": server.url(), "redis-unix": server.url("unix", database=1)}
    # Each may send to the outside, which needs the login: any other answer is an error of the run.
    clients = write_keys(bench.work / "logins", map(client, range(CLIENTS)))
    outside = write_keys(bench.work / "outside", (f"user{number}@d{number % 50}.outside.test" for number in range(CLIENTS)))
    started = start(bench, urls)

    def measure(name, number):
        options = ["--mta", bench.args.mta, "--connections", connections, "--messages", bench.args.messages, "--warmup",
                   min(2000, bench.args.messages), "--seed", number + 1, "--session-messages", session_messages, "--hit-share", 1, "--client-keys", clients, "--rcpt-keys", outside]
        return filters.run_load(bench.program("tests/bench/milterload"), started[name], options)

    runs = compare.alternate(list(urls), measure, bench.args.pairs)
    for name in urls:
        check_questions(bench, bench.work / f"logins-{name}" / "postern.conf", name, session_messages)
    bench.stop_filters()
    bench.raw[f"redis-{connections}-{session_messages}"] = runs
    judge(bench, connections, session_messages, runs)


def judge(bench, connections, session_messages, runs):
    def rate(run):
        return run["messages_per_s"]

    def cpu(run):
        return run["filter"]["cpu_us_per_message"]

    def latency(run):
        return run["latency"]["message"]["p99_us"] / 1000

    add = bench.verdicts.add
    at = f"clients that logged in, {connections} connections, {session_messages} a session: "
    add(at + "messages/s with Redis, of those with gdbm", compare.ratio(runs["redis"], runs["gdbm"], rate), TARGET_RATE,
        at_least=True)
    add(at + "the same by its unix socket", compare.ratio(runs["redis-unix"], runs["gdbm"], rate), None)
    for name, figures in runs.items():
        add(at + f"{name}: messages/s", compare.median(figures, rate), None)
        add(at + f"{name}: CPU a message", compare.median(figures, cpu), None, unit="us")
        add(at + f"{name}: latency of a message, p99", compare.median(figures, latency), None, unit="ms")


def run(bench):
    redis = import_redis(bench)
    bench.work.chmod(0o755)
    server = redis.Redis(bench.work / "redis")
    try:
        for connections in bench.args.connections:
            for session_messages in SESSION_MESSAGES:
                server.ask("FLUSHALL")
                compare_backends(bench, server, connections, session_messages)
    finally:
        bench.stop_filters()
        server.close()
