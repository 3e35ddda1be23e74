/* mixture.h - mixtures of normal distributions, by expectation and maximisation.
 *
 * Unlike those of k-means, clusters may be longer one way than another and of different extents. It
 * begins with the clusters of k-means and ends when the mean log-likelihood grows by less than 1e-3
 * in a step; a little is added to every variance, so that no cluster shrinks to a point. */
#ifndef ATTUNE_SRC_MAP_MIXTURE_H
#define ATTUNE_SRC_MAP_MIXTURE_H

#include "attune/status.h"
#include "kernels/cpu/team.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTUNE_MIXTURE_LEAST 1e-6 /* added to every variance */

typedef struct attune_mixture {
    uint32_t K, E;
    bool full;           /* covariances; else variances of the components alone */
    int32_t *cluster;    /* (n): the most probable one */
    double *weights;     /* (K) */
    double *means;       /* (K, E) */
    double *covariances; /* (K, E, E), or (K, E) */
    double likelihood;   /* mean over rows of the logarithm of their density */
} attune_mixture;

/* Of vectors (n, E), finite; 1 <= K <= n; cluster (n): where it begins. On failure there is nothing
 * to close. */
attune_status attune_mixture_open(attune_mixture *out, const float *vectors, uint32_t n, uint32_t E,
                                  uint32_t K, bool full, const int32_t *cluster, attune_team *team);
void attune_mixture_close(attune_mixture *mixture); /* NULL-safe; also of {0} */

#endif
