/* train_tiny.h - what the passes of AudioEmbeddingTiny's front end in training mode are made of;
 * the passes themselves are train_frontend_tiny.c's.
 *
 *   x (N) -> depthwise k5 s2 -> y1 -> GELU -> g1 (N/2)
 *     -> scaled for 32 channels -> z2 -> GELU -> g2 (N/2, 32) -> depthwise k5 s2 -> y3 -> GELU
 *     -> g3 (N/4, 32) -> 32 to 64 -> y4 -> GELU -> g4 (N/4, 64) -> mean
 *
 * Rows are positions and columns channels: so vectors are of channels, a convolution's window is
 * five rows, sums over positions need no sums of lanes, and products are plain. Behind g1 a frame
 * is taken a tile of T positions of y3 at a time, which stays in L1; g2 is remade in every pass
 * that needs it, since that takes less time than to fetch its 128 KB a frame from memory. */
#ifndef ATTUNE_KERNELS_CPU_TRAIN_TINY_H
#define ATTUNE_KERNELS_CPU_TRAIN_TINY_H

#include "kernels/cpu/train_frontend.h"

enum {
    TINY_C1 = 32,
    TINY_C2 = 64,
    TINY_TAPS = 5,
    TINY_T = 64,    /* positions in a tile; N/4 is whole tiles. 32: 4 % slower, 16: 7 % */
    TINY_EXTRA = 8, /* positions that attune_tiny_dz2 takes behind the last */
};

/* The network with its batch normalisations resolved; k is ATTUNE_GELU_SCALE. */
typedef struct attune_tiny_layers {
    float w1[TINY_TAPS], a1, b1;    /* k·z1 = a1·y1 + b1 */
    _Alignas(64) float a2[TINY_C1]; /* k·z2 = a2·k·g1 + b2 */
    float b2[TINY_C1];              /* */
    float w3[TINY_TAPS][TINY_C1];   /* y3 from g2 */
    float w3_k[TINY_TAPS][TINY_C1]; /* y3 from k·g2 */
    float a3[TINY_C1], b3[TINY_C1]; /* k·z3 = a3·y3 + b3 */
    float mean3[TINY_C1];           /* of k·g3; 0 until it is known */
    float w4[TINY_C2 * TINY_C1];    /* (64, 32) */
    float w4_k[TINY_C1 * TINY_C2];  /* panels of (32, 64): from k·g3 */
    float a4[TINY_C2], b4[TINY_C2]; /* k·z4 = a4·(y4 less its mean) + b4 */
    float zero[TINY_C2];
} attune_tiny_layers;

/* What is known of a group once its passes have been made, in their order. */
typedef struct attune_tiny_group {
    attune_tiny_layers layers;
    attune_train_norm norm1, norm2[TINY_C1], norm3[TINY_C1], norm4[TINY_C2];
    double mean1, variance1;               /* of g1 */
    double covariance3[TINY_C1 * TINY_C1]; /* of g3 */
    float weight2[TINY_C1];                /* of dz2 in u: gain·w2 */
    /* dy4 = gain4·dz4 − constant4 − slope4·(y4 less its mean) */
    float gain4[TINY_C2], constant4[TINY_C2], slope4[TINY_C2];
    float gain3[TINY_C1], constant3[TINY_C1], slope3[TINY_C1]; /* gain·dz3 + constant − slope·y3 */
    float constant1, slope1; /* dg1 = u − constant1 − slope1·k·g1 */
} attune_tiny_group;

/* The weights, before the first pass. */
void attune_tiny_begin(attune_tiny_group *group, const attune_trainable_conv conv[4],
                       const float *parameters);
/* All layers, by the running statistics. */
void attune_tiny_freeze(attune_tiny_group *group, const attune_trainable_conv conv[4],
                        const float *statistics, const float *parameters);

/* One layer's normalisation, from the sums over `count` values: over y1 and its square; over k·g1
 * and its square; over y3 and its square, (2, 32); over k·g3 less layers.mean3, which becomes the
 * mean, and its products, (1 + 32, 32). */
void attune_tiny_normalise1(attune_tiny_group *group, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count);
void attune_tiny_normalise2(attune_tiny_group *group, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count);
void attune_tiny_normalise3(attune_tiny_group *group, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count);
void attune_tiny_normalise4(attune_tiny_group *group, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count);

/* Its way back, adding to `gradients`: of layer 4 and w4, from sums over dz4·k·g3, g3 less its
 * mean, (64, 32), and over dz4, (64); of layer 3's normalisation, from sums over dz3 and
 * dz3·(y3 − mean), (2, 32); of layer 2 and w3, from k times the latter, (5, 32), and sums over dz2
 * and dz2·(k·g1 − mean), (2, 32); of layer 1, from those over dz1, dz1·(y1 − mean), and by tap over
 * dz1·x, (y1 − mean)·x and x. */
void attune_tiny_denormalise4(attune_tiny_group *group, float *gradients,
                              const attune_trainable_conv conv[4], const float *parameters,
                              const double *sums);
void attune_tiny_denormalise3(attune_tiny_group *group, float *gradients,
                              const attune_trainable_conv conv[4], const double *sums);
void attune_tiny_denormalise2(attune_tiny_group *group, float *gradients,
                              const attune_trainable_conv conv[4], const float *parameters,
                              const double *sums);
void attune_tiny_denormalise1(const attune_tiny_group *group, float *gradients,
                              const attune_trainable_conv conv[4], const double *sums);

/* Scratch of one thread. Rows of g2 and slope2 are positions 2·first − 2 and on, rows of dy3
 * positions first − 2 and on. */
typedef struct attune_tiny_tile {
    float *even, *odd, *y1;  /* (N/2), with ATTUNE_PAD floats of 0 around even and odd */
    float *g1;               /* (N/2) and padding: k·g1 where no pass keeps it */
    float *g2, *slope2;      /* (2T + 3 + 2·EXTRA, 32): k·g2 and GELU's derivative at z2 */
    float *window;           /* (3, 32): the last rows of g2, where they are not kept */
    float *y3, *g3, *slope3; /* (T, 32): k·g3 is less its mean */
    float *y4;               /* (T, 64): y4, then what replaces it */
    float *dg3;              /* (T, 32) */
    float *dy3;              /* (T + 2 + EXTRA, 32) */
    float *sums;             /* (32 + 1, 32), for any pass */
} attune_tiny_tile;

size_t attune_tiny_tile_size(int N); /* floats */
attune_tiny_tile attune_tiny_tile_at(float *scratch, int N);

#ifdef ATTUNE_ISA
/* y1 (N/2) of x (N); leaves x's halves in even and odd. */
void ATTUNE_KERNEL(attune_tiny_first)(const attune_tiny_tile *tile,
                                      const attune_tiny_layers *layers, const float *x, int N);
/* Adds the sums over `count` values and their squares to sums[0] and sums[1]. */
void ATTUNE_KERNEL(attune_tiny_moments)(double *sums, const float *y, int count);
/* g1 (count) = k·GELU(z1) of y1. */
void ATTUNE_KERNEL(attune_tiny_gelu1)(float *g1, const float *y1, const attune_tiny_layers *layers,
                                      int count);

/* y3 of the tile at position `first` of L. A frame's tiles come in order. `keep`: g2 and slope2 as
 * well. */
void ATTUNE_KERNEL(attune_tiny_y3)(const attune_tiny_tile *tile, const attune_tiny_layers *layers,
                                   const float *g1, int first, int L, bool keep);
/* g3 of y3, and slope3 where `keep`. */
void ATTUNE_KERNEL(attune_tiny_g3)(const attune_tiny_tile *tile, const attune_tiny_layers *layers,
                                   bool keep);
/* y4 less its mean, of g3. */
void ATTUNE_KERNEL(attune_tiny_y4)(const attune_tiny_tile *tile, const attune_tiny_layers *layers);

/* sums (64) += k·g4 of the tile; where `slopes` (64) is not NULL, adds GELU's derivative at z4 to
 * it, and leaves it in y4. */
void ATTUNE_KERNEL(attune_tiny_g4)(const attune_tiny_tile *tile, const attune_tiny_layers *layers,
                                   float *sums, float *slopes);
/* y4 <- dy4 = a·GELU's derivative − b − c·y4 */
void ATTUNE_KERNEL(attune_tiny_dy4)(const attune_tiny_tile *tile, const attune_tiny_layers *layers,
                                    const float a[TINY_C2], const float b[TINY_C2],
                                    const float c[TINY_C2]);
/* dz3 (T, 32) of dy4 in y4; adds the sums of dz3 and of dz3·(y3 − mean) to sums (2, 32). */
void ATTUNE_KERNEL(attune_tiny_dz3)(float *dz3, const attune_tiny_tile *tile,
                                    const attune_tiny_layers *layers, const float mean[TINY_C1],
                                    float *sums);
/* The tile's rows of dy3 = a·dz3 + b − c·y3, and their share of the gradient of w3, by k, added
 * to sums (5, 32). */
void ATTUNE_KERNEL(attune_tiny_dy3)(const attune_tiny_tile *tile, const float *dz3,
                                    const float a[TINY_C1], const float b[TINY_C1],
                                    const float c[TINY_C1], float *sums);
/* From dy3, the gradients by z2 of the positions `first` − 1 and `count` on, count a multiple of
 * EXTRA: adds their sums, and those of products with k·g1 − mean, to sums (2, 32), and puts the
 * weighted sums over the channels into u (2 for each position), which starts at position -1. */
void ATTUNE_KERNEL(attune_tiny_dz2)(float *u, const attune_tiny_tile *tile,
                                    const attune_tiny_layers *layers, const float weight[TINY_C1],
                                    const float *g1, float mean, int first, int count, float *sums);
/* With dg1 = u − b − c·k·g1, the sums over the frame: of dz1, of dz1·(y1 − mean), and by tap of
 * dz1·x, (y1 − mean)·x and x: sums (2 + 15). */
void ATTUNE_KERNEL(attune_tiny_dw1)(double *sums, const attune_tiny_tile *tile,
                                    const attune_tiny_layers *layers, const float *u, float b,
                                    float c, float mean, int count);
#endif

#endif
