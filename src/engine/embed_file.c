/* embed_file.c - one audio file to one row: decode straight into the engine's buffer, embed, judge. */
#include "engine/engine_buffer.h"
#include "status/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Fills in what the decoder knows and what the frames say. */
static void judge(attune_track *track, const attune_audio_result *result,
                  const attune_network *network)
{
    track->status = result->status;
    track->duration = (double)result->samples / network->sample_rate;
    track->size = result->size;
    track->mtime_ns = result->mtime_ns;
    snprintf(track->error, sizeof(track->error), "%s", result->error);
    const bool whole = track->status == ATTUNE_TRACK_OK || track->status == ATTUNE_TRACK_SILENT;
    if (whole && result->samples < (uint64_t)network->frame_size) {
        track->status = ATTUNE_TRACK_TOO_SHORT;
    }
}

static attune_status decode(attune_engine *engine, attune_audio *audio, atomic_ullong *decoded)
{
    for (;;) {
        size_t space = 0, count = 0;
        float *to = attune_engine_space(engine, &space);
        attune_status status = attune_audio_read(audio, to, space, &count);
        if (status != ATTUNE_OK || count == 0) {
            return status;
        }
        if (decoded) {
            atomic_fetch_add_explicit(decoded, count, memory_order_relaxed);
        }
        status = attune_engine_advance(engine, count);
        if (status != ATTUNE_OK) {
            return status;
        }
    }
}

attune_status attune_embed_file(attune_engine *engine, const char *path,
                                const attune_audio_options *options, attune_track *track,
                                float *embedding, atomic_ullong *decoded)
{
    const attune_network *network = attune_engine_network(engine);
    attune_audio *audio = NULL;
    attune_audio_result result = {0};
    attune_audio_options settings;
    attune_audio_options_default(&settings);
    if (options) {
        settings = *options;
    }
    settings.sample_rate = network->sample_rate;
    *track = (attune_track){0};
    for (int i = 0; i < network->embedding; i++) {
        embedding[i] = NAN;
    }
    attune_engine_begin(engine);
    attune_status status = attune_audio_open(&audio, path, &settings, &result);
    if (status == ATTUNE_OK && audio) {
        status = decode(engine, audio, decoded);
    }
    attune_audio_close(audio);
    if (status != ATTUNE_OK) {
        return status;
    }
    judge(track, &result, network);
    if (!attune_track_has_embedding(track->status)) {
        track->duration = 0;
        return ATTUNE_OK;
    }
    uint64_t frames = 0;
    status = attune_engine_finish(engine, embedding, &frames);
    track->frames = (uint32_t)frames;
    for (int i = 0; i < network->embedding; i++) {
        if (status == ATTUNE_OK && !isfinite(embedding[i])) { /* samples of 1e30, say */
            track->status = ATTUNE_TRACK_NONFINITE;
            track->frames = 0;
            track->duration = 0;
            snprintf(track->error, sizeof(track->error),
                     "the embedding is not finite: samples reach %g", (double)result.peak);
        }
    }
    if (track->status == ATTUNE_TRACK_NONFINITE) {
        for (int i = 0; i < network->embedding; i++) {
            embedding[i] = NAN;
        }
    }
    return status;
}

attune_status attune_engine_embed_file(attune_engine *engine, const char *path,
                                       const attune_audio_options *audio, attune_track *track,
                                       float *embedding)
{
    return attune_embed_file(engine, path, audio, track, embedding, NULL);
}
