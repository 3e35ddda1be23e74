/* tuning.h - how far a track's tones lie from the semitones of 440 Hz, as librosa estimates it: of
 * all peaks of all spectra, the louder half are asked how far they are off, to a hundredth of a
 * semitone, and the most frequent answer counts.
 *
 * Peaks are counted by that answer and by their magnitude, in steps of 1/64 of a power of two: the
 * half begins with the whole step that the median is in. */
#ifndef ATTUNE_SRC_DESCRIPTORS_TUNING_H
#define ATTUNE_SRC_DESCRIPTORS_TUNING_H

#include "descriptors/chroma_filter.h"

#include <stdint.h>

enum { ATTUNE_TUNING_STEPS = 4096 };

typedef struct attune_tuning {
    uint32_t counts[ATTUNE_TUNING_STEPS][ATTUNE_TUNINGS];
    uint64_t peaks;
} attune_tuning;

/* Takes the peaks of a spectrum (ATTUNE_CHROMA_BINS) between 150 and 4,000 Hz. */
void attune_tuning_take(attune_tuning *tuning, const float *magnitudes);

/* Index of the tuning; that of 0 if there was no peak. */
int attune_tuning_finish(const attune_tuning *tuning);

#endif
