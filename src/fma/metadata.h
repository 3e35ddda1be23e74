/* metadata.h - what the tables of fma_metadata say: tracks, and the tree of genres.
 *
 * A folder with `tracks.csv` and `genres.csv` as the Free Music Archive's dataset has them. The
 * first begins with three header lines, of groups, of names, and `track_id`; its fields may hold
 * line breaks, and lists of genres are Python's literals, "[21, 103]". Read once, in seconds, row
 * by row; what stays are 60 bytes a track. Rows may stand in any order; tables here are sorted by
 * id. */
#ifndef ATTUNE_SRC_FMA_METADATA_H
#define ATTUNE_SRC_FMA_METADATA_H

#include "attune/store.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTUNE_FMA_NONE (-1)

/* Each holds those before it; full has the tracks of large, uncut. */
typedef enum attune_fma_subset {
    ATTUNE_FMA_SMALL,
    ATTUNE_FMA_MEDIUM,
    ATTUNE_FMA_LARGE,
    ATTUNE_FMA_FULL,
    ATTUNE_FMA_SUBSET_COUNT
} attune_fma_subset;

typedef struct attune_fma_genre {
    int32_t id;
    int32_t parent; /* number of a genre, in this table; ATTUNE_FMA_NONE for a top genre */
    int32_t depth;  /* 0 for a top genre */
    const char *title;
} attune_fma_genre;

typedef struct attune_fma_track {
    int32_t id, artist_id, album_id;
    attune_fma_split split;
    attune_fma_subset subset;  /* the smallest that it is in */
    int32_t genre_top;         /* number of a genre; ATTUNE_FMA_NONE where the field is empty */
    int32_t genre_count;       /* genres that it was given */
    int32_t genre_all_count;   /* those, and all above them */
    const int32_t *genres;     /* (genre_count) numbers, in the file's order */
    const int32_t *genres_all; /* (genre_all_count) */
} attune_fma_track;

typedef struct attune_fma attune_fma;

/* Reads the tables in `folder`. ATTUNE_ENOINPUT when one is not there; ATTUNE_EDATA, with file and
 * line, when one is not as described. On failure *out is NULL. */
attune_status attune_fma_open(attune_fma **out, const char *folder);
void attune_fma_close(attune_fma *fma); /* NULL-safe */

/* Valid until it is closed. */
int32_t attune_fma_count(const attune_fma *fma);
const attune_fma_track *attune_fma_tracks(const attune_fma *fma);    /* (count), by id */
const attune_fma_genre *attune_fma_genres_of(const attune_fma *fma); /* all of them, by id */

/* NULL if there is none. */
const attune_fma_track *attune_fma_find(const attune_fma *fma, int32_t id);

/* The id in a file's name, as in fma_small/000/000002.mp3; ATTUNE_FMA_NONE where the name without
 * folders and extension is not of six digits. */
int32_t attune_fma_id_of(const char *path);

/* The track that the file is, if its name says so and the table has it; else NULL. */
const attune_fma_track *attune_fma_find_file(const attune_fma *fma, const char *path);

/* What the tables say of a file: the `label` of attune_job_options, with an attune_fma as `fma`. Of
 * a file that is no track it says nothing. */
void attune_fma_label(void *fma, attune_labels *labels, const char *path);

#define ATTUNE_FMA_PATH_SIZE 32

/* "123/123456.mp3": where a track lies below its archive's folder. */
void attune_fma_path_of(char out[ATTUNE_FMA_PATH_SIZE], int32_t id);

/* "small" and so on; false for what is none. */
const char *attune_fma_subset_name(attune_fma_subset subset);
bool attune_fma_subset_parse(attune_fma_subset *out, const char *name);

/* The six clips of small that are much shorter than 30 s in the published archives of clips; 99134,
 * 108925 and 133297 hold no audio at all. */
bool attune_fma_is_bad_clip(int32_t id);

#endif
