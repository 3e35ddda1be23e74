/* statistics.h - how sure a share is, and whether two differ. All intervals are of 95 %. */
#ifndef ATTUNE_SRC_EVAL_STATISTICS_H
#define ATTUNE_SRC_EVAL_STATISTICS_H

#include "attune/status.h"

#include <stdint.h>

typedef struct attune_interval {
    double low, high; /* NaN where there is none */
} attune_interval;

#define ATTUNE_NO_INTERVAL ((attune_interval){.low = (double)NAN, .high = (double)NAN})

/* Wilson's, for `correct` (a tie counts half) of `count`. */
attune_interval attune_wilson(double correct, double count);

/* The bootstrap's, of the mean of scores (count): percentiles of the means of 2,000 samples of
 * whole clusters, drawn by SplitMix64. clusters (count) are any numbers; NULL: each score is its
 * own. NaN scores are no scores. */
attune_status attune_bootstrap(attune_interval *out, const double *scores, const uint32_t *clusters,
                               uint32_t count);

/* McNemar's exact test: how likely two things that are equally good differ as much, when one alone
 * was right `first` times and the other alone `second` times. Two-sided. */
double attune_mcnemar(uint64_t first, uint64_t second);

#endif
