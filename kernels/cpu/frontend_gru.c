/* frontend_gru.c - AudioEmbeddingGRU's features: N samples of a frame in, 128 numbers out.
 *
 *   x (N) -> conv k7 s2 p3, 1 to 64 -> ReLU -> max of pairs -> m (N/4, 64)
 *         -> conv k5 s2 p2, 64 to 128 -> ReLU -> mean over the N/8 positions
 *
 * Positions are rows and channels columns, so both convolutions are plain matrix products: row i of
 * the left-hand side is the window of output i, consecutive in memory, and windows overlap by
 * striding less than their length. Nothing is copied. The baseline network is for comparison: no
 * effort beyond that. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <string.h>

enum {
    C1 = 64,
    C2 = 128,
    K1 = 7,
    K2 = 5,
    BLOCK = 64 /* rows at a time, so that they stay in L1 */
};

size_t ATTUNE_KERNEL(attune_frontend_gru_scratch)(const attune_network *network)
{
    /* padded samples, a block of outputs, and m with two rows of zeros before and behind */
    return (size_t)network->frame_size + 2 * ATTUNE_PAD + (size_t)BLOCK * C2 +
           ((size_t)network->frame_size / 4 + 4) * C1;
}

/* m (N/4, 64) from padded samples x, whose frame starts at x + 3. */
static void first_block(float *m, float *block, const float *x, const attune_cpu_weights *weights,
                        int N)
{
    for (int i = 0; i < N / 2; i += BLOCK) {
        ATTUNE_KERNEL(attune_matmul)
        (block, x + (size_t)2 * i, 2, weights->conv1, weights->conv1_bias, BLOCK, K1, C1);
        for (int r = 0; r < BLOCK; r += 2) {
            float *out = m + (size_t)(i + r) / 2 * C1;
            for (int c = 0; c < C1; c += W) {
                vf top = max_v(load(block + r * C1 + c), load(block + (r + 1) * C1 + c));
                store(out + c, max_v(top, broadcast(0.0f)));
            }
        }
    }
}

static void second_block(float *features, float *block, const float *m,
                         const attune_cpu_weights *weights, int N)
{
    const int positions = N / 8;
    memset(features, 0, C2 * sizeof(float));
    for (int i = 0; i < positions; i += BLOCK) {
        const int rows = positions - i < BLOCK ? positions - i : BLOCK;
        ATTUNE_KERNEL(attune_matmul)
        (block, m + (size_t)2 * i * C1, 2 * C1, weights->conv2, weights->conv2_bias, rows, K2 * C1,
         C2);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < C2; c += W) {
                vf y = max_v(load(block + r * C2 + c), broadcast(0.0f));
                store(features + c, load(features + c) + y);
            }
        }
    }
    for (int c = 0; c < C2; c++) {
        features[c] /= (float)positions;
    }
}

void ATTUNE_KERNEL(attune_frontend_gru)(float *features, const float *pcm,
                                        const attune_cpu_weights *weights, float *scratch, int F)
{
    const int N = weights->network.frame_size;
    float *x = scratch, *block = x + N + 2 * ATTUNE_PAD, *m = block + (size_t)BLOCK * C2;
    memset(x, 0, ((size_t)N + 2 * ATTUNE_PAD) * sizeof(float));
    memset(m, 0, ((size_t)N / 4 + 4) * C1 * sizeof(float));
    for (int f = 0; f < F; f++) {
        memcpy(x + 3, pcm + (size_t)f * weights->network.hop_size, (size_t)N * sizeof(float));
        first_block(m + 2 * C1, block, x, weights, N);
        second_block(features + (size_t)f * C2, block, m, weights, N);
    }
}
