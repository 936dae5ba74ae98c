# SPDX-License-Identifier: GPL-3.0-or-later
"""Every classic form of an address that leads elsewhere, where Postfix asks postern and believes its OK: by tables and
by policy.

Postfix takes quotes and routes off before it asks a policy server, and lets a routed address go where that says OK; so
it is postern that must not be fooled."""

import concurrent.futures

import pytest

from harness import relay, smtp
from harness.site import unique
from test_open_relay import CERTAIN, FORMS, SENDER, Attempt, assert_nothing_got_out, drain, got_out, taken

HOME = "127.82.0.1"

# To postern, and to postern alone, friend.test is a domain that everybody may send to.
ACCESS = "To:friend.test RELAY\nTo:x@friend.test RELAY\n"
RELAYED = {name: form for name, form in FORMS.items() if "partner.test" in form}
FRIENDLY = {
    **{f"{name}_friend": form.replace("partner.test", "friend.test") for name, form in RELAYED.items()},
    "brackets_in_quotes": '<"<x@friend.test>"@outside.test>',
    "brackets_in_quotes_at": '<"<x@friend.test>@"@outside.test>',
    "list_in_quotes": '<"x@friend.test,"@outside.test>',
    "comment_in_quotes": '<"x@friend.test("@outside.test>',
    "group_in_quotes": '<"g:x@friend.test;"@outside.test>',
    "route_in_quotes": '<"@friend.test:x"@outside.test>',
    "domain_as_user": "<friend.test@outside.test>",
    "domain_as_detail": "<x+friend.test@outside.test>",
    "blank_in_quotes": '<"x@friend.test x"@outside.test>',
    "quotes_in_quotes": '<"\\"x@friend.test\\""@outside.test>',
    "escaped": "<x\\@friend.test\\ @outside.test>",
}

FEATURES = {
    "plain": [],
    "loose": ["loose_relay_check", "relaytofulladdress"],
    "no_operators": ["nopercenthack_nospecial", "nouucp_nospecial"],
    "refused_operators": ["nopercenthack_reject", "nouucp_reject"],
}


@pytest.fixture(scope="module", params=["asking-postfix"])
def mta_kind(request):
    wanted = request.config.option.mta
    if wanted and not request.param.endswith(wanted):
        pytest.skip(f"not {wanted}")
    return request.param


@pytest.fixture(scope="module")
def mta(mta_kind, servers):
    return servers(mta_kind)


@pytest.fixture(params=["clients", "policy"])
def port(request, mta):
    return mta.ports[request.param]


def start(site, popauth, features=()):
    folder = site.mta.socket_folder
    return site.daemon(
        ACCESS,
        **relay.keys(site.mta, "mta"),
        popauth_socket=str(popauth),
        map_socket=str(folder / "map.sock"),
        policy_socket=str(folder / "policy.sock"),
        features=["accept_unresolvable_domains", *features],
    )


def attempt(port, form, text, source):
    subject = unique("relayed")
    try:
        with smtp.Client(port, source) as client:
            reply = client.reply()
            for line in ("EHLO client.neutral.test", f"MAIL FROM:<{SENDER}>", f"RCPT TO:{text}"):
                if not reply.ok:
                    break
                reply = client.command(line)
            return Attempt(form, subject, client.data(smtp.message(subject)) if reply.ok else reply)
    except (smtp.Closed, ConnectionError, TimeoutError):
        return Attempt(form, subject, smtp.Reply(421, "closed", ""))


def try_all(port, source=relay.FOREIGN):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda item: attempt(port, *item, source), {**FORMS, **FRIENDLY}.items()))


@pytest.mark.parametrize("features", FEATURES)
def test_nothing_gets_out(site, popauth, port, features):
    start(site, popauth, FEATURES[features])
    attempts = try_all(port)
    assert_nothing_got_out(site, attempts)
    assert not taken(attempts) & CERTAIN
    assert "detail" in taken(attempts), "what is for us is taken"
    assert attempt(port, "friend", "<x@friend.test>", relay.FOREIGN).reply.ok, "who asks is answered"


def test_they_get_out_for_who_logged_in(site, popauth, port):
    postern = start(site, popauth)
    postern.control("relay", "add", HOME)
    attempts = try_all(port, HOME)
    drain(site)
    out = {form for form, _ in got_out(site, attempts)}
    assert CERTAIN <= out
    assert len(out) >= 25, sorted(out)
