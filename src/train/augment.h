/* augment.h - small changes to a clip that leave the music what it is.
 *
 * First numbers are drawn, from a range each; then they are applied, which is a function of them
 * and the clip alone. Every effect takes its random numbers whether it is on or not, so switching
 * one on changes nothing of the others. Effects come in the order of the fields. */
#ifndef ATTUNE_SRC_TRAIN_AUGMENT_H
#define ATTUNE_SRC_TRAIN_AUGMENT_H

#include "attune/status.h"
#include "audio/codec.h"
#include "model/random.h"

#include <stdbool.h>
#include <stddef.h>

enum { ATTUNE_EQUALISER_BANDS = 4 };

/* With `probability` (0 to 1) a number between low and high, each equally likely; else no effect.
 */
typedef struct attune_augment_range {
    float probability, low, high;
} attune_augment_range;

typedef struct attune_augment_options {
    attune_augment_range tempo;     /* times as fast at the same pitch, 0.5 to 2 */
    attune_augment_range speed;     /* times as fast and as high, 0.5 to 2 */
    attune_augment_range equaliser; /* dB of each band: low shelf, two peaks, high shelf */
    attune_augment_range noise; /* dB of the signal over it; white or pink, by turns of a coin */
    attune_augment_range gain;  /* dB */
    attune_augment_range codec; /* kbit/s, 16 to 96; MP3 or AAC, by turns of a coin */
} attune_augment_options;

/* What was drawn for one clip; {.tempo = 1, .speed = 1, .noise = INFINITY} changes nothing. */
typedef struct attune_augmentation {
    float tempo, speed;
    float band_gain[ATTUNE_EQUALISER_BANDS];      /* dB */
    float band_frequency[ATTUNE_EQUALISER_BANDS]; /* Hz, where band_gain is not 0 */
    float noise;                                  /* dB; INFINITY: none */
    bool pink;
    uint64_t noise_seed;
    float gain; /* dB */
    attune_codec codec;
    int bit_rate; /* of it, bits a second */
} attune_augmentation;

/* ATTUNE_EINVAL, naming the option, for a range that is none or outside the bounds above;
 * ATTUNE_ECONFIG for codecs that this FFmpeg cannot encode. */
attune_status attune_augment_check(const attune_augment_options *options);

void attune_augment_draw(attune_augmentation *out, const attune_augment_options *options,
                         attune_random *random);

/* Samples of the source that `count` samples are made of: for what was drawn, and at most for
 * anything that these options can draw. */
size_t attune_augment_source(const attune_augmentation *augmentation, size_t count);
size_t attune_augment_source_max(const attune_augment_options *options, size_t count);

/* Floats of scratch for `count` samples. */
static inline size_t attune_augment_scratch(size_t count)
{
    return 2 * count + 2;
}

/* out (count) from source (attune_augment_source), both at 22,050 Hz and finite. None of out,
 * source and scratch overlap. Only a codec can fail. */
attune_status attune_augment_apply(float *out, const float *source, float *scratch, size_t count,
                                   const attune_augmentation *augmentation);

#endif
