/* triplet_file.h - triplets as the files that were published with the network have them. */
#ifndef ATTUNE_SRC_FMA_TRIPLET_FILE_H
#define ATTUNE_SRC_FMA_TRIPLET_FILE_H

#include "fma/generate.h"

/* Writes `count` triplets to `path`, whole or not at all; "-" is standard output.
 *
 * The first as synthetic_triplets_just_genres.csv: two header lines, then track_id, genre_top,
 * album_id, artist_id and genres_all, each of anchor, positive and negative. The second as
 * human_triplets.csv: song1, song2, song3, and anchor and positive, which stay empty for a listener
 * to fill in; its lines end with CR LF, as those of that file. */
attune_status attune_fma_write_triplets(const char *path, const attune_fma *fma,
                                        const attune_fma_triplet *triplets, uint32_t count,
                                        bool replace);

/* The parts of a split, each as the first, and all of them or none. */
attune_status attune_fma_write_parts(char *const paths[ATTUNE_PART_COUNT], const attune_fma *fma,
                                     const attune_fma_triplets *triplets, bool replace);

attune_status attune_fma_write_candidates(const char *path, const attune_fma_triplet *triplets,
                                          uint32_t count, bool replace);

#endif
