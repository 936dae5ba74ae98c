/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/relay_load.h"
#include "ctl/standard_input.h"

#include "lib/base/strbuf.h"
#include "lib/policy/access_map.h"
#include "lib/policy/config.h"
#include "lib/table/mapfile.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe that stays silent for so long is not meant for us; a caller that has a text writes it at once. */
#define STDIN_WAIT_MS 2000
#define MAX_GROUPS 256

static const char help[] =
    "Compiles the maps of postern.conf, access and spammers: those named, or all. A map that is as new as\n"
    "its text is left alone. Every line is checked; if one is wrong, all that is wrong is told, the old map\n"
    "stays, and the exit status is 1. The daemon takes a new map by itself.\n"
    "\n"
    "  --force    compile also what has not changed\n"
    "  NAME -     read the text from standard input\n"
    "\n"
    "With exactly one NAME the text is also read from standard input, without \"-\", if a text was put there:\n"
    "a file at its beginning (posternctl makemap access < file), or a pipe or socket with bytes in it, for\n"
    "whose first byte it waits two seconds. A terminal, /dev/null, an empty file, an empty pipe and a file of\n"
    "which something was read already are no text: then the file that postern.conf names is compiled, as\n"
    "from cron and systemd.\n"
    "\n"
    "relayers are no map, but the daemon keeps them, and \"makemap relayers < FILE\" is \"relay load < FILE\".\n";

static const struct option options[] = {
    CTL_LONG_OPTIONS, {"force", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};

/* One map that postern.conf can name. */
struct map {
    const char *name;
    const struct mapfile_format *format;
    const char *text; /* "": not configured */
};

#define MAPS 2u

/* One run of the verb. */
struct run {
    const struct ctl *ctl;
    struct config *config;
    struct ctl_problems problems;
    struct diag shown;         /* where problems go once the bar is out of the way */
    struct progress *progress; /* NULL: no bar */
    json_t *results;           /* NULL without --json */
    bool force;
    int code; /* the worst so far */
};

/* A message begins on a line of its own, not behind the bar. */
static void show_problem(void *ctx, const struct diag_item *item)
{
    struct run *run = ctx;

    if (run->progress != NULL) {
        progress_clear(run->progress);
    }
    run->shown.sink(run->shown.ctx, item);
}

/* Set by a signal; the only way to reach a loop that reads and writes. */
static volatile sig_atomic_t stopped_by;

static void stop(int signal_number)
{
    stopped_by = signal_number;
}

static void watch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = stop}; /* no SA_RESTART: reads return */
    struct sigaction old;

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
}

/* Ends by the signal that stopped us, as the shell expects. */
static void die_of_signal(void)
{
    if (stopped_by != 0) {
        signal(stopped_by, SIG_DFL);
        raise(stopped_by);
    }
}

/* May the user of the daemon read the file? True also if that cannot be known. */
static bool daemon_can_read(const struct config *config, const char *path)
{
    const struct passwd *user = getpwnam(config->user);
    gid_t groups[MAX_GROUPS];
    int count = MAX_GROUPS;
    struct stat file;

    if (user == NULL || stat(path, &file) != 0 || user->pw_uid == 0 || (file.st_mode & S_IROTH)) {
        return true;
    }
    if (file.st_uid == user->pw_uid) {
        return (file.st_mode & S_IRUSR) != 0;
    }
    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) {
        return true;
    }
    for (int i = 0; i < count; i++) {
        if (groups[i] == file.st_gid) {
            return (file.st_mode & S_IRGRP) != 0;
        }
    }
    return false;
}

static void warn_if_unreadable(struct run *run, const char *map_path)
{
    if (daemon_can_read(run->config, map_path)) {
        return;
    }
    diag_report(&run->problems.diag, DIAG_WARNING, map_path, 0,
                "set group and mode once, with chgrp and chmod; they are kept from then on",
                "user \"%s\", as whom the daemon runs, may not read it", run->config->user);
}

static void add_result(struct run *run, const struct map *map, const char *map_path,
                       const char *result, const struct mapfile_result *numbers, double seconds)
{
    json_t *object = json_object();

    json_object_set_new(object, "name", json_string(map->name));
    json_object_set_new(object, "map", json_string(map_path));
    json_object_set_new(object, "source", json_string(map->text));
    json_object_set_new(object, "result", json_string(result));
    if (numbers != NULL) {
        json_object_set_new(object, "lines", json_integer((json_int_t)numbers->lines));
        json_object_set_new(object, "entries", json_integer((json_int_t)numbers->entries));
        json_object_set_new(object, "duplicates", json_integer((json_int_t)numbers->duplicates));
        json_object_set_new(object, "seconds", json_real(seconds));
    }
    json_array_append_new(run->results, object);
}

static void tell_built(struct run *run, const struct map *map, const char *map_path,
                       enum status status, const struct mapfile_result *result, double seconds)
{
    if (run->results != NULL) {
        const char *word = status == STATUS_OK        ? "written"
                           : status == STATUS_INVALID ? "invalid"
                                                      : "failed";

        add_result(run, map, map_path, word, result, seconds);
    } else if (status == STATUS_OK) {
        printf("%s: %zu %s written to %s (%.1f s)\n", map->name, result->entries,
               result->entries == 1 ? "entry" : "entries", map_path, seconds);
    } else {
        fprintf(stderr, "%s: not compiled; %s\n", map->name,
                access(map_path, F_OK) == 0 ? "the old map stays in force" : "there is no map yet");
    }
}

static void note_code(struct run *run, enum status status)
{
    int code = status == STATUS_OK ? CTL_DONE : status == STATUS_INVALID ? CTL_NO : CTL_TEMPFAIL;

    if (code > run->code) {
        run->code = code;
    }
}

static void build(struct run *run, const struct map *map, const char *map_path, bool from_stdin)
{
    struct progress progress;
    struct mapfile_result result;
    struct mapfile_job job = {
        .format = map->format,
        .map_path = map_path,
        .source_path = map->text,
        .from_fd = from_stdin,
        .source_fd = STDIN_FILENO,
        .progress = progress_show,
        .progress_ctx = &progress,
        .stop = &stopped_by,
    };

    progress_init(&progress, map->name);
    run->progress = &progress;
    enum status status = mapfile_build(&job, &run->problems.diag, &result);

    progress_clear(&progress);
    run->progress = NULL;
    if (stopped_by != 0 && status != STATUS_OK) {
        return;
    }
    tell_built(run, map, map_path, status, &result, progress_seconds(&progress));
    note_code(run, status);
    if (status == STATUS_OK) {
        warn_if_unreadable(run, map_path);
    }
}

static void handle(struct run *run, const struct map *map, bool from_stdin)
{
    char *map_path = config_map_path(map->text);

    if (from_stdin || run->force || !mapfile_is_current(map_path, map->text, map->format, NULL)) {
        build(run, map, map_path, from_stdin);
    } else if (run->results != NULL) {
        add_result(run, map, map_path, "current", NULL, 0);
    } else {
        printf("%s: %s is up to date\n", map->name, map_path);
    }
    free(map_path);
}

/* Is the text of the one named map to be read from standard input? */
static bool wants_stdin(const struct ctl *ctl, const struct map *map)
{
    switch (standard_input_look(STDIN_FILENO, STDIN_WAIT_MS)) {
    case STANDARD_INPUT_TEXT:
        return true;
    case STANDARD_INPUT_SILENT:
        ctl_complain(ctl,
                     "nothing came from standard input, so %s is compiled; "
                     "\"%s %s -\" waits for standard input",
                     map->text, ctl->verb, map->name);
        return false;
    case STANDARD_INPUT_NONE:
        break;
    }
    return false;
}

static const struct map *find_map(const struct map *maps, const char *name)
{
    for (size_t i = 0; i < MAPS; i++) {
        if (strcmp(maps[i].name, name) == 0) {
            return &maps[i];
        }
    }
    return NULL;
}

/* Are all names those of configured maps? */
static int check_names(const struct ctl *ctl, const struct map *maps, char **names, int count)
{
    for (int i = 0; i < count; i++) {
        const struct map *map = find_map(maps, names[i]);

        if (map == NULL) {
            return ctl_usage(ctl, "there is no map \"%s\"; access, spammers and relayers are",
                             names[i]);
        }
        if (map->text[0] == '\0') {
            ctl_complain(ctl, "%s: no map \"%s\" is configured", ctl->config_path, names[i]);
            return CTL_NO;
        }
    }
    return CTL_DONE;
}

static int make_maps(struct run *run, char **names, int count)
{
    const struct map maps[MAPS] = {
        {"access", &access_map_format, run->config->access},
        {"spammers", &spammers_map_format, run->config->spammers},
    };
    bool dash = count == 2 && strcmp(names[1], "-") == 0;
    int code = check_names(run->ctl, maps, names, dash ? 1 : count);

    if (code != CTL_DONE) {
        return code;
    }
    watch_signals();
    if (count == 0) {
        for (size_t i = 0; i < MAPS && stopped_by == 0; i++) {
            if (maps[i].text[0] != '\0') {
                handle(run, &maps[i], false);
            }
        }
    } else if (dash || count == 1) {
        const struct map *map = find_map(maps, names[0]);

        handle(run, map, dash || wants_stdin(run->ctl, map));
    } else {
        for (int i = 0; i < count && stopped_by == 0; i++) {
            handle(run, find_map(maps, names[i]), false);
        }
    }
    die_of_signal();
    return run->code;
}

int cmd_makemap(struct ctl *ctl, int argc, char **argv)
{
    struct run run = {.ctl = ctl};
    int option;

    while ((option = getopt_long(argc, argv, CTL_SHORT_OPTIONS "f", options, NULL)) != -1) {
        if (option == 'f') {
            run.force = true;
        } else if (!ctl_option(ctl, option, optarg)) {
            return option == 'h' ? ctl_help(ctl, help) : ctl_usage(ctl, "wrong option");
        }
    }
    if (optind < argc && strcmp(argv[optind], "relayers") == 0) {
        bool dash = optind + 2 == argc && strcmp(argv[optind + 1], "-") == 0;

        return optind + 1 == argc || dash
                   ? relay_load_run(ctl)
                   : ctl_usage(ctl, "relayers cannot be loaded along with others");
    }
    ctl_problems_init(&run.problems, ctl);
    run.shown = run.problems.diag;
    diag_init(&run.problems.diag, show_problem, &run);
    run.config = config_load(ctl->config_path, &run.problems.diag);
    run.results = ctl->json ? json_array() : NULL;
    run.code = run.config == NULL ? CTL_NO : make_maps(&run, argv + optind, argc - optind);
    if (ctl->json && run.code != CTL_USAGE) {
        run.code = ctl_print_json(ctl, json_pack("{s:O}", "maps", run.results), &run.problems,
                                  run.code);
    }
    json_decref(run.results);
    ctl_problems_fini(&run.problems);
    config_free(&run.config);
    return run.code;
}
