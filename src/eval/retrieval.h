/* retrieval.h - how well embeddings bring things of one label together.
 *
 * Distances are Euclidean. Everything is exact over all rows: nothing is sampled. An anchor is a
 * row whose label another row has too; those others are its positives. All other rows are ranked by
 * their distance to it, equal ones by number, and what is reported are means over the anchors. */
#ifndef ATTUNE_SRC_EVAL_RETRIEVAL_H
#define ATTUNE_SRC_EVAL_RETRIEVAL_H

#include "eval/pairs.h"

#include <stdbool.h>
#include <stdint.h>

/* X(k): where recall is measured. */
#define ATTUNE_RECALLS(X) X(1) X(2) X(5) X(10) X(20) X(50) X(100) X(200) X(500) X(1000)
#define ATTUNE_X(k) +1
enum { ATTUNE_RECALL_COUNT = 0 ATTUNE_RECALLS(ATTUNE_X) };
#undef ATTUNE_X
extern const uint32_t attune_recalls[ATTUNE_RECALL_COUNT];

typedef struct attune_retrieval {
    double map;         /* of average precision */
    double precision_1; /* anchors whose nearest row has their label */
    double r_precision; /* precision among as many nearest rows as there are positives */
    double ndcg_10; /* discounted gain of the 10 nearest, 1/log2(1 + rank), of the best there is */
    double recall[ATTUNE_RECALL_COUNT]; /* share of the positives among the k nearest */
    uint32_t anchors;
} attune_retrieval;

typedef struct attune_relation {
    const int32_t *labels; /* (n): 0 to n - 1; -1: nobody's positive, and ranked like any other */
    /* (n) or NULL: a second label of the same kind. For `filtered` the rows that share it with the
     * anchor are left out of the ranks; its positives too, unless they are kept. */
    const int32_t *left_out;
    bool keep_positives;
    bool triplets; /* triplet_accuracy is wanted */
} attune_relation;

typedef struct attune_retrieval_result {
    attune_retrieval all, filtered; /* filtered.anchors is 0 where there is nothing to leave out */
    /* Chance that a positive is nearer than a negative, ties half: the anchor's label drawn evenly
     * among those of two rows or more, anchor and positive among its rows, the negative's label
     * among the others, the negative among its rows. 0.5 is no better than chance. NaN unless asked
     * for. */
    double triplet_accuracy;
} attune_retrieval_result;

/* Of relations (count, at most ATTUNE_RELATIONS) at once: a row's rank is the same for all of them.
 * results (count); average_precision (count) of pointers to (n) or NULL: of each row, NaN where it
 * is no anchor. All are borrowed, and filled by visit and finish. A label beyond the rows is
 * ATTUNE_EINVAL. On failure *out is NULL. */
typedef struct attune_retrieval_search attune_retrieval_search;
enum { ATTUNE_RELATIONS = 4 };
attune_status attune_retrieval_open(attune_retrieval_search **out, const attune_pairs *pairs,
                                    const attune_relation *relations, uint32_t count,
                                    double *const *average_precision);
attune_pairs_visitor attune_retrieval_visitor(attune_retrieval_search *search);
void attune_retrieval_finish(attune_retrieval_result *results, attune_retrieval_search *search);
void attune_retrieval_close(attune_retrieval_search *search); /* NULL-safe */

/* All that for one relation. */
attune_status attune_retrieval_measure(attune_retrieval_result *out, double *average_precision,
                                       const attune_pairs *pairs, const attune_relation *relation);

#endif
