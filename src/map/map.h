/* map.h - an archive as a map: from an output's embeddings to a page or a picture, and to /cluster.
 */
#ifndef ATTUNE_SRC_MAP_MAP_H
#define ATTUNE_SRC_MAP_MAP_H

#include "map/clusters.h"
#include "map/colouring.h"
#include "map/layout.h"

typedef struct attune_map_options {
    const char *input; /* an output of attune */
    const char
        *output;  /* a name in .html, .png or .svg; NULL: clusters are written, nothing is drawn */
    bool replace; /* what stands at `output` */
    int by;       /* an attune_map_by; -1: cluster, genre, folder or status, whatever there is */
    bool cluster;
    bool write_clusters; /* to the dataset /cluster of `input` */
    attune_clusters_options clusters;
    attune_layout_options layout;
    int threads; /* 0: one for each processor */
} attune_map_options;

typedef struct attune_map_counts {
    uint32_t tracks;
    uint64_t left_out; /* rows without a vector */
    uint32_t clusters; /* 0: none were wanted */
    double divergence; /* of t-SNE */
} attune_map_counts;

/* Whether it is a name that attune_map_make knows how to write. */
bool attune_map_can_write(const char *output);

/* Output and lock are taken before anything is computed. ATTUNE_ECONFIG when the tracks have no
 * such labels as `by` asks for; ATTUNE_ESTOPPED when a job writes to `input` and clusters should
 * be. */
attune_status attune_map_make(attune_map_counts *counts, const attune_map_options *options);

#endif
