/* simd.h - one vector of floats, as wide as the instruction set that this file is compiled for.
 *
 * GCC's and clang's vector extensions give + - * / and bit operations on every target; only what
 * they lack (fused multiply-add, minimum, maximum) is spelled per instruction set. Multiply-adds
 * are fused only where fma() says so (-ffp-contract=off), so a value does not depend on how the
 * compiler arranged a loop. */
#ifndef ATTUNE_KERNELS_CPU_SIMD_H
#define ATTUNE_KERNELS_CPU_SIMD_H

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define ATTUNE_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define ATTUNE_VECTOR_BYTES 32
#else
#define ATTUNE_VECTOR_BYTES 16
#endif

enum { W = ATTUNE_VECTOR_BYTES / 4 }; /* floats in a vector */

#define ATTUNE_GELU_SCALE 0.16433246f /* the k of gelu_n */

typedef float vf __attribute__((vector_size(ATTUNE_VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(ATTUNE_VECTOR_BYTES)));
typedef float vf_unaligned __attribute__((vector_size(ATTUNE_VECTOR_BYTES), aligned(4), may_alias));

static inline vf load(const float *p)
{
    return *(const vf_unaligned *)p;
}

static inline void store(float *p, vf v)
{
    *(vf_unaligned *)p = v;
}

static inline vf broadcast(float x)
{
    return x - (vf){0}; /* x - 0 keeps every x, -0 included */
}

/* One float of memory in all lanes. As floats, AVX-512's would take a shuffle beside the load on
 * Zen 4; as integers it is the load alone. */
static inline vf spread(const float *p)
{
#if defined(__AVX512F__)
    int32_t bits;
    memcpy(&bits, p, sizeof(bits));
    return (vf)_mm512_set1_epi32(bits);
#else
    return broadcast(*p);
#endif
}

#if defined(__AVX512F__)
static inline vf fma_v(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf min_v(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vf max_v(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
#elif ATTUNE_VECTOR_BYTES == 32
static inline vf fma_v(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf min_v(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vf max_v(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
#else
static inline vf fma_v(vf a, vf b, vf c)
{
    return a * b + c;
}
static inline vf select_v(vi mask, vf a, vf b)
{
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}
static inline vf min_v(vf a, vf b)
{
    return select_v(a < b, a, b);
}
static inline vf max_v(vf a, vf b)
{
    return select_v(a > b, a, b);
}
#endif

static inline vf abs_v(vf a)
{
    return (vf)((vi)a & 0x7fffffff);
}

/* Sum of the lanes in a fixed order, pairwise. */
static inline float sum_v(vf a)
{
    float lane[W];
    store(lane, a);
    for (int n = W / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
            lane[i] += lane[i + n];
        }
    }
    return lane[0];
}

/* max(x, 0) as integers: on the ports that the multiply-adds leave free. */
static inline vf relu_v(vf x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_epi32((__m512i)x, _mm512_setzero_si512());
#elif ATTUNE_VECTOR_BYTES == 32
    return (vf)_mm256_max_epi32((__m256i)x, _mm256_setzero_si256());
#else
    return (vf)((vi)x & ~((vi)x >> 31));
#endif
}

/* How many vectors are worth treating in step, where one alone is a chain of dependent operations
 * longer than the processor looks ahead; as many as the registers hold. */
enum { TOGETHER = W == 16 ? 4 : 2 };

/* for every i < n: statement. Unrolled, so that arrays of vectors stay in registers. */
#define ATTUNE_EACH(i, n, statement)                                                               \
    _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)                                         \
    {                                                                                              \
        statement;                                                                                 \
    }

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
static inline __attribute__((always_inline)) vf sums_v(vf *x)
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

/* Φ(−a/k) of n <= TOGETHER vectors, a = min(|x|, 5.6k): see gelu_n. */
static inline __attribute__((always_inline)) void tail_n(vf *z, vf *a, const vf *x, int n)
{
    vf w[TOGETHER];
    ATTUNE_EACH(i, n, a[i] = min_v(abs_v(x[i]), broadcast(5.6f * ATTUNE_GELU_SCALE)))
    ATTUNE_EACH(i, n, z[i] = fma_v(a[i], a[i] + broadcast(-1.1214813f), broadcast(-0.20997064f)))
    ATTUNE_EACH(i, n, w[i] = fma_v(z[i], a[i] + broadcast(-0.28413865f), broadcast(1.0755211f)))
    ATTUNE_EACH(i, n, z[i] = w[i] + (z[i] + broadcast(-1.2040113f)))
    ATTUNE_EACH(i, n, z[i] = fma_v(w[i], z[i], broadcast(-0.24013963f)))
    ATTUNE_EACH(i, n, z[i] = fma_v(z[i], a[i], broadcast(0.91700518f)))
    ATTUNE_EACH(i, n, z[i] = z[i] * z[i]) /* q² */
    ATTUNE_EACH(i, n, z[i] = z[i] * z[i]) /* q⁴ */
    ATTUNE_EACH(i, n, z[i] = z[i] * z[i]) /* q⁸ */
}

/* Exact GELU of n <= TOGETHER vectors in units of 1/k, x <- k·(x/k)·Φ(x/k) with Φ the normal
 * distribution function and k = ATTUNE_GELU_SCALE: max(x, 0) − a·q(a)⁸, a = |x|, where q
 * approximates the 8th root of Φ(−a/k), which is so smooth that degree 7 is enough. k makes q
 * monic, and its coefficients are adapted (Knuth, TAOCP 4.6.4) so that half of them are added, on
 * other ports than the multiply-adds: eight multiplications. To 3.0e-7/k absolute: 1.1e-7 from the
 * fit over a/k in [0, 5.6], the rest from rounding; beyond, a·Φ(−a) is under 6e-8. Dropped: the
 * 16th root of degree 5, ten multiplications, 8.1e-7, 15 % slower; a polynomial for a·Φ(−a) itself,
 * degree 14, fifteen, 9.4e-7; 16 quartics looked up by permutation, 2.4e-7, as fast as ten; one
 * vector at a time, 9 %. */
static inline __attribute__((always_inline)) void gelu_n(vf *x, int n)
{
    vf a[TOGETHER], z[TOGETHER];
    tail_n(z, a, x, n);
    ATTUNE_EACH(i, n, x[i] = fma_v(-a[i], z[i], relu_v(x[i])))
}

/* GELU's derivative beside it: x as gelu_n leaves it, slope <- Φ(x/k) + x/k·φ(x/k), in no units.
 * For negative arguments that is Φ(−a)·(1 − a·λ(a)), λ = φ(a)/Φ(−a), and the second factor is so
 * smooth that degree 6 is enough; 1/2 less the derivative is odd. To 9e-7 absolute. */
static inline __attribute__((always_inline)) void gelu_slope_n(vf *x, vf *slope, int n)
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

/* e^x to about 1e-7 relative for |x| ≤ 87, clamped beyond: 2^n · e^r with |r| ≤ ln(2)/2 and e^r by
 * its series to r^7. */
static inline vf exp_v(vf x)
{
    const vf magic = broadcast(12582912.0f); /* 1.5·2^23: adding it rounds to an integer */
    x = min_v(max_v(x, broadcast(-87.0f)), broadcast(87.0f));
    vf t = fma_v(x, broadcast(1.44269504f), magic);
    vf n = t - magic;
    vf r = fma_v(n, broadcast(-0.693359375f), x);
    r = fma_v(n, broadcast(2.12194440e-4f), r);
    vf p = broadcast(1.0f / 5040);
    p = fma_v(p, r, broadcast(1.0f / 720));
    p = fma_v(p, r, broadcast(1.0f / 120));
    p = fma_v(p, r, broadcast(1.0f / 24));
    p = fma_v(p, r, broadcast(1.0f / 6));
    p = fma_v(p, r, broadcast(0.5f));
    p = fma_v(p, r, broadcast(1.0f));
    p = fma_v(p, r, broadcast(1.0f));
    return (vf)((vi)p + ((vi)t << 23));
}

static inline vf sigmoid_v(vf x)
{
    return 1.0f / (1.0f + exp_v(-x));
}

static inline vf tanh_v(vf x)
{
    return 1.0f - 2.0f / (exp_v(2.0f * x) + 1.0f);
}

#endif
