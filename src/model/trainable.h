/* trainable.h - every number that training changes, as two flat arrays of floats.
 *
 * `parameters` are what the optimiser moves; `statistics` are batch normalisation's running means
 * and variances. A tensor is a place in one of them: its name in PyTorch's state dictionary, its
 * shape and its offset. Optimisers, checkpoints and devices walk the list, so none of them knows
 * the network; kernels that do know it find their tensors by the fields further down. Places follow
 * one another without gaps, in the state dictionary's order: an array of `parameter_count` floats
 * is also a gradient, or a moment of AdamW. */
#ifndef ATTUNE_SRC_MODEL_TRAINABLE_H
#define ATTUNE_SRC_MODEL_TRAINABLE_H

#include "model/parameters.h"

#include <stdbool.h>

enum { ATTUNE_TENSORS_MAX = 16 + 4 * ATTUNE_LAYERS_MAX + 8, ATTUNE_STATISTICS_MAX = 8 };

typedef struct attune_tensor {
    char name[48]; /* "cnn_frontend.0.net.0.weight" */
    int rank;      /* 1 to 3 */
    int shape[3];
    size_t offset, count; /* floats */
    bool front_end;       /* a convolution's or its batch normalisation's */
} attune_tensor;

/* A convolution and the batch normalisation behind it: offsets into parameters (weight, bias,
 * scale, shift) and into statistics (mean, variance). */
typedef struct attune_trainable_conv {
    int taps, inputs, outputs; /* inputs: of one output, 1 where depthwise */
    size_t weight, bias;       /* bias: only where has_bias */
    size_t scale, shift, mean, variance;
    bool has_bias;
} attune_trainable_conv;

typedef struct attune_trainable_gru {
    size_t weight_input, weight_hidden, bias_input, bias_hidden;
} attune_trainable_gru;

typedef struct attune_trainable {
    attune_network network;
    attune_tensor tensors[ATTUNE_TENSORS_MAX];    /* in parameters */
    attune_tensor running[ATTUNE_STATISTICS_MAX]; /* in statistics */
    int tensor_count, running_count;
    size_t parameter_count, statistic_count; /* floats */

    attune_trainable_conv conv[4]; /* as many as conv_count */
    int conv_count;
    attune_trainable_gru gru[ATTUNE_LAYERS_MAX];
    size_t attention_weight, attention_bias, score_weight, score_bias; /* where it attends */
    size_t project1_weight, project1_bias, project2_weight, project2_bias;
} attune_trainable;

#define ATTUNE_BATCH_NORM_EPSILON 1e-5f

/* ATTUNE_EINVAL for a shape outside the bounds in attune/model.h. */
attune_status attune_trainable_layout(attune_trainable *out, const attune_network *network);

/* Floats of the front end, which are the first of the parameters. */
size_t attune_trainable_front_end(const attune_trainable *trainable);

/* PyTorch's initial values: uniform in ±1/√fan_in for convolutions and linear layers, ±1/√H for the
 * GRU; scales 1, shifts 0, running means 0, variances 1. The same seed gives the same numbers on
 * every machine. */
void attune_trainable_initialise(float *parameters, float *statistics,
                                 const attune_trainable *trainable, uint64_t seed);

/* The model that embeds: batch normalisation folded into the convolutions in double. On failure
 * *out is NULL. */
attune_status attune_trainable_fold(attune_model **out, const attune_trainable *trainable,
                                    const float *parameters, const float *statistics,
                                    const char *name);

#endif
