/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/action_reply.h"

#include "lib/policy/action_text.h"

#include <ctype.h>
#include <string.h>

static bool problem(struct action_problem *problem_out, const char *text, const char *hint)
{
    *problem_out = (struct action_problem){.text = text, .hint = hint};
    return false;
}

static void warn_mismatch(const struct reply *reply, struct arena *arena,
                          struct action_problem *out)
{
    if (reply->dsn[0] - '0' != reply->code / 100) {
        out->text = arena_printf(arena, "reply code %d contradicts enhanced code %s", reply->code,
                                 reply->dsn);
        out->hint = "both begin with 4 (try again) or both with 5 (refused)";
    }
}

bool action_reply_parse(const char *text, const char *dsn, struct arena *arena,
                        struct reply *reply_out, struct action_problem *out)
{
    if (isdigit((unsigned char)*text) && *text != '4' && *text != '5') {
        return problem(out, arena_printf(arena, "%.3s is no code for a refusal", text),
                       "a refusal begins with 4 (try again) or 5");
    }
    if (!reply_parse(text, dsn, arena, reply_out)) {
        return false;
    }
    if (*reply_out->text == '\0') {
        return problem(out, "a reply without a text", "write 550 5.7.1 text");
    }
    warn_mismatch(reply_out, arena, out);
    return true;
}

/* Length of the `a.b.c` of "a.b.c:text", three words without operators between dots; 0: there is none. */
static size_t three_tokens(const char *text)
{
    size_t len = 0;

    for (int part = 0; part < 3; part++) {
        size_t token = strcspn(text + len, ".:%@!^/[]+()<>,; \t\"");

        if (token == 0 || text[len + token] != (part < 2 ? '.' : ':')) {
            return 0;
        }
        len += token + (part < 2 ? 1 : 0);
    }
    return len;
}

bool action_reply_has_code(const char *text)
{
    return isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[1]) &&
           isdigit((unsigned char)text[2]) &&
           (text[3] == '\0' || text[3] == ' ' || text[3] == '\t');
}

bool action_reply_parse_error(char *text, struct arena *arena, struct reply *reply_out,
                              struct action_problem *out)
{
    size_t len = three_tokens(text);
    const char *dsn = NULL;

    if (len > 0) {
        dsn = reply_is_dsn(text, len) ? arena_strndup(arena, text, len) : NULL;
        if (dsn == NULL) {
            out->text = arena_printf(arena, "%.*s is no enhanced status code", (int)len, text);
            out->hint = "RFC 3463: class 4 or 5, subject, detail, such as 5.7.1";
        }
        text += len + 1;
    }
    text = action_text_dequote(text);
    if (*text == '\0') {
        return problem(out, "ERROR without a text", "write ERROR:5.7.1:550 text");
    }
    if (action_reply_has_code(text)) {
        return action_reply_parse(text, dsn, arena, reply_out, out);
    }
    if (dsn == NULL) {
        *reply_out = reply_make(553, "5.3.0", reply_clean(arena, text));
        if (out->text == NULL && isdigit((unsigned char)*text)) {
            out->text = arena_printf(arena, "\"%s\" is sent as text: 553 5.3.0", text);
            out->hint = "write ERROR:5.7.1:550 text";
        }
        return true;
    }
    if (*dsn == '2') {
        return problem(out, arena_printf(arena, "%s is the enhanced code of a success", dsn),
                       "a refusal begins with 4 (try again) or 5");
    }
    *reply_out = reply_make(*dsn == '4' ? 450 : 550, dsn, reply_clean(arena, text));
    return true;
}

bool action_reply_parse_temp(char *text, struct arena *arena, struct reply *reply_out,
                             struct action_problem *out)
{
    text = action_text_dequote(text);
    if (!action_reply_has_code(text)) {
        *reply_out = reply_make(450, "4.7.1", reply_clean(arena, text));
    } else if (*text != '4') {
        return problem(out, arena_printf(arena, "%.3s is no code of a temporary failure", text),
                       "write TEMP:450 text, or ERROR: for a refusal");
    } else if (!action_reply_parse(text, "4.7.1", arena, reply_out, out)) {
        return false;
    }
    return true;
}

struct reply action_reply_of_text(const char *text, int code, const char *dsn, struct arena *arena)
{
    size_t word = strcspn(text, ACTION_REPLY_BLANKS);

    if (!reply_is_dsn(text, word) || *text == '2') {
        return reply_make(code, dsn, reply_clean(arena, text));
    }
    char *own = arena_strndup(arena, text, word);
    const char *rest = reply_clean(arena, text + word + strspn(text + word, ACTION_REPLY_BLANKS));

    rest = *rest == '\0' ? "Access denied" : rest;
    if (code < 500) {
        own[0] = '4'; /* the reply code wins */
        return reply_make(code, own, rest);
    }
    return reply_make(*own == '4' ? 451 : code, own, rest);
}
