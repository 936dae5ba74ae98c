# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions of demo.sh: postern with the sample configuration before a real Postfix and beside a real Dovecot."""
import argparse
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE / "tests/integration"))

# pylint: disable=wrong-import-position
from harness import names, smtp, tools  # noqa: E402
from harness.dovecot import PASSWORD as POP_PASSWORD  # noqa: E402
from harness.dovecot import USER as POP_USER  # noqa: E402
from harness.dovecot import Dovecot  # noqa: E402
from harness.mta import LOCAL_DOMAIN, OWN_NAME  # noqa: E402
from harness.postern import SOCKETS, Postern, config_section, config_value, program  # noqa: E402
from harness.postfix import Postfix  # noqa: E402
from harness.sink import Sink  # noqa: E402

WIDTH = 100
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

RULES = """
# ---- the rules of this demonstration ----
Connect:a.spam.test        ERROR:5.7.1:"550 a.spam.test has sent too much of the wrong kind"
From:offers.example        ERROR:5.7.1:"550 No offers, please"
To:closed@local.example    ERROR:5.1.1:"550 This mailbox was closed in spring"
From:robot@lists.example   DISCARD
From:unsure.example        QUARANTINE:a person should look at this one
"""
WINDOW_MINUTES = 60
TRAVELLER = "127.20.3.4"  # logs in
STRANGER = "127.20.3.5"  # does not
LIVE_RULE = 'From:late.example          ERROR:4.7.1:"451 Not today"\n'


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def bold(text):
    return paint("1", text)


def dim(text):
    return paint("2", text)


def good(text):
    return paint("32", text)


def bad(text):
    return paint("31", text)


def wrapped(text, indent="  "):
    print(textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=indent, subsequent_indent=indent))


class SamplePostern(Postern):
    """The daemon with conf/postern.conf, its paths turned to a folder of the demonstration's own."""

    def write_config(self, extra="", **changes):
        text = (SOURCE / "conf/postern.conf").read_text()
        own = {**self._keys, **changes}
        for key in ("listen", "listen_mode", "listen_group", "user", "hostname", "control_socket", "access", "spammers",
                    "local_host_names", "relay_domains", "popauth_group", *(f"{name}_socket" for name in SOCKETS)):
            line = f"{key} = {config_value(own[key])}"
            text, found = re.subn(rf"(?m)^#?[ \t]*{key}[ \t]*=.*$", lambda _: line, text, count=1)
            text += "" if found else f"\n{line}\n"
        # The senders of the scenes are examples, which no DNS knows.
        text, found = re.subn(r"(?m)^features = \{ ", r'\g<0>"accept_unresolvable_domains", ', text)
        assert found
        store = {"file": str(self.store), "window_minutes": WINDOW_MINUTES}
        self.config.write_text(text + extra + config_section("relay_store", store))

    def write_access(self, text):
        super().write_access((SOURCE / "conf/access").read_text() + text)


class ClosedPostfix(Postfix):
    """It relays for 127.0.0.1, and for whom postern says."""

    def more_settings(self):
        text = tools.sample("postfix-postern.cf.in", {"@runstatedir@/postern": self.socket_folder})
        restrictions = text.partition("smtpd_relay_restrictions =\n")[2].partition("\n\n")[0]
        return {"mynetworks": "127.0.0.1/32", "smtpd_relay_restrictions": " ".join(restrictions.split())}


class Demo:
    def __init__(self, folder):
        self.folder = folder
        self.sink = Sink()
        self.postern = None
        self.postfix = None
        self.dovecot = None
        self.scenes = 0
        self.faults = []

    # ---- servers

    def start(self):
        self.postfix = ClosedPostfix(self.folder / "postfix", self.sink)
        files = self.folder / "postern"
        self.postern = SamplePostern(files, self.postfix.milter_socket, RULES, "", sockets=SOCKETS,
                                     pid_file=str(files / "pid"))
        shutil.copy(SOURCE / "conf/spammers", self.postern.spammers)
        self.makemap()
        self.postern.start()
        self.dovecot = Dovecot(self.folder / "dovecot", program("postern-login"), self.postern.socket("popauth"))

    def stop(self):
        if self.dovecot:
            self.dovecot.close()
        if self.postfix:
            self.postfix.close()
        if self.postern:
            self.postern.stop()
        self.sink.close()

    def makemap(self):
        return self.postern.control("makemap")

    # ---- telling

    def scene(self, title, text):
        self.scenes += 1
        head = f"━━ {self.scenes}. {title} "
        print("\n" + bold(head + "━" * (WIDTH - len(head))))
        wrapped(text)

    def rule(self, pattern):
        """Shows the line of the access file that the scene is about."""
        for number, line in enumerate(self.postern.access.read_text().splitlines(), 1):
            if line.startswith(pattern):
                print(f"\n  {dim(f'access:{number}')}  {line}")

    def check(self, what, condition):
        print(f"  {good('✔') if condition else bad('✘')} {what}")
        if not condition:
            self.faults.append(f"scene {self.scenes}: {what}")

    @staticmethod
    def show(transcript):
        """An SMTP session as a dialogue; the greeting's extensions are counted, the farewell is left out."""
        extensions = sum(line.startswith("S: 250-") for line in transcript)
        print()
        for line in transcript:
            side, text = line[:1], line[3:]
            if text.startswith(("250-", "QUIT", "221")):
                if text.startswith("250-") and text[4:].startswith(OWN_NAME):
                    print(f"    {dim('server')}  {good(f'250 {OWN_NAME}')} {dim(f'and {extensions} extensions')}")
            elif side == "C":
                print(f"    {dim('client')}  {text}")
            elif not text.startswith("250 ") or text[4:5].isdigit():
                print(f"    {dim('server')}  {(good if text[:1] in '23' else bad)(text)}")
        print()

    def quote(self, line):
        """A line of a program's output, with the paths of the demonstration cut short."""
        line = line.replace(f"{self.postern.folder}/", "")
        if "=> " in line:
            line = (good if "=> continue" in line else bad)(line)
        elif line.rstrip().endswith("  -"):
            line = dim(line)
        print(f"    {dim('│')} {line}")

    def explain(self, address, name, sender, rcpts):
        """Runs posternctl explain on the same facts; after the first time, runs of keys without an entry are counted."""
        words = ["explain", "--client", address]
        words += ["--name", name, "--resolve", "OK"] if name else ["--resolve", "FAIL"]
        words += ["--helo", "client.neutral.test", "--from", sender]
        for rcpt in rcpts:
            words += ["--rcpt", rcpt]
        print(f"  {bold('$ posternctl ' + shlex.join(words))}")
        missed = 0
        for line in self.postern.control(*words, check=False).stdout.splitlines():
            if self.scenes > 1 and line.rstrip().endswith("  -"):
                missed += 1
                continue
            if missed:
                self.quote(dim(f"    {missed} keys without an entry"))
                missed = 0
            self.quote(line)
        print()

    # ---- doing

    def session(self, subject, sender, rcpts, address=names.NEUTRAL):
        """Plays one session with one message, shows and explains it; the replies: MAIL, RCPTs, end of DATA."""
        replies = []
        with smtp.Client(self.postfix.port, source=address) as client:
            client.hello()
            replies.append(client.mail(sender))
            if replies[0].ok:
                replies += [client.rcpt(rcpt) for rcpt in rcpts]
            if any(reply.ok for reply in replies[1:]):
                client.transcript.append("C: DATA, the message, .")
                replies.append(self.quiet_data(client, smtp.message(subject, sender, rcpts[0])))
            client.quit()
            self.show(client.transcript)
        self.explain(address, names.RESOLVED.get(address), sender, rcpts)
        return replies

    @staticmethod
    def quiet_data(client, text):
        """Sends DATA without its two lines in the dialogue."""
        shown = list(client.transcript)
        reply = client.data(text)
        client.transcript[:] = [*shown, client.transcript[-1]]
        return reply

    def delivered(self, subject, seconds=10):
        end = time.monotonic() + seconds
        while not self.sink.with_subject(subject) and time.monotonic() < end:
            time.sleep(0.05)
        return bool(self.sink.with_subject(subject))

    def gone(self, subject):
        """Neither delivered nor in the queue, while a message sent after it has been delivered."""
        marker = f"after {subject}"
        with smtp.Client(self.postfix.port, source=names.NEUTRAL) as client:
            client.hello()
            client.mail("ann@neutral.test")
            client.rcpt(f"joe@{LOCAL_DOMAIN}")
            client.data(smtp.message(marker))
        return self.delivered(marker) and not self.sink.with_subject(subject) and not self.postfix.queued()

    # ---- the scenes

    def accepted(self):
        self.scene("A mail to which nobody objects",
                   "No rule speaks of client, sender or recipient: Postfix decides alone, as if postern were not there. Here "
                   "every key is shown that was looked for; later, those without an entry are only counted.")
        replies = self.session("hello", "ann@neutral.test", [f"joe@{LOCAL_DOMAIN}"])
        self.check("accepted", all(reply.ok for reply in replies))
        self.check("delivered", self.delivered("hello"))

    def client_refused(self):
        self.scene("A client that is refused by its name",
                   "Rules on clients are answered at MAIL: there every client sees code and text, with both mail servers.")
        self.rule("Connect:a.spam.test")
        replies = self.session("spam", "x@neutral.test", [f"joe@{LOCAL_DOMAIN}"], names.SPAM)
        self.check("refused at MAIL with the words of the rule",
                   str(replies[0]) == "550 5.7.1 a.spam.test has sent too much of the wrong kind")

    def sender_refused(self):
        self.scene("A sender that is refused, with a message of our own", "The key is a domain: every address in it is meant.")
        self.rule("From:offers.example")
        replies = self.session("offer", "best@offers.example", [f"joe@{LOCAL_DOMAIN}"])
        self.check("refused at MAIL with the words of the rule", str(replies[0]) == "550 5.7.1 No offers, please")

    def recipient_refused(self):
        self.scene("A recipient that is blocked, beside one that is not",
                   "With the feature blocklist_recipients the map is asked about recipients too. The others get the mail.")
        self.rule("To:closed@")
        replies = self.session("to both", "ann@neutral.test", [f"closed@{LOCAL_DOMAIN}", f"joe@{LOCAL_DOMAIN}"])
        self.check("one recipient refused, the other one accepted", [reply.ok for reply in replies[1:3]] == [False, True])
        self.check("delivered to joe alone", self.delivered("to both") and self.sink.recipients("to both") == ["joe"])

    def discarded(self):
        self.scene("A mail that is taken and thrown away", "The sender is told that all is well; nobody ever sees the message.")
        self.rule("From:robot@")
        replies = self.session("number 4711", "robot@lists.example", [f"joe@{LOCAL_DOMAIN}"])
        self.check("accepted", all(reply.ok for reply in replies))
        self.check("neither delivered nor in the queue, while a later one was delivered", self.gone("number 4711"))

    def quarantined(self):
        self.scene("A mail that waits for a person", "It is accepted and held in the queue of the mail server, until it is released.")
        self.rule("From:unsure.example")
        replies = self.session("doubtful", "who@unsure.example", [f"joe@{LOCAL_DOMAIN}"])
        self.check("accepted", all(reply.ok for reply in replies))
        held = self.postfix.held_with_subject("doubtful")
        self.check("held, not delivered", len(held) == 1 and not self.sink.with_subject("doubtful"))
        for one in held:
            print(f"\n  {bold(f'$ postsuper -H {one.queue_id}')}")
            self.postfix.release(one.queue_id)
        self.check("delivered after its release", self.delivered("doubtful"))

    def changed_live(self):
        self.scene("A rule that is changed while mail flows",
                   "First a session without the rule; then the file is edited and compiled; the next session sees it. Nothing is "
                   "restarted, no signal is sent: the daemon notices the new map within two seconds.")
        replies = self.session("before", "ann@late.example", [f"joe@{LOCAL_DOMAIN}"])
        self.check("accepted", all(reply.ok for reply in replies))
        with open(self.postern.access, "a", encoding="utf-8") as access:
            access.write(LIVE_RULE)
        print(f"\n  {bold('$ echo ' + shlex.quote(LIVE_RULE.strip()) + ' >>access')}")
        print(f"  {bold('$ posternctl makemap access')}")
        done = self.postern.control("makemap", "access")
        for line in (done.stdout + done.stderr).splitlines():
            self.quote(line)
        time.sleep(2.1)
        replies = self.session("after", "ann@late.example", [f"joe@{LOCAL_DOMAIN}"])
        self.check("the next session is told to come back later", str(replies[0]) == "451 4.7.1 Not today")

    def wrong_rule(self):
        self.scene("A rule with a mistake", "It is named with its line and a hint, and the map that is in force stays as it is.")
        before = self.postern.map.stat().st_ino
        text = self.postern.access.read_text()
        self.postern.access.write_text(text + "From:typo.example   REJECTED\n")
        print(f"\n  {bold('$ posternctl makemap access')}")
        done = self.postern.control("makemap", "access", check=False)
        for line in done.stderr.splitlines():
            self.quote(line)
        print()
        self.check("refused; the old map is untouched", done.returncode == 1 and self.postern.map.stat().st_ino == before)
        self.postern.access.write_text(text)

    # ---- POP before SMTP

    def try_to_relay(self, subject, address):
        """A session with a message for somebody elsewhere, shown; was it taken?"""
        sender, rcpt = f"{POP_USER}@{LOCAL_DOMAIN}", "friend@elsewhere.test"
        print(dim(f"\n  {address} wants to send mail to {rcpt}:"))
        with smtp.Client(self.postfix.port, source=address) as client:
            client.hello()
            reply = client.mail(sender)
            reply = client.rcpt(rcpt) if reply.ok else reply
            if reply.ok:
                client.transcript.append("C: DATA, the message, .")
                reply = self.quiet_data(client, smtp.message(subject, sender, rcpt))
            client.quit()
            self.show(client.transcript)
        return reply.ok

    def log_in(self, address):
        """POP3, shown as it goes over the wire, without the password."""
        print(dim(f"\n  {address} logs in to Dovecot, port {self.dovecot.pop3_port}:\n"))
        with socket.create_connection(("127.0.0.1", self.dovecot.pop3_port), timeout=30, source_address=(address, 0)) as pop:
            with pop.makefile("rw", newline="\r\n") as stream:
                for command in (None, f"USER {POP_USER}", f"PASS {POP_PASSWORD}", "STAT", "QUIT"):
                    if command:
                        print(f"    {dim('client')}  {command.replace(POP_PASSWORD, '********')}")
                        stream.write(command + "\n")
                        stream.flush()
                    answer = stream.readline().rstrip()
                    print(f"    {dim('server')}  {(good if answer.startswith('+OK') else bad)(answer)}")
        print()

    def command(self, *words, **keywords):
        """Runs posternctl and shows what it prints."""
        for line in self.postern.control(*words, check=False, **keywords).stdout.splitlines():
            self.quote(line)

    def pop_before_smtp(self):
        self.scene("A traveller who logs in to POP may send mail",
                   f"POP before SMTP: Postfix relays for nobody but 127.0.0.1, and asks postern about everybody else. Dovecot tells "
                   f"postern of each login by a post-login script. relay_store {{ window_minutes = {WINDOW_MINUTES} }}")
        self.check("refused before the login", not self.try_to_relay("too early", TRAVELLER))
        self.log_in(TRAVELLER)
        print(f"  {bold('$ posternctl relay list')}")
        self.command("relay", "list")
        self.check("relayed after the login", self.try_to_relay("from the journey", TRAVELLER))
        self.check("delivered", self.delivered("from the journey"))
        self.check("another address is refused", not self.try_to_relay("from a stranger", STRANGER))
        print(f"\n  An hour later. {dim('(The date of the entry is set back, as an administrator can.)')}")
        print(f"  {bold('$ posternctl relay dump >relayers; vi relayers; posternctl relay load <relayers')}")
        self.command("relay", "load", input=f"{TRAVELLER} {int(time.time()) - 60 * WINDOW_MINUTES - 1}\n")
        self.command("relay", "dump")
        self.check("the window is over: refused", not self.try_to_relay("too late", TRAVELLER))
        self.check("neither message that was refused has been delivered",
                   not self.sink.with_subject("too early") and not self.sink.with_subject("too late"))

    def all_scenes(self):
        for scene in (self.accepted, self.client_refused, self.sender_refused, self.recipient_refused, self.discarded,
                      self.quarantined, self.changed_live, self.wrong_rule, self.pop_before_smtp):
            scene()

    # ---- the end

    def stay(self):
        """Leaves all servers to the reader; shows what postern logs meanwhile."""
        control = f"{program('posternctl')} -c {self.postern.config}"
        print("\n" + bold("━━ Now it is yours " + "━" * (WIDTH - 19)))
        print(f"""
  Postfix listens on 127.0.0.1, port {bold(str(self.postfix.port))}; mail to anybody@{LOCAL_DOMAIN} is taken and kept in memory.
    log in           Dovecot has POP3 on port {bold(str(self.dovecot.pop3_port))}, IMAP on port {bold(str(self.dovecot.imap_port))}; user {POP_USER}, password {POP_PASSWORD}
    who may relay    {control} relay list
    talk to it       swaks --server 127.0.0.1:{self.postfix.port} --from best@offers.example --to joe@{LOCAL_DOMAIN}
                     nc -C 127.0.0.1 {self.postfix.port}
    change a rule    edit {self.postern.access}
                     {control} makemap
    ask why          {control} explain --client 192.0.2.1 --from best@offers.example --rcpt joe@{LOCAL_DOMAIN}
    how it is        {control} status

  What postern logs is shown here. {bold('^C ends all of it.')}
""")
        seen = len(self.postern.lines())
        while self.postern.alive():
            for line in self.postern.lines()[seen:]:
                print(f"  {dim(line)}", flush=True)
                seen += 1
            time.sleep(0.3)
        self.faults.append("postern ended by itself")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the sessions")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    folder = Path(tempfile.mkdtemp(prefix="postern-demo."))
    folder.chmod(0o755)
    sys.stdout.reconfigure(line_buffering=True)
    demo = Demo(folder)
    try:
        print(dim(f"unpacking Postfix and Dovecot, starting all in {folder} ..."), flush=True)
        demo.start()
        demo.all_scenes()
        print(f"\n{bold(f'{demo.scenes} scenes')}, {good('all as expected') if not demo.faults else bad(f'{len(demo.faults)} not as expected')}")
        if not args.once:
            demo.stay()
    except KeyboardInterrupt:
        print()
    finally:
        # Whoever presses ^C again must not stop the tidying up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        demo.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for fault in demo.faults:
        print(bad(fault), file=sys.stderr)
    return 1 if demo.faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AssertionError, subprocess.TimeoutExpired, OSError) as failure:
        sys.exit(f"demo: {failure}")
