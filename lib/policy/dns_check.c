/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_check.h"

#include <stdbool.h>
#include <stdint.h>

/* How long the mail server waits for a filter's reply to a command, by the lines of postern(8). */
#define MTA_WAITS_MS 30000u

/* A list counts once, whatever it lists of a client. */
static void check_threshold(const struct config *config, struct diag *diag)
{
    int64_t most = 0;

    for (size_t i = 0; i < config->dns.list_count; i++) {
        most += config->dns.lists[i].weight > 0 ? config->dns.lists[i].weight : 0;
    }
    if (config->dns.score_threshold > most) {
        diag_report(diag, DIAG_WARNING, config->path, 0, "lower it, or give lists a weight",
                    "score_threshold %d is never reached: the weights above 0 add up to %lld",
                    config->dns.score_threshold, (long long)most);
    }
}

/* Who waits for the reply to a command waits as long as that, unless he is told otherwise. */
static void check_timeout(const struct config *config, struct diag *diag)
{
    if (config->dns.timeout_ms >= MTA_WAITS_MS) {
        diag_report(
            diag, DIAG_WARNING, config->path, 0,
            "the mail server waits for 30 seconds by the lines of postern(8), and then answers "
            "4xx by itself",
            "section dns: timeout_ms %d: a session may wait longer than the mail server does",
            (int)config->dns.timeout_ms);
    }
}

static void check_replies(const struct config *config, struct diag *diag)
{
    for (size_t i = 0; i < config->dns.list_count; i++) {
        const struct config_dnsbl *list = &config->dns.lists[i];
        bool refuses = list->action == DNS_ACTION_REJECT || list->action == DNS_ACTION_TEMPFAIL;

        if (*list->reply != '\0' && (!refuses || list->weight != 0)) {
            diag_report(diag, DIAG_WARNING, config->path, list->line,
                        refuses ? "write score_reply in section dns" : "leave reply out",
                        "dnsbl \"%s\": its reply is told to nobody", list->title);
        }
    }
}

/* A weight needs a score. */
static void check_weights(const struct config *config, struct diag *diag)
{
    for (size_t i = 0; i < config->dns.list_count && config->dns.score_threshold == 0; i++) {
        const struct config_dnsbl *list = &config->dns.lists[i];

        if (list->weight != 0) {
            diag_report(diag, DIAG_WARNING, config->path, list->line,
                        "set score_threshold in section dns, or leave weight out",
                        "dnsbl \"%s\": its weight decides nothing without a score_threshold",
                        list->title);
        }
    }
}

void dns_check_config(const struct config *config, struct diag *diag)
{
    check_timeout(config, diag);
    check_threshold(config, diag);
    check_replies(config, diag);
    check_weights(config, diag);
}
