/* drawing.h - a map that is ready, and the two ways to show it: a page, or a picture. */
#ifndef ATTUNE_SRC_MAP_DRAWING_H
#define ATTUNE_SRC_MAP_DRAWING_H

#include "map/colouring.h"

#include <stdio.h>

enum { ATTUNE_MAP_NEIGHBOURS = 10 };

typedef struct attune_drawing {
    const char *title;
    const char *layout; /* in words */
    const attune_map_tracks *tracks;
    const float *positions;     /* (n, 2) */
    const uint32_t *neighbours; /* (n, K): the first ATTUNE_MAP_NEIGHBOURS of each row are shown */
    uint32_t K;
    attune_map_colouring colourings[ATTUNE_MAP_BY_COUNT];
    bool there[ATTUNE_MAP_BY_COUNT];
    attune_map_by by; /* the colouring to begin with; there[by] */
    char *folder;     /* where the page will stand: an absolute path */
} attune_drawing;

/* One page of HTML with all it needs. `path` is for messages. */
attune_status attune_page_write(FILE *out, const attune_drawing *drawing, const char *path);

/* A picture by gnuplot; kind 0 is PNG, 1 is SVG. `name` is for messages. */
attune_status attune_picture_write(FILE *out, const attune_drawing *drawing, int kind,
                                   const char *name);

#endif
