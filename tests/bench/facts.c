/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shares, in percent, of a usual day at a mail server's door. */
enum {
    PERCENT_IPV6 = 10,
    PERCENT_UNRESOLVED = 25,
    PERCENT_FORGED = 3,
    PERCENT_NULL_SENDER = 4,
    PERCENT_DETAIL = 5,
    PERCENT_UPPER_CASE = 5
};

static const char *const top_domains[] = {"com",   "net",     "org",  "de",
                                          "co.uk", "example", "info", "mail.example"};

static const char *const header_names[] = {
    "Received",
    "Return-Path",
    "Date",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "X-Mailer",
    "List-Unsubscribe",
    "DKIM-Signature",
    "References",
    "In-Reply-To",
    "X-Spam-Status",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static uint64_t next(struct facts_source *source)
{
    source->state += 0x9e3779b97f4a7c15u;
    return mix(source->state);
}

static unsigned below(struct facts_source *source, size_t limit)
{
    return (unsigned)(next(source) % limit);
}

static bool percent(struct facts_source *source, unsigned share)
{
    return below(source, 100) < share;
}

static bool hits(struct facts_source *source, const struct facts_keys *keys)
{
    double point = (double)(next(source) >> 11) / 9007199254740992.0;
    return keys->count > 0 && point < source->options->hit_share;
}

static const struct facts_key *pick(struct facts_source *source, const struct facts_keys *keys)
{
    return &keys->key[below(source, keys->count)];
}

bool facts_keys_read(struct facts_keys *keys, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    size_t room = 0;
    *keys = (struct facts_keys){0};
    while ((len = getline(&line, &size, file)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (keys->count == room) {
            room = room == 0 ? 256 : room * 2;
            keys->key = realloc(keys->key, room * sizeof *keys->key);
            if (keys->key == NULL)
                abort();
        }
        char *tab = strchr(line, '\t');
        if (tab != NULL)
            *tab++ = '\0';
        keys->key[keys->count++] = (struct facts_key){strdup(line),
                                                      tab == NULL ? NULL : strdup(tab)};
    }
    free(line);
    fclose(file);
    errno = ENODATA;
    return keys->count > 0;
}

void facts_keys_free(struct facts_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->key[i].value);
        free(keys->key[i].expect);
    }
    free(keys->key);
    *keys = (struct facts_keys){0};
}

void facts_start(struct facts_source *source, const struct facts_options *options, uint64_t session)
{
    *source = (struct facts_source){.options = options, .session = session};
    source->state = mix(mix(options->seed) ^ session);
}

static void miss_domain(struct facts_source *source, char *text, size_t size)
{
    const char *top = top_domains[below(source, COUNT(top_domains))];
    unsigned domain = below(source, 1000000);
    if (percent(source, 40))
        snprintf(text, size, "d%06u.%s.miss.test", domain, top);
    else
        snprintf(text, size, "mail%u.d%06u.%s.miss.test", below(source, 40), domain, top);
}

static void client_from_key(const struct facts_key *key, struct facts_client *client_out)
{
    const char *blank = strchr(key->value, ' ');
    int len = blank == NULL ? (int)strlen(key->value) : (int)(blank - key->value);
    snprintf(client_out->addr, sizeof client_out->addr, "%.*s", len, key->value);
    client_out->ipv6 = strchr(client_out->addr, ':') != NULL;
    client_out->expect = key->expect;
    client_out->resolve = blank == NULL ? "FAIL" : "OK";
    if (blank != NULL)
        snprintf(client_out->ptr, sizeof client_out->ptr, "%s", blank + 1);
}

static void client_from_space(struct facts_source *source, struct facts_client *client_out)
{
    uint64_t bits = next(source);
    client_out->ipv6 = percent(source, PERCENT_IPV6);
    client_out->expect = source->options->miss_expect;
    if (client_out->ipv6)
        snprintf(client_out->addr, sizeof client_out->addr, "2001:db8:%x:%x:0:0:%x:%x",
                 (unsigned)(bits & 0xffff), (unsigned)(bits >> 16 & 0xffff),
                 (unsigned)(bits >> 32 & 0xffff), (unsigned)(bits >> 48));
    else
        snprintf(client_out->addr, sizeof client_out->addr, "10.%u.%u.%u", (unsigned)(bits & 255),
                 (unsigned)(bits >> 8 & 255), (unsigned)(bits >> 16 & 255));
    client_out->resolve = "FAIL";
    if (!percent(source, PERCENT_UNRESOLVED)) {
        miss_domain(source, client_out->ptr, sizeof client_out->ptr);
        client_out->resolve = percent(source, PERCENT_FORGED) ? "FORGED" : "OK";
    }
}

void facts_client(struct facts_source *source, struct facts_client *client_out)
{
    *client_out = (struct facts_client){0};
    if (hits(source, &source->options->clients))
        client_from_key(pick(source, &source->options->clients), client_out);
    else
        client_from_space(source, client_out);
    client_out->port = (uint16_t)(1024 + below(source, 60000));
    if (strcmp(client_out->resolve, "OK") == 0)
        memcpy(client_out->host, client_out->ptr, sizeof client_out->host);
    else
        snprintf(client_out->host, sizeof client_out->host, "[%s%.200s]",
                 client_out->ipv6 ? "IPv6:" : "", client_out->addr);
    if (client_out->ptr[0] != '\0' && percent(source, 80))
        memcpy(client_out->helo, client_out->ptr, sizeof client_out->helo);
    else
        miss_domain(source, client_out->helo, sizeof client_out->helo);
}

static void upper_case(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 'a' + 'A');
}

void facts_message(struct facts_source *source, struct facts_message *message_out)
{
    *message_out = (struct facts_message){0};
    snprintf(message_out->queue_id, sizeof message_out->queue_id, "4%07llX%03X",
             (unsigned long long)(source->session & 0xfffffff), source->message++ & 0xfff);
    message_out->header_count = source->options->header_count;
    if (source->options->headers.message_count > 0) {
        const struct header_file *file = &source->options->headers;
        const struct header_file_message *one = &file->message[below(source, file->message_count)];
        message_out->first_header = one->first;
        message_out->header_count = (unsigned)one->count;
    }
    message_out->size = (unsigned)source->options->body_size + 40 * message_out->header_count;
    if (hits(source, &source->options->senders)) {
        const struct facts_key *key = pick(source, &source->options->senders);
        snprintf(message_out->sender, sizeof message_out->sender, "%s", key->value);
        message_out->sender_expect = key->expect;
        return;
    }
    message_out->sender_expect = source->options->miss_expect;
    if (percent(source, PERCENT_NULL_SENDER))
        return;
    char domain[FACTS_NAME_SIZE];
    miss_domain(source, domain, sizeof domain);
    snprintf(message_out->sender, sizeof message_out->sender, "u%05u%s@%s", below(source, 100000),
             percent(source, PERCENT_DETAIL) ? "+list" : "", domain);
    if (percent(source, PERCENT_UPPER_CASE))
        upper_case(message_out->sender);
}

void facts_rcpt(struct facts_source *source, struct facts_message *message)
{
    if (hits(source, &source->options->rcpts)) {
        const struct facts_key *key = pick(source, &source->options->rcpts);
        snprintf(message->rcpt, sizeof message->rcpt, "%s", key->value);
        message->rcpt_expect = key->expect;
    } else {
        snprintf(message->rcpt, sizeof message->rcpt, "r%05u%s@%s", below(source, 20000),
                 percent(source, PERCENT_DETAIL) ? "+box" : "", source->options->local_domain);
        message->rcpt_expect = source->options->miss_expect;
    }
    const char *at = strrchr(message->rcpt, '@');
    message->rcpt_local = at != NULL && strcmp(at + 1, source->options->local_domain) == 0;
}

void facts_header(struct facts_source *source, const struct facts_message *message, unsigned index,
                  const char **name_out, const char **value_out, char room[FACTS_ADDRESS_SIZE])
{
    if (source->options->headers.message_count > 0) {
        const struct header_file_field *field =
            &source->options->headers.field[message->first_header + index];
        *name_out = field->name;
        *value_out = field->value;
        return;
    }
    *value_out = room;
    *name_out = header_names[index % COUNT(header_names)];
    if (index % COUNT(header_names) == 3)
        snprintf(room, FACTS_ADDRESS_SIZE, " Some Body <%.400s>", message->sender);
    else
        snprintf(room, FACTS_ADDRESS_SIZE, " %s %016llx text of usual length for a header line",
                 *name_out, (unsigned long long)next(source));
}
