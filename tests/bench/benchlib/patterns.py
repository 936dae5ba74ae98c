# SPDX-License-Identifier: GPL-3.0-or-later
"""Invented pattern files of the usual kinds, and subjects for them: ordinary ones, near misses and hits."""
import random

WORDS = """account amazing approved bargain beneficiary bitcoin bonus bulk cash casino certified cheap cialis claim
click confidential congratulations consultation credit crypto customer deal debt degree deposit diet diploma discount
dollars double earn enlarge exclusive expires extra fantastic fast final free freedom friend funds gift guarantee
herbal hidden home hot hours increase inheritance instant insurance investment invoice invited join lender levitra
limited loans lottery luxury luck marketing medication meds membership miracle million money mortgage natural now
offer online order overdue partner password payment penny pharmacy phentermine pills pounds prescription price prince
prize profit promotion quality quick rates refinance refund relief remove replica rolex satisfaction savings secret
security selected singles skin software special stock success suspended tablets teen terms thousands today traffic
transfer trial unclaimed unlimited unsecured update urgent valium verify viagra visit vitamin watches weight win
winner wire wonderful work xanax""".split()
STEMS = """alpha arbor aster atlas basin birch blaze bolt brook canyon cedar cinder cliff cobalt comet coral crest dawn
delta drift dune ember falcon fern field flint forge fox garden glade granite grove harbor hazel heron hill iris ivory
jade juniper kestrel lake lark linden lunar maple marsh meadow mesa mint nova oak onyx opal orchid otter pearl pine
prairie quartz raven reef ridge river robin rowan sable sage sierra silver slate sparrow spruce stone summit swift
teal thistle tide timber topaz tulip vale violet walnut willow wren zephyr""".split()
TOP_DOMAINS = ["com", "net", "org", "info", "biz", "example", "co.uk", "de", "ru", "top", "xyz"]
EXTENSIONS = "ade adp bas bat chm cmd com cpl crt dll exe hlp hta inf ins isp jse lnk mdb msc msi pif reg scr sct shb vbs vbe wsh"
MAILERS = ["Bulk Mailer", "Super Sender", "Mass Blaster", "Turbo Post", "Direct Email", "Group Mail Pro", "E-Shot", "Rocket Mail"]
LEETS = {"a": "[a@4]", "e": "[e3]", "i": "[i1!|l]", "o": "[o0]", "s": "[s5$]"}


def literal(text):
    return "".join("\\" + c if c in "\\^$.[]|()?*+{}/" else c for c in text)


class Patterns:
    """Lines of a file in the form of pcre_table(5). Equal arguments give equal lines."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)

    # --- what patterns are made of ---

    def word(self):
        return self.random.choice(WORDS)

    def disguised(self, word):
        """v[i1!|l]agra"""
        return "".join(LEETS[c] if c in LEETS and self.random.random() < 0.4 else c for c in word)

    def host(self):
        stem = self.random.choice(STEMS) + self.random.choice(["", "-"]) + self.random.choice(STEMS)
        return f"{stem}{self.random.choice(['', str(self.random.randrange(100))])}.{self.random.choice(TOP_DOMAINS)}"

    def network(self):
        return f"{self.random.randrange(1, 224)}\\.{self.random.randrange(256)}\\.{self.random.randrange(256)}"

    def phrase(self, least=2, most=4):
        return [self.word() for _ in range(self.random.randint(least, most))]

    # --- header patterns ---

    def subject_phrase(self):
        return "^Subject:.*" + "\\s+".join(self.phrase())

    def subject_disguised(self):
        return "^Subject:.*" + self.disguised(self.word()) + ".*" + self.disguised(self.word())

    def subject_choice(self):
        first, second = "|".join(sorted(set(self.phrase(2, 5)))), "|".join(sorted(set(self.phrase(2, 5))))
        return f"^Subject:.*\\b({first})\\b.*\\b({second})\\b"

    def subject_whole(self):
        return f"^Subject: *{' '.join(self.phrase(2, 6)).capitalize()}[!.]*$"

    def subject_number(self):
        return f"^Subject: .*\\${self.random.randrange(1, 999)},000(,000)? .*{self.word()}"

    def attachment(self):
        names = "|".join(sorted(self.random.sample(EXTENSIONS.split(), self.random.randint(1, 6))))
        return (f'^Content-(Disposition|Type).*name\\s*=\\s*"?{self.word()}[-_ ]?{self.word()}[^"]*'
                f'\\.({names})(\\?=)?"?\\s*(;|$)')

    def from_host(self):
        return f"^From:.*@(.*\\.)?{literal(self.host())}"

    def from_name(self):
        return f'^From: *"?{self.word().capitalize()} {self.word().capitalize()}.*<[^>]*@{literal(self.host())}>'

    def reply_to(self):
        return f"^(Reply-To|Return-Path|Errors-To): .*{self.word()}[0-9]*@.*{literal(self.random.choice(STEMS))}"

    def received_host(self):
        return f"^Received: from .*\\.(dsl|dyn|pool|ppp)\\.{literal(self.host())}"

    def received_network(self):
        return f"^Received: from \\S+ \\((\\S+ )?\\[{self.network()}\\.[0-9]+\\]\\)"

    def message_id(self):
        return f"^Message-ID: *<[0-9a-f]{{8,16}}\\$?[^@]*@{literal(self.host())}>"

    def mailer(self):
        return f"^X-Mailer: {literal(self.random.choice(MAILERS))} v?{self.random.randrange(1, 99)}\\.{self.random.randrange(100)}"

    def unsubscribe(self):
        return f"^List-Unsubscribe: .*https?:\\/\\/([a-z0-9-]+\\.)*{literal(self.host())}\\/"

    HEADER_KINDS = [(subject_phrase, 16), (subject_disguised, 8), (subject_choice, 6), (subject_whole, 10), (subject_number, 3),
                    (attachment, 7), (from_host, 16), (from_name, 5), (reply_to, 4), (received_host, 9),
                    (received_network, 7), (message_id, 4), (mailer, 2), (unsubscribe, 3)]

    # --- patterns of clients and senders ---

    def client_name(self):
        return f"^(dhcp|dyn|ppp|cable|adsl)?[-0-9.x]+\\.{literal(self.host())}$"

    def sender_host(self):
        return f"@(.*\\.)?{literal(self.host())}$"

    def sender_user(self):
        return f"^{self.word()}[-_.]?{self.word()}[0-9]*@"

    def sender_digits(self):
        return f"^[0-9]+@{literal(self.host())}$"

    ENVELOPE_KINDS = [(client_name, 25), (sender_host, 40), (sender_user, 25), (sender_digits, 10)]

    def patterns(self, count, kinds):
        """So many different patterns."""
        makers = [maker for maker, weight in kinds for _ in range(weight)]
        found = {}
        while len(found) < count:
            found[self.random.choice(makers)(self)] = None
        return list(found)

    def header_patterns(self, count):
        return self.patterns(count, self.HEADER_KINDS)

    def envelope_patterns(self, count):
        return self.patterns(count, self.ENVELOPE_KINDS)


def table_lines(patterns, action):
    return "".join(f"/{pattern}/ {action}\n" for pattern in patterns)


def ordinary_headers(rng):
    """The header fields of one message that nothing is wrong with."""
    def stem():
        return rng.choice(STEMS)

    def name():
        return f"{stem().capitalize()} {stem().capitalize()}"

    def host():
        return f"mail.{stem()}{rng.randrange(1000)}.{rng.choice(TOP_DOMAINS[:6])}"

    def address():
        return f"{stem()}.{stem()}@{host()}"

    day = f"Mon, {rng.randrange(1, 29)} Jun 2026 {rng.randrange(24):02d}:{rng.randrange(60):02d}:07 +0200"
    received = [f"Received: from {host()} ({host()} [192.0.2.{rng.randrange(256)}])\n\tby {host()} (8.17.1/8.17.1) with ESMTPS "
                f"id {rng.randrange(1 << 40):x}\n\tfor <{address()}>; {day}" for _ in range(4)]
    subject = " ".join(rng.choice(STEMS + ["re:", "meeting", "minutes", "of", "the", "and", "report", "question", "about"])
                       for _ in range(rng.randint(3, 8)))
    return received + [
        f"Return-Path: <{address()}>", f"From: {name()} <{address()}>", f"To: {name()} <{address()}>",
        f"Cc: {name()} <{address()}>, {name()} <{address()}>", f"Subject: {subject}", f"Date: {day}",
        f"Message-ID: <{rng.randrange(1 << 60):x}.{rng.randrange(1 << 30):x}@{host()}>", "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="=_{rng.randrange(1 << 60):x}"', "Content-Transfer-Encoding: 8bit",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.0", "Content-Language: en-US",
        f"In-Reply-To: <{rng.randrange(1 << 60):x}@{host()}>", f"References: <{rng.randrange(1 << 60):x}@{host()}>",
        "X-Spam-Status: No, score=-2.1 required=5.0 tests=BAYES_00,DKIM_SIGNED,DKIM_VALID", f"X-Originating-IP: [198.51.100.{rng.randrange(256)}]",
    ]


def near_misses(rng, count):
    """Subjects that begin as many patterns do, and hold their words, but not in an order that matches for sure."""
    lines = []
    for _ in range(count):
        words = " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 7)))
        lines.append(rng.choice([f"Subject: {words}", f"From: \"{words}\" <{rng.choice(WORDS)}@{rng.choice(STEMS)}.example>",
                                 f"Content-Type: application/pdf; name=\"{words}.pdf\"",
                                 f"Received: from host.dsl.{rng.choice(STEMS)}.com ([10.{rng.randrange(256)}.2.3]) by mx; {words}"]))
    return lines
