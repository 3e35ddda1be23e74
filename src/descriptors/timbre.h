/* timbre.h - what a spectrum looks like: its centroid, roll-off and flatness. */
#ifndef ATTUNE_SRC_DESCRIPTORS_TIMBRE_H
#define ATTUNE_SRC_DESCRIPTORS_TIMBRE_H

#include "descriptors/moments.h"
#include "descriptors/slide.h"
#include "descriptors/spectrum.h"

/* Bins of a window of 512 samples. bliss has 256 of the 257, and the last in the place of the last
 * but one: so has this. */
enum { ATTUNE_TIMBRE_WINDOW = 512, ATTUNE_TIMBRE_HOP = 128, ATTUNE_TIMBRE_BINS = 256 };

typedef struct attune_timbre {
    attune_slide slide;
    attune_spectrum *spectrum;
    attune_moments centroid, rolloff, flatness; /* bins, bins, and 0 to 1 */
} attune_timbre;

attune_status attune_timbre_create(attune_timbre *timbre);
void attune_timbre_free(attune_timbre *timbre); /* also of {0} */
void attune_timbre_begin(attune_timbre *timbre);
void attune_timbre_push(attune_timbre *timbre, const float *samples, size_t count);

/* Of one window's magnitudes (ATTUNE_TIMBRE_BINS): the bin that is the centre of their weight, the
 * bin above that below which 95 % of the energy lie, and the ratio of their geometric mean to their
 * arithmetic one. All zero for silence. */
double attune_timbre_centroid(const float *magnitudes);
double attune_timbre_rolloff(const float *magnitudes);
double attune_timbre_flatness(const float *magnitudes);

#endif
