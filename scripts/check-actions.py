#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Right-hand sides are parsed in one place: only lib/policy/action.c compares their verbs."""
import re

import libcheck

PARSER = "lib/policy/action.c"
# OK is not among them: {client_resolve} and {verify} of the MTA say it too.
VERBS = "RELAY REJECT DISCARD SKIP FRIEND HATER QUARANTINE ERROR".split()
# A call of something that compares, with a verb among its arguments; or a case of a verb's text in a table of verbs.
COMPARE = re.compile(r"\b(\w*(?:cmp|_eq|equals?|_is|prefix|starts?_with|strcasestr|strstr))\s*\(([^;{]*?)"
                     r'"(' + "|".join(VERBS) + r'):?"', re.I)


def main():
    args = libcheck.arguments(__doc__)
    problems = []
    sources = libcheck.files(args.root, libcheck.CODE_FOLDERS, (".c", ".h"))
    for path in sources:
        if str(path) == PARSER:
            continue
        text = libcheck.without_comments((args.root / path).read_text(errors="replace"))
        for match in COMPARE.finditer(text):
            if match.group(3).isupper():
                problems.append(f'{path}:{libcheck.line_of(text, match.start(3))}: {match.group(1)}() with '
                                f'"{match.group(3)}": only {PARSER} compares verbs')
    libcheck.finish("check-actions", problems, len(sources))


if __name__ == "__main__":
    main()
