/* nearest.h - the exact nearest rows of rows, and what follows from them: hubs, and genres by vote.
 *
 * Nearest first, rows of equal distance by number; a row is no neighbour of itself. */
#ifndef ATTUNE_SRC_EVAL_NEAREST_H
#define ATTUNE_SRC_EVAL_NEAREST_H

#include "eval/pairs.h"

#include <stdbool.h>

#define ATTUNE_NO_ROW UINT32_MAX

/* out (count, K): of each query the K nearest rows, ATTUNE_NO_ROW where there are no more. queries
 * NULL: all rows. `among` (n) or NULL: only rows for which it is true are found. means (count) may
 * be NULL: the mean distance to all other rows, whatever `among` says. */
attune_status attune_nearest_find(uint32_t *out, double *means, const attune_pairs *pairs,
                                  const uint32_t *queries, uint32_t count, uint32_t K,
                                  const bool *among);

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
 * either row has to all others. lists (n, K) and means (n) are attune_nearest_find's of all rows.
 */
attune_status attune_mutual_proximity(uint32_t *out, const attune_pairs *pairs,
                                      const uint32_t *lists, const double *means, uint32_t K);

#endif
