/* validate.c - embed what is held out, and measure. */
#include "train/validate.h"

#include "eval/spread.h"
#include "kernels/cpu/team.h"
#include "status/error.h"
#include "status/machine.h"
#include "train/sampler.h"

#include "attune/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part of a kept clip. */
typedef struct piece {
    uint32_t track;
    size_t start, count;
} piece;

typedef struct embedding_work {
    float *embeddings; /* (n, E) */
    int E;
    const piece *pieces;
    attune_clip_cache *cache;
    attune_engine **engines; /* by thread */
    float **samples;         /* by thread */
    attune_status *status;   /* by piece */
    const attune_train_events *events;
} embedding_work;

static void embed_piece(void *data, int i, int thread)
{
    embedding_work *w = data;
    const piece *p = &w->pieces[i];
    attune_engine *engine = w->engines[thread];
    if (w->events->should_stop && w->events->should_stop(w->events->user)) {
        w->status[i] = ATTUNE_ESTOPPED;
        return;
    }
    attune_status status =
        attune_clip_cache_read(w->cache, w->samples[thread], p->track, p->start, p->count);
    attune_engine_begin(engine);
    status = status ? status : attune_engine_push(engine, w->samples[thread], p->count);
    status = status ? status : attune_engine_finish(engine, w->embeddings + (size_t)i * w->E, NULL);
    w->status[i] = status;
}

static attune_status embed(float *embeddings, const attune_model *model, attune_clip_cache *cache,
                           const piece *pieces, int n, int threads,
                           const attune_train_events *events)
{
    attune_team *team = NULL;
    embedding_work w = {.embeddings = embeddings,
                        .E = attune_model_network(model)->embedding,
                        .pieces = pieces,
                        .cache = cache,
                        .events = events};
    size_t most = 0;
    attune_status status = attune_team_open(&team, threads);
    w.engines = calloc((size_t)threads, sizeof(attune_engine *));
    w.samples = calloc((size_t)threads, sizeof(float *));
    w.status = calloc((size_t)n + 1, sizeof(*w.status));
    if (!status && (!w.engines || !w.samples || !w.status)) {
        status = attune_fail_memory("a validation", (size_t)n);
    }
    for (int i = 0; i < n; i++) {
        most = pieces[i].count > most ? pieces[i].count : most;
    }
    for (int i = 0; !status && i < threads; i++) {
        const attune_engine_options options = {.device = "cpu", .precision = "exact"};
        w.samples[i] = malloc(most * sizeof(float));
        status = w.samples[i] ? attune_engine_open(&w.engines[i], model, &options)
                              : attune_fail_memory("a clip", most * sizeof(float));
    }
    if (!status) {
        attune_team_run(team, embed_piece, &w, n);
    }
    for (int i = 0; i < n && !status; i++) {
        if (w.status[i] == ATTUNE_ESTOPPED) {
            status = attune_fail(ATTUNE_ESTOPPED, "stopped while validating");
        } else if (w.status[i]) { /* its text is in another thread: say it again here */
            status = w.status[i];
            embed_piece(&w, i, 0);
            status = w.status[i] ? w.status[i]
                                 : attune_fail(status, "a clip held out could not be embedded");
        }
    }
    for (int i = 0; i < threads; i++) {
        if (w.engines) {
            attune_engine_close(w.engines[i]);
        }
        if (w.samples) {
            free(w.samples[i]);
        }
    }
    free(w.status);
    free(w.samples);
    free(w.engines);
    attune_team_close(team);
    return status;
}

static int thread_count(const attune_settings *settings)
{
    return settings->threads > 0 ? (int)settings->threads : attune_processors();
}

/* ---- triplets ---- */

static attune_status validate_triplets(attune_validation *out, const attune_model *model,
                                       const attune_stage_data *data, const attune_triplet_set *set,
                                       const attune_settings *settings,
                                       const attune_train_events *events)
{
    const uint32_t tracks = attune_tracks_count(data->tracks);
    const size_t E = (size_t)attune_model_network(model)->embedding, n = set->count,
                 clip = (size_t)(settings->seconds * attune_model_network(model)->sample_rate);
    int32_t *row = malloc(((size_t)tracks + 1) * sizeof(*row));
    piece *pieces = malloc(((size_t)tracks + 1) * sizeof(*pieces));
    float *embeddings = malloc(((size_t)tracks + 1) * E * sizeof(*embeddings));
    attune_triplet_rows *triplets = malloc((n + 1) * sizeof(*triplets));
    attune_status status = ATTUNE_OK;
    int count = 0;
    if (!row || !pieces || !embeddings || !triplets) {
        status = attune_fail_memory("a validation", tracks * E * sizeof(*embeddings));
        goto done;
    }
    memset(row, -1, tracks * sizeof(*row));
    for (size_t i = 0; i < n; i++) {
        const attune_triplet *t = &set->triplets[i];
        const uint32_t three[3] = {t->anchor, t->positive, t->negative};
        for (int k = 0; k < 3; k++) {
            if (row[three[k]] < 0) {
                row[three[k]] = count;
                pieces[count++] = (piece){.track = three[k], .count = clip};
            }
        }
        triplets[i] = (attune_triplet_rows){(uint32_t)row[t->anchor], (uint32_t)row[t->positive],
                                            (uint32_t)row[t->negative]};
    }
    status = embed(embeddings, model, data->cache, pieces, count, thread_count(settings), events);
    if (!status) {
        attune_triplet_measure(&out->triplets, NULL, NULL, embeddings, (uint32_t)E, triplets,
                               (uint32_t)n, settings->margin, (uint32_t)settings->batch);
        out->score = n > 0 ? out->triplets.correct / (double)n : NAN;
    }
done:
    free(triplets);
    free(embeddings);
    free(pieces);
    free(row);
    return status;
}

/* ---- labels ---- */

static attune_status measure_labels(attune_validation *out, const float *embeddings,
                                    const int32_t *labels, uint32_t n, uint32_t E, int threads)
{
    const attune_relation relation = {.labels = labels, .triplets = true};
    attune_team *team = NULL;
    attune_pairs pairs = {0};
    attune_status status = attune_team_open(&team, threads);
    status = status ? status : attune_pairs_open(&pairs, embeddings, n, E, team);
    status = status ? status : attune_retrieval_measure(&out->retrieval, NULL, &pairs, &relation);
    status = status ? status : attune_spread_cosine(&out->median_cosine, &pairs);
    out->score = out->retrieval.all.map;
    attune_pairs_close(&pairs);
    attune_team_close(team);
    return status;
}

static attune_status validate_labels(attune_validation *out, const attune_model *model,
                                     const attune_stage_data *data, const attune_settings *settings,
                                     const attune_train_events *events)
{
    const size_t E = (size_t)attune_model_network(model)->embedding, held = data->held_count;
    const bool halves = settings->choose_by == 0;
    const int parts = halves ? 2 : 1;
    piece *pieces = malloc((2 * held + 1) * sizeof(*pieces));
    int32_t *labels = malloc((2 * held + 1) * sizeof(*labels));
    float *embeddings = malloc((2 * held + 1) * E * sizeof(*embeddings));
    attune_status status = ATTUNE_OK;
    int32_t most = 0;
    uint32_t n = 0;
    if (!pieces || !labels || !embeddings) {
        status = attune_fail_memory("a validation", 2 * held * E * sizeof(*embeddings));
        goto done;
    }
    for (size_t i = 0; i < held; i++) {
        const uint32_t track = data->held[i];
        const size_t length = data->samples[track] / (size_t)parts;
        for (int k = 0; k < parts && length > 0; k++) {
            pieces[n] = (piece){.track = track, .start = (size_t)k * length, .count = length};
            labels[n] = halves ? (int32_t)i
                               : attune_sampler_label(data->tracks, settings->choose_by, track);
            most = labels[n] > most ? labels[n] : most;
            n++;
        }
    }
    if (!halves) { /* labels below n, as attune_retrieval_measure wants them: in order of sight */
        int32_t *seen = malloc(((size_t)most + 1) * sizeof(*seen)), next = 0;
        if (!seen) {
            status = attune_fail_memory("labels", (size_t)most * sizeof(*seen));
            goto done;
        }
        memset(seen, -1, ((size_t)most + 1) * sizeof(*seen));
        for (uint32_t i = 0; i < n; i++) {
            if (labels[i] >= 0) {
                seen[labels[i]] = seen[labels[i]] < 0 ? next++ : seen[labels[i]];
                labels[i] = seen[labels[i]];
            }
        }
        free(seen);
    }
    status = embed(embeddings, model, data->cache, pieces, (int)n, thread_count(settings), events);
    if (!status) {
        status = measure_labels(out, embeddings, labels, n, (uint32_t)E, thread_count(settings));
    }
    if (!status && out->retrieval.all.anchors == 0) {
        status = attune_fail(ATTUNE_EDATA, "choose-by: no two tracks held out share that label");
    }
done:
    free(embeddings);
    free(labels);
    free(pieces);
    return status;
}

attune_status attune_validate(attune_validation *out, const attune_model *model,
                              const attune_stage_data *data, attune_part part,
                              const attune_settings *settings, const attune_train_events *events)
{
    *out = (attune_validation){0};
    return data->held ? validate_labels(out, model, data, settings, events)
                      : validate_triplets(out, model, data, &data->parts[part], settings, events);
}
