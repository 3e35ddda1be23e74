/* generate.h - triplets from what the metadata say, by a seed.
 *
 * Of genres, as published: first an equal number for each top genre, its anchor and positive of the
 * genre and its negative of another; then triplets of any three tracks, the positive the one that
 * attune_fma_compare says is more like the anchor, each with an anchor that no triplet has had.
 * Where all tracks have been anchors, those of the first part come again, each once. Of artists
 * and albums: the positive is another track of the anchor's, the negative is of another. No triplet
 * comes twice. */
#ifndef ATTUNE_SRC_FMA_GENERATE_H
#define ATTUNE_SRC_FMA_GENERATE_H

#include "fma/metadata.h"
#include "train/split.h"

typedef enum attune_fma_likeness {
    ATTUNE_FMA_BY_GENRE,
    ATTUNE_FMA_BY_ARTIST,
    ATTUNE_FMA_BY_ALBUM
} attune_fma_likeness;

/* What the parts must not share. */
typedef enum attune_fma_disjoint {
    ATTUNE_FMA_WHOLE, /* there is one part: all is for training */
    ATTUNE_FMA_TRACKS,
    ATTUNE_FMA_ARTISTS,
    ATTUNE_FMA_OFFICIAL /* the parts are FMA's, which shares no artist between them */
} attune_fma_disjoint;

typedef struct attune_fma_generate_options {
    attune_fma_subset subset;
    attune_fma_likeness likeness;
    attune_fma_disjoint disjoint;
    /* Negatives, of any genre but those that the anchor was given, are drawn with a weight that
     * halves with each of attune_fma_steps. */
    bool hierarchy;
    /* Of all parts; each gets of it what it has of the tracks. 0: 8,000, or ten for each track
     * where that is fewer, as a tenth are of any three, with another anchor each; and fewer still
     * where there are no more. */
    uint32_t count;
    uint32_t per_genre; /* of all parts, for each top genre; 0: nine tenths of count by genres */
    uint64_t seed;
} attune_fma_generate_options;

/* Of fma_small by genre, as many as it gives. */
void attune_fma_generate_defaults(attune_fma_generate_options *options);

typedef struct attune_fma_triplet {
    const attune_fma_track *anchor, *positive, *negative;
} attune_fma_triplet;

typedef struct attune_fma_triplets {
    attune_fma_triplet *triplets; /* (count) */
    uint32_t count;
    uint32_t start[ATTUNE_PART_COUNT + 1]; /* of the parts */
    uint32_t by_genre[ATTUNE_PART_COUNT];  /* of a part's, how many are of its first kind */
    uint32_t tracks[ATTUNE_PART_COUNT];    /* that each part draws from */
} attune_fma_triplets;

/* To be freed. The clips known to be bad are left out, but of full, where they are whole; so are
 * tracks without a top genre, artist or album where that is asked for. ATTUNE_EINVAL when there
 * are not as many triplets, or none. */
attune_status attune_fma_generate(attune_fma_triplets *out, const attune_fma *fma,
                                  const attune_fma_generate_options *options);

/* Triplets of any three tracks of a subset, for listeners to judge; their order says nothing, and
 * no three come twice. */
attune_status attune_fma_draw_candidates(attune_fma_triplets *out, const attune_fma *fma,
                                         attune_fma_subset subset, uint32_t count, uint64_t seed);

void attune_fma_triplets_free(attune_fma_triplets *triplets);

#endif
