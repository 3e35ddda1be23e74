/* tables.h - metadata for tests, in the form of fma_metadata with the columns that are read. */
#ifndef ATTUNE_TESTS_FMA_TABLES_H
#define ATTUNE_TESTS_FMA_TABLES_H

#include "fma/metadata.h"

#include <stdio.h>

/* The header lines of a tracks.csv of these columns: track_id, album id, artist id, split, subset,
 * genre_top, genres, genres_all. */
#define TRACKS_HEADER                                                                              \
    ",album,artist,set,set,track,track,track\n"                                                    \
    ",id,id,split,subset,genre_top,genres,genres_all\n"                                            \
    "track_id,,,,,,,\n"
#define GENRES_HEADER "genre_id,#tracks,parent,title,top_level\n"

/* Writes both tables to a new temporary folder and opens them, which must go well. */
attune_fma *open_tables(const char *genres, const char *tracks);

/* 8 top genres of 40 tracks each: ids 1 to 320, small; 5 tracks an artist, 2 albums an artist; each
 * track has one or two of the 4 genres below its top genre. Splits 8 : 1 : 1 by artist. */
attune_fma *open_synthetic(void);

#endif
