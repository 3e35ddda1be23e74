/* engine.c - one track's samples through a device's kernels.
 *
 * Samples gather in a buffer of ATTUNE_FRAMES_PER_CALL frames, where the decoder may write them
 * directly. When it is full its frames go through the front end, their features into a queue
 * (track_queue.h), and what belongs to the next frame moves to the front. So memory does not depend
 * on the track's length. */
#include "engine/devices.h"
#include "engine/engine_buffer.h"
#include "engine/track_queue.h"
#include "kernels/kernels.h"
#include "status/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attune_engine {
    const attune_kernels *kernels;
    void *context;
    attune_network network;
    attune_precision precision;
    char device[64];
    attune_track_queue *queue;
    float *samples;  /* (capacity) */
    size_t capacity; /* samples of ATTUNE_FRAMES_PER_CALL frames */
    size_t held;     /* samples waiting in the buffer */
    uint64_t total;  /* samples of this track */
};

void attune_engine_options_default(attune_engine_options *options)
{
    *options = (attune_engine_options){.device = "auto", .precision = "exact"};
}

static attune_status choose_kernels(attune_engine *engine, const attune_engine_options *options)
{
    const char *device = options->device ? options->device : "auto";
    if (strcmp(device, "auto") != 0 && strcmp(device, "cpu") != 0) {
        return attune_fail(ATTUNE_ENODEVICE,
                           "device %s is not there or not known to this build; use auto or cpu",
                           device);
    }
    attune_status status = attune_precision_parse(
        &engine->precision, options->precision ? options->precision : "exact");
    return status == ATTUNE_OK ? attune_kernels_cpu(&engine->kernels) : status;
}

attune_status attune_engine_open(attune_engine **out, const attune_model *model,
                                 const attune_engine_options *options)
{
    attune_engine_options defaults;
    attune_engine_options_default(&defaults);
    *out = NULL;
    attune_engine *engine = calloc(1, sizeof(*engine));
    if (!engine) {
        return attune_fail_memory("an engine", sizeof(*engine));
    }
    engine->network = *attune_model_network(model);
    attune_status status = choose_kernels(engine, options ? options : &defaults);
    if (status != ATTUNE_OK) {
        goto done;
    }
    const attune_network *n = &engine->network;
    status = engine->kernels->open(&engine->context, model, engine->precision);
    if (status == ATTUNE_OK) {
        status = attune_track_queue_open(&engine->queue, engine->kernels, engine->context, n);
    }
    if (status != ATTUNE_OK) {
        goto done;
    }
    engine->capacity = (size_t)(ATTUNE_FRAMES_PER_CALL - 1) * n->hop_size + n->frame_size;
    engine->samples = malloc(engine->capacity * sizeof(float));
    if (!engine->samples) {
        status = attune_fail_memory("an engine's buffer", engine->capacity * sizeof(float));
        goto done;
    }
    snprintf(engine->device, sizeof(engine->device), "%s %s", engine->kernels->device,
             engine->kernels->detail);
    *out = engine;
    engine = NULL;
done:
    attune_engine_close(engine);
    return status;
}

void attune_engine_close(attune_engine *engine)
{
    if (engine) {
        attune_track_queue_close(engine->queue);
        if (engine->kernels) {
            engine->kernels->close(engine->context);
        }
        free(engine->samples);
        free(engine);
    }
}

const char *attune_engine_device(const attune_engine *engine)
{
    return engine->device;
}

void attune_engine_begin(attune_engine *engine)
{
    engine->held = 0;
    engine->total = 0;
    attune_track_queue_begin(engine->queue);
}

/* Sends the whole frames in the buffer through the front end, and moves what is left to its front.
 */
static attune_status run_frames(attune_engine *engine)
{
    const size_t N = (size_t)engine->network.frame_size, hop = (size_t)engine->network.hop_size;
    if (engine->held < N) {
        return ATTUNE_OK;
    }
    const size_t F = (engine->held - N) / hop + 1;
    float *features = NULL;
    attune_status status = attune_track_queue_space(engine->queue, &features, (int)F);
    if (status == ATTUNE_OK) {
        status = engine->kernels->frontend(engine->context, features, engine->samples, (int)F);
    }
    if (status == ATTUNE_OK) {
        attune_track_queue_advance(engine->queue, (int)F);
    }
    engine->held -= F * hop;
    memmove(engine->samples, engine->samples + F * hop, engine->held * sizeof(float));
    return status;
}

float *attune_engine_space(attune_engine *engine, size_t *count)
{
    *count = engine->capacity - engine->held;
    return engine->samples + engine->held;
}

attune_status attune_engine_advance(attune_engine *engine, size_t count)
{
    engine->held += count;
    engine->total += count;
    return engine->held == engine->capacity ? run_frames(engine) : ATTUNE_OK;
}

/* The network's maxima drop a NaN: the vector would look like music. */
static attune_status check_samples(const attune_engine *engine, const float *samples, size_t count)
{
    int bad = 0;
    for (size_t i = 0; i < count; i++) {
        bad |= !(fabsf(samples[i]) <= ATTUNE_PEAK_MAX);
    }
    if (!bad) {
        return ATTUNE_OK;
    }
    size_t i = 0;
    while (fabsf(samples[i]) <= ATTUNE_PEAK_MAX) {
        i++;
    }
    return attune_fail(ATTUNE_EINVAL, "sample %" PRIu64 " of the track is %g, and not within ±%g",
                       engine->total + i, (double)samples[i], (double)ATTUNE_PEAK_MAX);
}

attune_status attune_engine_push(attune_engine *engine, const float *samples, size_t count)
{
    attune_status status = check_samples(engine, samples, count);
    while (count > 0 && status == ATTUNE_OK) {
        size_t space = 0;
        float *to = attune_engine_space(engine, &space);
        const size_t some = count < space ? count : space;
        memcpy(to, samples, some * sizeof(float));
        status = attune_engine_advance(engine, some);
        samples += some;
        count -= some;
    }
    return status;
}

/* The frames of the track's end: what is left, and of a track shorter than a frame, one with zeros.
 */
static attune_status run_last_frames(attune_engine *engine)
{
    const size_t N = (size_t)engine->network.frame_size;
    if (engine->total == 0) {
        return attune_fail(ATTUNE_EINVAL, "a track without samples has no embedding");
    }
    if (engine->total < N) {
        memset(engine->samples + engine->held, 0, (N - engine->held) * sizeof(float));
        engine->held = N;
    }
    return run_frames(engine);
}

void attune_engine_end(attune_engine *engine, attune_track_done done, void *user)
{
    const attune_status status = run_last_frames(engine);
    if (status == ATTUNE_OK) {
        attune_track_queue_end(engine->queue, done, user);
    } else {
        done(user, status, NULL, 0);
    }
    attune_engine_begin(engine);
}

void attune_engine_flush(attune_engine *engine)
{
    attune_track_queue_flush(engine->queue);
}

/* What attune_engine_finish waits for. */
typedef struct result {
    attune_status status;
    float *embedding; /* (E) */
    uint64_t frames;
    int E;
} result;

static void take_result(void *user, attune_status status, const float *embedding, uint64_t frames)
{
    result *r = user;
    r->status = status;
    r->frames = frames;
    if (embedding && status == ATTUNE_OK) {
        memcpy(r->embedding, embedding, sizeof(*embedding) * (size_t)r->E);
    }
}

attune_status attune_engine_finish(attune_engine *engine, float *embedding, uint64_t *frames)
{
    result r = {.embedding = embedding, .E = engine->network.embedding};
    attune_engine_end(engine, take_result, &r);
    attune_engine_flush(engine);
    if (frames) {
        *frames = r.frames;
    }
    return r.status;
}

const attune_network *attune_engine_network(const attune_engine *engine)
{
    return &engine->network;
}

attune_precision attune_engine_precision(const attune_engine *engine)
{
    return engine->precision;
}
