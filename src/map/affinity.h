/* affinity.h - how much of a neighbour each row is to others: t-SNE's matrix P, sparse and
 * symmetric.
 *
 * Each row spreads 1 over its nearest rows by a normal distribution whose width makes them as many
 * as the perplexity says; the mean of both ways round, divided by n, sums to 1 over all pairs. */
#ifndef ATTUNE_SRC_MAP_AFFINITY_H
#define ATTUNE_SRC_MAP_AFFINITY_H

#include "eval/pairs.h"

typedef struct attune_affinity {
    uint32_t n;
    uint64_t *first;  /* (n + 1): where a row's entries begin */
    uint32_t *column; /* (first[n]), in order within a row */
    float *value;     /* (first[n]) */
} attune_affinity;

/* lists (n, K): attune_nearest_find's of all rows, K below n. On failure there is nothing to close.
 */
attune_status attune_affinity_open(attune_affinity *out, const attune_pairs *pairs,
                                   const uint32_t *lists, uint32_t K, double perplexity);
void attune_affinity_close(attune_affinity *affinity); /* NULL-safe; also of {0} */

#endif
