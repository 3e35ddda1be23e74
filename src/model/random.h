/* random.h - SplitMix64 (Steele, Lea and Flood, 2014): random numbers that are the same on every
 * machine, from 8 bytes of state that a checkpoint can hold. */
#ifndef ATTUNE_SRC_MODEL_RANDOM_H
#define ATTUNE_SRC_MODEL_RANDOM_H

#include <stdint.h>

#ifdef __CUDACC__
#define ATTUNE_ANYWHERE __host__ __device__ /* also where GPUs compute */
#else
#define ATTUNE_ANYWHERE
#endif

typedef struct attune_random {
    uint64_t state; /* a seed, to begin with */
} attune_random;

#define ATTUNE_RANDOM_STEP 0x9e3779b97f4a7c15u

/* The finaliser: 64 well-mixed bits of a counter. */
static inline ATTUNE_ANYWHERE uint64_t attune_random_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline uint64_t attune_random_bits(attune_random *random)
{
    return attune_random_mix(random->state += ATTUNE_RANDOM_STEP);
}

/* [0, 1), of 53 bits. */
static inline double attune_random_uniform(attune_random *random)
{
    return (double)(attune_random_bits(random) >> 11) * 0x1p-53;
}

/* 0 to n - 1, each equally likely to within n / 2^32; n at least 1. */
static inline uint32_t attune_random_below(attune_random *random, uint32_t n)
{
    return (uint32_t)((attune_random_bits(random) >> 32) * n >> 32);
}

/* A generator of its own for one thing among many (an epoch, a clip), whatever was drawn before. */
static inline attune_random attune_random_of(uint64_t seed, uint64_t index)
{
    return (attune_random){attune_random_mix(seed + ATTUNE_RANDOM_STEP * (index + 1))};
}

#endif
