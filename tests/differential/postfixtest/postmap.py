# SPDX-License-Identifier: GPL-3.0-or-later
"""The unpacked Postfix with its pcre tables: where it lies, and `postmap -q`."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "tests/integration"))
from harness import tools  # noqa: E402

PLUGIN = "usr/lib/postfix/postfix-pcre.so"


class PostfixError(Exception):
    """The judge itself could not be asked."""


def plugin():
    root, _ = tools.unpack("postfix-pcre")
    return root / PLUGIN


def write_dynamicmaps(folder):
    """What tells Postfix where its table type pcre lies; `folder` becomes meta_directory."""
    (folder / "dynamicmaps.cf").write_text(f"pcre {plugin()} dict_pcre_open\n")


class Postmap:
    """`postmap -q - pcre:FILE`. Postfix's own key check (only UTF-8 is asked for) is off unless `utf8` is set."""

    def __init__(self, work, utf8=False):
        self.work = Path(work)
        root, libraries = tools.unpack("postfix")
        self.program = root / "usr/sbin/postmap"
        folder = self.work / ("postmap-utf8" if utf8 else "postmap")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "main.cf").write_text(
            "compatibility_level = 3.6\n"
            f"meta_directory = {folder}\n"
            f"shlib_directory = {root}/usr/lib/postfix\n"
            "mail_owner = daemon\nsetgid_group = games\nmyhostname = judge.example\n"
            f"smtputf8_enable = {'yes' if utf8 else 'no'}\n")
        write_dynamicmaps(folder)
        self.env = tools.environment(libraries, {"MAIL_CONFIG": str(folder)})

    def query(self, table, keys):
        """Asks for all keys: a list of results (bytes, None for no match), and the warnings as text."""
        for key in keys:
            if b"\n" in key or b"\0" in key:
                raise ValueError(f"postmap takes one key a line: {key!r}")
        done = subprocess.run([self.program, "-q", "-", f"pcre:{table}"], input=b"".join(key + b"\n" for key in keys),
                              env=self.env, capture_output=True, check=False)
        warnings = done.stderr.decode(errors="backslashreplace")
        if done.returncode not in (0, 1):
            raise PostfixError(f"postmap exited {done.returncode}: {warnings}")
        return self.results(done.stdout, keys), warnings

    @staticmethod
    def results(printed, keys):
        lines = printed.split(b"\n")[:-1]
        results, at = [], 0
        for key in keys:
            # Only keys that were found are printed, in order: the answer to this one, or to a later one.
            if at < len(lines) and lines[at].startswith(key + b"\t"):
                results.append(lines[at][len(key) + 1 :])
                at += 1
            else:
                results.append(None)
        if at != len(lines):
            raise PostfixError(f"postmap printed what was not asked: {lines[at]!r}")
        return results
