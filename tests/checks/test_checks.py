# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of scripts/check-*.py find what they are there for, and nothing in a clean tree."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(os.environ.get("POSTERN_SOURCE", Path(__file__).resolve().parents[2]))
HEAD = "/* SPDX-License-Identifier: GPL-3.0-or-later */\n"

CLEAN = {
    "lib/base/strbuf.h": HEAD,
    "lib/base/strbuf.c": HEAD + '#include "lib/base/strbuf.h"\n\n#include <string.h>\n'
                         "/* strcpy() and SMFIS_ACCEPT in a comment are no use of them. */\n",
    "lib/table/table.h": HEAD + '#include "lib/base/strbuf.h"\n',
    "lib/table/table_gdbm.c": HEAD + '#include "lib/table/table.h"\n\n#include <gdbm.h>\n',
    "lib/policy/action.c": HEAD + 'static int is(const char *s)\n{\n    return strcasecmp(s, "REJECT") == 0;\n}\n',
    "lib/policy/config.c": HEAD + 'static cfg_opt_t o[] = {\n    CFG_STR("listen", "", CFGF_NONE),\n    CFG_END(),\n};\n',
    "milter/mfi_libmilter.c": HEAD + "#include <libmilter/mfapi.h>\nint f(void)\n{\n    return SMFIS_CONTINUE;\n}\n",
    "ctl/cmd_query.c": HEAD + '#include "lib/table/table.h"\n#include "lib/base/strbuf.h"\n',
    "tests/unit/test_x.c": HEAD,
    "scripts/x.sh": "#!/bin/sh\n# SPDX-License-Identifier: GPL-3.0-or-later\n",
    "man/postern.conf.5": ".Dd January 1, 2026\n.Dt POSTERN.CONF 5\n.Os\n.Sh NAME\n.Nm postern.conf\n"
                          ".Nd configuration of postern\n.Sh DESCRIPTION\nThe key\n.Cm listen .\n",
    "man/posternctl.8": ".Dd January 1, 2026\n.Dt POSTERNCTL 8\n.Os\n.Sh NAME\n.Nm posternctl\n"
                        ".Nd command of postern\n.Sh DESCRIPTION\nThe verb\n.Cm query .\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in CLEAN.items():
        add(tmp_path, name, text)
    return tmp_path


def add(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def check(name, root, *options):
    done = subprocess.run([sys.executable, "-B", SOURCE / "scripts" / f"check-{name}.py", "--root", root, *options],
                          capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["layers", "sizes", "actions", "docs"])
def test_clean_tree_passes(tree, name):
    status, output = check(name, tree)
    assert status == 0, output


@pytest.mark.parametrize("name", ["layers", "sizes", "actions", "docs"])
def test_empty_tree_is_no_success(tmp_path, name):
    for folder in ("lib", "milter", "ctl", "man"):
        (tmp_path / folder).mkdir()
    assert check(name, tmp_path)[0] == 1


LAYER_FAULTS = [
    ("lib/base/bad.c", '#include "lib/table/table.h"\n', "lib/base/bad.c:2: \"lib/table/table.h\" is of a layer below"),
    ("lib/table/bad.h", '#include "ctl/cmd.h"\n', "lib/table/bad.h:2:"),
    ("lib/table/bad.c", '#include "table.h"\n', "write includes from the top"),
    ("lib/table/bad.c", '#  include <gdbm.h>\n', "may include <gdbm.h>"),
    ("lib/policy/bad.c", '#include <libmilter/mfapi.h>\n', "may include <libmilter/mfapi.h>"),
    ("milter/callbacks.c", '#include <libmilter/mfapi.h>\n', "may include <libmilter/mfapi.h>"),
    ("lib/table/table_gdbm.c", '#include <pcre2.h>\n', "may include <pcre2.h>"),
    ("lib/policy/bad.c", '#include <ares.h>\n', "may include <ares.h>"),
    ("lib/relay/bad.c", '#include <hiredis/hiredis.h>\n', "may include <hiredis/hiredis.h>"),
    ("lib/policy/bad.c", "int f(void)\n{\n    return SMFIS_REJECT;\n}\n", "lib/policy/bad.c:4: SMFIS_REJECT"),
    ("milter/mfi_libmilter.c", "int f(void)\n{\n    return SMFIS_ACCEPT;\n}\n", "SMFIS_ACCEPT would end"),
    ("milter/bad.c", "void f(void)\n{\n    longjmp(b, 1);\n}\n", "longjmp"),
    ("lib/base/bad.c", "char *f(char *s)\n{\n    return strtok(s, \",\");\n}\n", "strtok"),
    ("lib/stray.c", "", "not in the folder of a layer"),
    ("ctl/sub/stray.c", "", "not in the folder of a layer"),
]


@pytest.mark.parametrize("name, text, message", LAYER_FAULTS)
def test_layer_fault_is_found(tree, name, text, message):
    add(tree, "ctl/cmd.h", HEAD)
    add(tree, name, HEAD + text)
    status, output = check("layers", tree)
    assert status == 1
    assert message in output


OBJECT_FAULTS = [
    ("int counter = 1;", "counter in .data"),
    ("int zero;", "zero in .bss"),
    ("static int hidden; int *f(void) { return &hidden; }", "hidden in .bss"),
    ("char *f(void) { static char text[9]; return text; }", "text.0 in .bss"),
    ("_Thread_local int mine;", "mine in .tbss"),
]


def library(tmp_path, code):
    (tmp_path / "x.c").write_text(code)
    subprocess.run(["gcc", "-O2", "-fPIE", "-c", "x.c"], cwd=tmp_path, check=True)
    subprocess.run(["ar", "cr", "libx.a", "x.o"], cwd=tmp_path, check=True)
    return tmp_path / "libx.a"


@pytest.mark.parametrize("code, message", OBJECT_FAULTS)
def test_state_in_a_library_is_found(tree, code, message):
    status, output = check("layers", tree, "--library", library(tree, code))
    assert status == 1
    assert message in output


def test_constants_in_a_library_are_no_state(tree):
    code = 'const int n = 7; static const char *const words[] = {"a", "b"}; const char *f(int i) { return words[i]; }'
    status, output = check("layers", tree, "--library", library(tree, code))
    assert status == 0, output


def function(lines, name="long_one"):
    return f"int {name}(void)\n{{\n" + "    x();\n" * (lines - 3) + "}\n"


def test_function_of_100_lines_passes(tree):
    add(tree, "lib/base/big.c", HEAD + "\n" + function(100))
    assert check("sizes", tree)[0] == 0


def test_function_over_100_lines_is_found(tree):
    add(tree, "lib/base/big.c", HEAD + "\n" + function(5, "short_one") + "\n" + function(101))
    status, output = check("sizes", tree)
    assert status == 1
    assert "lib/base/big.c:9: long_one() has 101 lines" in output
    assert "short_one" not in output


def test_long_table_is_no_function(tree):
    add(tree, "lib/base/big.c", HEAD + "static const int t[] = {\n" + "    1,\n" * 200 + "};\n")
    assert check("sizes", tree)[0] == 0


@pytest.mark.parametrize("lines, status", [(500, 0), (501, 1)])
def test_file_over_500_lines_is_found(tree, lines, status):
    add(tree, "tests/unit/test_big.c", HEAD + "\n" * (lines - 1))
    assert check("sizes", tree)[0] == status


@pytest.mark.parametrize("name", ["lib/base/a.c", "ctl/a.h", "scripts/a.py", "tests/a.sh"])
def test_missing_licence_is_found(tree, name):
    add(tree, name, "int x;\n")
    status, output = check("sizes", tree)
    assert status == 1
    assert f"{name}:1:" in output


ACTION_FAULTS = [
    'if (strcasecmp(rhs, "DISCARD") == 0)',
    'if (strncmp(rhs, "ERROR:", 6) == 0)',
    'if (str_has_prefix(rhs,\n                       "QUARANTINE:"))',
    'return span_eq(value, "SKIP");',
]


@pytest.mark.parametrize("line", ACTION_FAULTS)
def test_second_parser_of_actions_is_found(tree, line):
    add(tree, "lib/policy/access_rules.c", HEAD + f"void f(void)\n{{\n    {line}\n}}\n")
    status, output = check("actions", tree)
    assert status == 1
    assert "lib/policy/access_rules.c:" in output


def test_printing_a_verb_is_no_parsing(tree):
    add(tree, "ctl/cmd_explain.c", HEAD + 'void f(void)\n{\n    puts("REJECT");\n    /* strcmp("OK") */\n}\n')
    assert check("actions", tree)[0] == 0


def test_undocumented_key_is_found(tree):
    add(tree, "lib/policy/config_extra.c", HEAD + 'x = CFG_INT("listen_mode", 0, CFGF_NONE);\n')
    status, output = check("docs", tree)
    assert status == 1
    assert "lib/policy/config_extra.c:2: key listen_mode is not in postern.conf.5" in output


def test_undocumented_verb_is_found(tree):
    add(tree, "ctl/cmd_reload.c", HEAD)
    status, output = check("docs", tree)
    assert status == 1
    assert "verb reload is not in posternctl.8" in output


def test_faulty_page_is_found(tree):
    add(tree, "man/postern.8", CLEAN["man/posternctl.8"] + ".Bl -tag\n")
    status, output = check("docs", tree)
    assert status == 1
    assert "man/postern.8:" in output


def test_reference_to_a_page_that_does_not_exist_is_found(tree):
    add(tree, "man/posternctl.8", CLEAN["man/posternctl.8"] + "See\n.Xr postern-nothing 5 .\n")
    status, output = check("docs", tree)
    assert status == 1
    assert "postern-nothing(5), which does not exist" in output
