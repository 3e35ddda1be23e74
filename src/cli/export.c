/* export.c - `attune export`: the vectors of an output in other programs' formats. */
#include "attune/export.h"

#include "cli/cli.h"

#include <signal.h>
#include <string.h>

static const char help[] =
    "Usage: attune export OUT.h5 -o FILE [OPTION...]\n"
    "\n"
    "Writes the vectors of OUT.h5, and of those tracks alone that have one, to FILE:\n"
    "  npy     numpy's format: one row of f32 a track\n"
    "  csv     path, status, error, duration, frames, size, mtime_ns and the vector's\n"
    "          numbers, with a first line of names; quoted as RFC 4180 says, in raw bytes\n"
    "  hdf5    ann-benchmarks' layout, for programs that search neighbours: train, test,\n"
    "          the exact neighbors of test in train by cosine, and their distances\n"
    "\n"
    "  -o, --output FILE      file to write; - is standard output (npy, csv)\n"
    "  -F, --format FORMAT    npy, csv or hdf5 (default: by FILE's ending)\n"
    "  -a, --all              npy, csv: tracks without a vector too, with NaN for its\n"
    "                         numbers: row i is then row i of OUT.h5\n"
    "  -f, --force            replace FILE if it is there (never an output of attune)\n"
    "      --queries N        hdf5: tracks in test (default: a tenth, at most 10000)\n"
    "  -k, --count N          hdf5: neighbors of each (default: 100)\n"
    "  -j, --jobs N           hdf5: threads (default: one per processor)\n"
    "  -q, --quiet            say nothing unless the command cannot go on\n"
    "  -h, --help             this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 not an output, or too few tracks, 66 not there, 73 cannot\n"
    "create FILE, 74 I/O error.\n";

enum { OPTION_QUERIES = 256 };

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"format", required_argument, NULL, 'F'},
    {"all", no_argument, NULL, 'a'},
    {"force", no_argument, NULL, 'f'},
    {"queries", required_argument, NULL, OPTION_QUERIES},
    {"count", required_argument, NULL, 'k'},
    {"jobs", required_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct export_arguments {
    attune_export_options export;
    const char *input, *output, *format;
    bool quiet, help;
} export_arguments;

static const struct {
    const char *name, *ending;
    attune_export_format format;
} formats[] = {
    {"npy", ".npy", ATTUNE_EXPORT_NPY},
    {"csv", ".csv", ATTUNE_EXPORT_CSV},
    {"hdf5", ".hdf5", ATTUNE_EXPORT_ANN_BENCHMARKS},
};

/* Sets one option; an exit code other than EXIT_OK ends the command. */
static int take_option(export_arguments *a, int option)
{
    long count = 0;
    switch (option) {
    case 'o':
        a->output = optarg;
        break;
    case 'F':
        a->format = optarg;
        break;
    case 'a':
        a->export.all = true;
        break;
    case 'f':
        a->export.replace = true;
        break;
    case OPTION_QUERIES:
        if (!parse_integer(optarg, 1, INT32_MAX, &count)) {
            return usage_error("export", "--queries %s: not a number of tracks", optarg);
        }
        a->export.queries = (uint64_t)count;
        break;
    case 'k':
        if (!parse_integer(optarg, 1, 100000, &count)) {
            return usage_error("export", "-k %s: not a number from 1 to 100000", optarg);
        }
        a->export.nearest = (uint32_t)count;
        break;
    case 'j':
        if (!parse_integer(optarg, 1, 4096, &count)) {
            return usage_error("export", "--jobs %s: not a number from 1 to 4096", optarg);
        }
        a->export.threads = (int)count;
        break;
    case 'q':
        a->quiet = true;
        break;
    default:
        a->help = true;
        break;
    }
    return EXIT_OK;
}

/* The format by its name, or by the output's ending. */
static int settle_format(export_arguments *a)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        const size_t length = strlen(a->output), ending = strlen(formats[i].ending);
        if (a->format
                ? strcmp(a->format, formats[i].name) == 0
                : length > ending && strcmp(a->output + length - ending, formats[i].ending) == 0) {
            a->export.format = formats[i].format;
            const bool ann = formats[i].format == ATTUNE_EXPORT_ANN_BENCHMARKS;
            if (ann && a->export.all) {
                return usage_error("export", "--all is for npy and csv");
            }
            if (ann && strcmp(a->output, "-") == 0) {
                return usage_error("export", "-o - is for npy and csv");
            }
            if (!ann && (a->export.queries || a->export.nearest || a->export.threads)) {
                return usage_error("export", "--queries, -k and --jobs are for hdf5");
            }
            return EXIT_OK;
        }
    }
    return a->format ? usage_error("export", "--format %s: not npy, csv or hdf5", a->format)
                     : usage_error("export",
                                   "%s ends with none of .npy, .csv and .hdf5; name a "
                                   "--format",
                                   a->output);
}

static int parse_arguments(export_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:F:afk:j:qh", options, NULL)) != -1) {
        const int code = option == '?' || option == ':'
                             ? option_error("export", argc, argv, options, option)
                             : take_option(a, option);
        if (code != EXIT_OK) {
            return code;
        }
    }
    if (a->help) {
        return EXIT_OK;
    }
    if (argc - optind != 1) {
        return usage_error("export", argc == optind ? "no OUT.h5" : "one OUT.h5 at a time");
    }
    if (!a->output || !*a->output) {
        return usage_error("export", "no output: name one with -o FILE");
    }
    a->input = argv[optind];
    return settle_format(a);
}

static void report(const export_arguments *a, const attune_export_counts *counts)
{
    char queries[100] = "", left_out[100] = "";
    if (counts->queries > 0) {
        snprintf(queries, sizeof(queries), ", %llu of them queries with %u neighbors each",
                 (unsigned long long)counts->queries, (unsigned)counts->nearest);
    }
    if (counts->left_out > 0) {
        snprintf(left_out, sizeof(left_out), "; %llu without a vector left out",
                 (unsigned long long)counts->left_out);
    }
    message("%llu row%s%s -> %s%s", (unsigned long long)counts->rows, counts->rows == 1 ? "" : "s",
            queries, a->output, left_out);
}

int command_export(int argc, char **argv)
{
    export_arguments a = {0};
    attune_store *store = NULL;
    attune_export_counts counts;
    const int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
    }
    if (code != EXIT_OK || a.help) {
        return code;
    }
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is a full disk, with its message */
    attune_status status = attune_store_open(&store, a.input);
    if (status == ATTUNE_OK) {
        status = attune_export(a.output, store, &a.export, &counts);
    }
    if (status == ATTUNE_OK && !a.quiet) {
        report(&a, &counts);
    }
    attune_store_close(store);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}
