/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_text.h"
#include "lib/base/xalloc.h"
#include "lib/table/linereader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLANKS " \t"
#define SHOWN_MAX 80 /* of what is wrong in a line */

/* ---- writing ---- */

/* Sun Sep  9 01:46:40 2001, in UTC and in English, whatever the locale. */
static void write_date(int64_t when, struct strbuf *out)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)when;
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL) {
        strbuf_append(out, "beyond all calendars");
        return;
    }
    strbuf_appendf(out, "%s %s %2d %02d:%02d:%02d %" PRId64, days[parts.tm_wday],
                   months[parts.tm_mon], parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                   (int64_t)parts.tm_year + 1900);
}

void relay_text_write_line(const struct relay_entry *entry, enum relay_text_fields fields,
                           struct strbuf *out)
{
    char key[RELAY_KEY_SIZE];

    strbuf_append(out, relay_entry_key(&entry->addr, key));
    strbuf_append_char(out, ' ');
    if (fields == RELAY_TEXT_ALL) {
        relay_entry_format_value(entry, out);
    } else {
        strbuf_appendf(out, "%" PRId64, entry->login_at);
    }
    strbuf_append_char(out, '\n');
}

void relay_text_write(const struct relay_entry *entry, enum relay_text_fields fields,
                      struct strbuf *out)
{
    strbuf_append(out, "# timestamp (UTC): ");
    write_date(entry->login_at, out);
    strbuf_append_char(out, '\n');
    relay_text_write_line(entry, fields, out);
}

/* ---- reading ---- */

bool relay_text_parse_line(char *line, struct strbuf *texts, struct relay_entry *entry_out,
                           const char **why_out)
{
    struct netaddr addr;
    char *word = line + strspn(line, BLANKS);
    char *end = word + strcspn(word, BLANKS);
    char *value = end + strspn(end, BLANKS);
    size_t len = strlen(value);

    while (len > 0 && strchr(BLANKS, value[len - 1]) != NULL) {
        len--;
    }
    if (len == 0) {
        *why_out = "there is no timestamp behind the address";
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        value[i] = value[i] == '\t' ? ' ' : value[i]; /* what an editor made of blanks */
    }
    *end = '\0';
    if (!relay_entry_parse_address(word, &addr, why_out) ||
        !relay_entry_parse_value(value, len, texts, entry_out, why_out)) {
        return false;
    }
    entry_out->addr = addr;
    return true;
}

/* A text that is being read. */
struct reading {
    const char *name;
    struct diag *diag;
    struct relay_list *list;
    size_t max_entries;
    unsigned *lines; /* where each entry of the list stands */
    size_t lines_size;
    struct strbuf texts;
    bool told_full;
};

static void note_line(struct reading *reading, size_t place, unsigned number)
{
    if (place >= reading->lines_size) {
        reading->lines_size = reading->list->size;
        reading->lines = xrealloc(reading->lines, reading->lines_size * sizeof(reading->lines[0]));
    }
    reading->lines[place] = number;
}

static void add_entry(struct reading *reading, const struct relay_entry *entry, unsigned number)
{
    struct relay_list *list = reading->list;
    char key[RELAY_KEY_SIZE];

    if (list->count >= reading->max_entries && relay_list_find(list, &entry->addr) == NULL) {
        if (!reading->told_full) {
            diag_report(reading->diag, DIAG_ERROR, reading->name, number,
                        "raise max_entries in section relay_store of postern.conf",
                        "these are more than %zu entries", reading->max_entries);
        }
        reading->told_full = true;
        return;
    }
    size_t before = list->count;
    size_t place = relay_list_add(list, entry);

    if (list->count > before) {
        note_line(reading, place, number);
        return;
    }
    diag_report(reading->diag, DIAG_ERROR, reading->name, number, "keep one of the two lines",
                "%s stands in line %u too", relay_entry_key(&entry->addr, key),
                reading->lines[place]);
}

static void read_line(struct reading *reading, char *line, unsigned number)
{
    struct relay_entry entry;
    const char *why;
    const char *text = line + strspn(line, BLANKS);

    if (*text == '\0' || *text == '#') {
        return;
    }
    char shown[SHOWN_MAX + 1];
    size_t len = strlen(text);

    len = len < SHOWN_MAX ? len : SHOWN_MAX;
    memcpy(shown, text, len);
    shown[len] = '\0';
    if (relay_text_parse_line(line, &reading->texts, &entry, &why)) {
        add_entry(reading, &entry, number);
    } else {
        diag_report(reading->diag, DIAG_ERROR, reading->name, number, NULL, "\"%s\": %s", shown,
                    why);
    }
}

enum status relay_text_read(int fd, const char *name, size_t max_entries, struct diag *diag,
                            struct relay_list *list)
{
    struct reading reading = {
        .name = name,
        .diag = diag,
        .list = list,
        .max_entries = max_entries < RELAY_LIST_MAX ? max_entries : RELAY_LIST_MAX,
    };
    struct linereader reader;
    size_t errors = diag->errors;
    size_t len;
    char *line;

    strbuf_init(&reading.texts);
    linereader_init(&reader, fd, name, RELAY_TEXT_MAX_LINE, diag);
    while ((line = linereader_next(&reader, &len)) != NULL) {
        read_line(&reading, line, reader.number);
    }
    enum status status = reader.failed           ? STATUS_TEMPFAIL
                         : diag->errors > errors ? STATUS_INVALID
                                                 : STATUS_OK;

    linereader_fini(&reader);
    strbuf_fini(&reading.texts);
    free(reading.lines);
    return status;
}
