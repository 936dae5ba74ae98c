/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/login_patterns.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/table/linereader.h"
#include "lib/table/pattern.h"
#include "lib/table/textfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PATTERNS 1000u
#define MAX_DEFINITIONS 200u
#define MAX_PATTERN_BYTES 8192u /* with the definitions that it names */

enum group { GROUP_IP, GROUP_USER, GROUP_SERVICE, GROUP_SESSION, GROUP_LOGOUT, GROUPS };

static const char *const group_names[GROUPS] = {
    [GROUP_IP] = "ip",           [GROUP_USER] = "user",     [GROUP_SERVICE] = "service",
    [GROUP_SESSION] = "session", [GROUP_LOGOUT] = "logout",
};

struct login_pattern {
    struct pattern *pattern;
    unsigned line;
    unsigned groups[GROUPS]; /* their numbers; 0: the pattern has none */
};

struct login_patterns {
    struct pattern_engine *engine;
    struct login_pattern *rows;
    size_t count;
};

/* A text of its own that patterns name as %{NAME}. */
struct definition {
    char *name;
    char *text;
};

struct loader {
    struct login_patterns *patterns;
    struct definition *definitions;
    size_t definition_count;
    const char *file;
    unsigned line;
    struct diag *diag;
};

/* ---- definitions ---- */

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!((text[i] >= 'a' && text[i] <= 'z') || text[i] == '_' ||
              (i > 0 && text[i] >= '0' && text[i] <= '9'))) {
            return false;
        }
    }
    return len > 0;
}

static const char *find_definition(const struct loader *loader, const char *name, size_t len)
{
    for (size_t i = 0; i < loader->definition_count; i++) {
        if (strncmp(loader->definitions[i].name, name, len) == 0 &&
            loader->definitions[i].name[len] == '\0') {
            return loader->definitions[i].text;
        }
    }
    return NULL;
}

/* Puts the text of each %{NAME} in its place. False: reported. */
static bool expand(struct loader *loader, const char *text, struct strbuf *out)
{
    while (*text != '\0') {
        const char *end = text[0] == '%' && text[1] == '{' ? strchr(text, '}') : NULL;

        if (end == NULL || !is_name(text + 2, (size_t)(end - text - 2))) {
            strbuf_append_char(out, *text++);
            continue;
        }
        const char *meaning = find_definition(loader, text + 2, (size_t)(end - text - 2));

        if (meaning == NULL) {
            diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line,
                        "define it above: define NAME PATTERN", "there is no %.*s",
                        (int)(end - text + 1), text);
            return false;
        }
        strbuf_append(out, meaning);
        text = end + 1;
        if (out->len > MAX_PATTERN_BYTES) {
            break;
        }
    }
    if (out->len > MAX_PATTERN_BYTES) {
        diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line, NULL,
                    "the pattern has more than %u bytes with what it names", MAX_PATTERN_BYTES);
        return false;
    }
    return true;
}

/* `text` is what follows the word: NAME PATTERN. */
static void read_definition(struct loader *loader, const char *text)
{
    text += strspn(text, " \t");
    size_t len = strcspn(text, " \t");
    const char *meaning = text + len + strspn(text + len, " \t");
    struct strbuf expanded;

    if (!is_name(text, len) || *meaning == '\0') {
        diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line,
                    "write: define NAME PATTERN, with a name of a-z, 0-9 and _",
                    "this defines nothing");
        return;
    }
    if (find_definition(loader, text, len) != NULL) {
        diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line, NULL,
                    "%.*s is defined already", (int)len, text);
        return;
    }
    if (loader->definition_count == MAX_DEFINITIONS) {
        diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line, NULL,
                    "more than %u definitions", MAX_DEFINITIONS);
        return;
    }
    strbuf_init(&expanded);
    if (expand(loader, meaning, &expanded)) {
        loader->definitions[loader->definition_count++] = (struct definition){
            xstrndup(text, len), xstrdup(expanded.data)};
    }
    strbuf_fini(&expanded);
}

/* ---- patterns ---- */

/* What makes a pattern forgeable and can be seen in its text. */
static void warn_of_forgery(struct loader *loader, const char *text, size_t len)
{
    const char *start = *text == '^' ? text + 1 : text;

    if (start[0] == '.' && (start[1] == '*' || start[1] == '+')) {
        diag_report(loader->diag, DIAG_WARNING, loader->file, loader->line,
                    "say how the line begins",
                    "the pattern begins with %.2s: whoever can have a text of his own logged, as a "
                    "user name, can forge a login",
                    start);
    }
    if (text[len - 1] != '$' || (len > 1 && text[len - 2] == '\\')) {
        diag_report(loader->diag, DIAG_WARNING, loader->file, loader->line,
                    "say how the line goes on, and end the pattern with $",
                    "the pattern does not say how the line ends: a user name that looks like the "
                    "rest of a login line could forge one");
    }
}

/* False: reported. */
static bool check_groups(struct loader *loader, const struct login_pattern *row)
{
    if (row->groups[GROUP_IP] != 0 ||
        (row->groups[GROUP_LOGOUT] != 0 && row->groups[GROUP_SESSION] != 0)) {
        return true;
    }
    diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line,
                "a login needs (?<ip>...), a logout (?<logout>...) with (?<ip>...) or "
                "(?<session>...), each of them once",
                "the pattern does not tell an address");
    return false;
}

/* A group that is called otherwise is a mistake more often than not, and nothing else would show it. */
static void warn_of_names(struct loader *loader, const struct pattern *pattern)
{
    const char *name;

    for (unsigned i = 0; (name = pattern_group_name(pattern, i)) != NULL; i++) {
        bool is_known = false;

        for (size_t group = 0; group < GROUPS; group++) {
            is_known = is_known || strcmp(name, group_names[group]) == 0;
        }
        if (!is_known) {
            diag_report(loader->diag, DIAG_WARNING, loader->file, loader->line,
                        "the names are ip, user, service, session and logout",
                        "the group \"%s\" tells nothing", name);
        }
    }
}

static void read_pattern(struct loader *loader, const char *text)
{
    struct login_patterns *patterns = loader->patterns;
    struct login_pattern row = {.line = loader->line};
    struct strbuf whole;
    struct strbuf why;

    strbuf_init(&whole);
    strbuf_init(&why);
    if (patterns->count == MAX_PATTERNS) {
        diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line, NULL,
                    "more than %u patterns", MAX_PATTERNS);
    } else if (expand(loader, text, &whole)) {
        row.pattern = pattern_compile(patterns->engine, whole.data, whole.len,
                                      PATTERN_ANCHORED | PATTERN_DOLLAR_ENDONLY, &why);
        if (row.pattern == NULL) {
            diag_report(loader->diag, DIAG_ERROR, loader->file, loader->line, NULL,
                        "wrong pattern: %s%s", why.data,
                        whole.len == strlen(text) ? "" : " (definitions are put in before)");
        }
    }
    for (size_t i = 0; row.pattern != NULL && i < GROUPS; i++) {
        row.groups[i] = pattern_named_group(row.pattern, group_names[i]);
    }
    if (row.pattern != NULL && check_groups(loader, &row)) {
        warn_of_forgery(loader, whole.data, whole.len);
        warn_of_names(loader, row.pattern);
        patterns->rows = xrealloc(patterns->rows, (patterns->count + 1) * sizeof(row));
        patterns->rows[patterns->count++] = row;
    } else {
        pattern_free(&row.pattern);
    }
    strbuf_fini(&whole);
    strbuf_fini(&why);
}

static void read_line(struct loader *loader, char *line, size_t len)
{
    static const char define[] = "define";
    const size_t word = sizeof(define) - 1;

    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t')) {
        line[--len] = '\0';
    }
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#') {
        return;
    }
    if (strncmp(line, define, word) == 0 && (line[word] == ' ' || line[word] == '\t')) {
        read_definition(loader, line + word);
    } else {
        read_pattern(loader, line);
    }
}

static void read_file(struct loader *loader, int fd)
{
    struct linereader reader;
    size_t len;
    char *line;

    linereader_init(&reader, fd, loader->file, MAX_PATTERN_BYTES, loader->diag);
    while ((line = linereader_next(&reader, &len)) != NULL) {
        loader->line = reader.number;
        read_line(loader, line, len);
    }
    linereader_fini(&reader);
}

struct login_patterns *login_patterns_load(const char *path, struct diag *diag)
{
    size_t errors = diag->errors;
    int fd = textfile_open(path, diag);

    if (fd < 0) {
        return NULL;
    }
    struct login_patterns *patterns = xcalloc(1, sizeof(*patterns));
    struct loader loader = {
        .patterns = patterns,
        .definitions = xcalloc(MAX_DEFINITIONS, sizeof(struct definition)),
        .file = path,
        .diag = diag,
    };

    patterns->engine = pattern_engine_new();
    read_file(&loader, fd);
    (void)close(fd);
    for (size_t i = 0; i < loader.definition_count; i++) {
        free(loader.definitions[i].name);
        free(loader.definitions[i].text);
    }
    free(loader.definitions);
    if (patterns->count == 0 && diag->errors == errors) {
        diag_report(diag, DIAG_ERROR, path, 0, NULL, "there is no pattern in it");
    }
    if (diag->errors != errors) {
        login_patterns_free(&patterns);
    }
    return patterns;
}

void login_patterns_free(struct login_patterns **patterns)
{
    if (*patterns == NULL) {
        return;
    }
    for (size_t i = 0; i < (*patterns)->count; i++) {
        pattern_free(&(*patterns)->rows[i].pattern);
    }
    pattern_engine_free(&(*patterns)->engine);
    free((*patterns)->rows);
    free(*patterns);
    *patterns = NULL;
}

size_t login_patterns_count(const struct login_patterns *patterns)
{
    return patterns->count;
}

/* ---- lines ---- */

/* Bytes that syslog would have written in another way: such a line was put together by somebody else. */
static bool has_control_characters(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* What a group holds, into `out` of `size` bytes. False, and "": it took no part, or holds more. */
static bool copy_group(const struct login_pattern *row, const struct pattern_scratch *scratch,
                       enum group group, const char *line, char *out, size_t size)
{
    size_t begin;
    size_t end;

    *out = '\0';
    if (row->groups[group] == 0 || !pattern_group(scratch, row->groups[group], &begin, &end) ||
        end - begin >= size) {
        return false;
    }
    (void)memcpy(out, line + begin, end - begin);
    out[end - begin] = '\0';
    return true;
}

static bool took_part(const struct login_pattern *row, const struct pattern_scratch *scratch,
                      enum group group)
{
    size_t begin;
    size_t end;

    return row->groups[group] != 0 && pattern_group(scratch, row->groups[group], &begin, &end);
}

static bool is_word(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static bool parse_client(const char *text, struct netaddr *addr_out, const char **why_out)
{
    if (!relay_entry_parse_address(text, addr_out, why_out)) {
        return false;
    }
    *why_out = "a network is no address of a client";
    return addr_out->bits == netaddr_width(addr_out->family);
}

static enum status read_groups(const struct login_pattern *row,
                               const struct pattern_scratch *scratch, const char *line,
                               struct login_found *found, const char **why_out)
{
    char address[RELAY_KEY_SIZE];

    found->is_logout = took_part(row, scratch, GROUP_LOGOUT);
    (void)copy_group(row, scratch, GROUP_USER, line, found->user, sizeof(found->user));
    (void)copy_group(row, scratch, GROUP_SERVICE, line, found->service, sizeof(found->service));
    if (!copy_group(row, scratch, GROUP_SESSION, line, found->session, sizeof(found->session)) ||
        !is_word(found->session)) {
        found->session[0] = '\0';
    }
    if (found->is_logout && !took_part(row, scratch, GROUP_IP) && *found->session != '\0') {
        return STATUS_OK;
    }
    *why_out = "there is no address";
    if (!copy_group(row, scratch, GROUP_IP, line, address, sizeof(address)) ||
        !parse_client(address, &found->addr, why_out)) {
        found->addr = (struct netaddr){.family = NETADDR_NONE};
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

enum status login_patterns_find(struct login_patterns *patterns, const char *line, size_t len,
                                struct login_found *found_out, const char **why_out)
{
    enum status status = STATUS_NOTFOUND;

    *found_out = (struct login_found){.line = 0};
    if (len == 0 || len > LOGIN_PATTERNS_MAX_LINE || has_control_characters(line, len)) {
        return STATUS_NOTFOUND;
    }
    struct pattern_scratch *scratch = pattern_scratch_get(patterns->engine);

    for (size_t i = 0; status == STATUS_NOTFOUND && i < patterns->count; i++) {
        const struct login_pattern *row = &patterns->rows[i];
        enum pattern_result result = pattern_match(row->pattern, scratch, line, len, why_out);

        if (result == PATTERN_NO_MATCH) {
            continue;
        }
        found_out->line = row->line;
        status = result == PATTERN_FAILED ? STATUS_TEMPFAIL
                                          : read_groups(row, scratch, line, found_out, why_out);
    }
    pattern_scratch_put(patterns->engine, &scratch);
    return status;
}
