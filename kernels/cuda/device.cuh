/* device.cuh - what the CUDA kernels share: launching, scalar functions, tensor-core operations.
 *
 * Kernels are also compiled by a C++ compiler, against tests/emulate/emulator.h, which runs a
 * block's threads one after the other; so every line of inline assembly stands here, beside the
 * name of the function that the emulator provides instead. */
#ifndef ATTUNE_KERNELS_CUDA_DEVICE_CUH
#define ATTUNE_KERNELS_CUDA_DEVICE_CUH

#include "kernels/cuda/cuda.h"

#ifdef __CUDACC__
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define ATTUNE_LAUNCH(kernel, grid, block, stream, ...)                                            \
    kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__)
#else
#include "tests/emulate/emulator.h"
#endif

#include <math.h>
#include <stdint.h>

enum { WARP = 32 };
#define ATTUNE_ALL_LANES 0xffffffffu

#ifdef __CUDACC__
/* max(x, y), and NaN where either is: fmaxf would make a number of it, and a wrong embedding. */
static __device__ __forceinline__ float larger(float x, float y)
{
    float most;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(most) : "f"(x), "f"(y));
    return most;
}
#endif

/* Φ(−a) of a from 0 to 5.8, so that GELU is exact, x·Φ(x), to 4.6e-7 absolute: q(a)^32, and
 * kernels/cpu/simd.h says how q was fitted. 10 issue slots in the multiply-add pipe, none in the
 * special-function unit. */
static __device__ __forceinline__ float gelu_tail(float a)
{
    float q = -1.3068581e-05f;
    q = fmaf(q, a, 2.4974663e-04f);
    q = fmaf(q, a, -8.9720066e-04f);
    q = fmaf(q, a, -9.4179790e-03f);
    q = fmaf(q, a, -2.4401953e-02f);
    q = fmaf(q, a, 9.7857220e-01f);
    q = q * q; /* 2 */
    q = q * q; /* 4 */
    q = q * q; /* 8 */
    q = q * q; /* 16 */
    return q * q;
}

/* max(x, 0) − a·Φ(−a), a = |x|: another slot, and 2 for minimum and maximum. */
static __device__ __forceinline__ float gelu(float x)
{
    const float a = fminf(fabsf(x), 5.8f);
    return fmaf(-a, gelu_tail(a), larger(x, 0.0f));
}

#ifdef __CUDACC__
/* 1/d to 1 unit in the last place for d from 1 to 2^126, NaN for NaN; division has a slow path for
 * other d, which costs registers where they are short. */
static __device__ __forceinline__ float reciprocal(float d)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(d));
    return fmaf(y, fmaf(-d, y, 1.0f), y);
}

/* tanh to 2^-11 relative, one special-function instruction. */
static __device__ __forceinline__ float tanh_approximate(float x)
{
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Two halves in one register, `first` in the low bits, rounded to nearest. */
static __device__ __forceinline__ uint32_t pack_halves(float first, float second)
{
    const __half2 pair = __floats2half2_rn(first, second);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

static __device__ __forceinline__ float2 unpack_halves(uint32_t pair)
{
    return __half22float2(*reinterpret_cast<const __half2 *>(&pair));
}

/* d (16, 8) += a (16, 16) · b (16, 8), halves with float sums, by a warp. Lane 4·g + t holds of a:
 * (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8), each with its right neighbour; of b: (2t, g),
 * (2t + 8, g), each with the one below; of d: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
 */
static __device__ __forceinline__ void multiply_16x8x16(float d[4], const uint32_t a[4],
                                                        uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Starts a copy of 16 bytes from global to shared memory, which takes no register. */
static __device__ __forceinline__ void copy_async(float4 *shared, const float4 *global)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     static_cast<unsigned>(__cvta_generic_to_shared(shared))),
                 "l"(global)
                 : "memory");
}

/* Waits for this thread's copies; the others' need a barrier behind it. */
static __device__ __forceinline__ void wait_for_copies(void)
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}
#endif

/* σ(x) to 1e-7; e^x is the device library's, 2 units in the last place. Not fminf, which would lose
 * a NaN. */
static __device__ __forceinline__ float sigmoid(float x)
{
    return reciprocal(1.0f + expf(x < -80.0f ? 80.0f : -x));
}

/* tanh to 1e-7 absolute. */
static __device__ __forceinline__ float tangent(float x)
{
    return 1.0f - 2.0f * reciprocal(1.0f + expf(x > 40.0f ? 80.0f : 2.0f * x));
}

#endif
