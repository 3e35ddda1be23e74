/* spectrum.h - magnitudes of a window of samples, Hann's, by aubio's FFT.
 *
 * It is aubio's because aubio is needed for the tempo anyway: it hides which FFT it was built with
 * (FFTW in Debian), and takes turns where that one's planner cannot be used by two threads. */
#ifndef ATTUNE_SRC_DESCRIPTORS_SPECTRUM_H
#define ATTUNE_SRC_DESCRIPTORS_SPECTRUM_H

#include "attune/status.h"

typedef struct attune_spectrum attune_spectrum;

/* `size` is even. */
attune_status attune_spectrum_create(attune_spectrum **out, int size);
void attune_spectrum_free(attune_spectrum *spectrum); /* NULL-safe */

/* samples (size) to magnitudes (size / 2 + 1). */
void attune_spectrum_of(attune_spectrum *spectrum, const float *samples, float *magnitudes);

#endif
