/* embed_file.c - one audio file to one row: decode straight into a device's buffer, embed, judge.
 */
#include "engine/embed_file.h"

#include "engine/engine_buffer.h"
#include "status/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The track of a file on either device. */
typedef struct sink {
    attune_engine *engine;
    attune_batch_track *track;
} sink;

static attune_status begin(sink *s, const attune_embed_device *device)
{
    *s = (sink){.engine = device->engine};
    if (s->engine) {
        attune_engine_begin(s->engine);
        return ATTUNE_OK;
    }
    return attune_batch_track_begin(&s->track, device->batch);
}

static attune_status decode(const sink *s, attune_audio *audio, atomic_ullong *decoded)
{
    for (;;) {
        size_t space = 0, count = 0;
        float *to = s->engine ? attune_engine_space(s->engine, &space)
                              : attune_batch_track_space(s->track, &space);
        attune_status status = attune_audio_read(audio, to, space, &count);
        if (status != ATTUNE_OK || count == 0) {
            return status;
        }
        if (decoded) {
            atomic_fetch_add_explicit(decoded, count, memory_order_relaxed);
        }
        status = s->engine ? attune_engine_advance(s->engine, count)
                           : attune_batch_track_advance(s->track, count);
        if (status != ATTUNE_OK) {
            return status;
        }
    }
}

static void end(const sink *s, attune_track_done done, void *user)
{
    if (s->engine) {
        attune_engine_end(s->engine, done, user);
    } else {
        attune_batch_track_end(s->track, done, user);
    }
}

static attune_audio_options settings_for(const attune_audio_options *options,
                                         const attune_network *network)
{
    attune_audio_options settings;
    attune_audio_options_default(&settings);
    if (options) {
        settings = *options;
    }
    settings.sample_rate = network->sample_rate;
    return settings;
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

attune_status attune_embed_file(const attune_embed_device *device, const attune_network *network,
                                const char *path, const attune_audio_options *options,
                                atomic_ullong *decoded, attune_embed_done done, void *user)
{
    const attune_audio_options settings = settings_for(options, network);
    attune_audio *audio = NULL;
    attune_audio_result result = {0};
    sink s = {0};
    waiting *w = calloc(1, sizeof(*w));
    if (!w) {
        return attune_fail_memory("a track", sizeof(*w));
    }
    attune_status status = attune_audio_open(&audio, path, &settings, &result);
    if (status == ATTUNE_OK && audio) {
        status = begin(&s, device);
    }
    if (status == ATTUNE_OK && audio) {
        status = decode(&s, audio, decoded);
    }
    attune_audio_close(audio);
    judge(&w->track, &result, network);
    if (status != ATTUNE_OK || !attune_track_has_embedding(w->track.status)) {
        attune_batch_track_abandon(s.track); /* an engine forgets it when the next begins */
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
    end(&s, on_done, w);
    return ATTUNE_OK;
}

/* What attune_engine_embed_file waits for. */
typedef struct row {
    attune_status status;
    attune_track *track;
    float *embedding; /* (E) */
    int E;
} row;

static void take_row(void *user, attune_status status, const attune_track *track,
                     const float *embedding)
{
    row *r = user;
    r->status = status;
    *r->track = *track;
    for (int i = 0; i < r->E; i++) {
        r->embedding[i] = embedding ? embedding[i] : NAN;
    }
}

attune_status attune_engine_embed_file(attune_engine *engine, const char *path,
                                       const attune_audio_options *audio, attune_track *track,
                                       float *embedding)
{
    const attune_embed_device device = {.engine = engine};
    const attune_network *network = attune_engine_network(engine);
    row r = {.track = track, .embedding = embedding, .E = network->embedding};
    attune_status status = attune_embed_file(&device, network, path, audio, NULL, take_row, &r);
    attune_engine_flush(engine);
    return status == ATTUNE_OK ? r.status : status;
}
