/* emulator.h - enough of CUDA to run this project's kernels without a GPU: a C++ compiler compiles
 * their own source against this header.
 *
 * A block's threads are fibers, one running at a time, until it ends or waits for others at a
 * barrier or a warp's operation; a warp runs as far as it can before the next one does. So shared
 * memory written without a barrier before it is read shows as a wrong result, every time; a barrier
 * that not all threads reach ends the program with a message. Blocks run one after the other, their
 * threads forwards in even blocks and backwards in odd ones. Between blocks shared memory is filled
 * with NaN.
 *
 * What it cannot show: memory ordering within a warp beyond that, bank conflicts, speed.
 * Tensor-core sums are modelled as worse than the hardware's are known to be: see multiply_16x8x16.
 */
#ifndef ATTUNE_TESTS_EMULATOR_H
#define ATTUNE_TESTS_EMULATOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("attune_shared")))

struct float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};

static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

struct dim3 {
    uint32_t x, y, z;
    dim3(uint32_t x_ = 1, uint32_t y_ = 1, uint32_t z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

/* Of the thread that runs. */
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

enum { cudaSuccess = 0 };

static inline int cudaGetLastError(void)
{
    return cudaSuccess;
}

/* Runs `thread` for every thread of every block. */
void emulate_launch(dim3 grid, dim3 block, const std::function<void()> &thread);

#define ATTUNE_LAUNCH(kernel, grid, block, stream, ...)                                            \
    ((void)(stream), emulate_launch((grid), (block), [&] { kernel(__VA_ARGS__); }))

void __syncthreads(void);
void __syncwarp(void);
float __shfl_sync(uint32_t lanes, float value, int from);
float __shfl_xor_sync(uint32_t lanes, float value, int mask);

/* device.cuh's. */
float larger(float x, float y);
float reciprocal(float d);
float tanh_approximate(float x);
uint32_t pack_halves(float first, float second);
float2 unpack_halves(uint32_t pair);
void multiply_16x8x16(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1);
void copy_async(float4 *shared, const float4 *global);
void wait_for_copies(void);

#endif
