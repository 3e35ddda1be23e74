/* driver.h - a host that feeds a batch device in the plainest way, for tests of whole tracks. */
#ifndef ATTUNE_TESTS_CUDA_DRIVER_H
#define ATTUNE_TESTS_CUDA_DRIVER_H

#include "kernels/batch.h"

/* The table that everything here goes through. */
extern const attune_batch_kernels *driver_kernels;

/* Asserts ATTUNE_OK. */
void driver_check(attune_status status);

typedef struct driver_track {
    const float *pcm;
    size_t samples;
} driver_track;

/* A context and the host's side of one run of it. */
typedef struct driver {
    void *context;
    attune_network network;
    attune_batch_options options;
    uint32_t batch; /* frames of a frontend call at most */
    uint32_t F, at, row;
    int buffer, features;
    uint32_t *start;
    attune_segment *segments;
    uint32_t segment_count;
    uint32_t *slots;
} driver;

/* Opens a context for `frames` frames in a PCM buffer, `rows` in a feature buffer and `tracks`
 * tracks. */
void driver_open(driver *d, const attune_model *model, attune_precision precision, uint32_t frames,
                 uint32_t rows, uint32_t tracks);
void driver_close(driver *d);

/* embeddings (count, E) of the tracks; track i goes to slot count - 1 - i. */
void driver_embed(driver *d, float *embeddings, const driver_track *tracks, uint32_t count);

/* Noise with a beat in it, so that frames differ in level; within Q14's range. free() frees it. */
float *driver_noise(size_t samples, uint64_t seed);

/* Largest absolute difference; NaN if there is one. */
double driver_worst(const float *got, const double *expected, int count);

#endif
