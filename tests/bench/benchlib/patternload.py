# SPDX-License-Identifier: GPL-3.0-or-later
"""What patterns cost: by themselves, and header checks in whole messages."""
import random

from . import compare, filters, makemap, maps, patterns

TARGET_MANY, TARGET_FEW = 0.90, 0.75
FEW, SOME, MANY = 100, 1000, 10000
HEADERS_KEYS = """\
header_checks = "{checks}"
"""


def write_subjects(folder):
    """Files of subjects, one a line; long headers are folded."""
    rng = random.Random(5)
    ordinary = [field for _ in range(100) for field in patterns.ordinary_headers(rng)]
    files = {"headers": ordinary, "near misses": patterns.near_misses(rng, 2000)}
    for name, lines in files.items():
        (folder / name.replace(" ", "-")).write_text("\n".join(lines) + "\n", encoding="ascii")
    return {name: folder / name.replace(" ", "-") for name in files}


def write_patterns(folder, count):
    path = folder / f"patterns-{count}"
    path.write_text(patterns.table_lines(patterns.Patterns().header_patterns(count), "REJECT not wanted here"), encoding="ascii")
    return path


def own_folder(bench):
    folder = bench.work / "patterns"
    folder.mkdir(exist_ok=True)
    return folder


def time_patterns(bench):
    """A table by itself, with and without the prefilter."""
    folder = own_folder(bench)
    subjects = write_subjects(folder)
    for count in (FEW, SOME) if bench.args.quick else (FEW, SOME, MANY, 2 * MANY):
        table = write_patterns(folder, count)
        for name, path in subjects.items():
            rounds = ["--rounds", "3", "--linear-rounds", "1"] if bench.args.quick else ["--rounds", "50"]
            result = filters.run_json([bench.program("tests/bench/regexbench"), "--json", "--patterns", table,
                                       "--subjects", path, *rounds])
            bench.raw[f"patterns-{count}-{name}"] = result
            what = f"{count} patterns, {name}: "
            bench.verdicts.add(what + "time of a subject", result["ns"] / 1000, None, unit="us")
            bench.verdicts.add(what + "one after another", result["linear_ns"] / 1000, None, unit="us")
        bench.verdicts.add(f"{count} patterns: time to load", result["load_ms"] + result["compile_ms"], None, unit="ms")
        bench.verdicts.add(f"{count} patterns: memory", result["memory_kib"] / 1024, None, unit="MiB")


class HeaderLoad:
    """The same messages to postern with some patterns, with many, and to a filter that has the headers sent for nothing."""

    def __init__(self, bench, folder):
        self.bench, self.folder = bench, folder
        self.messages = folder / "messages"
        rng = random.Random(7)
        text = "\n\n".join("\n".join(patterns.ordinary_headers(rng)) for _ in range(500))
        self.messages.write_text(text + "\n", encoding="ascii")

    def start_postern(self, count):
        folder = self.folder / f"headers-{count}"
        folder.mkdir(exist_ok=True)
        maps.AccessMap(1000).write_text(folder / "access")
        config = filters.write_config(folder, self.bench.args.log_level)
        text = config.read_text(encoding="utf-8")
        config.write_text(text + HEADERS_KEYS.format(checks=write_patterns(folder, count)), encoding="utf-8")
        makemap.posternctl_makemap(self.bench.program("posternctl"), config)
        return self.bench.start(f"postern-{count}", [self.bench.program("postern"), "-c", config, "-f"], folder / "milter.sock")

    def start_null(self, options):
        path = self.folder / "null.sock"
        null = self.bench.start("nullmilter-headers", [self.bench.program("tests/bench/nullmilter"), "--socket",
                                                       f"unix:{path}", *options], path)
        if null.negotiated() != options:
            raise filters.BenchError(f"nullmilter does not negotiate as postern does: {null.negotiated()}, {options}")
        return null

    def compare(self, connections):
        counts = [1, FEW, MANY]
        started = {count: self.start_postern(count) for count in counts}
        started["null"] = self.start_null(started[1].negotiated())
        load = self.bench.program("tests/bench/milterload")

        def measure(name, number):
            options = [*self.bench.options(connections, number + 1, [], 0), "--header-file", self.messages]
            return filters.run_load(load, started[name], options)

        runs = compare.alternate(["null", *counts], measure, self.bench.args.pairs)
        self.bench.stop_filters()
        self.bench.raw[f"headers-{connections}"] = {str(name): run for name, run in runs.items()}
        self.judge(connections, runs)

    def judge(self, connections, runs):
        def rate(run):
            return run["messages_per_s"]

        def cpu(run):
            return run["filter"]["cpu_us_per_message"]

        add = self.bench.verdicts.add
        at = f"headers, {connections} connections: "
        for count, target in ((MANY, TARGET_MANY), (FEW, TARGET_FEW), (1, None)):
            add(at + f"messages/s with {count} patterns, of a filter that does nothing",
                compare.ratio(runs[count], runs["null"], rate), target, at_least=True)
        add(at + f"messages/s with {MANY} patterns, of those with one", compare.ratio(runs[MANY], runs[1], rate), TARGET_MANY,
            at_least=True)
        for name in runs:
            what = f"{name} patterns" if name != "null" else name
            add(at + f"{what}: CPU a message", compare.median(runs[name], cpu), None, unit="us")
            add(at + f"{what}: messages/s", compare.median(runs[name], rate), None)


def compare_headers(bench):
    load = HeaderLoad(bench, own_folder(bench))
    for connections in bench.args.connections:
        load.compare(connections)
