#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""No file over 500 lines, no function over 100, and each source file starts with its licence.

Functions are found by the layout that clang-format gives them: an opening and a closing brace in the first column.
"""
import re

import libcheck

FILE_LINES = 500
FUNCTION_LINES = 100
FUNCTION_GOAL = 60
HEAD_LINES = 3
LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
NAME = re.compile(r"(\w+)\(")


def functions(lines):
    """Yield (name, first line, lines) of each C function; the signature counts as part of it."""
    start = 0
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
            while start > 1 and lines[start - 2].strip() and lines[start - 2][-1:] not in ";}" \
                    and not lines[start - 2].startswith(("#", "/*", " */", "//")):
                start -= 1
        elif line.rstrip() == "}" and start:
            match = NAME.search(" ".join(lines[start - 1:number]))
            yield (match.group(1) if match else "?"), start, number - start + 1
            start = 0


def main():
    args = libcheck.arguments(__doc__.splitlines()[0],
                              ("--goal", {"action": "store_true",
                                          "help": f"also name the functions over {FUNCTION_GOAL} lines"}))
    problems = []
    sources = libcheck.files(args.root, (*libcheck.CODE_FOLDERS, "tests", "scripts"), (".c", ".h", ".py", ".sh"))
    for path in sources:
        lines = (args.root / path).read_text(errors="replace").splitlines()
        if len(lines) > FILE_LINES:
            problems.append(f"{path}: {len(lines)} lines, more than {FILE_LINES}")
        if lines and not any(LICENCE in line for line in lines[:HEAD_LINES]):
            problems.append(f"{path}:1: no line \"{LICENCE}\" at the head")
        if path.suffix not in (".c", ".h"):
            continue
        for name, line, length in functions(lines):
            if length > FUNCTION_LINES:
                problems.append(f"{path}:{line}: {name}() has {length} lines, more than {FUNCTION_LINES}")
            elif args.goal and length > FUNCTION_GOAL:
                print(f"{path}:{line}: {name}() has {length} lines (goal: {FUNCTION_GOAL})")
    libcheck.finish("check-sizes", problems, len(sources))


if __name__ == "__main__":
    main()
