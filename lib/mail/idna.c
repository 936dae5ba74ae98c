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
    bool fits = copy(ascii, out);

    idn2_free(ascii);
    return fits;
}
