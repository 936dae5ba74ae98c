/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nullmilter: a filter that does nothing, the yardstick for one that does. It negotiates what its options say, keeps a structure
 * for each connection as every filter must, and answers CONTINUE.
 */
#include <errno.h>
#include <getopt.h>
#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const char usage_text[] =
    "usage: nullmilter --socket SPEC [options]\n"
    "  --like envelope    connect, helo, mail, rcpt, eom; no reply at connect and helo; macros of the client (as postern)\n"
    "  --like headers     the same, and headers without a reply\n"
    "  --like everything  all steps, all answered, the MTA's own macros\n"
    "  --steps LIST       of connect,helo,mail,rcpt,data,unknown,header,eoh,body,eom (eom always)\n"
    "  --no-reply LIST    of the same\n"
    "  --macros STAGE=NAMES  of connect,helo,mail,rcpt,data,eom,eoh; can be given again\n"
    "  --leading-blank        values of headers with the blank behind the colon\n"
    "  --actions BITS         rights to ask for, as SMFIF_* (0x120: quarantine, choice of macros)\n"
    "  --private BYTES    size of the structure of a connection (256)\n"
    "Later options change what --like has set.\n";

struct step {
    const char *name;
    unsigned long off;
    unsigned long no_reply;
};

static const struct step steps[] = {
    {"connect", SMFIP_NOCONNECT, SMFIP_NR_CONN}, {"helo", SMFIP_NOHELO, SMFIP_NR_HELO},
    {"mail", SMFIP_NOMAIL, SMFIP_NR_MAIL},       {"rcpt", SMFIP_NORCPT, SMFIP_NR_RCPT},
    {"data", SMFIP_NODATA, SMFIP_NR_DATA},       {"unknown", SMFIP_NOUNKNOWN, SMFIP_NR_UNKN},
    {"header", SMFIP_NOHDRS, SMFIP_NR_HDR},      {"eoh", SMFIP_NOEOH, SMFIP_NR_EOH},
    {"body", SMFIP_NOBODY, SMFIP_NR_BODY},       {"eom", 0, 0},
};

static const struct {
    const char *name;
    int stage;
} macro_stages[] = {
    {"connect", SMFIM_CONNECT}, {"helo", SMFIM_HELO}, {"mail", SMFIM_ENVFROM},
    {"rcpt", SMFIM_ENVRCPT},    {"data", SMFIM_DATA}, {"eom", SMFIM_EOM},
    {"eoh", SMFIM_EOH},
};

enum { MACRO_STAGES = 7 };

/* Written by the options, only read once sessions run. */
static struct {
    const char *socket;
    unsigned long off;
    unsigned long no_reply;
    char *macros[MACRO_STAGES]; /* by SMFIM_*; NULL: the MTA's own */
    size_t private_size;
    unsigned long actions;
    unsigned long blank;
} config = {.private_size = 256, .actions = SMFIF_QUARANTINE | SMFIF_SETSYMLIST};

static void wrong_usage(const char *what, const char *value)
{
    fprintf(stderr, "nullmilter: %s: %s\n%s", what, value, usage_text);
    exit(2);
}

static const struct step *find_step(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strlen(steps[i].name) == len && strncmp(steps[i].name, name, len) == 0)
            return &steps[i];
    wrong_usage("unknown step", name);
    return NULL;
}

static void set_steps(const char *list)
{
    config.off = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        config.off |= steps[i].off;
    for (size_t len; (len = strcspn(list, ",")) > 0; list += len + (list[len] == ','))
        config.off &= ~find_step(list, len)->off;
}

static void set_no_reply(const char *list)
{
    config.no_reply = 0;
    for (size_t len; (len = strcspn(list, ",")) > 0; list += len + (list[len] == ','))
        config.no_reply |= find_step(list, len)->no_reply;
}

static void set_macros(const char *pair)
{
    size_t len = strcspn(pair, "=");
    for (size_t i = 0; i < sizeof macro_stages / sizeof macro_stages[0]; i++) {
        if (strlen(macro_stages[i].name) != len || strncmp(macro_stages[i].name, pair, len) != 0 ||
            pair[len] == '\0')
            continue;
        free(config.macros[macro_stages[i].stage]);
        config.macros[macro_stages[i].stage] = strdup(pair + len + 1);
        return;
    }
    wrong_usage("want STAGE=NAMES, not", pair);
}

static void set_like(const char *name)
{
    if (strcmp(name, "everything") == 0) {
        set_steps("connect,helo,mail,rcpt,data,unknown,header,eoh,body,eom");
        set_no_reply("");
        return;
    }
    bool headers = strcmp(name, "headers") == 0;
    if (!headers && strcmp(name, "envelope") != 0 && strcmp(name, "postern") != 0)
        wrong_usage("unknown model", name);
    set_steps(headers ? "connect,helo,mail,rcpt,header,eom" : "connect,helo,mail,rcpt,eom");
    set_no_reply(headers ? "connect,helo,header" : "connect,helo");
    set_macros("connect=j {client_addr} {client_name} {client_ptr} {client_resolve}");
    set_macros("helo=j");
    set_macros("mail=i {auth_type} {auth_authen}");
    set_macros("rcpt=i {rcpt_mailer}");
    set_macros("eom=i");
}

static void *private_of(SMFICTX *ctx)
{
    void *private = smfi_getpriv(ctx);
    if (private == NULL) {
        private = calloc(1, config.private_size);
        if (private != NULL)
            (void)smfi_setpriv(ctx, private);
    }
    return private;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long offered_actions,
                             unsigned long offered_steps, unsigned long f2, unsigned long f3,
                             unsigned long *actions_out, unsigned long *steps_out,
                             unsigned long *f2_out, unsigned long *f3_out)
{
    (void)f2;
    (void)f3;
    for (int stage = 0; stage < MACRO_STAGES; stage++)
        if (config.macros[stage] != NULL && (offered_actions & SMFIF_SETSYMLIST) != 0)
            (void)smfi_setsymlist(ctx, stage, config.macros[stage]);
    *actions_out = offered_actions & config.actions;
    *steps_out = offered_steps & (config.off | config.no_reply | config.blank);
    *f2_out = 0;
    *f3_out = 0;
    return SMFIS_CONTINUE;
}

static sfsistat answer(SMFICTX *ctx, unsigned long no_reply)
{
    if (private_of(ctx) == NULL)
        return SMFIS_TEMPFAIL;
    return (config.no_reply & no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, struct sockaddr *addr)
{
    (void)host;
    (void)addr;
    return answer(ctx, SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
    (void)name;
    return answer(ctx, SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *ctx, char **args)
{
    (void)args;
    return answer(ctx, SMFIP_NR_MAIL);
}

static sfsistat on_rcpt(SMFICTX *ctx, char **args)
{
    (void)args;
    return answer(ctx, SMFIP_NR_RCPT);
}

static sfsistat on_data(SMFICTX *ctx)
{
    return answer(ctx, SMFIP_NR_DATA);
}

static sfsistat on_unknown(SMFICTX *ctx, const char *command)
{
    (void)command;
    return answer(ctx, SMFIP_NR_UNKN);
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    (void)name;
    (void)value;
    return answer(ctx, SMFIP_NR_HDR);
}

static sfsistat on_eoh(SMFICTX *ctx)
{
    return answer(ctx, SMFIP_NR_EOH);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *chunk, size_t len)
{
    (void)chunk;
    (void)len;
    return answer(ctx, SMFIP_NR_BODY);
}

static sfsistat on_eom(SMFICTX *ctx)
{
    return answer(ctx, 0);
}

static sfsistat on_close(SMFICTX *ctx)
{
    free(smfi_getpriv(ctx));
    (void)smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},  {"like", required_argument, NULL, 'l'},
        {"steps", required_argument, NULL, 't'},   {"no-reply", required_argument, NULL, 'n'},
        {"macros", required_argument, NULL, 'm'},  {"private", required_argument, NULL, 'p'},
        {"leading-blank", no_argument, NULL, 'b'}, {"actions", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    int option;
    set_like("envelope");
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's') {
            config.socket = optarg;
        } else if (option == 'l') {
            set_like(optarg);
        } else if (option == 't') {
            set_steps(optarg);
        } else if (option == 'n') {
            set_no_reply(optarg);
        } else if (option == 'm') {
            set_macros(optarg);
        } else if (option == 'p') {
            config.private_size = strtoul(optarg, NULL, 10) + 1;
        } else if (option == 'b') {
            config.blank = SMFIP_HDR_LEADSPC;
        } else if (option == 'a') {
            config.actions = strtoul(optarg, NULL, 0);
        } else {
            fputs(usage_text, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    if (config.socket == NULL || optind < argc)
        wrong_usage(optind < argc ? "what is this" : "missing",
                    optind < argc ? argv[optind] : "--socket");
}

int main(int argc, char **argv)
{
    static char name[] = "nullmilter";
    read_options(argc, argv);
    struct smfiDesc filter = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = SMFI_CURR_ACTS,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_rcpt,
        .xxfi_header = on_header,
        .xxfi_eoh = on_eoh,
        .xxfi_body = on_body,
        .xxfi_eom = on_eom,
        .xxfi_close = on_close,
        .xxfi_unknown = on_unknown,
        .xxfi_data = on_data,
        .xxfi_negotiate = on_negotiate,
    };
    umask(0177);
    (void)smfi_setbacklog(SOMAXCONN);
    char *spec = strdup(config.socket); /* libmilter wants to write to it */
    if (spec == NULL || smfi_setconn(spec) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS ||
        smfi_opensocket(true) != MI_SUCCESS) {
        fprintf(stderr, "nullmilter: cannot listen on %s: %s\n", config.socket, strerror(errno));
        return 1;
    }
    return smfi_main() == MI_SUCCESS ? 0 : 1;
}
