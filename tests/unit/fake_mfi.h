/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fake_mfi - a milter engine without a wire: what an MTA would tell is set, what the filter said is kept.
 */
#ifndef POSTERN_TESTS_UNIT_FAKE_MFI_H
#define POSTERN_TESTS_UNIT_FAKE_MFI_H

#include "lib/mail/reply.h"
#include "milter/callbacks.h"
#include "milter/mfi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define FAKE_MACROS 16
#define FAKE_CALLS 64

struct fake_mfi {
    struct mfi mfi; /* first */
    const struct mfi_filter *filter;
    void *owner;
    const char *macros[FAKE_MACROS][2];
    bool refuse_reply;
    bool refuse_quarantine;
    int replies; /* set so far */
    int code;
    char dsn[REPLY_DSN_SIZE];
    char text[2048];
    int quarantines;
    bool refuse_drop;
    int drops;
    char dropped[128]; /* the last one */
    char reason[2048];
    bool refuse_add;
    bool refuse_change;
    bool refuse_insert;
    int calls; /* of the functions that change a message */
    char call
        [FAKE_CALLS]
        [160]; /* "change NAME 1: VALUE", "delete NAME 1", "insert 3 NAME: VALUE", "add ADDRESS" */
    struct mfi_request request;
};

static const char *fake_macro(struct mfi *mfi, const char *name)
{
    struct fake_mfi *fake = (struct fake_mfi *)mfi;

    for (size_t i = 0; i < FAKE_MACROS && fake->macros[i][0] != NULL; i++) {
        if (strcmp(fake->macros[i][0], name) == 0) {
            return fake->macros[i][1];
        }
    }
    return NULL;
}

static bool fake_set_reply(struct mfi *mfi, const struct reply *reply)
{
    struct fake_mfi *fake = (struct fake_mfi *)mfi;

    if (fake->refuse_reply || reply->code < 400 || reply->code > 599) {
        return false;
    }
    fake->replies++;
    fake->code = reply->code;
    (void)snprintf(fake->dsn, sizeof(fake->dsn), "%s", reply->dsn);
    (void)snprintf(fake->text, sizeof(fake->text), "%s", reply->text != NULL ? reply->text : "");
    return true;
}

static bool fake_quarantine(struct mfi *mfi, const char *reason)
{
    struct fake_mfi *fake = (struct fake_mfi *)mfi;

    if (fake->refuse_quarantine) {
        return false;
    }
    fake->quarantines++;
    (void)snprintf(fake->reason, sizeof(fake->reason), "%s", reason);
    return true;
}

static bool fake_drop(struct mfi *mfi, const char *recipient)
{
    struct fake_mfi *fake = (struct fake_mfi *)mfi;

    (void)snprintf(fake->dropped, sizeof(fake->dropped), "%s", recipient);
    fake->drops++;
    return !fake->refuse_drop;
}

static char *fake_next_call(struct mfi *mfi)
{
    struct fake_mfi *fake = (struct fake_mfi *)mfi;

    return fake->call[fake->calls++ % FAKE_CALLS];
}

static bool fake_add_recipient(struct mfi *mfi, const char *recipient)
{
    (void)snprintf(fake_next_call(mfi), sizeof(((struct fake_mfi *)mfi)->call[0]), "add %s",
                   recipient);
    return !((struct fake_mfi *)mfi)->refuse_add;
}

static bool fake_change_header(struct mfi *mfi, const char *name, unsigned occurrence,
                               const char *value)
{
    char *call = fake_next_call(mfi);
    size_t size = sizeof(((struct fake_mfi *)mfi)->call[0]);

    if (value == NULL) {
        (void)snprintf(call, size, "delete %s %u", name, occurrence);
    } else {
        (void)snprintf(call, size, "change %s %u:%s", name, occurrence, value);
    }
    return !((struct fake_mfi *)mfi)->refuse_change;
}

static bool fake_insert_header(struct mfi *mfi, unsigned index, const char *name, const char *value)
{
    (void)snprintf(fake_next_call(mfi), sizeof(((struct fake_mfi *)mfi)->call[0]),
                   "insert %u %s:%s", index, name, value);
    return !((struct fake_mfi *)mfi)->refuse_insert;
}

static const struct mfi_ops fake_ops = {
    .macro = fake_macro,
    .set_reply = fake_set_reply,
    .quarantine = fake_quarantine,
    .drop = fake_drop,
    .add_recipient = fake_add_recipient,
    .change_header = fake_change_header,
    .insert_header = fake_insert_header,
};

static inline void fake_init(struct fake_mfi *fake, void *owner)
{
    *fake = (struct fake_mfi){
        .mfi = {.ops = &fake_ops}, .filter = callbacks_filter(), .owner = owner};
}

static inline bool fake_negotiate(struct fake_mfi *fake, const struct mfi_offer *offer)
{
    return fake->filter->negotiate(fake->owner, &fake->mfi, offer, &fake->request);
}

static inline enum mfi_answer fake_connect(struct fake_mfi *fake, const char *name,
                                           const char *address)
{
    return fake->filter->connect(fake->owner, &fake->mfi, name, address);
}

static inline enum mfi_answer fake_helo(struct fake_mfi *fake, const char *name)
{
    return fake->filter->helo(fake->owner, &fake->mfi, name);
}

static inline enum mfi_answer fake_mail(struct fake_mfi *fake, const char *sender)
{
    char *args[] = {(char *)(size_t)sender, NULL};

    return fake->filter->mail(fake->owner, &fake->mfi, args);
}

static inline enum mfi_answer fake_rcpt(struct fake_mfi *fake, const char *recipient)
{
    char *args[] = {(char *)(size_t)recipient, NULL};

    return fake->filter->rcpt(fake->owner, &fake->mfi, args);
}

static inline enum mfi_answer fake_header(struct fake_mfi *fake, const char *name,
                                          const char *value)
{
    return fake->filter->header(fake->owner, &fake->mfi, name, value);
}

static inline enum mfi_answer fake_eoh(struct fake_mfi *fake)
{
    return fake->filter->eoh(fake->owner, &fake->mfi);
}

static inline enum mfi_answer fake_body(struct fake_mfi *fake, const char *chunk)
{
    return fake->filter->body(fake->owner, &fake->mfi, chunk, strlen(chunk));
}

static inline enum mfi_answer fake_eom(struct fake_mfi *fake)
{
    return fake->filter->eom(fake->owner, &fake->mfi);
}

static inline void fake_abort(struct fake_mfi *fake)
{
    fake->filter->abort(fake->owner, &fake->mfi);
}

static inline void fake_close(struct fake_mfi *fake)
{
    fake->filter->close(fake->owner, &fake->mfi);
}

#endif
