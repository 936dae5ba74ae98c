/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/policy_request.h"

#include <string.h>

struct attribute {
    const char *name;
    const char **value;
};

#define ATTRIBUTES 14u

size_t policy_request_length(const char *data, size_t len)
{
    const char *end = data + len;

    for (const char *at = data; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        if (newline == NULL) {
            return 0;
        }
        if (newline == at) {
            return (size_t)(newline + 1 - data);
        }
        at = newline + 1;
    }
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* Postfix writes names of certificates as xtext (RFC 3461, 4): "+" and two digits. In place; false: it is none. */
static bool decode_xtext(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        int high = *text == '+' ? hex_digit(text[1]) : 0;
        int low = *text == '+' && high >= 0 ? hex_digit(text[2]) : 0;

        if (*text != '+') {
            *to++ = *text;
            continue;
        }
        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            return false;
        }
        *to++ = (char)(high * 16 + low);
        text += 2;
    }
    *to = '\0';
    return true;
}

/* "name=value"; false: it is not to be understood. */
static bool take_line(const struct attribute *attributes, char *line, const char **why_out)
{
    char *equals = strchr(line, '=');

    if (equals == NULL) {
        *why_out = "a line without =";
        return false;
    }
    *equals = '\0';
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if (strcmp(attributes[i].name, line) != 0) {
            continue;
        }
        if (*attributes[i].value != NULL) {
            *why_out = "an attribute is there twice";
            return false;
        }
        *attributes[i].value = equals + 1;
        if (strncmp(line, "ccert_", strlen("ccert_")) == 0 && !decode_xtext(equals + 1)) {
            *why_out = "the name in a certificate is not xtext";
            return false;
        }
    }
    return true;
}

bool policy_request_parse(char *text, size_t len, struct policy_request *out, const char **why_out)
{
    const struct attribute attributes[ATTRIBUTES] = {
        {"request", &out->request},
        {"protocol_state", &out->protocol_state},
        {"client_address", &out->client_address},
        {"client_name", &out->client_name},
        {"reverse_client_name", &out->reverse_client_name},
        {"server_address", &out->server_address},
        {"sender", &out->sender},
        {"recipient", &out->recipient},
        {"sasl_method", &out->sasl_method},
        {"sasl_username", &out->sasl_username},
        {"ccert_subject", &out->ccert_subject},
        {"ccert_issuer", &out->ccert_issuer},
        {"instance", &out->instance},
        {"policy_context", &out->policy_context},
    };

    *out = (struct policy_request){0};
    if (len > 0 && memchr(text, '\0', len) != NULL) {
        *why_out = "a NUL byte";
        return false;
    }
    for (char *line = text; *line != '\0' && *line != '\n';) {
        char *next = line + strcspn(line, "\n");

        if (*next != '\0') {
            *next++ = '\0';
        }
        if (!take_line(attributes, line, why_out)) {
            return false;
        }
        line = next;
    }
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if (*attributes[i].value == NULL) {
            *attributes[i].value = "";
        }
    }
    return true;
}
