/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Relaying by what the MTA alone knows: client certificates and {rcpt_mailer} (postern-access(5), deliberate difference
 * 11). What depends on names and addresses is in the golden sessions relay_*.
 */
#include "lib/policy/stages.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define MILTER "relay_control = \"milter\"\n"
#define CN MILTER "relay_by_certificate = \"cn\"\n"
#define DENIED "reject 550 5.7.1 Relaying denied"
#define TEMPFAIL "tempfail 451 4.3.0 Temporary system failure. Please try again later."

#define ISSUER "/C=XY/O=Example+20CA"
#define SUBJECT "/C=XY/CN=client.example"

struct relay_case {
    const char *conf;
    const char *access;
    struct session_login login;
    const char *mailer;
    const char *recipient;
    const char *verdict;
};

/* A client that may not relay by itself sends to `recipient`. */
static void expect(struct scene *scene, const struct relay_case *c)
{
    char got[VERDICT_TEXT_SIZE];

    scene_connect(scene, "client.neutral.test [198.18.0.1]");
    (void)stage_connect(&scene->session);
    (void)stage_mail(&scene->session, &c->login, "<>");
    struct verdict verdict = stage_rcpt(&scene->session, c->recipient, c->mailer);

    if (strcmp(verdict_text(&verdict, got), c->verdict) != 0) {
        fail_msg("{%s} {%s} verify=%s issuer=%s subject=%s mailer=%s %s: %s\n%s", c->conf,
                 c->access, c->login.verify, c->login.cert_issuer, c->login.cert_subject, c->mailer,
                 c->recipient, got, scene->log.text.data);
    }
}

static void run(const struct relay_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct scene scene;

        scene_init(&scene, cases[i].conf, cases[i].access);
        expect(&scene, &cases[i]);
        scene_fini(&scene);
    }
}

/* ---- certificates ---- */

#define CERT(verify_, issuer_, subject_)                                          \
    {                                                                             \
        .verify = (verify_), .cert_issuer = (issuer_), .cert_subject = (subject_) \
    }

static void test_certificate_of_sendmail(void **state)
{
    static const struct relay_case cases[] = {
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT("OK", ISSUER, SUBJECT), NULL,
         "<x@other.test>", "continue"},
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT("TRUSTED", ISSUER, SUBJECT), NULL,
         "<x@other.test>", "continue"},
        /* only a certificate that TLS verified */
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT("FAIL", ISSUER, SUBJECT), NULL,
         "<x@other.test>", DENIED},
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT("NO", ISSUER, SUBJECT), NULL,
         "<x@other.test>", DENIED},
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT("NOT", ISSUER, SUBJECT), NULL,
         "<x@other.test>", DENIED},
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT("", ISSUER, SUBJECT), NULL, "<x@other.test>",
         DENIED},
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT(NULL, NULL, NULL), NULL, "<x@other.test>",
         DENIED},
        {MILTER, "CertIssuer:" ISSUER " RELAY\n", CERT("OK", ISSUER, ""), NULL, "<x@other.test>",
         DENIED},
        /* the whole name, with the tag */
        {MILTER, ISSUER " RELAY\n", CERT("OK", ISSUER, SUBJECT), NULL, "<x@other.test>", DENIED},
        {MILTER, "CertIssuer:/C=XY RELAY\n", CERT("OK", ISSUER, SUBJECT), NULL, "<x@other.test>",
         DENIED},
        {MILTER, "CertIssuer:" ISSUER " OK\n", CERT("OK", ISSUER, SUBJECT), NULL, "<x@other.test>",
         DENIED},
        /* SUBJECT asks for the subject as well */
        {MILTER, "CertIssuer:" ISSUER " SUBJECT\nCertSubject:" SUBJECT " RELAY\n",
         CERT("OK", ISSUER, SUBJECT), NULL, "<x@other.test>", "continue"},
        {MILTER, "CertIssuer:" ISSUER " SUBJECT\n", CERT("OK", ISSUER, SUBJECT), NULL,
         "<x@other.test>", DENIED},
        {MILTER, "CertIssuer:" ISSUER " SUBJECT\nCertSubject:" SUBJECT " OK\n",
         CERT("OK", ISSUER, SUBJECT), NULL, "<x@other.test>", DENIED},
        {MILTER, "CertIssuer:" ISSUER " SUBJECT\nCertSubject:/C=XY/CN=other.example RELAY\n",
         CERT("OK", ISSUER, SUBJECT), NULL, "<x@other.test>", DENIED},
        {MILTER, "CertSubject:" SUBJECT " RELAY\n", CERT("OK", ISSUER, SUBJECT), NULL,
         "<x@other.test>", DENIED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* Postfix passes common names, of trusted certificates only, and no {verify}. */
static void test_certificate_of_postfix(void **state)
{
    static const struct relay_case cases[] = {
        {CN, "CertIssuer:Example+20CA RELAY\n", CERT("", "Example CA", "client.example"), NULL,
         "<x@other.test>", "continue"},
        {CN, "CertIssuer:Example+20CA RELAY\n", CERT(NULL, "Example CA", "client.example"), NULL,
         "<x@other.test>", "continue"},
        {CN, "CertIssuer:A+28b+29+3Cc+3E+2B+22 RELAY\n", CERT("", "A(b)<c>+\"", "x"), NULL,
         "<x@other.test>", "continue"},
        {CN, "CertIssuer:ca SUBJECT\nCertSubject:client.example RELAY\n",
         CERT("", "CA", "client.example"), NULL, "<x@other.test>", "continue"},
        {CN, "CertIssuer:ca SUBJECT\nCertSubject:client.example RELAY\n", CERT("", "CA", "other"),
         NULL, "<x@other.test>", DENIED},
        {CN, "CertIssuer:ca RELAY\n", CERT("FAIL", "CA", "x"), NULL, "<x@other.test>", DENIED},
        /* asked for only where the administrator says so */
        {MILTER, "CertIssuer:Example+20CA RELAY\n", CERT("", "Example CA", "client.example"), NULL,
         "<x@other.test>", DENIED},
        {MILTER, "CertIssuer:Example+20CA RELAY\n", CERT("OK", "Example CA", "client.example"),
         NULL, "<x@other.test>", DENIED},
        /* a common name that looks like a whole one is none */
        {CN, "CertIssuer:" ISSUER " RELAY\n", CERT("", ISSUER, SUBJECT), NULL, "<x@other.test>",
         DENIED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* With delay_checks such a client is spared as one that logged in is (postern-access(5)). */
static void test_certificate_spares_the_delayed_checks(void **state)
{
    static const struct relay_case cases[] = {
        {MILTER "features = { \"delay_checks\" }\n",
         "CertIssuer:" ISSUER " RELAY\nConnect:198.18 REJECT\n", CERT("OK", ISSUER, SUBJECT), NULL,
         "<x@other.test>", "continue"},
        {MILTER "features = { \"delay_checks\" }\n",
         "CertIssuer:" ISSUER " OK\nConnect:198.18 REJECT\n", CERT("OK", ISSUER, SUBJECT), NULL,
         "<joe@local.example>", "reject 550 5.7.1 Access denied"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

static void test_certificate_with_a_value_that_cannot_be_read(void **state)
{
    const struct relay_case c = {MILTER "features = { \"delay_checks\" }\n",
                                 "",
                                 CERT("OK", ISSUER, SUBJECT),
                                 NULL,
                                 "<x@other.test>",
                                 TEMPFAIL};
    struct scene scene;

    (void)state;
    scene_init(&scene, c.conf, c.access);
    session_fini(&scene.session);
    ruleset_unref(&scene.ruleset);
    site_map_unchecked(&scene.site, "access", "certissuer:/c=xy/o=example+20ca RELAYED\n");
    scene.ruleset = site_load(&scene.site);
    session_init(&scene.session, scene.ruleset, &scene.log.trace);
    expect(&scene, &c);
    scene_fini(&scene);
}

/* ---- what the MTA says of the recipient ---- */

static void test_mailer_proves_a_recipient_local(void **state)
{
    static const struct relay_case cases[] = {
        {MILTER, "", CERT(NULL, NULL, NULL), "local", "<x@other.test>", "continue"},
        {MILTER, "", CERT(NULL, NULL, NULL), "virtual", "<x@other.test>", "continue"},
        {MILTER, "", CERT(NULL, NULL, NULL), "LOCAL", "<x@other.test>", "continue"},
        {MILTER, "", CERT(NULL, NULL, NULL), "smtp", "<x@other.test>", DENIED},
        {MILTER, "", CERT(NULL, NULL, NULL), "esmtp", "<x@other.test>", DENIED},
        {MILTER, "", CERT(NULL, NULL, NULL), "", "<x@other.test>", DENIED},
        {MILTER, "", CERT(NULL, NULL, NULL), NULL, "<x@other.test>", DENIED},
        {MILTER "local_mailers = { \"lmtp\" }\n", "", CERT(NULL, NULL, NULL), "lmtp",
         "<x@other.test>", "continue"},
        {MILTER "local_mailers = { \"lmtp\" }\n", "", CERT(NULL, NULL, NULL), "local",
         "<x@other.test>", DENIED},
        {MILTER "local_mailers = { }\n", "", CERT(NULL, NULL, NULL), "local", "<x@other.test>",
         DENIED},
        /* another mailer proves nothing against a local domain */
        {MILTER, "", CERT(NULL, NULL, NULL), "smtp", "<joe@local.example>", "continue"},
        {MILTER "features = { \"nopercenthack_reject\" }\n", "", CERT(NULL, NULL, NULL), "local",
         "<x%other.test@local.example>", DENIED},
    };

    (void)state;
    run(cases, COUNT(cases));
}

/* ---- the forms of the features ---- */

static void test_recipient_by_each_feature(void **state)
{
    static const struct relay_case cases[] = {
        {MILTER "features = { \"relay_entire_domain\" }\n", "", CERT(NULL, NULL, NULL), NULL,
         "<x@sub.home.example>", "continue"},
        {MILTER, "", CERT(NULL, NULL, NULL), NULL, "<x@sub.home.example>", DENIED},
        {MILTER "features = { \"relaytofulladdress\" }\n", "To:joe@ RELAY\n",
         CERT(NULL, NULL, NULL), NULL, "<joe@other.test>", "continue"},
        {MILTER "features = { \"relaytofulladdress\" }\n", "To:joe@ RELAY\n",
         CERT(NULL, NULL, NULL), NULL, "<joe+x@other.test>",
         DENIED}, /* "then the single key user+detail@" */
        {MILTER "features = { \"relaytofulladdress\" }\n", "To:other.test OK\nTo:joe@ RELAY\n",
         CERT(NULL, NULL, NULL), NULL, "<joe@other.test>", DENIED},
        {MILTER "features = { \"relaytofulladdress\" }\n", "joe@other.test RELAY\n",
         CERT(NULL, NULL, NULL), NULL, "<joe@other.test>", "continue"},
    };

    (void)state;
    run(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificate_of_sendmail),
        cmocka_unit_test(test_certificate_of_postfix),
        cmocka_unit_test(test_certificate_spares_the_delayed_checks),
        cmocka_unit_test(test_certificate_with_a_value_that_cannot_be_read),
        cmocka_unit_test(test_mailer_proves_a_recipient_local),
        cmocka_unit_test(test_recipient_by_each_feature),
    };

    return cmocka_run_group_tests_name("relay_rules", tests, NULL, NULL);
}
