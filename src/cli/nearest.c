/* nearest.c - `attune nearest`: the rows whose vectors lie closest to a query's.
 *
 * Exact search: the rows stream through in blocks and a heap keeps the best k. Vectors have length
 * 1, so the cosine is their dot product; it is summed in double, and rows that tie keep the file's
 * order. */
#include "cli/cli.h"
#include "status/error.h"
#include "status/json.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune nearest OUT.h5 QUERY [-k 10] [--model MODEL.onnx] [--json]\n"
    "\n"
    "Prints the tracks of OUT.h5 nearest to QUERY, nearest first: cosine and path. QUERY is\n"
    "a row's path, or an audio file, which is embedded with the model and the settings that\n"
    "OUT.h5 was made with.\n"
    "\n"
    "  -k, --count N             how many (default: 10)\n"
    "  -m, --model MODEL.onnx    the model of OUT.h5, for an audio file (default:\n"
    "                            $ATTUNE_MODEL, or the one built in)\n"
    "      --json                one JSON object instead of lines\n"
    "  -h, --help                this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 not an output or not audio, 66 not there, 78 another model.\n";

enum { OPTION_JSON = 256, BLOCK = 4096 };

static const struct option options[] = {
    {"count", required_argument, NULL, 'k'},
    {"model", required_argument, NULL, 'm'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct nearest_arguments {
    const char *output, *query, *model;
    long k;
    bool json, help;
} nearest_arguments;

typedef struct hit {
    double cosine;
    uint64_t row;
} hit;

typedef struct search {
    attune_store *store;
    const attune_store_attributes *attributes;
    float *query;  /* (E) */
    uint64_t self; /* the query's own row, UINT64_MAX if it has none */
    hit *hits;     /* a heap, worst first, then sorted best first */
    long count, k;
} search;

static int parse_arguments(nearest_arguments *a, int argc, char **argv)
{
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":k:m:h", options, NULL)) != -1) {
        switch (option) {
        case 'k':
            if (!parse_integer(optarg, 1, 1000000, &a->k)) {
                return usage_error("nearest", "-k %s: not a number from 1 to 1000000", optarg);
            }
            break;
        case 'm':
            a->model = optarg;
            break;
        case OPTION_JSON:
            a->json = true;
            break;
        case 'h':
            a->help = true;
            return EXIT_OK;
        default:
            return option_error("nearest", argc, argv, options, option);
        }
    }
    if (argc - optind != 2) {
        return usage_error("nearest", "OUT.h5 and one QUERY are needed");
    }
    a->output = argv[optind];
    a->query = argv[optind + 1];
    return EXIT_OK;
}

/* The row called `name`: its index in s->self and its vector in s->query. *found is false if there
 * is none. */
static attune_status find_row(search *s, const char *name, bool *found)
{
    attune_rows *rows = NULL;
    const uint64_t total = attune_store_count(s->store);
    attune_status status = attune_rows_create(&rows, s->attributes->embedding);
    *found = false;
    for (uint64_t first = 0; status == ATTUNE_OK && first < total && !*found; first += BLOCK) {
        const uint64_t count = total - first < BLOCK ? total - first : BLOCK;
        attune_rows_clear(rows);
        status = attune_store_read(s->store, first, count, rows);
        for (uint64_t i = 0; status == ATTUNE_OK && i < count && !*found; i++) {
            const attune_row row = attune_rows_get(rows, i);
            if (strcmp(row.path, name) != 0) {
                continue;
            }
            *found = true;
            s->self = first + i;
            if (!attune_track_has_embedding(row.status)) {
                status = attune_fail(ATTUNE_EDATA, "%s: this track has no embedding: %s%s%s", name,
                                     attune_track_status_name(row.status), *row.error ? ": " : "",
                                     row.error);
            } else {
                memcpy(s->query, row.embedding, sizeof(float) * (size_t)s->attributes->embedding);
            }
        }
    }
    attune_rows_free(rows);
    return status;
}

/* The query as a row: by the path as it stands, else by where the file it names lies below the
 * root. */
static attune_status find_query(search *s, const char *query, bool *found)
{
    char real[PATH_MAX];
    attune_status status = find_row(s, query, found);
    if (status != ATTUNE_OK || *found || !realpath(query, real)) {
        return status;
    }
    const char *root = s->attributes->root;
    const size_t length = strlen(root);
    const bool inside = length > 0 && strncmp(real, root, length) == 0;
    const char *name = inside && real[length] == '/'       ? real + length + 1
                       : inside && root[length - 1] == '/' ? real + length
                                                           : real;
    return find_row(s, name, found);
}

static attune_status embed_query(search *s, const attune_model *model, const char *path)
{
    attune_engine *engine = NULL;
    attune_track track;
    attune_audio_options audio;
    attune_audio_options_default(&audio);
    audio.clip_start = s->attributes->clip_start;
    audio.clip_seconds = s->attributes->clip_seconds;
    const attune_engine_options engine_options = {.device = "auto",
                                                  .precision = s->attributes->precision};
    attune_status status = attune_engine_open(&engine, model, &engine_options);
    if (status == ATTUNE_OK) {
        status = attune_engine_embed_file(engine, path, &audio, &track, s->query);
    }
    if (status == ATTUNE_OK && !attune_track_has_embedding(track.status)) {
        status = attune_fail(ATTUNE_EDATA, "%s: %s: %s", path,
                             attune_track_status_name(track.status), track.error);
    }
    attune_engine_close(engine);
    return status;
}

/* Opens the model, which must be the output's own, and embeds the file. */
static int query_from_file(search *s, const nearest_arguments *a)
{
    if (access(a->query, F_OK) != 0) {
        message("%s: neither a row of %s nor a file", a->query, a->output);
        return EXIT_NO_INPUT;
    }
    const char *name = NULL;
    attune_model *model = NULL;
    attune_status status = open_model(&model, &name, a->model);
    if (status == ATTUNE_OK &&
        strcmp(attune_model_sha256(model), s->attributes->model_sha256) != 0) {
        status =
            attune_fail(ATTUNE_ECONFIG,
                        "%s is not the model of %s: its sha256 is %.12s..., the output's %.12s...",
                        name, a->output, attune_model_sha256(model), s->attributes->model_sha256);
    }
    if (status == ATTUNE_OK && attune_model_network(model)->embedding != s->attributes->embedding) {
        status = attune_fail(ATTUNE_EDATA, "%s: its embeddings have %d components, its model %d",
                             a->output, s->attributes->embedding,
                             attune_model_network(model)->embedding);
    }
    if (status == ATTUNE_OK) {
        status = embed_query(s, model, a->query);
    }
    attune_model_close(model);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}

/* True if a is a worse hit than b. */
static bool worse(hit a, hit b)
{
    return a.cosine != b.cosine ? a.cosine < b.cosine : a.row > b.row;
}

static void offer(search *s, hit new)
{
    long at = 0;
    if (s->count < s->k) { /* sift up from the end */
        at = s->count++;
        while (at > 0 && worse(new, s->hits[(at - 1) / 2])) {
            s->hits[at] = s->hits[(at - 1) / 2];
            at = (at - 1) / 2;
        }
    } else { /* take the worst one's place and sift down */
        if (!worse(s->hits[0], new)) {
            return;
        }
        for (long child = 1; child < s->count; child = 2 * at + 1) {
            if (child + 1 < s->count && worse(s->hits[child + 1], s->hits[child])) {
                child++;
            }
            if (!worse(s->hits[child], new)) {
                break;
            }
            s->hits[at] = s->hits[child];
            at = child;
        }
    }
    s->hits[at] = new;
}

static int compare_hits(const void *a, const void *b)
{
    return worse(*(const hit *)a, *(const hit *)b) ? 1 : -1;
}

static attune_status scan_rows(search *s)
{
    const uint64_t total = attune_store_count(s->store);
    const size_t E = (size_t)s->attributes->embedding;
    float *block = malloc(BLOCK * E * sizeof(float));
    attune_status status =
        block ? ATTUNE_OK : attune_fail_memory("embeddings", BLOCK * E * sizeof(float));
    for (uint64_t first = 0; status == ATTUNE_OK && first < total; first += BLOCK) {
        const uint64_t count = total - first < BLOCK ? total - first : BLOCK;
        status = attune_store_read_embeddings(s->store, first, count, block);
        for (uint64_t i = 0; status == ATTUNE_OK && i < count; i++) {
            double dot = 0;
            for (size_t e = 0; e < E; e++) {
                dot += (double)s->query[e] * (double)block[i * E + e];
            }
            if (!isnan(dot) && first + i != s->self) { /* failed rows are NaN */
                offer(s, (hit){.cosine = dot, .row = first + i});
            }
        }
    }
    free(block);
    qsort(s->hits, (size_t)s->count, sizeof(hit), compare_hits);
    return status;
}

static attune_status print_hits(search *s, const nearest_arguments *a)
{
    attune_rows *rows = NULL;
    attune_status status = attune_rows_create(&rows, s->attributes->embedding);
    json_t *list = json_array();
    for (long i = 0; status == ATTUNE_OK && i < s->count; i++) {
        attune_rows_clear(rows);
        status = attune_store_read(s->store, s->hits[i].row, 1, rows);
        if (status != ATTUNE_OK) {
            break;
        }
        const char *path = attune_rows_get(rows, 0).path;
        if (a->json) {
            json_t *item = json_object();
            json_object_set_new(item, "path", attune_json_text(path));
            json_object_set_new(item, "cosine", json_real(s->hits[i].cosine));
            json_object_set_new(item, "row", json_integer((json_int_t)s->hits[i].row));
            json_array_append_new(list, item);
        } else {
            char line[PATH_MAX];
            attune_one_line(line, sizeof(line), path);
            printf("%.6f\t%s\n", s->hits[i].cosine, line);
        }
    }
    if (status == ATTUNE_OK && a->json) {
        json_t *object = json_object();
        json_object_set_new(object, "query", attune_json_text(a->query));
        json_object_set(object, "nearest", list);
        char *text = json_dumps(object, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
        json_decref(object);
    }
    json_decref(list);
    attune_rows_free(rows);
    return status;
}

static int run(const nearest_arguments *a)
{
    search s = {.self = UINT64_MAX, .k = a->k};
    bool found = false;
    int code = EXIT_OK;
    attune_status status = attune_store_open(&s.store, a->output);
    if (status != ATTUNE_OK) {
        return fail(status);
    }
    s.attributes = attune_store_attributes_of(s.store);
    const uint64_t rows = attune_store_count(s.store);
    s.k = (uint64_t)s.k > rows ? (long)rows : s.k;
    s.query = malloc(sizeof(float) * (size_t)s.attributes->embedding);
    s.hits = malloc(sizeof(hit) * (size_t)(s.k + 1));
    status = s.query && s.hits ? find_query(&s, a->query, &found)
                               : attune_fail_memory("a search", (size_t)s.k * sizeof(hit));
    if (status == ATTUNE_OK && !found) {
        code = query_from_file(&s, a);
        if (code != EXIT_OK) {
            goto done;
        }
    }
    if (status == ATTUNE_OK) {
        status = scan_rows(&s);
    }
    if (status == ATTUNE_OK) {
        status = print_hits(&s, a);
    }
    code = status == ATTUNE_OK ? EXIT_OK : fail(status);
done:
    free(s.query);
    free(s.hits);
    attune_store_close(s.store);
    return code;
}

int command_nearest(int argc, char **argv)
{
    nearest_arguments a = {.k = 10};
    int code = parse_arguments(&a, argc, argv);
    if (code == EXIT_OK && a.help) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    return code == EXIT_OK ? run(&a) : code;
}
