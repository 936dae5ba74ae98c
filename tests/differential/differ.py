#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares postern's decisions with those of the real Sendmail on random transactions."""

import argparse
import random
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from difftest import dns_cases, features, generate, known, live, minimise, runner  # noqa: E402
from difftest.oracle import Oracle  # noqa: E402
from difftest.sendmail import Sendmail  # noqa: E402

SHOWN = 5


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, epilog="See README.md beside this program.")
    parser.add_argument("--count", type=int, default=10000, metavar="N", help="number of transactions (default %(default)s)")
    parser.add_argument("--seed", type=int, metavar="S", help="repeat a run; by default a new one is drawn and printed")
    parser.add_argument("--batch", type=int, metavar="B", help="only this batch of the seed")
    parser.add_argument("--features", metavar="LIST", help="only this feature set: names of postern.conf with commas between "
                        "them, trust=PLAIN+LOGIN, cert=cn, own_texts; 'none' for no feature")
    parser.add_argument("--relay-control", choices=("mta", "milter"), help="only this; by default one batch of four is mta's")
    parser.add_argument("--access", metavar="FILE", help="this access file in place of random ones")
    parser.add_argument("--live", type=int, metavar="M", help="send M transactions through live Sendmail daemons instead")
    parser.add_argument("--dns", type=int, metavar="N", help="N transactions that ask a DNS server instead")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="batches at a time (default %(default)s)")
    parser.add_argument("--stop-after", type=int, default=20, metavar="D", help="stop after D differences (default %(default)s)")
    parser.add_argument("--all", action="store_true", help="show all differences, not just %d" % SHOWN)
    parser.add_argument("--no-minimise", action="store_true", help="show differences as they were found")
    parser.add_argument("--keep", metavar="DIR", help="work there and leave the files")
    parser.add_argument("--list-sets", action="store_true", help="print the feature sets and exit")
    return parser.parse_args(argv)


def make_batches(options, seed):
    chosen = None
    if options.features is not None:
        chosen = features.parse("" if options.features == "none" else options.features)
    if options.batch is not None:
        made = [generate.batch(seed, options.batch, feature_set=chosen, control=options.relay_control)]
    else:
        made = list(generate.batches(seed, options.count, chosen, control=options.relay_control))
    if options.access:
        lines = Path(options.access).read_text(encoding="utf-8").splitlines()
        made = [replace(batch, access=lines, map_missing=False) for batch in made]
    return made


def make_dns_batches(options, seed, server):
    if options.batch is not None:
        return [dns_cases.batch(seed, options.batch, server)]
    return list(dns_cases.batches(seed, options.dns, server))


def show(difference, seed):
    small = difference.batch
    number = str(small.number).split("-")[0]
    print("\n--- DIFFERENCE " + "-" * 60)
    for line in difference.lines:
        print(f"  {line}")
    print(f"  seed {seed} batch {number} relay_control: {small.relay_control} features: {small.features.line()}"
          + (" MAP MISSING" if small.map_missing else ""))
    print(f"  names: {small.names}")
    print("  access file:")
    for line in difference.access:
        print(f"    {line}")
    print(f"  transaction: {difference.transaction.line()}")
    print("  Sendmail (known differences applied):")
    print(difference.want.show())
    print("  postern:")
    print(difference.have.show())
    if small.features.dns:
        print(f"  again: tests/differential/differ.py --dns 1 --seed {seed} --batch {number}")
        return
    print(f"  again: tests/differential/differ.py --seed {seed} --batch {number}"
          + (f" --features '{features.spell(small.features) or 'none'}'" if "-" in str(small.number) else "")
          + (f" --relay-control {small.relay_control}" if "-" in str(small.number) else ""))
    print(f"  alone, with --keep DIR: {difference.command}")


def report(summary, seed, options, oracle, work):
    print(f"seed {seed}: {summary.transactions} transactions, {len(summary.feature_sets)} feature sets, "
          f"{summary.seconds:.1f} s; {summary.skipped} refused by Sendmail's parser before any filter is asked")
    stages = sorted(summary.decided)
    print("decided: " + ", ".join(f"{stage} {kind} {summary.decided[stage, kind]}" for stage, kind in stages))
    print(f"relay_control: milter {summary.relaying}, mta {summary.transactions - summary.relaying} transactions; "
          f"relaying denied {summary.denied} times")
    print("known differences of DESIGN that were met:")
    print("\n".join(known.report()) or "  none")
    for batch, said in summary.surprises:
        print(f"\n--- SURPRISE in batch {batch.number} (features: {batch.features.line()})\n  {said}")
    for batch, transaction, index, plain, verdict in summary.inconsistent[:SHOWN]:
        print(f"\n--- THE ORACLE DISAGREES WITH ITSELF in batch {batch.number}: {batch.features.line()}\n"
              f"  {transaction.line()}\n  recipient {index}: plain {plain.show()!r}, open {verdict.show()!r}")
    shown = summary.differences if options.all else summary.differences[:SHOWN]
    for difference in shown:
        show(difference if options.no_minimise else minimise.minimise(difference, oracle, work), seed)
    print(f"\n{len(summary.differences)} differences, {len(summary.surprises)} surprises"
          + (f", {len(shown)} shown" if len(shown) < len(summary.differences) else "")
          + (": PASSED" if summary.passed else ": FAILED"))


def main(argv=None):
    options = arguments(argv)
    if options.list_sets:
        for number, chosen in enumerate(features.all_sets()):
            print(f"{number:3} {chosen.line()}")
        return 0
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**9)
    print(f"seed {seed}", flush=True)
    if options.live:
        return live.main(seed, options.live, options)
    work = Path(options.keep or tempfile.mkdtemp(prefix="postern-differ-"))
    work.mkdir(parents=True, exist_ok=True)
    world = None
    try:
        if options.dns:
            work.chmod(0o755)  # the DNS servers do not run as root
            world = dns_cases.World(work / "dns")
            sendmail = Sendmail(work, dns_port=world.server.port)
            sendmail.preload(dns_cases.REVERSE)
            batches = make_dns_batches(options, seed, world.server.address)
        else:
            sendmail, batches = Sendmail(work), make_batches(options, seed)
        oracle = Oracle(sendmail, work)
        summary = runner.run(batches, oracle, work, options.jobs, options.stop_after)
        report(summary, seed, options, oracle, work)
    finally:
        if world:
            world.close()
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    return 0 if summary.passed else 1


if __name__ == "__main__":
    sys.exit(main())
