/* descriptors.h - the 23 descriptors that bliss and MECOMP know music by before there was a
 * network: tempo, timbre, loudness and harmony.
 *
 * They are those of bliss-audio's feature version 2, in its order and with its scaling, of mono
 * samples at 22,050 Hz. Their names are in attune/store.h. Each is scaled to [-1, 1]:
 *   tempo        median of the tempo at each beat that aubio hears, of 0 to 206 beats a minute;
 *                -1: no beat
 *   crossings    samples on another side of zero than the one before, of all samples
 *   centroid, roll-off, flatness
 *                mean and standard deviation over windows of 512 samples, one every 128; hertz of 0
 *                to 11,025, and 0 to 1
 *   loudness     mean and standard deviation of the energy of 1,024 samples, in decibels, of -90
 *                to none
 *   chroma       six intervals and four triads: the mean over windows of 8,192 samples, one every
 *                2,205, of how much of a chroma's products of two and of three notes each makes;
 *                their lengths as vectors, and the angle between these
 *
 * A track streams through: what is kept of it is 2 MiB, and 4 bytes for every beat. All of it is
 * aubio's or stands on its FFT, so that a build without aubio has none of them. */
#ifndef ATTUNE_SRC_DESCRIPTORS_DESCRIPTORS_H
#define ATTUNE_SRC_DESCRIPTORS_DESCRIPTORS_H

#include "attune/store.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    ATTUNE_DESCRIPTORS_RATE = 22050,   /* Hz */
    ATTUNE_DESCRIPTORS_SHORTEST = 8192 /* samples; of fewer there are none */
};

/* Of one track at a time, in one thread at a time. */
typedef struct attune_descriptors attune_descriptors;

/* ATTUNE_ECONFIG where this build has no aubio, or at another rate. On failure *out is NULL. */
attune_status attune_descriptors_create(attune_descriptors **out, int sample_rate);
void attune_descriptors_free(attune_descriptors *descriptors); /* NULL-safe */

/* A track in pieces, however they are cut: begin, push any number of times, finish. */
attune_status attune_descriptors_begin(attune_descriptors *descriptors);
attune_status attune_descriptors_push(attune_descriptors *descriptors, const float *samples,
                                      size_t count);
/* False for a track that is too short, or has a sample beyond 1e6 or none that is a number; `out`
 * is then NaN. */
bool attune_descriptors_finish(attune_descriptors *descriptors, float out[ATTUNE_DESCRIPTORS]);

#endif
