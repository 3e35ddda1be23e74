/* nearest.c - `attune nearest`: the tracks nearest to others, or on the way from one to another.
 *
 * The search is src/store's (ranking.h, choice.h, journey.h); the queries are nearest_queries.c's,
 * and what is printed nearest_print.c's. */
#include "cli/nearest.h"

#include "cli/cli.h"
#include "status/error.h"
#include "store/journey.h"
#include "store/lookup.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: attune nearest OUT.h5 QUERY... [OPTION...]\n"
    "       attune nearest OUT.h5 --path FROM TO [OPTION...]\n"
    "\n"
    "Prints the tracks of OUT.h5 nearest to QUERY, or to several, nearest first: cosine and\n"
    "path. QUERY is a row's path, or an audio file, which is embedded with the model and the\n"
    "settings that OUT.h5 was made with. The queries themselves are left out.\n"
    "\n"
    "  -k, --count N             how many (default: 10)\n"
    "      --by mean|any         what is near to several: by the mean of its cosines with them\n"
    "                            (default), or by the largest\n"
    "      --path                tracks on the way from FROM to TO, both included: the cosine\n"
    "                            is with a point on the great circle between the two\n"
    "      --per-artist N        at most N tracks of an artist (OUT.h5 with --fma-metadata)\n"
    "      --per-folder N        at most N tracks of a folder\n"
    "      --diversity X         any two tracks, queries too, at least X apart (1 - cosine):\n"
    "                            0.001 leaves out copies in other formats\n"
    "      --json                one JSON object instead of lines\n"
    "      --m3u                 a playlist instead: extended M3U in UTF-8, absolute paths\n"
    "      --html FILE           writes a page with a player for each track as well\n"
    "  -o, --output FILE         write to FILE (default: standard output)\n"
    "  -f, --force               replace FILE if it is there\n"
    "  -m, --model MODEL.onnx    the model of OUT.h5, for an audio file (default:\n"
    "                            $ATTUNE_MODEL, or the one built in)\n"
    "  -h, --help                this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 not an output or not audio, 66 not there, 73 FILE cannot be\n"
    "created, 74 I/O error, 78 another model, or no artists known.\n";

enum {
    OPTION_JSON = 256,
    OPTION_M3U,
    OPTION_HTML,
    OPTION_BY,
    OPTION_PATH,
    OPTION_PER_ARTIST,
    OPTION_PER_FOLDER,
    OPTION_DIVERSITY,
    COUNT_MAX = 1000000,
};

static const struct option options[] = {
    {"count", required_argument, NULL, 'k'},
    {"by", required_argument, NULL, OPTION_BY},
    {"path", no_argument, NULL, OPTION_PATH},
    {"per-artist", required_argument, NULL, OPTION_PER_ARTIST},
    {"per-folder", required_argument, NULL, OPTION_PER_FOLDER},
    {"diversity", required_argument, NULL, OPTION_DIVERSITY},
    {"json", no_argument, NULL, OPTION_JSON},
    {"m3u", no_argument, NULL, OPTION_M3U},
    {"html", required_argument, NULL, OPTION_HTML},
    {"output", required_argument, NULL, 'o'},
    {"force", no_argument, NULL, 'f'},
    {"model", required_argument, NULL, 'm'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_limit(nearest_arguments *a, int option, const char *value)
{
    long count = 0;
    a->limited = true;
    if (option == OPTION_DIVERSITY) {
        return parse_real(value, 0, 2, &a->limits.apart)
                   ? EXIT_OK
                   : usage_error("nearest", "--diversity %s: not a number from 0 to 2", value);
    }
    const bool artist = option == OPTION_PER_ARTIST;
    const int code = option_integer(&count, "nearest", artist ? "--per-artist" : "--per-folder",
                                    value, 1, COUNT_MAX);
    *(artist ? &a->limits.per_artist : &a->limits.per_folder) = (uint32_t)count;
    return code;
}

static int take_format(nearest_arguments *a, nearest_format format)
{
    if (a->format != NEAREST_LINES && a->format != format) {
        return usage_error("nearest", "--json and --m3u: one of them");
    }
    a->format = format;
    return EXIT_OK;
}

static int take_option(nearest_arguments *a, int option)
{
    static const char *const bys[] = {"mean", "any", NULL}; /* attune_ranking_by */
    int by = 0, code = EXIT_OK;
    switch (option) {
    case 'k':
        return option_integer(&a->k, "nearest", "-k", optarg, 1, COUNT_MAX);
    case OPTION_BY:
        code = option_word(&by, "nearest", "--by", optarg, bys);
        a->by = (attune_ranking_by)by;
        return code;
    case OPTION_PATH:
        a->path = true;
        break;
    case OPTION_PER_ARTIST:
    case OPTION_PER_FOLDER:
    case OPTION_DIVERSITY:
        return take_limit(a, option, optarg);
    case OPTION_JSON:
        return take_format(a, NEAREST_JSON);
    case OPTION_M3U:
        return take_format(a, NEAREST_M3U);
    case OPTION_HTML:
        a->page = optarg;
        break;
    case 'o':
        a->file = optarg;
        break;
    case 'f':
        a->replace = true;
        break;
    case 'm':
        a->model = optarg;
        break;
    default:
        a->help = true;
        break;
    }
    return EXIT_OK;
}

/* What options cannot mean together. */
static int check_arguments(const nearest_arguments *a)
{
    if (a->path && a->query_count != 2) {
        return usage_error("nearest", "--path needs two tracks, FROM and TO");
    }
    if (a->path && (a->limited || a->by != ATTUNE_BY_MEAN)) {
        return usage_error("nearest", "--path goes without limits and --by");
    }
    if (a->path && (a->k < 2 || a->k > ATTUNE_JOURNEY_MAX)) {
        return usage_error("nearest", "-k %ld: a path has 2 to %d tracks", a->k,
                           ATTUNE_JOURNEY_MAX);
    }
    return EXIT_OK;
}

static int parse_arguments(nearest_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":k:o:fm:h", options, NULL)) != -1) {
        const int code = option == '?' || option == ':'
                             ? option_error("nearest", argc, argv, options, option)
                         : optarg && !*optarg ? empty_error("nearest", options, option)
                                              : take_option(a, option);
        if (code != EXIT_OK || a->help) {
            return code;
        }
    }
    if (argc - optind < 2) {
        return usage_error("nearest", "OUT.h5 and a QUERY are needed");
    }
    a->output = argv[optind];
    a->queries = argv + optind + 1;
    a->query_count = (size_t)(argc - optind - 1);
    return check_arguments(a);
}

static attune_status search(attune_near *near, uint32_t *count, attune_store *store,
                            const nearest_queries *q, const nearest_arguments *a, uint32_t k)
{
    const attune_store_attributes *attributes = attune_store_attributes_of(store);
    const size_t width = (size_t)attributes->embedding;
    if (a->limits.per_artist > 0 && !attributes->labels) {
        return attune_fail(ATTUNE_ECONFIG,
                           "%s: knows no artists: it was made without --fma-metadata; a limit per "
                           "folder may do",
                           a->output);
    }
    if (a->path && q->rows[0] == q->rows[1] && q->rows[0] != ATTUNE_LOOKUP_NONE) {
        return attune_fail(ATTUNE_EINVAL, "--path: %s and %s are the same track", a->queries[0],
                           a->queries[1]);
    }
    if (a->path) {
        const attune_journey_end from = {.embedding = q->vectors, .row = q->rows[0]};
        const attune_journey_end to = {.embedding = q->vectors + width, .row = q->rows[1]};
        return attune_journey(near, count, store, from, to, k);
    }
    const attune_ranking ranking = {
        .store = store,
        .queries = q->vectors,
        .rows = q->rows,
        .count = a->query_count,
        .by = a->by,
    };
    return attune_choose(near, count, &ranking, &a->limits, k);
}

typedef struct found_row {
    uint64_t row;
    uint32_t rank;
} found_row;

static int compare_found(const void *left, const void *right)
{
    const found_row *a = left, *b = right;
    return (a->row > b->row) - (a->row < b->row);
}

/* Reads the tracks in the order of the file, in which each chunk of it is read once. */
static attune_status read_tracks(attune_rows *rows, uint32_t *places, attune_store *store,
                                 const attune_near *near, uint32_t count)
{
    found_row *found = calloc(count + (size_t)1, sizeof(*found));
    attune_status status = found ? ATTUNE_OK : attune_fail_memory("tracks", count * sizeof(*found));
    for (uint32_t i = 0; status == ATTUNE_OK && i < count; i++) {
        found[i] = (found_row){.row = near[i].row, .rank = i};
    }
    if (status == ATTUNE_OK) {
        qsort(found, count, sizeof(*found), compare_found);
    }
    for (uint32_t i = 0; status == ATTUNE_OK && i < count; i++) {
        places[found[i].rank] = i;
        status = attune_store_read(store, found[i].row, 1, rows);
    }
    free(found);
    return status;
}

static attune_status search_and_print(attune_store *store, const nearest_queries *q,
                                      const nearest_arguments *a)
{
    const attune_store_attributes *attributes = attune_store_attributes_of(store);
    const uint64_t total = attune_store_count(store);
    const bool all = !a->path && (uint64_t)a->k > total;
    const uint32_t k = all ? (uint32_t)total : (uint32_t)a->k; /* a path's points stay as many */
    nearest_tracks tracks = {.attributes = attributes};
    attune_near *near = calloc(k + (size_t)1, sizeof(*near));
    uint32_t *places = calloc(k + (size_t)1, sizeof(*places));
    attune_rows *rows = NULL;
    attune_status status =
        near && places ? ATTUNE_OK : attune_fail_memory("a search", k * sizeof(*near));
    if (status == ATTUNE_OK && k > 0) {
        status = search(near, &tracks.count, store, q, a, k);
    }
    if (status == ATTUNE_OK && tracks.count == 0) {
        message("%s: no other track %s", a->output,
                a->limited ? "keeps the limits" : "has a vector");
    }
    if (status == ATTUNE_OK) {
        status = attune_rows_create(&rows, attributes->embedding);
    }
    if (status == ATTUNE_OK) {
        status = read_tracks(rows, places, store, near, tracks.count);
    }
    if (status == ATTUNE_OK) {
        tracks.near = near;
        tracks.places = places;
        tracks.rows = rows;
        status = nearest_print(&tracks, a);
    }
    attune_rows_free(rows);
    free(places);
    free(near);
    return status;
}

static int run(const nearest_arguments *a)
{
    attune_store *store = NULL;
    nearest_queries queries = {0};
    attune_status status = attune_store_open(&store, a->output);
    if (status != ATTUNE_OK) {
        return fail(status);
    }
    int code = nearest_queries_open(&queries, store, a);
    if (code == EXIT_OK) {
        status = search_and_print(store, &queries, a);
        code = status == ATTUNE_OK ? EXIT_OK : fail(status);
    }
    nearest_queries_close(&queries);
    attune_store_close(store);
    return code;
}

int command_nearest(int argc, char **argv)
{
    nearest_arguments a = {.k = 10, .file = "-"};
    const int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    return code == EXIT_OK ? run(&a) : code;
}
