#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manuals keep up with the programs.

Every key and feature that lib/policy/config*.c knows is in postern.conf(5), every verb of ctl/ in posternctl(8), every
page named by another exists, and mandoc finds nothing to warn of.
"""
import re
import subprocess

import libcheck

MANDOC = ["mandoc", "-Tlint", "-Wwarning"]
KEY = re.compile(r'\b(?:CFG|KEY)_(?!END)[A-Z_]+\(\s*"([a-z0-9_]+)"|\{\s*\.?(?:name|key)?\s*=?\s*"([a-z][a-z0-9_]+)",')
CROSS_REFERENCE = re.compile(r"(?:^\.Xr (\S+) (\d))|(?:\\fB(postern[\w.-]*)\\fR?P?\((\d)\))", re.M)


def config_words(root):
    """Keys, section names and feature names, each with the place where the program names it."""
    words = {}
    for path in sorted((root / "lib/policy").glob("config*.c")):
        text = libcheck.without_comments(path.read_text())
        for match in KEY.finditer(text):
            word = match.group(1) or match.group(2)
            words.setdefault(word, f"{path.relative_to(root)}:{libcheck.line_of(text, match.start())}")
    return words


def verbs(root):
    return {path.stem[len("cmd_"):]: str(path.relative_to(root)) for path in sorted((root / "ctl").glob("cmd_*.c"))}


def plain(page):
    """The page's text as a reader searches it: without roff's escapes for hyphens and the like."""
    return page.read_text().replace("\\-", "-").replace("\\&", "").replace("\\_", "_") if page.is_file() else ""


def missing(words, page, what, problems):
    text = plain(page)
    for word, place in words.items():
        if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text):
            problems.append(f"{place}: {what} {word} is not in {page.name}")


def lint(page, root, problems):
    try:
        done = subprocess.run([*MANDOC, page.name], cwd=page.parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        problems.append(f"mandoc is not installed: {page.name} was not checked")
        return
    # A page that is not installed on this machine is no fault of the one that names it.
    lines = [line for line in (done.stdout + done.stderr).splitlines()
             if "referenced manual not found" not in line and "operating system explicitly" not in line]
    problems.extend(f"{page.parent.relative_to(root)}/{line.removeprefix('mandoc: ')}" for line in lines)


def main():
    args = libcheck.arguments(__doc__.splitlines()[0])
    root, problems = args.root, []
    manual = root / "man"
    keys, commands = config_words(root), verbs(root)
    if not keys:
        problems.append("lib/policy/config*.c: found no key; does this check still know its tables?")
    if not commands:
        problems.append("ctl/cmd_*.c: found no verb")
    missing(keys, manual / "postern.conf.5", "key", problems)
    missing(commands, manual / "posternctl.8", "verb", problems)
    pages = sorted(page for page in manual.glob("*.[1-9]"))
    for page in pages:
        lint(page, root, problems)
        for match in CROSS_REFERENCE.finditer(page.read_text()):
            name, section = (match.group(1), match.group(2)) if match.group(1) else (match.group(3), match.group(4))
            if name.startswith("postern") and not (manual / f"{name}.{section}").is_file():
                problems.append(f"man/{page.name}: names {name}({section}), which does not exist")
    libcheck.finish("check-docs", problems, len(pages) and len(pages) + len(keys) + len(commands))


if __name__ == "__main__":
    main()
