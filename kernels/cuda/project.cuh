/* project.cuh - a matrix times a vector by one block, a warp per output: its lanes read a row of
 * weights side by side and add up in one fixed tree. */
#ifndef ATTUNE_KERNELS_CUDA_PROJECT_CUH
#define ATTUNE_KERNELS_CUDA_PROJECT_CUH

#include "kernels/cuda/device.cuh"

enum { PROJECT_THREADS = 256 };

/* Sum over a warp, the same in every lane. */
static __device__ __forceinline__ float sum_lanes(float x)
{
    for (int other = WARP / 2; other > 0; other /= 2) {
        x += __shfl_xor_sync(ATTUNE_ALL_LANES, x, other);
    }
    return x;
}

/* out (J) = weight (J, K) · in (K) + bias, by all warps of the block. */
static __device__ void project(float *out, const float *in, const float *__restrict__ weight,
                               const float *__restrict__ bias, int J, int K)
{
    const int lane = threadIdx.x % WARP;
    for (int j = threadIdx.x / WARP; j < J; j += PROJECT_THREADS / WARP) {
        float sum = 0;
        for (int k = lane; k < K; k += WARP) {
            sum = fmaf(weight[static_cast<size_t>(j) * K + k], in[k], sum);
        }
        sum = sum_lanes(sum);
        if (lane == 0) {
            out[j] = sum + bias[j];
        }
    }
    __syncthreads();
}

#endif
