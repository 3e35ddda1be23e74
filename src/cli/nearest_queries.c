/* nearest_queries.c - the queries of `attune nearest`: rows by their paths, or audio files, which
 * are embedded with the model and the settings of the output. */
#include "cli/cli.h"
#include "cli/nearest.h"
#include "status/error.h"
#include "store/lookup.h"
#include "store/rows.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the file that a query names lies below the root, malloc'ed; NULL if it is no file. */
static char *name_below(const char *root, const char *query)
{
    char real[PATH_MAX];
    if (!realpath(query, real)) {
        return NULL;
    }
    const size_t length = strlen(root);
    const bool inside = length > 0 && strncmp(real, root, length) == 0;
    return strdup(inside && real[length] == '/'       ? real + length + 1
                  : inside && root[length - 1] == '/' ? real + length
                                                      : real);
}

/* The queries' rows: by the path as it stands, else by where the file lies. */
static attune_status find_rows(nearest_queries *q, attune_store *store, const nearest_arguments *a)
{
    const char *root = attune_store_attributes_of(store)->root;
    const size_t count = a->query_count;
    attune_lookup_names *tracks = calloc(count, sizeof(*tracks));
    char **below = calloc(count, sizeof(*below));
    attune_status status =
        tracks && below ? ATTUNE_OK : attune_fail_memory("queries", count * sizeof(*tracks));
    for (size_t i = 0; status == ATTUNE_OK && i < count; i++) {
        below[i] = name_below(root, a->queries[i]);
        tracks[i] = (attune_lookup_names){.names = {a->queries[i], below[i]}};
    }
    if (status == ATTUNE_OK) {
        status = attune_lookup(tracks, count, store);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < count; i++) {
        const uint64_t *rows = tracks[i].rows;
        q->rows[i] = rows[0] != ATTUNE_LOOKUP_NONE ? rows[0] : rows[1];
    }
    for (size_t i = 0; below && i < count; i++) {
        free(below[i]);
    }
    free(below);
    free(tracks);
    return status;
}

static attune_status read_vector(float *vector, attune_store *store, uint64_t index)
{
    const int embedding = attune_store_attributes_of(store)->embedding;
    attune_rows *rows = NULL;
    attune_status status = attune_rows_create(&rows, embedding);
    if (status == ATTUNE_OK) {
        status = attune_store_read(store, index, 1, rows);
    }
    if (status == ATTUNE_OK) {
        const attune_row row = attune_rows_get(rows, 0);
        if (attune_track_has_embedding(row.status)) {
            memcpy(vector, row.embedding, sizeof(float) * (size_t)embedding);
            status = attune_row_check(&row, embedding);
        } else {
            status = attune_fail(ATTUNE_EDATA, "%s: this track has no embedding: %s%s%s", row.path,
                                 attune_track_status_name(row.status), *row.error ? ": " : "",
                                 row.error);
        }
    }
    attune_rows_free(rows);
    return status;
}

static attune_status embed_file(float *vector, attune_engine *engine, const char *path,
                                const attune_store_attributes *attributes)
{
    attune_track track;
    attune_audio_options audio;
    attune_audio_options_default(&audio);
    audio.clip_start = attributes->clip_start;
    audio.clip_seconds = attributes->clip_seconds;
    const attune_status status = attune_engine_embed_file(engine, path, &audio, &track, vector);
    return status == ATTUNE_OK && !attune_track_has_embedding(track.status)
               ? attune_fail(ATTUNE_EDATA, "%s: %s: %s", path,
                             attune_track_status_name(track.status), track.error)
               : status;
}

/* Opens the model, which must be the output's own. */
static attune_status open_same_model(attune_model **model, const nearest_arguments *a,
                                     const attune_store_attributes *attributes)
{
    const char *name = NULL;
    attune_status status = open_model(model, &name, a->model);
    if (status != ATTUNE_OK) {
        return status;
    }
    const char *sha256 = attune_model_sha256(*model);
    const int embedding = attune_model_network(*model)->embedding;
    if (strcmp(sha256, attributes->model_sha256) != 0) {
        return attune_fail(
            ATTUNE_ECONFIG,
            "%s is not the model of %s: its sha256 is %.12s..., the output's %.12s...", name,
            a->output, sha256, attributes->model_sha256);
    }
    return embedding == attributes->embedding
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EDATA, "%s: its embeddings have %d components, its model %d",
                             a->output, attributes->embedding, embedding);
}

/* The vectors of those queries that are files and no rows. */
static attune_status embed_files(nearest_queries *q, const nearest_arguments *a,
                                 const attune_store_attributes *attributes)
{
    attune_model *model = NULL;
    attune_engine *engine = NULL;
    attune_status status = open_same_model(&model, a, attributes);
    if (status == ATTUNE_OK) {
        const attune_engine_options options = {.device = "auto",
                                               .precision = attributes->precision};
        status = attune_engine_open(&engine, model, &options);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < a->query_count; i++) {
        if (q->rows[i] == ATTUNE_LOOKUP_NONE) {
            status = embed_file(q->vectors + i * (size_t)attributes->embedding, engine,
                                a->queries[i], attributes);
        }
    }
    attune_engine_close(engine);
    attune_model_close(model);
    return status;
}

int nearest_queries_open(nearest_queries *q, attune_store *store, const nearest_arguments *a)
{
    const attune_store_attributes *attributes = attune_store_attributes_of(store);
    const size_t width = (size_t)attributes->embedding;
    bool files = false;
    q->vectors = calloc(a->query_count, width * sizeof(float));
    q->rows = calloc(a->query_count, sizeof(*q->rows));
    attune_status status =
        q->vectors && q->rows
            ? find_rows(q, store, a)
            : attune_fail_memory("queries", a->query_count * width * sizeof(float));
    for (size_t i = 0; status == ATTUNE_OK && i < a->query_count; i++) {
        if (q->rows[i] != ATTUNE_LOOKUP_NONE) {
            status = read_vector(q->vectors + i * width, store, q->rows[i]);
        } else if (access(a->queries[i], F_OK) == 0) {
            files = true;
        } else {
            message("%s: neither a row of %s nor a file", a->queries[i], a->output);
            return EXIT_NO_INPUT;
        }
    }
    if (status == ATTUNE_OK && files) {
        status = embed_files(q, a, attributes);
    }
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}

void nearest_queries_close(nearest_queries *q)
{
    free(q->vectors);
    free(q->rows);
}
