/* journey.h - tracks on the way from one vector to another.
 *
 * Points lie evenly on the great circle between the two; each takes the row nearest to it that is
 * not taken yet, in the order of the way. */
#ifndef ATTUNE_SRC_STORE_JOURNEY_H
#define ATTUNE_SRC_STORE_JOURNEY_H

#include "attune/store.h"
#include "store/heap.h"

/* More would be of no use to a listener, and the memory grows with the square. */
#define ATTUNE_JOURNEY_MAX 1000

/* An end of the way. */
typedef struct attune_journey_end {
    const float *embedding; /* (E) */
    uint64_t row;           /* its own, which then is that end's track; beyond the end: none */
} attune_journey_end;

/* steps (points), 2 <= points <= ATTUNE_JOURNEY_MAX: rows from the one end to the other; distance
 * is minus the cosine with the row's point. *count < points where there are fewer rows. The two
 * are different rows; lying opposite to one another they have no way between them: ATTUNE_EDATA. */
attune_status attune_journey(attune_near *steps, uint32_t *count, attune_store *store,
                             attune_journey_end from, attune_journey_end to, uint32_t points);

#endif
