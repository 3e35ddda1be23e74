/* gap.h - how many clusters there are, by the gap statistic (Tibshirani, Walther and Hastie 2001).
 *
 * Clusters are worth more the more rows lie nearer to their centres than rows without clusters
 * would: rows of a uniform distribution over the same box, which lies along the principal axes. The
 * number of clusters is the smallest k whose gap between the two is not below that of k + 1 by more
 * than its standard error. */
#ifndef ATTUNE_SRC_MAP_GAP_H
#define ATTUNE_SRC_MAP_GAP_H

#include "attune/status.h"
#include "kernels/cpu/team.h"

#include <stdint.h>

enum {
    ATTUNE_GAP_MOST = 32,       /* clusters looked for at most */
    ATTUNE_GAP_REFERENCES = 10, /* sets of uniform rows */
    ATTUNE_GAP_ROWS = 2000,     /* of more rows, as many are drawn */
    ATTUNE_GAP_STARTS = 2,      /* of each k-means */
};

/* Of vectors (n, E), n at least 1. gaps (ATTUNE_GAP_MOST) and errors may be NULL; they are filled
 * from k = 1 to *K + 1 or the most there can be, and are NAN beyond. */
attune_status attune_gap_find(uint32_t *K, double *gaps, double *errors, const float *vectors,
                              uint32_t n, uint32_t E, uint64_t seed, attune_team *team);

#endif
