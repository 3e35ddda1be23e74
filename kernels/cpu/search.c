/* search.c - exact search: products, and what is done to each of them.
 *
 * Of the n values of a query few matter. So each function passes over blocks that a vector at a
 * time can be seen to hold nothing, and writes indices of what is left. */
#include "kernels/search.h"
#include "kernels/cpu/cpu.h"

#include <math.h>

enum { BLOCK = ATTUNE_SEARCH_BLOCK, COPIES = ATTUNE_SEARCH_COPIES };

static void product(float *out, const float *a, const float *w, const float *bias, int M, int K,
                    int J)
{
    ATTUNE_KERNEL(attune_matmul)(out, a, (size_t)K, w, bias, M, K, J);
}

static uint32_t above(uint32_t *out, const float *values, float limit, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        int any = 0;
        for (uint32_t i = first; i < first + BLOCK; i++) {
            any |= values[i] > limit;
        }
        for (uint32_t i = first; any && i < first + BLOCK; i++) {
            out[found] = i;
            found += values[i] > limit;
        }
    }
    return found;
}

static uint32_t between(uint32_t *out, uint64_t *beyond, const float *values, float low, float high,
                        uint32_t count)
{
    uint32_t found = 0, all = 0;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        int any = 0;
        for (uint32_t i = first; i < first + BLOCK; i++) {
            any |= (values[i] > low) & (values[i] <= high);
            all += values[i] > high;
        }
        for (uint32_t i = first; any && i < first + BLOCK; i++) {
            out[found] = i;
            found += (values[i] > low) & (values[i] <= high);
        }
    }
    *beyond += all;
    return found;
}

static uint32_t place(uint32_t *counts, size_t stride, uint32_t *close,
                      const attune_search_bins *bins, const float *values, uint32_t count)
{
    uint32_t found = 0;
    const float lowest = bins->lowest, scale = bins->scale;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        int32_t bin[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            float x = (values[first + (uint32_t)i] - lowest) * scale;
            x = x > 0 ? x : 0;
            x = x < ATTUNE_SEARCH_PLACES - 1 ? x : ATTUNE_SEARCH_PLACES - 1;
            bin[i] = (int32_t)x;
        }
        for (int i = 0; i < BLOCK; i++) {
            const uint32_t at = bins->place[bin[i]];
            if (__builtin_expect(at >= ATTUNE_SEARCH_CLOSE, 0)) {
                close[found++] = first + (uint32_t)i;
            } else {
                counts[(size_t)(i % COPIES) * stride + at]++;
            }
        }
    }
    return found;
}

static double distances(const float *values, float square, uint32_t count)
{
    double all = 0;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        float sums[BLOCK / 4] = {0}; /* of four each: f32 does not drown in more */
        for (uint32_t i = first; i < first + BLOCK; i += BLOCK / 4) {
            for (uint32_t j = 0; j < BLOCK / 4; j++) {
                const float squared = square - 2 * values[i + j];
                sums[j] += sqrtf(squared > 0 ? squared : 0);
            }
        }
        for (int j = 0; j < BLOCK / 4; j++) {
            all += (double)sums[j];
        }
    }
    return all;
}

const attune_search ATTUNE_KERNEL(attune_search) = {
    .product = product,
    .above = above,
    .between = between,
    .place = place,
    .distances = distances,
};
