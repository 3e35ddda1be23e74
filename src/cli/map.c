/* map.c - `attune map`: an archive to look at. */
#include "map/map.h"

#include "cli/cli.h"
#include "status/machine.h"

#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune map OUT.h5 -o MAP.html [--colour-by WHAT] [--clusters K|auto]\n"
    "       attune map OUT.h5 --clusters K|auto --write-clusters\n"
    "\n"
    "Draws every track of OUT.h5 as a point, near those that sound like it. MAP.html is one\n"
    "page for any browser, without a network: it zooms, searches, lists a track's nearest and\n"
    "plays them where it can reach their files. MAP.png and MAP.svg are pictures (gnuplot).\n"
    "\n"
    "  -o, --output FILE         a name in .html, .png or .svg\n"
    "  -c, --colour-by WHAT      genre, artist, album, folder, status or cluster; the page has a\n"
    "                            choice (default: cluster, genre, folder, whatever there is)\n"
    "      --clusters K|auto     groups of tracks, K of them or as many as the gap statistic\n"
    "                            finds\n"
    "      --method NAME         kmeans (default), or gmm: a mixture of normal distributions\n"
    "      --covariance KIND     of gmm: full (default) or diagonal\n"
    "      --write-clusters      writes them to the dataset /cluster of OUT.h5, -1 for rows\n"
    "                            without a vector; embed and merge leave it out of what they\n"
    "                            write anew\n"
    "      --layout NAME         tsne (default), or pca: the two principal axes\n"
    "      --perplexity P        neighbours that count in t-SNE (default: 30)\n"
    "      --iterations N        steps of t-SNE (default: 750)\n"
    "      --seed N              the same seed draws the same map (default: 1)\n"
    "  -j, --jobs N              threads (default: one for each processor)\n"
    "  -f, --force               replaces a file that is there\n"
    "  -q, --quiet               no message at the end\n"
    "  -h, --help                this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 bad data, 66 not there, 73 cannot create, 74 cannot write,\n"
    "75 another job writes OUT.h5, 78 no such labels, or no gnuplot for a picture.\n";

enum {
    OPTION_CLUSTERS = 256,
    OPTION_METHOD,
    OPTION_COVARIANCE,
    OPTION_WRITE,
    OPTION_LAYOUT,
    OPTION_PERPLEXITY,
    OPTION_ITERATIONS,
    OPTION_SEED,
};

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"colour-by", required_argument, NULL, 'c'},
    {"clusters", required_argument, NULL, OPTION_CLUSTERS},
    {"method", required_argument, NULL, OPTION_METHOD},
    {"covariance", required_argument, NULL, OPTION_COVARIANCE},
    {"write-clusters", no_argument, NULL, OPTION_WRITE},
    {"layout", required_argument, NULL, OPTION_LAYOUT},
    {"perplexity", required_argument, NULL, OPTION_PERPLEXITY},
    {"iterations", required_argument, NULL, OPTION_ITERATIONS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"jobs", required_argument, NULL, 'j'},
    {"force", no_argument, NULL, 'f'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct map_arguments {
    attune_map_options options;
    bool pca, method, covariance; /* given */
    bool quiet, help;
} map_arguments;

static int parse_by(map_arguments *a, const char *text)
{
    const char *names[ATTUNE_MAP_BY_COUNT + 1] = {NULL};
    for (int by = 0; by < ATTUNE_MAP_BY_COUNT; by++) {
        names[by] = attune_map_by_name((attune_map_by)by);
    }
    return option_word(&a->options.by, "map", "--colour-by", text, names);
}

/* One of two names; *second says which. */
static int parse_name(bool *second, const char *option, const char *text, const char *first_name,
                      const char *second_name)
{
    const char *const names[] = {first_name, second_name, NULL};
    int word = 0;
    const int code = option_word(&word, "map", option, text, names);
    *second = word == 1;
    return code;
}

static int take_value(map_arguments *a, int option, const char *text)
{
    attune_map_options *o = &a->options;
    long number = 0;
    int code = EXIT_OK;
    switch (option) {
    case OPTION_CLUSTERS:
        o->cluster = true;
        code = strcmp(text, "auto") == 0
                   ? EXIT_OK
                   : option_integer(&number, "map", "--clusters (or auto)", text, 1, 10000);
        o->clusters.K = (uint32_t)number;
        return code;
    case OPTION_METHOD:
        a->method = true;
        return parse_name(&o->clusters.mixture, "--method", text, "kmeans", "gmm");
    case OPTION_COVARIANCE:
        a->covariance = true;
        return parse_name(&o->clusters.diagonal, "--covariance", text, "full", "diagonal");
    case OPTION_LAYOUT:
        return parse_name(&a->pca, "--layout", text, "tsne", "pca");
    case OPTION_PERPLEXITY:
        return parse_real(text, 1, 1000, &o->layout.perplexity)
                   ? EXIT_OK
                   : usage_error("map", "--perplexity %s: not a number from 1 to 1000", text);
    case OPTION_ITERATIONS:
        code = option_integer(&number, "map", "--iterations", text, 1, 1000000);
        o->layout.iterations = (uint32_t)number;
        return code;
    case OPTION_SEED:
        code = option_integer(&number, "map", "--seed", text, 0, 2147483647);
        o->layout.seed = o->clusters.seed = (uint64_t)number;
        return code;
    case 'j':
        code = option_integer(&number, "map", "-j", text, 1, 1024);
        o->threads = (int)number;
        return code;
    default:
        return EXIT_OK;
    }
}

/* What no single option can say. */
static int check(map_arguments *a, int argc, char **argv)
{
    attune_map_options *o = &a->options;
    if (argc - optind != 1) {
        return usage_error("map", "one OUT.h5 is needed");
    }
    o->input = argv[optind];
    if (!o->output && !o->write_clusters) {
        return usage_error("map", "-o MAP.html is needed");
    }
    if (o->output && !attune_map_can_write(o->output)) {
        return usage_error("map", "-o %s: give a name in .html, .png or .svg", o->output);
    }
    if (!o->cluster && (o->write_clusters || a->method || a->covariance)) {
        return usage_error("map", "%s needs --clusters",
                           o->write_clusters ? "--write-clusters"
                           : a->method       ? "--method"
                                             : "--covariance");
    }
    if (a->covariance && !o->clusters.mixture) {
        return usage_error("map", "--covariance is of --method gmm");
    }
    o->layout.iterations = a->pca ? 0 : o->layout.iterations;
    return EXIT_OK;
}

static int parse_arguments(map_arguments *a, int argc, char **argv)
{
    int option = 0, code = EXIT_OK;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:c:j:fqh", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            a->options.output = optarg;
            break;
        case 'c':
            code = parse_by(a, optarg);
            break;
        case OPTION_WRITE:
            a->options.write_clusters = true;
            break;
        case 'f':
            a->options.replace = true;
            break;
        case 'q':
            a->quiet = true;
            break;
        case 'h':
            a->help = true;
            return EXIT_OK;
        case '?':
        case ':':
            return option_error("map", argc, argv, options, option);
        default:
            code = take_value(a, option, optarg);
        }
        if (code != EXIT_OK) {
            return code;
        }
    }
    return check(a, argc, argv);
}

static void show_progress(void *user, uint32_t iteration)
{
    const map_arguments *a = user;
    if (iteration % 25 == 0 || iteration == a->options.layout.iterations) {
        fprintf(stderr, "\rlaying out: step %u of %u%s", iteration, a->options.layout.iterations,
                iteration == a->options.layout.iterations ? "\r\033[K" : "");
        fflush(stderr);
    }
}

static int run(map_arguments *a)
{
    attune_map_options *o = &a->options;
    attune_map_counts counts;
    const double start = attune_seconds();
    if (!a->quiet && isatty(STDERR_FILENO)) {
        o->layout.progress = show_progress;
        o->layout.user = a;
    }
    const attune_status status = attune_map_make(&counts, o);
    if (status != ATTUNE_OK) {
        return fail(status);
    }
    if (!a->quiet) {
        char left_out[60] = "", clusters[60] = "";
        if (counts.left_out) {
            snprintf(left_out, sizeof(left_out), ", %llu rows without a vector left out",
                     (unsigned long long)counts.left_out);
        }
        if (counts.clusters) {
            snprintf(clusters, sizeof(clusters), ", %u cluster%s", counts.clusters,
                     counts.clusters == 1 ? "" : "s");
        }
        message("%u track%s%s%s in %.1f s -> %s%s%s", counts.tracks, counts.tracks == 1 ? "" : "s",
                left_out, clusters, attune_seconds() - start, o->output ? o->output : "",
                o->output && o->write_clusters ? " and " : "", o->write_clusters ? "/cluster" : "");
    }
    return EXIT_OK;
}

int command_map(int argc, char **argv)
{
    map_arguments a = {.options = {.by = -1,
                                   .clusters = {.seed = 1},
                                   .layout = {.perplexity = 30, .iterations = 750, .seed = 1}}};
    const int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    return code == EXIT_OK ? run(&a) : code;
}
