/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/crash.h"

#include "lib/base/log.h"

#include <signal.h>
#include <stddef.h>

/* A signal handler gets no pointer of ours. */
static const struct logger *crash_logger;

static void write_log(int signal_number)
{
    log_crash(crash_logger);
    /* SA_RESETHAND has put the default back, and the signal comes again when this returns. */
    (void)raise(signal_number);
}

void crash_catch(const struct logger *logger)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action = {.sa_handler = write_log, .sa_flags = (int)SA_RESETHAND};
    struct sigaction now;

    crash_logger = logger;
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        if (sigaction(fatal[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
            (void)sigaction(fatal[i], &action, NULL);
        }
    }
}
