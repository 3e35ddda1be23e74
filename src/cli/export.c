/* export.c - `attune export`: the vectors of an output in other programs' formats, and the network
 * of a checkpoint as ONNX. */
#include "attune/export.h"

#include "cli/cli.h"
#include "status/error.h"
#include "status/json.h"
#include "status/path.h"
#include "store/checkpoint.h"
#include "store/file_kind.h"
#include "store/new_file.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: attune export OUT.h5 -o FILE [OPTION...]\n"
    "       attune export CHECKPOINT.h5 -o MODEL.onnx [OPTION...]\n"
    "\n"
    "Writes the vectors of OUT.h5, and of those tracks alone that have one, to FILE:\n"
    "  npy     numpy's format: one row of f32 a track\n"
    "  csv     path, status, error, duration, frames, size, mtime_ns and the vector's\n"
    "          numbers, with a first line of names; quoted as RFC 4180 says, in raw bytes\n"
    "  hdf5    ann-benchmarks' layout, for programs that search neighbours: train, test,\n"
    "          the exact neighbors of test in train by cosine, and their distances\n"
    "or the network of a checkpoint of training (or of another ONNX file), in place of\n"
    "MECOMP's model:\n"
    "  onnx    audio (batch, samples) at 22050 Hz to embedding (batch, components), with\n"
    "          batch normalisation folded in\n"
    "\n"
    "  -o, --output FILE      file to write; - is standard output (npy, csv, onnx)\n"
    "  -F, --format FORMAT    npy, csv, hdf5 or onnx (default: by FILE's ending)\n"
    "  -a, --all              npy, csv: tracks without a vector too, with NaN for its\n"
    "                         numbers: row i is then row i of OUT.h5\n"
    "  -f, --force            replace FILE if it is there (never an output or a\n"
    "                         checkpoint of attune)\n"
    "      --queries N        hdf5: tracks in test (default: a tenth, at most 10000)\n"
    "  -k, --count N          hdf5: neighbors of each (default: 100)\n"
    "  -j, --jobs N           hdf5: threads (default: one per processor)\n"
    "      --opset N          onnx: 20 (default), or 17 for older runtimes\n"
    "      --name NAME        onnx: the model's name, kept in the file (default: FILE's)\n"
    "  -q, --quiet            say nothing unless the command cannot go on\n"
    "  -h, --help             this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 not what it should be, or too few tracks, 66 not there, 73\n"
    "cannot create FILE, 74 I/O error.\n";

enum { OPTION_QUERIES = 256, OPTION_OPSET, OPTION_NAME };

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"format", required_argument, NULL, 'F'},
    {"all", no_argument, NULL, 'a'},
    {"force", no_argument, NULL, 'f'},
    {"queries", required_argument, NULL, OPTION_QUERIES},
    {"count", required_argument, NULL, 'k'},
    {"jobs", required_argument, NULL, 'j'},
    {"opset", required_argument, NULL, OPTION_OPSET},
    {"name", required_argument, NULL, OPTION_NAME},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct export_arguments {
    attune_export_options export;
    attune_onnx_options onnx;
    const char *input, *output, *format;
    bool is_onnx, quiet, help;
} export_arguments;

enum { FORMAT_ONNX = -1 };

static const struct {
    const char *name, *ending;
    int format; /* an attune_export_format, or FORMAT_ONNX */
} formats[] = {
    {"npy", ".npy", ATTUNE_EXPORT_NPY},
    {"csv", ".csv", ATTUNE_EXPORT_CSV},
    {"hdf5", ".hdf5", ATTUNE_EXPORT_ANN_BENCHMARKS},
    {"onnx", ".onnx", FORMAT_ONNX},
};

/* Sets one option; an exit code other than EXIT_OK ends the command. */
static int take_option(export_arguments *a, int option)
{
    long count = 0;
    int code = EXIT_OK;
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
        code = option_integer(&count, "export", "--queries", optarg, 1, INT32_MAX);
        a->export.queries = (uint64_t)count;
        return code;
    case 'k':
        code = option_integer(&count, "export", "-k", optarg, 1, 100000);
        a->export.nearest = (uint32_t)count;
        return code;
    case 'j':
        code = option_integer(&count, "export", "--jobs", optarg, 1, 4096);
        a->export.threads = (int)count;
        return code;
    case OPTION_OPSET:
        if (!parse_integer(optarg, 17, 20, &count) || (count != 17 && count != 20)) {
            return usage_error("export", "--opset %s: not 17 or 20", optarg);
        }
        a->onnx.opset = (int)count;
        break;
    case OPTION_NAME:
        a->onnx.name = optarg;
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

/* Options of other formats than the one asked for are mistakes. */
static int check_options(const export_arguments *a)
{
    const bool ann = !a->is_onnx && a->export.format == ATTUNE_EXPORT_ANN_BENCHMARKS;
    if ((ann || a->is_onnx) && a->export.all) {
        return usage_error("export", "--all is for npy and csv");
    }
    if (ann && strcmp(a->output, "-") == 0) {
        return usage_error("export", "-o - is for npy, csv and onnx");
    }
    if (!ann && (a->export.queries || a->export.nearest || a->export.threads)) {
        return usage_error("export", "--queries, -k and --jobs are for hdf5");
    }
    if (!a->is_onnx && (a->onnx.opset || a->onnx.name)) {
        return usage_error("export", "--opset and --name are for onnx");
    }
    return EXIT_OK;
}

/* The format by its name, or by the output's ending. */
static int settle_format(export_arguments *a)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (a->format ? strcmp(a->format, formats[i].name) == 0
                      : attune_ends_in(a->output, formats[i].ending)) {
            a->is_onnx = formats[i].format == FORMAT_ONNX;
            if (!a->is_onnx) {
                a->export.format = (attune_export_format)formats[i].format;
            }
            return check_options(a);
        }
    }
    return a->format ? usage_error("export", "--format %s: not npy, csv, hdf5 or onnx", a->format)
                     : usage_error("export",
                                   "%s ends with none of .npy, .csv, .hdf5 and .onnx; name a "
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
        return usage_error("export", argc == optind ? "no OUT.h5" : "one file at a time");
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

static attune_status export_vectors(const export_arguments *a)
{
    attune_store *store = NULL;
    attune_export_counts counts;
    attune_status status = attune_store_open(&store, a->input);
    if (status == ATTUNE_OK) {
        status = attune_export(a->output, store, &a->export, &counts);
    }
    if (status == ATTUNE_OK && !a->quiet) {
        report(a, &counts);
    }
    attune_store_close(store);
    return status;
}

/* The network of a checkpoint, or of an ONNX file. */
static attune_status open_network(attune_model **out, const char *path, attune_file_kind kind)
{
    attune_checkpoint *checkpoint = NULL;
    if (kind != ATTUNE_FILE_CHECKPOINT) {
        return attune_model_open(out, path);
    }
    attune_status status = attune_checkpoint_read(&checkpoint, path);
    if (status == ATTUNE_OK) {
        status = attune_trainable_fold(out, &checkpoint->trainable, checkpoint->parameters,
                                       checkpoint->statistics, path);
    }
    attune_checkpoint_close(checkpoint);
    return status;
}

/* The output's name without folders and ending. */
static void name_of(char *out, size_t capacity, const char *output)
{
    const char *name = attune_file_name(output);
    const size_t length = attune_ends_in(name, ".onnx") ? attune_stem_length(name) : strlen(name);
    snprintf(out, capacity, "%.*s", (int)length, name);
}

static attune_status export_network(export_arguments *a, attune_file_kind kind)
{
    attune_model *model = NULL;
    void *bytes = NULL;
    size_t size = 0;
    char name[256] = "";
    if (!a->onnx.name && strcmp(a->output, "-") != 0) {
        name_of(name, sizeof(name), a->output);
        a->onnx.name = name;
    }
    json_t *text = a->onnx.name ? attune_json_text(a->onnx.name) : NULL; /* ONNX wants UTF-8 */
    if (a->onnx.name && !text) {
        return attune_fail_memory("a name", strlen(a->onnx.name));
    }
    a->onnx.name = json_string_value(text);
    attune_status status = open_network(&model, a->input, kind);
    if (status == ATTUNE_OK) {
        status = attune_model_write_onnx(&bytes, &size, model, &a->onnx);
    }
    if (status == ATTUNE_OK) {
        status = attune_new_file_write(a->output, bytes, size, a->export.replace);
    }
    if (status == ATTUNE_OK && !a->quiet) {
        message("%s of %llu parameters -> %s",
                attune_architecture_name(attune_model_network(model)->architecture),
                (unsigned long long)attune_model_trainable_count(model), a->output);
    }
    attune_model_close(model);
    json_decref(text);
    free(bytes);
    return status;
}

static attune_status run(export_arguments *a)
{
    attune_file_kind kind = ATTUNE_FILE_OTHER;
    const attune_status status = attune_file_kind_of(&kind, a->input);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (a->is_onnx ? kind == ATTUNE_FILE_OUTPUT : kind == ATTUNE_FILE_CHECKPOINT) {
        return attune_fail(ATTUNE_EDATA, "%s: is %s", a->input,
                           a->is_onnx ? "an output of embeddings, which holds no network; give a "
                                        "checkpoint"
                                      : "a checkpoint, which holds no vectors; write it to .onnx");
    }
    return a->is_onnx ? export_network(a, kind) : export_vectors(a);
}

int command_export(int argc, char **argv)
{
    export_arguments a = {0};
    const int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
    }
    if (code != EXIT_OK || a.help) {
        return code;
    }
    const attune_status status = run(&a);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}
