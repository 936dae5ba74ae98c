# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files of patterns: loaded beside the running rules, told of by status, and deciding as small ones do."""

import json

from harness import mail, tools
from harness.site import unique

# Patterns that hold words, and patterns that hold none. Both in an `if`, and beside negated ones.
WORDS = "".join(f"/^X-Test:.*offer{number:04d}/ REJECT word {number}\n" for number in range(2000))
SHAPES = "".join(f"/^X-Test: *[a-m]{{{1 + number // 20}}}[0-9]{{{1 + number % 20}}}[x-z]$/ REJECT shape {number}\n"
                 for number in range(300))
BLOCK = "if !/^X-Test: +quiet/\n" + SHAPES + "endif\n"


def patterns(daemon):
    return {file["name"]: file for file in json.loads(daemon.control("--json", "status").stdout)["patterns"]}


def wait_for_database(daemon):
    tools.wait_for(lambda: not any(file["compiling"] for file in patterns(daemon).values()), "the database of patterns",
                   timeout=120)


def answer(site, value):
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        return str(client.data(mail.message(unique("many"), f"X-Test: {value}")))


def check_answers(site):
    assert answer(site, "an Offer0042 for you") == "550 5.7.1 word 42"
    assert answer(site, "offer1999 and offer0001") == "550 5.7.1 word 1"
    assert answer(site, "abc12z") == "550 5.7.1 shape 41"
    assert answer(site, "quiet offer0007") == "550 5.7.1 word 7"
    for harmless in ("offer2000", "abc12zz", "quiet a1x", "abc12z\n\ta1x", "nothing"):
        assert answer(site, harmless)[:3] == "250"


def test_status_tells_of_patterns(site):
    daemon = site.daemon(header_checks=WORDS + BLOCK, regex="From:/^[0-9]+@/ REJECT\n")
    wait_for_database(daemon)
    files = patterns(daemon)
    assert set(files) == {"regex", "header_checks"}
    checks = files["header_checks"]
    assert (checks["rules"], checks["patterns"]) == (2300, 2301)
    assert checks["source"] == f"{daemon.folder}/header_checks"
    # Without libhyperscan there is no database.
    assert (checks["found_by_database"], checks["found_by_words"]) in ((300, 2001), (0, 2301))
    assert "failure" not in checks
    text = daemon.control("status").stdout
    assert "header_checks: 2300 rules, 2301 patterns: 2001 found by words" in text or \
        "header_checks: 2300 rules, 2301 patterns: 2301 found by words" in text
    assert "regex: 1 rules, 1 patterns: " in text
    assert "read in " in text


def test_rules_decide_while_the_database_is_compiled(site):
    daemon = site.daemon(header_checks=BLOCK + WORDS)
    check_answers(site)
    wait_for_database(daemon)
    check_answers(site)


def test_reload_while_the_database_is_compiled(site):
    daemon = site.daemon(header_checks=BLOCK + WORDS)
    for number in range(5):
        daemon.write_patterns("header_checks", f"/^X-Test: reload$/ REJECT {number}\n" + BLOCK + WORDS)
        daemon.control("reload")
        assert answer(site, "reload") == f"550 5.7.1 {number}"
    check_answers(site)
    wait_for_database(daemon)
    check_answers(site)
    assert patterns(daemon)["header_checks"]["patterns"] == 2302
