/* training.h - a device that trains: embeddings of a batch of clips, and the gradient of a loss.
 *
 * One table of functions, as kernels.h is for embedding. The device holds what it needs between
 * forward and backward; the optimiser, the loss and the parameters are the host's, as flat arrays
 * that model/trainable.h lays out. The network is in training mode: batch normalisation takes the
 * statistics of the batch, and dropout drops. (To validate, fold the parameters into a model and
 * embed with kernels.h.)
 *
 * What every such device promises: the same batch and parameters give the same bits, whatever the
 * number of threads. */
#ifndef ATTUNE_KERNELS_TRAINING_H
#define ATTUNE_KERNELS_TRAINING_H

#include "model/random.h"
#include "model/trainable.h"

typedef struct attune_training_options {
    int ordinal;    /* which device of its kind, from 0 */
    int threads;    /* at least 1; the CPU's */
    int clips;      /* B of one batch at most */
    size_t samples; /* S of one clip at most */
    /* A frozen front end has running statistics, which stay, and its gradients are 0. */
    bool frozen_front_end;
    float dropout_layers; /* probability between GRU layers, [0, 1) */
    float dropout_head;   /* after the projection's activation */
} attune_training_options;

typedef struct attune_training_batch {
    const float *const
        *clips; /* (B) of S samples each, finite; borrowed until backward has ended */
    int B;
    size_t samples; /* S, at least one frame */
    /* Batch statistics are taken over runs of B/groups clips, in order: 3 where anchors, positives
     * and negatives pass through the network on their own. B is a multiple of it. */
    int groups;
    uint64_t seed; /* of what dropout drops: a function of it, the layer and the element alone */
} attune_training_batch;

typedef struct attune_training_kernels {
    const char *device; /* "cpu", "cuda" */
    const char *detail; /* "avx512", "f32" */

    /* ATTUNE_ENODEVICE if the device is not there, ATTUNE_ENOMEM if its memory does not do. On
     * failure *context is NULL. */
    attune_status (*open)(void **context, const attune_trainable *trainable,
                          const attune_training_options *options);
    void (*close)(void *context);             /* NULL-safe */
    const char *(*name)(const void *context); /* "avx512", "NVIDIA H200"; borrowed */

    /* embeddings (B, E), of Euclidean length 1. Moves the running statistics on, group by group, by
     * momentum 0.1 with the unbiased variance, as PyTorch does. */
    attune_status (*forward)(void *context, float *embeddings, float *statistics,
                             const float *parameters, const attune_training_batch *batch);

    /* gradients (parameter_count) = the loss's, from its gradient by the embeddings (B, E) of the
     * last forward, with the same parameters and batch. */
    attune_status (*backward)(void *context, float *gradients, const float *embedding_gradients,
                              const float *parameters, const attune_training_batch *batch);
} attune_training_kernels;

/* The CPU's table, chosen as attune_kernels_cpu does. */
attune_status attune_training_cpu(const attune_training_kernels **out);

/* The table for one instruction set by name ("avx512", "avx2", "baseline"); NULL if this machine or
 * this build has it not. */
const attune_training_kernels *attune_training_cpu_named(const char *name);

/* CUDA's table; in a build without CUDA one whose open says so. */
const attune_training_kernels *attune_training_cuda(void);

/* ATTUNE_EINVAL for a batch that a device opened so does not take; every device asks. */
attune_status attune_training_check(const attune_training_options *options,
                                    const attune_trainable *trainable,
                                    const attune_training_batch *batch);

/* Whether dropout keeps an element, for both devices: `element` counts (clip, step, unit) row by
 * row of layer `layer`; the head is layer ATTUNE_LAYERS_MAX. Keeps with probability 1 - drop. */
static inline ATTUNE_ANYWHERE bool attune_dropout_keeps(uint64_t seed, uint32_t layer,
                                                        uint64_t element, float drop)
{
    const uint64_t x =
        attune_random_mix(seed + ATTUNE_RANDOM_STEP * (element * ATTUNE_TENSORS_MAX + layer + 1));
    return (float)(x >> 40) * 0x1p-24f >= drop;
}

#endif
