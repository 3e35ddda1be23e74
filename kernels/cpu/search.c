/* search.c - exact search: products, and what is done to each of them.
 *
 * Of the n values of a query few matter. So each function compares a vector at a time, and writes
 * indices of what is left. */
#include "kernels/search.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum { BLOCK = ATTUNE_SEARCH_BLOCK, COPIES = ATTUNE_SEARCH_COPIES };

static void product(float *out, const float *a, const float *w, const float *bias, int M, int K,
                    int J)
{
    ATTUNE_KERNEL(attune_matmul)(out, a, (size_t)K, w, bias, M, K, J);
}

/* A bit for each lane in which a > b. */
static inline uint32_t lanes_above(vf a, vf b)
{
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
#elif ATTUNE_VECTOR_BYTES == 32
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
#else
    uint32_t bits = 0;
    for (int i = 0; i < W; i++) {
        bits |= (uint32_t)(a[i] > b[i]) << i;
    }
    return bits;
#endif
}

/* The indices of bits, from `first` on, go to out + found; the new number of those found. */
static inline uint32_t write_lanes(uint32_t *out, uint32_t found, uint64_t bits, uint32_t first)
{
    for (; bits; bits &= bits - 1) {
        out[found++] = first + (uint32_t)__builtin_ctzll(bits);
    }
    return found;
}

static uint32_t above(uint32_t *out, const float *values, float limit, uint32_t count)
{
    uint32_t found = 0;
    const vf least = broadcast(limit);
    for (uint32_t first = 0; first < count; first += BLOCK) {
        uint64_t bits = 0;
        for (int i = 0; i < BLOCK; i += W) {
            bits |= (uint64_t)lanes_above(load(values + first + i), least) << i;
        }
        found = write_lanes(out, found, bits, first);
    }
    return found;
}

static uint32_t between(uint32_t *out, uint64_t *beyond, const float *values, float low, float high,
                        uint32_t count)
{
    uint32_t found = 0, all = 0;
    const vf least = broadcast(low), most = broadcast(high);
    for (uint32_t first = 0; first < count; first += BLOCK) {
        uint64_t bits = 0, past = 0;
        for (int i = 0; i < BLOCK; i += W) {
            const vf x = load(values + first + i);
            bits |= (uint64_t)lanes_above(x, least) << i;
            past |= (uint64_t)lanes_above(x, most) << i;
        }
        all += (uint32_t)__builtin_popcountll(past);
        found = write_lanes(out, found, bits & ~past, first);
    }
    *beyond += all;
    return found;
}

static uint32_t place(uint32_t *counts, size_t stride, uint32_t *close,
                      const attune_search_bins *bins, const float *values, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        int32_t bin[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            bin[i] = attune_search_bin(bins, values[first + (uint32_t)i]);
        }
        for (int i = 0; i < BLOCK; i++) {
            uint32_t at = bins->place[bin[i]];
            if (__builtin_expect(at >= ATTUNE_SEARCH_CLOSE, 0)) {
                at = attune_search_settle(bins, at, values[first + (uint32_t)i]);
                if (at >= ATTUNE_SEARCH_CLOSE) {
                    close[found++] = first + (uint32_t)i;
                    continue;
                }
            }
            counts[(size_t)(i % COPIES) * stride + at]++;
        }
    }
    return found;
}

static uint32_t beyond(uint32_t *counts, uint32_t *close, const float *steps, float margin,
                       uint32_t few, const float *values, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        vf x[BLOCK / W];
        uint64_t near = 0;
        for (int i = 0; i < BLOCK / W; i++) {
            x[i] = load(values + first + i * W);
        }
        for (uint32_t s = 0; s < few; s++) {
            const vf high = broadcast(steps[s] + margin), low = broadcast(steps[s] - margin);
            uint64_t past = 0, from = 0;
            for (int i = 0; i < BLOCK / W; i++) {
                past |= (uint64_t)lanes_above(x[i], high) << (i * W);
                from |= (uint64_t)lanes_above(x[i], low) << (i * W);
            }
            counts[s] += (uint32_t)__builtin_popcountll(past);
            near |= from & ~past;
        }
        found = write_lanes(close, found, near, first);
    }
    return found;
}

static double distances(const float *values, float square, uint32_t count)
{
    enum { LANES = BLOCK / 4 };
    const vf whole = broadcast(square), zero = broadcast(0), two = broadcast(2);
    double sums[LANES] = {0}, all = 0;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        float roots[BLOCK];
        for (int i = 0; i < BLOCK; i += W) {
            store(roots + i, max_v(whole - two * load(values + first + i), zero));
        }
        for (int i = 0; i < BLOCK; i++) {
            roots[i] = sqrtf(roots[i]);
        }
        for (int j = 0; j < LANES; j++) { /* of four each: f32 does not drown in more */
            sums[j] +=
                (double)(roots[j] + roots[j + LANES] + roots[j + 2 * LANES] + roots[j + 3 * LANES]);
        }
    }
    for (int j = 0; j < LANES; j++) {
        all += sums[j];
    }
    return all;
}

const attune_search ATTUNE_KERNEL(attune_search) = {
    .product = product,
    .above = above,
    .between = between,
    .place = place,
    .beyond = beyond,
    .distances = distances,
};
