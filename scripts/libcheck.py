# SPDX-License-Identifier: GPL-3.0-or-later
"""What the check-* scripts share: finding sources, reading C without its comments, reporting."""
import argparse
import re
import sys
from pathlib import Path

CODE_FOLDERS = ("lib", "milter", "ctl")
_TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def arguments(description, *more):
    """Parse the command line: --root DIR (default: this checkout) and the options in `more`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent,
                        help="top of the source tree")
    for name, options in more:
        parser.add_argument(name, **options)
    return parser.parse_args()


def files(root, folders, suffixes):
    """All files with one of `suffixes` below `folders`, as sorted paths relative to `root`."""
    found = []
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts:
                found.append(path.relative_to(root))
    return sorted(found)


def without_comments(text, keep_strings=True):
    """C text with each comment (and each literal, if asked) blanked, line numbers unchanged."""
    def blank(match):
        token = match.group()
        if token[0] in "\"'":
            return token if keep_strings else token[0] * 2
        return "\n" * token.count("\n") or " "
    return _TOKENS.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def finish(name, problems, examined):
    """Print every problem and leave with the status that tells whether there was one."""
    for problem in problems:
        print(problem)
    if not examined:
        print(f"{name}: found nothing to check")
    print(f"{name}: {examined} checked, {len(problems)} problems")
    sys.exit(1 if problems or not examined else 0)
