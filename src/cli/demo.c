/* demo.c - `attune demo`: an archive of synthesised music, embedded, and what lies near what.
 *
 * The folder is ours when it is new, empty or has the first of our tracks; in any other nothing is
 * written. What is there of an earlier run is compared, not believed, and the tracks are embedded
 * anew, which takes a second: so a second run, or one after a kill, ends as the first. */
#include "cli/cli.h"
#include "cli/log.h"
#include "cli/stop.h"
#include "demo/archive.h"
#include "eval/space.h"
#include "status/error.h"
#include "status/path.h"
#include "store/new_file.h"
#include "store/ranking.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune demo [-o FOLDER] [OPTION...]\n"
    "\n"
    "Shows what attune does on a machine without any music: makes 24 tracks of 10 s in four\n"
    "styles with a synthesiser, embeds them to FOLDER/demo.h5 as attune embed does, and\n"
    "prints for each track the three nearest with their cosines. The same tracks come out\n"
    "each time; a run over what is there already repeats it.\n"
    "\n"
    "  -o, --output FOLDER        where to put all that, 11 MB: a folder that is new, empty or\n"
    "                             an earlier demo's (default: attune-demo)\n"
    "  -m, --model MODEL.onnx     network to run (default: $ATTUNE_MODEL, or the one built in)\n"
    "  -q, --quiet                only the table\n"
    "  -h, --help                 this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 bad model, 66 no such model, 73 cannot create, 74 I/O error, 75\n"
    "run again, 130 SIGINT, 143 SIGTERM.\n";

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"model", required_argument, NULL, 'm'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

enum { NEAREST = 3 };

typedef struct demo {
    const char *model, *command;
    char *folder, *output; /* FOLDER/demo.h5 */
    bool quiet, help;
    cli_log log;
} demo;

static int parse_arguments(demo *d, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:m:qh", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            if (d->folder) {
                return usage_error("demo", "-o is given twice");
            }
            d->folder = optarg;
            break;
        case 'm':
            d->model = optarg;
            break;
        case 'q':
            d->quiet = true;
            break;
        case 'h':
            d->help = true;
            return EXIT_OK;
        default:
            return option_error("demo", argc, argv, options, option);
        }
    }
    if (optind < argc) {
        return usage_error("demo", "%s: no file is taken; name the folder to write with -o",
                           argv[optind]);
    }
    if (d->folder && !*d->folder) {
        return empty_error("demo", options, 'o');
    }
    return EXIT_OK;
}

/* ---- the folder ---- */

static attune_status refuse_folder(const demo *d, const char *why)
{
    return attune_fail(ATTUNE_ECREATE, "%s: %s; choose another with -o", d->folder, why);
}

/* Whether a folder that is there is one that we may write in. */
static attune_status check_folder(const demo *d)
{
    char first[ATTUNE_DEMO_NAME_SIZE];
    const struct dirent *entry = NULL;
    bool empty = true, ours = false;
    DIR *folder = opendir(d->folder);
    if (!folder) {
        return refuse_folder(d, errno == ENOTDIR ? "is a file and not a folder" : strerror(errno));
    }
    attune_demo_file_name(first, 0);
    while ((entry = readdir(folder))) {
        empty = empty && *entry->d_name == '.';
        ours = ours || strcmp(entry->d_name, first) == 0;
    }
    closedir(folder);
    return empty || ours ? ATTUNE_OK : refuse_folder(d, "is there and holds other files");
}

/* An output that is there is going to be replaced: it must hold our tracks and no others. */
static attune_status check_output(const demo *d)
{
    attune_space space = {0};
    if (access(d->output, F_OK) != 0) {
        return ATTUNE_OK;
    }
    attune_status status = attune_space_read(&space, d->output, NULL, ATTUNE_SPACE_EMBEDDING);
    bool ours = status == ATTUNE_OK;
    for (uint32_t i = 0; i < space.n; i++) {
        ours = ours && attune_demo_find(space.names[i]) >= 0;
    }
    attune_space_free(&space);
    return ours || status == ATTUNE_ENOMEM
               ? status
               : attune_fail(ATTUNE_ECREATE,
                             "%s: is there and is not the demo's; remove it, or choose another "
                             "folder with -o",
                             d->output);
}

static attune_status make_tracks(demo *d)
{
    attune_status status = ATTUNE_OK;
    if (mkdir(d->folder, 0777) != 0) {
        status = errno == EEXIST ? check_folder(d)
                 : errno == ENOENT
                     ? attune_fail(ATTUNE_ECREATE,
                                   "%s: the folder that it is to be in is not there; make it first",
                                   d->folder)
                     : refuse_folder(d, strerror(errno));
    }
    if (status == ATTUNE_OK) {
        status = check_output(d);
    }
    for (int i = 0; i < ATTUNE_DEMO_TRACKS && status == ATTUNE_OK; i++) {
        status = stop_signal() ? attune_fail(ATTUNE_ESTOPPED, "stopped; run it again to go on")
                               : attune_demo_write(d->folder, i);
    }
    return status;
}

/* ---- embedding ---- */

static void on_track(void *user, const char *name, const attune_track *track)
{
    demo *d = user;
    log_track(&d->log, name, track);
}

static bool on_progress(void *user, const attune_job_progress *progress)
{
    demo *d = user;
    if (stop_signal()) {
        log_stopping(&d->log);
        return true;
    }
    log_progress(&d->log, progress);
    return false;
}

static attune_status add_tracks(attune_scan *scan, const demo *d)
{
    attune_status status = ATTUNE_OK;
    for (int i = 0; i < ATTUNE_DEMO_TRACKS && status == ATTUNE_OK; i++) {
        char name[ATTUNE_DEMO_NAME_SIZE], *path = NULL;
        attune_demo_file_name(name, i);
        status = attune_path_join(&path, d->folder, name);
        status = status == ATTUNE_OK ? attune_scan_add(scan, path) : status;
        free(path);
    }
    return status == ATTUNE_OK ? attune_scan_finish(scan) : status;
}

/* As `attune embed` does it. */
static attune_status embed(demo *d, const attune_model *model, const char *name,
                           attune_job_progress *progress)
{
    attune_job_options job;
    attune_scan *scan = NULL;
    attune_status status = attune_scan_create(&scan);
    if (status == ATTUNE_OK) {
        status = add_tracks(scan, d);
    }
    if (status == ATTUNE_OK) {
        attune_job_options_default(&job);
        job.model = model;
        job.scan = scan;
        job.output = d->output;
        job.command = d->command;
        job.force = true;
        job.on_track = on_track;
        job.on_progress = on_progress;
        job.user = d;
        log_start(&d->log, scan, d->output, name);
        status = attune_job_run(&job, progress);
    }
    if (status == ATTUNE_OK) {
        log_done(&d->log, progress, scan, d->output);
    }
    attune_scan_free(scan);
    return status;
}

/* ---- what lies near what ---- */

/* The rows nearest to a row, at minus their cosines; fewer than NEAREST where there are no more. */
static uint32_t find_nearest(attune_near near[NEAREST], const attune_space *s, uint32_t row)
{
    const float *vector = s->vectors + (size_t)row * s->E;
    uint32_t count = 0;
    for (uint32_t other = 0; other < s->n; other++) {
        if (other != row) {
            const double cosine = attune_dot(vector, s->vectors + (size_t)other * s->E, (int)s->E);
            attune_heap_offer(near, &count, NEAREST,
                              (attune_near){.distance = -cosine, .row = other});
        }
    }
    attune_heap_sort(near, count);
    return count;
}

/* "folk-1.wav" as "folk-1". */
static int stem(const char *name)
{
    return (int)strcspn(name, ".");
}

static attune_status print_table(const demo *d)
{
    attune_space space;
    uint32_t same = 0;
    const attune_status status = attune_space_read(&space, d->output, NULL, ATTUNE_SPACE_EMBEDDING);
    if (status != ATTUNE_OK) {
        return status;
    }
    printf("%-14s %s\n", "track", "its three nearest, with cosines");
    for (uint32_t row = 0; row < space.n; row++) {
        attune_near near[NEAREST];
        const uint32_t count = find_nearest(near, &space, row);
        printf("%-14.*s", stem(space.names[row]), space.names[row]);
        for (uint32_t i = 0; i < count; i++) {
            const char *name = space.names[near[i].row];
            printf(" %-14.*s %.4f%s", stem(name), name, -near[i].distance,
                   i + 1 < count ? "  " : "\n");
        }
        same += count > 0 && attune_demo_find(space.names[row]) / ATTUNE_DEMO_OF_STYLE ==
                                 attune_demo_find(space.names[near[0].row]) / ATTUNE_DEMO_OF_STYLE;
    }
    printf(
        "\nThe nearest is of the same style for %u of %u tracks; by chance it would be for %.0f.\n",
        same, space.n, (double)space.n * (ATTUNE_DEMO_OF_STYLE - 1) / (ATTUNE_DEMO_TRACKS - 1));
    attune_space_free(&space);
    return ATTUNE_OK;
}

/* What to do with it now, in commands that a shell takes as they stand. */
static attune_status print_ways_on(const demo *d)
{
    char *output = shell_word(d->output);
    char *attune = shell_word(program_invocation_name);
    char name[ATTUNE_DEMO_NAME_SIZE];
    attune_demo_file_name(name, ATTUNE_DEMO_OF_STYLE);
    if (output && attune) {
        printf(
            "\nThe tracks are in %s, their vectors in demo.h5 there. To go on:\n\n"
            "  %s nearest %s %s\n"
            "  %s info %s\n"
            "  %s export %s -o demo.csv\n"
            "  python3 -c 'import sys, h5py; print(h5py.File(sys.argv[1])[\"embedding\"][:])' %s\n"
            "  %s embed MUSIC -o music.h5\n",
            d->folder, attune, output, name, attune, output, attune, output, output, attune);
    }
    const bool done = output && attune;
    free(output);
    free(attune);
    return done ? ATTUNE_OK : attune_fail_memory("a command line", strlen(d->output));
}

static int run(demo *d)
{
    attune_job_progress progress = {0};
    attune_model *model = NULL;
    const char *name = NULL;
    log_open(&d->log, false, d->quiet);
    stop_on_usr1();
    stop_on_signals();
    attune_status status = open_model(&model, &name, d->model);
    if (status == ATTUNE_OK) {
        status = make_tracks(d);
    }
    if (status == ATTUNE_OK) {
        status = embed(d, model, name, &progress);
    }
    attune_model_close(model);
    if (status == ATTUNE_OK) {
        status = print_table(d);
    }
    if (status == ATTUNE_OK && !d->quiet) {
        status = print_ways_on(d);
    }
    if (status != ATTUNE_OK) {
        log_error(&d->log);
        return status == ATTUNE_ESTOPPED && stop_signal() ? stop_exit_code() : exit_code(status);
    }
    return failed_files(&progress) > 0 ? EXIT_SOME_FAILED : EXIT_OK;
}

/* The folder without slashes at its end, and demo.h5 in it. */
static attune_status make_paths(demo *d)
{
    const char *folder = d->folder ? d->folder : "attune-demo";
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') {
        length--;
    }
    d->folder = strndup(folder, length);
    return d->folder ? attune_path_join(&d->output, d->folder, "demo.h5")
                     : attune_fail_memory("a path", length);
}

int command_demo(int argc, char **argv)
{
    demo d = {0};
    char *command = command_line(argc, argv);
    int code = parse_arguments(&d, argc, argv);
    d.command = command;
    if (code == EXIT_OK && d.help) {
        fputs(help, stdout);
    } else if (code == EXIT_OK) {
        const attune_status status = make_paths(&d);
        code = status == ATTUNE_OK ? run(&d) : fail(status);
        free(d.folder);
    }
    free(d.output);
    free(command);
    return code;
}
