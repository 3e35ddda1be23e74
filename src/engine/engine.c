/* engine.c - one track's samples through a device's kernels.
 *
 * Samples gather in a buffer of ATTUNE_FRAMES_PER_CALL frames, where the decoder may write them
 * directly. When it is full its frames go through both stages, and what belongs to the next frame
 * moves to the front. So memory does not depend on the track's length. */
#include "engine/engine_buffer.h"
#include "kernels/kernels.h"
#include "status/error.h"

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
    float *samples;  /* (capacity) */
    float *features; /* (ATTUNE_FRAMES_PER_CALL, C) */
    size_t capacity; /* samples of ATTUNE_FRAMES_PER_CALL frames */
    size_t held;     /* samples waiting in the buffer */
    uint64_t total;  /* samples of this track */
    uint64_t frames; /* of this track, through both stages */
};

void attune_engine_options_default(attune_engine_options *options)
{
    *options = (attune_engine_options){.device = "auto", .precision = "exact"};
}

static attune_status choose_kernels(attune_engine *engine, const attune_engine_options *options)
{
    const char *device = options->device ? options->device : "auto";
    const char *precision = options->precision ? options->precision : "exact";
    if (strcmp(precision, "exact") != 0) {
        return attune_fail(ATTUNE_ECONFIG, "precision %s is not offered; use exact", precision);
    }
    engine->precision = ATTUNE_PRECISION_EXACT;
    if (strcmp(device, "auto") != 0 && strcmp(device, "cpu") != 0) {
        return attune_fail(ATTUNE_ENODEVICE,
                           "device %s is not there or not known to this build; use auto or cpu",
                           device);
    }
    return attune_kernels_cpu(&engine->kernels);
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
    status = engine->kernels->open(&engine->context, model);
    if (status != ATTUNE_OK) {
        goto done;
    }
    const attune_network *n = &engine->network;
    engine->capacity = (size_t)(ATTUNE_FRAMES_PER_CALL - 1) * n->hop_size + n->frame_size;
    engine->samples = malloc(engine->capacity * sizeof(float));
    engine->features = malloc((size_t)ATTUNE_FRAMES_PER_CALL * n->features * sizeof(float));
    if (!engine->samples || !engine->features) {
        status = attune_fail_memory("an engine's buffers", engine->capacity * sizeof(float));
        goto done;
    }
    snprintf(engine->device, sizeof(engine->device), "%s %s", engine->kernels->device,
             engine->kernels->detail);
    attune_engine_begin(engine);
    *out = engine;
    engine = NULL;
done:
    attune_engine_close(engine);
    return status;
}

void attune_engine_close(attune_engine *engine)
{
    if (engine) {
        if (engine->kernels) {
            engine->kernels->close(engine->context);
        }
        free(engine->samples);
        free(engine->features);
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
    engine->frames = 0;
    engine->kernels->begin(engine->context);
}

/* Sends the whole frames in the buffer through both stages, and moves what is left to its front. */
static attune_status run_frames(attune_engine *engine)
{
    const size_t N = (size_t)engine->network.frame_size, hop = (size_t)engine->network.hop_size;
    if (engine->held < N) {
        return ATTUNE_OK;
    }
    const size_t F = (engine->held - N) / hop + 1;
    attune_status status =
        engine->kernels->frontend(engine->context, engine->features, engine->samples, (int)F);
    if (status == ATTUNE_OK) {
        status = engine->kernels->sequence(engine->context, engine->features, (int)F);
    }
    engine->held -= F * hop;
    memmove(engine->samples, engine->samples + F * hop, engine->held * sizeof(float));
    engine->frames += F;
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

attune_status attune_engine_push(attune_engine *engine, const float *samples, size_t count)
{
    attune_status status = ATTUNE_OK;
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

attune_status attune_engine_finish(attune_engine *engine, float *embedding, uint64_t *frames)
{
    const size_t N = (size_t)engine->network.frame_size;
    if (engine->total == 0) {
        return attune_fail(ATTUNE_EINVAL, "a track without samples has no embedding");
    }
    if (engine->total < N) {
        memset(engine->samples + engine->held, 0, (N - engine->held) * sizeof(float));
        engine->held = N;
    }
    attune_status status = run_frames(engine);
    if (status == ATTUNE_OK) {
        status = engine->kernels->finish(engine->context, embedding);
    }
    if (frames) {
        *frames = engine->frames;
    }
    return status;
}

const attune_network *attune_engine_network(const attune_engine *engine)
{
    return &engine->network;
}

attune_precision attune_engine_precision(const attune_engine *engine)
{
    return engine->precision;
}
