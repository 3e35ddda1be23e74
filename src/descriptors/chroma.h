/* chroma.h - which intervals and triads a track's chromas are made of. */
#ifndef ATTUNE_SRC_DESCRIPTORS_CHROMA_H
#define ATTUNE_SRC_DESCRIPTORS_CHROMA_H

#include "descriptors/chroma_filter.h"
#include "descriptors/slide.h"
#include "descriptors/spectrum.h"
#include "descriptors/tuning.h"

#include <stdint.h>

/* The intervals of one to six semitones, then the major, minor, diminished and augmented triad. */
enum { ATTUNE_INTERVALS = 6, ATTUNE_HARMONIES = 10, ATTUNE_CHROMA_DESCRIPTORS = 13 };

enum { ATTUNE_CHROMA_EDGE = ATTUNE_CHROMA_WINDOW / 2 + 1 }; /* samples that are mirrored, and one */

typedef struct attune_chroma {
    attune_slide slide;
    attune_spectrum *spectrum;
    attune_tuning tuning;
    uint64_t samples, windows;
    float edge[ATTUNE_CHROMA_EDGE];
    float power[ATTUNE_CHROMA_FOLD * ATTUNE_CHROMA_BINS]; /* of the windows not folded yet */
    int waiting;                                          /* how many they are */
    attune_chromas chromas[ATTUNE_CHROMA_FOLD];
    double sums[ATTUNE_HARMONIES][ATTUNE_TUNINGS]; /* over the windows that are folded */
} attune_chroma;

attune_status attune_chroma_create(attune_chroma *chroma);
void attune_chroma_free(attune_chroma *chroma); /* also of {0} */
void attune_chroma_begin(attune_chroma *chroma);
void attune_chroma_push(attune_chroma *chroma, const float *samples, size_t count);

/* Of a track of at least ATTUNE_CHROMA_WINDOW samples: the mean of each harmony in its tuning. */
void attune_chroma_finish(attune_chroma *chroma, double harmonies[ATTUNE_HARMONIES]);

/* Adds the harmonies of a chroma in every tuning to the sums; `chromas` are changed. A chroma is
 * sharpened first: what is left are its loudest notes. */
void attune_chroma_add(double sums[ATTUNE_HARMONIES][ATTUNE_TUNINGS], attune_chromas chromas);

/* Harmonies to descriptors, in [-1, 1]: intervals and triads as parts of vectors of length 1, the
 * two lengths, and the angle between these, triads counting twentyfold. */
void attune_chroma_describe(double out[ATTUNE_CHROMA_DESCRIPTORS],
                            const double harmonies[ATTUNE_HARMONIES]);

#endif
