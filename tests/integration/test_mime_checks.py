# SPDX-License-Identifier: GPL-3.0-or-later
"""mime_header_checks: attachments by the name they bear, wherever they are in a message."""

import base64

import pytest

from harness import mail, tools
from harness.site import shared_daemon, unique

OWN = """\
/^X-Own: bad$/      REJECT own header
/^Subject: .*WARNED/    WARN own header
"""
PARTS = r"""
/name\s*=\s*"?[^;"]*\.(exe|scr|bat)"?\s*(;|$)/  REJECT no programs, please ($1)
/^X-Part: hold$/       HOLD odd part
/^X-Part: discard$/    DISCARD odd part
/^X-Part: ignore$/     IGNORE
/^X-Part: bcc$/        BCC archive@local.example
/^X-Part: later$/      REJECT 4.7.1 scanner is busy
/^Content-Type: text\/evil/  REJECT evil text
"""

postern = shared_daemon(header_checks=OWN, mime_header_checks=PARTS)

# What Postfix's cleanup and Sendmail pass on at once.
CHUNK = 65535


def part(*lines, body="text"):
    return "\n".join([*lines, "", body])


def multipart(*parts, boundary="bound"):
    """A body; its Content-Type is typed(boundary)."""
    return "preamble\n" + "".join(f"--{boundary}\n{one}\n" for one in parts) + f"--{boundary}--\nepilogue"


def typed(boundary="bound", kind="multipart/mixed"):
    return f'Content-Type: {kind}; boundary="{boundary}"'


PLAIN = part("Content-Type: text/plain")
PROGRAM = part("Content-Type: application/octet-stream", 'Content-Disposition: attachment;\n filename="game.exe"')
NAMED = part('Content-Type: application/octet-stream; name="game.SCR"')


def send(site, subject, *fields, body):
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        return client.data(mail.message(subject, *fields, body=body))


def attached(*fields, body):
    """The part that holds a whole message."""
    return part("Content-Type: message/rfc822", body="\n".join([*fields, "", body]))


REFUSED = {
    "disposition": ([typed()], multipart(PLAIN, PROGRAM), "exe"),
    "name of the type": ([typed()], multipart(PLAIN, NAMED), "SCR"),
    "first part": ([typed()], multipart(NAMED, PLAIN), "SCR"),
    "in a part of a part": ([typed()], multipart(part(typed("inner"), body=multipart(PLAIN, NAMED, boundary="inner"))), "SCR"),
    "in an attached message": ([typed()], multipart(attached("Subject: in", typed("in"), body=multipart(PROGRAM, boundary="in"))), "exe"),
    "an attached message's own": ([typed()], multipart(attached("Subject: in", 'Content-Type: a/b; name="x.bat"', body="x")), "bat"),
    "the message itself": (['Content-Type: application/x; name="own.exe"'], "body", "exe"),
    "no blank anywhere": ([typed()], multipart(part("Content-Disposition:attachment;filename=a.exe")), "exe"),
}  # fmt: skip


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("name", REFUSED)
def test_program_is_refused(site, name):
    fields, body, extension = REFUSED[name]
    subject = unique("program")
    reply = send(site, subject, *fields, body=body)
    assert str(reply) == f"550 5.7.1 no programs, please ({extension})"
    site.assert_gone(subject)


PASSED = {
    "other name": ([typed()], multipart(PLAIN, part('Content-Type: application/pdf; name="game.pdf"'))),
    "in the text of a part": ([typed()], multipart(part("Content-Type: text/plain", body='Content-Type: a/b; name="x.exe"'))),
    "in a body that has no parts": ([], 'Content-Type: a/b; name="x.exe"'),
    "behind the last boundary": ([typed()], multipart(PLAIN) + '\n\nContent-Type: a/b; name="x.exe"\n'),
    "encoded": ([typed()], multipart(part("Content-Transfer-Encoding: base64", body=base64.b64encode(PROGRAM.encode()).decode()))),
    "another boundary's": ([typed()], multipart(PLAIN).replace("preamble", '--other\nContent-Type: a/b; name="x.exe"\n')),
}  # fmt: skip


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("name", PASSED)
def test_others_pass_unchanged(site, name):
    fields, body = PASSED[name]
    subject = unique("passed")
    assert send(site, subject, *fields, body=body).code == 250
    site.wait_delivered(subject)
    text = site.mta.sink.with_subject(subject)[0].text.replace("\r\n", "\n")
    assert text.partition("\n\n")[2].rstrip("\n") == body.rstrip("\n")


@pytest.mark.usefixtures("postern")
@pytest.mark.parametrize("shift", [-60, -41, -30, -12, -3, -2, -1, 0, 1, 2])
def test_header_of_a_part_across_two_pieces_of_the_body(site, shift):
    """The MTA cuts the body without regard to lines; the header of the part lies there."""
    first = part("Content-Type: text/plain", body="")
    line = "0123456789" * 6 + "\n"
    head = len(("preamble\n--bound\n" + first).replace("\n", "\r\n"))
    lines, rest = divmod(CHUNK + shift - head, len(line) + 1)
    filler = line * (lines - 1) + "x" * (rest + len(line) + 1 - 2)
    body = multipart(first + filler, NAMED)
    reply = send(site, unique("cut"), typed(), body=body)
    assert str(reply) == "550 5.7.1 no programs, please (SCR)"


@pytest.mark.usefixtures("postern")
def test_part_behind_megabytes(site):
    big = part("Content-Type: text/plain", body=("a line of text\n" * 200000))
    assert send(site, unique("big"), typed(), body=multipart(big, PROGRAM)).code == 550
    subject = unique("big")
    assert send(site, subject, typed(), body=multipart(big, PLAIN)).code == 250
    site.wait_delivered(subject)


@pytest.mark.usefixtures("postern")
def test_thousands_of_parts(site):
    subject = unique("parts")
    body = multipart(*[PLAIN] * 5000)
    assert send(site, subject, typed(), body=body).code == 250
    site.wait_delivered(subject)
    assert send(site, unique("parts"), typed(), body=multipart(*[PLAIN] * 5000, PROGRAM)).code == 550


def test_own_header_has_its_file(site, postern):
    assert str(send(site, unique("own"), "X-Own: bad", body="x")) == "550 5.7.1 own header"
    assert postern.entries()[-1]["rule"] == f"{postern.folder}/header_checks:1"
    subject = unique("own")
    assert send(site, subject, "X-Part: discard", body="x").code == 250  # a header of its own is none of a part
    site.wait_delivered(subject)


def test_own_type_is_refused_before_the_body_is_seen(site, postern):
    assert str(send(site, unique("type"), "Content-Type: text/evil", body="x")) == "550 5.7.1 evil text"
    entry = postern.entries()[-1]
    assert (entry["stage"], entry["rule"]) == ("eoh", f"{postern.folder}/mime_header_checks:8")


def test_actions_in_parts(site, postern):
    assert str(send(site, unique("later"), typed(), body=multipart(part("X-Part: later")))) == "451 4.7.1 scanner is busy"
    gone = unique("gone")
    assert send(site, gone, typed(), body=multipart(part("X-Part: discard"))).code == 250
    site.assert_gone(gone)
    held = unique("held")
    assert send(site, held, typed(), body=multipart(part("X-Part: hold"))).code == 250
    site.assert_held(held)
    copied = unique("copied")
    assert send(site, copied, typed(), body=multipart(part("X-Part: bcc"))).code == 250
    site.wait_delivered(copied, ["archive", "joe"])
    assert postern.wait_entry(action="add recipient", text="archive@local.example")


def test_part_cannot_be_changed_and_the_log_says_so(site, postern):
    subject = unique("ignore")
    body = multipart(part("X-Part: ignore"))
    assert send(site, subject, typed(), body=body).code == 250
    site.wait_delivered(subject)
    assert "X-Part: ignore" in site.mta.sink.with_subject(subject)[0].text
    assert "not done in the body" in postern.wait_entry(action="warn", header="X-Part: ignore")["text"]


def test_next_message_begins_anew(site, postern):
    first, second = unique("first"), unique("second")
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        assert client.data(mail.message(first, typed(), body="--bound\n")).code == 250
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        assert client.data(mail.message(second, body=multipart(PROGRAM))).code == 250
        client.quit()
    site.wait_delivered(second)
    assert len(tools.wait_for(lambda: postern.entries(stage="eom", action="accept"), "the log")) >= 2


def test_client_that_leaves_in_the_body(site, postern):
    before = len(postern.entries())
    with site.client() as client:
        assert client.mail("s@neutral.test").ok
        assert client.rcpt("joe@local.example").ok
        assert client.command("DATA").code == 354
        client.send_raw((mail.message("left", typed()) + "--bound\n").replace("\n", "\r\n").encode())
    subject = unique("after")
    assert send(site, subject, body="x").code == 250
    site.wait_delivered(subject)
    assert [entry["action"] for entry in postern.entries()[before:]] == ["accept"]
