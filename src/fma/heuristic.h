/* heuristic.h - which of two tracks is more like a third, as far as genres say. */
#ifndef ATTUNE_SRC_FMA_HEURISTIC_H
#define ATTUNE_SRC_FMA_HEURISTIC_H

#include "fma/metadata.h"

/* Above 0 if `a` is more like the anchor than `b`, below 0 if less, 0 if genres do not say. The
 * same top genre decides; then how many of the genres that they were given they share; then how
 * many genres are above, or among, those of both. */
int attune_fma_compare(const attune_fma_track *anchor, const attune_fma_track *a,
                       const attune_fma_track *b);

/* Steps in the tree of genres from one of a's to the nearest of b's; 0 if they share one. The root
 * is two steps above the top genres. A track without a genre is ATTUNE_FMA_FAR from all. */
#define ATTUNE_FMA_FAR 32
int attune_fma_steps(const attune_fma_genre *genres, const attune_fma_track *a,
                     const attune_fma_track *b);

#endif
