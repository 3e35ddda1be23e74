/* embed_file.c - one audio file to one row: decode straight into a device's buffer, embed, judge.
 */
#include "engine/embed_file.h"

#include "audio/decode.h"
#include "engine/engine_buffer.h"
#include "status/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the decoder knows of the file so far, as a row. */
static void judge(attune_track *track, const attune_audio_result *result,
                  const attune_network *network)
{
    *track = (attune_track){
        .status = result->status, .size = result->size, .mtime_ns = result->mtime_ns};
    snprintf(track->error, sizeof(track->error), "%s", result->error);
    if (attune_track_has_embedding(track->status) && result->peak > ATTUNE_PEAK_MAX) {
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

/* Divides a worker's time between what it does by turns. */
typedef struct stopwatch {
    attune_embed_meter *meter; /* never NULL */
    uint64_t since;            /* ns */
} stopwatch;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The time since the last lap was one of decoding, or else the device's. */
static void lap(stopwatch *watch, bool decoding)
{
    const uint64_t now = now_ns();
    atomic_ullong *sum = decoding ? &watch->meter->decoding_ns : &watch->meter->device_ns;
    atomic_fetch_add_explicit(sum, now - watch->since, memory_order_relaxed);
    watch->since = now;
}

/* Where samples come from: decoding here, or in a process. */
typedef struct source {
    attune_decoder *decoder; /* NULL: here */
    attune_audio *audio;
    bool more; /* there is something to read */
} source;

static attune_status source_open(source *from, const attune_audio_place *place,
                                 const attune_audio_options *options, attune_audio_result *result)
{
    if (from->decoder) {
        return attune_decoder_begin(from->decoder, &from->more, place, options, result);
    }
    const attune_status status = attune_audio_open_at(&from->audio, place, options, result);
    from->more = from->audio != NULL;
    return status;
}

static attune_status source_read(const source *from, float *samples, size_t capacity, size_t *count)
{
    return from->decoder ? attune_decoder_read(from->decoder, samples, capacity, count)
                         : attune_audio_read(from->audio, samples, capacity, count);
}

/* The track of a file on either device. */
typedef struct sink {
    attune_engine *engine;
    attune_batch_track *track;
    attune_descriptors *descriptors; /* NULL: not wanted */
} sink;

static attune_status begin(sink *s, const attune_embed_device *device,
                           attune_descriptors *descriptors)
{
    *s = (sink){.engine = device->engine, .descriptors = descriptors};
    const attune_status status = descriptors ? attune_descriptors_begin(descriptors) : ATTUNE_OK;
    if (status != ATTUNE_OK) {
        return status;
    }
    if (s->engine) {
        attune_engine_begin(s->engine);
        return ATTUNE_OK;
    }
    return attune_batch_track_begin(&s->track, device->batch);
}

static attune_status decode(const sink *s, const source *from, stopwatch *watch)
{
    for (;;) {
        size_t space = 0, count = 0;
        float *to = s->engine ? attune_engine_space(s->engine, &space)
                              : attune_batch_track_space(s->track, &space);
        lap(watch, false);
        attune_status status = source_read(from, to, space, &count);
        if (status == ATTUNE_OK && s->descriptors) {
            status = attune_descriptors_push(s->descriptors, to, count);
        }
        lap(watch, true);
        if (status != ATTUNE_OK || count == 0) {
            return status;
        }
        atomic_fetch_add_explicit(&watch->meter->samples, count, memory_order_relaxed);
        status = s->engine ? attune_engine_advance(s->engine, count)
                           : attune_batch_track_advance(s->track, count);
        lap(watch, false);
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

/* A file whose frames are on the device. */
typedef struct waiting {
    attune_track track;
    double peak;
    int E;
    attune_embed_done done;
    void *user;
    bool described;
    float descriptors[ATTUNE_DESCRIPTORS];
} waiting;

static void on_done(void *user, attune_status status, const float *embedding, uint64_t frames)
{
    waiting *w = user;
    bool finite =
        status == ATTUNE_OK && judge_embedding(&w->track, embedding, w->E, frames, w->peak);
    w->done(w->user, status, &w->track, finite ? embedding : NULL,
            finite && w->described ? w->descriptors : NULL);
    free(w);
}

attune_status attune_embed_file(const attune_embed_device *device, const attune_network *network,
                                const attune_audio_place *place,
                                const attune_audio_options *options, attune_decoder *decoder,
                                attune_descriptors *descriptors, attune_embed_meter *meter,
                                attune_embed_done done, void *user)
{
    const attune_audio_options settings =
        settings_for(options, network,
                     device->engine ? attune_engine_precision(device->engine)
                                    : attune_batch_engine_precision(device->batch));
    source from = {.decoder = decoder};
    attune_audio_result result = {0};
    sink s = {0};
    attune_embed_meter unread = {0};
    stopwatch watch = {.meter = meter ? meter : &unread, .since = now_ns()};
    waiting *w = calloc(1, sizeof(*w));
    if (!w) {
        return attune_fail_memory("a track", sizeof(*w));
    }
    attune_status status = source_open(&from, place, &settings, &result);
    lap(&watch, true);
    if (status == ATTUNE_OK && from.more) {
        status = begin(&s, device, descriptors);
    }
    if (status == ATTUNE_OK && from.more) {
        status = decode(&s, &from, &watch);
    }
    attune_audio_close(from.audio);
    judge(&w->track, &result, network);
    if (status != ATTUNE_OK || !attune_track_has_embedding(w->track.status)) {
        attune_batch_track_abandon(s.track); /* an engine forgets it when the next begins */
        if (status == ATTUNE_OK) {
            done(user, ATTUNE_OK, &w->track, NULL, NULL);
        }
        free(w);
        return status;
    }
    w->peak = (double)result.peak;
    w->E = network->embedding;
    w->described = descriptors && attune_descriptors_finish(descriptors, w->descriptors);
    w->done = done;
    w->user = user;
    end(&s, on_done, w);
    lap(&watch, false);
    return ATTUNE_OK;
}

/* What attune_engine_embed_place waits for. */
typedef struct row {
    attune_status status;
    attune_track *track;
    float *embedding; /* (E) */
    int E;
} row;

static void take_row(void *user, attune_status status, const attune_track *track,
                     const float *embedding, const float *descriptors)
{
    row *r = user;
    (void)descriptors;
    r->status = status;
    *r->track = *track;
    for (int i = 0; i < r->E; i++) {
        r->embedding[i] = embedding ? embedding[i] : NAN;
    }
}

attune_status attune_engine_embed_place(attune_engine *engine, const attune_audio_place *place,
                                        const attune_audio_options *audio, attune_track *track,
                                        float *embedding)
{
    const attune_embed_device device = {.engine = engine};
    const attune_network *network = attune_engine_network(engine);
    row r = {.track = track, .embedding = embedding, .E = network->embedding};
    attune_status status =
        attune_embed_file(&device, network, place, audio, NULL, NULL, NULL, take_row, &r);
    attune_engine_flush(engine);
    return status == ATTUNE_OK ? r.status : status;
}

attune_status attune_engine_embed_file(attune_engine *engine, const char *path,
                                       const attune_audio_options *audio, attune_track *track,
                                       float *embedding)
{
    const attune_audio_place place = attune_audio_place_of(path);
    return attune_engine_embed_place(engine, &place, audio, track, embedding);
}
