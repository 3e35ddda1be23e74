/* tracks.h - the rows of an output that have a vector, and what they are called. */
#ifndef ATTUNE_SRC_MAP_TRACKS_H
#define ATTUNE_SRC_MAP_TRACKS_H

#include "attune/store.h"

typedef struct attune_map_tracks {
    char *root;    /* what paths are relative to */
    uint64_t rows; /* of the output, with and without a vector */
    uint32_t n, E;
    float *vectors;        /* (n, E) */
    uint64_t *row;         /* (n): in the output */
    size_t *path;          /* (n): where it begins in `text` */
    char *text;            /* paths, each with a NUL behind it: raw bytes */
    attune_labels *labels; /* (n), or NULL where the output has none */
    uint8_t *status;       /* (n) */
} attune_map_tracks;

/* ATTUNE_EDATA where no row has a vector. On failure there is nothing to close. */
attune_status attune_map_tracks_open(attune_map_tracks *out, const char *path);
void attune_map_tracks_close(attune_map_tracks *tracks); /* NULL-safe; also of {0} */

static inline const char *attune_map_path(const attune_map_tracks *tracks, uint32_t i)
{
    return tracks->text + tracks->path[i];
}

#endif
