/* cpu.h - the CPU kernels' weights, scratch and contracts; private to kernels/cpu.
 *
 * Every kernel exists once per instruction set, under its name with the set's behind it. Matrix
 * products take their right-hand side in panels: columns [p·P, (p+1)·P) of a (K, J) matrix as one
 * block (K, P), zero-padded to whole panels, so that the inner loop reads memory forwards. */
#ifndef ATTUNE_KERNELS_CPU_CPU_H
#define ATTUNE_KERNELS_CPU_CPU_H

#include "kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ATTUNE_MATMUL_PANEL = 32, /* P of matmul */
    ATTUNE_PAD = 16,          /* floats that a kernel may read beside a row of samples, set to 0 */
    ATTUNE_LANES = 4,         /* tracks in step */
    ATTUNE_FIXED_PANEL = 64,
    ATTUNE_FIXED_ROWS = 16,
    ATTUNE_CURVE_CHANNELS = 32,
    ATTUNE_CURVES = 16,
};

/* J rounded up to whole panels: the row stride of what matmul writes. */
static inline size_t attune_panels(size_t J)
{
    return (J + ATTUNE_MATMUL_PANEL - 1) / ATTUNE_MATMUL_PANEL * ATTUNE_MATMUL_PANEL;
}

/* The left side (M, K) of a product: element (m, k) is at[m * row + k * column]. One of the strides
 * is 1: column of a matrix as it stands, row of its transpose. */
typedef struct attune_left {
    const float *at;
    size_t row, column;
} attune_left;

/* The right side (K, J): columns [p·P, (p+1)·P) of row k are P floats at at[p * panel + k * row].
 * Panels have row = P, panel = K·P; a matrix as it stands has panel = P. */
typedef struct attune_right {
    const float *at;
    size_t row, panel;
} attune_right;

/* A matrix (K, J) and a bias for products with GRU states, in fixed point: panels of
 * ATTUNE_FIXED_PANEL columns, each (K / 2, panel) pairs of words. `product` makes out (M, stride) =
 * bias + rows · matrix, M at most ATTUNE_FIXED_ROWS; NULL where the matrix stays in f32. */
typedef struct attune_fixed_matrix attune_fixed_matrix;
typedef void attune_fixed_product(float *out, size_t stride, const float *const *rows,
                                  const attune_fixed_matrix *matrix, int M);
struct attune_fixed_matrix {
    attune_fixed_product *product;
    int K, J;
    const int32_t *weight; /* in units of `unit` */
    const float *unit;     /* (J), what a weight of 1 times a state of 1 is worth */
    const float *bias;     /* (J) */
};

/* One GRU layer, I inputs. Gates r, z, n beside each other. */
typedef struct attune_cpu_gru {
    int inputs;
    const float *input;       /* matmul panels of (I, 3H) */
    const float *input_bias;  /* (panels(3H)): b_i, and b_h added for r and z */
    const float *hidden;      /* matvec panels of (H, 3H) */
    const float *hidden_bias; /* (3H padded): 0 for r and z, b_hn */
    attune_fixed_matrix fixed_input, fixed_hidden;
} attune_cpu_gru;

/* Channels' gelu(scale · g + bias) as functions of g, both in gelu_n's unit: from knot[i] to
 * knot[i + 1], i of ATTUNE_CURVES, quartics in g − middle[i], constant term first. Interval 0
 * begins at the least value that GELU has; knots behind the last are infinite. */
typedef struct attune_curves {
    float knot[2 * ATTUNE_CURVES], middle[ATTUNE_CURVES];
    float quartic[ATTUNE_CURVE_CHANNELS][5][ATTUNE_CURVES];
} attune_curves;

/* False if the channels are too different for an error below 5e-7 of GELU, whose own in gelu_n is
 * 3e-7. */
bool attune_curves_fit(attune_curves *to, const float *scale, const float *bias);

typedef struct attune_cpu_weights {
    attune_network network;
    /* AudioEmbeddingTiny */
    bool quick; /* the front end's GELU is simd.h's for precision fast */
    float conv0[5], conv0_bias;
    const float *point1, *point1_bias; /* (32) each */
    const attune_curves *curves;       /* of point1; NULL where it is not by curves */
    const float *depth2, *depth2_bias; /* (32, 5), (32) */
    const float *point3, *point3_bias; /* (16, 32, 4): four outputs beside each other; (64) */
    const float *point3_sums_bias;     /* (64): less a·b; NULL where products are not by sums */
    /* AudioEmbeddingGRU */
    const float *conv1, *conv1_bias; /* panels of (7, 64); (64) */
    const float *conv2, *conv2_bias; /* panels of (5·64, 128), rows tap-major; (128) */
    attune_cpu_gru gru[8];
    const float *attention, *attention_bias; /* panels of (H, A); (panels(A)) */
    attune_fixed_matrix fixed_attention;
    const float *score; /* (panels(A)), zero-padded */
    float score_bias;
    const float *project1, *project1_bias; /* (P, H), (P) */
    const float *project2, *project2_bias; /* (E, P), (E) */
    float *arena;
} attune_cpu_weights;

/* What packing depends on: the instruction set's. */
typedef struct attune_cpu_layout {
    int matvec_panel; /* columns in a panel of attune_cpu_gru.hidden */
    bool adders;      /* pairs of products are made by sums where attune_by_sums says so */
    bool quick;       /* the front end's GELU is simd.h's for precision fast */
    bool curves;      /* AudioEmbeddingTiny's first pointwise product is by attune_curves */
    attune_fixed_product *product; /* of precision fast; NULL for f32 */
} attune_cpu_layout;

typedef struct attune_cpu_sequence attune_cpu_sequence;

attune_status attune_cpu_pack(attune_cpu_weights *weights, const attune_model *model,
                              attune_cpu_layout layout);

/* Where a processor adds beside its multiply-adds, two products of the 32 to 64 product can be made
 * by two additions and one multiply-add (Winograd 1968):
 *
 *   x·a + y·b = (x + b)·(y + a) − x·y − a·b
 *
 * with x·y shared by all outputs, and a·b taken into the bias. Done for two pairs of channels of
 * three, additions and multiply-adds are equally many. True if pair `pair` of 16 is one of them.
 *
 * What is added and taken away again is rounded: no larger than the products are where |x| and |a|
 * are alike, but lost beside an x or a of thousands. So it is done only for frames and weights
 * below ATTUNE_SUMS_MAX, ten times what music reaches. */
#define ATTUNE_SUMS_MAX 4.0f
static inline bool attune_by_sums(int pair)
{
    return pair % 3 != 2 && pair < 15;
}

/* Floats of 64-byte aligned memory, zeroed; free() frees it. NULL when there is none. */
float *attune_cpu_allocate(size_t count);

/* The tables, and, for a file that is compiled once per instruction set, that set's kernels. */
extern const attune_kernels attune_kernels_baseline, attune_kernels_avx2, attune_kernels_avx512,
    attune_kernels_avx512amd;

extern const attune_resampling attune_resampling_baseline, attune_resampling_avx2,
    attune_resampling_avx512, attune_resampling_avx512amd;

extern const attune_search attune_search_baseline, attune_search_avx2, attune_search_avx512,
    attune_search_avx512amd;

#ifdef ATTUNE_ISA
#ifndef ATTUNE_ADDERS
#define ATTUNE_ADDERS 0 /* 1: products are made by sums, see attune_by_sums */
#endif
#define ATTUNE_JOIN_(a, b) a##_##b
#define ATTUNE_JOIN(a, b) ATTUNE_JOIN_(a, b)
/* The name of a kernel in this instruction set: attune_gru_avx2. */
#define ATTUNE_KERNEL(name) ATTUNE_JOIN(name, ATTUNE_ISA)

/* out (M, J), rows out_stride apart, = a · b, plus bias (J) where it is not NULL. Every element is
 * summed over k upwards from the bias, whatever M and J are. Beyond column J, b is read up to its
 * last panel's end, and nothing is written. */
void ATTUNE_KERNEL(attune_product)(float *out, size_t out_stride, attune_left a, attune_right b,
                                   const float *bias, int M, int K, int J);

/* out (M, stride panels(J)) = bias + a · w, with a (M, K) of row stride a_stride, w panels of
 * (K, J). Every element is summed over k upwards from the bias, whatever M is. */
void ATTUNE_KERNEL(attune_matmul)(float *out, const float *a, size_t a_stride, const float *w,
                                  const float *bias, int M, int K, int J);

/* features (F, 64) of AudioEmbeddingTiny, or (F, 128) of AudioEmbeddingGRU; hop and N are the
 * network's. `scratch` holds as many floats as the _scratch function says. */
void ATTUNE_KERNEL(attune_frontend_tiny)(float *features, const float *pcm,
                                         const attune_cpu_weights *weights, float *scratch, int F);
size_t ATTUNE_KERNEL(attune_frontend_tiny_scratch)(const attune_network *network);
void ATTUNE_KERNEL(attune_frontend_gru)(float *features, const float *pcm,
                                        const attune_cpu_weights *weights, float *scratch, int F);
size_t ATTUNE_KERNEL(attune_frontend_gru_scratch)(const attune_network *network);

/* T steps of one layer for B tracks, 1 to ATTUNE_LANES: out (B, T, H) and the tracks' states h[b]
 * (H) from gates (B, T, panels(3H)), the inputs' share of the gates. scratch: B times 3H + 256
 * floats. A track's values do not depend on B. */
void ATTUNE_KERNEL(attune_gru)(float *out, float *const *h, const float *gates,
                               const attune_cpu_gru *layer, float *scratch, int B, int T, int H);
/* Columns in a panel of attune_cpu_gru.hidden. */
int ATTUNE_KERNEL(attune_gru_panel)(void);

/* scores (T) of states h (T, H): w·tanh(W h + b) + c. scratch: (T, panels(A)). */
void ATTUNE_KERNEL(attune_attention)(float *scores, const float *h,
                                     const attune_cpu_weights *weights, float *scratch, int T);

/* The sequence stage of a context: the tracks in its slots and its scratch. The functions are those
 * of kernels.h. On failure *out is NULL. */
attune_status ATTUNE_KERNEL(attune_sequence_open)(attune_cpu_sequence **out,
                                                  const attune_cpu_weights *weights);
void ATTUNE_KERNEL(attune_sequence_close)(attune_cpu_sequence *sequence); /* NULL-safe */
void ATTUNE_KERNEL(attune_sequence_begin)(attune_cpu_sequence *sequence, uint32_t slot);
void ATTUNE_KERNEL(attune_sequence_run)(attune_cpu_sequence *sequence, const float *features,
                                        const attune_segment *segments, uint32_t count);
attune_status ATTUNE_KERNEL(attune_sequence_finish)(attune_cpu_sequence *sequence, float *embedding,
                                                    uint32_t slot);
#endif

#endif
