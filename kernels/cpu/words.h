/* words.h - vectors of 16-bit integers, for the kernels in fixed point: AVX-512 with words. */
#ifndef ATTUNE_KERNELS_CPU_WORDS_H
#define ATTUNE_KERNELS_CPU_WORDS_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512i vw; /* 32 int16 or 16 int32 */

/* acc + a · b, products of int16 summed in pairs */
static inline vw dot(vw acc, vw a, vw b)
{
#ifdef __AVX512VNNI__
    /* GCC 12 surrounds the intrinsic with copies that cost a fifth. */
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return acc;
#else
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
#endif
}

static inline vw pair_of(int32_t x)
{
    return _mm512_set1_epi32(x);
}

static inline vw word(int x)
{
    return _mm512_set1_epi16((short)x);
}

#endif
