/* frontend_gru.cuh - what AudioEmbeddingGRU's front ends share, of embedding and of training: the
 * second convolution, of a tile of positions at a time. */
#ifndef ATTUNE_KERNELS_CUDA_FRONTEND_GRU_CUH
#define ATTUNE_KERNELS_CUDA_FRONTEND_GRU_CUH

#include "kernels/cuda/device.cuh"

enum {
    C1 = 64,
    C2 = 128,
    K1 = 7,
    K2 = 5,
    TILE = 16,                 /* positions of the second convolution; N/8 is a multiple of 32 */
    ROWS = 2 * (TILE - 1) + K2 /* of m, its input, that a tile's windows cover */
};

/* sum = one output at a tile's positions: over taps, then channels. weight (5, 64, 128), from that
 * output on. */
static __device__ __forceinline__ void convolve(float sum[TILE], const float4 m[ROWS][C1 / 4],
                                                const float *__restrict__ weight, float bias)
{
#pragma unroll
    for (int p = 0; p < TILE; p++) {
        sum[p] = bias;
    }
    for (int k = 0; k < K2; k++) {
        for (int c = 0; c < C1 / 4; c++) {
            const float *w = weight + (k * C1 + 4 * c) * C2;
            const float w0 = w[0], w1 = w[C2], w2 = w[2 * C2], w3 = w[3 * C2];
#pragma unroll
            for (int p = 0; p < TILE; p++) {
                const float4 v = m[2 * p + k][c];
                sum[p] = fmaf(w0, v.x, sum[p]);
                sum[p] = fmaf(w1, v.y, sum[p]);
                sum[p] = fmaf(w2, v.z, sum[p]);
                sum[p] = fmaf(w3, v.w, sum[p]);
            }
        }
    }
}

#endif
