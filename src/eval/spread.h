/* spread.h - how much of the space an embedding uses. */
#ifndef ATTUNE_SRC_EVAL_SPREAD_H
#define ATTUNE_SRC_EVAL_SPREAD_H

#include "kernels/cpu/team.h"

#include <stdint.h>

/* The median cosine over all pairs of vectors (n, E), none sampled: near 1, the space has
 * collapsed. Rows of zeros have no cosine and stay out. NaN for fewer than two rows. Right to 1e-6;
 * exact up to 2,048 rows. */
attune_status attune_spread_cosine(double *out, const float *vectors, uint32_t n, uint32_t E,
                                   attune_team *team);

#endif
