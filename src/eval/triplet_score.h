/* triplet_score.h - how many triplets an embedding gets right. */
#ifndef ATTUNE_SRC_EVAL_TRIPLET_SCORE_H
#define ATTUNE_SRC_EVAL_TRIPLET_SCORE_H

#include <stdint.h>

/* Rows of an embedding: the anchor is more like the positive than like the negative. */
typedef struct attune_triplet_rows {
    uint32_t anchor, positive, negative;
} attune_triplet_rows;

typedef struct attune_triplet_score {
    uint32_t count;
    double correct; /* positives nearer than negatives; a tie counts half */
    double
        batch_accuracy; /* mean of the accuracies of batches, the last one smaller: as published */
    double positive;    /* mean distance to the positives */
    double negative;    /* and to the negatives */
    double loss;        /* mean of max(0, margin + d(a, p) - d(a, n)) */
    double odd;         /* three-way: the negative is the odd one out of the three pairs; a tie
                           counts its share */
} attune_triplet_score;

/* Of triplets (count) in vectors (n, E). Distances are PyTorch's pairwise_distance, Euclidean with
 * 1e-6 added to every difference, as in training; those of `odd` are without it. Means of nothing
 * are NaN. `right` and `odd` (count) may be NULL: each triplet's 0 to 1. */
void attune_triplet_measure(attune_triplet_score *out, double *right, double *odd,
                            const float *vectors, uint32_t E, const attune_triplet_rows *triplets,
                            uint32_t count, double margin, uint32_t batch);

#endif
