/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/relay_check.h"

#include "lib/base/strbuf.h"
#include "lib/mail/domain.h"
#include "lib/mail/netaddr.h"
#include "lib/table/linereader.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_LINE 4096u

static const struct {
    enum config_feature feature;
    const char *name;
    const char *text;
    const char *hint;
} doubtful[] = {
    {FEATURE_PROMISCUOUS_RELAY, "promiscuous_relay",
     "everybody may relay to everywhere: an open relay", "remove it from features"},
    {FEATURE_RELAY_LOCAL_FROM, "relay_local_from",
     "who claims to be a local sender may relay, and anybody can claim that",
     "let users log in, or use Connect: RELAY"},
    {FEATURE_RELAY_MAIL_FROM, "relay_mail_from",
     "who claims to be a sender with RELAY may relay, and anybody can claim that",
     "let users log in, or use Connect: RELAY"},
};

static void check_features(const struct config *config, struct diag *diag)
{
    for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
        if (config_has_anywhere(config, doubtful[i].feature)) {
            diag_report(diag, DIAG_WARNING, config->path, 0, doubtful[i].hint, "%s: %s",
                        doubtful[i].name, doubtful[i].text);
        }
    }
}

static void check_logins(const struct config *config, struct diag *diag)
{
    for (size_t i = 0; i < config->trust_auth_mech.count; i++) {
        const char *mechanism = config->trust_auth_mech.items[i];

        if (strcasecmp(mechanism, "any") == 0 || strcasecmp(mechanism, "ANONYMOUS") == 0) {
            diag_report(
                diag, DIAG_WARNING, config->path, 0,
                "name the mechanisms, such as {\"PLAIN\", \"LOGIN\"}, and offer those two after "
                "STARTTLS only",
                "trust_auth_mech: \"%s\" trusts every login, however it was made", mechanism);
        }
    }
}

/* The key without its tag; *tagged_out: it had one. */
static const char *without_tag(const char *key, bool *tagged_out)
{
    static const char *const tags[] = {"connect:", "to:", "from:"};

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        size_t len = strlen(tags[i]);

        if (strncasecmp(key, tags[i], len) == 0) {
            *tagged_out = true;
            return key + len;
        }
    }
    *tagged_out = false;
    return key;
}

/* Tags whose RELAY says nothing of hosts, or nothing at all. */
static bool has_other_tag(const char *key)
{
    static const char *const tags[] = {
        "certissuer:", "certsubject:", "spam:", "compat:", "clientrate:", "clientconn:"};

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (strncasecmp(key, tags[i], strlen(tags[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* A network of all addresses, or a name of one label. NULL: nothing is wrong with it. */
static const char *too_wide(const char *name)
{
    struct netaddr network;
    bool host_bits;

    if (netaddr_parse_network(name, &network, &host_bits) || host_bits) {
        return network.bits == 0 ? "is every address there is" : NULL;
    }
    if (*name == '[' || strchr(name, '@') != NULL || strchr(name, ':') != NULL) {
        return NULL;
    }
    const char *label = *name == '.' ? name + 1 : name;

    return *label != '\0' && strchr(label, '.') == NULL && strcasecmp(label, "localhost") != 0
               ? "is a whole top-level domain"
               : NULL;
}

void relay_check_entry(const char *file, unsigned line, const char *key, struct diag *diag)
{
    bool tagged;
    const char *name = without_tag(key, &tagged);
    const char *wide = too_wide(name);

    if (!tagged && has_other_tag(key)) {
        return;
    }

    if (wide != NULL) {
        diag_report(diag, DIAG_WARNING, file, line,
                    "name the hosts and networks that you relay for", "RELAY: %s %s", name, wide);
    }
    if (!tagged) {
        diag_report(
            diag, DIAG_WARNING, file, line,
            "write Connect: (these clients may send everywhere) or To: (everybody may send there)",
            "RELAY: \"%s\" has no tag: it lets these clients relay and everybody relay to them",
            key);
    }
}

static void check_relay_line(const struct config *config, char *text, unsigned line,
                             struct diag *diag)
{
    text[strcspn(text, "#")] = '\0';
    text += strspn(text, " \t");
    text[strcspn(text, " \t\r")] = '\0';

    const char *wide = *text == '\0' ? NULL : too_wide(text);

    if (wide != NULL) {
        diag_report(diag, DIAG_WARNING, config->relay_domains, line,
                    "name the domains and networks that you relay for", "%s %s", text, wide);
    }
}

/* Errors of the file were told by whoever read it as a list. */
static void check_relay_domains(const struct config *config, struct diag *diag)
{
    int fd = *config->relay_domains == '\0' ? -1
                                            : open(config->relay_domains, O_RDONLY | O_CLOEXEC);
    struct linereader reader;
    struct diag silent;
    char *text;
    size_t len;

    if (fd < 0) {
        return;
    }
    diag_init(&silent, NULL, NULL);
    linereader_init(&reader, fd, config->relay_domains, MAX_LINE, &silent);
    while ((text = linereader_next(&reader, &len)) != NULL) {
        check_relay_line(config, text, reader.number, diag);
    }
    linereader_fini(&reader);
    close(fd);
}

static bool is_asked_on(const struct config_socket *socket)
{
    return socket->was_set && *socket->path != '\0';
}

bool relay_check_matters(const struct config *config)
{
    return config_controls_relaying(config) ||
           (config->relay_control == RELAY_CONTROL_MTA &&
            (is_asked_on(&config->map_socket) || is_asked_on(&config->policy_socket)));
}

void relay_check_config(const struct config *config, struct diag *diag)
{
    if (!relay_check_matters(config)) {
        return;
    }
    if (config_controls_relaying(config)) {
        diag_report(diag, DIAG_WARNING, config->path, 0,
                    "give every listener of the MTA this filter, with F=T or "
                    "milter_default_action = tempfail; see postern.conf(5)",
                    "relay_control \"milter\": a listener without the filter is an open relay");
    }
    check_features(config, diag);
    check_logins(config, diag);
    check_relay_domains(config, diag);
}
