/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fuzz/fuzz_site.h"

#include "lib/mail/netaddr.h"
#include "lib/policy/access_map.h"
#include "tests/fuzz/fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char rules[] = "Connect:10\tRELAY\n"
                            "Connect:10.9\tREJECT\n"
                            "Connect:clients.test\tRELAY\n"
                            "To:relay.test\tRELAY\n"
                            "To:not.relay.test\tOK\n"
                            "From:bad.test\tREJECT\n";

static const char *const features[FUZZ_SITE_RULESETS] = {
    "",
    "\"loose_relay_check\", \"relaytofulladdress\"",
    "\"nopercenthack_nospecial\", \"nouucp_nospecial\"",
    "\"nopercenthack_reject\", \"nouucp_reject\", \"relay_hosts_only\"",
};

static struct ruleset *rulesets[FUZZ_SITE_RULESETS];
static char folder[] = "/tmp/postern-fuzz-XXXXXX";

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name, char path[64])
{
    (void)snprintf(path, 64, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    char path[64];
    FILE *file = fopen(path_of(name, path), "we");

    FUZZ_REQUIRE(file != NULL);
    FUZZ_REQUIRE(fputs(text, file) >= 0 && fclose(file) == 0);
}

static void load(unsigned i)
{
    char text[1024];
    char path[64];
    struct diag diag;

    (void)snprintf(text, sizeof(text),
                   "access = \"%s/access\"\nspammers = \"\"\nregex = \"\"\nheader_checks = \"\"\n"
                   "hostname = \"mx.here.test\"\nlocal_host_names = \"%s/names\"\n"
                   "relay_domains = \"%s/relays\"\nfeatures = { %s }\n",
                   folder, folder, folder, features[i]);
    write_file("postern.conf", text);
    diag_init(&diag, diag_to_stream, stderr);
    rulesets[i] = ruleset_load(path_of("postern.conf", path), &diag);
    FUZZ_REQUIRE(rulesets[i] != NULL);
}

static void set_up(void)
{
    char text[64];
    char map[64];
    struct diag diag;
    struct mapfile_result result;

    FUZZ_REQUIRE(mkdtemp(folder) != NULL);
    FUZZ_REQUIRE(atexit(clean_up) == 0);
    write_file("access", rules);
    write_file("names", "here.test\n");
    write_file("relays", "partner.test\n");

    struct mapfile_job job = {.format = &access_map_format,
                              .map_path = path_of("access.gdbm", map),
                              .source_path = path_of("access", text)};

    diag_init(&diag, diag_to_stream, stderr);
    FUZZ_REQUIRE(mapfile_build(&job, &diag, &result) == STATUS_OK);
    for (unsigned i = 0; i < FUZZ_SITE_RULESETS; i++) {
        load(i);
    }
}

struct ruleset *fuzz_site_ruleset(unsigned which)
{
    if (rulesets[0] == NULL) {
        set_up();
    }
    return rulesets[which % FUZZ_SITE_RULESETS];
}

static bool logged_in(const struct netaddr *client)
{
    struct netaddr address;
    struct netaddr network;
    bool host_bits;

    FUZZ_REQUIRE(netaddr_parse("198.18.0.7", &address));
    FUZZ_REQUIRE(netaddr_parse_network("2001:db8:7::/64", &network, &host_bits));
    return netaddr_equal(client, &address) || netaddr_contains(&network, client);
}

static enum status find(void *ctx, const struct netaddr *client, struct relay_found *found_out)
{
    (void)ctx;
    if (!logged_in(client)) {
        return STATUS_NOTFOUND;
    }
    if (found_out != NULL) {
        *found_out = (struct relay_found){.addr = *client, .login_at = 1695420927};
    }
    return STATUS_OK;
}

const struct relay_lookup *fuzz_site_relayers(void)
{
    static const struct relay_lookup relayers = {.find = find};

    return &relayers;
}

bool fuzz_site_ends_in(const char *text, size_t len, const char *suffix)
{
    size_t suffix_len = strlen(suffix);

    return len >= suffix_len && strncasecmp(text + len - suffix_len, suffix, suffix_len) == 0 &&
           (len == suffix_len || text[len - suffix_len - 1] == '.');
}

bool fuzz_site_is_friend(const char *text)
{
    static const unsigned char loopback[16] = {[15] = 1};
    struct netaddr client;

    if (!netaddr_parse(text, &client)) {
        return false;
    }
    if (client.family == NETADDR_IPV6) {
        return logged_in(&client) || memcmp(client.bytes, loopback, sizeof(loopback)) == 0;
    }
    return logged_in(&client) || (client.bytes[0] == 10 && client.bytes[1] != 9) ||
           memcmp(client.bytes, "\x7f\0\0\1", 4) == 0;
}
