/* retrieval.h - how well embeddings bring things of one label together.
 *
 * Distances are Euclidean. Everything is exact over all rows: nothing is sampled. */
#ifndef ATTUNE_SRC_EVAL_RETRIEVAL_H
#define ATTUNE_SRC_EVAL_RETRIEVAL_H

#include "attune/status.h"

#include <stdint.h>

typedef struct attune_retrieval {
    /* Chance that a positive is nearer than a negative, ties half: the anchor's label drawn evenly
     * among those of two rows or more, anchor and positive among its rows, the negative's label
     * among the others, the negative among its rows. 0.5 is no better than chance. */
    double triplet_accuracy;
    double map;           /* mean over anchors of average precision */
    double precision_1;   /* anchors whose nearest row has their label */
    double r_precision;   /* precision among as many nearest rows as there are positives */
    double median_cosine; /* over all pairs: near 1, the space has collapsed */
    uint32_t anchors;     /* rows whose label has another row */
} attune_retrieval;

/* Of embeddings (n, E) with labels (n) from 0; a row of label -1 is a negative of every anchor in
 * MAP and the precisions, and stays out of the triplets. Rows of equal distance rank by number. */
attune_status attune_retrieval_measure(attune_retrieval *out, const float *embeddings,
                                       const int32_t *labels, uint32_t n, uint32_t E);

#endif
