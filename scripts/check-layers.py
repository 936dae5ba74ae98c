#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folder = layer: who may include whom, which file may use which library, and no hidden state in lib/.

A file includes headers of its own folder and of the folders before it in LAYERS. With --library, the objects of
libpostern.a are searched for data that can change: nothing in lib/ may live outside what a caller owns.
"""
import fnmatch
import re
import subprocess

import libcheck

LAYERS = ["lib/base", "lib/mail", "lib/table", "lib/dns", "lib/relay", "lib/policy", "milter", "ctl"]

# system header -> the files that may include it
LIBRARY_USERS = {
    "libmilter/*": ["milter/mfi_libmilter.c"],
    "gdbm.h": ["lib/table/table_gdbm.c", "lib/table/mapfile.c", "lib/relay/relay_store_gdbm.c"],
    "pcre2*.h": ["lib/table/pattern_pcre2.h"],
    "hs/*": ["lib/table/prefilter_hyperscan.c"],
    "ares*.h": ["lib/dns/dns_transport.c"],
    "idn2.h": ["lib/mail/idna.c"],
    "hiredis*": ["lib/relay/relay_redis_link.c"],
    "openssl/*": ["lib/relay/relay_redis_tls.c"],
    "confuse.h": ["lib/policy/config*"],
}

# word -> the files that may use it, and why others may not
WORD_USERS = [
    (r"SMFIS_ACCEPT", [], "SMFIS_ACCEPT would end all later checks of the session"),
    (r"SMFI[SRF]_\w+|smfi_\w+", ["milter/mfi_libmilter.c"], "libmilter is known to milter/mfi_libmilter.c alone"),
    (r"_?(?:sig)?(?:setjmp|longjmp)", [], "no jumps across functions"),
    (r"strtok|asctime|ctime|localtime|gmtime|inet_ntoa|gethostbyname|gethostbyaddr", [],
     "its result lives in a static buffer, shared by all threads"),
    (r"strcpy|strcat|sprintf|vsprintf|gets", [], "writes without a bound"),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
# Symbol table of objdump -t: value, flags, section, size, name.
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+\s+(?:\.hidden )?(\S+)$")


def layer(path):
    folder = str(path.parent)
    return LAYERS.index(folder) if folder in LAYERS else None


def allowed(path, patterns):
    return any(fnmatch.fnmatch(str(path), pattern) for pattern in patterns)


def include_problem(root, path, quote, target):
    if quote == "<":
        for header, users in LIBRARY_USERS.items():
            if fnmatch.fnmatch(target, header) and not allowed(path, users):
                return f"only {', '.join(users)} may include <{target}>"
        return None
    if target == "config.h":
        return None
    target_path = (root / target)
    if not target_path.is_file():
        return f'"{target}": write includes from the top of the tree ("lib/base/strbuf.h")'
    theirs = layer(target_path.relative_to(root))
    if theirs is None:
        return f'"{target}" belongs to no layer'
    if theirs > layer(path):
        return f'"{target}" is of a layer below {path.parent}'
    return None


def check_source(root, path, problems):
    if layer(path) is None:
        problems.append(f"{path}: not in the folder of a layer ({' '.join(LAYERS)})")
        return
    text = libcheck.without_comments((root / path).read_text(errors="replace"))
    for match in INCLUDE.finditer(text):
        problem = include_problem(root, path, *match.groups())
        if problem:
            problems.append(f"{path}:{libcheck.line_of(text, match.start())}: {problem}")
    bare = libcheck.without_comments(text, keep_strings=False)
    for words, users, why in WORD_USERS:
        for match in re.finditer(rf"\b(?:{words})\b", bare):
            if not allowed(path, users):
                problems.append(f"{path}:{libcheck.line_of(bare, match.start())}: {match.group()}: {why}")


def check_library(library, problems):
    """Report every symbol that lies in writable memory (.data.rel.ro is constant once relocated)."""
    listing = subprocess.run(["objdump", "-t", library], check=True, capture_output=True, text=True).stdout
    member, symbols = "?", 0
    for line in listing.splitlines():
        if line.endswith(("elf64-x86-64", "elf64-littleaarch64")) or ":     file format" in line:
            member = line.split(":")[0]
            continue
        match = SYMBOL.match(line)
        if not match:
            continue
        symbols += 1
        flags, section, name = match.groups()
        writable = section.startswith((".data", ".bss", ".tdata", ".tbss", "*COM*"))
        if writable and not section.startswith(".data.rel.ro") and "d" not in flags:
            problems.append(f"{library}({member}): {name} in {section}: lib/ keeps no state of its own")
    if not symbols:
        problems.append(f"{library}: no symbols found")


def main():
    args = libcheck.arguments(__doc__.splitlines()[0], ("--library", {"help": "libpostern.a of a plain build"}))
    problems = []
    sources = libcheck.files(args.root, libcheck.CODE_FOLDERS, (".c", ".h"))
    for path in sources:
        check_source(args.root, path, problems)
    if args.library:
        check_library(args.library, problems)
    libcheck.finish("check-layers", problems, len(sources))


if __name__ == "__main__":
    main()
