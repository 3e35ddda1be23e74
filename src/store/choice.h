/* choice.h - the nearest rows among which no artist and no folder comes too often, and no two are
 * too much alike.
 *
 * The ranking is gone through from its top and a row is taken unless a limit forbids it, whatever
 * may come later: the greedy way to a diverse result whose items lie at least a distance apart
 * (Drosou and Pitoura, DisC Diversity, PVLDB 6(1), 2012). So the result is exact: it does not
 * depend on how many rows were looked at, as that of maximal marginal relevance among the first few
 * does. */
#ifndef ATTUNE_SRC_STORE_CHOICE_H
#define ATTUNE_SRC_STORE_CHOICE_H

#include "store/ranking.h"

typedef struct attune_limits {
    uint32_t per_artist; /* rows of one artist_id; 0: any number. Unknown artists have no limit */
    uint32_t per_folder; /* rows of one folder; 0: any number */
    double apart;        /* 1 - cosine between any two, and to each query; 0: no limit */
} attune_limits;

/* chosen (wanted >= 1): the rows, nearest first; *count < wanted where there are no more.
 * Artists may be limited only where the output has labels. */
attune_status attune_choose(attune_near *chosen, uint32_t *count, const attune_ranking *ranking,
                            const attune_limits *limits, uint32_t wanted);

#endif
