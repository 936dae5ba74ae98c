#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares postern's pattern tables and header checks with those of the real Postfix on random ones."""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from postfixtest import checks, known, runner  # noqa: E402


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, epilog="See README.md beside this program.")
    parser.add_argument("--tables", type=int, default=2000, metavar="N", help="pcre tables of 25 keys (default %(default)s)")
    parser.add_argument("--messages", type=int, default=2000, metavar="N",
                        help="messages through header checks; as root (default %(default)s)")
    parser.add_argument("--seed", metavar="S", help="repeat a run; by default a new one is drawn and printed")
    parser.add_argument("--case", type=int, metavar="C", help="only this case of the seed; with --tables 0 or --messages 0")
    parser.add_argument("--mode", choices=checks.MODES, help="header checks of this kind only")
    parser.add_argument("--stop-after", type=int, default=5, metavar="D", help="end after D differences (default %(default)s)")
    parser.add_argument("--keep", metavar="DIR", help="work there and leave the files; a short path, for it holds sockets")
    return parser.parse_args(argv)


def show(difference, kind, seed):
    case = difference.case
    print("\n--- DIFFERENCE " + "-" * 60)
    for line in difference.lines:
        print(f"  {line}")
    if kind == "pcre":
        print("  table (lines end in %r):" % case.ending)
        print("\n".join(f"    {line!r}" for line in case.lines))
        again = "--messages 0"
    else:
        print(f"  header_checks (mode {case.mode}):")
        print("\n".join(f"    {line!r}" for line in case.header))
        if case.mode == "two":
            print("  mime_header_checks:")
            print("\n".join(f"    {line!r}" for line in case.mime))
        print("  message:")
        print("\n".join(f"    {line!r}" for message in case.messages[:1] for line in message.split(b"\n")))
        again = "--tables 0"
    print("\n".join(f"  {line}" for text in difference.shown for line in text.splitlines()))
    print(f"  again: tests/differential/differ_postfix.py --seed {seed} --case {case.number} {again}")


def main(argv=None):
    options = arguments(argv)
    seed = options.seed if options.seed is not None else str(random.SystemRandom().randrange(10**9))
    print(f"seed {seed}", flush=True)
    work = Path(options.keep or tempfile.mkdtemp(prefix="postern-judge-", dir="/run" if options.messages else None))
    work.mkdir(parents=True, exist_ok=True)
    work.chmod(0o755)
    known.used.clear()

    def numbers(count):
        return [options.case] if options.case is not None else range(count)

    summaries = []
    try:
        if options.tables:
            summaries.append(runner.run_pcre(seed, numbers(options.tables), work, options.stop_after))
        if options.messages:
            cases = numbers(-(-options.messages // runner.MESSAGES))
            summaries.append(runner.run_headers(seed, cases, work, options.stop_after, options.mode))
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    for summary in summaries:
        print(summary.line())
    print("known differences that were met:")
    print("\n".join(known.report()) or "  none")
    found = [(one, summary.kind) for summary in summaries for one in summary.differences]
    for difference, kind in found:
        show(difference, kind, seed)
    print(f"\n{len(found)} differences: " + ("FAILED" if found else "PASSED"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
