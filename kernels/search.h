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
    ATTUNE_SEARCH_MOST = ATTUNE_SEARCH_CLOSE - 1,
    ATTUNE_SEARCH_COPIES = 8,
};

/* Values are put in places between steps, which go downwards: place i is below i of them. */
typedef struct attune_search_bins {
    float lowest, scale; /* value v is in bin (v - lowest) · scale, and the ends hold the rest */
    const float *steps;  /* (their number + 1), -inf the last */
    float margin;        /* values nearer to a step than this are close */
    /* Of a bin without a step: the place of its values. Of others: CLOSE + the number of steps
     * above the bin; CLOSE + MOST for any bin of more than 15 bits. */
    uint16_t place[ATTUNE_SEARCH_PLACES];
} attune_search_bins;

/* Of a value in a bin with a step, mostly one: its place if it is beyond doubt, otherwise `at`. */
static inline uint32_t attune_search_settle(const attune_search_bins *bins, uint32_t at,
                                            float value)
{
    const uint32_t next = at - ATTUNE_SEARCH_CLOSE;
    if (next == ATTUNE_SEARCH_MOST) {
        return at;
    }
    const float *steps = bins->steps + next;
    return value > steps[0] + bins->margin                                      ? next
           : value < steps[0] - bins->margin && value > steps[1] + bins->margin ? next + 1
                                                                                : at;
}

/* A value's bin. */
static inline int32_t attune_search_bin(const attune_search_bins *bins, float value)
{
    float x = (value - bins->lowest) * bins->scale;
    x = x > 0 ? x : 0;
    x = x < ATTUNE_SEARCH_PLACES - 1 ? x : ATTUNE_SEARCH_PLACES - 1;
    return (int32_t)x;
}

/* Its place; ATTUNE_SEARCH_CLOSE or more where it is close. */
static inline uint32_t attune_search_place(const attune_search_bins *bins, float value)
{
    const uint32_t at = bins->place[attune_search_bin(bins, value)];
    return at < ATTUNE_SEARCH_CLOSE ? at : attune_search_settle(bins, at, value);
}

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
     * one after the other, so that no addition waits for the last. Indices of values that are close
     * to a step, or in a bin with several, go to `close` instead, and their number comes back. */
    uint32_t (*place)(uint32_t *counts, size_t stride, uint32_t *close,
                      const attune_search_bins *bins, const float *values, uint32_t count);

    /* The same for a few steps (few), each of which all values are compared with: adds to counts[i]
     * how many are above steps[i] + margin, those that are close to another step included. */
    uint32_t (*beyond)(uint32_t *counts, uint32_t *close, const float *steps, float margin,
                       uint32_t few, const float *values, uint32_t count);

    /* Sum over values v (count) of sqrt(max(0, square - 2 v)). */
    double (*distances)(const float *values, float square, uint32_t count);
} attune_search;

#endif
