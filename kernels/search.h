/* search.h - what exact search among vectors does to every pair of them. On the CPU, whatever
 * device the network runs on.
 *
 * A nearness is larger the nearer two vectors are; what it is exactly is src/eval/pairs.h's. */
#ifndef ATTUNE_KERNELS_SEARCH_H
#define ATTUNE_KERNELS_SEARCH_H

#include <stddef.h>
#include <stdint.h>

enum {
    ATTUNE_SEARCH_PANEL = 32,      /* columns that lie together */
    ATTUNE_SEARCH_BLOCK = 64,      /* `count` of the functions below is a multiple of it */
    ATTUNE_SEARCH_PLACES = 4096,   /* bins of `place` */
    ATTUNE_SEARCH_CLOSE = 1 << 15, /* places from here on are of bins that have to be looked into */
    ATTUNE_SEARCH_COPIES = 4,
};

typedef struct attune_search_bins {
    float lowest, scale; /* value v is in bin (v - lowest) · scale, and the ends hold the rest */
    uint16_t place[ATTUNE_SEARCH_PLACES];
} attune_search_bins;

typedef struct attune_search {
    /* out (M, J) = bias (J) + a (M, K) · w (K, J), w in panels of 32 columns, J a multiple of them.
     */
    void (*product)(float *out, const float *a, const float *w, const float *bias, int M, int K,
                    int J);

    /* The indices of values (count) above `limit` go to out, which has room for all; their number
     * comes back. */
    uint32_t (*above)(uint32_t *out, const float *values, float limit, uint32_t count);

    /* The same of values above `low` and not above `high`; the number of those above `high` is
     * added to *beyond. */
    uint32_t (*between)(uint32_t *out, uint64_t *beyond, const float *values, float low, float high,
                        uint32_t count);

    /* Adds 1 to counts[place of each value], in any of the copies (ATTUNE_SEARCH_COPIES, stride):
     * one after the other, so that no addition waits for the last. Indices of values in bins that
     * are close go to `close` instead, and their number comes back. */
    uint32_t (*place)(uint32_t *counts, size_t stride, uint32_t *close,
                      const attune_search_bins *bins, const float *values, uint32_t count);

    /* Sum over values v (count) of sqrt(max(0, square - 2 v)). */
    double (*distances)(const float *values, float square, uint32_t count);
} attune_search;

#endif
