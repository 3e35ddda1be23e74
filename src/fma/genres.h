/* genres.h - genres.csv: a tree of some 160 genres below a few that have no parent. */
#ifndef ATTUNE_SRC_FMA_GENRES_H
#define ATTUNE_SRC_FMA_GENRES_H

#include "fma/metadata.h"

/* {0} is empty. */
typedef struct attune_fma_genres {
    attune_fma_genre *genres; /* (count), by id; titles are malloc'ed */
    int32_t count, capacity;
} attune_fma_genres;

/* Reads the table. A genre that is there twice, whose parent is not there, or that lies below
 * itself is ATTUNE_EDATA. */
attune_status attune_fma_genres_read(attune_fma_genres *out, const char *path);
void attune_fma_genres_free(attune_fma_genres *genres);

/* The number of the genre with this id, or of the top genre with this title; ATTUNE_FMA_NONE if
 * there is none. */
int32_t attune_fma_genre_find(const attune_fma_genres *genres, int32_t id);
int32_t attune_fma_genre_titled(const attune_fma_genres *genres, const char *title);

/* Reads a whole number, -1 or more. */
bool attune_fma_number(int32_t *out, const char *text);

#endif
