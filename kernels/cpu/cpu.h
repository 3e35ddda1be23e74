/* cpu.h - the CPU kernels' weights, scratch and contracts; private to kernels/cpu.
 *
 * Every kernel exists once per instruction set, under its name with the set's behind it. Matrix products take
 * their right-hand side in panels: columns [p·P, (p+1)·P) of a (K, J) matrix as one block (K, P), zero-padded
 * to whole panels, so that the inner loop reads memory forwards. */
#ifndef ATTUNE_KERNELS_CPU_CPU_H
#define ATTUNE_KERNELS_CPU_CPU_H

#include "kernels/kernels.h"

#include <stddef.h>

enum {
    ATTUNE_MATMUL_PANEL = 32, /* P of matmul */
    ATTUNE_PAD = 16,          /* floats that a kernel may read beside a row of samples, set to 0 */
};

/* J rounded up to whole panels: the row stride of what matmul writes. */
static inline size_t attune_panels(size_t J)
{
    return (J + ATTUNE_MATMUL_PANEL - 1) / ATTUNE_MATMUL_PANEL * ATTUNE_MATMUL_PANEL;
}

/* One GRU layer, I inputs. Gates r, z, n beside each other. */
typedef struct attune_cpu_gru {
    int inputs;
    const float *input;       /* matmul panels of (I, 3H) */
    const float *input_bias;  /* (panels(3H)): b_i, and b_h added for r and z */
    const float *hidden;      /* matvec panels of (H, 3H) */
    const float *hidden_bias; /* (3H padded): 0 for r and z, b_hn */
} attune_cpu_gru;

typedef struct attune_cpu_weights {
    attune_network network;
    /* AudioEmbeddingTiny */
    float conv0[5], conv0_bias;
    const float *point1, *point1_bias; /* (32) each */
    const float *depth2, *depth2_bias; /* (32, 5), (32) */
    const float *point3, *point3_bias; /* (8, 32, 8): eight outputs beside each other; (64) */
    /* AudioEmbeddingGRU */
    const float *conv1, *conv1_bias; /* panels of (7, 64); (64) */
    const float *conv2, *conv2_bias; /* panels of (5·64, 128), rows tap-major; (128) */
    attune_cpu_gru gru[8];
    const float *attention, *attention_bias; /* panels of (H, A); (panels(A)) */
    const float *score;                      /* (panels(A)), zero-padded */
    float score_bias;
    const float *project1, *project1_bias; /* (P, H), (P) */
    const float *project2, *project2_bias; /* (E, P), (E) */
    float *arena;
} attune_cpu_weights;

/* Packs a model's parameters; `matvec_panel` is the instruction set's. */
attune_status attune_cpu_pack(attune_cpu_weights *weights, const attune_model *model, int matvec_panel);

/* Floats of 64-byte aligned memory, zeroed; free() frees it. NULL when there is none. */
float *attune_cpu_allocate(size_t count);

/* The kernels of one instruction set. */
#define ATTUNE_CPU_KERNELS(isa)                                                                    \
    /* out (M, stride panels(J)) = bias + a · w, with a (M, K) of row stride a_stride, w panels of (K, J).      \
     * Every element is summed over k upwards from the bias, whatever M is. */                     \
    void attune_matmul_##isa(float *out, const float *a, size_t a_stride, const float *w,          \
                             const float *bias, int M, int K, int J);                              \
    /* features (F, 64) of AudioEmbeddingTiny. scratch: attune_frontend_tiny_scratch floats. */    \
    void attune_frontend_tiny_##isa(float *features, const float *pcm,                             \
                                    const attune_cpu_weights *weights, float *scratch, int F);     \
    size_t attune_frontend_tiny_scratch_##isa(const attune_network *network);                      \
    /* features (F, 128) of AudioEmbeddingGRU. */                                                  \
    void attune_frontend_gru_##isa(float *features, const float *pcm,                              \
                                   const attune_cpu_weights *weights, float *scratch, int F);      \
    size_t attune_frontend_gru_scratch_##isa(const attune_network *network);                       \
    /* T steps of one layer: out (T, H) and state h (H) from gates (T, panels(3H)), the inputs' share of the    \
     * gates. scratch: 3H + 256 floats. out must not overlap gates. */                             \
    void attune_gru_##isa(float *out, float *h, const float *gates, const attune_cpu_gru *layer,   \
                          float *scratch, int T, int H);                                           \
    int attune_gru_panel_##isa(void); /* columns in a panel of attune_cpu_gru.hidden */            \
    /* scores (T) of states h (T, H): w·tanh(W h + b) + c. scratch: (T, panels(A)). */             \
    void attune_attention_##isa(float *scores, const float *h, const attune_cpu_weights *weights,  \
                                float *scratch, int T);                                            \
    extern const attune_kernels attune_kernels_##isa

#ifdef ATTUNE_ISA
#define ATTUNE_CPU_KERNELS_OF(isa) ATTUNE_CPU_KERNELS(isa)
ATTUNE_CPU_KERNELS_OF(ATTUNE_ISA);
#endif

#endif
