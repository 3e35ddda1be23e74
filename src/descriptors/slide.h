/* slide.h - windows of a signal that comes in pieces: `length` samples, the next `hop` further on.
 */
#ifndef ATTUNE_SRC_DESCRIPTORS_SLIDE_H
#define ATTUNE_SRC_DESCRIPTORS_SLIDE_H

#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct attune_slide {
    float *samples; /* (length) the window, of which `filled` have come */
    size_t length, hop, filled;
} attune_slide;

attune_status attune_slide_create(attune_slide *slide, size_t length, size_t hop);
void attune_slide_free(attune_slide *slide); /* also of {0} */

/* Begins anew, behind `zeros` samples of silence. */
void attune_slide_begin(attune_slide *slide, size_t zeros);

/* Takes samples from *samples, of *count, until a window is whole: true, and once it has been
 * looked at, attune_slide_next makes room for the next. False when all are taken. */
bool attune_slide_take(attune_slide *slide, const float **samples, size_t *count);
void attune_slide_next(attune_slide *slide);

#endif
