# SPDX-License-Identifier: GPL-3.0-or-later
"""What DNS lists cost: whole messages with five lists, for clients that are new and for known ones; and a dead DNS server."""
import json
import os
import socket
import subprocess
import sys

from . import compare, filters, makemap, maps

TARGET_FRESH, TARGET_CACHED, TARGET_HELD_UP_MS = 0.70, 0.95, 50
LISTS = 5
LISTED_NETWORKS = 2000  # in each list; no client of the benchmark is in one
KNOWN_CLIENTS = 200
DEAD_CONNECTIONS, QUIET_CONNECTIONS = 500, 20
TIMEOUT_MS = 3000


def import_servers(bench):
    """The DNS servers of the integration tests, unpacked below the benchmark's folder unless they are at hand."""
    os.environ.setdefault("POSTERN_TEST_CACHE", str(bench.work / "mta"))
    sys.path.insert(0, str(bench.source / "tests/integration"))
    from harness import dns_daemons  # pylint: disable=import-outside-toplevel
    return dns_daemons


def zones():
    """Lists with their test points and networks of their own."""
    text = ":127.0.0.2:listed $\n127.0.0.2\n" + "".join(f"172.{16 + n // 256}.{n % 256}.0/24\n" for n in range(LISTED_NETWORKS))
    six = ":127.0.0.2:listed $\n::ffff:7f00:2/128\n"
    return {f"l{number}.bench.test": {"ip4set": text, "ip6trie": six} for number in range(LISTS)}


class DnsLoad:
    """postern with five lists beside postern without any; the map is the same."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.work / "dns"
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        bench.work.chmod(0o755)  # the DNS server does not run as root
        self.load = bench.program("tests/bench/milterload")
        self.known = self.folder / "known"
        clients = [f"10.{n % 7}.{n // 256}.{n % 256}\tcontinue\n" for n in range(KNOWN_CLIENTS)]
        self.known.write_text("".join(clients), encoding="ascii")
        self.quiet = self.folder / "quiet"
        self.quiet.write_text("".join(f"192.0.2.{n}\tcontinue\n" for n in range(1, 255)), encoding="ascii")

    def write_config(self, name, port, list_keys):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        access = maps.AccessMap(1000)
        access.write_text(folder / "access")
        with open(folder / "access", "a", encoding="ascii") as file:
            file.write("Connect:192.0.2 OK\n")
        config = filters.write_config(folder, self.bench.args.log_level)
        if port:
            lists = "".join(f'dnsbl "{zone}" {{ {list_keys} }}\n' for zone in zones())
            with open(config, "a", encoding="utf-8") as file:
                file.write(f'dns {{ servers = {{ "127.0.0.1:{port}" }} timeout_ms = {TIMEOUT_MS} }}\n{lists}')
        makemap.posternctl_makemap(self.bench.program("posternctl"), config)
        return config

    def start(self, name, port, list_keys=""):
        config = self.write_config(name, port, list_keys)
        command = [self.bench.program("postern"), "-c", config, "-f"]
        return self.bench.start(f"postern-{name}", command, config.parent / "milter.sock")

    def options(self, connections, number, known):
        share = ["--client-keys", self.known] if known else []
        return self.bench.options(connections, number + 1, share, 1 if known else 0)

    def compare_lists(self, servers, connections):
        """Fresh: no client comes twice, so each session asks each list. Known: their answers are there already."""
        server = servers.Rbldnsd(self.folder / f"rbldnsd-{connections}", zones())
        try:
            started = {"none": self.start("none", 0), "lists": self.start("lists", server.port)}
            runs = {}
            for known in (False, True):
                def measure(name, number, known=known):
                    return filters.run_load(self.load, started[name], self.options(connections, number, known))

                runs["known" if known else "fresh"] = compare.alternate(["none", "lists"], measure, self.bench.args.pairs)
        finally:
            self.bench.stop_filters()
            server.close()
        self.bench.raw[f"dns-{connections}"] = runs
        self.judge(connections, runs)

    def judge(self, connections, runs):
        def rate(run):
            return run["messages_per_s"]

        def cpu(run):
            return run["filter"]["cpu_us_per_message"]

        add = self.bench.verdicts.add
        for kind, target in (("fresh", TARGET_FRESH), ("known", TARGET_CACHED)):
            pair = runs[kind]
            at = f"five DNS lists, {kind} clients, {connections} connections: "
            add(at + "messages/s, of those without lists", compare.ratio(pair["lists"], pair["none"], rate), target,
                at_least=True)
            for name in ("none", "lists"):
                add(at + f"{name}: messages/s", compare.median(pair[name], rate), None)
                add(at + f"{name}: CPU a message", compare.median(pair[name], cpu), None, unit="us")

    def run_quiet(self, target, seconds):
        """Sessions that ask nothing."""
        command = [self.load, "--socket", f"unix:{target.path}", "--connections", QUIET_CONNECTIONS, "--seconds", seconds,
                   "--think-ms", 5, "--hit-share", 1, "--client-keys", self.quiet, "--ramp-ms", 10, "--json"]
        return filters.run_json(command, lambda: filters.tail(target.log))

    def start_crowd(self, target, seconds):
        command = [self.load, "--socket", f"unix:{target.path}", "--pid", target.process.pid, "--connections", DEAD_CONNECTIONS,
                   "--rate", DEAD_CONNECTIONS, "--seconds", seconds, "--ramp-ms", 0, "--session-messages", 1, "--hit-share", 0,
                   "--miss-expect", "continue", "--timeout", 60, "--json"]
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)

    def dead_server(self):
        """Up to 500 open sessions, 500 new ones a second, whose questions nobody answers; beside them some that ask nothing."""
        seconds = 3 if self.bench.args.quick else 15
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            target = self.start("dead", silent.getsockname()[1], "probe = false")
            alone = self.run_quiet(target, seconds)
            with self.start_crowd(target, seconds + 2) as process:
                beside = self.run_quiet(target, seconds)
                text = process.communicate()[0]
            if process.returncode != 0:
                raise filters.BenchError(f"sessions with questions: {text}\n{filters.tail(target.log)}")
            self.bench.stop_filters()
        crowd = json.loads(text)
        self.bench.raw["dns-dead"] = {"alone": alone, "beside": beside, "crowd": crowd}
        self.judge_dead(alone, beside, crowd)

    def judge_dead(self, alone, beside, crowd):
        def worst(run, figure):
            return max(one[figure] for name, one in run["latency"].items() if name != "message") / 1000

        add = self.bench.verdicts.add
        at = f"{DEAD_CONNECTIONS} sessions with a dead DNS server: "
        add(at + "longest wait for a reply", worst(crowd, "max_us"), TIMEOUT_MS + 1000, unit="ms")
        held_up = worst(beside, "p99_us") - worst(alone, "p99_us")
        add(at + "delay of those that ask nothing, p99", held_up, TARGET_HELD_UP_MS, unit="ms")
        add(at + "the same, longest", worst(beside, "max_us"), None, unit="ms")
        add(at + "memory", crowd["filter"]["rss_anon_peak_kib"] / 1024, None, unit="MiB")


def compare_dns(bench):
    load = DnsLoad(bench)
    servers = import_servers(bench)
    for connections in bench.args.connections:
        load.compare_lists(servers, connections)
    load.dead_server()
