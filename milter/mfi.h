/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mfi - the narrow seam between the filter and whatever speaks the milter protocol.
 *
 * An engine (mfi_libmilter, or the fake one of the tests) calls the functions of a struct mfi_filter; the filter asks
 * and answers through the struct mfi that it is given. Neither knows more of the other. The calls of one connection come
 * one after the other, but each may come in another thread.
 */
#ifndef POSTERN_MILTER_MFI_H
#define POSTERN_MILTER_MFI_H

#include <stdbool.h>
#include <stddef.h>

struct mfi;
struct reply;

/*
 * What the filter answers. The protocol's "accept" is missing on purpose: it would end all later checks of the message, at
 * connect and helo those of the whole session.
 */
enum mfi_answer {
    MFI_CONTINUE,
    MFI_REJECT,
    MFI_TEMPFAIL,
    MFI_DISCARD,
    MFI_NOREPLY, /* only where mfi_request.silent asked for it */
};

/* Steps of the protocol, as bits. */
enum mfi_step {
    MFI_STEP_CONNECT = 1u << 0,
    MFI_STEP_HELO = 1u << 1,
    MFI_STEP_MAIL = 1u << 2,
    MFI_STEP_RCPT = 1u << 3,
    MFI_STEP_DATA = 1u << 4,
    MFI_STEP_HEADER = 1u << 5,
    MFI_STEP_EOH = 1u << 6,
    MFI_STEP_BODY = 1u << 7,
    MFI_STEP_UNKNOWN = 1u << 8,
    MFI_STEP_EOM = 1u << 9,
};

/* The steps with which macros can come. */
enum mfi_macros {
    MFI_MACROS_CONNECT,
    MFI_MACROS_HELO,
    MFI_MACROS_MAIL,
    MFI_MACROS_RCPT,
    MFI_MACROS_DATA,
    MFI_MACROS_EOH,
    MFI_MACROS_EOM,
    MFI_MACROS_COUNT,
};

/* What the MTA can do. */
struct mfi_offer {
    bool quarantine;     /* the filter may hold messages */
    bool drop;           /* the filter may take recipients out */
    bool add_recipients; /* the filter may add recipients */
    bool edit_headers;   /* the filter may change, take out and insert fields of the header */
    bool
        leading_blank; /* values of fields may come, and be given, with the blank behind the colon */
    bool choose_macros; /* the filter may say which macros it wants */
    unsigned silent;    /* steps that need no answer if the filter does not want to give one */
};

/* What the filter wants of it. */
struct mfi_request {
    unsigned steps;  /* enum mfi_step: these and no others are called */
    unsigned silent; /* steps that the filter answers with MFI_NOREPLY; a subset of the offer */
    bool quarantine;
    bool drop;
    bool add_recipients;
    bool edit_headers;
    bool leading_blank;
    const char *macros[MFI_MACROS_COUNT]; /* names, separated by blanks; NULL: as the MTA likes */
};

struct mfi_ops {
    /* A macro's value, NULL if the MTA did not send it. It lives until the filter returns. */
    const char *(*macro)(struct mfi *mfi, const char *name);

    /* The reply that goes with MFI_REJECT (5xx) or MFI_TEMPFAIL (4xx). False: it cannot be sent. */
    bool (*set_reply)(struct mfi *mfi, const struct reply *reply);

    /* At end of message: asks the MTA to hold it. The reason is one line. False: it could not be asked. */
    bool (*quarantine)(struct mfi *mfi, const char *reason);

    /* At end of message: takes a recipient, written as in rcpt(), out of the envelope. False: it could not be asked. */
    bool (*drop)(struct mfi *mfi, const char *recipient);

    /* At end of message: adds a recipient, an address without <>. False: it could not be asked. */
    bool (*add_recipient)(struct mfi *mfi, const char *recipient);

    /*
     * At end of message: gives the n-th field of that name (from 1, without regard to case) a new value, or takes it out
     * (NULL). MTAs differ in whether they go on to count a field that was taken out. False: it could not be asked.
     */
    bool (*change_header)(struct mfi *mfi, const char *name, unsigned occurrence,
                          const char *value);

    /* At end of message: puts a new field at `index`, as this MTA counts. False: it could not be asked. */
    bool (*insert_header)(struct mfi *mfi, unsigned index, const char *name, const char *value);

    /*
     * The call that is under way begins to wait for something, or waits no longer: the engine sees to it that other
     * connections go on. NULL: it need not.
     */
    void (*waits)(struct mfi *mfi, bool begins);
};

/* One connection of an MTA. */
struct mfi {
    const struct mfi_ops *ops;
    void *state; /* the filter's; NULL at first, and has to be NULL again when close() returns */
};

/* Strings and arguments live until the function returns. */
struct mfi_filter {
    /* False: no agreement is possible, the MTA must do without the filter. */
    bool (*negotiate)(void *owner, struct mfi *mfi, const struct mfi_offer *offer,
                      struct mfi_request *request_out);

    /* address: of the client, as text without "IPv6:"; NULL if it is no IP client. */
    enum mfi_answer (*connect)(void *owner, struct mfi *mfi, const char *hostname,
                               const char *address);
    enum mfi_answer (*helo)(void *owner, struct mfi *mfi, const char *name);

    /* args[0]: the address as the client typed it; then ESMTP parameters; then NULL. */
    enum mfi_answer (*mail)(void *owner, struct mfi *mfi, char *const *args);
    enum mfi_answer (*rcpt)(void *owner, struct mfi *mfi, char *const *args);

    /* A field of the message's own header; folded lines are joined by "\n", the blanks behind it are kept. */
    enum mfi_answer (*header)(void *owner, struct mfi *mfi, const char *name, const char *value);
    enum mfi_answer (*eoh)(void *owner, struct mfi *mfi);
    enum mfi_answer (*body)(void *owner, struct mfi *mfi, const void *chunk, size_t len);
    enum mfi_answer (*eom)(void *owner, struct mfi *mfi);

    /* The message ends without eom(); may come without a message, too. */
    void (*abort)(void *owner, struct mfi *mfi);

    /* The connection ends; may come without any other call before it. */
    void (*close)(void *owner, struct mfi *mfi);
};

#endif
