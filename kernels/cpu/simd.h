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
#include <stdbool.h>
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

#define ATTUNE_GELU_SCALE 0.16433246f  /* the k of the exact GELU */
#define ATTUNE_QUICK_SCALE 0.21794692f /* of the quick one */

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

/* Lane i is lane `lane[i]` mod W of `from`. */
static inline vf permute(vf from, vi lane)
{
#if defined(__AVX512F__)
    return _mm512_permutexvar_ps((__m512i)lane, from);
#else
    vf to;
    for (int i = 0; i < W; i++) {
        to[i] = from[lane[i] & (W - 1)];
    }
    return to;
#endif
}

/* Those lanes of i with `bits` in which x >= limit. */
static inline vi or_where_reached(vi i, vf x, vf limit, int bits)
{
#if defined(__AVX512F__)
    const __mmask16 reached = _mm512_cmp_ps_mask(x, limit, _CMP_GE_OQ);
    return (vi)_mm512_mask_or_epi32((__m512i)i, reached, (__m512i)i, _mm512_set1_epi32(bits));
#else
    return i | ((x >= limit) & bits);
#endif
}

/* How many vectors are worth treating together, where one alone is a chain of dependent operations
 * longer than the processor looks ahead. */
enum { TOGETHER = W == 16 ? 4 : 2 };

/* for every i < n: statement. Unrolled, so that arrays of vectors stay in registers. */
#define ATTUNE_EACH(i, n, statement)                                                               \
    _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)                                         \
    {                                                                                              \
        statement;                                                                                 \
    }

#define ATTUNE_INLINE static inline __attribute__((always_inline))

/* What a GELU's arguments are given and its values taken in: see k below. */
static inline float gelu_scale(bool quick)
{
    return quick ? ATTUNE_QUICK_SCALE : ATTUNE_GELU_SCALE;
}

/* Exact GELU in units of 1/k, x <- k·(x/k)·Φ(x/k) with Φ the normal distribution function and k =
 * ATTUNE_GELU_SCALE: max(x, 0) − a·q(a)⁸, a = |x|, where q approximates the 8th root of Φ(−a/k),
 * which is so smooth that degree 7 is enough. k makes q monic, and its coefficients are adapted
 * (Knuth, TAOCP 4.6.4) so that half of them are added, on other ports than the multiply-adds: eight
 * multiplications. To 3.0e-7/k absolute: 1.1e-7 from the fit over a/k in [0, 5.6], the rest from
 * rounding; beyond, a·Φ(−a) is under 6e-8. Dropped: the 16th root of degree 5, ten multiplications,
 * 8.1e-7, 15 % slower; a polynomial for a·Φ(−a) itself, degree 14, fifteen, 9.4e-7; 16 quartics
 * looked up by permutation, 2.4e-7, as fast as ten.
 *
 * In ATTUNE_EXACT_STEPS steps, so that a caller can mix those of several vectors; the steps before
 * leave a, z and w to the next. */
enum { ATTUNE_EXACT_STEPS = 10 };
ATTUNE_INLINE void exact_step(vf *x, vf *a, vf *z, vf *w, int step)
{
    switch (step) {
    case 0:
        *a = min_v(abs_v(*x), broadcast(5.6f * ATTUNE_GELU_SCALE));
        break;
    case 1:
        *z = fma_v(*a, *a + broadcast(-1.1214813f), broadcast(-0.20997064f));
        break;
    case 2:
        *w = fma_v(*z, *a + broadcast(-0.28413865f), broadcast(1.0755211f));
        break;
    case 3:
        *z = *w + (*z + broadcast(-1.2040113f));
        break;
    case 4:
        *z = fma_v(*w, *z, broadcast(-0.24013963f));
        break;
    case 5:
        *z = fma_v(*z, *a, broadcast(0.91700518f));
        break;
    case 6: /* q² */
    case 7: /* q⁴ */
    case 8: /* q⁸ */
        *z = *z * *z;
        break;
    case 9:
        *x = fma_v(-*a, *z, relu_v(*x));
        break;
    default: /* not begun, or done */
        break;
    }
}

/* The same for precision fast, k = ATTUNE_QUICK_SCALE: the 4th root of degree 5, six
 * multiplications. To 2.5e-5/k absolute, and 1e-6/k in the mean over normally distributed x. */
enum { ATTUNE_QUICK_STEPS = 7 };
ATTUNE_INLINE void quick_step(vf *x, vf *a, vf *z, vf *w, int step)
{
    switch (step) {
    case 0:
        *a = min_v(abs_v(*x), broadcast(4.8f * ATTUNE_QUICK_SCALE));
        break;
    case 1:
        *w = fma_v(*a, *a + broadcast(-1.12965558f), broadcast(0.0568664711f));
        break;
    case 2:
        *z = fma_v(*w, *w + (*a + broadcast(-1.08145713f)), broadcast(0.818778698f));
        break;
    case 3:
        *z = fma_v(*z, *a, broadcast(-0.840627665f));
        break;
    case 4: /* q² */
    case 5: /* q⁴ */
        *z = *z * *z;
        break;
    case 6:
        *x = fma_v(-*a, *z, relu_v(*x));
        break;
    default: /* not begun, or done */
        break;
    }
}

static inline int gelu_steps(bool quick)
{
    return quick ? ATTUNE_QUICK_STEPS : ATTUNE_EXACT_STEPS;
}

ATTUNE_INLINE void gelu_step(vf *x, vf *a, vf *z, vf *w, int step, bool quick)
{
    if (quick) {
        quick_step(x, a, z, w, step);
    } else {
        exact_step(x, a, z, w, step);
    }
}

/* f(i) for i from 0 to n − 1, at most 19 or 39, spelled out: clang does not unroll the loops. */
#define ATTUNE_AT(f, i, n)                                                                         \
    if ((i) < (n)) {                                                                               \
        f(i);                                                                                      \
    }
#define ATTUNE_AT_5(f, i, n)                                                                       \
    ATTUNE_AT(f, i, n)                                                                             \
    ATTUNE_AT(f, i + 1, n) ATTUNE_AT(f, i + 2, n) ATTUNE_AT(f, i + 3, n) ATTUNE_AT(f, i + 4, n)
#define ATTUNE_AT_20(f, i, n)                                                                      \
    ATTUNE_AT_5(f, i, n)                                                                           \
    ATTUNE_AT_5(f, i + 5, n) ATTUNE_AT_5(f, i + 10, n) ATTUNE_AT_5(f, i + 15, n)
#define ATTUNE_AT_40(f, n) ATTUNE_AT_20(f, 0, n) ATTUNE_AT_20(f, 20, n)

/* GELU of n <= 16 vectors, each two steps behind the one before it: a step waits for the one
 * before, and the processor does not look ahead far enough to fill the wait by itself. First what
 * is done at time t, then all. */
#define ATTUNE_ONE(i) gelu_step(x + (i), a + (i), z + (i), w + (i), t - 2 * (i), quick)
#define ATTUNE_STEP(t) gelu_at(x, a, z, w, n, t, quick)
ATTUNE_INLINE void gelu_at(vf *x, vf *a, vf *z, vf *w, int n, int t, bool quick)
{
    ATTUNE_AT_20(ATTUNE_ONE, 0, n);
}

ATTUNE_INLINE void gelu_n(vf *x, int n, bool quick)
{
    vf a[16], z[16], w[16];
    const int steps = gelu_steps(quick) + 2 * (n - 1);
#if defined(__clang__)
    ATTUNE_AT_40(ATTUNE_STEP, steps);
#else /* whose loop is 6 % faster than the same spelled out */
    _Pragma("GCC unroll 40") for (int t = 0; t < steps; t++)
    {
        ATTUNE_EACH(i, n, gelu_step(x + i, a + i, z + i, w + i, t - 2 * i, quick))
    }
#endif
}
#undef ATTUNE_ONE
#undef ATTUNE_STEP

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
