/* leaks.h - what the parts of a split of triplets have in common.
 *
 * A split by rows puts triplets apart, not tracks: most tracks of the published test set stand in
 * triplets of the training set, too. What a network says of those it may have learnt by heart.
 *
 * `trained` (tracks) are marks: a track stands in a triplet of training. */
#ifndef ATTUNE_SRC_FMA_LEAKS_H
#define ATTUNE_SRC_FMA_LEAKS_H

#include "train/triplets.h"

typedef struct attune_leaks {
    uint32_t triplets[ATTUNE_PART_COUNT];
    uint32_t tracks[ATTUNE_PART_COUNT];       /* in triplets of the part */
    uint32_t seen[ATTUNE_PART_COUNT];         /* of those, in triplets of the training part, too */
    uint32_t without_seen[ATTUNE_PART_COUNT]; /* triplets none of whose tracks is */
} attune_leaks;

/* Marks the tracks of a triplet, but for those that are missing. */
void attune_leaks_mark(bool *trained, const attune_triplet *triplet);

/* Whether one of a triplet's tracks, none of which is missing, is marked. */
bool attune_leaks_has_seen(const bool *trained, const attune_triplet *triplet);

/* Fills in a part, which is triplets (count) of tracks 0 to tracks - 1, none missing. */
attune_status attune_leaks_count(attune_leaks *out, int part, const bool *trained, uint32_t tracks,
                                 const attune_triplet *triplets, uint32_t count);

/* Marks and counts: part p is triplets[p][0] to triplets[p][count[p] - 1]. */
attune_status attune_leaks_find(attune_leaks *out,
                                const attune_triplet *const triplets[ATTUNE_PART_COUNT],
                                const uint32_t count[ATTUNE_PART_COUNT], uint32_t tracks);

#endif
