/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"
#include "ctl/explain.h"
#include "ctl/explain_logins.h"
#include "ctl/explain_print.h"

#include "lib/base/diag.h"
#include "lib/base/xalloc.h"
#include "lib/dns/resolver.h"
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_options.h"
#include "lib/policy/ruleset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum explain_option {
    OPT_CLIENT = 256,
    OPT_NAME,
    OPT_RESOLVE,
    OPT_PTR,
    OPT_HELO,
    OPT_LOGGED_IN,
    OPT_AUTH,
    OPT_MECH,
    OPT_MACRO,
    OPT_FROM,
    OPT_RCPT,
    OPT_HEADER,
    OPT_MESSAGE,
};

static const struct option options[] = {
    {"client", required_argument, NULL, OPT_CLIENT},
    {"name", required_argument, NULL, OPT_NAME},
    {"resolve", required_argument, NULL, OPT_RESOLVE},
    {"ptr", required_argument, NULL, OPT_PTR},
    {"helo", required_argument, NULL, OPT_HELO},
    {"logged-in", optional_argument, NULL, OPT_LOGGED_IN},
    {"auth", required_argument, NULL, OPT_AUTH},
    {"mech", required_argument, NULL, OPT_MECH},
    {"macro", required_argument, NULL, OPT_MACRO},
    {"from", required_argument, NULL, OPT_FROM},
    {"rcpt", required_argument, NULL, OPT_RCPT},
    {"header", required_argument, NULL, OPT_HEADER},
    {"message", required_argument, NULL, OPT_MESSAGE},
    CTL_LONG_OPTIONS,
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Plays one SMTP session through the daemon's own stages, without sending mail, and shows each key\n"
    "that is looked up, the rule that decides and the SMTP reply. DNS is asked.\n\n"
    "  --client IP        address of the client; \"\" for mail that does not come by SMTP\n"
    "  --name HOST        its verified host name; without it the client has none\n"
    "  --resolve RESULT   OK, FAIL (no PTR record), TEMP (lookup failed), FORGED (does not resolve back)\n"
    "  --ptr NAME         what the PTR record says, verified or not\n"
    "  --helo NAME        the argument of HELO\n"
    "  --auth USER        the login; --mech MECHANISM is PLAIN if not given\n"
    "  --logged-in[=USER] a client that has just logged in to POP or IMAP; without it the daemon is asked\n"
    "  --macro NAME=VALUE what else the MTA would tell: j, {daemon_name}, {daemon_addr}, ...\n"
    "  --from ADDRESS     envelope sender; <> or \"\" for a bounce\n"
    "  --rcpt ADDRESS     recipient; may be given several times\n"
    "  --header 'N: v'    a field of the message's header; may be given several times\n"
    "  --message FILE     header and body of a message, after these fields; - is standard input\n";

/* A macro of the MTA by name, with or without braces. False: the decisions use none of that name. */
static bool set_macro(struct explain_request *request, const char *name, size_t len,
                      const char *value)
{
    const struct {
        const char *name;
        const char **target;
    } macros[] = {
        {"j", &request->client.hostname},
        {"client_name", &request->client.name},
        {"client_addr", &request->client.address},
        {"client_resolve", &request->client.resolve},
        {"client_ptr", &request->client.ptr},
        {"daemon_name", &request->client.daemon_name},
        {"daemon_addr", &request->client.daemon_addr},
        {"if_addr", &request->client.daemon_addr},
        {"auth_type", &request->login.type},
        {"auth_authen", &request->login.authen},
        {"verify", &request->login.verify},
        {"cert_subject", &request->login.cert_subject},
        {"cert_issuer", &request->login.cert_issuer},
        {"rcpt_mailer", &request->mailer},
    };

    if (len >= 2 && name[0] == '{' && name[len - 1] == '}') {
        name++;
        len -= 2;
    }
    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++) {
        if (strlen(macros[i].name) == len && strncasecmp(macros[i].name, name, len) == 0) {
            *macros[i].target = value;
            return true;
        }
    }
    return false;
}

static int take_macro(struct ctl *ctl, struct explain_request *request, const char *text)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        return ctl_usage(ctl, "--macro %s: write NAME=VALUE", text);
    }
    if (!set_macro(request, text, (size_t)(equals - text), equals + 1)) {
        ctl_complain(ctl, "warning: no decision uses the macro %.*s", (int)(equals - text), text);
    }
    return CTL_DONE;
}

static bool is_resolve(const char *text)
{
    for (int i = RESOLVE_OK; i <= RESOLVE_FORGED; i++) {
        if (strcasecmp(text, session_resolve_name((enum session_resolve)i)) == 0) {
            return true;
        }
    }
    return false;
}

/* What the options name; the lists have room for all of them. */
struct arguments {
    const char **recipients;
    const char **headers;
    size_t header_count;
    const char *message;   /* NULL: none */
    const char *logged_in; /* the user, or ""; NULL: whoever is recorded */
};

/* One option; a value other than CTL_DONE ends the program with it. */
static int take_option(struct ctl *ctl, struct explain_request *request,
                       struct arguments *arguments, int option)
{
    switch (option) {
    case OPT_CLIENT:
        request->client.address = optarg;
        break;
    case OPT_NAME:
        request->client.name = optarg;
        break;
    case OPT_RESOLVE:
        if (!is_resolve(optarg)) {
            return ctl_usage(ctl, "--resolve %s: write OK, FAIL, TEMP or FORGED", optarg);
        }
        request->client.resolve = optarg;
        break;
    case OPT_PTR:
        request->client.ptr = optarg;
        break;
    case OPT_HELO:
        request->helo = optarg;
        break;
    case OPT_LOGGED_IN:
        arguments->logged_in = optarg == NULL ? "" : optarg;
        break;
    case OPT_AUTH:
        request->login.authen = optarg;
        break;
    case OPT_MECH:
        request->login.type = optarg;
        break;
    case OPT_MACRO:
        return take_macro(ctl, request, optarg);
    case OPT_FROM:
        request->sender = optarg;
        break;
    case OPT_RCPT:
        arguments->recipients[request->recipient_count++] = optarg;
        break;
    case OPT_HEADER:
        arguments->headers[arguments->header_count++] = optarg;
        break;
    case OPT_MESSAGE:
        arguments->message = optarg;
        break;
    default:
        return ctl_usage(ctl, "unknown option");
    }
    return CTL_DONE;
}

static int check_request(struct ctl *ctl, struct explain_request *request,
                         const struct arguments *arguments)
{
    struct netaddr addr;

    if (request->client.address == NULL) {
        return ctl_usage(ctl, "--client IP is wanted");
    }
    if (*request->client.address != '\0' && !netaddr_parse(request->client.address, &addr)) {
        return ctl_usage(ctl, "--client %s: not an IP address", request->client.address);
    }
    if (request->recipient_count > 0 && request->sender == NULL) {
        return ctl_usage(ctl, "--rcpt needs --from ADDRESS");
    }
    if ((arguments->header_count > 0 || arguments->message != NULL) && request->sender == NULL) {
        return ctl_usage(ctl, "--header and --message need --from ADDRESS");
    }
    /* A login without a mechanism is a plain one. */
    if (request->login.authen != NULL && request->login.type == NULL) {
        request->login.type = "PLAIN";
    }
    return CTL_DONE;
}

/* Errors only: what is doubtful about the configuration is posternctl check's to say. */
static void print_errors(void *ctx, const struct diag_item *item)
{
    if (item->level == DIAG_ERROR) {
        diag_to_stream(ctx, item);
    }
}

/* The servers that the daemon asks too; lists are probed as it does, so that those that it would not ask are not asked here. */
static void start_dns(struct ctl *ctl, struct explain_request *request, struct ruleset *ruleset)
{
    const struct config_dns *dns = &ruleset_config(ruleset)->dns;
    struct resolver_options wanted = dns_options(dns);
    struct strbuf why;

    strbuf_init(&why);
    request->resolver = resolver_new(&wanted, NULL, &why);
    if (request->resolver == NULL) {
        ctl_complain(ctl, "warning: DNS is not asked: %s", why.data);
    } else {
        dns_lists_probe(ruleset_dns_lists(ruleset), request->resolver, NULL,
                        dns_now() + (int64_t)dns->timeout_ms * 1000000);
    }
    strbuf_fini(&why);
}

static int run(struct ctl *ctl, struct explain_request *request, const char *logged_in)
{
    struct explain_logins logins;
    char own_name[256] = "";
    struct diag diag;

    diag_init(&diag, print_errors, stderr);

    struct ruleset *ruleset = ruleset_load(ctl->config_path, &diag);

    if (ruleset == NULL) {
        return CTL_NO;
    }
    if (request->client.hostname == NULL && gethostname(own_name, sizeof(own_name) - 1) == 0) {
        request->client.hostname = own_name;
    }
    start_dns(ctl, request, ruleset);

    explain_logins_init(&logins, ctl, ruleset_config(ruleset), logged_in);
    request->relayers = &logins.lookup;
    json_t *object = explain_session(ruleset, request);
    int code = CTL_DONE;

    if (ctl->json) {
        code = ctl_print_json(ctl, object, NULL, CTL_DONE);
    } else {
        explain_print(object);
        json_decref(object);
    }
    resolver_free(&request->resolver);
    explain_logins_fini(&logins);
    ruleset_unref(&ruleset);
    return code;
}

/* Reads the message, and plays the session with it. */
static int run_with_message(struct ctl *ctl, struct explain_request *request,
                            const struct arguments *arguments)
{
    struct message_file message;
    struct strbuf why;
    int code = CTL_NO;

    strbuf_init(&why);
    if (message_file_read(arguments->message, arguments->headers, arguments->header_count, &message,
                          &why) == STATUS_OK) {
        request->fields = message.fields;
        request->field_count = message.field_count;
        request->body = message.body;
        request->body_len = message.body_len;
        code = run(ctl, request, arguments->logged_in);
    } else {
        ctl_complain(ctl, "%s", why.data);
    }
    message_file_fini(&message);
    strbuf_fini(&why);
    return code;
}

static int parse(struct ctl *ctl, struct explain_request *request, struct arguments *arguments,
                 int argc, char **argv)
{
    int code = CTL_DONE;
    int option;

    while (code == CTL_DONE &&
           (option = getopt_long(argc, argv, CTL_SHORT_OPTIONS, options, NULL)) != -1) {
        if (!ctl_option(ctl, option, optarg)) {
            code = take_option(ctl, request, arguments, option);
        }
    }
    if (code == CTL_DONE && optind < argc) {
        code = ctl_usage(ctl, "%s: write --from and --rcpt before addresses", argv[optind]);
    }
    return code == CTL_DONE ? check_request(ctl, request, arguments) : code;
}

static bool wants_help(int argc, char **argv)
{
    return argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

int cmd_explain(struct ctl *ctl, int argc, char **argv)
{
    if (wants_help(argc, argv)) {
        return ctl_help(ctl, help);
    }
    struct arguments arguments = {
        .recipients = xcalloc((size_t)argc + 1, sizeof(*arguments.recipients)),
        .headers = xcalloc((size_t)argc + 1, sizeof(*arguments.headers)),
    };
    struct explain_request request = {.recipients = arguments.recipients};
    int code = parse(ctl, &request, &arguments, argc, argv);

    if (code == CTL_DONE) {
        code = run_with_message(ctl, &request, &arguments);
    }
    free(arguments.recipients);
    free(arguments.headers);
    return code;
}
