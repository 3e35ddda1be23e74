/* neighbours.h - the exact nearest neighbours of many queries among rows that stream by.
 *
 * Distance is 1 - cosine in double; rows of the same distance come in the order of their indices.
 * Most rows are far from a query: their cosine in f32 is told from the k-th best by more than its
 * rounding error, and only the others are computed again in double. So the result is exact and
 * nearly all the work is f32 multiply-adds: 32 queries side by side against one row. */
#ifndef ATTUNE_SRC_STORE_NEIGHBOURS_H
#define ATTUNE_SRC_STORE_NEIGHBOURS_H

#include "attune/status.h"
#include "store/heap.h"

#include <stddef.h>
#include <stdint.h>

typedef struct attune_neighbours attune_neighbours;

/* For `queries` (Q, E), which are borrowed; the `nearest` K >= 1 rows of each are wanted. */
attune_status attune_neighbours_create(attune_neighbours **out, const float *queries, size_t count,
                                       int embedding, uint32_t nearest, int threads);
void attune_neighbours_free(attune_neighbours *neighbours); /* NULL-safe */

/* Takes the next `count` rows (count, E), whose indices are the next ones from 0 on. Rows of NaN
 * are nobody's neighbours. */
attune_status attune_neighbours_offer(attune_neighbours *neighbours, const float *rows,
                                      size_t count);

/* Query `query`'s neighbours, nearest first: K of them, or as many as there were rows. They are the
 * neighbours' own. To be called at the end. */
const attune_near *attune_neighbours_of(attune_neighbours *neighbours, size_t query,
                                        uint32_t *count);

#endif
