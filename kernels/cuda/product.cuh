/* product.cuh - a tile of a matrix product in f32: 64 rows by 64 columns by 256 threads, 4 by 4
 * each.
 *
 * The left-hand side is (rows, K), K a multiple of 16, the right-hand side (K, stride) in whole
 * tiles of columns. An element is summed over k upwards from where its sum starts, wherever in a
 * tile it stands. Not on tensor cores, whose order of summation is theirs; and the product is no
 * bottleneck. */
#ifndef ATTUNE_KERNELS_CUDA_PRODUCT_CUH
#define ATTUNE_KERNELS_CUDA_PRODUCT_CUH

#include "kernels/cuda/device.cuh"

enum {
    PRODUCT_THREADS = 256,
    PRODUCT_TILE = ATTUNE_CUDA_TILE, /* rows and columns */
    PRODUCT_DEPTH = 16,              /* of K at a time in shared memory */
    PRODUCT_EACH = 4,                /* rows and columns of a thread */
    PRODUCT_ACROSS = PRODUCT_TILE / PRODUCT_EACH,
};

struct product_memory {
    float4 left[PRODUCT_DEPTH]
               [PRODUCT_TILE / 4 + 1]; /* transposed; padded against bank conflicts */
    float4 right[PRODUCT_DEPTH][PRODUCT_TILE / 4];
};

/* The first of the four rows and of the four columns of this thread within a tile. */
static __device__ __forceinline__ int product_row(void)
{
    return threadIdx.x / PRODUCT_ACROSS * PRODUCT_EACH;
}

static __device__ __forceinline__ int product_column(void)
{
    return threadIdx.x % PRODUCT_ACROSS * PRODUCT_EACH;
}

/* Rows from `row` on, depths from k on, of the left-hand side; columns from `column` on of the
 * right. */
static __device__ __forceinline__ void product_load(product_memory &to, const float *left,
                                                    const float *right, size_t row, size_t rows,
                                                    int column, int k, int K, int stride)
{
    const int r = threadIdx.x / 4, depth = threadIdx.x % 4 * 4;
    float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (row + r < rows) {
        v = *reinterpret_cast<const float4 *>(left + (row + r) * K + k + depth);
    }
    const float each[4] = {v.x, v.y, v.z, v.w};
    for (int i = 0; i < 4; i++) {
        reinterpret_cast<float *>(to.left[depth + i])[r] = each[i];
    }
    const int across = threadIdx.x % PRODUCT_ACROSS, down = threadIdx.x / PRODUCT_ACROSS;
    to.right[down][across] = *reinterpret_cast<const float4 *>(
        right + static_cast<size_t>(k + down) * stride + column + 4 * across);
}

/* sum += what `memory` holds of both sides, for this thread's rows and columns. */
template <typename Memory>
static __device__ __forceinline__ void product_multiply(float sum[PRODUCT_EACH][PRODUCT_EACH],
                                                        const Memory &memory)
{
#pragma unroll
    for (int d = 0; d < PRODUCT_DEPTH; d++) {
        const float4 a = memory.left[d][product_row() / 4];
        const float4 b = memory.right[d][product_column() / 4];
        const float x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
        for (int r = 0; r < PRODUCT_EACH; r++) {
            for (int c = 0; c < PRODUCT_EACH; c++) {
                sum[r][c] = fmaf(x[r], y[c], sum[r][c]);
            }
        }
    }
}

/* sum += left · right for this thread's rows and columns. All threads of the block call it. */
static __device__ __forceinline__ void product_tile(float sum[PRODUCT_EACH][PRODUCT_EACH],
                                                    product_memory &memory, const float *left,
                                                    const float *right, size_t row, size_t rows,
                                                    int column, int K, int stride)
{
    for (int k = 0; k < K; k += PRODUCT_DEPTH) {
        product_load(memory, left, right, row, rows, column, k, K, stride);
        __syncthreads();
        product_multiply(sum, memory);
        __syncthreads();
    }
}

/* Every row's sums start from the columns' biases. */
static __device__ __forceinline__ void product_begin(float sum[PRODUCT_EACH][PRODUCT_EACH],
                                                     const float *bias, int column)
{
    for (int c = 0; c < PRODUCT_EACH; c++) {
        const float b = bias[column + product_column() + c];
        for (int r = 0; r < PRODUCT_EACH; r++) {
            sum[r][c] = b;
        }
    }
}

#endif
