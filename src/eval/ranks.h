/* ranks.h - ranks of the rows that have a label in common with a row, its relatives, without
 * sorting all rows.
 *
 * The relatives' exact distances are sorted. A row's place is how many relatives are nearer than
 * it; a relative's rank is then the number of relatives before it and of rows with a place up to
 * its own. Nearness is cut into bins, and most bins hold no relative: their rows are only counted.
 * The few that lie in a bin with a relative, or within the margin of one, are looked at exactly.
 * Where relatives are few, every row is compared with each of them instead. */
#ifndef ATTUNE_SRC_EVAL_RANKS_H
#define ATTUNE_SRC_EVAL_RANKS_H

#include "eval/groups.h"
#include "eval/pairs.h"

typedef struct attune_relative {
    double squared; /* distance */
    uint32_t row;
    uint32_t rank; /* of all rows but the query, from 0, equal distances by number */
} attune_relative;

/* A query under way. */
typedef struct attune_ranks {
    attune_relative *relatives; /* (capacity), nearest first; ranks after attune_ranks_end */
    float *nearness;            /* (capacity) */
    uint32_t *counts;           /* (copies, capacity + 1): rows by place that are no relatives; of
                                 * few relatives, how many are nearer than each */
    uint32_t count, capacity;
    bool few;
    attune_search_bins bins; /* unless they are few */
} attune_ranks;

/* Labels, in columns; rows are relatives if they share one of any column. */
typedef struct attune_kinship {
    const attune_pairs *pairs;
    const int32_t *const *labels; /* (columns) of (n), -1: none */
    const attune_groups *groups;  /* (columns) */
    uint32_t columns;
} attune_kinship;

/* Collects a query's relatives, of which there may be none; ranks are {0} before the first. */
attune_status attune_ranks_begin(attune_ranks *ranks, const attune_kinship *kinship,
                                 uint32_t query);

/* As in attune_pairs_visitor, with relatives. close: (block) of scratch. */
void attune_ranks_take(attune_ranks *ranks, uint32_t *close, const attune_kinship *kinship,
                       uint32_t query, const float *values, uint32_t first, uint32_t count);

/* Makes the ranks. */
void attune_ranks_end(attune_ranks *ranks);

void attune_ranks_free(attune_ranks *ranks); /* NULL-safe; also of {0} */

/* Where a row stands among the relatives: [0, nearer) are nearer, [nearer, nearer + ties) at its
 * very distance. False for the query and its relatives. `value` is the row's nearness in f32. */
typedef struct attune_standing {
    uint32_t place, nearer, ties;
} attune_standing;
bool attune_ranks_stand(attune_standing *out, const attune_ranks *ranks,
                        const attune_kinship *kinship, uint32_t query, uint32_t row, float value);

#endif
