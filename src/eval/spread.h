/* spread.h - how much of the space an embedding uses: the median cosine over all pairs of rows,
 * none sampled. Near 1, the space has collapsed. Rows of zeros have no cosine and stay out; NaN for
 * fewer than two others. Right to 1e-6; exact up to 2,048 rows. */
#ifndef ATTUNE_SRC_EVAL_SPREAD_H
#define ATTUNE_SRC_EVAL_SPREAD_H

#include "eval/pairs.h"

typedef struct attune_spread {
    const attune_pairs *pairs;
    bool visits; /* the visitor is wanted: many rows, all of length 1 */
    float *unit; /* (n, E): rows divided by their lengths, without those of zeros */
    uint32_t n;
    double low, high; /* of cosines; what is between goes to the bins */
    double *sample;
    uint64_t *beyond; /* by thread: cosines above `high` */
    uint64_t *bins;   /* by thread: (bins) */
    uint32_t *near;   /* by thread: (block) */
} attune_spread;

/* On failure there is nothing to close, and closing is harmless. */
attune_status attune_spread_open(attune_spread *out, const attune_pairs *pairs);
void attune_spread_close(attune_spread *spread); /* NULL-safe; also of {0} */

/* Where `visits` says so, finish is to be called after attune_pairs_visit with it. */
attune_pairs_visitor attune_spread_visitor(attune_spread *spread);
attune_status attune_spread_finish(double *cosine, attune_spread *spread);

/* All that. */
attune_status attune_spread_cosine(double *out, const attune_pairs *pairs);

#endif
