/* chroma_filter.h - how much each bin of a spectrum gives to each of the twelve pitch classes, in a
 * tuning. librosa's filter bank, with a tuning of -0.5 to 0.49 semitones in steps of 0.01.
 *
 * Which tuning a track is in is known at its end, and its spectra cannot be kept until then. But a
 * weight is a smooth function of the tuning: from chromas in sixteen of them, Chebyshev's nodes,
 * that in any other is interpolated. So each spectrum is folded into 16 times 12 numbers, and these
 * into the 12 of each of the hundred tunings. */
#ifndef ATTUNE_SRC_DESCRIPTORS_CHROMA_FILTER_H
#define ATTUNE_SRC_DESCRIPTORS_CHROMA_FILTER_H

enum {
    ATTUNE_CHROMA_WINDOW = 8192, /* samples */
    ATTUNE_CHROMA_BINS = ATTUNE_CHROMA_WINDOW / 2 + 1,
    ATTUNE_PITCHES = 12, /* C first */
    ATTUNE_TUNINGS = 100,
};

/* A chroma in every tuning: the tunings of a pitch class lie together. */
typedef float attune_chromas[ATTUNE_PITCHES][ATTUNE_TUNINGS];

static inline double attune_tuning_of(int index)
{
    return (index - ATTUNE_TUNINGS / 2) / (double)ATTUNE_TUNINGS;
}

/* The weights (ATTUNE_CHROMA_BINS, ATTUNE_PITCHES) in one tuning. */
void attune_chroma_weights(double *weights, double tuning);

/* Makes the tables, once for all threads; before any fold. */
void attune_chroma_filter_prepare(void);

/* power (ATTUNE_CHROMA_FOLD, ATTUNE_CHROMA_BINS) to chromas (ATTUNE_CHROMA_FOLD), each spectrum by
 * itself. */
enum { ATTUNE_CHROMA_FOLD = 4 };
void attune_chroma_fold(attune_chromas *chromas, const float *power);

#endif
