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

#if defined(__AVX512F__)
#define ATTUNE_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define ATTUNE_VECTOR_BYTES 32
#else
#define ATTUNE_VECTOR_BYTES 16
#endif

enum { W = ATTUNE_VECTOR_BYTES / 4 }; /* floats in a vector */

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

/* Exact GELU, x·Φ(x) with Φ the normal distribution function: max(x, 0) − a·q(a)¹⁶, a = |x|, where
 * q approximates the 16th root of Φ(−a), which is so smooth that degree 5 is enough. To 8.1e-7
 * absolute: 5.5e-7 from the fit over [0, 5.8], the rest from rounding. Beyond, a·Φ(−a) is under
 * 2e-8. Ten multiplications. Dropped: a polynomial for a·Φ(−a) itself, degree 14, fifteen
 * multiplications, 9.4e-7 and 17 % slower; the 32nd root, eleven, 4.6e-7, 4 % slower; 16 quartics
 * looked up by permutation, 2.4e-7, 1 % slower, and both ways by turns, 1 % faster. */
static inline vf gelu_v(vf x)
{
    vf a = min_v(abs_v(x), broadcast(5.8f));
    vf q = broadcast(-4.5520297e-05f);
    q = fma_v(q, a, broadcast(6.9223664e-04f));
    q = fma_v(q, a, broadcast(-1.3962454e-03f));
    q = fma_v(q, a, broadcast(-1.7767154e-02f));
    q = fma_v(q, a, broadcast(-4.7779847e-02f));
    q = fma_v(q, a, broadcast(9.5760570e-01f));
    q = q * q; /* 2 */
    q = q * q; /* 4 */
    q = q * q; /* 8 */
    q = q * q; /* 16 */
    return fma_v(-a, q, max_v(x, broadcast(0.0f)));
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
