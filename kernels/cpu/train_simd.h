/* train_simd.h - what training asks of vectors beside simd.h: GELU's slope, and sums of many. */
#ifndef ATTUNE_KERNELS_CPU_TRAIN_SIMD_H
#define ATTUNE_KERNELS_CPU_TRAIN_SIMD_H

#include "kernels/cpu/simd.h"

/* a and b, folded: every run of 2h lanes of each is added up to h, and a's stand before b's. */
#if defined(__AVX512F__)
#define ATTUNE_FOLD_8(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +        \
        __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30,    \
                                31)
#define ATTUNE_FOLD_4(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +      \
        __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31)
#define ATTUNE_FOLD_2(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +      \
        __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define ATTUNE_FOLD_1(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +     \
        __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31)
#elif ATTUNE_VECTOR_BYTES == 32
#define ATTUNE_FOLD_4(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) +                                      \
        __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#define ATTUNE_FOLD_2(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +                                      \
        __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define ATTUNE_FOLD_1(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +                                     \
        __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#else
#define ATTUNE_FOLD_2(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7)
#define ATTUNE_FOLD_1(a, b)                                                                        \
    __builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7)
#endif

/* The sums of W vectors: lane i is the sum of x[i]'s lanes. x is overwritten. */
ATTUNE_INLINE vf sums_v(vf *x)
{
#if defined(__AVX512F__)
    ATTUNE_EACH(i, 8, x[i] = ATTUNE_FOLD_8(x[i], x[i + 8]))
#endif
#if ATTUNE_VECTOR_BYTES >= 32
    ATTUNE_EACH(i, 4, x[i] = ATTUNE_FOLD_4(x[i], x[i + 4]))
#endif
    ATTUNE_EACH(i, 2, x[i] = ATTUNE_FOLD_2(x[i], x[i + 2]))
    return ATTUNE_FOLD_1(x[0], x[1]);
}

/* z <- Φ(−a/k), a <- min(|x|, 5.6k) of n <= TOGETHER vectors: GELU's steps but its last. */
ATTUNE_INLINE void tail_n(vf *z, vf *a, vf *x, int n)
{
    vf w[TOGETHER];
#define ATTUNE_TAIL(step) ATTUNE_EACH(i, n, exact_step(x + i, a + i, z + i, w + i, step))
    ATTUNE_TAIL(0)
    ATTUNE_TAIL(1)
    ATTUNE_TAIL(2) ATTUNE_TAIL(3) ATTUNE_TAIL(4) ATTUNE_TAIL(5) ATTUNE_TAIL(6) ATTUNE_TAIL(7)
        ATTUNE_TAIL(8)
#undef ATTUNE_TAIL
}

/* GELU's derivative beside it: x as gelu_n leaves it, slope <- Φ(x/k) + x/k·φ(x/k), in no units.
 * For negative arguments that is Φ(−a)·(1 − a·λ(a)), λ = φ(a)/Φ(−a), and the second factor is so
 * smooth that degree 6 is enough; 1/2 less the derivative is odd. To 9e-7 absolute. */
ATTUNE_INLINE void gelu_slope_n(vf *x, vf *slope, int n)
{
    vf a[TOGETHER], z[TOGETHER], m[TOGETHER];
    tail_n(z, a, x, n);
    ATTUNE_EACH(i, n, m[i] = fma_v(broadcast(5.3963294f), a[i], broadcast(-20.2941799f)))
    ATTUNE_EACH(i, n, m[i] = fma_v(m[i], a[i], broadcast(29.8369312f)))
    ATTUNE_EACH(i, n, m[i] = fma_v(m[i], a[i], broadcast(-24.8426723f)))
    ATTUNE_EACH(i, n, m[i] = fma_v(m[i], a[i], broadcast(-23.5687332f)))
    ATTUNE_EACH(i, n, m[i] = fma_v(m[i], a[i], broadcast(-4.85499096f)))
    ATTUNE_EACH(i, n, m[i] = fma_v(m[i], a[i], broadcast(0.999991357f)))
    ATTUNE_EACH(i, n, m[i] = fma_v(-z[i], m[i], broadcast(0.5f)))
    ATTUNE_EACH(i, n, slope[i] = broadcast(0.5f) + (vf)((vi)m[i] ^ ((vi)x[i] & INT32_MIN)))
    ATTUNE_EACH(i, n, x[i] = fma_v(-a[i], z[i], relu_v(x[i])))
}

#endif
