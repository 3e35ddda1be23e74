/* clusters.h - tracks in groups: by k-means or a mixture, as many as asked for or as the gap
 * statistic finds. */
#ifndef ATTUNE_SRC_MAP_CLUSTERS_H
#define ATTUNE_SRC_MAP_CLUSTERS_H

#include "attune/status.h"
#include "kernels/cpu/team.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct attune_clusters_options {
    uint32_t K;    /* 0: as many as the gap statistic finds */
    bool mixture;  /* of normal distributions; else k-means */
    bool diagonal; /* covariances of a mixture */
    uint64_t seed;
} attune_clusters_options;

typedef struct attune_clusters {
    uint32_t K;       /* that hold a row; those of K asked for that are empty are not counted */
    int32_t *cluster; /* (n): 0 is the largest */
    char method[100]; /* in words */
} attune_clusters;

/* Of vectors (n, E), finite. ATTUNE_EINVAL when K is above n. On failure there is nothing to close.
 */
attune_status attune_clusters_open(attune_clusters *out, const float *vectors, uint32_t n,
                                   uint32_t E, const attune_clusters_options *options,
                                   attune_team *team);
void attune_clusters_close(attune_clusters *clusters); /* NULL-safe; also of {0} */

#endif
