/* training.c - the CPU as a device that trains: a batch through the front end (train_frontend.h),
 * group by group, and all of it through the sequence stage (train_sequence.h), and back.
 *
 * What the front end keeps for backward depends on how many clips are a group; so it is opened with
 * the first batch, and again if a batch has other groups. A frozen one hears a clip once: what it
 * said of it is remembered (train_memory.h). */
#include "kernels/training.h"

#include "kernels/cpu/team.h"
#include "kernels/cpu/train_frontend.h"
#include "kernels/cpu/train_memory.h"
#include "kernels/cpu/train_sequence.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

#define REMEMBERED ((size_t)1 << 30) /* bytes of features: 108 hours of frames of 93 ms */

typedef struct cpu_training {
    attune_trainable trainable;
    attune_training_options options;
    attune_team *team;
    const attune_train_frontend *kernels;
    void *frontend;
    int groups; /* that the front end is open for */
    attune_train_sequence *sequence;
    attune_train_memory *memory; /* of a frozen front end, else NULL */
    float *features;             /* (B, T, C) */
    float *feature_gradients;    /* (B, T, C); NULL when frozen */
    const float **frames;        /* (B, T) */
    float **places;              /* (B), in memory, of the clips' features */
    bool *known;                 /* (B): they are there */
    int B, T;                    /* of the last forward */
} cpu_training;

static const attune_train_sequence_kernels *sequence_kernels(void)
{
    return &ATTUNE_KERNEL(attune_train_sequence_kernels);
}

static void training_close(void *context)
{
    cpu_training *c = context;
    if (c) {
        if (c->frontend) {
            c->kernels->close(c->frontend);
        }
        sequence_kernels()->close(c->sequence);
        attune_team_close(c->team);
        attune_train_memory_close(c->memory);
        free(c->features);
        free(c->feature_gradients);
        free(c->frames);
        free(c->places);
        free(c->known);
        free(c);
    }
}

static int steps_of(const cpu_training *c, size_t samples)
{
    return (int)attune_network_frames(&c->trainable.network, samples);
}

static attune_status allocate(cpu_training *c)
{
    const size_t frames = (size_t)c->options.clips * steps_of(c, c->options.samples),
                 count = frames * (size_t)c->trainable.network.features;
    c->features = attune_cpu_allocate(count);
    c->frames = malloc(frames * sizeof(*c->frames));
    if (c->options.frozen_front_end) {
        const attune_status status = attune_train_memory_open(&c->memory, REMEMBERED);
        if (status != ATTUNE_OK) {
            return status;
        }
        c->places = malloc((size_t)c->options.clips * sizeof(*c->places));
        c->known = malloc((size_t)c->options.clips * sizeof(*c->known));
    } else {
        c->feature_gradients = attune_cpu_allocate(count);
    }
    const bool done = c->features && c->frames && (c->feature_gradients || (c->places && c->known));
    return done ? ATTUNE_OK : attune_fail_memory("training's features", count * sizeof(float));
}

static attune_status training_open(void **context, const attune_trainable *trainable,
                                   const attune_training_options *options)
{
    cpu_training *c = calloc(1, sizeof(*c));
    *context = NULL;
    if (!c) {
        return attune_fail_memory("training", sizeof(*c));
    }
    c->trainable = *trainable;
    c->options = *options;
    c->kernels = trainable->network.architecture == ATTUNE_ARCHITECTURE_TINY
                     ? &ATTUNE_KERNEL(attune_train_frontend_tiny)
                     : &ATTUNE_KERNEL(attune_train_frontend_gru);
    attune_status status = attune_team_open(&c->team, options->threads);
    if (status == ATTUNE_OK) {
        status = sequence_kernels()->open(&c->sequence, &c->trainable, options->clips,
                                          steps_of(c, options->samples), c->team);
    }
    if (status == ATTUNE_OK) {
        status = allocate(c);
    }
    if (status != ATTUNE_OK) {
        training_close(c);
        return status;
    }
    *context = c;
    return ATTUNE_OK;
}

static attune_status open_frontend(cpu_training *c, int groups)
{
    if (c->frontend && c->groups == groups) {
        return ATTUNE_OK;
    }
    if (c->frontend) {
        c->kernels->close(c->frontend);
    }
    c->frontend = NULL;
    c->groups = groups;
    const int frames = c->options.clips / groups * steps_of(c, c->options.samples);
    return c->kernels->open(&c->frontend, &c->trainable, frames, groups,
                            c->options.frozen_front_end, c->team);
}

/* The features of a batch by a frozen front end: what it has not heard yet, and copies. */
static void forward_frozen(cpu_training *c, const attune_training_batch *batch, float *statistics,
                           const float *parameters)
{
    const int B = batch->B, T = steps_of(c, batch->samples), most = c->options.clips / c->groups;
    const size_t count = (size_t)T * (size_t)c->trainable.network.features;
    attune_train_memory_of(c->memory, &c->trainable, parameters, statistics);
    for (int b = 0; b < B; b++) {
        c->places[b] = attune_train_memory_place(c->memory, &c->known[b], batch->clips[b],
                                                 batch->samples, count);
    }
    for (int b = 0, last; b < B; b = last) {
        last = b + 1;
        if (c->known[b]) {
            continue;
        }
        while (last < B && !c->known[last] && last - b < most) {
            last++;
        }
        c->kernels->forward(c->frontend, c->features + (size_t)b * count, statistics, parameters,
                            c->frames + (size_t)b * (size_t)T, (last - b) * T, 0);
    }
    for (int b = 0; b < B; b++) { /* a clip may be there twice: what is new goes in first */
        if (!c->known[b] && c->places[b]) {
            memcpy(c->places[b], c->features + (size_t)b * count, count * sizeof(float));
        } else if (c->known[b]) {
            memcpy(c->features + (size_t)b * count, c->places[b], count * sizeof(float));
        }
    }
}

static attune_status training_forward(void *context, float *embeddings, float *statistics,
                                      const float *parameters, const attune_training_batch *batch)
{
    cpu_training *c = context;
    const attune_training_options *o = &c->options;
    const attune_network *n = &c->trainable.network;
    attune_status status = attune_training_check(&c->options, &c->trainable, batch);
    if (status == ATTUNE_OK) {
        status = open_frontend(c, batch->groups);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    const int B = batch->B, T = steps_of(c, batch->samples), F = B / batch->groups * T;
    for (int i = 0; i < B * T; i++) {
        c->frames[i] = batch->clips[i / T] + (size_t)(i % T) * (size_t)n->hop_size;
    }
    if (o->frozen_front_end) {
        forward_frozen(c, batch, statistics, parameters);
    }
    for (int g = 0; g < batch->groups && !o->frozen_front_end; g++) {
        const size_t first = (size_t)g * F;
        c->kernels->forward(c->frontend, c->features + first * n->features, statistics, parameters,
                            c->frames + first, F, g);
    }
    const attune_train_dropout dropout = {batch->seed, o->dropout_layers, o->dropout_head};
    sequence_kernels()->forward(c->sequence, embeddings, c->features, parameters, B, T, &dropout);
    c->B = B;
    c->T = T;
    return ATTUNE_OK;
}

static attune_status training_backward(void *context, float *gradients,
                                       const float *embedding_gradients, const float *parameters,
                                       const attune_training_batch *batch)
{
    cpu_training *c = context;
    const attune_trainable *t = &c->trainable;
    if (batch->B != c->B || batch->groups != c->groups || steps_of(c, batch->samples) != c->T) {
        return attune_fail(ATTUNE_EINVAL, "the gradient of a batch that did not go forward");
    }
    sequence_kernels()->backward(c->sequence, gradients, c->feature_gradients, embedding_gradients,
                                 parameters);
    memset(gradients, 0, attune_trainable_front_end(t) * sizeof(float));
    const int F = c->B / c->groups * c->T;
    for (int g = 0; g < c->groups && !c->options.frozen_front_end; g++) {
        const size_t first = (size_t)g * F;
        c->kernels->backward(c->frontend, gradients,
                             c->feature_gradients + first * t->network.features, parameters,
                             c->frames + first, F, g);
    }
    return ATTUNE_OK;
}

#define ATTUNE_TEXT_(x) #x
#define ATTUNE_TEXT(x) ATTUNE_TEXT_(x)

static const char *training_name(const void *context)
{
    (void)context;
    return ATTUNE_TEXT(ATTUNE_ISA);
}

const attune_training_kernels ATTUNE_KERNEL(attune_training) = {
    .device = "cpu",
    .detail = ATTUNE_TEXT(ATTUNE_ISA),
    .open = training_open,
    .close = training_close,
    .name = training_name,
    .forward = training_forward,
    .backward = training_backward,
};
