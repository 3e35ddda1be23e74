/* parameters.h - a model's parameters in memory: plain f32 arrays in PyTorch's layouts and gate
 * order.
 *
 * Batch normalisation is folded into the convolutions. Devices pack what they need from here. */
#ifndef ATTUNE_SRC_MODEL_PARAMETERS_H
#define ATTUNE_SRC_MODEL_PARAMETERS_H

#include "attune/model.h"
#include "status/digest.h"

#include <stdbool.h>
#include <stddef.h>

enum { ATTUNE_LAYERS_MAX = 8 };

/* A convolution of the front end. */
typedef struct attune_conv {
    const char *name,
        *norm;           /* in PyTorch's state dictionary; norm: batch normalisation behind it */
    int outputs, inputs; /* inputs: of one output, 1 where depthwise */
    int taps, stride, padding, groups;
    bool has_bias; /* in training; folding gives each one */
} attune_conv;

/* One GRU layer; I inputs, H hidden. Gates in PyTorch's order r, z, n. */
typedef struct attune_gru_parameters {
    float *weight_input;  /* (3H, I) */
    float *weight_hidden; /* (3H, H) */
    float *bias_input;    /* (3H) */
    float *bias_hidden;   /* (3H) */
} attune_gru_parameters;

/* Convolutions by architecture; unused entries are NULL.
 *   tiny  0: depthwise k5 s2 (1, 1, 5)    1: pointwise (32, 1)
 *         2: depthwise k5 s2 (32, 1, 5)   3: pointwise (64, 32)
 *   GRU   0: k7 s2 p3 (64, 1, 7)          1: k5 s2 p2 (128, 64, 5) */
typedef struct attune_parameters {
    float *conv_weight[4];
    float *conv_bias[4];
    attune_gru_parameters gru[ATTUNE_LAYERS_MAX];
    float *attention_weight; /* (A, H); NULL without attention, as the next three */
    float *attention_bias;   /* (A) */
    float *score_weight;     /* (A) */
    float *score_bias;       /* (1) */
    float *project1_weight;  /* (P, H) */
    float *project1_bias;    /* (P) */
    float *project2_weight;  /* (E, P) */
    float *project2_bias;    /* (E) */
} attune_parameters;

struct attune_model {
    attune_network network;
    attune_parameters parameters; /* pointers into `arena` */
    float *arena;                 /* every parameter, one 64-byte aligned block */
    uint64_t parameter_count;
    char *name;
    char sha256[ATTUNE_DIGEST_SIZE];
};

/* ATTUNE_EINVAL, naming the field, for a shape outside the bounds in attune/model.h. */
attune_status attune_network_check(const attune_network *network);

/* A model of shape `network` with all parameters zero, for a reader or a trainer to fill in.
 * ATTUNE_EINVAL for a shape outside the bounds in attune/model.h. */
attune_status attune_model_create(attune_model **out, const attune_network *network,
                                  const char *name);

/* An architecture's convolution; NULL where it has none. */
const attune_conv *attune_conv_of(attune_architecture architecture, int index);

/* Number of floats in conv_weight[i] / conv_bias[i] of an architecture; 0 where it has none. */
size_t attune_conv_weight_count(attune_architecture architecture, int index);
size_t attune_conv_bias_count(attune_architecture architecture, int index);

/* (3H, width): blocks r, z, n as ONNX's z, r, h, or the other way round: it is its own inverse. */
void attune_gates_swap(float *out, const float *in, size_t hidden, size_t width);

const attune_parameters *attune_model_parameters(const attune_model *model);

#endif
