/* ranking.h - the rows of an output in the order of their nearness to queries, a page at a time.
 *
 * Exact: each page is one pass over all vectors, block by block, with a heap of the page's size, so
 * memory does not grow with the rows. Vectors have length 1: cosines are dot products, summed in
 * double. A row's distance here is minus its nearness: the mean of its cosines with the queries, or
 * the largest of them. */
#ifndef ATTUNE_SRC_STORE_RANKING_H
#define ATTUNE_SRC_STORE_RANKING_H

#include "attune/store.h"
#include "store/heap.h"

typedef enum attune_ranking_by {
    ATTUNE_BY_MEAN,
    ATTUNE_BY_ANY,
} attune_ranking_by;

/* Everything is borrowed. */
typedef struct attune_ranking {
    attune_store *store;
    const float *queries; /* (count, E) */
    const uint64_t *rows; /* (count): the queries' own, which are left out; may be beyond the end */
    size_t count;         /* of queries, at least 1 */
    attune_ranking_by by;
} attune_ranking;

/* page (capacity >= 1): the nearest rows with a vector that come behind `after`, which is the last
 * of the page before; NULL for the first page. *count becomes less than `capacity` at the end. */
attune_status attune_ranking_page(attune_near *page, uint32_t *count, const attune_ranking *ranking,
                                  const attune_near *after, uint32_t capacity);

/* a (E) times b (E), in double. */
double attune_dot(const float *a, const float *b, int embedding);

#endif
