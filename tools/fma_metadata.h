/* fma_metadata.h - tables as FMA's metadata has them: tracks.csv and genres.csv. */
#ifndef ATTUNE_TOOLS_FMA_METADATA_H
#define ATTUNE_TOOLS_FMA_METADATA_H

#include "demo/synthesiser.h"

#include <stdbool.h>
#include <stdio.h>

/* A row of tracks.csv. */
typedef struct fma_track {
    int id; /* 1 to 999999 */
    attune_demo_track music;
    bool has_file; /* in fma_small; those without have no top genre */
} fma_track;

/* Every row of one seed, by id: `count` tracks with a file and a tenth as many without. malloc'ed;
 * NULL without memory. */
fma_track *fma_plan(int count, uint64_t seed, int *rows);

void fma_write_tracks(FILE *file, const fma_track *tracks, int rows, int seconds);
void fma_write_genres(FILE *file, const fma_track *tracks, int rows);

#endif
