# SPDX-License-Identifier: GPL-3.0-or-later
"""POP-before-SMTP: how fast logins are recorded, and what a large store costs those who only send mail."""
import json
import os
import pwd
import subprocess

from . import compare, filters
from .filters import BenchError

TARGET_GRANTS, TARGET_CPU, TARGET_PAUSE_MS = 0.5, 1.10, 5
CONNECTIONS = 200
SMALL_ENTRIES = 1000

CONFIG = """\
listen = "unix:{folder}/milter.sock"
listen_group = ""
control_socket = "{folder}/control.sock"
popauth_socket = "{folder}/popauth.sock"
popauth_group = ""
map_socket = ""
policy_socket = ""
user = "{user}"
hostname = "mx.local.example"
access = ""
spammers = ""
local_host_names = ""
local_domains = {{ "local.example" }}
relay_domains = ""
features = {{ "accept_unresolvable_domains" }}
relay_control = "milter"
relay_store {{
    file = "{folder}/relayers.gdbm"
    window_minutes = 0
    max_entries = 16000000
    ipv6_prefix_bits = 64
}}
log {{ level = "warning" }}
"""


def write_config(folder):
    """A site whose clients may relay only if they logged in."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "postern.conf"
    path.write_text(CONFIG.format(folder=folder, user=pwd.getpwuid(os.geteuid()).pw_name), encoding="utf-8")
    return path


def start(bench, name, folder):
    return bench.start(name, [bench.program("postern"), "-c", write_config(folder), "-f"], folder / "milter.sock")


def compare_grants(bench):
    """Logins acknowledged to 200 connections, and what GDBM alone stores with one sync for 200."""
    rounds, grants = (1, 20000) if bench.args.quick else (7, 200000)
    folder = bench.work / "grants"
    started = start(bench, "postern-grants", folder)

    def measure(name, _number):
        if name == "gdbm":
            return filters.run_json([bench.program("tests/bench/relaybench"), "gdbm", folder / "alone.gdbm", grants])
        return filters.run_json([bench.program("tests/bench/relayload"), folder / "popauth.sock", grants, CONNECTIONS],
                                lambda: filters.tail(started.log))

    runs = compare.alternate(["gdbm", "postern"], measure, rounds)
    bench.stop_filters()
    bench.raw["grants"] = runs
    bench.verdicts.add(f"logins recorded over {CONNECTIONS} connections, of what GDBM alone stores",
                       compare.ratio(runs["postern"], runs["gdbm"], lambda run: run["per_second"]), TARGET_GRANTS,
                       at_least=True)
    for name, figures in runs.items():
        bench.verdicts.add(f"logins recorded, {name}", compare.median(figures, lambda run: run["per_second"]), None,
                           unit="/s")


def compare_sizes(bench):
    """Strangers' mail to the outside with a large store and with a small one: each recipient is a question to it, and refused."""
    started = {}
    outside = bench.work / "outside"
    outside.write_text("".join(f"user{number}@d{number % 50}.outside.test\treject\n" for number in range(2000)), encoding="ascii")
    for name, entries in (("small", SMALL_ENTRIES), ("large", bench.args.entries)):
        folder = bench.work / f"relayers-{name}"
        folder.mkdir()
        subprocess.run([bench.program("tests/bench/relaybench"), "fill", folder / "relayers.gdbm", str(entries)], check=True)
        started[name] = start(bench, f"postern-{name}", folder)

    def measure(name, number):
        return filters.run_load(bench.program("tests/bench/milterload"), started[name],
                                ["--mta", bench.args.mta, "--connections", 20, "--messages", bench.args.messages,
                                 "--warmup", min(2000, bench.args.messages), "--seed", number + 1, "--hit-share", 1, "--rcpt-keys", outside])

    runs = compare.alternate(["large", "small"], measure, bench.args.pairs)
    bench.stop_filters()
    bench.raw["relayers"] = runs

    def cpu(run):
        return run["filter"]["cpu_us_per_message"]

    bench.verdicts.add(f"CPU a message with {bench.args.entries} logins, of that with {SMALL_ENTRIES}",
                       compare.ratio(runs["large"], runs["small"], cpu), TARGET_CPU)
    for name in ("small", "large"):
        bench.verdicts.add(f"logins, {name}: CPU a message", compare.median(runs[name], cpu), None, unit="us")


def measure_pauses(bench):
    """The longest that a question waits for a store that works on itself."""
    folder = bench.work / "pauses"
    folder.mkdir()
    command = [bench.program("tests/bench/relaybench"), "pause", folder / "relayers.gdbm", str(bench.args.entries)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"relaybench pause: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    bench.raw["pauses"] = rows
    for row in rows:
        target = None if row["what"] in ("clock alone", "nothing") else TARGET_PAUSE_MS
        bench.verdicts.add(f"longest wait for one of {row['entries']} logins, during: {row['what']}", row["slowest_ms"], target,
                           unit="ms")


def run(bench):
    compare_grants(bench)
    compare_sizes(bench)
    measure_pauses(bench)
