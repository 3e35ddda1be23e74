/* pairs.h - every row of an embedding against every other: fast in f32, exact where it matters.
 *
 * Rows are moved so that their mean is 0, which leaves distances as they are, and scaled so that
 * the longest has length 1. The nearness of rows a and b is then a·b - |b|²/2, which is
 * (|a|² - d²)/2: for one a it orders all b by their distance d, and for all b at once it is a
 * matrix product. In f32 it is wrong by less than `margin`; whoever needs to tell two rows that are
 * closer than that asks attune_pairs_squared. Memory: one copy of the rows. */
#ifndef ATTUNE_SRC_EVAL_PAIRS_H
#define ATTUNE_SRC_EVAL_PAIRS_H

#include "attune/status.h"
#include "kernels/cpu/team.h"
#include "kernels/search.h"

#include <stdbool.h>

typedef struct attune_pairs {
    const float *vectors; /* (n, E), borrowed */
    uint32_t n, E;
    attune_team *team; /* borrowed */
    const attune_search *search;
    double scale;   /* what the longest row's length was */
    double margin;  /* of a nearness */
    float *rows;    /* (n, E), moved and scaled */
    float *panels;  /* the same in panels of columns, the last filled up with rows of nearness -inf
                     */
    float *bias;    /* (n, filled up): -|b|²/2 */
    double *square; /* (n): |a|² */
} attune_pairs;

/* All components must be finite. On failure there is nothing to close, and closing is harmless. */
attune_status attune_pairs_open(attune_pairs *pairs, const float *vectors, uint32_t n, uint32_t E,
                                attune_team *team);
void attune_pairs_close(attune_pairs *pairs); /* NULL-safe; also of {0} */

/* The squared distance of rows a and b, not scaled, in double; the same for (b, a). */
double attune_pairs_squared(const attune_pairs *pairs, uint32_t a, uint32_t b);

/* The nearness to row a of a row at a squared distance. */
static inline double attune_pairs_nearness(const attune_pairs *pairs, uint32_t a, double squared)
{
    return (pairs->square[a] - squared / (pairs->scale * pairs->scale)) / 2;
}

/* Rows of 4,096 bytes and their multiples would fall into the same sets of a cache. */
enum { ATTUNE_PAIRS_SLOTS = 64, ATTUNE_PAIRS_BLOCK = 960 };

/* What is done with each row as a query. Its calls come from one thread: begin, then `take` for
 * each block of rows upwards, then end. `slot` is what keeps it apart from others under way: below
 * attune_pairs_slots. Of values (count rounded up to whole ATTUNE_SEARCH_BLOCK), those beyond
 * `count` are -inf. */
typedef struct attune_pairs_visitor {
    void *data;
    bool below; /* wants only blocks with rows before the query or itself; may get others */
    attune_status (*begin)(void *data, uint32_t query, uint32_t slot); /* may be NULL */
    void (*take)(void *data, uint32_t query, uint32_t slot, const float *values, uint32_t first,
                 uint32_t count);
    void (*end)(void *data, uint32_t query, uint32_t slot); /* may be NULL */
} attune_pairs_visitor;

uint32_t attune_pairs_slots(const attune_pairs *pairs);

/* Takes visitors (count) together through every pair of rows: they share the product, which is most
 * of the work. One thread has all of a piece of ATTUNE_PAIRS_SLOTS rows, from a multiple of it. */
attune_status attune_pairs_visit(const attune_pairs *pairs, const attune_pairs_visitor *visitors,
                                 uint32_t count);

/* A block rounded up to whole ATTUNE_SEARCH_BLOCK, as the functions of kernels/search.h want it. */
static inline uint32_t attune_pairs_padded(uint32_t count)
{
    return (count + ATTUNE_SEARCH_BLOCK - 1) / ATTUNE_SEARCH_BLOCK * ATTUNE_SEARCH_BLOCK;
}

#endif
