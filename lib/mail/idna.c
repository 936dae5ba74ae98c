/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/idna.h"
#include "lib/mail/domain.h"

#include <idn2.h>
#include <stdint.h>
#include <string.h>

bool idna_is_needed(const char *name)
{
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name >= 0x80) {
            return true;
        }
    }
    return false;
}

static bool copy(const char *name, char out[IDNA_NAME_SIZE])
{
    size_t len = strlen(name);

    if (len >= IDNA_NAME_SIZE) {
        return false;
    }
    (void)memcpy(out, name, len + 1);
    domain_fold(out);
    return true;
}

static bool is_a_label(const char *label)
{
    return (label[0] | 0x20) == 'x' && (label[1] | 0x20) == 'n' && label[2] == '-' &&
           label[3] == '-';
}

static bool label_needs_idna(const char *label, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)label[i] >= 0x80) {
            return true;
        }
    }
    return false;
}

/*
 * The mapping of UTS 46 leaves out some characters, and makes plain letters and dots of others. A name that is another one in
 * ASCII by that is nobody's: an MTA that maps nothing would take it for a name of its own.
 */
static bool keeps_labels(const char *name, const char *ascii)
{
    for (;;) {
        size_t len = strcspn(name, ".");
        size_t ascii_len = strcspn(ascii, ".");

        if (label_needs_idna(name, len) ? !is_a_label(ascii) : len != ascii_len) {
            return false;
        }
        if (name[len] == '\0' || ascii[ascii_len] == '\0') {
            return name[len] == ascii[ascii_len];
        }
        name += len + 1;
        ascii += ascii_len + 1;
    }
}

bool idna_to_ascii(const char *name, char out[IDNA_NAME_SIZE])
{
    char *ascii = NULL;

    out[0] = '\0';
    if (!idna_is_needed(name)) {
        return copy(name, out);
    }
    /* An A-label is never longer than its U-label was in UTF-8 by more than this; what is longer is no name. */
    if (strlen(name) > 4u * IDNA_NAME_SIZE ||
        idn2_to_ascii_8z(name, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK) {
        return false;
    }
    bool fits = keeps_labels(name, ascii) && copy(ascii, out);

    idn2_free(ascii);
    return fits;
}
