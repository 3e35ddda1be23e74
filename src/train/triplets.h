/* triplets.h - triplets of tracks: the anchor is more like the positive than like the negative.
 *
 * Three kinds of CSV files are known by their headers:
 *   synthetic  as published: two header lines, the names anchor, positive and negative again and
 *              again in the first, and below them track_id in the second where the ids are
 *   human      as published: song1, song2, song3, anchor, positive; the latter two are positions, 1
 *              to 3, and empty in rows that nobody has judged, which are passed over
 *   plain      anchor, positive, negative: ids or paths; three fields a row also without a header
 */
#ifndef ATTUNE_SRC_TRAIN_TRIPLETS_H
#define ATTUNE_SRC_TRAIN_TRIPLETS_H

#include "train/split.h"
#include "train/tracks.h"

#include <stdbool.h>

typedef enum attune_triplet_kind {
    ATTUNE_TRIPLETS_PLAIN,
    ATTUNE_TRIPLETS_SYNTHETIC,
    ATTUNE_TRIPLETS_HUMAN,
} attune_triplet_kind;

typedef struct attune_triplet {
    uint32_t anchor, positive, negative; /* tracks; ATTUNE_NO_TRACK where the file is missing */
    uint32_t row;                        /* which of the file's triplets it is, from 0 */
} attune_triplet;

typedef struct attune_triplets {
    attune_triplet_kind kind;
    attune_triplet *triplets; /* (count) */
    uint32_t count;
    uint32_t start[ATTUNE_PART_COUNT + 1]; /* of the parts; all is training before a split */
    uint32_t unlabelled;                   /* rows of a human file that were passed over */
    uint32_t skipped; /* triplets left out because a track of theirs is missing */
} attune_triplets;

/* Reads a file, and finds or adds its tracks. A file of no known kind, a row of too few fields, or
 * one that names a track twice is ATTUNE_EDATA, with its line. To be freed. */
attune_status attune_triplets_read(attune_triplets *out, attune_tracks *tracks, const char *path);
/* Whether a file is of the human kind, by its header. */
attune_status attune_triplets_is_human(bool *out, const char *path);

void attune_triplets_free(attune_triplets *triplets); /* NULL-safe; also of {0} */

/* Puts them in the order and the parts of attune_split_rows over all triplets of the file, and
 * leaves out those with a missing track: what is missing moves no other triplet to another part.
 * To be called once, also with held_out 0. */
attune_status attune_triplets_split(attune_triplets *triplets, const attune_split_options *options);

#endif
