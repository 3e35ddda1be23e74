/* verify.c - samples the rows in the parts, which hold all that a job has made, and no more of them
 * in memory than one part. */
#include "engine/verify.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct verification {
    attune_output *output;
    attune_engine *engine;
    double bound;
    uint64_t left, wanted; /* rows with an embedding still to come, and how many of them to take */
    uint64_t random;
    float *embedding; /* (E) */
    attune_job_progress *progress;
} verification;

/* Embeds the file of a row again. */
static attune_status verify_row(verification *v, const attune_row *row)
{
    const attune_job_options *options = v->output->options;
    const int E = attune_model_network(options->model)->embedding;
    attune_track track;
    char *path = NULL;
    attune_status status = attune_output_path(&path, v->output, row->path);
    if (status == ATTUNE_OK) {
        status = attune_engine_embed_file(v->engine, path, &options->audio, &track, v->embedding);
    }
    free(path);
    if (status != ATTUNE_OK || track.size != row->size || track.mtime_ns != row->mtime_ns) {
        return status;
    }
    double *largest = &v->progress->verify_largest;
    for (int i = 0; i < E; i++) {
        const double difference = fabs((double)v->embedding[i] - (double)row->embedding[i]);
        *largest = difference <= *largest ? *largest : difference; /* NaN counts as larger */
    }
    v->progress->verified++;
    if (!(*largest <= v->bound)) {
        status = attune_parts_mark(v->output->parts, ATTUNE_MARK_DOUBTED);
        if (status == ATTUNE_OK) {
            status = attune_fail(
                ATTUNE_EINTERNAL,
                "%s: the CPU's embedding differs by %g, more than %g; no output written", row->path,
                *largest, v->bound);
        }
    }
    return status;
}

/* Takes some of the rows of a part. */
static attune_status verify_part(verification *v, const attune_rows *rows)
{
    attune_status status = ATTUNE_OK;
    for (size_t i = 0; status == ATTUNE_OK && i < attune_rows_count(rows) && v->wanted > 0; i++) {
        const attune_row row = attune_rows_get(rows, i);
        if (!attune_track_has_embedding(row.status)) {
            continue;
        }
        const attune_job_options *options = v->output->options;
        if (options->on_progress && options->on_progress(options->user, v->progress)) {
            return attune_fail(ATTUNE_ESTOPPED,
                               "stopped with %llu tracks verified; all are embedded and safe in "
                               "%s, run again to verify and finish",
                               (unsigned long long)v->progress->verified, v->output->parts->folder);
        }
        v->random = v->random * 6364136223846793005u + 1442695040888963407u;
        if ((v->random >> 33) % v->left-- < v->wanted) {
            status = verify_row(v, &row);
            v->wanted--;
        }
    }
    return status;
}

/* Counts the rows with an embedding in a part, or verifies some of them, by way of `rows`. */
static attune_status take_part(verification *v, const char *path, attune_rows *rows, bool count)
{
    attune_store *store = NULL;
    attune_status status = attune_store_open(&store, path);
    if (status == ATTUNE_OK) {
        attune_rows_clear(rows);
        status = attune_store_read(store, 0, attune_store_count(store), rows);
    }
    for (size_t i = 0; status == ATTUNE_OK && count && i < attune_rows_count(rows); i++) {
        v->left += attune_track_has_embedding(attune_rows_get(rows, i).status);
    }
    if (status == ATTUNE_OK && !count) {
        status = verify_part(v, rows);
    }
    attune_store_close(store);
    return status;
}

attune_status attune_verify(attune_output *output, attune_precision precision,
                            attune_job_progress *progress)
{
    const attune_engine_options cpu = {.device = "cpu", .precision = "exact"};
    const attune_job_options *options = output->options;
    const size_t E = (size_t)attune_model_network(options->model)->embedding;
    const attune_parts *parts = output->parts;
    verification v = {
        .output = output,
        .bound = precision == ATTUNE_PRECISION_EXACT ? 1e-5 : 5e-4,
        .random = (uint64_t)time(NULL),
        .progress = progress,
    };
    attune_rows *rows = NULL;
    if (options->verify == 0) {
        return ATTUNE_OK;
    }
    v.embedding = malloc(sizeof(float) * E);
    attune_status status =
        v.embedding ? ATTUNE_OK : attune_fail_memory("an embedding", sizeof(float) * E);
    if (status == ATTUNE_OK) {
        status = attune_rows_create(&rows, (int)E);
    }
    if (status == ATTUNE_OK) {
        status = attune_engine_open(&v.engine, options->model, &cpu);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < parts->count; i++) {
        status = take_part(&v, parts->paths[i], rows, true);
    }
    v.wanted = options->verify < v.left ? options->verify : v.left;
    for (size_t i = 0; status == ATTUNE_OK && i < parts->count && v.wanted > 0; i++) {
        status = take_part(&v, parts->paths[i], rows, false);
    }
    attune_engine_close(v.engine);
    attune_rows_free(rows);
    free(v.embedding);
    return status;
}
