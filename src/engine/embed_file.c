/* embed_file.c - one audio file to one row: decode straight into a device's buffer, embed, judge.
 */
#include "engine/embed_file.h"

#include "engine/engine_buffer.h"
#include "status/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where samples go: an engine or a track of a batch engine. */
typedef struct sink {
    attune_engine *engine;
    attune_batch_track *track;
} sink;

static float *sink_space(const sink *s, size_t *count)
{
    return s->engine ? attune_engine_space(s->engine, count)
                     : attune_batch_track_space(s->track, count);
}

static attune_status sink_advance(const sink *s, size_t count)
{
    return s->engine ? attune_engine_advance(s->engine, count)
                     : attune_batch_track_advance(s->track, count);
}

/* Samples beyond this are no audio, and the network's sums would overflow in f32. */
static const float PEAK_MAX = 1e15f;

/* What the decoder knows of the file so far, as a row. */
static void judge(attune_track *track, const attune_audio_result *result,
                  const attune_network *network)
{
    *track = (attune_track){
        .status = result->status, .size = result->size, .mtime_ns = result->mtime_ns};
    snprintf(track->error, sizeof(track->error), "%s", result->error);
    if (attune_track_has_embedding(track->status) && result->peak > PEAK_MAX) {
        track->status = ATTUNE_TRACK_NONFINITE;
        snprintf(track->error, sizeof(track->error), "samples reach %g: no audio",
                 (double)result->peak);
    }
    const bool whole = track->status == ATTUNE_TRACK_OK || track->status == ATTUNE_TRACK_SILENT;
    if (whole && result->samples < (uint64_t)network->frame_size) {
        track->status = ATTUNE_TRACK_TOO_SHORT;
    }
    if (attune_track_has_embedding(track->status)) {
        track->duration = (double)result->samples / network->sample_rate;
    }
}

/* Adds what the network made of it. A model's weights may be such that its embedding is not finite.
 */
static bool judge_embedding(attune_track *track, const float *embedding, int E, uint64_t frames,
                            double peak)
{
    track->frames = (uint32_t)frames;
    for (int i = 0; i < E; i++) {
        if (!isfinite(embedding[i])) {
            track->status = ATTUNE_TRACK_NONFINITE;
            track->frames = 0;
            track->duration = 0;
            snprintf(track->error, sizeof(track->error),
                     "the embedding is not finite; samples reach %g", peak);
            return false;
        }
    }
    return true;
}

static attune_status decode(const sink *s, attune_audio *audio, atomic_ullong *decoded)
{
    for (;;) {
        size_t space = 0, count = 0;
        float *to = sink_space(s, &space);
        attune_status status = attune_audio_read(audio, to, space, &count);
        if (status != ATTUNE_OK || count == 0) {
            return status;
        }
        if (decoded) {
            atomic_fetch_add_explicit(decoded, count, memory_order_relaxed);
        }
        status = sink_advance(s, count);
        if (status != ATTUNE_OK) {
            return status;
        }
    }
}

/* The network's rate and the precision's way there, whatever the caller asked for: a row must not
 * depend on more than its output's attributes. */
static attune_audio_options settings_for(const attune_audio_options *options,
                                         const attune_network *network, attune_precision precision)
{
    attune_audio_options settings;
    attune_audio_options_default(&settings);
    if (options) {
        settings = *options;
    }
    settings.sample_rate = network->sample_rate;
    settings.fast_resampling = precision == ATTUNE_PRECISION_FAST;
    return settings;
}

static void fill_nan(float *embedding, int E)
{
    for (int i = 0; i < E; i++) {
        embedding[i] = NAN;
    }
}

attune_status attune_embed_file(attune_engine *engine, const char *path,
                                const attune_audio_options *options, attune_track *track,
                                float *embedding, atomic_ullong *decoded)
{
    const attune_network *network = attune_engine_network(engine);
    const attune_audio_options settings =
        settings_for(options, network, attune_engine_precision(engine));
    const sink s = {.engine = engine};
    attune_audio *audio = NULL;
    attune_audio_result result = {0};
    fill_nan(embedding, network->embedding);
    attune_engine_begin(engine);
    attune_status status = attune_audio_open(&audio, path, &settings, &result);
    if (status == ATTUNE_OK && audio) {
        status = decode(&s, audio, decoded);
    }
    attune_audio_close(audio);
    judge(track, &result, network);
    if (status != ATTUNE_OK || !attune_track_has_embedding(track->status)) {
        return status;
    }
    uint64_t frames = 0;
    status = attune_engine_finish(engine, embedding, &frames);
    if (status == ATTUNE_OK &&
        !judge_embedding(track, embedding, network->embedding, frames, (double)result.peak)) {
        fill_nan(embedding, network->embedding);
    }
    return status;
}

attune_status attune_engine_embed_file(attune_engine *engine, const char *path,
                                       const attune_audio_options *audio, attune_track *track,
                                       float *embedding)
{
    return attune_embed_file(engine, path, audio, track, embedding, NULL);
}

/* A file whose frames are on the device. */
typedef struct waiting {
    attune_track track;
    double peak;
    int E;
    attune_embed_done done;
    void *user;
} waiting;

static void on_done(void *user, attune_status status, const float *embedding, uint64_t frames)
{
    waiting *w = user;
    bool finite =
        status == ATTUNE_OK && judge_embedding(&w->track, embedding, w->E, frames, w->peak);
    w->done(w->user, status, &w->track, finite ? embedding : NULL);
    free(w);
}

attune_status attune_embed_file_batched(attune_batch_engine *engine, const attune_network *network,
                                        const char *path, const attune_audio_options *options,
                                        atomic_ullong *decoded, attune_embed_done done, void *user)
{
    const attune_audio_options settings =
        settings_for(options, network, attune_batch_engine_precision(engine));
    attune_audio *audio = NULL;
    attune_audio_result result = {0};
    sink s = {0};
    waiting *w = calloc(1, sizeof(*w));
    if (!w) {
        return attune_fail_memory("a track", sizeof(*w));
    }
    attune_status status = attune_audio_open(&audio, path, &settings, &result);
    if (status == ATTUNE_OK && audio) {
        status = attune_batch_track_begin(&s.track, engine);
    }
    if (status == ATTUNE_OK && audio) {
        status = decode(&s, audio, decoded);
    }
    attune_audio_close(audio);
    judge(&w->track, &result, network);
    if (status != ATTUNE_OK || !attune_track_has_embedding(w->track.status)) {
        attune_batch_track_abandon(s.track);
        if (status == ATTUNE_OK) {
            done(user, ATTUNE_OK, &w->track, NULL);
        }
        free(w);
        return status;
    }
    w->peak = (double)result.peak;
    w->E = network->embedding;
    w->done = done;
    w->user = user;
    attune_batch_track_end(s.track, on_done, w);
    return ATTUNE_OK;
}
