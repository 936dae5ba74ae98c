/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/dns_script.h"

#include "lib/base/xalloc.h"
#include "lib/dns/dns_message.h"
#include "tests/unit/dns_zone.h"

#include <stdlib.h>

struct dns_script {
    struct dns_zone *zone;
    struct resolver *resolver;
};

static struct dns_result *answer(void *ctx, const char *name, enum dns_type type)
{
    const struct dns_script *script = ctx;
    struct dns_zone_reply *reply = xcalloc(1, sizeof(*reply));
    uint8_t question[DNS_MESSAGE_QUESTION_SIZE];
    size_t len = dns_message_question(question, name, type, 1, 0);
    struct dns_result *result = NULL;

    if (dns_zone_answer(script->zone, question, len, true, reply) && !reply->silent) {
        result = dns_message_read(reply->message, reply->len, name, type);
    }
    free(reply);
    return result;
}

struct dns_script *dns_script_new(const char *zone)
{
    struct dns_script *script = xcalloc(1, sizeof(*script));

    script->zone = dns_zone_new(zone);
    script->resolver = resolver_new_scripted(answer, script);
    return script;
}

void dns_script_free(struct dns_script **script)
{
    if (*script != NULL) {
        resolver_free(&(*script)->resolver);
        dns_zone_free(&(*script)->zone);
        free(*script);
        *script = NULL;
    }
}

struct resolver *dns_script_resolver(const struct dns_script *script)
{
    return script->resolver;
}
