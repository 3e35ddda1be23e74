/* resampling.h - decoded samples to mono at a lower rate: the downmix and the polyphase filter of
 * precision fast (src/audio/polyphase.h). On the CPU, whatever device the network runs on. */
#ifndef ATTUNE_KERNELS_RESAMPLING_H
#define ATTUNE_KERNELS_RESAMPLING_H

#include <stddef.h>

/* How a decoder gives a sample. */
typedef enum attune_sample_type {
    ATTUNE_SAMPLE_S16, /* int16_t */
    ATTUNE_SAMPLE_S32, /* int32_t */
    ATTUNE_SAMPLE_F32,
    ATTUNE_SAMPLE_F64,
} attune_sample_type;

/* Output n is the product of the T taps of phase p and T samples from sample i on, where
 * n·M = i·L + p and 0 <= p < L. Outputs are made in whole calls of ATTUNE_FILTER_LANES·B. */
typedef struct attune_filter {
    int taps;    /* T */
    int phases;  /* L */
    int step;    /* M > L: the rate becomes L/M times what it was */
    int block;   /* B, a multiple of L that is at least 4 */
    float *bank; /* (L, T) */
} attune_filter;

enum { ATTUNE_FILTER_LANES = 32 };

/* Outputs of one call. */
static inline size_t attune_filter_outputs(const attune_filter *f)
{
    return (size_t)f->block * ATTUNE_FILTER_LANES;
}

/* Samples from the first that one call reads to the first that the next one reads. */
static inline size_t attune_filter_advance(const attune_filter *f)
{
    return attune_filter_outputs(f) / (size_t)f->phases * (size_t)f->step;
}

/* Samples that a call reads. */
static inline size_t attune_filter_reads(const attune_filter *f)
{
    return attune_filter_advance(f) + (size_t)f->taps + 4;
}

/* Floats of a call's scratch. */
static inline size_t attune_filter_scratch(const attune_filter *f)
{
    return attune_filter_advance(f) + (size_t)(f->taps + 4) * ATTUNE_FILTER_LANES;
}

typedef struct attune_resampling {
    /* out (count) = gain · left; gain · (left + right) where right is not NULL. Both stand by
     * themselves with spacing 1, or by turns with spacing 2, right one behind left. */
    void (*mix)(float *out, const void *left, const void *right, attune_sample_type type,
                size_t spacing, float gain, size_t count);

    /* out (32 B) from in (attune_filter_reads). What an output is depends on its own T samples
     * alone: others may be anything, NaN too. scratch: attune_filter_scratch, 64-byte aligned. */
    void (*filter)(float *out, const float *in, const attune_filter *filter, float *scratch);
} attune_resampling;

#endif
