/* eval.c - `attune eval`: what embeddings are worth, from triplets and labels. */
#include "cli/cli.h"
#include "cli/print_json.h"
#include "eval/evaluate.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune eval EMBEDDINGS... [--triplets FILE]... [--fma-metadata DIR | --labels FILE]\n"
    "\n"
    "Prints figures of each file of embeddings, and of random vectors beside them: triplets,\n"
    "genres by neighbours and by a linear probe, artists, albums and groups found again, hubs.\n"
    "EMBEDDINGS are outputs of attune, .npy (with --ids) or .csv (id, components...), also of\n"
    "other models; several are evaluated on the tracks that all have, and compared with the\n"
    "first.\n"
    "\n"
    "      --triplets FILE       triplets: published ones, synthetic or human, or anchor,\n"
    "                            positive, negative; may be given again\n"
    "      --split PART          of published triplets: all (default), train, validation, test\n"
    "      --leak-free           beside it, without triplets whose tracks occur in training\n"
    "                            triplets, of this file or of one given before it\n"
    "      --margin M            of the triplet loss (default: 0.2)\n"
    "      --fma-metadata DIR    labels and split of FMA; outputs of attune may have them too\n"
    "      --labels FILE         labels: CSV with id or path, and artist, album, genre, group,\n"
    "                            split\n"
    "      --ids FILE            ids or paths of a .npy file's rows, one a line (default: the\n"
    "                            same name with .txt); may be given again\n"
    "      --space NAME          embedding (default) or descriptors, those of outputs made with\n"
    "                            --descriptors; both, if it is given twice, are compared\n"
    "      --metric NAME         euclidean (default) or cosine\n"
    "      --plots DIR           draws distances, confusions and recall as PNG and SVG (gnuplot)\n"
    "      --json, --csv         instead of a table\n"
    "  -j, --jobs N              threads (default: one for each processor)\n"
    "  -h, --help                this text\n"
    "\n"
    "Intervals are of 95 %. Artists are found again also without the track's own album, albums\n"
    "also without its artist's other albums, groups without its artist.\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 bad data, or no triplet with vectors of its tracks, 66 not there,\n"
    "73 cannot create the folder, 74 I/O error, or a disk that is full, 78 no gnuplot for\n"
    "--plots.\n";

enum {
    OPTION_TRIPLETS = 256,
    OPTION_SPLIT,
    OPTION_LEAK_FREE,
    OPTION_MARGIN,
    OPTION_FMA,
    OPTION_LABELS,
    OPTION_IDS,
    OPTION_SPACE,
    OPTION_METRIC,
    OPTION_PLOTS,
    OPTION_JSON,
    OPTION_CSV,
};

static const struct option options[] = {
    {"triplets", required_argument, NULL, OPTION_TRIPLETS},
    {"split", required_argument, NULL, OPTION_SPLIT},
    {"leak-free", no_argument, NULL, OPTION_LEAK_FREE},
    {"margin", required_argument, NULL, OPTION_MARGIN},
    {"fma-metadata", required_argument, NULL, OPTION_FMA},
    {"labels", required_argument, NULL, OPTION_LABELS},
    {"ids", required_argument, NULL, OPTION_IDS},
    {"space", required_argument, NULL, OPTION_SPACE},
    {"metric", required_argument, NULL, OPTION_METRIC},
    {"plots", required_argument, NULL, OPTION_PLOTS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"csv", no_argument, NULL, OPTION_CSV},
    {"jobs", required_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct eval_arguments {
    attune_evaluation_options options;
    const char **triplets, **ids; /* (argc) each */
    const char *plots;            /* a folder, or NULL */
    const char *of_triplets;      /* the last option given that only these have; NULL: none */
    bool json, csv, help;
} eval_arguments;

static int parse_space(eval_arguments *a, const char *text)
{
    static const char *const names[] = {"embedding", "descriptors", NULL};
    int descriptors = 0;
    const int code = option_word(&descriptors, "eval", "--space", text, names);
    if (code != EXIT_OK) {
        return code;
    }
    const attune_space_kind kind = descriptors ? ATTUNE_SPACE_DESCRIPTORS : ATTUNE_SPACE_EMBEDDING;
    if (a->options.kind_count > 0 &&
        (a->options.kind_count == ATTUNE_SPACE_KINDS || a->options.kinds[0] == kind)) {
        return usage_error("eval", "--space %s is given twice", text);
    }
    a->options.kinds[a->options.kind_count++] = kind;
    return EXIT_OK;
}

/* Options of a value; 0 when it is fine. */
static int take_value(eval_arguments *a, int option, const char *text)
{
    static const char *const parts[] = {"all", "train", "validation", "test", NULL},
                             *const metrics[] = {"euclidean", "cosine", NULL};
    long number = 0;
    int word = 0, code = EXIT_OK;
    switch (option) {
    case OPTION_SPLIT:
        a->of_triplets = "--split";
        code = option_word(&word, "eval", "--split", text, parts);
        a->options.part = word - 1;
        return code;
    case OPTION_MARGIN:
        a->of_triplets = "--margin";
        return parse_real(text, 0, 1e6, &a->options.margin)
                   ? EXIT_OK
                   : usage_error("eval", "--margin %s: not a number from 0", text);
    case OPTION_SPACE:
        return parse_space(a, text);
    case OPTION_METRIC:
        code = option_word(&word, "eval", "--metric", text, metrics);
        a->options.cosine = word == 1;
        return code;
    case 'j':
        code = option_integer(&number, "eval", "-j", text, 1, 1024);
        a->options.threads = (int)number;
        return code;
    default:
        return EXIT_OK;
    }
}

static int parse_arguments(eval_arguments *a, int argc, char **argv)
{
    int option = 0, code = EXIT_OK;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":j:h", options, NULL)) != -1) {
        switch (option) {
        case OPTION_TRIPLETS:
            a->triplets[a->options.triplet_count++] = optarg;
            break;
        case OPTION_IDS:
            a->ids[a->options.id_count++] = optarg;
            break;
        case OPTION_FMA:
            a->options.fma_metadata = optarg;
            break;
        case OPTION_LABELS:
            a->options.labels = optarg;
            break;
        case OPTION_PLOTS:
            a->plots = optarg;
            break;
        case OPTION_LEAK_FREE:
            a->options.leak_free = true;
            a->of_triplets = "--leak-free";
            break;
        case OPTION_JSON:
            a->json = true;
            break;
        case OPTION_CSV:
            a->csv = true;
            break;
        case 'h':
            a->help = true;
            return EXIT_OK;
        case '?':
        case ':':
            return option_error("eval", argc, argv, options, option);
        default:
            code = take_value(a, option, optarg);
            if (code != EXIT_OK) {
                return code;
            }
        }
    }
    if (optind == argc) {
        return usage_error("eval", "a file of embeddings is needed");
    }
    if (a->json && a->csv) {
        return usage_error("eval", "--json and --csv: only one of them");
    }
    if (a->options.labels && a->options.fma_metadata) {
        return usage_error("eval", "--labels and --fma-metadata: only one of them");
    }
    if (a->options.triplet_count == 0 && a->of_triplets) {
        return usage_error("eval", "%s is of triplets: --triplets FILE is needed", a->of_triplets);
    }
    if (a->plots && !*a->plots) {
        return empty_error("eval", options, OPTION_PLOTS);
    }
    a->options.files = (const char *const *)argv + optind;
    a->options.file_count = (uint32_t)(argc - optind);
    if (a->options.kind_count == 0) {
        a->options.kinds[a->options.kind_count++] = ATTUNE_SPACE_EMBEDDING;
    }
    a->options.triplets = a->triplets;
    a->options.ids = a->ids;
    return EXIT_OK;
}

static attune_status draw(const attune_evaluation *evaluation, const char *folder)
{
    int count = 0;
    const attune_status status = attune_evaluation_draw(&count, evaluation, folder);
    if (status == ATTUNE_OK && count == 0) {
        message("%s: there is nothing to draw: pictures are of triplets, genres, artists, albums "
                "and groups",
                folder);
    }
    return status;
}

/* The folder is made before the work, and drawn in when the figures are out, which it does not keep
 * back; one in which nothing was drawn is removed. */
static int run(const eval_arguments *a)
{
    attune_evaluation evaluation = {0};
    bool made = false;
    attune_status status = a->plots ? attune_pictures_folder(&made, a->plots) : ATTUNE_OK;
    status = status ? status : attune_evaluate(&evaluation, &a->options);
    if (status == ATTUNE_OK && a->csv) {
        attune_report_csv(&evaluation.report, stdout);
    } else if (status == ATTUNE_OK && a->json) {
        status = print_json(attune_report_json(&evaluation.report));
    } else if (status == ATTUNE_OK) {
        attune_report_text(&evaluation.report, stdout);
    }
    if (status == ATTUNE_OK && a->plots) {
        status = draw(&evaluation, a->plots);
    }
    if (made) {
        rmdir(a->plots); /* if it is empty */
    }
    status = status ? status : attune_evaluation_check_triplets(&evaluation);
    attune_evaluation_free(&evaluation);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}

int command_eval(int argc, char **argv)
{
    eval_arguments a = {.options = {.part = -1, .margin = 0.2}};
    a.triplets = calloc((size_t)argc + 1, sizeof(*a.triplets));
    a.ids = calloc((size_t)argc + 1, sizeof(*a.ids));
    int code = a.triplets && a.ids ? parse_arguments(&a, argc, argv)
                                   : fail(attune_fail_memory("arguments", (size_t)argc));
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
    } else if (code == EXIT_OK) {
        code = run(&a);
    }
    free(a.ids);
    free(a.triplets);
    return code;
}
