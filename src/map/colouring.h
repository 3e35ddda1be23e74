/* colouring.h - what points can be coloured by: genre, artist, album, folder, status, cluster.
 *
 * Each is a number a track and a title a number; the most frequent is number 0. */
#ifndef ATTUNE_SRC_MAP_COLOURING_H
#define ATTUNE_SRC_MAP_COLOURING_H

#include "map/tracks.h"

typedef enum attune_map_by {
    ATTUNE_MAP_GENRE,
    ATTUNE_MAP_ARTIST,
    ATTUNE_MAP_ALBUM,
    ATTUNE_MAP_FOLDER,
    ATTUNE_MAP_STATUS,
    ATTUNE_MAP_CLUSTER,
    ATTUNE_MAP_BY_COUNT,
} attune_map_by;

enum { ATTUNE_MAP_TITLES = 65535 }; /* of a colouring at most; what is rarer shares the last */

typedef struct attune_map_colouring {
    uint32_t count;
    char **titles;    /* (count) raw bytes */
    uint32_t *sizes;  /* (count) tracks */
    uint16_t *number; /* (n) */
} attune_map_colouring;

/* "genre". */
const char *attune_map_by_name(attune_map_by by);

/* *there is false, with nothing to close, where the tracks have no such labels: genres, artists and
 * albums that none of them names, and cluster (n) NULL. Folders are the first ones in which paths
 * differ. */
attune_status attune_map_colouring_open(attune_map_colouring *out, bool *there, attune_map_by by,
                                        const attune_map_tracks *tracks, const int32_t *cluster);
void attune_map_colouring_close(attune_map_colouring *colouring); /* NULL-safe; also of {0} */

#endif
