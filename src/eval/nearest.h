/* nearest.h - the exact nearest rows of rows, and what follows from them: hubs, and genres by vote.
 *
 * Nearest first, rows of equal distance by number; a row is no neighbour of itself. */
#ifndef ATTUNE_SRC_EVAL_NEAREST_H
#define ATTUNE_SRC_EVAL_NEAREST_H

#include "eval/pairs.h"
#include "store/heap.h"

#include <stdbool.h>

#define ATTUNE_NO_ROW UINT32_MAX

typedef struct attune_nearest {
    const attune_pairs *pairs;
    const bool *among; /* (n), borrowed, or NULL: only rows for which it is true are found */
    uint32_t K, count;
    uint32_t *lists; /* (count, K): of each query the K nearest, ATTUNE_NO_ROW: there are no more */
    double *means;   /* (count): the mean distance to all other rows, also those not `among` */
    uint32_t *place; /* (n): of a row in `lists`, ATTUNE_NO_ROW: it is no query */
    struct attune_nearest_slot *slots;
    attune_near *heaps; /* (slots, K) */
    uint32_t *near;     /* by thread: (block) */
} attune_nearest;

/* Queries (count): each row at most once; NULL: all rows. Means are kept if they are wanted. On
 * failure there is nothing to close, and closing is harmless. */
attune_status attune_nearest_open(attune_nearest *out, const attune_pairs *pairs,
                                  const uint32_t *queries, uint32_t count, uint32_t K,
                                  const bool *among, bool means);
void attune_nearest_close(attune_nearest *nearest); /* NULL-safe; also of {0} */

/* What finds them: lists and means are there after attune_pairs_visit. */
attune_pairs_visitor attune_nearest_visitor(attune_nearest *nearest);

/* lists (n, K): of each row the K nearest, where nothing else is looked for; K below n. */
attune_status attune_nearest_find(uint32_t *lists, const attune_pairs *pairs, uint32_t K);

/* How evenly rows are others' neighbours. */
typedef struct attune_hubness {
    double skew;      /* of how many lists a row stands in: 0 even, above 1 there are hubs */
    double orphans;   /* share of the rows that stand in none */
    uint32_t largest; /* lists that the greatest hub stands in */
} attune_hubness;

/* Of lists (n, K). */
attune_status attune_hubness_measure(attune_hubness *out, const uint32_t *lists, uint32_t n,
                                     uint32_t K);

/* out (n, K): the K nearest rows by Mutual Proximity (Schnitzer et al. 2012) with independent
 * normal distributions: P(X > d) · P(Y > d), X and Y with mean and deviation of the distances that
 * either row has to all others. `nearest` has been visited, of all rows, with means. */
attune_status attune_mutual_proximity(uint32_t *out, const attune_nearest *nearest);

#endif
