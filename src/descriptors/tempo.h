/* tempo.h - beats a minute, by aubio. */
#ifndef ATTUNE_SRC_DESCRIPTORS_TEMPO_H
#define ATTUNE_SRC_DESCRIPTORS_TEMPO_H

#include "descriptors/slide.h"

#include <aubio/aubio.h>

typedef struct attune_tempo {
    attune_slide slide;
    aubio_tempo_t *tracker; /* of this track */
    fvec_t *window, *beat;
    float *tempi; /* (count) at each beat */
    size_t count, capacity;
} attune_tempo;

attune_status attune_tempo_create(attune_tempo *tempo);
void attune_tempo_free(attune_tempo *tempo); /* also of {0} */
attune_status attune_tempo_begin(attune_tempo *tempo);
attune_status attune_tempo_push(attune_tempo *tempo, const float *samples, size_t count);

/* The median over all beats; 0 where none was heard. */
double attune_tempo_finish(attune_tempo *tempo);

#endif
