/* kmeans.h - k-means: seeds as far apart as k-means++ draws them, Lloyd's steps until nothing
 * moves, the best of several starts. The same seed gives the same bits with any number of threads.
 */
#ifndef ATTUNE_SRC_MAP_KMEANS_H
#define ATTUNE_SRC_MAP_KMEANS_H

#include "attune/status.h"
#include "kernels/cpu/team.h"

#include <stdint.h>

typedef struct attune_kmeans {
    uint32_t K, E;
    int32_t *cluster; /* (n) */
    double *centres;  /* (K, E); of an empty cluster, where it was last */
    double inertia;   /* sum of the squared distances of rows to their centres */
} attune_kmeans;

enum { ATTUNE_KMEANS_STARTS = 4 };

/* Of vectors (n, E), finite; 1 <= K <= n. On failure there is nothing to close. */
attune_status attune_kmeans_open(attune_kmeans *out, const float *vectors, uint32_t n, uint32_t E,
                                 uint32_t K, int starts, uint64_t seed, attune_team *team);
void attune_kmeans_close(attune_kmeans *kmeans); /* NULL-safe; also of {0} */

#endif
