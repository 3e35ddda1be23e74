/* fixed.h - AudioEmbeddingTiny's front end in 16-bit fixed point; private to kernels/cpu.
 *
 * Every number between two layers is an int16 times a unit, every sum an int32. The units follow the
 * frame: a frame whose first layer stays below a quarter of the largest value there can be has units a
 * fourth as large, and so on for ATTUNE_FIXED_LEVELS levels; each has its own tables, made from the
 * weights when a model is opened.
 *
 * A function of one variable is 64 straight lines, looked up by two permutations. Line i, value[i] +
 * slope[i] · t, is the best fit over its interval, so that errors there have mean zero; the last one
 * goes on to infinity. What is rounded is rounded with an offset that differs from lane to lane: a
 * frame's features are means over all lanes, and what would be the same error in each of them
 * vanishes there. */
#ifndef ATTUNE_KERNELS_CPU_FIXED_H
#define ATTUNE_KERNELS_CPU_FIXED_H

#include "model/parameters.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ATTUNE_FIXED_LEVELS = 4,
    ATTUNE_FIXED_LINES = 64,
    ATTUNE_FIXED_WIDTHS = 3, /* of intervals in one table */
    ATTUNE_FIXED_C1 = 32, /* channels of the depthwise convolution */
    ATTUNE_FIXED_C2 = 64, /* features */
};

typedef struct attune_fixed_lines {
    _Alignas(64) int16_t value[ATTUNE_FIXED_LINES], slope[ATTUNE_FIXED_LINES];
} attune_fixed_lines;

/* Units are written d, y: what an int16 of 1 means in the depthwise convolution's output and in the
 * mixing product's. */
typedef struct attune_fixed_level {
    /* t = (g − low) · scale is in [0, 32767]. From first[i] on the intervals are 2^bits[i] wide, and t's line is
     * base[i] + (t >> bits[i]). */
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
    /* The mixing product's bias, y·2^-16, and GELU less half its argument: value·factor + slope·a in
     * y·2^-11. */
    int32_t mix_bias[ATTUNE_FIXED_C2];
    attune_fixed_lines half;
    uint16_t half_cap, half_shift, half_factor;
    float d, half_unit;
} attune_fixed_level;

typedef struct attune_fixed_tiny {
    float conv0[5], conv0_bias;
    attune_fixed_level level[ATTUNE_FIXED_LEVELS]; /* the loudest first */
    int32_t mix[ATTUNE_FIXED_C2][ATTUNE_FIXED_C1 / 2]; /* in pairs of channels */
    /* The same product in f32, for what of GELU is linear: (32, 64), (64). */
    float linear[ATTUNE_FIXED_C1][ATTUNE_FIXED_C2], linear_bias[ATTUNE_FIXED_C2];
} attune_fixed_tiny;

/* Makes all tables, in a block that free() frees; NULL in *out if these parameters do not fit. */
attune_status attune_fixed_pack(attune_fixed_tiny **out, const attune_parameters *parameters);

#endif
