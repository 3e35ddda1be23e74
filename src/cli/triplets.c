/* triplets.c - `attune triplets`: triplets from FMA's metadata, and what is wrong with a split. */
#include "cli/cli.h"
#include "cli/print_json.h"
#include "fma/generate.h"
#include "fma/leaks.h"
#include "fma/triplet_file.h"
#include "status/error.h"
#include "status/path.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune triplets --fma-metadata DIR -o OUT.csv [OPTION...]\n"
    "       attune triplets --fma-metadata DIR --candidates N -o OUT.csv [OPTION...]\n"
    "       attune triplets --report FILE.csv [TEST.csv | VALIDATION.csv TEST.csv]\n"
    "\n"
    "Draws triplets from fma_metadata in DIR, as the published ones were: for each top genre\n"
    "as many with anchor and positive of it and negative of another; then any three tracks,\n"
    "decided by the same top genre, by shared genres, by genres above both. Or N threes for\n"
    "listeners to judge. Or reports what the parts of a split have in common: the published\n"
    "one of FILE.csv, or FILE.csv for training and the others for what they are called.\n"
    "\n"
    "  -o, --output OUT.csv       file to write; - is standard output\n"
    "  -n, --count N              triplets in all (default: 8000, or ten for each track where\n"
    "                             that is fewer)\n"
    "      --per-genre N          of them for each top genre (default: nine tenths, divided\n"
    "                             by the number of genres: 900)\n"
    "      --of genre|artist|album  what anchor and positive share (default: genre); of\n"
    "                             artist or album, the negative is any track of another\n"
    "      --negatives any|hierarchy  how they are drawn (default: any): with hierarchy, each\n"
    "                             step in the tree of genres from the anchor's makes one half\n"
    "                             as likely, so that those near it are many, and of the same\n"
    "                             top genre, too\n"
    "      --disjoint tracks|artists|official  write OUT-train.csv, OUT-validation.csv and\n"
    "                             OUT-test.csv, which share no track, no artist, or keep to\n"
    "                             FMA's own split (which shares no artist)\n"
    "      --subset NAME          draw from small, medium, large or full (default: small)\n"
    "      --seed N               0 to 4294967295 (default: 42)\n"
    "  -f, --force                replace what is there\n"
    "      --json                 the report as a JSON object\n"
    "  -q, --quiet                say nothing unless the command cannot go on\n"
    "  -h, --help                 this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, or not so many triplets, 65 bad metadata or triplets, 66 not\n"
    "there, 73 cannot create, 74 I/O error.\n";

enum {
    OPTION_METADATA = 256,
    OPTION_CANDIDATES,
    OPTION_REPORT,
    OPTION_PER_GENRE,
    OPTION_OF,
    OPTION_NEGATIVES,
    OPTION_DISJOINT,
    OPTION_SUBSET,
    OPTION_SEED,
    OPTION_JSON
};

static const struct option options[] = {
    {"fma-metadata", required_argument, NULL, OPTION_METADATA},
    {"candidates", required_argument, NULL, OPTION_CANDIDATES},
    {"report", no_argument, NULL, OPTION_REPORT},
    {"output", required_argument, NULL, 'o'},
    {"count", required_argument, NULL, 'n'},
    {"per-genre", required_argument, NULL, OPTION_PER_GENRE},
    {"of", required_argument, NULL, OPTION_OF},
    {"negatives", required_argument, NULL, OPTION_NEGATIVES},
    {"disjoint", required_argument, NULL, OPTION_DISJOINT},
    {"subset", required_argument, NULL, OPTION_SUBSET},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"force", no_argument, NULL, 'f'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct triplets_arguments {
    attune_fma_generate_options draw;
    const char *metadata, *output;
    long candidates;     /* 0: triplets are drawn */
    const char *drawing; /* the last option given that candidates do not have; NULL: none */
    bool report, replace, json, quiet, help;
} triplets_arguments;

static const char *const part_names[ATTUNE_PART_COUNT] = {"train", "validation", "test"};

static int take_choice(triplets_arguments *a, int option)
{
    static const char *const likenesses[] = {"genre", "artist", "album", NULL};
    static const char *const negatives[] = {"any", "hierarchy", NULL};
    static const char *const disjoints[] = {"tracks", "artists", "official", NULL};
    int word = 0, code = EXIT_OK;
    switch (option) {
    case OPTION_OF:
        a->drawing = "--of";
        code = option_word(&word, "triplets", "--of", optarg, likenesses);
        a->draw.likeness = (attune_fma_likeness)word;
        return code;
    case OPTION_NEGATIVES:
        a->drawing = "--negatives";
        code = option_word(&word, "triplets", "--negatives", optarg, negatives);
        a->draw.hierarchy = word == 1;
        return code;
    case OPTION_DISJOINT:
        a->drawing = "--disjoint";
        code = option_word(&word, "triplets", "--disjoint", optarg, disjoints);
        a->draw.disjoint = (attune_fma_disjoint)(word + 1);
        return code;
    default:
        return attune_fma_subset_parse(&a->draw.subset, optarg)
                   ? EXIT_OK
                   : usage_error("triplets", "--subset %s: not small, medium, large or full",
                                 optarg);
    }
}

static int take_option(triplets_arguments *a, int option)
{
    enum { MOST = 100000000 };
    long number = 0;
    int code = EXIT_OK;
    switch (option) {
    case OPTION_METADATA:
        a->metadata = optarg;
        break;
    case OPTION_CANDIDATES:
        return option_integer(&a->candidates, "triplets", "--candidates", optarg, 1, MOST);
    case OPTION_REPORT:
        a->report = true;
        break;
    case 'o':
        if (a->output) {
            return usage_error("triplets", "-o is given twice");
        }
        a->output = optarg;
        break;
    case 'n':
        a->drawing = "--count";
        code = option_integer(&number, "triplets", a->drawing, optarg, 1, MOST);
        a->draw.count = (uint32_t)number;
        return code;
    case OPTION_PER_GENRE:
        a->drawing = "--per-genre";
        code = option_integer(&number, "triplets", a->drawing, optarg, 1, MOST);
        a->draw.per_genre = (uint32_t)number;
        return code;
    case OPTION_SEED:
        code = option_integer(&number, "triplets", "--seed", optarg, 0, UINT32_MAX);
        a->draw.seed = (uint64_t)number;
        return code;
    case 'f':
        a->replace = true;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case 'q':
        a->quiet = true;
        break;
    case 'h':
        a->help = true;
        break;
    default:
        return take_choice(a, option);
    }
    return EXIT_OK;
}

static int check_arguments(const triplets_arguments *a, int files)
{
    if (a->report && (a->metadata || a->output || a->candidates > 0 || a->drawing)) {
        return usage_error("triplets", "--report only reads files of triplets; %s is for drawing",
                           a->metadata         ? "--fma-metadata"
                           : a->output         ? "-o"
                           : a->candidates > 0 ? "--candidates"
                                               : a->drawing);
    }
    if (a->report) {
        return files < 1 || files > ATTUNE_PART_COUNT
                   ? usage_error("triplets", "--report needs one to three files of triplets")
                   : EXIT_OK;
    }
    if (files > 0) {
        return usage_error("triplets",
                           "files are only for --report; name the one to write with -o");
    }
    if (a->json) {
        return usage_error("triplets", "--json is for --report");
    }
    if (a->candidates > 0 && a->drawing) {
        return usage_error("triplets", "%s is not for --candidates, which are any three tracks",
                           a->drawing);
    }
    if (a->draw.per_genre > 0 && a->draw.likeness != ATTUNE_FMA_BY_GENRE) {
        return usage_error("triplets", "--per-genre is for triplets of genres, not --of others");
    }
    if (!a->metadata) {
        return usage_error("triplets", "--fma-metadata is needed, the folder with tracks.csv");
    }
    if (!a->output || !*a->output) {
        return usage_error("triplets", "no output: name one with -o OUT.csv");
    }
    if (a->draw.disjoint != ATTUNE_FMA_WHOLE && strcmp(a->output, "-") == 0) {
        return usage_error("triplets", "--disjoint writes three files, which - is not");
    }
    return EXIT_OK;
}

static int parse_arguments(triplets_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:n:fqh", options, NULL)) != -1) {
        const int code = option == '?' || option == ':'
                             ? option_error("triplets", argc, argv, options, option)
                             : take_option(a, option);
        if (code != EXIT_OK) {
            return code;
        }
    }
    return a->help ? EXIT_OK : check_arguments(a, argc - optind);
}

/* ---- drawing ---- */

/* OUT.csv to OUT-test.csv; malloc'ed. */
static attune_status part_path(char **out, const char *path, const char *part)
{
    const int stem = (int)attune_stem_length(path);
    if (asprintf(out, "%.*s-%s%s", stem, path, part, path + stem) < 0) {
        *out = NULL;
        return attune_fail_memory("a path", strlen(path));
    }
    return ATTUNE_OK;
}

static void tell_written(const triplets_arguments *a, const attune_fma_triplets *t, int part,
                         const char *path)
{
    const uint32_t count = t->start[part + 1] - t->start[part];
    char kinds[100] = "";
    if (a->draw.likeness == ATTUNE_FMA_BY_GENRE) {
        snprintf(kinds, sizeof(kinds), " (%u by top genre, %u of any three)", t->by_genre[part],
                 count - t->by_genre[part]);
    }
    message("%u triplet%s%s of %u tracks -> %s", count, count == 1 ? "" : "s", kinds,
            t->tracks[part], path);
}

static attune_status write_whole(const triplets_arguments *a, const attune_fma *fma,
                                 const attune_fma_triplets *t)
{
    const attune_status status =
        attune_fma_write_triplets(a->output, fma, t->triplets, t->count, a->replace);
    if (status == ATTUNE_OK && !a->quiet) {
        tell_written(a, t, 0, a->output);
    }
    return status;
}

static attune_status write_parts(const triplets_arguments *a, const attune_fma *fma,
                                 const attune_fma_triplets *t)
{
    char *paths[ATTUNE_PART_COUNT] = {NULL};
    attune_status status = ATTUNE_OK;
    for (int p = 0; status == ATTUNE_OK && p < ATTUNE_PART_COUNT; p++) {
        status = part_path(&paths[p], a->output, part_names[p]);
    }
    if (status == ATTUNE_OK) {
        status = attune_fma_write_parts(paths, fma, t, a->replace);
    }
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        if (status == ATTUNE_OK && !a->quiet) {
            tell_written(a, t, p, paths[p]);
        }
        free(paths[p]);
    }
    return status;
}

/* Refuses to write over the tables that are read, which --force would. */
static attune_status spare_tables(const triplets_arguments *a)
{
    static const char *const tables[] = {"tracks.csv", "genres.csv"};
    attune_status status = ATTUNE_OK;
    for (int i = 0; status == ATTUNE_OK && i < 2; i++) {
        char *path = NULL;
        status = attune_path_join(&path, a->metadata, tables[i]);
        if (status == ATTUNE_OK && attune_same_file(a->output, path)) {
            status = attune_fail(ATTUNE_ECREATE,
                                 "%s: is what the triplets are drawn from; choose another name",
                                 a->output);
        }
        free(path);
    }
    return status;
}

/* Three files of one split belong together: where one of them is there, none is written. */
static attune_status spare_parts(const triplets_arguments *a)
{
    const bool parts = a->draw.disjoint != ATTUNE_FMA_WHOLE && !a->replace;
    attune_status status = ATTUNE_OK;
    for (int p = 0; parts && status == ATTUNE_OK && p < ATTUNE_PART_COUNT; p++) {
        char *path = NULL;
        status = part_path(&path, a->output, part_names[p]);
        if (status == ATTUNE_OK && access(path, F_OK) == 0) {
            status = attune_fail(ATTUNE_ECREATE, "%s: exists; --force replaces it", path);
        }
        free(path);
    }
    return status;
}

static attune_status draw(const triplets_arguments *a)
{
    attune_fma *fma = NULL;
    attune_fma_triplets triplets = {0};
    attune_status status = spare_tables(a);
    if (status == ATTUNE_OK) {
        status = spare_parts(a);
    }
    if (status == ATTUNE_OK) {
        status = attune_fma_open(&fma, a->metadata);
    }
    if (status == ATTUNE_OK && a->candidates > 0) {
        status = attune_fma_draw_candidates(&triplets, fma, a->draw.subset, (uint32_t)a->candidates,
                                            a->draw.seed);
        if (status == ATTUNE_OK) {
            status = attune_fma_write_candidates(a->output, triplets.triplets, triplets.count,
                                                 a->replace);
        }
        if (status == ATTUNE_OK && !a->quiet) {
            message("%u threes to judge -> %s", triplets.count, a->output);
        }
    } else if (status == ATTUNE_OK) {
        status = attune_fma_generate(&triplets, fma, &a->draw);
        if (status == ATTUNE_OK) {
            status = a->draw.disjoint == ATTUNE_FMA_WHOLE ? write_whole(a, fma, &triplets)
                                                          : write_parts(a, fma, &triplets);
        }
    }
    attune_fma_triplets_free(&triplets);
    attune_fma_close(fma);
    return status;
}

/* ---- the report ---- */

static void print_text(const attune_leaks *leaks)
{
    printf("%-12s %10s %10s %22s %24s\n", "part", "triplets", "tracks", "tracks seen in train",
           "triplets without these");
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        if (p == ATTUNE_PART_TRAIN) {
            printf("%-12s %10u %10u\n", part_names[p], leaks->triplets[p], leaks->tracks[p]);
        } else if (leaks->triplets[p] > 0) {
            printf("%-12s %10u %10u %14u (%3.0f %%) %16u (%3.0f %%)\n", part_names[p],
                   leaks->triplets[p], leaks->tracks[p], leaks->seen[p],
                   100.0 * leaks->seen[p] / leaks->tracks[p], leaks->without_seen[p],
                   100.0 * leaks->without_seen[p] / leaks->triplets[p]);
        }
    }
}

static json_t *leaks_json(const attune_leaks *leaks)
{
    json_t *object = json_object();
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        json_t *part = json_object();
        json_object_set_new(part, "triplets", json_integer(leaks->triplets[p]));
        json_object_set_new(part, "tracks", json_integer(leaks->tracks[p]));
        if (p != ATTUNE_PART_TRAIN) {
            json_object_set_new(part, "tracks_seen", json_integer(leaks->seen[p]));
            json_object_set_new(part, "triplets_without_seen",
                                json_integer(leaks->without_seen[p]));
        }
        json_object_set_new(object, part_names[p], part);
    }
    return object;
}

/* Where file `i` of `files` goes: training, and test last. */
static int part_of_file(int i, int files)
{
    return i == 0 ? ATTUNE_PART_TRAIN : i == files - 1 ? ATTUNE_PART_TEST : ATTUNE_PART_VALIDATION;
}

static attune_status report(const triplets_arguments *a, char **paths, int files)
{
    attune_tracks *tracks = NULL;
    attune_triplets read[ATTUNE_PART_COUNT] = {{0}};
    const attune_triplet *parts[ATTUNE_PART_COUNT] = {NULL};
    uint32_t counts[ATTUNE_PART_COUNT] = {0};
    attune_leaks leaks;
    attune_status status = attune_tracks_open_names(&tracks);
    for (int i = 0; status == ATTUNE_OK && i < files; i++) {
        const int part = part_of_file(i, files);
        status = attune_triplets_read(&read[part], tracks, paths[i]);
        parts[part] = read[part].triplets;
        counts[part] = read[part].count;
    }
    if (status == ATTUNE_OK && files == 1) {
        attune_triplets *t = &read[ATTUNE_PART_TRAIN];
        status = attune_triplets_split(
            t, t->kind == ATTUNE_TRIPLETS_HUMAN ? &ATTUNE_SPLIT_HUMAN : &ATTUNE_SPLIT_SYNTHETIC);
        for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
            parts[p] = t->triplets + t->start[p];
            counts[p] = t->start[p + 1] - t->start[p];
        }
    }
    if (status == ATTUNE_OK) {
        status = attune_leaks_find(&leaks, parts, counts, attune_tracks_count(tracks));
    }
    if (status == ATTUNE_OK && a->json) {
        status = print_json(leaks_json(&leaks));
    } else if (status == ATTUNE_OK) {
        print_text(&leaks);
    }
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        attune_triplets_free(&read[p]);
    }
    attune_tracks_close(tracks);
    return status;
}

int command_triplets(int argc, char **argv)
{
    triplets_arguments a = {0};
    attune_fma_generate_defaults(&a.draw);
    int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    if (code != EXIT_OK) {
        return code;
    }
    const attune_status status = a.report ? report(&a, argv + optind, argc - optind) : draw(&a);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}
