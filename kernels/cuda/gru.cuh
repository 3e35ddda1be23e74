/* gru.cuh - what the recurrences share, of embedding and of training: for H = 128, where a thread
 * keeps one column of a matrix in registers, its products with vectors in shared memory. */
#ifndef ATTUNE_KERNELS_CUDA_GRU_CUH
#define ATTUNE_KERNELS_CUDA_GRU_CUH

#include "kernels/cuda/device.cuh"

enum {
    H128 = 128,
    H_MAX = 1024, /* of any other H */
};

/* sum[s] += column · vector s, summed over k upwards, of SIDE vectors STRIDE float4 apart. The
 * threads of a warp read the same words, as broadcasts. */
template <int SIDE, int STRIDE>
static __device__ __forceinline__ void add_products(float sum[SIDE], const float column[H128],
                                                    const float4 *vectors)
{
#pragma unroll
    for (int k = 0; k < H128 / 4; k++) {
#pragma unroll
        for (int s = 0; s < SIDE; s++) {
            const float4 v = vectors[s * STRIDE + k];
            sum[s] = fmaf(column[4 * k], v.x, sum[s]);
            sum[s] = fmaf(column[4 * k + 1], v.y, sum[s]);
            sum[s] = fmaf(column[4 * k + 2], v.z, sum[s]);
            sum[s] = fmaf(column[4 * k + 3], v.w, sum[s]);
        }
    }
}

#endif
