/* slot.cuh - where things stand in a slot, which holds one track's state (cuda.h), and in the
 * scratch. */
#ifndef ATTUNE_KERNELS_CUDA_SLOT_CUH
#define ATTUNE_KERNELS_CUDA_SLOT_CUH

#include "kernels/cuda/device.cuh"

/* Offsets in floats; passed by value. */
struct slot_layout {
    size_t stride; /* from one slot to the next */
    int layers, H;
};

static inline slot_layout layout_of(const attune_network &network)
{
    return {attune_cuda_slot_bytes(&network) / sizeof(float), network.layers, network.hidden};
}

/* `floats` rounded up to where the next array of the scratch may start. */
static inline size_t align_floats(size_t floats)
{
    const size_t unit = ATTUNE_CUDA_ALIGN / sizeof(float);
    return (floats + unit - 1) / unit * unit;
}

/* GRU state of one layer (H). */
static __host__ __device__ __forceinline__ size_t slot_state(const slot_layout &l, uint32_t slot,
                                                             int layer)
{
    return l.stride * slot + static_cast<size_t>(layer) * l.H;
}

/* The pooled sum (H), and behind it what that lost to rounding (H). */
static __host__ __device__ __forceinline__ size_t slot_pooled(const slot_layout &l, uint32_t slot)
{
    return slot_state(l, slot, l.layers);
}

/* The largest score, the sum of weights, and what that lost. */
static __host__ __device__ __forceinline__ size_t slot_scalars(const slot_layout &l, uint32_t slot)
{
    return slot_state(l, slot, l.layers + 2);
}

#endif
