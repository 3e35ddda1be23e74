/* level.h - what needs no spectrum: zero crossings and loudness. */
#ifndef ATTUNE_SRC_DESCRIPTORS_LEVEL_H
#define ATTUNE_SRC_DESCRIPTORS_LEVEL_H

#include "descriptors/moments.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct attune_level {
    uint64_t samples, crossings;
    bool above;              /* the last sample was above zero */
    double energy;           /* of the samples of the window under way */
    attune_moments energies; /* mean squares of whole windows */
} attune_level;

/* Begins as {0}. */
void attune_level_push(attune_level *level, const float *samples, size_t count);

/* The last window may be shorter. Crossings per sample; decibels, -90 and below being -90. */
void attune_level_finish(attune_level *level, double *crossings, double *mean, double *deviation);

#endif
