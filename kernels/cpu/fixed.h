/* fixed.h - AudioEmbeddingTiny's front end in 16-bit fixed point; private to kernels/cpu.
 *
 * Every number between two layers is an int16 times a unit, every sum an int32. The units follow
 * the frame: a frame whose first layer stays below half of the largest value there can be has units
 * about half as large, and so on for ATTUNE_FIXED_LEVELS levels; each has its own tables, made from
 * the weights when a model is opened.
 *
 * A function of one variable is 64 straight lines, looked up by two permutations. Line i, value[i]
 * + slope[i] · t, is the best fit over its interval, so that errors there have mean zero; the last
 * one goes on to infinity. */
#ifndef ATTUNE_KERNELS_CPU_FIXED_H
#define ATTUNE_KERNELS_CPU_FIXED_H

#include "kernels/cpu/cpu.h"
#include "model/parameters.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ATTUNE_FIXED_LEVELS = 9,
    ATTUNE_FIXED_LINES = 64,
    ATTUNE_FIXED_WIDTHS = 3,       /* of intervals in one table */
    ATTUNE_FIXED_C1 = 32,          /* channels of the depthwise convolution */
    ATTUNE_FIXED_C2 = 64,          /* features */
    ATTUNE_FIXED_FRAME_MAX = 4096, /* samples: a feature's sum over the positions fits 32 bits */
};

typedef struct attune_fixed_lines {
    _Alignas(64) int16_t value[ATTUNE_FIXED_LINES], slope[ATTUNE_FIXED_LINES];
} attune_fixed_lines;

/* Units are written d, y: what an int16 of 1 means in the depthwise convolution's output and in the
 * mixing product's. */
typedef struct attune_fixed_level {
    /* t = (g − low) · scale is in [0, 32767]. From first[i] on the intervals are 2^bits[i] wide,
     * and t's line is base[i] + (t >> bits[i]). */
    float limit, low, scale;
    uint16_t first[ATTUNE_FIXED_WIDTHS], bits[ATTUNE_FIXED_WIDTHS], base[ATTUNE_FIXED_WIDTHS];
    /* Pointwise product and GELU of each channel: value + slope · how far along its
     * interval t is. */
    attune_fixed_lines point[ATTUNE_FIXED_C1];
    /* Depthwise convolution: taps in pairs, d·2^-16. */
    int32_t depth[ATTUNE_FIXED_C1][3], depth_bias[ATTUNE_FIXED_C1];
    /* GELU of a = |·| less the part max(·, 0), in d: value + slope·a·2^-15 for line min(a, cap) >>
     * gelu_shift. */
    attune_fixed_lines gelu;
    uint16_t gelu_cap, gelu_shift;
    /* The mixing product's bias, y·2^-16, less what products made by sums leave in it; and GELU
     * less half its argument: value·factor + slope·a in y·2^-11. */
    int32_t mix_bias[ATTUNE_FIXED_C2];
    attune_fixed_lines half;
    uint16_t half_cap, half_shift, half_factor;
    float d, half_unit;
    /* What is added to the features: half the mixing product's bias, less the mean error that this
     * level has. */
    float linear_bias[ATTUNE_FIXED_C2];
} attune_fixed_level;

typedef struct attune_fixed_tiny {
    float conv0[5], conv0_bias;                        /* times ATTUNE_GELU_SCALE */
    attune_fixed_level level[ATTUNE_FIXED_LEVELS];     /* the loudest first */
    int32_t mix[ATTUNE_FIXED_C2][ATTUNE_FIXED_C1 / 2]; /* in pairs of channels */
    /* The same product in f32, for what of GELU is linear. */
    float linear[ATTUNE_FIXED_C1][ATTUNE_FIXED_C2];
    /* Exact features of a frame of zeros, which music has many of. */
    float silence[ATTUNE_FIXED_C2];
} attune_fixed_tiny;

/* Makes all tables, without silence and mean errors in linear_bias. False for parameters that no
 * units can be found for, or a first layer that lets nothing through; tables of other parameters
 * may still be of no use. */
bool attune_fixed_pack(attune_fixed_tiny *tables, const attune_parameters *parameters);

typedef void attune_frontend(float *features, const float *pcm, const attune_cpu_weights *weights,
                             float *scratch, int F);

typedef struct attune_fixed attune_fixed;

/* The kernels, once with AVX-512's dot products of words (VNNI) and once without, which gives the
 * same bits. */
typedef struct attune_fixed_kernels {
    /* features (F, 64), as attune_frontend_tiny. */
    void (*frontend)(float *features, const float *pcm, const attune_fixed *fixed, int F);
    size_t (*frontend_scratch)(const attune_network *network); /* floats */
    attune_fixed_product *product;
} attune_fixed_kernels;

#ifdef ATTUNE_ISA
attune_fixed_product ATTUNE_KERNEL(attune_fixed_product);
#endif

/* A unit of a GRU state is 1 / ATTUNE_FIXED_STATE: of the 31 bits of a sum of 128 products, states
 * and weights then round about equally. */
#define ATTUNE_FIXED_STATE 8192.0f

/* The same for M rows of any number that stand a_stride floats apart. */
void attune_fixed_rows(float *out, size_t stride, const float *a, size_t a_stride,
                       const attune_fixed_matrix *matrix, int M);

extern const attune_fixed_kernels attune_fixed_avx512, attune_fixed_avx512vnni;

/* Uniform noise in [-1, 1) to try a model on: the same on every machine. */
static inline float attune_fixed_noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1.0f;
}

/* By name, "avx512vnni" or "avx512"; NULL if this machine or this build has them not. */
const attune_fixed_kernels *attune_fixed_named(const char *name);

/* The best that there are, or NULL. */
const attune_fixed_kernels *attune_fixed_best(void);

/* The front end in fixed point, ready to run. Frames of zeros have the tables' features; those that
 * are too loud for it, which none within [-2, 2] is, go through `exact`, the front end in f32 with
 * its weights and scratch. */
struct attune_fixed {
    const attune_fixed_kernels *kernels;
    attune_fixed_tiny *tables;
    float *scratch;
    attune_frontend *exact;
    const attune_cpu_weights *weights;
    float *exact_scratch;
};

/* Opens it for a network that it is for, and tries it on a few frames of noise from faint to loud.
 * If that is no AudioEmbeddingTiny, or the features differ too much from `exact` for precision
 * fast, or `kernels` is NULL, *out is empty: its `kernels` are NULL. */
attune_status attune_fixed_open(attune_fixed *out, const attune_fixed_kernels *kernels,
                                const attune_model *model, const attune_cpu_weights *weights,
                                attune_frontend *exact, float *exact_scratch);
void attune_fixed_close(attune_fixed *fixed);

#endif
